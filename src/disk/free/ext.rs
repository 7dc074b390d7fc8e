//! Free blocks of ext2, ext3 and ext4.
//!
//! Facts: the kernel's `Documentation/filesystems/ext4`. Structures are only
//! believed when their checksums and counts agree.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{crc32c, le16, le32};
use crate::disk::Disk;
use crate::error::Result;

/// Where the superblock is, and its length.
const SUPERBLOCK_AT: u64 = 1024;
const SUPERBLOCK: usize = 1024;

/// Where a partition has the magic number,
pub(super) const MAGIC_AT: usize = 1024 + 0x38;

/// and what it is.
pub(super) const MAGIC: [u8; 2] = [0x53, 0xef];

/// Features whose presence changes nothing about block bitmaps: has_journal,
/// ext_attr, resize_inode, dir_index, dir_prealloc, sparse_super2,
/// fast_commit, stable_inodes, orphan_file.
const COMPATIBLE: u32 = 0x1 | 0x4 | 0x8 | 0x10 | 0x20 | 0x200 | 0x400 | 0x800 | 0x1000;

/// filetype, extents, 64bit, flex_bg, ea_inode, csum_seed, largedir,
/// inline_data, casefold. Not: needs recovery, journal device, meta_bg, mmp,
/// compression, dirdata, encrypt.
const INCOMPATIBLE: u32 =
    0x2 | 0x40 | INCOMPATIBLE_64BIT | 0x200 | 0x400 | CSUM_SEED | 0x4000 | 0x8000 | 0x20000;
const INCOMPATIBLE_64BIT: u32 = 0x80;
const CSUM_SEED: u32 = 0x2000;

/// sparse_super, large_file, btree_dir, huge_file, gdt_csum, dir_nlink,
/// extra_isize, quota, metadata_csum, project, verity. Not: bigalloc,
/// snapshots, shared blocks, orphans present.
const READ_ONLY_COMPATIBLE: u32 =
    0x1 | 0x2 | 0x4 | 0x8 | GDT_CSUM | 0x20 | 0x40 | 0x100 | METADATA_CSUM | 0x2000 | 0x8000;
const GDT_CSUM: u32 = 0x10;
const METADATA_CSUM: u32 = 0x400;

/// Group flag: the bitmap on disk was never written.
const BLOCK_UNINIT: u16 = 0x2;

/// Groups at most: 16 TiB of 4 KiB blocks, a descriptor table of 8 MiB.
const MAX_GROUPS: u64 = 1 << 17;

/// Bitmaps kept in memory.
const CACHED_BITMAPS: usize = 8;

/// A clean file system whose free blocks are certain.
#[derive(Debug)]
pub(super) struct FileSystem {
    range: Range<u64>,
    block: u64,
    blocks: u64,
    first_block: u64,
    per_group: u64,
    /// Offset of each group's bitmap, or none where its blocks are kept.
    bitmaps: Vec<Option<u64>>,
    free_blocks: u64,
    cache: Mutex<Vec<(usize, Arc<Vec<u8>>)>>,
}

/// The fields of the superblock that matter here.
struct Superblock {
    block: u64,
    blocks: u64,
    first_block: u64,
    per_group: u64,
    free_blocks: u64,
    descriptor: usize,
    compatible: u32,
    incompatible: u32,
    read_only: u32,
    state: u16,
    last_orphan: u32,
    uuid: [u8; 16],
    seed: u32,
}

