//! A file on this machine, read at positions, with errors that say where.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::failure::{damaged, io as io_failure, unsupported};
use crate::error::Result;

/// An image file or block device.
#[derive(Debug)]
pub(super) struct HostFile {
    file: File,
    path: PathBuf,
    length: u64,
    allocated: u64,
    identity: (u64, u64),
}

impl HostFile {
    /// Opens a regular file or block device; anything else could block or
    /// never end.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error| io_failure(path, "open the disk image", error);
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(unsupported(path, "it is neither a file nor a block device"));
        }
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // The metadata of a block device has no length.
        let length = file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        let allocated = if kind.is_file() {
            metadata.blocks() * 512
        } else {
            length
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            length,
            allocated,
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Device and inode: equal for two names of one file.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Fills the buffer, all of which must be inside the file.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8], what: &str) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            let message = format!(
                "{what} ({} bytes) reaches beyond the end of the file at {:#x}",
                buffer.len(),
                self.length
            );
            return Err(damaged(&self.path, offset, message));
        }
        self.read_exact(offset, buffer)
    }

    /// Fills the buffer; what is behind the end of the file becomes zeros.
    pub(super) fn read_padded(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let inside = self.length.saturating_sub(offset).min(buffer.len() as u64);
        // Not more than the buffer's length, so it fits.
        let (inside, outside) = buffer.split_at_mut(inside as usize);
        outside.fill(0);
        self.read_exact(offset, inside)
    }

    /// Allocates and reads a part of the file. The caller has bounded the
    /// length; what is outside the file is never allocated.
    pub(super) fn read_vec(&self, offset: u64, length: u64, what: &str) -> Result<Vec<u8>> {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > self.length) {
            let message = format!("{what} ({length} bytes) reaches beyond the end of the file");
            return Err(damaged(&self.path, offset, message));
        }
        let mut bytes = vec![0; length as usize];
        self.read_exact(offset, &mut bytes)?;
        Ok(bytes)
    }

    fn read_exact(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| {
            let operation = format!("read {} bytes at {offset:#x} of", buffer.len());
            io_failure(&self.path, &operation, error)
        })
    }

    /// The next stored run at or after `offset`, as start and end; `None` when
    /// there is nothing but a hole up to the end.
    pub(super) fn data_after(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        let failed = |error: Errno| io_failure(&self.path, "find the holes of", error.into());
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // File systems without holes and block devices.
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some((offset, self.length))),
            Err(error) => return Err(failed(error)),
        };
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).map_err(failed)?;
        Ok(Some((start, end)))
    }

    /// The first bytes, fewer when the file is shorter.
    pub(super) fn beginning(&self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file)
            .seek(io::SeekFrom::Start(0))
            .and_then(|_| (&self.file).take(length).read_to_end(&mut bytes))
            .map_err(|error| io_failure(&self.path, "read", error))?;
        Ok(bytes)
    }
}
