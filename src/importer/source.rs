//! What is imported: a disk image on this machine, and how it is sent.
//!
//! A disk is read and written again on the way ([`crate::disk::stream`]):
//! what is empty, free or without compression is not worth sending, and a
//! chain of backing files becomes one image. That is done to qcow2 as well, as
//! one that `qemu-img` compressed still has what was deleted, and takes no
//! more time than sending it. `skip_conversion` sends the file's own bytes.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::cloud::oss::upload::PartSource;
use crate::disk::stream::{self, FreeSpace, Level, Output, Summary, Window};
use crate::disk::{self, Disk, Format};
use crate::error::{Error, Kind, Result};
use crate::plan::import::{DiskFormat, Import};

mod foreign;
mod parts;

use parts::{FileParts, Pass};

/// Settles the level of an epoch of the disk, see
/// [`stream::Control::settle_level`].
pub type SettleLevel = Box<dyn Fn(u64, u8) -> Result<u8> + Send + Sync>;

/// A disk image and how it is sent.
#[derive(Debug)]
pub struct DiskSource {
    disk: Arc<dyn Disk>,
    identity: String,
    format: DiskFormat,
    sending: Sending,
    size: SentSize,
    state: Arc<State>,
}

#[derive(Debug, Clone, Copy)]
enum Sending {
    AsItIs,
    Converted(stream::Options),
}

/// How far the pass over the disk is.
#[derive(Debug, Default)]
struct State {
    /// In bytes of the virtual disk.
    position: AtomicU64,
    summary: OnceLock<Summary>,
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

impl DiskSource {
    /// Opens an image to be sent as the options say.
    ///
    /// # Errors
    /// `Kind::Io` when it cannot be read, `Kind::Usage` when it is no disk,
    /// `Kind::Disk` when it is damaged or of a kind that cannot be read.
    pub fn open(path: &Path, options: &Import) -> Result<Self> {
        foreign::refuse(path)?;
        let disk: Arc<dyn Disk> = Arc::from(disk::open(path)?);
        let wanted = options.format.as_ref().map(|format| format.value);
        let (format, sending, size) = if options.skip_conversion {
            let length = disk.info().file_length;
            let format = own_format(disk.as_ref())?;
            (format, Sending::AsItIs, SentSize::Exactly(length))
        } else {
            let format = wanted.unwrap_or(DiskFormat::Qcow2);
            let conversion = conversion(format, options);
            let longest = stream::longest_output(disk.as_ref(), conversion.output)?;
            let size = match format {
                DiskFormat::Raw => SentSize::Exactly(disk.virtual_size()),
                DiskFormat::Vhd | DiskFormat::Qcow2 => SentSize::AtMost(longest),
            };
            (format, Sending::Converted(conversion), size)
        };
        Ok(Self {
            identity: identity(disk.as_ref(), format, sending)?,
            disk,
            format,
            sending,
            size,
            state: Arc::default(),
        })
    }

    /// The disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// What it is called, for people.
    pub fn name(&self) -> String {
        self.path().display().to_string()
    }

    /// What it is called in a journal: the same in a later run when the same
    /// parts will be sent, else another.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The format of what is sent.
    pub fn format(&self) -> DiskFormat {
        self.format
    }

    /// Whether the file is sent as it is.
    pub fn is_sent_as_it_is(&self) -> bool {
        matches!(self.sending, Sending::AsItIs)
    }

    /// The size of the disk that a guest sees, in bytes.
    pub fn virtual_size(&self) -> u64 {
        self.disk.virtual_size()
    }

    /// How many bytes are sent, or the most that may be.
    pub fn size(&self) -> SentSize {
        self.size
    }

    /// How much of the disk has been read, in percent; nothing for a file that
    /// is sent as it is.
    pub fn percent_read(&self) -> Option<u64> {
        let position = self.state.position.load(Ordering::Relaxed);
        let is_converted = !self.is_sent_as_it_is();
        is_converted.then(|| position * 100 / self.virtual_size().max(1))
    }

    /// What the pass did, once it has ended.
    pub fn summary(&self) -> Option<&Summary> {
        self.state.summary.get()
    }

    /// What makes the parts; all but the last one have `part_size` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn parts(&self, part_size: u64, settle_level: SettleLevel) -> Result<Box<dyn PartSource>> {
        match self.sending {
            Sending::AsItIs => Ok(Box::new(FileParts::open(self.path(), part_size)?)),
            Sending::Converted(options) => Ok(Box::new(Pass {
                disk: Arc::clone(&self.disk),
                options: stream::Options {
                    part_size: usize::try_from(part_size).unwrap_or(usize::MAX),
                    ..options
                },
                settle_level,
                state: Arc::clone(&self.state),
            })),
        }
    }

    fn path(&self) -> &Path {
        &self.disk.info().path
    }
}

fn conversion(format: DiskFormat, options: &Import) -> stream::Options {
    let output = match format {
        DiskFormat::Raw => Output::Raw,
        DiskFormat::Vhd => Output::VhdDynamic,
        DiskFormat::Qcow2 => Output::Qcow2,
    };
    let defaults = stream::Options::new(output);
    stream::Options {
        level: match format {
            DiskFormat::Qcow2 => Level::Adaptive,
            DiskFormat::Raw | DiskFormat::Vhd => defaults.level,
        },
        window: match options.strict_window {
            true => Window::Strict,
            false => defaults.window,
        },
        free_space: match options.keep_free_blocks {
            true => FreeSpace::Keep,
            false => FreeSpace::Drop,
        },
        ..defaults
    }
}

/// The format of a file that is sent as it is.
fn own_format(disk: &dyn Disk) -> Result<DiskFormat> {
    let info = disk.info();
    let refuse = |what: &str| {
        let message = format!("`{}` {what}", info.path.display());
        Err(Error::new(Kind::Usage, message)
            .with_hint("Leave `skip_conversion` out: the disk is converted on the way"))
    };
    match info.format {
        _ if !info.backing.is_empty() => refuse("has a backing file, so it is no whole disk"),
        _ if info.data_file.is_some() => refuse("has its data in another file"),
        Format::Qcow2 => Ok(DiskFormat::Qcow2),
        Format::Vhd => Ok(DiskFormat::Vhd),
        Format::Raw => Ok(DiskFormat::Raw),
        Format::Vmdk => refuse("is a VMDK image, which ECS does not import"),
    }
}

/// Equal for equal parts: the files the disk is made of, and all that decides
/// on the bytes.
fn identity(disk: &dyn Disk, format: DiskFormat, sending: Sending) -> Result<String> {
    let info = disk.info();
    let files = [&info.path].into_iter().chain(&info.backing);
    let files: Vec<_> = files
        .chain(&info.data_file)
        .map(|path| file_identity(path))
        .collect::<Result<_>>()?;
    let how = match sending {
        Sending::AsItIs => "as it is".to_owned(),
        Sending::Converted(options) => format!(
            "as {}, {:?} window, free blocks {:?}, by {}",
            format.name(),
            options.window,
            options.free_space,
            env!("CARGO_PKG_VERSION")
        ),
    };
    Ok(format!("{} {how}", files.join(" on ")))
}

fn file_identity(path: &Path) -> Result<String> {
    let unreadable = |error| io_error(path, error);
    let metadata = path.metadata().map_err(unreadable)?;
    let full: PathBuf = path.canonicalize().map_err(unreadable)?;
    Ok(format!(
        "{} of {} bytes, written {}.{:09}",
        full.display(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| io_error(path, error))
}

fn io_error(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not read `{}`", path.display())).with_source(error)
}
