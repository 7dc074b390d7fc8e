//! A unit of work: a range of the disk, read, stripped of zeros and free
//! blocks, and compressed.

use std::ops::Range;

use super::compress::{Compressor, Plan};
use super::{Output, qcow2, vhd};
use crate::disk::free::FreeBlocks;
use crate::disk::{Disk, ExtentKind, Extents, extents};
use crate::error::Result;

/// Bytes of the disk in a unit, unless the image has larger clusters: enough
/// that handing units between threads costs nothing. Six per two threads are in
/// memory at times.
const UNIT: u64 = 512 << 10;

/// A cluster of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its number on the disk.
    pub(super) index: u64,
    /// Its bytes in the unit.
    pub(super) range: Range<usize>,
    /// Whether the bytes are compressed.
    pub(super) is_compressed: bool,
}

/// What became of a unit.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) pieces: Vec<Piece>,
    pub(super) bytes: Vec<u8>,
    pub(super) end: u64,
    pub(super) read: u64,
    pub(super) dropped_free: u64,
    pub(super) dropped_zero: u64,
    pub(super) incompressible: u64,
}

impl Unit {
    fn clear(&mut self) {
        self.pieces.clear();
        self.bytes.clear();
        (self.read, self.dropped_free) = (0, 0);
        (self.dropped_zero, self.incompressible) = (0, 0);
    }
}

/// The stored ranges of a unit.
pub(super) type Ranges = Vec<Range<u64>>;

/// All that the threads share.
pub(super) struct Work<'a> {
    pub(super) disk: &'a dyn Disk,
    free: &'a FreeBlocks,
    plan: Plan,
    cluster: u64,
    unit: u64,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        disk: &'a dyn Disk,
        free: &'a FreeBlocks,
        plan: Plan,
        output: Output,
    ) -> Self {
        let cluster = match output {
            Output::VhdDynamic => vhd::BLOCK,
            Output::Qcow2 | Output::Raw | Output::VhdFixed => qcow2::CLUSTER,
        };
        // A larger compressed cluster of the input is then inflated once.
        let source = disk.info().cluster_size.unwrap_or(0).min(2 << 20);
        Self {
            disk,
            free,
            plan,
            cluster,
            unit: UNIT.max(cluster).max(source),
        }
    }

    pub(super) fn units(&self) -> Units<'a> {
        Units {
            extents: extents(self.disk),
            rest: None,
            unit: self.unit,
        }
    }

    pub(super) fn worker(&self) -> Worker<'_> {
        Worker {
            work: self,
            compressor: self.plan.compressor(),
            input: vec![0; self.unit as usize],
        }
    }
}

/// Cuts the stored extents of a disk into units.
pub(super) struct Units<'a> {
    extents: Extents<'a>,
    rest: Option<Range<u64>>,
    unit: u64,
}

impl Units<'_> {
    fn stored(&mut self) -> Option<Result<Range<u64>>> {
        if let Some(rest) = self.rest.take() {
            return Some(Ok(rest));
        }
        self.extents.find_map(|extent| match extent {
            Ok(extent) if extent.kind != ExtentKind::Data => None,
            Ok(extent) => Some(Ok(extent.start..extent.end())),
            Err(error) => Some(Err(error)),
        })
    }
}

impl Iterator for Units<'_> {
    type Item = Result<Ranges>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut ranges = Ranges::new();
        let mut end = u64::MAX;
        while let Some(stored) = self.stored() {
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) => return Some(Err(error)),
            };
            if ranges.is_empty() {
                end = (stored.start / self.unit + 1) * self.unit;
            }
            if stored.start >= end {
                self.rest = Some(stored);
                break;
            }
            ranges.push(stored.start..stored.end.min(end));
            if stored.end > end {
                self.rest = Some(end..stored.end);
                break;
            }
        }
        (!ranges.is_empty()).then_some(Ok(ranges))
    }
}

