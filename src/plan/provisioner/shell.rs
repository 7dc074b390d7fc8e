//! Reads the options of `shell`.

use super::script;
use super::{Kind, Shell};
use crate::plan::reader::Reader;

/// What one of which must be written.
const SCRIPTS: &[&str] = &["inline", "script", "scripts"];
/// What `execute_command` may use.
const FIELDS: &[&str] = &["Vars", "Path", "EnvVarFile"];

/// Defaults that depend on how the environment is sent.
struct Forms {
    variable: &'static str,
    command: &'static str,
}

const ON_COMMAND_LINE: Forms = Forms {
    variable: "%s='%s' ",
    command: "chmod +x {{.Path}}; {{.Vars}} {{.Path}}",
};
const IN_FILE: Forms = Forms {
    variable: "export %s='%s'\n",
    command: "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}",
};

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let use_env_var_file = reader.flag("use_env_var_file");
    let forms = match use_env_var_file {
        true => IN_FILE,
        false => ON_COMMAND_LINE,
    };
    let scripts = script::scripts(reader, SCRIPTS);
    let shebang = reader.plain("inline_shebang");
    Kind::Shell(Box::new(Shell {
        inline: scripts.inline,
        scripts: scripts.files,
        environment: script::environment(reader),
        env_var_format: script::env_var_format(reader, forms.variable),
        execute_command: reader.late_or("execute_command", forms.command, FIELDS),
        inline_shebang_is_set: shebang.is_some(),
        inline_shebang: shebang.unwrap_or_else(|| super::SHEBANG.to_owned()),
        binary: reader.flag("binary"),
        remote_path: reader.plain("remote_path"),
        remote_folder: reader.text_or("remote_folder", "/tmp"),
        remote_file: reader.plain("remote_file"),
        skip_clean: reader.flag("skip_clean"),
        expect_disconnect: reader.flag("expect_disconnect"),
        start_retry_timeout: script::start_retry_timeout(reader),
        valid_exit_codes: script::exit_codes(reader),
        use_env_var_file,
        pause_after: reader.duration("pause_after").unwrap_or_default(),
    }))
}
