//! L2 tables: what an entry means, and a bounded cache of tables.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use byteorder::{BigEndian, ByteOrder};

use super::super::failure::damaged;
use super::super::host_file::HostFile;
use super::OFFSET_MASK;
use super::header::Header;
use crate::error::Result;

/// Bytes of tables kept in memory. Reading goes from front to back, so a few
/// tables are enough; the largest is 2 MiB.
const CACHE_BYTES: u64 = 4 << 20;

/// The entry is the only reference to its cluster.
pub(super) const COPIED: u64 = 1 << 63;

/// The cluster is compressed.
pub(super) const COMPRESSED: u64 = 1 << 62;

/// The cluster reads as zeros, whatever is stored. Version 3, standard entries.
const ZERO: u64 = 1;

/// Subclusters of a cluster with extended entries.
const SUBCLUSTERS: u64 = 32;

/// Where bytes of the disk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the backing file, if any.
    Unallocated,
    /// Nowhere: they are zeros.
    Zero,
    /// At this offset of the data file.
    Host(u64),
    /// In a compressed cluster at this offset of the image, at most so long.
    Compressed {
        /// First byte of the compressed data.
        offset: u64,
        /// Its length, rounded up to a sector's end.
        length: u64,
    },
}

/// A place and for how many bytes from the asked one it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) place: Place,
    pub(super) length: u64,
}

/// What the first word of an entry says of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Unallocated,
    /// Zeros; a cluster may be reserved for them.
    Zero(Option<u64>),
    Host(u64),
    Compressed {
        offset: u64,
        length: u64,
    },
}

impl Entry {
    pub(super) fn of(word: u64, header: &Header) -> Self {
        if word & COMPRESSED != 0 {
            return Self::compressed(word, header);
        }
        let offset = word & OFFSET_MASK;
        // In an external data file offset 0 is a cluster like any other.
        let is_external = header.features.external_data && word & COPIED != 0;
        let is_allocated = offset != 0 || is_external;
        let may_be_zero = header.version >= 3 && !header.features.extended_l2;
        if may_be_zero && word & ZERO != 0 {
            return Self::Zero(is_allocated.then_some(offset));
        }
        if is_allocated {
            Self::Host(offset)
        } else {
            Self::Unallocated
        }
    }

    fn compressed(word: u64, header: &Header) -> Self {
        let shift = 62 - (header.cluster_bits - 8);
        let offset = word & ((1 << shift) - 1);
        let sectors = (word >> shift) & ((1 << (header.cluster_bits - 8)) - 1);
        Self::Compressed {
            offset,
            length: (sectors + 1) * 512 - offset % 512,
        }
    }
}

/// The words of an L2 table.
#[derive(Debug)]
pub(super) struct Table {
    offset: u64,
    words: Vec<u64>,
}

impl Table {
    pub(super) fn read(file: &HostFile, offset: u64, length: u64) -> Result<Self> {
        if !offset.is_multiple_of(length) {
            let what = "an L2 table is not at the beginning of a cluster";
            return Err(damaged(file.path(), offset, what));
        }
        if offset >= file.length() {
            let what = "an L2 table is behind the end of the file";
            return Err(damaged(file.path(), offset, what));
        }
        let mut bytes = vec![0; length as usize];
        // The last table may be cut off where its entries are unused.
        file.read_padded(offset, &mut bytes)?;
        let mut words = vec![0; bytes.len() / 8];
        BigEndian::read_u64_into(&bytes, &mut words);
        Ok(Self { offset, words })
    }

    /// Number of entries.
    pub(super) fn entries(&self, header: &Header) -> usize {
        self.words.len() * 8 / header.entry_length()
    }

    /// The first word of an entry.
    pub(super) fn word(&self, index: usize, header: &Header) -> u64 {
        self.words[index * header.entry_length() / 8]
    }

    pub(super) fn locate(&self, header: &Header, path: &Path, offset: u64) -> Result<Run> {
        let cluster = header.cluster_size();
        let index = (offset >> header.cluster_bits) as usize & (self.entries(header) - 1);
        let inside = offset & (cluster - 1);
        let entry = Entry::of(self.word(index, header), header);
        let misplaced = matches!(entry, Entry::Host(host) if !host.is_multiple_of(cluster));
        if misplaced {
            return Err(self.bad_entry(header, path, index, "is not aligned to a cluster"));
        }
        let place = match entry {
            Entry::Compressed { offset, length } => Place::Compressed { offset, length },
            _ if header.features.extended_l2 => {
                return self.subcluster(header, path, index, inside);
            }
            Entry::Unallocated => Place::Unallocated,
            Entry::Zero(_) => Place::Zero,
            Entry::Host(host) => Place::Host(host + inside),
        };
        Ok(Run {
            place,
            length: cluster - inside,
        })
    }

    /// Extended entries have a second word: 32 bits for "stored", 32 for
    /// "reads as zeros", one per subcluster.
    fn subcluster(&self, header: &Header, path: &Path, index: usize, inside: u64) -> Result<Run> {
        let length = header.cluster_size() / SUBCLUSTERS;
        let bits = self.words[index * 2 + 1];
        let number = inside / length;
        let is_stored = bits & (1 << number) != 0;
        let is_zero = bits & (1 << (number + SUBCLUSTERS)) != 0;
        let entry = Entry::of(self.word(index, header), header);
        let place = match (is_stored, is_zero, entry) {
            (false, false, _) => Place::Unallocated,
            (false, true, _) => Place::Zero,
            (true, false, Entry::Host(host)) => Place::Host(host + inside),
            (true, ..) => {
                let what = "has contradicting subclusters";
                return Err(self.bad_entry(header, path, index, what));
            }
        };
        Ok(Run {
            place,
            length: length - inside % length,
        })
    }

    fn bad_entry(
        &self,
        header: &Header,
        path: &Path,
        index: usize,
        what: &str,
    ) -> crate::error::Error {
        let at = self.offset + (index * header.entry_length()) as u64;
        damaged(path, at, format!("an entry of an L2 table {what}"))
    }
}

/// Tables by their offset in the file.
#[derive(Debug)]
pub(super) struct TableCache {
    tables: Mutex<HashMap<u64, Arc<Table>>>,
    most: usize,
    length: u64,
}

impl TableCache {
    pub(super) fn new(header: &Header) -> Self {
        let length = header.cluster_size();
        Self {
            tables: Mutex::default(),
            most: (CACHE_BYTES / length).max(2) as usize,
            length,
        }
    }

    pub(super) fn get(&self, file: &HostFile, offset: u64) -> Result<Arc<Table>> {
        if let Some(table) = self.lock().get(&offset) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(Table::read(file, offset, self.length)?);
        let mut tables = self.lock();
        if tables.len() >= self.most {
            // Tables are used one after the other: none of the old ones is
            // better than another.
            tables.clear();
        }
        tables.insert(offset, Arc::clone(&table));
        Ok(table)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Table>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
