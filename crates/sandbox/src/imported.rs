//! Disks that come from OSS: what ImportImage finds when it reads an object.
//! Enough of the formats to tell a disk from garbage and to know its size; no
//! conversion.

use std::sync::{Arc, OnceLock};

use crate::oss::content::Content;

/// A disk in an object, as an image keeps it. The object itself may be deleted
/// after the import.
#[derive(Clone, Debug)]
pub struct ImportedDisk {
    /// Format of the content.
    pub format: DiskFormat,
    /// Size the guest sees, in bytes.
    pub virtual_size: u64,
    pub(crate) content: Content,
    file: Arc<OnceLock<tempfile::TempPath>>,
}

/// Format of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFormat {
    /// Sector by sector.
    Raw,
    /// QEMU's.
    Qcow2,
    /// Hyper-V's old one, fixed or dynamic.
    Vhd,
}

/// Why a disk cannot be imported: an error code and its explanation.
pub(crate) type Refusal = (&'static str, String);

const SECTOR: u64 = 512;

impl DiskFormat {
    /// The format with a name as ImportImage spells it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "RAW" => Some(Self::Raw),
            "QCOW2" => Some(Self::Qcow2),
            "VHD" => Some(Self::Vhd),
            _ => None,
        }
    }

    /// The name QEMU has for it.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vpc",
        }
    }
}

impl ImportedDisk {
    /// Reads an object. `declared` is the format the call names.
    pub(crate) fn inspect(
        content: &Content,
        declared: Option<DiskFormat>,
    ) -> Result<Self, Refusal> {
        let format = detect(content)?;
        if declared.is_some_and(|declared| declared != format) {
            return Err(malformed(
                "The content of the object is not in the specified format.",
            ));
        }
        let virtual_size = match format {
            DiskFormat::Raw => raw_size(content)?,
            DiskFormat::Qcow2 => qcow2_size(content)?,
            DiskFormat::Vhd => vhd_size(content)?,
        };
        Ok(Self {
            format,
            virtual_size,
            content: content.clone(),
            file: Arc::default(),
        })
    }

    /// The disk as one file, made at the first call. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn file(&self) -> std::io::Result<&std::path::Path> {
        if let Some(path) = self.file.get() {
            return Ok(path);
        }
        let file = tempfile::Builder::new()
            .prefix("sandbox-disk-")
            .tempfile()?;
        let (mut out, path) = file.into_parts();
        self.content.copy_to(&mut out)?;
        Ok(self.file.get_or_init(|| path))
    }
}

fn malformed(why: &str) -> Refusal {
    ("InvalidImageFormat.Malformed", why.to_owned())
}

fn read(content: &Content, offset: u64, length: u64) -> Result<Vec<u8>, Refusal> {
    let bytes = content.read(offset, length);
    let bytes = bytes.map_err(|error| ("InternalError", error.to_string()))?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    Err(malformed("The object is truncated."))
}

fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    let field = bytes.get(offset..offset + length).unwrap_or_default();
    field
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn detect(content: &Content) -> Result<DiskFormat, Refusal> {
    let head = content.read(0, 8);
    let head = head.map_err(|error| ("InternalError", error.to_string()))?;
    match head.as_slice() {
        [b'Q', b'F', b'I', 0xfb, ..] => return Ok(DiskFormat::Qcow2),
        b"conectix" => return Ok(DiskFormat::Vhd),
        [b'K', b'D', b'M', b'V', ..] | b"# Disk D" => {
            return Err(malformed("VMDK images are not supported."));
        }
        _ => {}
    }
    let footer = content.read(content.size.saturating_sub(SECTOR), 8);
    match footer.as_deref() {
        Ok(b"conectix") => Ok(DiskFormat::Vhd),
        _ => Ok(DiskFormat::Raw),
    }
}

/// A raw disk has whole sectors and begins with a boot record.
fn raw_size(content: &Content) -> Result<u64, Refusal> {
    let first = read(content, 0, SECTOR)?;
    if !content.size.is_multiple_of(SECTOR) {
        return Err(malformed(
            "The size of the image is not a multiple of 512 bytes.",
        ));
    }
    let volume = content.read(0x8001, 5).unwrap_or_default();
    if volume == b"CD001" && first[510..] != [0x55, 0xaa] {
        return Err(malformed("ISO files are not supported."));
    }
    if first[510..] != [0x55, 0xaa] {
        return Err(malformed("The image has no partition table."));
    }
    Ok(content.size)
}

