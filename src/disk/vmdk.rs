//! VMDK with one sparse extent: `monolithicSparse` and `streamOptimized`.
//!
//! Facts: VMware's "Virtual Disk Format 5.0". Everything else of that family
//! (flat and split extents, deltas, ESX formats) is refused.

use std::sync::{Arc, Mutex, PoisonError};

use byteorder::{ByteOrder, LittleEndian};

use super::failure::{damaged, unsupported};
use super::host_file::HostFile;
use super::inflate::Codec;
use super::{Check, Disk, Extent, ExtentKind, Format, Info, SECTOR, inside};
use crate::error::Result;

/// Length of the header.
const HEADER: usize = 512;

/// The directory is at the end of the file, announced by a second header.
const AT_END: u64 = u64::MAX;

/// Descriptors are a few hundred bytes; QEMU takes up to 20 sectors.
const MAX_DESCRIPTOR: u64 = 64 << 10;

/// Directory entries at most: 8 MiB of them.
const MAX_TABLES: u64 = (8 << 20) / 4;

/// Grains have 4 KiB at least and 64 KiB by default; 128 sectors is usual.
const MAX_GRAIN: u64 = 2 << 20;

const FLAG_ZEROED_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;

/// With [`FLAG_ZEROED_GRAINS`], an entry that means a grain of zeros.
const ZEROED: u32 = 1;

/// Bytes before a compressed grain: its place on the disk and its length.
const MARKER: u64 = 12;

/// A VMDK.
#[derive(Debug)]
pub(super) struct Vmdk {
    file: HostFile,
    header: Header,
    /// Offset of each grain table; 0 for none.
    directory: Vec<u64>,
    /// All grain tables that exist are read through this cache of one.
    table: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
    info: Info,
}

#[derive(Debug)]
struct Header {
    flags: u32,
    size: u64,
    grain: u64,
    descriptor: (u64, u64),
    entries_per_table: u64,
    directory: u64,
    is_unclean: bool,
}

/// Where a grain is.
enum Grain {
    Hole,
    Zero,
    At(u64),
}

impl Header {
    fn read(file: &HostFile, at: u64) -> Result<Self> {
        let mut bytes = [0; HEADER];
        file.read(at, &mut bytes, "the header")?;
        let bad = |offset: u64, what: &str| Err(damaged(file.path(), at + offset, what));
        if !bytes.starts_with(b"KDMV") {
            return bad(0, "there is no VMDK header");
        }
        let u32_at = |at: usize| LittleEndian::read_u32(&bytes[at..]);
        let u64_at = |at: usize| LittleEndian::read_u64(&bytes[at..]);
        if !(1..=3).contains(&u32_at(4)) {
            return Err(unsupported(
                file.path(),
                format!("VMDK version {}", u32_at(4)),
            ));
        }
        // A transfer as text changes these bytes.
        if &bytes[73..77] != b"\n \r\n" && bytes[73..77] != [0; 4] {
            return bad(73, "the file was changed by a transfer as text");
        }
        let in_bytes = |sectors: u64| sectors.checked_mul(SECTOR);
        let (Some(size), Some(grain)) = (in_bytes(u64_at(12)), in_bytes(u64_at(20))) else {
            return bad(12, "the size is impossible");
        };
        if !grain.is_power_of_two() || grain > MAX_GRAIN {
            return bad(20, "the grain size is impossible");
        }
        let entries_per_table = u64::from(u32_at(44));
        if entries_per_table == 0 || entries_per_table > 512 {
            return bad(44, "the size of grain tables is impossible");
        }
        let flags = u32_at(8);
        let is_compressed = flags & FLAG_COMPRESSED != 0;
        if is_compressed && LittleEndian::read_u16(&bytes[77..]) != 1 {
            return bad(77, "the compression is unknown");
        }
        Ok(Self {
            flags,
            size,
            grain,
            descriptor: (u64_at(28), u64_at(36)),
            entries_per_table,
            directory: u64_at(56),
            is_unclean: bytes[72] != 0,
        })
    }

