//! Options of the `windows-restart` provisioner.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    defaulted(
        "restart_command",
        K::String,
        "shutdown /r /f /t 0 /c \"packer restart\"",
        "Command that restarts the machine.",
    ),
    option(
        "restart_check_command",
        K::String,
        "Command that succeeds once the machine is back; by default PowerShell that says so.",
    ),
    defaulted(
        "restart_timeout",
        K::Duration,
        "5m",
        "How long the machine may take.",
    ),
    defaulted(
        "check_registry",
        K::Bool,
        "false",
        "Also wait until no key says that another restart is pending.",
    ),
    option(
        "registry_keys",
        K::StringList,
        "The keys of `check_registry`; by default the four of Windows itself.",
    ),
];