fn qcow2_size(content: &Content) -> Result<u64, Refusal> {
    let header = read(content, 0, 104)?;
    let version = number(&header, 4, 4);
    let (backing, encryption) = (number(&header, 8, 8), number(&header, 32, 4));
    let cluster_bits = number(&header, 20, 4);
    let features = if version >= 3 {
        number(&header, 72, 8)
    } else {
        0
    };
    if !(2..=3).contains(&version) || !(9..=21).contains(&cluster_bits) {
        return Err(malformed(
            "The version of the QCOW2 image is not supported.",
        ));
    }
    if backing != 0 || encryption != 0 {
        return Err(malformed(
            "QCOW2 images with a backing file or encryption are not supported.",
        ));
    }
    // Dirty images are repaired; external data, zstd and extended tables are
    // beyond what importers are known to read.
    if features & !1 != 0 {
        return Err(malformed(
            "The QCOW2 image has unsupported incompatible features.",
        ));
    }
    let size = number(&header, 24, 8);
    let (entries, table) = (number(&header, 36, 4), number(&header, 40, 8));
    let per_table = 1_u64 << (2 * cluster_bits - 3);
    let end = table.checked_add(entries * 8);
    if size == 0 || entries < size.div_ceil(per_table) || end.is_none_or(|end| end > content.size) {
        return Err(malformed("The tables of the QCOW2 image are damaged."));
    }
    check_tables(content, table, entries, cluster_bits)?;
    Ok(size)
}

/// Every table and cluster must be inside the object.
fn check_tables(content: &Content, table: u64, entries: u64, bits: u64) -> Result<(), Refusal> {
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
    const COMPRESSED: u64 = 1 << 62;
    let damaged = || malformed("The QCOW2 image is truncated.");
    let cluster = 1_u64 << bits;
    for entry in read(content, table, entries * 8)?.chunks_exact(8) {
        let second = number(entry, 0, 8) & OFFSET;
        if second == 0 {
            continue;
        }
        for entry in read(content, second, cluster)?.chunks_exact(8) {
            let entry = number(entry, 0, 8);
            let offset = match entry & COMPRESSED {
                0 => entry & OFFSET,
                _ => entry & ((1 << (62 - (bits - 8))) - 1),
            };
            if offset >= content.size {
                return Err(damaged());
            }
        }
    }
    Ok(())
}

fn vhd_size(content: &Content) -> Result<u64, Refusal> {
    let footer = read(content, content.size.saturating_sub(SECTOR), SECTOR)?;
    if &footer[..8] != b"conectix" || !is_sum_right(&footer, 64) {
        return Err(malformed(
            "The footer of the VHD image is missing or damaged.",
        ));
    }
    let size = number(&footer, 48, 8);
    match number(&footer, 60, 4) {
        2 if size + SECTOR == content.size => Ok(size),
        2 => Err(malformed(
            "The size of the fixed VHD image is not that of its footer.",
        )),
        3 => check_dynamic(content, &footer, size),
        _ => Err(malformed("Differencing VHD images are not supported.")),
    }
}

fn check_dynamic(content: &Content, footer: &[u8], size: u64) -> Result<u64, Refusal> {
    let header = read(content, number(footer, 16, 8), 1024)?;
    if &header[..8] != b"cxsparse" || !is_sum_right(&header, 36) {
        return Err(malformed(
            "The header of the VHD image is missing or damaged.",
        ));
    }
    let (entries, block) = (number(&header, 28, 4), number(&header, 32, 4));
    if block != 2 << 20 {
        let why = format!("The block size {block} of the VHD image is not supported.");
        return Err(("InvalidBlockSize.NotSupport", why));
    }
    if entries * block != size {
        let why = "The specified size of the VHD image does not meet the 'header.MaxTableEntries * header.BlockSize' specification.";
        return Err(("InvalidVHDImage.IncorrectSize", why.to_owned()));
    }
    Ok(size)
}

