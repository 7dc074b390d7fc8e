//! The superblock of an XFS file system: only what tells where free space is
//! recorded, and whether everything about it is understood.
//!
//! Facts: "XFS Filesystem Disk Structures" (kernel.org), chapter "Superblocks".

use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};

use super::super::le32;
use super::{Reason, checksum};
use crate::disk::SECTOR;

/// The superblock is the first sector of the file system; these are its
/// fields in every version.
pub(super) const LENGTH: usize = 512;

/// Version flags: attributes, nlink, quota, alignment, stripe alignment,
/// version 2 log, sector size, unwritten extents, version 2 directories,
/// case-insensitive names, more flags. Not: shared.
const VERSION_FLAGS: u16 =
    0x10 | 0x20 | 0x40 | 0x80 | 0x100 | LOG_V2 | 0x800 | 0x1000 | 0x2000 | 0x4000 | MORE_FLAGS;
const LOG_V2: u16 = 0x400;
const MORE_FLAGS: u16 = 0x8000;

/// Second flags: lazy counters, attributes 2, project ids of 32 bits,
/// checksums, file types. Not: parent pointers of the old kind.
const FLAGS_2: u32 = LAZY_COUNT | 0x8 | 0x80 | 0x100 | 0x200;
const LAZY_COUNT: u32 = 0x2;

/// Free inode B+tree, reverse mapping, reflink, inode B+tree counters. All of
/// them own blocks that are then not in the free space B+trees.
const READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x4 | 0x8;

/// File types, sparse inodes, metadata UUID, big timestamps, large extent
/// counters, exchange range, parent pointers. Not: needs repair, metadata
/// directory (realtime groups), zoned.
const INCOMPATIBLE: u32 = 0x1 | 0x2 | META_UUID | 0x8 | 0x20 | 0x40 | 0x80;
const META_UUID: u32 = 0x4;

/// More allocation groups than a grown disk of 16 TiB has.
const MAX_GROUPS: u64 = 1 << 16;

/// What the rest of the reader needs.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block: u64,
    pub(super) blocks: u64,
    pub(super) sector: u64,
    pub(super) group_blocks: u64,
    pub(super) groups: u64,
    pub(super) free_blocks: u64,
    /// The blocks of the file system that the log occupies.
    pub(super) log: Range<u64>,
    pub(super) uuid: [u8; 16],
    /// What metadata carries, which is another one if the first was changed.
    pub(super) metadata_uuid: [u8; 16],
    pub(super) has_checksums: bool,
}

impl Superblock {
    /// Reads the fields of a first sector of at least [`LENGTH`] bytes.
    pub(super) fn parse(bytes: &[u8], length: u64) -> Result<Self, Reason> {
        check_features(bytes)?;
        let has_checksums = version(bytes) == 5;
        let uuid_at = |at: usize| std::array::from_fn(|index| bytes[at + index]);
        let has_meta_uuid = has_checksums && be32(bytes, 216) & META_UUID != 0;
        let mut superblock = Self {
            block: be32(bytes, 4).into(),
            blocks: BigEndian::read_u64(&bytes[8..]),
            sector: BigEndian::read_u16(&bytes[102..]).into(),
            group_blocks: be32(bytes, 84).into(),
            groups: be32(bytes, 88).into(),
            free_blocks: BigEndian::read_u64(&bytes[144..]),
            log: 0..0,
            uuid: uuid_at(32),
            metadata_uuid: uuid_at(if has_meta_uuid { 248 } else { 32 }),
            has_checksums,
        };
        superblock.check_geometry(bytes, length)?;
        superblock.log = superblock.find_log(bytes)?;
        Ok(superblock)
    }

    /// The checksum covers the whole first sector.
    pub(super) fn check_sum(&self, sector: &[u8]) -> Result<(), Reason> {
        if self.has_checksums && checksum(sector, 224) != le32(sector, 224) {
            return Err("its superblock is damaged".to_owned());
        }
        Ok(())
    }

    fn check_geometry(&self, bytes: &[u8], length: u64) -> Result<(), Reason> {
        let is_power = |value: u64, log: u8| log < 32 && value == 1 << log;
        let fits = self.blocks.checked_mul(self.block);
        let is_sound = is_power(self.block, bytes[120])
            && (512..=65536).contains(&self.block)
            && is_power(self.sector, bytes[121])
            && (SECTOR..=32768).contains(&self.sector)
            && self.sector <= self.block
            && fits.is_some_and(|end| end <= length)
            && (1..=MAX_GROUPS).contains(&self.groups)
            && bytes[124] <= 32
            && (64..=1 << bytes[124]).contains(&self.group_blocks)
            && self.group_blocks * (self.groups - 1) < self.blocks
            && self.group_blocks * self.groups >= self.blocks;
        if is_sound {
            Ok(())
        } else {
            Err("its geometry does not fit the partition".to_owned())
        }
    }

    /// The log's place is given as number of the group and block inside it.
    fn find_log(&self, bytes: &[u8]) -> Result<Range<u64>, Reason> {
        let place = BigEndian::read_u64(&bytes[48..]);
        let count = u64::from(be32(bytes, 96));
        if place == 0 {
            return Err("its log is on another device".to_owned());
        }
        let (group, inside) = (place >> bytes[124], place & ((1 << bytes[124]) - 1));
        let is_sound = group < self.groups
            && count > 0
            && inside + count <= self.group_length(group)
            && inside * self.block >= 4 * self.sector;
        if !is_sound {
            return Err("its log is outside".to_owned());
        }
        let start = group * self.group_blocks + inside;
        Ok(start..start + count)
    }

    /// Blocks of an allocation group; the last may be shorter.
    pub(super) fn group_length(&self, group: u64) -> u64 {
        self.group_blocks
            .min(self.blocks - group * self.group_blocks)
    }
}

fn version(bytes: &[u8]) -> u16 {
    BigEndian::read_u16(&bytes[100..]) & 0xf
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    BigEndian::read_u32(&bytes[at..])
}

/// Refuses whatever is not known to leave the meaning of free space alone.
fn check_features(bytes: &[u8]) -> Result<(), Reason> {
    let flags = BigEndian::read_u16(&bytes[100..]) & !0xf;
    let (flags_2, copy) = (be32(bytes, 200), be32(bytes, 204));
    let is_v5 = version(bytes) == 5;
    if !is_v5 && version(bytes) != 4 {
        return Err(format!("its version {} is not known", version(bytes)));
    }
    let zero_before_v5 = |at: usize| if is_v5 { be32(bytes, at) } else { 0 };
    let unknown = [
        ("version", u32::from(flags & !VERSION_FLAGS)),
        ("second", flags_2 & !FLAGS_2),
        ("compatible", zero_before_v5(208)),
        (
            "read-only compatible",
            zero_before_v5(212) & !READ_ONLY_COMPATIBLE,
        ),
        ("incompatible", zero_before_v5(216) & !INCOMPATIBLE),
        ("log", zero_before_v5(220)),
    ];
    if let Some((kind, bits)) = unknown.iter().find(|(_, bits)| *bits != 0) {
        return Err(format!(
            "it has {kind} features that are not known: {bits:#x}"
        ));
    }
    if flags & MORE_FLAGS == 0 || flags_2 & LAZY_COUNT == 0 || flags_2 != copy {
        return Err("its counters are of the old kind".to_owned());
    }
    if BigEndian::read_u64(&bytes[16..]) != 0 {
        return Err("it has a realtime device".to_owned());
    }
    if bytes[126] != 0 {
        return Err("it was never finished".to_owned());
    }
    Ok(())
}
