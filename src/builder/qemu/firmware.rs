//! Where UEFI firmware is on this machine, and the machine's own variables.
//!
//! Code and variables must belong together, so they are found in pairs. Paths
//! are those of the packages of Debian, Ubuntu, Fedora, Arch and openSUSE;
//! QEMU's own build ships some in `/usr/share/qemu`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::command_line::EfiFiles;
use crate::error::{Error, Kind, Result};
use crate::plan::qemu::Efi;

/// Code and variables for PCs, the preferred ones first.
const PAIRS: &[(&str, &str)] = &[
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
        "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-4m-code.bin",
        "/usr/share/qemu/ovmf-x86_64-4m-vars.bin",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-code.bin",
        "/usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

/// The same for 64-bit ARM.
const ARM_PAIRS: &[(&str, &str)] = &[
    (
        "/usr/share/AAVMF/AAVMF_CODE.fd",
        "/usr/share/AAVMF/AAVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/aarch64/QEMU_EFI-pflash.qcow2",
        "/usr/share/edk2/aarch64/vars-template-pflash.qcow2",
    ),
    (
        "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
        "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ),
    (
        "/usr/share/qemu/edk2-aarch64-code.fd",
        "/usr/share/qemu/edk2-arm-vars.fd",
    ),
];

/// What a qcow2 file begins with.
const QCOW2: [u8; 4] = *b"QFI\xfb";

/// Finds code and variables and copies the variables for the machine.
///
/// # Errors
/// [`Kind::Io`] when there is no firmware, or it cannot be copied.
pub(super) fn prepare(efi: &Efi, qemu_binary: &str, vars: &Path) -> Result<EfiFiles> {
    let pairs = if qemu_binary.ends_with("aarch64") {
        ARM_PAIRS
    } else {
        PAIRS
    };
    let (code, template) = find(efi, pairs).ok_or_else(|| not_found(efi))?;
    std::fs::copy(&template, vars).map_err(|error| {
        let (from, to) = (template.display(), vars.display());
        Error::new(Kind::Io, format!("Cannot copy `{from}` to `{to}`")).with_source(error)
    })?;
    // The template may be read-only, as packages install it.
    make_writable(vars)?;
    Ok(EfiFiles {
        code_format: format(&code),
        vars_format: format(&template),
        code,
        vars: vars.to_owned(),
    })
}

fn find(efi: &Efi, pairs: &[(&str, &str)]) -> Option<(PathBuf, PathBuf)> {
    let matches = |given: &Option<PathBuf>, path: &str| match given {
        Some(given) => given == Path::new(path),
        None => Path::new(path).is_file(),
    };
    if let (Some(code), Some(vars)) = (&efi.code, &efi.vars) {
        return Some((code.clone(), vars.clone()));
    }
    let mut pairs = pairs.iter();
    let (code, vars) =
        pairs.find(|(code, vars)| matches(&efi.code, code) && matches(&efi.vars, vars))?;
    Some((PathBuf::from(code), PathBuf::from(vars)))
}

fn not_found(efi: &Efi) -> Error {
    let half = match (&efi.code, &efi.vars) {
        (Some(_), None) => Some(("efi_firmware_vars", "variables")),
        (None, Some(_)) => Some(("efi_firmware_code", "code")),
        _ => None,
    };
    match half {
        Some((option, what)) => {
            let message = format!("It is not known which UEFI {what} belong to the given firmware");
            Error::new(Kind::Io, message).with_hint(format!("Set `{option}` too"))
        }
        None => Error::new(Kind::Io, "There is no UEFI firmware on this machine").with_hint(
            "Install the package `ovmf` (Debian, Ubuntu) or `edk2-ovmf` (Fedora, Arch), or set \
             `efi_firmware_code` and `efi_firmware_vars`",
        ),
    }
}

fn make_writable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, mode).map_err(|error| {
        let message = format!("Cannot make `{}` writable", path.display());
        Error::new(Kind::Io, message).with_source(error)
    })
}

/// Fedora ships qcow2, everybody else the bytes of the flash.
fn format(path: &Path) -> &'static str {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == QCOW2 {
        "qcow2"
    } else {
        "raw"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn efi(code: Option<&Path>, vars: Option<&Path>) -> Efi {
        Efi {
            code: code.map(Path::to_owned),
            vars: vars.map(Path::to_owned),
            drop_efivars: false,
        }
    }

    #[test]
    fn given_files_are_used_with_their_formats() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("code"), b"QFI\xfb....").unwrap();
        std::fs::write(path("vars"), b"raw bytes").unwrap();
        let efi = efi(Some(&path("code")), Some(&path("vars")));
        let files = prepare(&efi, "qemu-system-x86_64", &path("efivars.fd")).unwrap();
        assert_eq!((files.code_format, files.vars_format), ("qcow2", "raw"));
        assert_eq!(std::fs::read(path("efivars.fd")).unwrap(), b"raw bytes");
    }

    #[test]
    fn pairs_belong_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for name in ["code2", "vars1", "vars2"] {
            std::fs::write(path(name), "").unwrap();
        }
        let (code1, vars1, code2, vars2) =
            (path("code1"), path("vars1"), path("code2"), path("vars2"));
        let pairs = [(code1.as_str(), vars1.as_str()), (&code2, &vars2)];
        let found = find(&efi(None, None), &pairs).unwrap();
        assert_eq!(found, (PathBuf::from(&code2), PathBuf::from(&vars2)));
        let by_code = find(&efi(Some(Path::new(&code1)), None), &pairs).unwrap();
        assert_eq!(by_code.1, Path::new(&vars1));
        assert!(find(&efi(Some(Path::new("/other")), None), &pairs).is_none());
    }
}
