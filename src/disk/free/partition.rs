//! Where the partitions of a disk are: MBR with logical partitions, GPT, or
//! no table at all.
//!
//! Facts: the UEFI specification, chapter 5, for both tables.

use std::ops::Range;

use super::{ext, le32, le64, xfs};
use crate::disk::{Disk, SECTOR};
use crate::error::Result;

/// More logical partitions than Linux names.
const MAX_LOGICAL: usize = 128;

/// Entries of a GPT: the usual 128, four times over.
const MAX_GPT_ENTRIES: u32 = 512;

/// MBR type of a GPT's protective entry.
const PROTECTIVE: u8 = 0xee;

/// MBR types of extended partitions.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// A partition, or the whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// For people.
    pub(super) name: String,
    /// Bytes of the disk.
    pub(super) range: Range<u64>,
}

/// The partitions, or why they are not certain.
pub(super) fn partitions(disk: &dyn Disk) -> Result<Result<Vec<Partition>, String>> {
    let mut boot = [0; SECTOR as usize];
    disk.read_at(0, &mut boot)?;
    let mut magic = [0; 2];
    disk.read_at(ext::MAGIC_AT as u64, &mut magic)?;
    let has_file_system = magic == ext::MAGIC || boot.starts_with(xfs::MAGIC);
    let entries = mbr_entries(&boot);
    let found = if boot[510..] != [0x55, 0xaa] || entries.is_empty() {
        Ok(vec![(String::from("Whole disk"), 0..disk.virtual_size())])
    } else if has_file_system {
        Err("there is both a partition table and a file system over the whole disk".to_owned())
    } else if entries.iter().any(|entry| entry.kind == PROTECTIVE) {
        gpt(disk)?
    } else {
        mbr(disk, &entries)?
    };
    Ok(found.and_then(|found| checked(found, disk.virtual_size())))
}

fn checked(found: Vec<(String, Range<u64>)>, size: u64) -> Result<Vec<Partition>, String> {
    let mut sorted: Vec<_> = found.iter().map(|(_, range)| range.clone()).collect();
    sorted.sort_unstable_by_key(|range| range.start);
    if sorted.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return Err("partitions overlap".to_owned());
    }
    if sorted
        .iter()
        .any(|range| range.end > size || range.is_empty())
    {
        return Err("a partition reaches beyond the disk".to_owned());
    }
    Ok(found
        .into_iter()
        .map(|(name, range)| Partition { name, range })
        .collect())
}

#[derive(Debug, Clone, Copy)]
struct MbrEntry {
    kind: u8,
    start: u64,
    sectors: u64,
}

impl MbrEntry {
    fn range(self, base: u64) -> Range<u64> {
        let start = base + self.start * SECTOR;
        start..start + self.sectors * SECTOR
    }
}

fn mbr_entries(sector: &[u8]) -> Vec<MbrEntry> {
    sector[446..510]
        .chunks_exact(16)
        .map(|entry| MbrEntry {
            kind: entry[4],
            start: u64::from(le32(entry, 8)),
            sectors: u64::from(le32(entry, 12)),
        })
        .filter(|entry| entry.kind != 0 && entry.sectors != 0)
        .collect()
}

type Found = Result<Vec<(String, Range<u64>)>, String>;

fn mbr(disk: &dyn Disk, entries: &[MbrEntry]) -> Result<Found> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if EXTENDED.contains(&entry.kind) {
            match logical(disk, entry.range(0))? {
                Ok(more) => found.extend(more),
                Err(reason) => return Ok(Err(reason)),
            }
        } else {
            found.push((format!("Partition {}", index + 1), entry.range(0)));
        }
    }
    Ok(Ok(found))
}

/// The chain of logical partitions: each has a table of itself and the next.
fn logical(disk: &dyn Disk, extended: Range<u64>) -> Result<Found> {
    let mut found = Vec::new();
    let mut at = extended.start;
    for number in 0..MAX_LOGICAL {
        let mut sector = [0; SECTOR as usize];
        disk.read_at(at, &mut sector)?;
        if sector[510..] != [0x55, 0xaa] || !extended.contains(&at) {
            return Ok(Err("the chain of logical partitions is damaged".to_owned()));
        }
        let entries = mbr_entries(&sector);
        let is_link = |entry: &&MbrEntry| EXTENDED.contains(&entry.kind);
        if let Some(entry) = entries.iter().find(|entry| !is_link(entry)) {
            found.push((format!("Partition {}", number + 5), entry.range(at)));
        }
        match entries.iter().find(is_link) {
            Some(link) => at = link.range(extended.start).start,
            None => return Ok(Ok(found)),
        }
    }
    Ok(Err("the chain of logical partitions is endless".to_owned()))
}

fn gpt(disk: &dyn Disk) -> Result<Found> {
    let mut header = [0; SECTOR as usize];
    disk.read_at(SECTOR, &mut header)?;
    let header_length = le32(&header, 12) as usize;
    let (count, length) = (le32(&header, 80), le32(&header, 84));
    let is_sound = header.starts_with(b"EFI PART")
        && (92..=SECTOR as usize).contains(&header_length)
        && count <= MAX_GPT_ENTRIES
        && (128..=1024).contains(&length)
        && header_crc(&header, header_length) == le32(&header, 16);
    if !is_sound {
        return Ok(Err("the GPT is damaged".to_owned()));
    }
    let mut entries = vec![0; count as usize * length as usize];
    disk.read_at(le64(&header, 72).saturating_mul(SECTOR), &mut entries)?;
    if crc32(&entries) != le32(&header, 88) {
        return Ok(Err("the entries of the GPT are damaged".to_owned()));
    }
    let mut found = Vec::new();
    for (index, entry) in entries.chunks_exact(length as usize).enumerate() {
        if entry[..16] != [0; 16] {
            let end = le64(entry, 40).saturating_add(1).saturating_mul(SECTOR);
            let start = le64(entry, 32).saturating_mul(SECTOR);
            found.push((format!("Partition {}", index + 1), start..end));
        }
    }
    Ok(Ok(found))
}

/// The checksum counts its own field as zeros.
fn header_crc(header: &[u8], length: usize) -> u32 {
    let mut copy = header[..length].to_vec();
    copy[16..20].fill(0);
    crc32(&copy)
}

fn crc32(bytes: &[u8]) -> u32 {
    libdeflater::crc32(bytes)
}