impl FileSystem {
    /// Opens the file system in a range of the disk, or says why its blocks
    /// must be kept.
    pub(super) fn open(disk: &dyn Disk, range: Range<u64>) -> Result<Result<Self, String>> {
        let mut bytes = [0; SUPERBLOCK];
        disk.read_at(range.start + SUPERBLOCK_AT, &mut bytes)?;
        let superblock = match Superblock::parse(&bytes, &range) {
            Ok(superblock) => superblock,
            Err(reason) => return Ok(Err(reason)),
        };
        let descriptors = read_descriptors(disk, &range, &superblock)?;
        let bitmaps = match bitmaps(&descriptors, &superblock, &range) {
            Ok(bitmaps) => bitmaps,
            Err(reason) => return Ok(Err(reason)),
        };
        let file_system = Self {
            range,
            block: superblock.block,
            blocks: superblock.blocks,
            first_block: superblock.first_block,
            per_group: superblock.per_group,
            bitmaps,
            free_blocks: 0,
            cache: Mutex::default(),
        };
        file_system.verified(disk, &superblock, &descriptors)
    }

    /// Bytes that will be dropped if they are stored.
    pub(super) fn free_bytes(&self) -> u64 {
        self.free_blocks * self.block
    }

    /// Adds the free parts of a range of the disk.
    pub(super) fn free_inside(
        &self,
        disk: &dyn Disk,
        wanted: &Range<u64>,
        free: &mut Vec<Range<u64>>,
    ) -> Result<()> {
        let base = self.range.start;
        let start = wanted.start.max(base + self.first_block * self.block);
        let end = wanted.end.min(base + self.blocks * self.block);
        if start >= end {
            return Ok(());
        }
        let first = (start - base).div_ceil(self.block);
        let last = (end - base) / self.block;
        let mut block = first;
        while block < last {
            let group = ((block - self.first_block) / self.per_group) as usize;
            let begin = self.first_block + group as u64 * self.per_group;
            let stop = last.min(begin + self.per_group);
            if let Some(Some(at)) = self.bitmaps.get(group) {
                let bitmap = self.bitmap(disk, group, *at)?;
                self.free_runs(&bitmap, begin, block..stop, free);
            }
            block = stop;
        }
        Ok(())
    }

    fn free_runs(&self, bitmap: &[u8], begin: u64, blocks: Range<u64>, free: &mut Vec<Range<u64>>) {
        for block in blocks {
            let bit = block - begin;
            if bitmap[(bit / 8) as usize] & (1 << (bit % 8)) != 0 {
                continue;
            }
            let start = self.range.start + block * self.block;
            match free.last_mut() {
                Some(run) if run.end == start => run.end += self.block,
                _ => free.push(start..start + self.block),
            }
        }
    }

    fn bitmap(&self, disk: &dyn Disk, group: usize, at: u64) -> Result<Arc<Vec<u8>>> {
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bitmap)) = lock().iter().find(|(number, _)| *number == group) {
            return Ok(Arc::clone(bitmap));
        }
        let mut bytes = vec![0; self.block as usize];
        disk.read_at(at, &mut bytes)?;
        let bitmap = Arc::new(bytes);
        let mut cache = lock();
        if cache.len() >= CACHED_BITMAPS {
            cache.remove(0);
        }
        cache.push((group, Arc::clone(&bitmap)));
        Ok(bitmap)
    }

    /// Every bitmap must have its checksum and as many free blocks as its
    /// group says, and all together as many as the superblock says.
    fn verified(
        mut self,
        disk: &dyn Disk,
        superblock: &Superblock,
        descriptors: &[u8],
    ) -> Result<Result<Self, String>> {
        let (mut total, mut dropped) = (0, 0);
        for (group, descriptor) in descriptors.chunks_exact(superblock.descriptor).enumerate() {
            let recorded = superblock.split(descriptor, 12, 44);
            total += recorded;
            let Some(at) = self.bitmaps[group] else {
                continue;
            };
            let bitmap = self.bitmap(disk, group, at)?;
            let bytes = (self.per_group / 8) as usize;
            if !superblock.is_bitmap_sound(descriptor, &bitmap[..bytes]) {
                return Ok(Err(format!("the block bitmap of group {group} is damaged")));
            }
            let begin = self.first_block + group as u64 * self.per_group;
            let blocks = (self.blocks - begin).min(self.per_group);
            let used = count_ones(&bitmap, blocks);
            if blocks - used != recorded {
                return Ok(Err(format!(
                    "group {group} has a wrong count of free blocks"
                )));
            }
            dropped += recorded;
        }
        if total != superblock.free_blocks {
            return Ok(Err("it has a wrong count of free blocks".to_owned()));
        }
        self.free_blocks = dropped;
        Ok(Ok(self))
    }
}

