//! What `shell` and its relatives have in common: scripts, environment, exit
//! codes.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::reader::{Reader, alternatives};
use crate::template::source::Spanned;

const START_RETRY: Duration = Duration::from_secs(300);

/// What is run: lines or files.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    pub(super) inline: Vec<String>,
    pub(super) files: Vec<Spanned<PathBuf>>,
}

/// Reads `inline`, `script`, `scripts` and, when there is one, `command`;
/// exactly one of them must say something.
pub(super) fn scripts(reader: &mut Reader<'_, '_>, names: &'static [&'static str]) -> Scripts {
    let written: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| reader.is_set(name))
        .collect();
    match written.as_slice() {
        [] => {
            let help = format!("Write one of {}", alternatives(names));
            reader.missing(names[0], help);
        }
        [first, second, ..] => reader.conflict(first, second, "Keep one of them"),
        [_] => {}
    }
    let mut scripts = Scripts {
        inline: inline(reader),
        files: Vec::new(),
    };
    if names.contains(&"command") {
        let command = reader.late_or("command", "", &[]);
        scripts
            .inline
            .extend((!command.is_empty()).then_some(command));
    }
    let single = reader
        .text("script")
        .into_iter()
        .map(|path| ("script", path));
    let several = reader
        .texts("scripts")
        .into_iter()
        .map(|path| ("scripts", path));
    for (name, path) in single.chain(several).collect::<Vec<_>>() {
        scripts.files.push(script(reader, name, &path));
    }
    scripts
}

/// The lines as they stand; empty lines belong to the script.
fn inline(reader: &mut Reader<'_, '_>) -> Vec<String> {
    // Packer splits a single text on commas; a command is what is meant.
    let lines = reader.list_or_one("inline");
    for line in &lines {
        reader.check_late("inline", line, &[]);
    }
    lines.into_iter().map(|line| line.value).collect()
}

fn script(reader: &mut Reader<'_, '_>, name: &str, path: &Spanned<String>) -> Spanned<PathBuf> {
    let file = PathBuf::from(&path.value);
    let problem = match is_late(&path.value) {
        true => reader.places().unknown(),
        false => reader.places().file_problem(&file),
    };
    if let Some(problem) = problem {
        reader.bad_path(name, path.span, &path.value, &problem);
    }
    Spanned {
        value: file,
        span: path.span,
    }
}

/// Whether a text is rendered again at run time and cannot be judged yet.
pub(super) fn is_late(text: &str) -> bool {
    text.contains("{{")
}

/// `environment_vars` then `env`.
pub(super) fn environment(reader: &mut Reader<'_, '_>) -> Vec<(String, String)> {
    let variables = reader.texts("environment_vars");
    let mut environment = pairs(reader, "environment_vars", variables);
    environment.extend(reader.map("env"));
    environment
}

/// The names and values of an option's `NAME=value` texts.
pub(super) fn pairs(
    reader: &mut Reader<'_, '_>,
    option: &str,
    variables: Vec<Spanned<String>>,
) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for variable in variables {
        match variable.value.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                pairs.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                let what = "contains a text that is not `NAME=value`";
                let help = "Write for example `DEBIAN_FRONTEND=noninteractive`";
                reader.error_at(variable.span, option, what, help);
            }
        }
    }
    pairs
}

/// A format with two `%s`.
pub(super) fn env_var_format(reader: &mut Reader<'_, '_>, default: &str) -> String {
    let format = reader.text_or("env_var_format", default);
    if format.matches("%s").count() != 2 {
        let what = format!("is `{format}`, which has not two `%s`");
        reader.error(
            "env_var_format",
            &what,
            "The first `%s` is the name, the second the value",
        );
    }
    format
}

/// `valid_exit_codes`, by default 0.
pub(super) fn exit_codes(reader: &mut Reader<'_, '_>) -> Vec<u32> {
    let written = reader.texts("valid_exit_codes");
    if written.is_empty() {
        return vec![0];
    }
    let mut codes = Vec::new();
    for code in written {
        match code.value.trim().parse() {
            Ok(code) => codes.push(code),
            Err(_) => {
                let what = format!("contains `{}`, which is not an exit code", code.value);
                reader.error_at(
                    code.span,
                    "valid_exit_codes",
                    &what,
                    "Write numbers from 0 up",
                );
            }
        }
    }
    codes
}

/// `start_retry_timeout`, by default five minutes.
pub(super) fn start_retry_timeout(reader: &mut Reader<'_, '_>) -> Duration {
    let written = reader.duration("start_retry_timeout");
    written
        .filter(|limit| !limit.is_zero())
        .unwrap_or(START_RETRY)
}
