//! The layout of a qcow2 that is written front to back: header, then clusters
//! with the tables between them as they become complete, then the rest of the
//! tables.
//!
//! Facts: QEMU's `docs/interop/qcow2.txt`.

use std::collections::VecDeque;

use byteorder::{BigEndian, ByteOrder};

use super::Layout;
use super::parts::Parts;
use super::unit::Piece;
use crate::error::Result;

/// Bytes of a cluster: the default of QEMU, and what every importer knows.
pub(super) const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;

/// 8 entries in 64 KiB.
const PER_TABLE: u64 = CLUSTER / 8;

/// 16-bit refcounts of a block.
const PER_BLOCK: u64 = CLUSTER / 2;

/// QEMU's limit of 32 MiB of L1 table.
pub(super) const MAX_SIZE: u64 = (32 << 20) / 8 * PER_TABLE * CLUSTER;

/// Length of the header of version 3 without optional fields.
const HEADER: usize = 104;

const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;

/// Bits of the offset in the entry of a compressed cluster.
const COMPRESSED_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);

pub(super) struct Qcow2 {
    size: u64,
    l1: Vec<u64>,
    /// The L2 table that is being filled.
    table: Vec<u64>,
    table_index: u64,
    refcounts: Refcounts,
}

impl Qcow2 {
    pub(super) fn new(size: u64) -> Self {
        let mut refcounts = Refcounts::default();
        refcounts.add(0, CLUSTER);
        Self {
            size,
            l1: vec![0; size.div_ceil(PER_TABLE * CLUSTER) as usize],
            table: vec![0; PER_TABLE as usize],
            table_index: 0,
            refcounts,
        }
    }

    fn put_compressed(&mut self, bytes: &[u8], parts: &mut Parts<'_>) -> Result<u64> {
        let start = parts.position();
        parts.write(bytes)?;
        let last = parts.position() - 1;
        self.refcounts.add(start, bytes.len() as u64);
        let more_sectors = last / 512 - start / 512;
        Ok(COMPRESSED | more_sectors << COMPRESSED_SHIFT | start)
    }

    fn put_cluster(&mut self, bytes: &[u8], parts: &mut Parts<'_>) -> Result<u64> {
        parts.align(CLUSTER)?;
        let start = parts.position();
        parts.write(bytes)?;
        self.refcounts.add(start, CLUSTER);
        Ok(start)
    }

    /// Writes the current L2 table, if it has entries.
    fn end_table(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        if self.table.iter().all(|entry| *entry == 0) {
            return Ok(());
        }
        let start = self.put_cluster(&big_endian(&self.table), parts)?;
        self.l1[self.table_index as usize] = start | COPIED;
        self.table.fill(0);
        Ok(())
    }

    fn write_l1(&mut self, parts: &mut Parts<'_>) -> Result<u64> {
        parts.align(CLUSTER)?;
        let start = parts.position();
        parts.write(&big_endian(&self.l1))?;
        parts.align(CLUSTER)?;
        self.refcounts.add(start, parts.position() - start);
        Ok(start)
    }

    fn header(&self, l1: u64, refcount_table: u64, refcount_clusters: u64) -> Vec<u8> {
        let mut header = vec![0; CLUSTER as usize];
        header[..4].copy_from_slice(b"QFI\xfb");
        BigEndian::write_u32(&mut header[4..], 3);
        BigEndian::write_u32(&mut header[20..], CLUSTER_BITS);
        BigEndian::write_u64(&mut header[24..], self.size);
        BigEndian::write_u32(&mut header[36..], self.l1.len() as u32);
        BigEndian::write_u64(&mut header[40..], l1);
        BigEndian::write_u64(&mut header[48..], refcount_table);
        BigEndian::write_u32(&mut header[56..], refcount_clusters as u32);
        BigEndian::write_u32(&mut header[96..], 4);
        BigEndian::write_u32(&mut header[100..], HEADER as u32);
        header
    }
}

impl Layout for Qcow2 {
    fn put(&mut self, piece: &Piece, bytes: &[u8], parts: &mut Parts<'_>) -> Result<()> {
        let table = piece.index / PER_TABLE;
        if table != self.table_index {
            self.end_table(parts)?;
            self.table_index = table;
        }
        let entry = if piece.is_compressed {
            self.put_compressed(bytes, parts)?
        } else {
            self.put_cluster(bytes, parts)? | COPIED
        };
        self.table[(piece.index % PER_TABLE) as usize] = entry;
        self.refcounts.write_complete(parts)
    }

    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<Vec<u8>> {
        self.end_table(parts)?;
        let l1 = self.write_l1(parts)?;
        let (table, clusters) = self.refcounts.finish(parts)?;
        Ok(self.header(l1, table, clusters))
    }
}

/// Refcounts of the output's clusters. Blocks are written as soon as nothing
/// more is counted in them, so that few are in memory.
#[derive(Default)]
struct Refcounts {
    /// Where the blocks are that have been written.
    written: Vec<u64>,
    /// The following ones.
    blocks: VecDeque<Vec<u16>>,
}

impl Refcounts {
    /// Counts a use of every cluster that the bytes touch.
    fn add(&mut self, start: u64, length: u64) {
        for cluster in start / CLUSTER..(start + length).div_ceil(CLUSTER) {
            let block = (cluster / PER_BLOCK) as usize - self.written.len();
            while self.blocks.len() <= block {
                self.blocks.push_back(vec![0; PER_BLOCK as usize]);
            }
            // A compressed cluster has more than 8 bytes: no overflow.
            self.blocks[block][(cluster % PER_BLOCK) as usize] += 1;
        }
    }

    /// Writes blocks about clusters that are all behind us.
    fn write_complete(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        while (self.written.len() as u64 + 1) * PER_BLOCK * CLUSTER <= parts.position() {
            self.write_next(parts)?;
        }
        Ok(())
    }

    fn write_next(&mut self, parts: &mut Parts<'_>) -> Result<()> {
        parts.align(CLUSTER)?;
        let start = parts.position();
        self.add(start, CLUSTER);
        let Some(block) = self.blocks.pop_front() else {
            return Ok(());
        };
        let mut bytes = vec![0; CLUSTER as usize];
        BigEndian::write_u16_into(&block, &mut bytes);
        self.written.push(start);
        parts.write(&bytes)
    }

    /// Writes what is left, which counts itself; answers where the table is
    /// and how many clusters it has.
    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<(u64, u64)> {
        let first = parts.position() / CLUSTER;
        let written = self.written.len() as u64;
        let (mut blocks, mut clusters) = (written, 0);
        loop {
            let end = first + (blocks - written) + clusters;
            let needed = end.div_ceil(PER_BLOCK).max(blocks);
            let table = (needed * 8).div_ceil(CLUSTER);
            if (needed, table) == (blocks, clusters) {
                break;
            }
            (blocks, clusters) = (needed, table);
        }
        let table = first + (blocks - written);
        self.add(table * CLUSTER, clusters * CLUSTER);
        // All clusters of the blocks are counted before the first is written.
        self.add(first * CLUSTER, (blocks - written) * CLUSTER);
        for block in std::mem::take(&mut self.blocks) {
            let mut bytes = vec![0; CLUSTER as usize];
            BigEndian::write_u16_into(&block, &mut bytes);
            self.written.push(parts.position());
            parts.write(&bytes)?;
        }
        parts.write(&big_endian(&self.written))?;
        parts.align(CLUSTER)?;
        Ok((table * CLUSTER, clusters))
    }
}

fn big_endian(words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; words.len() * 8];
    BigEndian::write_u64_into(words, &mut bytes);
    bytes
}