fn count_ones(bitmap: &[u8], bits: u64) -> u64 {
    let whole = (bits / 8) as usize;
    let ones: u32 = bitmap[..whole].iter().map(|byte| byte.count_ones()).sum();
    let rest = match bits % 8 {
        0 => 0,
        left => (bitmap[whole] & ((1 << left) - 1)).count_ones(),
    };
    u64::from(ones + rest)
}

impl Superblock {
    fn parse(bytes: &[u8; SUPERBLOCK], range: &Range<u64>) -> Result<Self, String> {
        let incompatible = le32(bytes, 0x60);
        let is_64bit = incompatible & INCOMPATIBLE_64BIT != 0;
        let high = |at: usize| {
            if is_64bit {
                u64::from(le32(bytes, at)) << 32
            } else {
                0
            }
        };
        let block_bits = le32(bytes, 0x18);
        if block_bits > 6 {
            return Err("its block size is impossible".to_owned());
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[0x68..0x78]);
        let superblock = Self {
            block: 1024 << block_bits,
            blocks: u64::from(le32(bytes, 0x4)) | high(0x150),
            first_block: u64::from(le32(bytes, 0x14)),
            per_group: u64::from(le32(bytes, 0x20)),
            free_blocks: u64::from(le32(bytes, 0xc)) | high(0x158),
            descriptor: if is_64bit {
                le16(bytes, 0xfe).into()
            } else {
                32
            },
            compatible: le32(bytes, 0x5c),
            incompatible,
            read_only: le32(bytes, 0x64),
            state: le16(bytes, 0x3a),
            last_orphan: le32(bytes, 0xe8),
            uuid,
            seed: match incompatible & CSUM_SEED {
                0 => crc32c(!0, &uuid),
                _ => le32(bytes, 0x270),
            },
        };
        if le32(bytes, 0x4c) == 0 {
            return Err("it is of the first revision".to_owned());
        }
        superblock.check(bytes, range)?;
        Ok(superblock)
    }

    fn check(&self, bytes: &[u8; SUPERBLOCK], range: &Range<u64>) -> Result<(), String> {
        if self.has_metadata_csum() && crc32c(!0, &bytes[..0x3fc]) != le32(bytes, 0x3fc) {
            return Err("its superblock is damaged".to_owned());
        }
        let unknown = [
            ("compatible", self.compatible & !COMPATIBLE),
            ("incompatible", self.incompatible & !INCOMPATIBLE),
            (
                "read-only compatible",
                self.read_only & !READ_ONLY_COMPATIBLE,
            ),
        ];
        if self.incompatible & 0x4 != 0 {
            return Err("its journal must be replayed first".to_owned());
        }
        if let Some((kind, bits)) = unknown.iter().find(|(_, bits)| *bits != 0) {
            return Err(format!(
                "it has {kind} features that are not known: {bits:#x}"
            ));
        }
        if self.state != 1 || self.last_orphan != 0 {
            return Err("it is not clean".to_owned());
        }
        self.check_geometry(range)
    }

    fn check_geometry(&self, range: &Range<u64>) -> Result<(), String> {
        let length = range.end - range.start;
        let fits = self
            .blocks
            .checked_mul(self.block)
            .is_some_and(|end| end <= length);
        let is_sound = fits
            && self.first_block == u64::from(self.block == 1024)
            && self.blocks > self.first_block
            && self.per_group > 0
            && self.per_group.is_multiple_of(8)
            && self.per_group <= self.block * 8
            && [32, 64].contains(&self.descriptor)
            && self.groups() <= MAX_GROUPS;
        if is_sound {
            Ok(())
        } else {
            Err("its geometry does not fit the partition".to_owned())
        }
    }

