//! VHD, the format of Virtual PC: fixed and dynamic.
//!
//! Facts: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0;
//! which of the two sizes counts follows `block/vpc.c` of QEMU. Differencing
//! disks are refused.

use byteorder::{BigEndian, ByteOrder};

use super::failure::{damaged, unsupported};
use super::host_file::HostFile;
use super::{Check, Disk, Extent, ExtentKind, Format, Info, SECTOR, inside};
use crate::error::Result;

/// Length of the footer.
const FOOTER: u64 = 512;

/// Length of the dynamic header.
const HEADER: u64 = 1024;

/// An entry of the block allocation table that points nowhere.
const UNUSED: u32 = u32::MAX;

/// The largest disk of the format, 2040 GiB, in blocks of 512 KiB.
const MAX_ENTRIES: u64 = 2040 << 30 >> 19;

/// Creators whose recorded size counts; with others it is the geometry's.
const EXACT_CREATORS: [&[u8; 4]; 6] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0"];

/// The largest geometry; disks with it may be larger.
const MAX_GEOMETRY: u64 = 65535 * 16 * 255;

/// A VHD.
#[derive(Debug)]
pub(super) struct Vhd {
    file: HostFile,
    blocks: Option<Blocks>,
    info: Info,
}

/// The blocks of a dynamic disk.
#[derive(Debug)]
struct Blocks {
    /// Sector of each block's bitmap.
    table: Vec<u32>,
    table_offset: u64,
    size: u64,
    /// Bytes of the bitmap before each block's data.
    bitmap: u64,
}

/// Whether the content says VHD. A fixed disk begins with a guest's bytes, so
/// its footer must be flawless to count.
pub(super) fn is_vhd(file: &HostFile, start: &[u8]) -> Result<bool> {
    if start.starts_with(b"conectix") {
        return Ok(true);
    }
    let Some(at) = file.length().checked_sub(FOOTER) else {
        return Ok(false);
    };
    let mut footer = [0; FOOTER as usize];
    file.read(at, &mut footer, "the footer")?;
    let is_footer = footer.starts_with(b"conectix") && has_checksum(&footer, 64);
    Ok(is_footer && BigEndian::read_u32(&footer[60..]) == 2)
}

impl Vhd {
    pub(super) fn open(file: HostFile) -> Result<Self> {
        let mut footer = [0; FOOTER as usize];
        let at = footer_offset(&file, &mut footer)?;
        if !has_checksum(&footer, 64) {
            return Err(damaged(file.path(), at, "the footer's checksum is wrong"));
        }
        let virtual_size = virtual_size(&footer);
        let (variant, blocks) = match BigEndian::read_u32(&footer[60..]) {
            2 => ("fixed", None),
            3 => ("dynamic", Some(Blocks::read(&file, &footer, virtual_size)?)),
            4 => {
                let error = unsupported(file.path(), "it is a differencing VHD");
                return Err(error.with_hint("Merge it into its parent first"));
            }
            other => return Err(damaged(file.path(), at, format!("unknown type {other}"))),
        };
        if blocks.is_none() && virtual_size > at {
            let what = format!("the disk of {virtual_size} bytes is longer than the file");
            return Err(damaged(file.path(), at, what));
        }
        let info = info(&file, variant, virtual_size, blocks.as_ref());
        Ok(Self { file, blocks, info })
    }
}

/// A dynamic disk has the footer at both ends; the one at the end counts, as
/// the copy may be older.
fn footer_offset(file: &HostFile, footer: &mut [u8]) -> Result<u64> {
    let last = file.length().saturating_sub(FOOTER);
    for at in [last, 0] {
        file.read(at, footer, "the footer")?;
        if footer.starts_with(b"conectix") {
            return Ok(at);
        }
    }
    Err(damaged(file.path(), last, "there is no footer"))
}

fn has_checksum(bytes: &[u8], at: usize) -> bool {
    checksum(bytes, at) == BigEndian::read_u32(&bytes[at..])
}

/// The complement of the sum of all bytes but the checksum's own.
pub(super) fn checksum(bytes: &[u8], at: usize) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    !(sum(&bytes[..at]) + sum(&bytes[at + 4..]))
}

fn virtual_size(footer: &[u8]) -> u64 {
    let current = BigEndian::read_u64(&footer[48..]);
    let cylinders = u64::from(BigEndian::read_u16(&footer[56..]));
    let sectors = cylinders * u64::from(footer[58]) * u64::from(footer[59]);
    let is_exact = EXACT_CREATORS
        .iter()
        .any(|creator| &footer[28..32] == creator.as_slice());
    if is_exact || sectors == MAX_GEOMETRY {
        current / SECTOR * SECTOR
    } else {
        sectors * SECTOR
    }
}

