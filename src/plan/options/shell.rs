//! Options of the `shell` provisioner.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "inline",
        K::StringList,
        "Lines of one script; one of `inline`, `script`, `scripts` is required.",
    ),
    option(
        "script",
        K::Path,
        "Script file, relative to the working directory.",
    ),
    option("scripts", K::StringList, "Script files, run in this order."),
    option(
        "environment_vars",
        K::StringList,
        "Environment as `NAME=value`.",
    ),
    option(
        "env",
        K::StringMap,
        "Environment as a map; wins over `environment_vars`.",
    ),
    option(
        "env_var_format",
        K::String,
        "How a variable is written, with two `%s`; by default `%s='%s' `, with `use_env_var_file` `export %s='%s'` and a line end.",
    ),
    option(
        "execute_command",
        K::String,
        "Command that runs the script, with `{{.Vars}}`, `{{.Path}}` and `{{.EnvVarFile}}`; by default `chmod +x {{.Path}}; {{.Vars}} {{.Path}}`.",
    ),
    defaulted(
        "inline_shebang",
        K::String,
        "/bin/sh -e",
        "First line of an inline script, without `#!`.",
    ),
    defaulted(
        "binary",
        K::Bool,
        "false",
        "Keep CRLF line ends as they are.",
    ),
    option(
        "remote_path",
        K::String,
        "Path of the script on the machine; wins over `remote_folder` and `remote_file`.",
    ),
    defaulted(
        "remote_folder",
        K::String,
        "/tmp",
        "Directory of the script on the machine.",
    ),
    option(
        "remote_file",
        K::String,
        "Name of the script on the machine; by default a random one.",
    ),
    defaulted(
        "skip_clean",
        K::Bool,
        "false",
        "Leave the script on the machine.",
    ),
    defaulted(
        "expect_disconnect",
        K::Bool,
        "false",
        "A lost connection is expected, for example by a reboot.",
    ),
    defaulted(
        "start_retry_timeout",
        K::Duration,
        "5m",
        "How long upload and start are tried again.",
    ),
    defaulted(
        "valid_exit_codes",
        K::StringList,
        "[0]",
        "Exit codes that mean success.",
    ),
    defaulted(
        "use_env_var_file",
        K::Bool,
        "false",
        "Send the environment as a file instead of on the command line.",
    ),
    defaulted("pause_after", K::Duration, "0s", "Wait after it."),
];
