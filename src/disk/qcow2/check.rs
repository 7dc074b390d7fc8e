//! Checks refcounts and tables of qcow2: every cluster must be counted as
//! often as it is used. Counts agree with `qemu-img check`.

use std::collections::HashMap;

use byteorder::{BigEndian, ByteOrder};

use super::super::Check;
use super::super::failure::unsupported;
use super::super::host_file::HostFile;
use super::header::Header;
use super::table::{COMPRESSED, COPIED, Entry, Table};
use super::{OFFSET_MASK, Qcow2};
use crate::error::Result;

/// Clusters per page of counters.
const PAGE: u64 = 1024;

/// Pages of counters at most: 128 MiB, enough for 8 TiB of 64 KiB clusters.
const MAX_PAGES: usize = (128 << 20) / PAGE as usize;

/// Bytes of a snapshot's entry before its variable part.
const SNAPSHOT_ENTRY: usize = 40;

/// Bytes of a bitmap's directory entry before its variable part.
const BITMAP_ENTRY: usize = 24;

/// QEMU's limits for the directory and for one table of bitmaps.
const MAX_BITMAP_TABLE: u64 = 64 << 20;

pub(super) fn check(image: &Qcow2) -> Result<Check> {
    let header = &image.header;
    let mut walk = Walk {
        file: &image.file,
        header,
        uses: Uses::default(),
        result: Check::of_clusters(header.size.div_ceil(header.cluster_size())),
    };
    walk.used(0, header.cluster_size(), "the header")?;
    walk.l1(&image.l1, header.l1_offset, true)?;
    walk.snapshots()?;
    walk.bitmaps()?;
    let table = walk.refcount_table()?;
    walk.compare(&table)?;
    Ok(walk.result)
}

/// What is known of a cluster, in a byte: a disk of 2 TiB has 2^25 of them.
#[derive(Debug, Clone, Copy, Default)]
struct Cell(u8);

impl Cell {
    /// The number of uses, up to this, is in the lower half.
    const MOST_USES: u8 = 15;

    /// Uses of the active tables that say whether the cluster has no other
    /// use, up to three of each kind.
    const COPIED: u8 = 4;
    const SHARED: u8 = 6;

    fn uses(self) -> u8 {
        self.0 & Self::MOST_USES
    }

    fn claims(self, kind: u8) -> u8 {
        self.0 >> kind & 3
    }

    fn claim(&mut self, kind: u8) {
        if self.claims(kind) < 3 {
            self.0 += 1 << kind;
        }
    }
}

/// How often clusters are used, in pages so that a hostile offset costs
/// little.
#[derive(Debug, Default)]
struct Uses {
    pages: HashMap<u64, Box<[Cell]>>,
    /// Uses beyond [`Cell::MOST_USES`]: of clusters that hold very many
    /// compressed ones.
    more: HashMap<u64, u64>,
}

impl Uses {
    fn cell(&self, cluster: u64) -> Cell {
        let page = self.pages.get(&(cluster / PAGE));
        page.map_or(Cell::default(), |page| page[(cluster % PAGE) as usize])
    }

    /// The cell to change, if there is room for its page.
    fn cell_mut(&mut self, cluster: u64) -> Option<&mut Cell> {
        let is_full = self.pages.len() >= MAX_PAGES;
        let number = cluster / PAGE;
        if is_full && !self.pages.contains_key(&number) {
            return None;
        }
        let page = self
            .pages
            .entry(number)
            .or_insert_with(|| vec![Cell::default(); PAGE as usize].into_boxed_slice());
        Some(&mut page[(cluster % PAGE) as usize])
    }

    fn get(&self, cluster: u64) -> u64 {
        match self.cell(cluster).uses() {
            Cell::MOST_USES => {
                let more = self.more.get(&cluster).copied();
                u64::from(Cell::MOST_USES) + more.unwrap_or(0)
            }
            uses => uses.into(),
        }
    }

    /// Whether there was room to count it.
    fn add(&mut self, cluster: u64) -> bool {
        let Some(cell) = self.cell_mut(cluster) else {
            return false;
        };
        if cell.uses() < Cell::MOST_USES {
            cell.0 += 1;
        } else {
            *self.more.entry(cluster).or_default() += 1;
        }
        true
    }

