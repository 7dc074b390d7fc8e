//! Blocks that a file system itself says are free, so that what was deleted
//! in a guest need not be sent.
//!
//! Dropping is done only where nothing can be misunderstood: a file system in
//! a partition that overlaps no other, cleanly unmounted, with known features
//! only, whose free blocks agree with its own counts. Everything else is kept.
//! ext2, ext3, ext4 and XFS are understood; logical volumes are kept whole.

use std::fmt;
use std::ops::Range;

use super::Disk;
use crate::error::Result;

mod ext;
mod partition;
mod xfs;

/// The free blocks of a disk.
#[derive(Debug, Default)]
pub(super) struct FreeBlocks {
    file_systems: Vec<FileSystem>,
    /// What was found, for people: one sentence per partition.
    pub(super) notes: Vec<String>,
}

impl FreeBlocks {
    /// Looks for file systems whose free blocks are certain.
    pub(super) fn find(disk: &dyn Disk) -> Result<Self> {
        let mut found = Self::default();
        let partitions = match partition::partitions(disk)? {
            Ok(partitions) => partitions,
            Err(reason) => {
                found.notes.push(format!("All blocks are kept: {reason}"));
                return Ok(found);
            }
        };
        for partition in partitions {
            let name = partition.name;
            let note = match FileSystem::open(disk, partition.range)? {
                Ok(file_system) => {
                    let free = file_system.free_bytes();
                    let note = format!("{name}: {file_system}, {free} bytes are free and dropped");
                    found.file_systems.push(file_system);
                    note
                }
                Err(reason) => format!("{name}: all blocks are kept: {reason}"),
            };
            found.notes.push(note);
        }
        Ok(found)
    }

    /// The free parts of a range of the disk, in order.
    pub(super) fn inside(&self, disk: &dyn Disk, range: &Range<u64>) -> Result<Vec<Range<u64>>> {
        let mut free = Vec::new();
        for file_system in &self.file_systems {
            match file_system {
                FileSystem::Ext(ext) => ext.free_inside(disk, range, &mut free)?,
                FileSystem::Xfs(xfs) => xfs.free_inside(range, &mut free),
            }
        }
        free.sort_unstable_by_key(|range| range.start);
        Ok(free)
    }
}

/// A clean file system whose free blocks are certain.
#[derive(Debug)]
enum FileSystem {
    Ext(ext::FileSystem),
    Xfs(xfs::FileSystem),
}

impl FileSystem {
    /// Opens what is in a range of the disk, or says why its blocks must be
    /// kept.
    fn open(disk: &dyn Disk, range: Range<u64>) -> Result<Result<Self, String>> {
        Ok(match Signature::read(disk, &range)? {
            Ok(Signature::Ext) => ext::FileSystem::open(disk, range)?.map(Self::Ext),
            Ok(Signature::Xfs) => xfs::FileSystem::open(disk, &range)?.map(Self::Xfs),
            Err(reason) => Err(reason.to_owned()),
        })
    }

    /// Bytes that will be dropped if they are stored.
    fn free_bytes(&self) -> u64 {
        match self {
            Self::Ext(ext) => ext.free_bytes(),
            Self::Xfs(xfs) => xfs.free_bytes(),
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext(_) => "ext file system",
            Self::Xfs(_) => "XFS",
        })
    }
}

/// What the first bytes of a partition say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    Ext,
    Xfs,
}

impl Signature {
    /// Where the last of the signatures ends.
    const REACH: usize = 4096;

    /// Two signatures mean that one is a left-over: nobody knows which.
    fn read(disk: &dyn Disk, range: &Range<u64>) -> Result<Result<Self, &'static str>> {
        if range.end - range.start < Self::REACH as u64 {
            return Ok(Err("it is too small for a file system"));
        }
        let mut bytes = [0; Self::REACH];
        disk.read_at(range.start, &mut bytes)?;
        let has_label = |at: &usize| bytes[*at..].starts_with(b"LABELONE");
        if [0, 512, 1024, 1536].iter().any(has_label) {
            return Ok(Err("it is a physical volume of LVM"));
        }
        if bytes.starts_with(b"LUKS\xba\xbe") {
            return Ok(Err("it is encrypted (LUKS)"));
        }
        let is_ext = bytes[ext::MAGIC_AT..].starts_with(&ext::MAGIC);
        let is_xfs = bytes.starts_with(xfs::MAGIC);
        Ok(match (is_ext, is_xfs) {
            (true, false) => Ok(Self::Ext),
            (false, true) => Ok(Self::Xfs),
            (true, true) => Err("there are signatures of two file systems"),
            (false, false) => Err("there is no ext or XFS file system"),
        })
    }
}

/// Little-endian numbers of an on-disk structure; the caller knows its length.
pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// See [`le16`].
pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at)) | u32::from(le16(bytes, at + 2)) << 16
}

/// See [`le16`].
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// CRC-32C without the final complement, so that it can be chained.
pub(super) fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| {
        sum >> 8 ^ CRC32C[usize::from(sum as u8 ^ byte)]
    })
}

const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
};
