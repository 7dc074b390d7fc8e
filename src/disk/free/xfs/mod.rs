//! Free blocks of XFS, versions 4 and 5.
//!
//! Each allocation group has a B+tree of its free extents, by block. It is
//! read whole when the file system is opened, and only believed when its log
//! is clean, its checksums (version 5) are right, and its extents agree with
//! the counts of the group and of the superblock. Blocks of the free list
//! (AGFL) are not in the tree and are kept.
//!
//! Facts: "XFS Filesystem Disk Structures" (kernel.org), chapter "Allocation
//! Groups".

use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};

use super::{crc32c, le32};
use crate::disk::Disk;
use crate::error::Result;

mod log;
mod superblock;

use superblock::Superblock;

/// How a partition begins.
pub(super) const MAGIC: &[u8] = b"XFSB";

/// Why all blocks are kept.
type Reason = String;

/// What was found unless the disk cannot be read: a value, or the reason.
type Checked<T> = Result<Result<T, Reason>>;

/// Free extents that are kept in memory: 8 bytes each. A file system with
/// more would save little anyway.
const MAX_EXTENTS: usize = 1 << 19;

/// Deepest B+tree; of the largest group's 2³¹ extents it needs fewer.
const MAX_LEVELS: u32 = 9;

/// A group's header and free list: four sectors.
const HEADER_SECTORS: u64 = 4;

/// A clean file system whose free blocks are certain.
#[derive(Debug)]
pub(super) struct FileSystem {
    start: u64,
    block: u64,
    group_blocks: u64,
    /// The free extents of each group, in order.
    groups: Vec<Vec<Extent>>,
    free_blocks: u64,
}

/// Free blocks of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    start: u32,
    count: u32,
}

impl Extent {
    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }
}

impl FileSystem {
    /// Opens the file system in a range of the disk, or says why its blocks
    /// must be kept.
    pub(super) fn open(disk: &dyn Disk, range: &Range<u64>) -> Checked<Self> {
        let mut bytes = [0; superblock::LENGTH];
        disk.read_at(range.start, &mut bytes)?;
        let superblock = match Superblock::parse(&bytes, range.end - range.start) {
            Ok(superblock) => superblock,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut sector = vec![0; superblock.sector as usize];
        disk.read_at(range.start, &mut sector)?;
        if let Err(reason) = superblock.check_sum(&sector) {
            return Ok(Err(reason));
        }
        let reader = Reader {
            disk,
            start: range.start,
            superblock: &superblock,
        };
        let file_system = match reader.file_system()? {
            Ok(file_system) => file_system,
            Err(reason) => return Ok(Err(reason)),
        };
        // Last, as it reads the most.
        let is_clean = log::check(disk, range.start, &superblock)?;
        Ok(is_clean.map(|()| file_system))
    }

    /// Bytes that will be dropped if they are stored.
    pub(super) fn free_bytes(&self) -> u64 {
        self.free_blocks * self.block
    }

    /// Adds the free parts of a range of the disk.
    pub(super) fn free_inside(&self, wanted: &Range<u64>, free: &mut Vec<Range<u64>>) {
        let first = wanted.start.saturating_sub(self.start) / self.block;
        let last = wanted.end.saturating_sub(self.start) / self.block;
        let group_of = |block: u64| (block / self.group_blocks) as usize;
        for number in group_of(first)..=group_of(last) {
            let Some(extents) = self.groups.get(number) else {
                return;
            };
            let base = number as u64 * self.group_blocks;
            let from = extents.partition_point(|extent| base + extent.end() <= first);
            let inside = extents[from..]
                .iter()
                .take_while(|extent| base + u64::from(extent.start) < last);
            free.extend(inside.filter_map(|extent| {
                let at = |block: u64| self.start + (base + block) * self.block;
                let start = at(extent.start.into()).max(wanted.start);
                let end = at(extent.end()).min(wanted.end);
                // Only whole blocks: the rest belongs to the neighbour unit.
                let start = self.start + (start - self.start).next_multiple_of(self.block);
                let end = self.start + (end - self.start) / self.block * self.block;
                (start < end).then_some(start..end)
            }));
        }
    }
}

/// Reads the groups of a file system whose superblock is sound.
struct Reader<'a> {
    disk: &'a dyn Disk,
    start: u64,
    superblock: &'a Superblock,
}

