//! Reads the options of `shell-local`, provisioner and post-processor.

use super::ShellLocal;
use super::script;
use crate::plan::reader::Reader;

/// What one of which must be written.
const SCRIPTS: &[&str] = &["command", "inline", "script", "scripts"];
/// What `execute_command` may use.
const FIELDS: &[&str] = &["Vars", "Script", "Command"];
const EXECUTE: &[&str] = &["/bin/sh", "-c", "{{.Vars}} {{.Script}}"];

/// Reads the options. Problems become diagnostics.
pub fn read(reader: &mut Reader<'_, '_>) -> ShellLocal {
    let scripts = script::scripts(reader, SCRIPTS);
    let shebang = reader.plain("inline_shebang");
    ShellLocal {
        inline: scripts.inline,
        scripts: scripts.files,
        environment: script::environment(reader),
        env_var_format: script::env_var_format(reader, "%s='%s' "),
        execute_command: execute_command(reader),
        inline_shebang_is_set: shebang.is_some(),
        inline_shebang: shebang.unwrap_or_else(|| super::SHEBANG.to_owned()),
        tempfile_extension: reader.text_or("tempfile_extension", ""),
        only_on: reader.plain_list("only_on"),
        valid_exit_codes: script::exit_codes(reader),
    }
}

/// One word is a command line for the shell.
fn execute_command(reader: &mut Reader<'_, '_>) -> Vec<String> {
    let written = reader.list_or_one("execute_command");
    for word in &written {
        reader.check_late("execute_command", word, FIELDS);
    }
    let words: Vec<_> = written.into_iter().map(|word| word.value).collect();
    match words.len() {
        0 => EXECUTE.iter().map(|word| (*word).to_owned()).collect(),
        1 => ["sh".to_owned(), "-c".to_owned()]
            .into_iter()
            .chain(words)
            .collect(),
        _ => words,
    }
}
