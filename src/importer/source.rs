//! What is imported: where its bytes come from, and what they are.
//!
//! [`PlainFile`] sends a file as it is. Anything that makes an image on the
//! way is another [`ImageSource`], whose parts may come in any order.
//!
//! Facts: the public descriptions of qcow2 (QEMU), VHD (Microsoft), ISO 9660.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::cloud::oss::upload::{Part, PartSource};
use crate::error::{Error, Kind, Result};
use crate::plan::import::DiskFormat;

/// A disk image that can be sent.
pub trait ImageSource: Send + Sync {
    /// What it is called, for people.
    fn name(&self) -> String;

    /// What it is called in a journal: the same in a later run when the same
    /// parts will be sent, else another.
    fn identity(&self) -> String;

    /// The format of what is sent.
    fn format(&self) -> DiskFormat;

    /// The size of the disk it describes, in bytes.
    fn virtual_size(&self) -> u64;

    /// How many bytes are sent, or the most that may be.
    fn size(&self) -> SentSize;

    /// Begins to make the parts; all but the last one have `part_size` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    fn parts(&self, part_size: u64) -> Result<Box<dyn PartSource>>;
}

/// How many bytes a source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentSize {
    /// So many.
    Exactly(u64),
    /// Not more than so many.
    AtMost(u64),
}

impl SentSize {
    /// The most bytes there can be.
    pub fn most(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// A file that is sent as it is.
#[derive(Debug, Clone)]
pub struct PlainFile {
    path: PathBuf,
    size: u64,
    identity: String,
    format: DiskFormat,
    virtual_size: u64,
}

impl PlainFile {
    /// Looks at a file.
    ///
    /// # Errors
    /// `Kind::Io` when it cannot be read, `Kind::Usage` when it is nothing
    /// ECS can import.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |error| io_error(path, error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            let message = format!("`{}` is not a file", path.display());
            return Err(Error::new(Kind::Usage, message));
        }
        let size = metadata.len();
        let (format, virtual_size) = recognize(&file, size, path)?;
        let full = path.canonicalize().map_err(unreadable)?;
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self {
            identity: format!(
                "{} of {size} bytes, written {seconds}.{nanoseconds:09}",
                full.display()
            ),
            path: path.to_owned(),
            size,
            format,
            virtual_size,
        })
    }
}

impl ImageSource for PlainFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn format(&self) -> DiskFormat {
        self.format
    }

    fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    fn size(&self) -> SentSize {
        SentSize::Exactly(self.size)
    }

    fn parts(&self, part_size: u64) -> Result<Box<dyn PartSource>> {
        let file = File::open(&self.path).map_err(|error| io_error(&self.path, error))?;
        Ok(Box::new(FileParts {
            file,
            path: self.path.clone(),
            size: self.size,
            part_size,
            offset: 0,
        }))
    }
}

struct FileParts {
    file: File,
    path: PathBuf,
    size: u64,
    part_size: u64,
    offset: u64,
}

impl PartSource for FileParts {
    fn next(&mut self) -> Result<Option<Part>> {
        let length = (self.size - self.offset).min(self.part_size);
        if length == 0 {
            return Ok(None);
        }
        let too_large = || Error::new(Kind::Internal, "A part does not fit into memory");
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large())?];
        self.file
            .read_exact_at(&mut bytes, self.offset)
            .map_err(|error| io_error(&self.path, error))?;
        let number = self.offset / self.part_size + 1;
        self.offset += length;
        Ok(Some(Part {
            number: u32::try_from(number).map_err(|_| too_large())?,
            bytes: Bytes::from(bytes),
        }))
    }
}

/// The format of a file and its disk's size, by its content.
fn recognize(file: &File, size: u64, path: &Path) -> Result<(DiskFormat, u64)> {
    let unreadable = |error| io_error(path, error);
    let head = read_at(file, 0, 512.min(size)).map_err(unreadable)?;
    let foot = read_at(file, size.saturating_sub(512), 512.min(size)).map_err(unreadable)?;
    if head.starts_with(b"QFI\xfb") {
        return match be_u64(&head, 24) {
            Some(virtual_size) => Ok((DiskFormat::Qcow2, virtual_size)),
            None => Err(refused(path, "is a qcow2 image that was cut off", None)),
        };
    }
    if foot.starts_with(b"conectix") {
        return match be_u64(&foot, 48) {
            Some(virtual_size) => Ok((DiskFormat::Vhd, virtual_size)),
            None => Err(refused(path, "is a VHD image that was cut off", None)),
        };
    }
    if let Some((what, hint)) = foreign(file, size, &head).map_err(unreadable)? {
        return Err(refused(path, what, Some(hint)));
    }
    raw(size, &head, path)
}

