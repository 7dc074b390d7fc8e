//! Files that would pass for a raw disk, as anything may, and are none.
//!
//! Facts: the public descriptions of the formats; ISO 9660 (ECMA-119).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{io_error, open_file};
use crate::error::{Error, Kind, Result};

const CONVERT: &str = "Convert it, for example with `qemu-img convert -O qcow2`";
const UNPACK: &str = "Unpack it first";

/// What files begin with, what they then are, and what helps.
const TABLE: &[(&[u8], &str, &str)] = &[
    (
        b"# Disk DescriptorFile",
        "describes a VMDK image and is none itself",
        "Import the file that it describes, or convert it with `qemu-img convert -O qcow2`",
    ),
    (b"vhdxfile", "is a VHDX image, which is not read", CONVERT),
    (
        b"<<< Oracle VM",
        "is a VDI image, which is not read",
        CONVERT,
    ),
    (b"\x1f\x8b", "is compressed with gzip", UNPACK),
    (b"\xfd7zXZ", "is compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", UNPACK),
    (b"BZh", "is compressed with bzip2", UNPACK),
];

/// Where an ISO 9660 image has its mark.
const ISO_MARK: u64 = 32_769;

/// Refuses what is known to be no disk image.
///
/// # Errors
/// `Kind::Io` when it cannot be read, `Kind::Usage` when it is no disk.
pub(super) fn refuse(path: &Path) -> Result<()> {
    let file = open_file(path)?;
    let unreadable = |error| io_error(path, error);
    let size = file.metadata().map_err(unreadable)?.len();
    let complaint = if size == 0 {
        Some(("is empty", "Is it the right file?"))
    } else {
        foreign(&file).map_err(unreadable)?
    };
    match complaint {
        Some((what, hint)) => {
            let message = format!("`{}` {what}", path.display());
            Err(Error::new(Kind::Usage, message).with_hint(hint))
        }
        None => Ok(()),
    }
}

fn foreign(file: &File) -> io::Result<Option<(&'static str, &'static str)>> {
    let head = read_at(file, 0, 64)?;
    let known = TABLE.iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, what, hint)) = known {
        return Ok(Some((what, hint)));
    }
    let is_other_image = head.starts_with(b"QFI\xfb") || head.starts_with(b"KDMV");
    // Installers that also boot from a stick have a partition table, and are
    // still installers.
    let is_iso = !is_other_image && read_at(file, ISO_MARK, 5)? == b"CD001";
    Ok(is_iso.then_some((
        "is an ISO image, an installer and no disk",
        "Install it with the `qemu` builder, and import the disk",
    )))
}

/// Fewer bytes than asked for at the end of the file.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