impl Reader<'_> {
    fn file_system(&self) -> Checked<FileSystem> {
        let superblock = self.superblock;
        let mut groups = Vec::new();
        let (mut in_trees, mut counted, mut extents) = (0, 0, 0);
        for number in 0..superblock.groups {
            let group = match self.group(number, MAX_EXTENTS - extents)? {
                Ok(group) => group,
                Err(reason) => return Ok(Err(format!("group {number}: {reason}"))),
            };
            in_trees += group.in_tree;
            counted += group.in_tree + group.elsewhere;
            extents += group.extents.len();
            groups.push(group.extents);
        }
        if counted != superblock.free_blocks {
            return Ok(Err("it has a wrong count of free blocks".to_owned()));
        }
        Ok(Ok(FileSystem {
            start: self.start,
            block: superblock.block,
            group_blocks: superblock.group_blocks,
            groups,
            free_blocks: in_trees,
        }))
    }

    fn group(&self, number: u64, room: usize) -> Checked<Group> {
        let header = match self.header(number)? {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut walk = Walk {
            reader: self,
            number,
            extents: Vec::new(),
            room,
            end: self.first_usable(),
        };
        if let Err(reason) = walk.subtree(header.root, header.levels - 1)? {
            return Ok(Err(reason));
        }
        let extents = walk.extents;
        let in_tree = extents.iter().map(|extent| u64::from(extent.count)).sum();
        let longest = extents.iter().map(|extent| extent.count).max();
        if in_tree != u64::from(header.free) || longest.unwrap_or(0) != header.longest {
            return Ok(Err("it has a wrong count of free blocks".to_owned()));
        }
        if self.reaches_log(number, &extents) {
            return Ok(Err("the log is said to be free".to_owned()));
        }
        Ok(Ok(Group {
            extents,
            in_tree,
            elsewhere: header.elsewhere,
        }))
    }

    /// The first block behind a group's header.
    fn first_usable(&self) -> u64 {
        (HEADER_SECTORS * self.superblock.sector).div_ceil(self.superblock.block)
    }

    fn reaches_log(&self, number: u64, extents: &[Extent]) -> bool {
        let base = number * self.superblock.group_blocks;
        let log = &self.superblock.log;
        extents.iter().any(|extent| {
            base + u64::from(extent.start) < log.end && base + extent.end() > log.start
        })
    }

    /// The AGF: the group's second sector.
    fn header(&self, number: u64) -> Checked<Header> {
        let superblock = self.superblock;
        let mut bytes = vec![0; superblock.sector as usize];
        let group = self.start + number * superblock.group_blocks * superblock.block;
        self.disk.read_at(group + superblock.sector, &mut bytes)?;
        let word = |at: usize| BigEndian::read_u32(&bytes[at..]);
        let length = superblock.group_length(number);
        let is_sound = bytes.starts_with(b"XAGF")
            && word(4) == 1
            && u64::from(word(8)) == number
            && u64::from(word(12)) == length
            && u64::from(word(16)) < length
            && (1..=MAX_LEVELS).contains(&word(28))
            && u64::from(word(52)) <= length
            && self.is_intact(&bytes, 216, 64);
        if !is_sound {
            return Ok(Err("its header is damaged".to_owned()));
        }
        Ok(Ok(Header {
            root: word(16),
            levels: word(28),
            free: word(52),
            longest: word(56),
            elsewhere: u64::from(word(48)) + u64::from(word(60)),
        }))
    }

    /// Checksum and owner, which only version 5 has.
    fn is_intact(&self, bytes: &[u8], checksum_at: usize, uuid_at: usize) -> bool {
        !self.superblock.has_checksums
            || (checksum(bytes, checksum_at) == le32(bytes, checksum_at)
                && bytes[uuid_at..uuid_at + 16] == self.superblock.metadata_uuid)
    }
}

/// What a group's header says.
struct Header {
    root: u32,
    levels: u32,
    free: u32,
    longest: u32,
    /// Blocks of the free list and of the trees, which count as free.
    elsewhere: u64,
}

struct Group {
    extents: Vec<Extent>,
    in_tree: u64,
    elsewhere: u64,
}

/// A walk through a B+tree. It ends however the tree lies: the level falls on
/// the way down, and extents must ascend.
struct Walk<'a> {
    reader: &'a Reader<'a>,
    number: u64,
    extents: Vec<Extent>,
    room: usize,
    /// Where the next extent may begin.
    end: u64,
}