    fn is_compressed(&self) -> bool {
        self.flags & FLAG_COMPRESSED != 0
    }

    fn bytes_per_table(&self) -> u64 {
        self.grain * self.entries_per_table
    }
}

impl Vmdk {
    pub(super) fn open(file: HostFile) -> Result<Self> {
        let mut header = Header::read(&file, 0)?;
        let variant = check_descriptor(&file, &header)?;
        if header.directory == AT_END {
            let length = file.length();
            let Some(at) = length.checked_sub(2 * SECTOR) else {
                return Err(damaged(file.path(), length, "the file is too short"));
            };
            header = Header::read(&file, at)?;
        }
        if header.is_compressed() && header.flags & FLAG_MARKERS == 0 {
            let what = "it has compressed grains without markers";
            return Err(unsupported(file.path(), what));
        }
        let directory = read_directory(&file, &header)?;
        let info = info(&file, &header, variant);
        Ok(Self {
            file,
            header,
            directory,
            table: Mutex::default(),
            info,
        })
    }

    fn grain(&self, offset: u64) -> Result<Grain> {
        let header = &self.header;
        let table = usize::try_from(offset / header.bytes_per_table())
            .ok()
            .and_then(|index| self.directory.get(index));
        let Some(table) = table.copied().filter(|table| *table != 0) else {
            return Ok(Grain::Hole);
        };
        let entries = self.table(table)?;
        let index = offset / header.grain % header.entries_per_table;
        Ok(match entries[index as usize] {
            0 => Grain::Hole,
            ZEROED if header.flags & FLAG_ZEROED_GRAINS != 0 => Grain::Zero,
            sector => Grain::At(u64::from(sector) * SECTOR),
        })
    }

    fn table(&self, offset: u64) -> Result<Arc<Vec<u32>>> {
        let lock = || self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, table)) = lock().as_ref()
            && *at == offset
        {
            return Ok(Arc::clone(table));
        }
        let length = self.header.entries_per_table * 4;
        let bytes = self.file.read_vec(offset, length, "a grain table")?;
        let mut entries = vec![0; bytes.len() / 4];
        LittleEndian::read_u32_into(&bytes, &mut entries);
        let entries = Arc::new(entries);
        *lock() = Some((offset, Arc::clone(&entries)));
        Ok(entries)
    }

    fn read_compressed(&self, host: u64, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let grain = self.header.grain;
        let mut marker = [0; MARKER as usize];
        self.file.read(host, &mut marker, "a grain marker")?;
        let length = u64::from(LittleEndian::read_u32(&marker[8..]));
        // zlib never grows data by more than a few bytes.
        if length > grain * 2 {
            let what = format!("a compressed grain of {length} bytes is impossible");
            return Err(damaged(self.file.path(), host, what));
        }
        let input = self
            .file
            .read_vec(host + MARKER, length, "a compressed grain")?;
        let mut bytes = vec![0; grain as usize];
        // The last grain of a disk may be stored shorter.
        let start = offset - offset % grain;
        let stored = grain.min(self.header.size - start) as usize;
        let whole = Codec::Zlib.inflate(&input, &mut bytes);
        whole
            .or_else(|_| Codec::Zlib.inflate(&input, &mut bytes[..stored]))
            .map_err(|reason| {
                let what = format!("a compressed grain cannot be decompressed: {reason}");
                damaged(self.file.path(), host, what)
            })?;
        let from = (offset - start) as usize;
        buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
        Ok(())
    }
}

