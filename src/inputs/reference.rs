//! The reference pages of the documentation, generated from the definitions
//! so that they cannot disagree with the program.

use std::fmt::Write;

use super::{action, definitions, variables};
use crate::report::outputs::OUTPUTS;

/// The width of help texts on the page.
const WIDTH: usize = 100;

/// Commands, exit codes, environment variables, and the action's inputs and
/// outputs, as Markdown.
pub fn markdown() -> String {
    [commands(), variables(), action_tables()].join("\n")
}

fn commands() -> String {
    let mut definitions = definitions().term_width(WIDTH);
    definitions.build();
    let mut page = String::from("# Command line\n\n");
    page.push_str(&help("alicloud-image", &mut definitions.clone()));
    for command in definitions.get_subcommands_mut() {
        if !command.is_hide_set() {
            let title = format!("alicloud-image {}", command.get_name());
            page.push('\n');
            page.push_str(&help(&title, command));
            for nested in command.get_subcommands_mut() {
                if nested.get_name() != "help" {
                    page.push('\n');
                    page.push_str(&help(&format!("{title} {}", nested.get_name()), nested));
                }
            }
        }
    }
    page
}

fn help(title: &str, command: &mut clap::Command) -> String {
    let text = command.render_help().to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!(
        "## `{title}`\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    )
}

fn variables() -> String {
    let mut page = String::from(
        "# Environment variables\n\nAn empty variable counts as not set. Keys are taken from the \
         first family that has both halves; families are never mixed.\n\n| Variable | Purpose |\n\
         |---|---|\n",
    );
    for variable in variables::VARIABLES {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{}` | {} |", variable.name, variable.purpose);
    }
    page
}

fn action_tables() -> String {
    let mut page = String::from("# GitHub action\n\n| Input | Default |\n|---|---|\n");
    for input in action::INPUTS {
        let default = match input.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(page, "| `{}` | {default} |", input.name);
    }
    page.push_str("\n| Output |\n|---|\n");
    for output in OUTPUTS {
        let _ = writeln!(page, "| `{output}` |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == markdown(),
            "docs/reference.md is out of date; run: alicloud-image docs reference > docs/reference.md"
        );
    }

    #[test]
    fn everything_a_user_can_say_is_on_the_page() {
        let page = markdown();
        for part in [
            "## `alicloud-image build`",
            "--on-error <ACTION>",
            "## `alicloud-image cleanup`",
            "  143  stopped by SIGTERM",
            "| `ALIBABA_CLOUD_ACCESS_KEY_ID` |",
            "| `resource-ttl-hours` | `6` |",
            "| `image-ids` |",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        for hidden in ["`alicloud-image init`", "--skip-enforcement"] {
            assert!(!page.contains(hidden), "{hidden}");
        }
    }
}
