//! The header of qcow2, its extensions, and the limits they must keep.

use std::path::Path;

use byteorder::{BigEndian, ByteOrder};

use super::super::SECTOR;
use super::super::failure::{damaged, unsupported};
use super::super::host_file::HostFile;
use super::super::inflate::Codec;
use crate::error::{Error, Result};

/// Length of the header of version 2.
const V2_LENGTH: usize = 72;

/// Length of the header of version 3 without optional fields.
const V3_LENGTH: usize = 104;

/// QEMU's limit: 32 MiB of L1 table.
const MAX_L1_ENTRIES: u32 = (32 << 20) / 8;

/// QEMU's limit: 8 MiB of refcount table.
const MAX_REFCOUNT_TABLE: u64 = 8 << 20;

/// QEMU's limit for the number of snapshots.
const MAX_SNAPSHOTS: u32 = 65536;

/// The format's limit for the name of a backing file.
const MAX_NAME: usize = 1023;

/// Extensions are inside the first cluster; 2 MiB is the largest.
const MAX_HEADER: u64 = 2 << 20;

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_FEATURE_NAMES: u32 = 0x6803_f857;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
const EXTENSION_BITMAPS: u32 = 0x2385_2875;

const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_EXTERNAL_DATA: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION_TYPE: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const INCOMPATIBLE_SUPPORTED: u64 = INCOMPATIBLE_DIRTY
    | INCOMPATIBLE_CORRUPT
    | INCOMPATIBLE_EXTERNAL_DATA
    | INCOMPATIBLE_COMPRESSION_TYPE
    | INCOMPATIBLE_EXTENDED_L2;
const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1 << 0;

/// What the header says, checked.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) size: u64,
    pub(super) cluster_bits: u32,
    pub(super) l1_entries: u32,
    pub(super) l1_offset: u64,
    pub(super) refcount_table_offset: u64,
    pub(super) refcount_table_clusters: u32,
    pub(super) refcount_order: u32,
    pub(super) snapshots: u32,
    pub(super) snapshots_offset: u64,
    pub(super) features: Features,
    pub(super) backing: Option<String>,
    pub(super) backing_format: Option<String>,
    pub(super) data_file: Option<String>,
    pub(super) bitmaps: Option<Bitmaps>,
    zstd: bool,
}

/// Properties of an image that change how it is read, or that users ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Features {
    pub(super) dirty: bool,
    pub(super) corrupt: bool,
    pub(super) external_data: bool,
    pub(super) extended_l2: bool,
    pub(super) lazy_refcounts: bool,
    pub(super) bitmaps: bool,
}

/// Where the directory of persistent bitmaps is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bitmaps {
    pub(super) count: u32,
    pub(super) directory_length: u64,
    pub(super) directory_offset: u64,
}

impl Features {
    pub(super) fn names(self) -> Vec<&'static str> {
        let all = [
            (self.dirty, "dirty"),
            (self.corrupt, "corrupt"),
            (self.external_data, "external data file"),
            (self.extended_l2, "extended L2 entries"),
            (self.lazy_refcounts, "lazy refcounts"),
            (self.bitmaps, "bitmaps"),
        ];
        all.iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, name)| *name)
            .collect()
    }
}

impl Header {
    pub(super) fn read(file: &HostFile) -> Result<Self> {
        let path = file.path();
        let bytes = file.beginning(MAX_HEADER)?;
        if bytes.len() < V2_LENGTH || !bytes.starts_with(b"QFI\xfb") {
            return Err(damaged(path, 0, "there is no complete qcow2 header"));
        }
        let version = BigEndian::read_u32(&bytes[4..]);
        let header_length = match version {
            2 => V2_LENGTH,
            3 => v3_length(&bytes, path)?,
            1 => return Err(unsupported(path, "qcow version 1 is not read")),
            _ => {
                return Err(unsupported(
                    path,
                    format!("unknown qcow2 version {version}"),
                ));
            }
        };
        let mut header = Self::fixed_part(&bytes, version, header_length);
        let incompatible = if version == 2 {
            0
        } else {
            BigEndian::read_u64(&bytes[72..])
        };
        header.check_cluster_bits(path)?;
        let first_cluster = &bytes[..bytes.len().min(header.cluster_size() as usize)];
        let names = header.read_extensions(first_cluster, header_length, path)?;
        check_incompatible(incompatible, &names, path)?;
        header.backing = backing_name(first_cluster, path)?;
        header.check(
            BigEndian::read_u32(&bytes[32..]),
            &bytes,
            incompatible,
            path,
        )?;
        Ok(header)
    }