/// Anything may be a raw disk, but one that boots has whole sectors and a
/// boot record, with MBR and with GPT.
fn raw(size: u64, head: &[u8], path: &Path) -> Result<(DiskFormat, u64)> {
    if size == 0 {
        return Err(refused(path, "is empty", None));
    }
    if !size.is_multiple_of(512) {
        let hint = "Was it copied whole? A QCOW2 or VHD image would be recognized";
        return Err(refused(
            path,
            "is no disk: it has a part of a sector",
            Some(hint),
        ));
    }
    if head.get(510..512) != Some(&[0x55, 0xaa]) {
        let hint = "ECS imports whole disks that boot, not single partitions or files";
        return Err(refused(
            path,
            "is no disk that boots: it has no partition table",
            Some(hint),
        ));
    }
    Ok((DiskFormat::Raw, size))
}

/// What a file is that would pass for a raw disk, and is none.
fn foreign(
    file: &File,
    size: u64,
    head: &[u8],
) -> io::Result<Option<(&'static str, &'static str)>> {
    const CONVERT: &str = "Convert it, for example with `qemu-img convert -O qcow2`";
    const UNPACK: &str = "Unpack it first";
    const TABLE: &[(&[u8], &str, &str)] = &[
        (
            b"KDMV",
            "is a VMDK image, which ECS does not import",
            CONVERT,
        ),
        (
            b"# Disk DescriptorFile",
            "describes a VMDK image, which ECS does not import",
            CONVERT,
        ),
        (
            b"vhdxfile",
            "is a VHDX image, which ECS does not import",
            CONVERT,
        ),
        (
            b"<<< Oracle VM",
            "is a VDI image, which ECS does not import",
            CONVERT,
        ),
        (
            b"conectix",
            "is a VHD image that was cut off",
            "Copy it again, whole",
        ),
        (b"\x1f\x8b", "is compressed with gzip", UNPACK),
        (b"\xfd7zXZ", "is compressed with xz", UNPACK),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd", UNPACK),
        (b"BZh", "is compressed with bzip2", UNPACK),
    ];
    let known = TABLE.iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, what, hint)) = known {
        return Ok(Some((what, hint)));
    }
    // The second sector of a disk's boot record would be code; installers
    // that boot from both have a partition table and are still installers.
    const ISO: u64 = 32_769;
    let is_iso = size > ISO + 5 && read_at(file, ISO, 5)? == b"CD001";
    Ok(is_iso.then_some((
        "is an ISO image, an installer and no disk",
        "Install it with the `qemu` builder, and import the disk",
    )))
}

fn refused(path: &Path, what: &str, hint: Option<&str>) -> Error {
    let error = Error::new(Kind::Usage, format!("`{}` {what}", path.display()));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn read_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn be_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..offset + 8)?;
    Some(u64::from_be_bytes(word.try_into().ok()?))
}

fn io_error(path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not read `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn qcow2(virtual_size: u64) -> Vec<u8> {
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.resize(24, 0);
        head.extend(virtual_size.to_be_bytes());
        head.resize(512, 0);
        head
    }

    fn raw_disk(size: usize) -> Vec<u8> {
        let mut disk: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk
    }

    fn vhd(virtual_size: u64) -> Vec<u8> {
        let mut content = vec![0; 1024];
        let mut foot = b"conectix".to_vec();
        foot.resize(48, 0);
        foot.extend(virtual_size.to_be_bytes());
        foot.resize(512, 0);
        content.extend(foot);
        content
    }

    #[test]
    fn formats_are_told_by_their_content() {
        let table = [
            (qcow2(5 << 30), DiskFormat::Qcow2, 5 << 30),
            (vhd(7 << 30), DiskFormat::Vhd, 7 << 30),
            (raw_disk(4096), DiskFormat::Raw, 4096),
        ];
        for (content, format, virtual_size) in table {
            let source = PlainFile::open(file(&content).path()).unwrap();
            assert_eq!(
                (source.format(), source.virtual_size()),
                (format, virtual_size)
            );
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let mut iso = vec![0; 40_000];
        iso[32_769..32_774].copy_from_slice(b"CD001");
        let table: [(&[u8], &str); 8] = [
            (b"", "is empty"),
            (&[1; 700], "part of a sector"),
            (&[1; 1024], "no partition table"),
            (b"KDMV....", "VMDK"),
            (b"QFI\xfb", "cut off"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"conectix and no more", "cut off"),
            (&iso, "ISO"),
        ];
        for (content, expected) in table {
            let error = PlainFile::open(file(content).path()).unwrap_err();
            assert!(error.message().contains(expected), "{}", error.message());
            assert_eq!(error.kind(), Kind::Usage);
        }
    }

    #[test]
    fn parts_make_the_file() {
        let content = raw_disk(2560);
        let file = file(&content);
        let source = PlainFile::open(file.path()).unwrap();
        assert_eq!(source.size(), SentSize::Exactly(2560));
        let mut parts = source.parts(1000).unwrap();
        let mut all = Vec::new();
        let mut numbers = Vec::new();
        while let Some(part) = parts.next().unwrap() {
            numbers.push(part.number);
            all.extend(part.bytes);
        }
        assert_eq!((numbers, all), (vec![1, 2, 3], content));
    }
}
