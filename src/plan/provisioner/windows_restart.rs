//! Reads the options of `windows-restart`.

use std::time::Duration;

use super::{Kind, WindowsRestart};
use crate::plan::reader::Reader;

const TIMEOUT: Duration = Duration::from_secs(300);

/// Where Windows notes that it wants to be restarted.
const REGISTRY_KEYS: &[&str] = &[
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending",
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\PackagesPending",
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootInProgress",
    "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired",
];

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let command = "shutdown /r /f /t 0 /c \"packer restart\"";
    let check = reader.late_or("restart_check_command", "", &[]);
    let timeout = reader.duration("restart_timeout");
    let keys = reader.plain_list("registry_keys");
    let has_keys = !keys.is_empty();
    let check_registry = reader.flag("check_registry");
    if has_keys && !check_registry {
        let what = "has no effect without `check_registry`";
        reader.warning("registry_keys", what, "Set `check_registry` to `true`");
    }
    let keys = match has_keys {
        true => keys,
        false => REGISTRY_KEYS.iter().map(ToString::to_string).collect(),
    };
    Kind::WindowsRestart(Box::new(WindowsRestart {
        command: reader.late_or("restart_command", command, &[]),
        check_command: Some(check).filter(|check| !check.is_empty()),
        timeout: timeout.filter(|it| !it.is_zero()).unwrap_or(TIMEOUT),
        registry_keys: if check_registry { keys } else { Vec::new() },
    }))
}
