//! Whether the log of an XFS file system is clean: its last record says that
//! the file system was unmounted, and nothing was written after it.
//!
//! Every sector of the log tells in which cycle it was written: its first word
//! is the cycle, or in a record's header the second. So the log is a run of
//! one cycle up to the head, and a run of the cycle before. A log with any
//! other pattern – a torn write – is not believed.
//!
//! Facts: "XFS Filesystem Disk Structures", chapter "Journaling Log".

use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};

use super::Reason;
use super::superblock::Superblock;
use crate::disk::{Disk, SECTOR};
use crate::error::Result;

/// First word of a record's header.
const RECORD: u32 = 0xfeed_babe;

/// A header's sector lists the first words of so many bytes of data; longer
/// records have more such sectors.
const DATA_PER_HEADER: u64 = 32 << 10;

/// Flag of an operation: the file system was unmounted.
const UNMOUNT: u8 = 0x20;

/// Records are not longer than the largest log buffer.
const LONGEST_RECORD: u64 = (256 << 10) / SECTOR;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// Says why the log may hold something that is not in its place yet.
pub(super) fn check(
    disk: &dyn Disk,
    start: u64,
    superblock: &Superblock,
) -> Result<Result<(), Reason>> {
    let range = start + superblock.log.start * superblock.block
        ..start + superblock.log.end * superblock.block;
    let Some(head) = find_head(disk, &range)? else {
        return Ok(Err("its log is damaged".to_owned()));
    };
    let log = Log { disk, range, head };
    let is_clean = log.ends_with_unmount(superblock)?;
    Ok(is_clean
        .then_some(())
        .ok_or_else(|| "its log must be replayed first".to_owned()))
}

/// Where the next record would be written.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// Sector of the log.
    sector: u64,
    /// Cycle of the sectors before.
    cycle: u32,
}

/// Looks at every sector: the cycle must fall once, by one.
fn find_head(disk: &dyn Disk, range: &Range<u64>) -> Result<Option<Head>> {
    let mut buffer = vec![0; CHUNK as usize];
    let mut cycles = Cycles::default();
    let mut at = range.start;
    while at < range.end {
        let chunk = &mut buffer[..CHUNK.min(range.end - at) as usize];
        disk.read_at(at, chunk)?;
        if !chunk
            .chunks_exact(SECTOR as usize)
            .all(|sector| cycles.add(cycle(sector)))
        {
            return Ok(None);
        }
        at += chunk.len() as u64;
    }
    Ok(Some(Head {
        sector: cycles.fell_at.unwrap_or(cycles.count),
        cycle: cycles.first,
    }))
}

fn cycle(sector: &[u8]) -> u32 {
    match BigEndian::read_u32(sector) {
        RECORD => BigEndian::read_u32(&sector[4..]),
        cycle => cycle,
    }
}

#[derive(Debug, Default)]
struct Cycles {
    first: u32,
    count: u64,
    fell_at: Option<u64>,
}

impl Cycles {
    /// Whether the sector's cycle is one that may follow.
    fn add(&mut self, cycle: u32) -> bool {
        if self.count == 0 {
            self.first = cycle;
        }
        let is_sound = match self.fell_at {
            None if cycle == self.first => cycle != 0,
            None => {
                self.fell_at = Some(self.count);
                cycle == self.first - 1
            }
            Some(_) => cycle == self.first - 1,
        };
        self.count += 1;
        is_sound
    }
}

struct Log<'a> {
    disk: &'a dyn Disk,
    range: Range<u64>,
    head: Head,
}

impl Log<'_> {
    fn sectors(&self) -> u64 {
        (self.range.end - self.range.start) / SECTOR
    }

    /// The sector that is so many before the head; the log is a ring.
    fn sector_before(&self, distance: u64) -> u64 {
        (self.head.sector + self.sectors() - distance) % self.sectors()
    }

    fn read(&self, number: u64) -> Result<[u8; SECTOR as usize]> {
        let mut sector = [0; SECTOR as usize];
        let number = number % self.sectors();
        self.disk
            .read_at(self.range.start + number * SECTOR, &mut sector)?;
        Ok(sector)
    }

    /// Whether the last record fills all sectors up to the head and is one
    /// that unmounting writes.
    fn ends_with_unmount(&self, superblock: &Superblock) -> Result<bool> {
        for distance in 1..=LONGEST_RECORD.min(self.sectors()) {
            let header = self.read(self.sector_before(distance))?;
            if BigEndian::read_u32(&header) == RECORD {
                return self.is_unmount(distance, &header, superblock);
            }
        }
        Ok(false)
    }

    fn is_unmount(&self, distance: u64, header: &[u8], superblock: &Superblock) -> Result<bool> {
        let word = |at: usize| BigEndian::read_u32(&header[at..]);
        let at = self.sector_before(distance);
        let cycle = match at < self.head.sector {
            true => self.head.cycle,
            // The record begins before the ring's end and ends after it.
            false => self.head.cycle - 1,
        };
        let (version, length) = (word(8), u64::from(word(12)));
        let headers = match version {
            2 => u64::from(word(320)).div_ceil(DATA_PER_HEADER).max(1),
            _ => 1,
        };
        let is_sound = [1, 2].contains(&version)
            && word(4) == cycle
            && BigEndian::read_u64(&header[16..]) == u64::from(cycle) << 32 | at
            && length > 0
            && headers + length.div_ceil(SECTOR) == distance
            && word(40) == 1
            && header[304..320] == superblock.uuid;
        if !is_sound {
            return Ok(false);
        }
        let operation = self.read(at + headers)?;
        Ok(operation[9] & UNMOUNT != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(cycles: &[u32]) -> Option<u64> {
        let mut found = Cycles::default();
        cycles
            .iter()
            .all(|cycle| found.add(*cycle))
            .then(|| found.fell_at.unwrap_or(found.count))
    }

    #[test]
    fn only_one_fall_by_one_is_believed() {
        let table: [(&[u32], Option<u64>); 8] = [
            (&[1, 1, 0, 0], Some(2)),
            (&[7, 6, 6, 6], Some(1)),
            (&[7, 7, 7, 7], Some(4)),
            (&[0, 0, 0, 0], None),
            (&[7, 7, 5, 5], None),
            (&[7, 6, 7, 6], None),
            (&[7, 6, 6, 5], None),
            (&[6, 7, 7, 7], None),
        ];
        for (cycles, expected) in table {
            assert_eq!(head(cycles), expected, "{cycles:?}");
        }
    }
}