/// The sum of a VHD structure: the complement of its bytes without the sum.
fn is_sum_right(bytes: &[u8], at: usize) -> bool {
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let stored: u32 = bytes[at..at + 4].iter().map(|byte| u32::from(*byte)).sum();
    u64::from(!(sum - stored)) == number(bytes, at, 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oss::content::Store;

    const GIB: u64 = 1 << 30;

    fn inspect(bytes: &[u8], declared: Option<DiskFormat>) -> Result<(DiskFormat, u64), Refusal> {
        let store = Store::new().unwrap();
        let content = store.put(bytes).unwrap().content;
        ImportedDisk::inspect(&content, declared).map(|disk| (disk.format, disk.virtual_size))
    }

    fn raw() -> Vec<u8> {
        let mut disk = vec![0; 4096];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk
    }

    /// An empty image of 10 GiB with 64-KiB clusters.
    fn qcow2(change: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut disk = vec![0; 4 << 16];
        disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        disk[20..24].copy_from_slice(&16_u32.to_be_bytes());
        disk[24..32].copy_from_slice(&(10 * GIB).to_be_bytes());
        disk[36..40].copy_from_slice(&20_u32.to_be_bytes());
        disk[40..48].copy_from_slice(&(3_u64 << 16).to_be_bytes());
        change(&mut disk);
        disk
    }

    fn vhd(kind: u32, size: u64, entries: u32) -> Vec<u8> {
        let mut footer = vec![0; 512];
        footer[..8].copy_from_slice(b"conectix");
        footer[16..24].copy_from_slice(&512_u64.to_be_bytes());
        footer[48..56].copy_from_slice(&size.to_be_bytes());
        footer[60..64].copy_from_slice(&kind.to_be_bytes());
        seal(&mut footer, 64);
        if kind == 2 {
            return [vec![0; size as usize], footer].concat();
        }
        let mut header = vec![0; 1024];
        header[..8].copy_from_slice(b"cxsparse");
        header[28..32].copy_from_slice(&entries.to_be_bytes());
        header[32..36].copy_from_slice(&(2_u32 << 20).to_be_bytes());
        seal(&mut header, 36);
        [footer.clone(), header, footer].concat()
    }

    fn seal(bytes: &mut [u8], at: usize) {
        let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
        bytes[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
    }

    #[test]
    fn formats_and_virtual_sizes_are_read_from_the_content() {
        let table = [
            (raw(), DiskFormat::Raw, 4096),
            (qcow2(&|_| {}), DiskFormat::Qcow2, 10 * GIB),
            (vhd(2, 8192, 0), DiskFormat::Vhd, 8192),
            (vhd(3, 10 * GIB, 5120), DiskFormat::Vhd, 10 * GIB),
        ];
        for (disk, format, size) in table {
            assert_eq!(inspect(&disk, None), Ok((format, size)));
            assert_eq!(inspect(&disk, Some(format)), Ok((format, size)));
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let refused = |disk: &[u8], code: &str, why: &str| {
            let (found, text) = inspect(disk, None).unwrap_err();
            assert_eq!(found, code, "{text}");
            assert!(text.contains(why), "{text}");
        };
        let malformed = "InvalidImageFormat.Malformed";
        refused(&[0; 4096], malformed, "partition table");
        refused(b"short", malformed, "truncated");
        refused(&raw()[..1000], malformed, "512");
        refused(b"KDMV....", malformed, "VMDK");
        let mut iso = vec![0; 0x9000];
        iso[0x8001..0x8006].copy_from_slice(b"CD001");
        refused(&iso, malformed, "ISO");
        refused(&qcow2(&|disk| disk[7] = 9), malformed, "version");
        refused(&qcow2(&|disk| disk[15] = 1), malformed, "backing");
        refused(&qcow2(&|disk| disk[79] = 8), malformed, "features");
        refused(&qcow2(&|disk| disk[39] = 1), malformed, "tables");
        refused(&qcow2(&|disk| disk.truncate(3 << 16)), malformed, "tables");
        let far = |disk: &mut Vec<u8>| {
            disk[3 << 16..][..8].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        };
        refused(&qcow2(&far), malformed, "truncated");
        refused(&vhd(4, 10 * GIB, 5120), malformed, "Differencing");
        refused(
            &vhd(3, 10 * GIB, 5119),
            "InvalidVHDImage.IncorrectSize",
            "MaxTableEntries",
        );
        let mut damaged = vhd(2, 8192, 0);
        damaged[8200] ^= 1;
        refused(&damaged, malformed, "footer");
        let wrong = inspect(&raw(), Some(DiskFormat::Qcow2)).unwrap_err();
        assert!(
            wrong.1.contains("not in the specified format"),
            "{}",
            wrong.1
        );
    }
}