    fn groups(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.per_group)
    }

    fn has_metadata_csum(&self) -> bool {
        self.read_only & METADATA_CSUM != 0
    }

    /// A 32-bit number in two halves, the upper only in long descriptors.
    fn split(&self, descriptor: &[u8], low: usize, high: usize) -> u64 {
        let upper = match self.descriptor {
            64 => le16(descriptor, high),
            _ => 0,
        };
        u64::from(le16(descriptor, low)) | u64::from(upper) << 16
    }

    fn is_descriptor_sound(&self, group: u32, descriptor: &[u8]) -> bool {
        let stored = le16(descriptor, 30);
        let number = group.to_le_bytes();
        if self.has_metadata_csum() {
            let sum = crc32c(self.seed, &number);
            let sum = crc32c(sum, &descriptor[..30]);
            let sum = crc32c(sum, &[0; 2]);
            let sum = crc32c(sum, &descriptor[32..]);
            return sum as u16 == stored;
        }
        if self.read_only & GDT_CSUM != 0 {
            let sum = crc16(!0, &self.uuid);
            let sum = crc16(sum, &number);
            let sum = crc16(sum, &descriptor[..30]);
            return crc16(sum, &descriptor[32..]) == stored;
        }
        true
    }

    fn is_bitmap_sound(&self, descriptor: &[u8], bitmap: &[u8]) -> bool {
        if !self.has_metadata_csum() {
            return true;
        }
        let sum = crc32c(self.seed, bitmap);
        match self.descriptor {
            64 => u64::from(sum) == self.split(descriptor, 24, 56),
            _ => sum as u16 == le16(descriptor, 24),
        }
    }
}

fn read_descriptors(
    disk: &dyn Disk,
    range: &Range<u64>,
    superblock: &Superblock,
) -> Result<Vec<u8>> {
    let length = superblock.groups() as usize * superblock.descriptor;
    let mut bytes = vec![0; length];
    let at = range.start + (superblock.first_block + 1) * superblock.block;
    disk.read_at(at, &mut bytes)?;
    Ok(bytes)
}

/// Where the bitmaps are. A group whose bitmap was never written may hold
/// other groups' tables, so its blocks are kept.
fn bitmaps(
    descriptors: &[u8],
    superblock: &Superblock,
    range: &Range<u64>,
) -> Result<Vec<Option<u64>>, String> {
    let has_flags = superblock.read_only & (GDT_CSUM | METADATA_CSUM) != 0;
    let mut bitmaps = Vec::new();
    for (group, descriptor) in (0..).zip(descriptors.chunks_exact(superblock.descriptor)) {
        if !superblock.is_descriptor_sound(group, descriptor) {
            return Err(format!("the descriptor of group {group} is damaged"));
        }
        let upper = match superblock.descriptor {
            64 => u64::from(le32(descriptor, 32)),
            _ => 0,
        };
        let block = u64::from(le32(descriptor, 0)) | upper << 32;
        if block >= superblock.blocks || block <= superblock.first_block {
            return Err(format!("the bitmap of group {group} is outside"));
        }
        let is_unwritten = has_flags && le16(descriptor, 18) & BLOCK_UNINIT != 0;
        bitmaps.push((!is_unwritten).then_some(range.start + block * superblock.block));
    }
    Ok(bitmaps)
}

/// CRC-16 with the polynomial 0xa001, as ext4 chains it.
fn crc16(start: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xa001 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_their_check_values() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
    }

    #[test]
    fn ones_are_counted_up_to_a_bit() {
        assert_eq!(count_ones(&[0xff, 0xff], 11), 11);
        assert_eq!(count_ones(&[0xf0, 0], 16), 4);
    }
}