fn info(file: &HostFile, variant: &str, virtual_size: u64, blocks: Option<&Blocks>) -> Info {
    Info {
        variant: variant.to_owned(),
        cluster_size: blocks.map(|blocks| blocks.size),
        ..Info::of(file, Format::Vhd, virtual_size)
    }
}

impl Blocks {
    fn read(file: &HostFile, footer: &[u8], virtual_size: u64) -> Result<Self> {
        let at = BigEndian::read_u64(&footer[16..]);
        let mut header = [0; HEADER as usize];
        file.read(at, &mut header, "the dynamic header")?;
        if !header.starts_with(b"cxsparse") || !has_checksum(&header, 36) {
            return Err(damaged(file.path(), at, "the dynamic header is damaged"));
        }
        let table_offset = BigEndian::read_u64(&header[16..]);
        let entries = u64::from(BigEndian::read_u32(&header[28..]));
        let size = u64::from(BigEndian::read_u32(&header[32..]));
        if !size.is_power_of_two() || size < SECTOR {
            let what = format!("the block size {size} is impossible");
            return Err(damaged(file.path(), at + 32, what));
        }
        let needed = virtual_size.div_ceil(size);
        if needed > entries || needed > MAX_ENTRIES {
            let what = format!("{entries} blocks do not make a disk of {virtual_size} bytes");
            return Err(damaged(file.path(), at + 28, what));
        }
        let bytes = file.read_vec(table_offset, needed * 4, "the block allocation table")?;
        let mut table = vec![0; bytes.len() / 4];
        BigEndian::read_u32_into(&bytes, &mut table);
        Ok(Self {
            table,
            table_offset,
            size,
            bitmap: (size / SECTOR).div_ceil(8).next_multiple_of(SECTOR),
        })
    }

    /// Where the bytes at `offset` are stored, if they are. As in QEMU, the
    /// bitmaps are not asked: writers zero a block's unused sectors.
    fn host_offset(&self, offset: u64) -> Option<u64> {
        let index = usize::try_from(offset / self.size).ok()?;
        let sector = self.table.get(index).copied()?;
        let block = u64::from(sector) * SECTOR + self.bitmap;
        (sector != UNUSED).then_some(block + offset % self.size)
    }
}

impl Disk for Vhd {
    fn info(&self) -> &Info {
        &self.info
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let left = self.virtual_size().saturating_sub(offset).max(1);
        let extent = |length: u64, kind| Extent {
            start: offset,
            length: length.min(left),
            kind,
        };
        let Some(blocks) = &self.blocks else {
            return Ok(match self.file.data_after(offset)? {
                Some((start, end)) if start <= offset => extent(end - offset, ExtentKind::Data),
                Some((start, _)) => extent(start - offset, ExtentKind::Hole),
                None => extent(left, ExtentKind::Hole),
            });
        };
        let kind = match blocks.host_offset(offset) {
            Some(_) => ExtentKind::Data,
            None => ExtentKind::Hole,
        };
        Ok(extent(blocks.size - offset % blocks.size, kind))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = inside(buffer, offset, self.virtual_size());
        let Some(blocks) = &self.blocks else {
            return self.file.read(offset, rest, "the disk");
        };
        let mut position = offset;
        while !rest.is_empty() {
            let left = (blocks.size - position % blocks.size).min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(left as usize);
            match blocks.host_offset(position) {
                Some(host) => self.file.read(host, now, "a block")?,
                None => now.fill(0),
            }
            position += left;
            rest = later;
        }
        Ok(())
    }

    fn check(&self) -> Result<Check> {
        let Some(blocks) = &self.blocks else {
            return Ok(Check::nothing_to_check());
        };
        let mut check = Check::of_clusters(blocks.table.len() as u64);
        let mut starts: Vec<_> = (blocks.table.iter())
            .filter(|sector| **sector != UNUSED)
            .map(|sector| u64::from(*sector) * SECTOR)
            .collect();
        starts.sort_unstable();
        check.allocated_clusters = starts.len() as u64;
        let length = blocks.bitmap + blocks.size;
        let table_end = blocks.table_offset + blocks.table.len() as u64 * 4;
        check.image_end = starts.last().map_or(table_end, |last| last + length);
        for (index, start) in starts.iter().enumerate() {
            let next = starts.get(index + 1).copied();
            if start + length > next.unwrap_or(self.file.length()) {
                let what = if next.is_some() {
                    "the next one"
                } else {
                    "the end"
                };
                check.corruption(format!("The block at {start:#x} reaches beyond {what}"));
            }
        }
        Ok(check)
    }
}