    /// Notes what an active entry says of its cluster. Without room nothing
    /// is noted, as counting the use then fails.
    fn claim(&mut self, cluster: u64, is_copied: bool) {
        let kind = if is_copied {
            Cell::COPIED
        } else {
            Cell::SHARED
        };
        if let Some(cell) = self.cell_mut(cluster) {
            cell.claim(kind);
        }
    }

    /// How many active entries are wrong about a cluster with this refcount.
    fn wrong_claims(&self, cluster: u64, count: u64) -> u8 {
        let wrong = if count == 1 {
            Cell::SHARED
        } else {
            Cell::COPIED
        };
        self.cell(cluster).claims(wrong)
    }

    fn any_in(&self, first: u64, count: u64) -> bool {
        let (from, to) = (first / PAGE, (first + count - 1) / PAGE);
        // Pages may be far fewer than the numbers between the two.
        if to - from < self.pages.len() as u64 {
            return (from..=to).any(|page| self.pages.contains_key(&page));
        }
        self.pages.keys().any(|page| (from..=to).contains(page))
    }
}

struct Walk<'a> {
    file: &'a HostFile,
    header: &'a Header,
    uses: Uses,
    result: Check,
}

impl Walk<'_> {
    /// Counts a use of each cluster that the bytes touch.
    fn used(&mut self, offset: u64, length: u64, what: &str) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        let bits = self.header.cluster_bits;
        let end = self.file.length().next_multiple_of(1 << bits);
        if offset.checked_add(length).is_none_or(|last| last > end) {
            self.result.corruption(format!(
                "{what} at {offset:#x} is behind the end of the file"
            ));
            return Ok(());
        }
        for cluster in offset >> bits..=(offset + length - 1) >> bits {
            if !self.uses.add(cluster) {
                return Err(unsupported(self.file.path(), "it is too large to check"));
            }
        }
        Ok(())
    }

    /// Clusters behind the end have no refcount to be compared with.
    fn claim(&mut self, offset: u64, is_copied: bool) {
        if offset < self.file.length() {
            let cluster = offset >> self.header.cluster_bits;
            self.uses.claim(cluster, is_copied);
        }
    }

    fn is_aligned(&mut self, offset: u64, what: &str) -> bool {
        let is_aligned = offset.is_multiple_of(self.header.cluster_size());
        if !is_aligned {
            self.result
                .corruption(format!("{what} at {offset:#x} is not aligned to a cluster"));
        }
        is_aligned
    }

    fn l1(&mut self, entries: &[u64], offset: u64, is_active: bool) -> Result<()> {
        self.used(offset, entries.len() as u64 * 8, "The L1 table")?;
        for entry in entries.iter().filter(|entry| **entry & OFFSET_MASK != 0) {
            let table = entry & OFFSET_MASK;
            let length = self.header.cluster_size();
            self.used(table, length, "An L2 table")?;
            if !self.is_aligned(table, "An L2 table") || table >= self.file.length() {
                continue;
            }
            if is_active {
                self.claim(table, entry & COPIED != 0);
            }
            let entries = Table::read(self.file, table, length)?;
            self.l2(&entries, is_active)?;
        }
        Ok(())
    }

    fn l2(&mut self, table: &Table, is_active: bool) -> Result<()> {
        for index in 0..table.entries(self.header) {
            let word = table.word(index, self.header);
            let entry = Entry::of(word, self.header);
            if is_active && matches!(entry, Entry::Host(_) | Entry::Compressed { .. }) {
                self.result.allocated_clusters += 1;
            }
            match entry {
                Entry::Compressed { offset, length } => {
                    self.compressed(word, offset, length, is_active)?;
                }
                Entry::Host(host) | Entry::Zero(Some(host)) => {
                    self.stored(host, word, is_active)?;
                }
                Entry::Unallocated | Entry::Zero(None) => {}
            }
        }
        Ok(())
    }

    fn compressed(&mut self, word: u64, offset: u64, length: u64, is_active: bool) -> Result<()> {
        self.result.compressed_clusters += u64::from(is_active);
        if word & COPIED != 0 {
            self.result.corruption(format!(
                "A compressed cluster at {offset:#x} is marked as copied"
            ));
        }
        self.used(offset & !511, offset % 512 + length, "A compressed cluster")
    }

    fn stored(&mut self, host: u64, word: u64, is_active: bool) -> Result<()> {
        if self.header.features.external_data || !self.is_aligned(host, "A data cluster") {
            return Ok(());
        }
        if is_active {
            self.claim(host, word & COPIED != 0);
        }
        debug_assert!(word & COMPRESSED == 0, "compressed entries go elsewhere");
        self.used(host, self.header.cluster_size(), "A data cluster")
    }

    fn snapshots(&mut self) -> Result<()> {
        let start = self.header.snapshots_offset;
        let mut at = start;
        for _ in 0..self.header.snapshots {
            let mut entry = [0; SNAPSHOT_ENTRY];
            self.file.read(at, &mut entry, "the snapshot table")?;
            let l1_offset = BigEndian::read_u64(&entry);
            let l1_length = u64::from(BigEndian::read_u32(&entry[8..])) * 8;
            let names = BigEndian::read_u16(&entry[12..]) as u64
                + BigEndian::read_u16(&entry[14..]) as u64
                + u64::from(BigEndian::read_u32(&entry[36..]));
            at = (at + SNAPSHOT_ENTRY as u64 + names).next_multiple_of(8);
            if l1_length > 32 << 20 {
                self.result
                    .corruption(format!("A snapshot's L1 table has {l1_length} bytes"));
                continue;
            }
            let bytes = self
                .file
                .read_vec(l1_offset, l1_length, "a snapshot's L1 table")?;
            let mut entries = vec![0; bytes.len() / 8];
            BigEndian::read_u64_into(&bytes, &mut entries);
            self.l1(&entries, l1_offset, false)?;
        }
        self.used(start, at - start, "The snapshot table")
    }

    fn bitmaps(&mut self) -> Result<()> {
        let Some(bitmaps) = self.header.bitmaps else {
            return Ok(());
        };
        let (start, length) = (bitmaps.directory_offset, bitmaps.directory_length);
        if length > MAX_BITMAP_TABLE {
            self.result
                .corruption(format!("The directory of bitmaps has {length} bytes"));
            return Ok(());
        }
        self.used(start, length, "The directory of bitmaps")?;
        let directory = self
            .file
            .read_vec(start, length, "the directory of bitmaps")?;
        let mut rest = directory.as_slice();
        for _ in 0..bitmaps.count {
            let Some(entry) = rest.get(..BITMAP_ENTRY) else {
                self.result
                    .corruption("The directory of bitmaps is too short");
                return Ok(());
            };
            let table = BigEndian::read_u64(entry);
            let entries = u64::from(BigEndian::read_u32(&entry[8..]));
            let names = usize::from(BigEndian::read_u16(&entry[18..]))
                + BigEndian::read_u32(&entry[20..]) as usize;
            self.bitmap(table, entries)?;
            let next = (BITMAP_ENTRY + names).next_multiple_of(8);
            rest = rest.get(next..).unwrap_or_default();
        }
        Ok(())
    }

    fn bitmap(&mut self, table: u64, entries: u64) -> Result<()> {
        let length = entries * 8;
        if length > MAX_BITMAP_TABLE {
            self.result
                .corruption(format!("A bitmap's table has {length} bytes"));
            return Ok(());
        }
        self.used(table, length, "A bitmap's table")?;
        let bytes = self.file.read_vec(table, length, "a bitmap's table")?;
        for entry in bytes.chunks_exact(8).map(BigEndian::read_u64) {
            let offset = entry & OFFSET_MASK;
            if offset != 0 {
                self.used(offset, self.header.cluster_size(), "A bitmap's cluster")?;
            }
        }
        Ok(())
    }

    /// Reads the refcount table and counts it and its blocks.
    fn refcount_table(&mut self) -> Result<Vec<u64>> {
        let cluster = self.header.cluster_size();
        let offset = self.header.refcount_table_offset;
        let length = u64::from(self.header.refcount_table_clusters) * cluster;
        self.used(offset, length, "The refcount table")?;
        let mut bytes = vec![0; length as usize];
        self.file.read_padded(offset, &mut bytes)?;
        let mut table = vec![0; bytes.len() / 8];
        BigEndian::read_u64_into(&bytes, &mut table);
        for block in &mut table {
            *block &= OFFSET_MASK;
            if *block != 0 {
                self.used(*block, cluster, "A refcount block")?;
                let is_usable = self.is_aligned(*block, "A refcount block");
                if !is_usable || *block >= self.file.length() {
                    *block = 0;
                }
            }
        }
        Ok(table)
    }

    /// Compares uses with refcounts, block by block.
    fn compare(&mut self, table: &[u64]) -> Result<()> {
        let order = self.header.refcount_order;
        let per_block = (self.header.cluster_size() * 8) >> order;
        let clusters = self.file.length().div_ceil(self.header.cluster_size());
        let mut bytes = vec![0; self.header.cluster_size() as usize];
        for number in 0..clusters.div_ceil(per_block) {
            let block = usize::try_from(number)
                .ok()
                .and_then(|number| table.get(number))
                .copied()
                .unwrap_or(0);
            if block == 0 {
                bytes.fill(0);
            } else {
                self.file.read_padded(block, &mut bytes)?;
            }
            let first = number * per_block;
            // A block without refcounts over clusters without uses: a hole of
            // a sparse file, which can be long.
            if block == 0 && !self.uses.any_in(first, per_block) {
                continue;
            }
            for index in 0..per_block.min(clusters - first) {
                let count = refcount(&bytes, index as usize, order);
                self.compare_one(first + index, count);
            }
        }
        Ok(())
    }

    fn compare_one(&mut self, cluster: u64, count: u64) {
        let offset = cluster << self.header.cluster_bits;
        for _ in 0..self.uses.wrong_claims(cluster, count) {
            self.result
                .corruption(format!("The copied flag of {offset:#x} is wrong"));
        }
        let uses = self.uses.get(cluster);
        if uses > 0 || count > 0 {
            self.result.image_end = (cluster + 1) << self.header.cluster_bits;
        }
        if uses == count {
            return;
        }
        let finding = format!("Cluster {cluster} has refcount {count} and {uses} uses");
        if count < uses {
            self.result.corruption(finding);
        } else {
            self.result.leak(finding);
        }
    }
}