impl Walk<'_> {
    fn subtree(&mut self, block: u32, level: u32) -> Checked<()> {
        let bytes = match self.read(block, level)? {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Err(reason)),
        };
        let header = self.header_length();
        let count = usize::from(BigEndian::read_u16(&bytes[6..]));
        if level == 0 {
            return Ok(self.leaf(bytes[header..].chunks_exact(8).take(count)));
        }
        let most = (bytes.len() - header) / 12;
        let pointers = bytes[header + most * 8..].chunks_exact(4);
        for pointer in pointers.take(count.min(most)) {
            let before = self.extents.len();
            if let Err(reason) = self.subtree(BigEndian::read_u32(pointer), level - 1)? {
                return Ok(Err(reason));
            }
            // Empty leaves would let a small file keep this busy for ever.
            if self.extents.len() == before {
                return Ok(Err("its B+tree is damaged".to_owned()));
            }
        }
        Ok(Ok(()))
    }

    fn leaf<'b>(&mut self, records: impl Iterator<Item = &'b [u8]>) -> Result<(), Reason> {
        for record in records {
            let extent = Extent {
                start: BigEndian::read_u32(record),
                count: BigEndian::read_u32(&record[4..]),
            };
            let length = self.reader.superblock.group_length(self.number);
            let is_sound =
                extent.count > 0 && u64::from(extent.start) >= self.end && extent.end() <= length;
            if !is_sound {
                return Err("its B+tree is damaged".to_owned());
            }
            if self.extents.len() >= self.room {
                return Err("its free space is in too many pieces".to_owned());
            }
            self.end = extent.end();
            self.extents.push(extent);
        }
        Ok(())
    }

    fn header_length(&self) -> usize {
        if self.reader.superblock.has_checksums {
            56
        } else {
            16
        }
    }

    fn read(&self, number: u32, level: u32) -> Checked<Vec<u8>> {
        let reader = self.reader;
        let superblock = reader.superblock;
        let damaged = || Ok(Err("its B+tree is damaged".to_owned()));
        if u64::from(number) >= superblock.group_length(self.number) {
            return damaged();
        }
        let block = self.number * superblock.group_blocks + u64::from(number);
        let mut bytes = vec![0; superblock.block as usize];
        let at = reader.start + block * superblock.block;
        reader.disk.read_at(at, &mut bytes)?;
        let magic: &[u8] = match superblock.has_checksums {
            true => b"AB3B",
            false => b"ABTB",
        };
        let is_sound = bytes.starts_with(magic)
            && u32::from(BigEndian::read_u16(&bytes[4..])) == level
            && reader.is_intact(&bytes, 52, 32);
        if is_sound { Ok(Ok(bytes)) } else { damaged() }
    }
}

/// The checksum of metadata, which counts its own field as zeros.
fn checksum(bytes: &[u8], at: usize) -> u32 {
    let sum = crc32c(!0, &bytes[..at]);
    let sum = crc32c(sum, &[0; 4]);
    !crc32c(sum, &bytes[at + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_system(groups: &[&[(u32, u32)]]) -> FileSystem {
        let extent = |&(start, count): &(u32, u32)| Extent { start, count };
        FileSystem {
            start: 1000,
            block: 10,
            group_blocks: 100,
            groups: groups
                .iter()
                .map(|extents| extents.iter().map(extent).collect())
                .collect(),
            free_blocks: 0,
        }
    }

    #[test]
    fn free_blocks_inside_a_range_are_whole() {
        let file_system = file_system(&[&[(4, 2), (10, 90)], &[(0, 1), (50, 50)]]);
        type Pairs = &'static [(u64, u64)];
        let table: [(Range<u64>, Pairs); 7] = [
            (0..1000, &[]),
            (0..1050, &[(1040, 1050)]),
            (1045..1100, &[(1050, 1060)]),
            (1045..1055, &[]),
            (1990..2020, &[(1990, 2000), (2000, 2010)]),
            (2980..5000, &[(2980, 3000)]),
            (9000..9999, &[]),
        ];
        for (wanted, expected) in table {
            let mut free = Vec::new();
            file_system.free_inside(&wanted, &mut free);
            let found: Vec<_> = free.iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
