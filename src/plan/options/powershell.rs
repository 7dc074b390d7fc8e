//! Options of the `powershell` provisioner.

use super::{K, OptionSpec, defaulted, ignored, option};

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
    defaulted(
        "env_var_format",
        K::String,
        "$env:%s=\"%s\"; ",
        "How a variable is written, with two `%s`.",
    ),
    option(
        "execute_command",
        K::String,
        "Command that runs the script, with `{{.Path}}` and `{{.Vars}}`, the script that sets the environment; by default PowerShell that runs both and ends with `$LastExitCode`.",
    ),
    option(
        "elevated_user",
        K::String,
        "User of a scheduled task that runs the script with all rights; `SYSTEM` needs no password.",
    ),
    option(
        "elevated_password",
        K::Secret,
        "Password of `elevated_user`; may be ``{{ build `Password` }}``.",
    ),
    option(
        "elevated_execute_command",
        K::String,
        "The same as `execute_command`, in the scheduled task.",
    ),
    defaulted(
        "execution_policy",
        K::String,
        "bypass",
        "PowerShell's execution policy in the default commands; `none` leaves it as it is.",
    ),
    defaulted(
        "debug_mode",
        K::Int,
        "0",
        "Trace of the script in the default commands: 0, 1 or 2 (`Set-PsDebug`).",
    ),
    defaulted(
        "use_pwsh",
        K::Bool,
        "false",
        "Run `pwsh` instead of `powershell` in the default commands.",
    ),
    option(
        "remote_path",
        K::String,
        "Path of the script on the machine; by default `c:/Windows/Temp/script-ID.ps1`.",
    ),
    option(
        "remote_env_var_path",
        K::String,
        "Path of the script that sets the environment; by default `c:/Windows/Temp/packer-ps-env-vars-ID.ps1`.",
    ),
    defaulted(
        "skip_clean",
        K::Bool,
        "false",
        "Leave the scripts on the machine.",
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
    ignored(
        "elevated_env_var_format",
        K::String,
        "the environment is the same in the task",
    ),
    defaulted("pause_after", K::Duration, "0s", "Wait after it."),
];