impl Disk for Vmdk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let grain = self.header.grain;
        let left = self.virtual_size().saturating_sub(offset).max(1);
        let kind = match self.grain(offset)? {
            Grain::Hole => ExtentKind::Hole,
            Grain::Zero => ExtentKind::Zero,
            Grain::At(_) => ExtentKind::Data,
        };
        Ok(Extent {
            start: offset,
            length: (grain - offset % grain).min(left),
            kind,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = inside(buffer, offset, self.virtual_size());
        let grain = self.header.grain;
        let mut position = offset;
        while !rest.is_empty() {
            let length = (grain - position % grain).min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(length as usize);
            match self.grain(position)? {
                Grain::Hole | Grain::Zero => now.fill(0),
                Grain::At(host) if self.header.is_compressed() => {
                    self.read_compressed(host, position, now)?;
                }
                Grain::At(host) => self.file.read(host + position % grain, now, "a grain")?,
            }
            position += length;
            rest = later;
        }
        Ok(())
    }

    fn check(&self) -> Result<Check> {
        let mut check = Check::of_clusters(self.header.size.div_ceil(self.header.grain));
        let mut offset = 0;
        while offset < self.header.size {
            let table = (offset / self.header.bytes_per_table()) as usize;
            if self.directory[table] == 0 {
                offset += self.header.bytes_per_table();
                continue;
            }
            match self.grain(offset) {
                Ok(Grain::At(host)) => {
                    check.allocated_clusters += 1;
                    check.image_end = check.image_end.max(host + self.header.grain);
                    if host >= self.file.length() {
                        let end = "the end of the file";
                        check.corruption(format!("The grain at {host:#x} is behind {end}"));
                    }
                }
                Ok(Grain::Hole | Grain::Zero) => {}
                Err(error) => check.corruption(error),
            }
            offset += self.header.grain;
        }
        check.compressed_clusters = match self.header.is_compressed() {
            true => check.allocated_clusters,
            false => 0,
        };
        check.image_end = check.image_end.min(self.file.length());
        Ok(check)
    }
}

/// Checks the text that says what the file is part of; answers the type.
fn check_descriptor(file: &HostFile, header: &Header) -> Result<String> {
    let (sector, sectors) = header.descriptor;
    let length = sectors.saturating_mul(SECTOR).min(MAX_DESCRIPTOR);
    if sector == 0 || length == 0 {
        return Err(unsupported(
            file.path(),
            "its descriptor is in another file",
        ));
    }
    let at = sector.saturating_mul(SECTOR);
    let bytes = file.read_vec(at, length, "the descriptor")?;
    let text = String::from_utf8_lossy(&bytes);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(|rest| rest.trim_start_matches([' ', '=']).trim_matches(['"', ' ']))
    };
    if value("parentCID").is_some_and(|parent| !parent.eq_ignore_ascii_case("ffffffff")) {
        return Err(unsupported(file.path(), "it is a delta of another VMDK"));
    }
    match value("createType") {
        Some(kind @ ("monolithicSparse" | "streamOptimized")) => Ok(kind.to_owned()),
        kind => {
            let what = format!("VMDKs of type `{}` are not read", kind.unwrap_or("unknown"));
            let error = unsupported(file.path(), what);
            Err(error.with_hint("Convert it to monolithicSparse, streamOptimized or qcow2"))
        }
    }
}

fn read_directory(file: &HostFile, header: &Header) -> Result<Vec<u64>> {
    let tables = header.size.div_ceil(header.bytes_per_table());
    if tables > MAX_TABLES {
        let what = format!("{} bytes in grains of {}", header.size, header.grain);
        return Err(unsupported(file.path(), format!("it is too large: {what}")));
    }
    let at = header.directory.saturating_mul(SECTOR);
    let bytes = file.read_vec(at, tables * 4, "the grain directory")?;
    let sectors = bytes.chunks_exact(4).map(LittleEndian::read_u32);
    Ok(sectors.map(|sector| u64::from(sector) * SECTOR).collect())
}

fn info(file: &HostFile, header: &Header, variant: String) -> Info {
    let mut warnings = Vec::new();
    if header.is_unclean {
        warnings.push("The image was not closed".to_owned());
    }
    Info {
        variant,
        cluster_size: Some(header.grain),
        compression: header.is_compressed().then_some("zlib"),
        warnings,
        ..Info::of(file, Format::Vmdk, header.size)
    }
}