    fn fixed_part(bytes: &[u8], version: u32, header_length: usize) -> Self {
        let u32_at = |at: usize| BigEndian::read_u32(&bytes[at..]);
        let u64_at = |at: usize| BigEndian::read_u64(&bytes[at..]);
        let is_v3 = version >= 3;
        let incompatible = if is_v3 { u64_at(72) } else { 0 };
        let compatible = if is_v3 { u64_at(80) } else { 0 };
        Self {
            version,
            cluster_bits: u32_at(20),
            // QEMU counts whole sectors.
            size: u64_at(24) / SECTOR * SECTOR,
            l1_entries: u32_at(36),
            l1_offset: u64_at(40),
            refcount_table_offset: u64_at(48),
            refcount_table_clusters: u32_at(56),
            refcount_order: if is_v3 { u32_at(96) } else { 4 },
            snapshots: u32_at(60),
            snapshots_offset: u64_at(64),
            features: Features {
                dirty: incompatible & INCOMPATIBLE_DIRTY != 0,
                corrupt: incompatible & INCOMPATIBLE_CORRUPT != 0,
                external_data: incompatible & INCOMPATIBLE_EXTERNAL_DATA != 0,
                extended_l2: incompatible & INCOMPATIBLE_EXTENDED_L2 != 0,
                lazy_refcounts: compatible & COMPATIBLE_LAZY_REFCOUNTS != 0,
                bitmaps: false,
            },
            backing: None,
            backing_format: None,
            data_file: None,
            bitmaps: None,
            zstd: header_length > V3_LENGTH && bytes[V3_LENGTH] == 1,
        }
    }

    fn check_cluster_bits(&self, path: &Path) -> Result<()> {
        let least = if self.features.extended_l2 { 14 } else { 9 };
        if (least..=21).contains(&self.cluster_bits) {
            return Ok(());
        }
        let what = format!("the cluster size 2^{} is impossible", self.cluster_bits);
        Err(damaged(path, 20, what))
    }

    fn check(&self, crypt: u32, bytes: &[u8], incompatible: u64, path: &Path) -> Result<()> {
        match crypt {
            0 => {}
            1 => return Err(encrypted(path, "AES")),
            2 => return Err(encrypted(path, "LUKS")),
            _ => return Err(damaged(path, 32, format!("unknown encryption {crypt}"))),
        }
        let compression = if incompatible & INCOMPATIBLE_COMPRESSION_TYPE == 0 {
            0
        } else {
            bytes[V3_LENGTH]
        };
        if compression > 1 {
            let what = format!("unknown compression type {compression}");
            return Err(unsupported(path, what));
        }
        let needed = self.size.div_ceil(1 << self.bits_per_table());
        if self.l1_entries > MAX_L1_ENTRIES || needed > u64::from(self.l1_entries) {
            let what = format!(
                "an L1 table of {} entries does not fit a disk of {} bytes",
                self.l1_entries, self.size
            );
            return Err(damaged(path, 36, what));
        }
        self.check_limits(path)
    }

    fn check_limits(&self, path: &Path) -> Result<()> {
        let table = u64::from(self.refcount_table_clusters) << self.cluster_bits;
        let aligned = |offset: u64| offset.is_multiple_of(self.cluster_size());
        let limits = [
            (self.refcount_order <= 6, 96, "the refcount width"),
            (table <= MAX_REFCOUNT_TABLE, 56, "the refcount table's size"),
            (
                self.snapshots <= MAX_SNAPSHOTS,
                60,
                "the number of snapshots",
            ),
            (aligned(self.l1_offset), 40, "the place of the L1 table"),
            (
                aligned(self.refcount_table_offset),
                48,
                "the place of the refcount table",
            ),
        ];
        match limits.iter().find(|(is_kept, ..)| !is_kept) {
            Some((_, offset, what)) => Err(damaged(path, *offset, format!("{what} is impossible"))),
            None => Ok(()),
        }
    }