/// What one thread has for itself.
pub(super) struct Worker<'a> {
    work: &'a Work<'a>,
    compressor: Compressor,
    input: Vec<u8>,
}

impl Worker<'_> {
    /// Does a unit; `unit` is reused for its memory.
    pub(super) fn run(&mut self, stored: &Ranges, level: u8, unit: &mut Unit) -> Result<()> {
        unit.clear();
        self.compressor.set_level(level);
        let Work { disk, cluster, .. } = *self.work;
        let start = stored[0].start / self.work.unit * self.work.unit;
        let end = stored.last().map_or(start, |range| range.end);
        unit.end = end;
        // Growing step by step would take twice the memory.
        unit.bytes.reserve_exact((end - start) as usize);
        let free = self.work.free.inside(disk, &(start..end))?;
        let wanted = without_free_clusters(stored, &free, cluster);
        self.input.fill(0);
        for range in &wanted {
            let inside = (range.start - start) as usize..(range.end - start) as usize;
            disk.read_at(range.start, &mut self.input[inside])?;
            unit.read += range.end - range.start;
        }
        unit.dropped_free = length(stored) - unit.read;
        for range in &free {
            self.input[(range.start - start) as usize..(range.end - start) as usize].fill(0);
        }
        let clusters = (end - start).div_ceil(cluster);
        for number in 0..clusters {
            let index = start / cluster + number;
            let from = (number * cluster) as usize;
            let bytes = &self.input[from..from + cluster as usize];
            if is_zero(bytes) {
                continue;
            }
            let before = unit.bytes.len();
            let is_compressed = self.compressor.append(bytes, &mut unit.bytes);
            let range = before..unit.bytes.len();
            if !is_compressed {
                unit.incompressible += range.len() as u64;
            }
            unit.pieces.push(Piece {
                index,
                range,
                is_compressed,
            });
        }
        let kept = unit.pieces.len() as u64 * cluster;
        unit.dropped_zero = unit.read.saturating_sub(kept);
        Ok(())
    }
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// The stored ranges without the clusters that are free from end to end. What
/// is free in other clusters is read with the rest: many small reads would
/// cost more.
fn without_free_clusters(stored: &[Range<u64>], free: &[Range<u64>], cluster: u64) -> Ranges {
    let mut wanted = Ranges::new();
    for range in stored {
        let mut position = range.start;
        for hole in free {
            let from = hole.start.next_multiple_of(cluster).max(position);
            let to = (hole.end / cluster * cluster).min(range.end);
            if from < to {
                if position < from {
                    wanted.push(position..from);
                }
                position = to;
            }
        }
        if position < range.end {
            wanted.push(position..range.end);
        }
    }
    wanted
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(256)
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_free_clusters_are_not_read() {
        type Pairs = &'static [(u64, u64)];
        let table: [(Pairs, Pairs, Pairs); 6] = [
            (&[(0, 100)], &[], &[(0, 100)]),
            (&[(0, 100)], &[(5, 35)], &[(0, 10), (30, 100)]),
            (&[(0, 100)], &[(0, 100)], &[]),
            (&[(0, 100)], &[(12, 18)], &[(0, 100)]),
            (&[(0, 40), (60, 100)], &[(20, 80)], &[(0, 20), (80, 100)]),
            (&[(0, 95)], &[(80, 95)], &[(0, 80), (90, 95)]),
        ];
        let ranges = |pairs: Pairs| pairs.iter().map(|&(from, to)| from..to).collect::<Vec<_>>();
        for (stored, free, expected) in table {
            let left = without_free_clusters(&ranges(stored), &ranges(free), 10);
            assert_eq!(left, ranges(expected));
        }
    }

    #[test]
    fn one_bit_is_not_zero() {
        let mut bytes = vec![0; 1000];
        assert!(is_zero(&bytes));
        bytes[999] = 1;
        assert!(!is_zero(&bytes));
    }
}
