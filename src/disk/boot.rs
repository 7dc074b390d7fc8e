//! What a disk's partition table says of how the disk boots.
//!
//! It is only looked at, for telling a user early; nothing is dropped or
//! changed because of it. Facts: the UEFI specification, chapter 5; GRUB's
//! manual, "BIOS installation".

use super::{Disk, SECTOR};
use crate::error::Result;

/// MBR type of a GPT's protective entry.
const PROTECTIVE: u8 = 0xee;

/// MBR type of an EFI system partition.
const MBR_ESP: u8 = 0xef;

/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as it is stored.
const ESP: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// 21686148-6449-6E6F-744E-656564454649, as it is stored.
const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";

/// Bit of a GPT entry's attributes by which SYSLINUX finds its partition.
const LEGACY_BOOTABLE: u8 = 1 << 2;

/// Entries that are looked at: the usual 128, four times over.
const MAX_ENTRIES: u32 = 512;

/// The table at the beginning of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// No boot record: no firmware boots it.
    None,
    /// A master boot record.
    Mbr,
    /// A GUID partition table.
    Gpt,
}

/// How a disk can boot, as far as its partitions tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The partition table.
    pub table: Table,
    /// Whether there is an EFI system partition.
    pub has_esp: bool,
    /// Whether a GPT has a partition for what a BIOS boots.
    pub has_bios_boot: bool,
}

impl Boot {
    /// Whether only UEFI can boot it.
    pub fn is_uefi_only(self) -> bool {
        self.table == Table::Gpt && self.has_esp && !self.has_bios_boot
    }
}

/// Reads the partition table.
///
/// # Errors
/// When the disk cannot be read.
pub fn boot(disk: &dyn Disk) -> Result<Boot> {
    let mut record = [0; SECTOR as usize];
    disk.read_at(0, &mut record)?;
    let mut found = Boot {
        table: Table::None,
        has_esp: false,
        has_bios_boot: false,
    };
    if record[510..] != [0x55, 0xaa] {
        return Ok(found);
    }
    let has_type = |kind: u8| {
        record[446..510]
            .chunks_exact(16)
            .any(|entry| entry[4] == kind)
    };
    if has_type(PROTECTIVE) {
        found.table = Table::Gpt;
        read_gpt(disk, &mut found)?;
    } else {
        found.table = Table::Mbr;
        found.has_esp = has_type(MBR_ESP);
    }
    Ok(found)
}

fn read_gpt(disk: &dyn Disk, found: &mut Boot) -> Result<()> {
    let mut header = [0; SECTOR as usize];
    disk.read_at(SECTOR, &mut header)?;
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let first = u64::from(word(72)) | u64::from(word(76)) << 32;
    let (count, length) = (word(80).min(MAX_ENTRIES), word(84));
    let start = first.saturating_mul(SECTOR);
    if !header.starts_with(b"EFI PART") || length != 128 || start >= disk.virtual_size() {
        return Ok(());
    }
    let mut entries = vec![0; count as usize * length as usize];
    disk.read_at(start, &mut entries)?;
    for entry in entries.chunks_exact(length as usize) {
        found.has_esp |= entry[..16] == ESP;
        found.has_bios_boot |= entry[..16] == BIOS_BOOT || entry[48] & LEGACY_BOOTABLE != 0;
    }
    Ok(())
}
