//! The documentation of all options, made from the tables that read them.

use std::fmt::Write as _;

use super::options::{self, meta};
use crate::template::decode::{OptionKind, OptionSpec, Status};

const INTRODUCTION: &str = "\
# Options

Every option this program knows, block by block. Names and defaults are Packer's unless noted.
This page is made by `alicloud-image docs options`; do not edit it.

Numbers, bools and texts are converted into each other as Packer does it. A duration is a text with
units, for example `1h30m`. A single text where a list is wanted is split on commas. Relative paths
start at the working directory. An empty text counts as not set.
";

/// A heading, a sentence or nothing, and a table.
type Section = (&'static str, &'static str, &'static [OptionSpec]);

const SECTIONS: &[Section] = &[
    (
        "Builder `alicloud-ecs`: access",
        "",
        options::access::OPTIONS,
    ),
    ("Builder `alicloud-ecs`: image", "", options::image::OPTIONS),
    (
        "Builder `alicloud-ecs`: `tag` block",
        "",
        options::image::TAG,
    ),
    (
        "Builder `alicloud-ecs`: disk",
        "In `system_disk_mapping` and in each of `image_disk_mappings`.",
        options::disk::OPTIONS,
    ),
    (
        "Builder `alicloud-ecs`: temporary instance",
        "",
        options::run::OPTIONS,
    ),
    (
        "Builder `alicloud-ecs`: `source_image_filter`",
        "An image must fit all that is written.",
        options::run::SOURCE_FILTER,
    ),
    ("Builder `qemu`", "", options::qemu::OPTIONS),
    (
        "Builder `qemu`: `qemu_img_args`",
        "",
        options::qemu::QEMU_IMG_ARGS,
    ),
    (
        "Communicator",
        "In the builder's block.",
        options::communicator::OPTIONS,
    ),
    ("All provisioners", "", meta::PROVISIONER),
    ("Provisioner `shell`", "", options::shell::OPTIONS),
    ("Provisioner `file`", "", options::file::OPTIONS),
    (
        "Provisioner and post-processor `shell-local`",
        "",
        options::shell_local::OPTIONS,
    ),
    ("Provisioner `powershell`", "", options::powershell::OPTIONS),
    (
        "Provisioner `windows-shell`",
        "",
        options::windows_shell::OPTIONS,
    ),
    (
        "Provisioner `windows-restart`",
        "",
        options::windows_restart::OPTIONS,
    ),
    ("Provisioner `sleep`", "", options::sleep::OPTIONS),
    (
        "Provisioner `ansible`",
        "Runs Ansible on this machine, against the instance.",
        options::ansible::OPTIONS,
    ),
    (
        "Provisioner `ansible-local`",
        "Runs Ansible in the instance, which must have it.",
        options::ansible_local::OPTIONS,
    ),
    (
        "Provisioner `breakpoint`",
        "Waits for Enter at a terminal; goes on with a warning where there is none, as in CI.",
        options::breakpoint::OPTIONS,
    ),
    ("All post-processors", "", meta::POST_PROCESSOR),
    ("Post-processor `manifest`", "", options::manifest::OPTIONS),
    ("Post-processor `checksum`", "", options::checksum::OPTIONS),
    ("Post-processor `compress`", "", options::compress::OPTIONS),
    ("Post-processor `artifice`", "", options::artifice::OPTIONS),
    (
        "Post-processor `alicloud-import`",
        "Also those of `alicloud-ecs` for access and image. Those about its instance and the communicator \
         have no effect, as in Packer, and give a warning.",
        options::import::OPTIONS,
    ),
];

/// The page `docs/options.md`.
pub fn options_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page
}

fn write_section(page: &mut String, (heading, sentence, table): &Section) {
    let _ = write!(page, "\n## {heading}\n\n");
    if !sentence.is_empty() {
        let _ = write!(page, "{sentence}\n\n");
    }
    page.push_str("| option | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for spec in *table {
        let (kind, default, meaning) = (type_name(spec.kind), default(spec), meaning(spec));
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {meaning} |", spec.name);
    }
}

fn type_name(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::String => "string",
        OptionKind::Int => "integer",
        OptionKind::Bool | OptionKind::Tri => "bool",
        OptionKind::Duration => "duration",
        OptionKind::StringList => "list of strings",
        OptionKind::StringLists => "list of lists of strings",
        OptionKind::StringMap => "map of strings",
        OptionKind::Object => "object",
        OptionKind::ObjectList => "list of objects",
        OptionKind::Path => "path",
        OptionKind::Secret => "secret string",
    }
}

fn default(spec: &OptionSpec) -> String {
    match spec.default {
        "" => String::new(),
        options::REQUIRED => "*required*".to_owned(),
        text => format!("`{}`", text.replace('|', "\\|")),
    }
}

fn meaning(spec: &OptionSpec) -> String {
    let meaning = match spec.status {
        Status::Supported => spec.doc.to_owned(),
        Status::Deprecated { successor } => format!("Old spelling of `{successor}`."),
        Status::Ignored { why } => format!("No effect: {why}."),
        Status::Unsupported { instead } => {
            format!("{} **Not supported yet.** {instead}.", spec.doc)
        }
    };
    meaning.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/options.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == options_page(),
            "docs/options.md is out of date; run: alicloud-image docs options > docs/options.md"
        );
    }

    #[test]
    fn every_option_is_explained_once_in_its_table() {
        for (heading, _, table) in SECTIONS {
            let mut names: Vec<_> = table.iter().map(|spec| spec.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.len(), "{heading} repeats an option");
            for spec in *table {
                let sentence = meaning(spec);
                assert!(sentence.ends_with('.'), "{}: {sentence}", spec.name);
            }
        }
    }
}
