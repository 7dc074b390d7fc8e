//! Blocks that a file system itself says are free, so that what was deleted
//! in a guest need not be sent.
//!
//! Dropping is done only where nothing can be misunderstood: a file system in
//! a partition that overlaps no other, cleanly unmounted, with known features
//! only, whose bitmaps agree with its own counts. Everything else is kept.
//! ext2, ext3 and ext4 are understood; XFS is kept whole.

use std::ops::Range;

use super::Disk;
use crate::error::Result;

mod ext;
mod partition;

pub(super) use ext::FileSystem;

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
                    found.file_systems.push(file_system);
                    format!("{name}: ext file system, {free} bytes are free and dropped")
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
            file_system.free_inside(disk, range, &mut free)?;
        }
        free.sort_unstable_by_key(|range| range.start);
        Ok(free)
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