    /// Reads the extensions and answers the image's own names of features.
    fn read_extensions(&mut self, bytes: &[u8], start: usize, path: &Path) -> Result<Vec<Name>> {
        let (mut at, mut names) = (start, Vec::new());
        while let Some(fixed) = bytes.get(at..at + 8) {
            let kind = BigEndian::read_u32(fixed);
            let length = BigEndian::read_u32(&fixed[4..]) as usize;
            if kind == EXTENSION_END {
                break;
            }
            let Some(data) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else {
                // Version 2 has no end mark where there is no extension.
                if self.version == 2 {
                    break;
                }
                let what = format!("a header extension of {length} bytes leaves the header");
                return Err(damaged(path, at as u64, what));
            };
            match kind {
                EXTENSION_BACKING_FORMAT => self.backing_format = Some(text(data)),
                EXTENSION_DATA_FILE => self.data_file = Some(text(data)),
                EXTENSION_FEATURE_NAMES => names = feature_names(data),
                EXTENSION_BITMAPS if length >= 24 => {
                    self.features.bitmaps = true;
                    self.bitmaps = Some(Bitmaps {
                        count: BigEndian::read_u32(data),
                        directory_length: BigEndian::read_u64(&data[8..]),
                        directory_offset: BigEndian::read_u64(&data[16..]),
                    });
                }
                _ => {}
            }
            at += 8 + length.next_multiple_of(8);
        }
        Ok(names)
    }

    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes of an L2 entry.
    pub(super) fn entry_length(&self) -> usize {
        if self.features.extended_l2 { 16 } else { 8 }
    }

    /// Log of the number of bytes of the disk that one L2 table describes.
    pub(super) fn bits_per_table(&self) -> u32 {
        let entry_bits = if self.features.extended_l2 { 4 } else { 3 };
        self.cluster_bits + self.cluster_bits - entry_bits
    }

    pub(super) fn codec(&self) -> Codec {
        if self.zstd {
            Codec::Zstd
        } else {
            Codec::Deflate
        }
    }

    pub(super) fn compression_name(&self) -> &'static str {
        if self.zstd { "zstd" } else { "zlib" }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.features.dirty {
            warnings.push("The image was not closed; its refcounts may be wrong".to_owned());
        }
        if self.features.corrupt {
            warnings.push("QEMU marked the image as corrupt".to_owned());
        }
        if self.snapshots > 0 {
            let message = format!("The {} internal snapshots are ignored", self.snapshots);
            warnings.push(message);
        }
        if self.backing.is_some() && self.backing_format.is_none() {
            warnings.push("The format of the backing file is not recorded; guessed it".to_owned());
        }
        warnings
    }
}

fn v3_length(bytes: &[u8], path: &Path) -> Result<usize> {
    let length = match bytes.get(100..V3_LENGTH) {
        Some(field) => BigEndian::read_u32(field) as usize,
        None => return Err(damaged(path, 100, "the header is cut off")),
    };
    if length < V3_LENGTH || length > bytes.len() || length > 1 << 16 {
        let what = format!("the header length {length} is impossible");
        return Err(damaged(path, 100, what));
    }
    let compression_type = BigEndian::read_u64(&bytes[72..]) & INCOMPATIBLE_COMPRESSION_TYPE;
    if compression_type != 0 && length <= V3_LENGTH {
        return Err(damaged(path, 100, "the compression type is missing"));
    }
    Ok(length)
}

fn backing_name(bytes: &[u8], path: &Path) -> Result<Option<String>> {
    let offset = BigEndian::read_u64(&bytes[8..]);
    let length = BigEndian::read_u32(&bytes[16..]) as usize;
    if offset == 0 || length == 0 {
        return Ok(None);
    }
    let name = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .and_then(|rest| rest.get(..length));
    match name {
        Some(name) if length <= MAX_NAME => Ok(Some(text(name))),
        _ => Err(damaged(
            path,
            offset,
            "the backing file's name is impossible",
        )),
    }
}

fn encrypted(path: &Path, how: &str) -> Error {
    unsupported(path, format!("it is encrypted ({how})"))
        .with_hint("Decrypt it with `qemu-img convert` first")
}

/// A feature's kind (0 is incompatible), bit and name.
type Name = (u8, u8, String);

fn feature_names(table: &[u8]) -> Vec<Name> {
    table
        .chunks_exact(48)
        .map(|entry| (entry[0], entry[1], text(&entry[2..])))
        .collect()
}

fn check_incompatible(bits: u64, names: &[Name], path: &Path) -> Result<()> {
    let unknown = bits & !INCOMPATIBLE_SUPPORTED;
    if unknown == 0 {
        return Ok(());
    }
    let described: Vec<_> = (0..64)
        .filter(|bit| unknown & (1 << bit) != 0)
        .map(|bit| {
            let name = names.iter().find(|(kind, at, _)| *kind == 0 && *at == bit);
            name.map_or(format!("bit {bit}"), |(_, _, name)| format!("`{name}`"))
        })
        .collect();
    let what = format!("it needs unknown features: {}", described.join(", "));
    Err(unsupported(path, what))
}

/// Text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}
