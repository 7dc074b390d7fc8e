//! Options of the `windows-shell` provisioner.

use super::{K, OptionSpec, defaulted, ignored, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "inline",
        K::StringList,
        "Lines of one batch file; one of `inline`, `script`, `scripts` is required.",
    ),
    option(
        "script",
        K::Path,
        "Batch file, relative to the working directory.",
    ),
    option("scripts", K::StringList, "Batch files, run in this order."),
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
    defaulted(
        "env_var_format",
        K::String,
        "set \"%s=%s\" && ",
        "How a variable is written, with two `%s`.",
    ),
    defaulted(
        "execute_command",
        K::String,
        "{{.Vars}}\"{{.Path}}\"",
        "Command that runs the batch file.",
    ),
    defaulted(
        "remote_path",
        K::String,
        "c:/Windows/Temp/script.bat",
        "Path of the batch file on the machine; it stays there.",
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
        "Exit codes that mean success; 2300218 is a lost connection.",
    ),
    ignored("binary", K::Bool, "batch files are sent as they are"),
];
