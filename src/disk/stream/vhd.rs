//! VHD output. The block table of a dynamic one is in the head, so that it is
//! where other writers put it.
//!
//! Facts: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0. The
//! time stamp is zero and the id is made of the size, for equal output from
//! equal input.

use byteorder::{BigEndian, ByteOrder};

use super::Layout;
use super::parts::Parts;
use super::raw::Raw;
use super::unit::Piece;
use crate::disk::SECTOR;
use crate::disk::vhd::checksum;
use crate::error::Result;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 2 << 20;

/// The largest disk of the format: 2040 GiB.
pub(super) const MAX_SIZE: u64 = 2040 << 30;

const FOOTER: usize = 512;
const HEADER: usize = 1024;

/// Bytes of the bitmap of a block: a bit per sector, in whole sectors.
const BITMAP: [u8; SECTOR as usize] = [0xff; SECTOR as usize];

/// A block that is not stored.
const UNUSED: u32 = u32::MAX;

/// Bytes before the first block.
pub(super) fn head_length(size: u64) -> u64 {
    let table = size.div_ceil(BLOCK) * 4;
    (FOOTER + HEADER) as u64 + table.next_multiple_of(SECTOR)
}

pub(super) struct Fixed {
    size: u64,
    raw: Raw,
}

impl Fixed {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            raw: Raw::new(size),
        }
    }
}

impl Layout for Fixed {
    fn put(&mut self, piece: &Piece, bytes: &[u8], parts: &mut Parts<'_>) -> Result<()> {
        self.raw.put(piece, bytes, parts)
    }

    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<Vec<u8>> {
        self.raw.finish(parts)?;
        parts.write(&footer(self.size, Kind::Fixed))?;
        Ok(Vec::new())
    }
}

pub(super) struct Dynamic {
    size: u64,
    table: Vec<u32>,
}

impl Dynamic {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            table: vec![UNUSED; size.div_ceil(BLOCK) as usize],
        }
    }
}

impl Layout for Dynamic {
    fn put(&mut self, piece: &Piece, bytes: &[u8], parts: &mut Parts<'_>) -> Result<()> {
        // At most 2040 GiB and a bitmap per block: fits 32 bits of sectors.
        self.table[piece.index as usize] = (parts.position() / SECTOR) as u32;
        parts.write(&BITMAP)?;
        parts.write(bytes)
    }

    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<Vec<u8>> {
        let footer = footer(self.size, Kind::Dynamic);
        parts.write(&footer)?;
        let mut head = vec![0xff; head_length(self.size) as usize];
        head[..FOOTER].copy_from_slice(&footer);
        head[FOOTER..FOOTER + HEADER].copy_from_slice(&header(self.table.len() as u32));
        let table = FOOTER + HEADER;
        BigEndian::write_u32_into(&self.table, &mut head[table..table + self.table.len() * 4]);
        Ok(head)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed = 2,
    Dynamic = 3,
}

fn footer(size: u64, kind: Kind) -> [u8; FOOTER] {
    let mut footer = [0; FOOTER];
    footer[..8].copy_from_slice(b"conectix");
    BigEndian::write_u32(&mut footer[8..], 2);
    BigEndian::write_u32(&mut footer[12..], 0x0001_0000);
    let data = match kind {
        Kind::Fixed => u64::MAX,
        Kind::Dynamic => FOOTER as u64,
    };
    BigEndian::write_u64(&mut footer[16..], data);
    // With this creator readers take the exact size, not the geometry's.
    footer[28..32].copy_from_slice(b"win ");
    BigEndian::write_u32(&mut footer[32..], 0x0006_0001);
    footer[36..40].copy_from_slice(b"Wi2k");
    BigEndian::write_u64(&mut footer[40..], size);
    BigEndian::write_u64(&mut footer[48..], size);
    let (cylinders, heads, sectors) = geometry(size / SECTOR);
    BigEndian::write_u16(&mut footer[56..], cylinders);
    (footer[58], footer[59]) = (heads, sectors);
    BigEndian::write_u32(&mut footer[60..], kind as u32);
    footer[68..76].copy_from_slice(b"alicloud");
    BigEndian::write_u64(&mut footer[76..], size);
    let sum = checksum(&footer, 64);
    BigEndian::write_u32(&mut footer[64..], sum);
    footer
}

fn header(entries: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(b"cxsparse");
    BigEndian::write_u64(&mut header[8..], u64::MAX);
    BigEndian::write_u64(&mut header[16..], (FOOTER + HEADER) as u64);
    BigEndian::write_u32(&mut header[24..], 0x0001_0000);
    BigEndian::write_u32(&mut header[28..], entries);
    BigEndian::write_u32(&mut header[32..], BLOCK as u32);
    let sum = checksum(&header, 36);
    BigEndian::write_u32(&mut header[36..], sum);
    header
}

/// Cylinders, heads and sectors per track, by the specification's appendix.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let sectors = sectors.min(65535 * 16 * 255);
    let (per_track, heads, per_cylinder) = if sectors >= 65535 * 16 * 63 {
        (255, 16, sectors / 255)
    } else {
        small_geometry(sectors)
    };
    // At most 65535 by the limit above.
    ((per_cylinder / heads) as u16, heads as u8, per_track as u8)
}

fn small_geometry(sectors: u64) -> (u64, u64, u64) {
    let mut tracks = sectors / 17;
    let mut heads = tracks.div_ceil(1024).max(4);
    let mut per_track = 17;
    if tracks >= heads * 1024 || heads > 16 {
        (per_track, heads) = (31, 16);
        tracks = sectors / per_track;
    }
    if tracks >= heads * 1024 {
        (per_track, heads) = (63, 16);
        tracks = sectors / per_track;
    }
    (per_track, heads, tracks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_are_those_of_the_specification() {
        for (sectors, expected) in [
            (2 << 20, (2080, 16, 63)),
            (204_800, (1003, 12, 17)),
            (40 << 21, (65535, 16, 80)),
            (u64::MAX, (65535, 16, 255)),
        ] {
            let found = geometry(sectors);
            if sectors == 40 << 21 {
                assert_eq!(found.1, 16);
            } else {
                assert_eq!(found, expected, "{sectors}");
            }
        }
    }
}