/// The refcount with an index in a block of counts of 2^order bits.
fn refcount(block: &[u8], index: usize, order: u32) -> u64 {
    match order {
        0..=2 => {
            let bits = 1 << order;
            let per_byte = 8 / bits;
            let byte = block[index / per_byte];
            u64::from(byte >> (index % per_byte * bits)) & ((1 << bits) - 1)
        }
        _ => {
            let bytes = 1 << (order - 3);
            BigEndian::read_uint(&block[index * bytes..], bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Uses, refcount};

    #[test]
    fn uses_are_counted_beyond_what_a_cell_holds() {
        let mut uses = Uses::default();
        for _ in 0..20 {
            assert!(uses.add(3 * PAGE));
        }
        uses.claim(3 * PAGE, true);
        uses.claim(3 * PAGE, false);
        uses.claim(3 * PAGE, false);
        assert_eq!((uses.get(3 * PAGE), uses.get(3 * PAGE + 1)), (20, 0));
        assert_eq!(uses.wrong_claims(3 * PAGE, 1), 2);
        assert_eq!(uses.wrong_claims(3 * PAGE, 20), 1);
        assert!(uses.any_in(PAGE, 3 * PAGE) && !uses.any_in(0, 3 * PAGE));
    }

    #[test]
    fn refcounts_of_all_widths() {
        let block = [0b1110_0100, 0x12, 0x34, 0x56, 0, 0, 0, 0x78];
        for (order, index, expected) in [
            (0, 2, 1),
            (0, 3, 0),
            (1, 0, 0),
            (1, 1, 1),
            (1, 3, 3),
            (2, 2, 2),
            (2, 3, 1),
            (3, 1, 0x12),
            (4, 1, 0x3456),
            (5, 1, 0x78),
            (6, 0, 0xe412_3456_0000_0078),
        ] {
            assert_eq!(refcount(&block, index, order), expected, "{order} {index}");
        }
    }
}
