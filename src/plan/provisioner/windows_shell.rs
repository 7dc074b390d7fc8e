//! Reads the options of `windows-shell`.

use super::script;
use super::{Kind, WindowsShell};
use crate::plan::reader::Reader;

/// What one of which must be written.
const SCRIPTS: &[&str] = &["inline", "script", "scripts"];
/// What `execute_command` may use.
const FIELDS: &[&str] = &["Vars", "Path"];

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let scripts = script::scripts(reader, SCRIPTS);
    Kind::WindowsShell(Box::new(WindowsShell {
        inline: scripts.inline,
        scripts: scripts.files,
        environment: script::environment(reader),
        env_var_format: script::env_var_format(reader, "set \"%s=%s\" && "),
        execute_command: reader.late_or("execute_command", "{{.Vars}}\"{{.Path}}\"", FIELDS),
        remote_path: reader.text_or("remote_path", "c:/Windows/Temp/script.bat"),
        start_retry_timeout: script::start_retry_timeout(reader),
        valid_exit_codes: script::exit_codes(reader),
    }))
}
