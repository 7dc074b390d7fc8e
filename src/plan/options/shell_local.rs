//! Options of `shell-local`, provisioner and post-processor.

use super::{K, OptionSpec, defaulted, ignored, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "command",
        K::String,
        "One command; one of `command`, `inline`, `script`, `scripts` is required.",
    ),
    option("inline", K::StringList, "Lines of one script."),
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
    defaulted(
        "env_var_format",
        K::String,
        "%s='%s' ",
        "How a variable is written, with two `%s`.",
    ),
    defaulted(
        "execute_command",
        K::StringList,
        "[\"/bin/sh\", \"-c\", \"{{.Vars}} {{.Script}}\"]",
        "Program and arguments that run the script; a single one is given to `sh -c`.",
    ),
    defaulted(
        "inline_shebang",
        K::String,
        "/bin/sh -e",
        "First line of an inline script, without `#!`.",
    ),
    option(
        "only_on",
        K::StringList,
        "Operating systems it runs on, for example `linux`; all by default.",
    ),
    option(
        "tempfile_extension",
        K::String,
        "Suffix of the temporary script.",
    ),
    defaulted(
        "valid_exit_codes",
        K::StringList,
        "[0]",
        "Exit codes that mean success.",
    ),
    ignored("use_linux_pathing", K::Bool, "it only matters on Windows"),
];
