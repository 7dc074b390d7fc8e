//! Disk images: reading qcow2, raw, VHD and VMDK, checking them, and writing
//! them again in one pass.
//!
//! Everything here works on untrusted files: sizes, offsets and chains are
//! checked before they are used, and memory is bounded by constants that say
//! where they come from. It knows no cloud and no template, and never writes
//! to an image it reads. Facts: QEMU's `docs/interop/qcow2.txt`, Microsoft's
//! "Virtual Hard Disk Image Format Specification" 1.0, VMware's "Virtual Disk
//! Format 5.0"; where they leave room, what `qemu-img` does.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Result;

pub mod boot;
mod chain;
mod check;
mod failure;
mod free;
mod host_file;
mod inflate;
mod qcow2;
mod raw;
pub mod report;
pub mod stream;
mod vhd;
mod vmdk;

pub use check::Check;

/// Sizes of disks are multiples of this; a raw file's odd tail is padded.
pub const SECTOR: u64 = 512;

/// A disk image, opened for reading.
pub trait Disk: Send + Sync + fmt::Debug {
    /// What is known without reading the contents.
    fn info(&self) -> &Info;

    /// The size that a guest sees, in bytes; a multiple of [`SECTOR`].
    fn virtual_size(&self) -> u64 {
        self.info().virtual_size
    }

    /// The run of equal kind that begins at `offset`, which must be below the
    /// virtual size. It is never empty, but the next run may be of the same
    /// kind.
    ///
    /// # Errors
    /// [`Kind::Disk`](crate::error::Kind::Disk) when the tables are damaged,
    /// [`Kind::Io`](crate::error::Kind::Io) when they cannot be read.
    fn extent_at(&self, offset: u64) -> Result<Extent>;

    /// Fills the buffer with what a guest reads at `offset`; what lies behind
    /// the end reads as zeros.
    ///
    /// # Errors
    /// As [`extent_at`](Self::extent_at), and when compressed data is damaged.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Checks the image's own tables, without its backing files.
    ///
    /// # Errors
    /// When the file cannot be read; damage is part of the answer.
    fn check(&self) -> Result<Check>;
}

/// All extents of a disk, neighbours of equal kind merged.
pub fn extents(disk: &dyn Disk) -> Extents<'_> {
    Extents { disk, position: 0 }
}

/// Iterator of [`extents`]. It ends after the first error.
#[derive(Debug)]
pub struct Extents<'a> {
    disk: &'a dyn Disk,
    position: u64,
}

impl Iterator for Extents<'_> {
    type Item = Result<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.disk.virtual_size();
        let mut merged: Option<Extent> = None;
        while self.position < size {
            let next = match self.disk.extent_at(self.position) {
                Ok(next) => next,
                Err(error) => {
                    self.position = size;
                    return Some(Err(error));
                }
            };
            match &mut merged {
                Some(extent) if extent.kind != next.kind => break,
                Some(extent) => extent.length += next.length,
                None => merged = Some(next),
            }
            self.position = next.end();
        }
        merged.map(Ok)
    }
}

/// A run of bytes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// What is there.
    pub kind: ExtentKind,
}

impl Extent {
    /// The offset behind its last byte.
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// What an extent holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Stored bytes, which may be zeros.
    Data,
    /// Zeros that the image says are there.
    Zero,
    /// Nothing was ever stored; reads as zeros.
    Hole,
}

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
    /// The bytes of the disk.
    Raw,
    /// Microsoft's format of Virtual PC, which `qemu-img` calls `vpc`.
    Vhd,
    /// VMware's sparse format.
    Vmdk,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
        })
    }
}

/// What is known of an image without reading its contents.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The variant of the format, for example `version 3` or `dynamic`.
    pub variant: String,
    /// The size that a guest sees, in bytes.
    pub virtual_size: u64,
    /// The length of the file, in bytes.
    pub file_length: u64,
    /// What the file occupies in its file system, in bytes.
    pub allocated: u64,
    /// The unit of allocation in bytes, if the format has one.
    pub cluster_size: Option<u64>,
    /// How clusters may be compressed.
    pub compression: Option<&'static str>,
    /// Properties of the format that are in use, by name.
    pub features: Vec<&'static str>,
    /// How many internal snapshots there are.
    pub snapshots: u32,
    /// The files that hold what this one does not, nearest first.
    pub backing: Vec<PathBuf>,
    /// The file that holds the data, if it is not this one.
    pub data_file: Option<PathBuf>,
    /// What a user should know before using it.
    pub warnings: Vec<String>,
}

impl Info {
    /// Of an image that is this file, and of which no more is known.
    fn of(file: &host_file::HostFile, format: Format, virtual_size: u64) -> Self {
        Self {
            path: file.path().to_owned(),
            format,
            variant: String::new(),
            virtual_size,
            file_length: file.length(),
            allocated: file.allocated(),
            cluster_size: None,
            compression: None,
            features: Vec::new(),
            snapshots: 0,
            backing: Vec::new(),
            data_file: None,
            warnings: Vec::new(),
        }
    }
}

/// The part of a buffer that is inside a disk of this size; the rest is filled
/// with zeros.
fn inside(buffer: &mut [u8], offset: u64, size: u64) -> &mut [u8] {
    let length = size.saturating_sub(offset).min(buffer.len() as u64) as usize;
    let (inside, outside) = buffer.split_at_mut(length);
    outside.fill(0);
    inside
}

/// Opens an image and all that it refers to; the content tells the format.
///
/// # Errors
/// [`Kind::Disk`](crate::error::Kind::Disk) when it is damaged or of a variant
/// that cannot be read, [`Kind::Io`](crate::error::Kind::Io) when a file
/// cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn Disk>> {
    chain::Chain::default().open(path, None)
}

/// As [`open`], for a file whose format is known.
///
/// # Errors
/// As [`open`].
pub fn open_as(path: &Path, format: Format) -> Result<Box<dyn Disk>> {
    chain::Chain::default().open(path, Some(format))
}
