//! Raw images: the file is the disk. Holes of the file are holes of the disk.

use super::host_file::HostFile;
use super::{Check, Disk, Extent, ExtentKind, Format, Info, SECTOR};
use crate::error::Result;

/// A raw image.
#[derive(Debug)]
pub(super) struct Raw {
    file: HostFile,
    info: Info,
}

impl Raw {
    pub(super) fn new(file: HostFile) -> Self {
        let size = file.length().next_multiple_of(SECTOR);
        let info = Info::of(&file, Format::Raw, size);
        Self { file, info }
    }
}

impl Disk for Raw {
    fn info(&self) -> &Info {
        &self.info
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let size = self.virtual_size();
        let (kind, end) = match self.file.data_after(offset)? {
            None => (ExtentKind::Hole, size),
            Some((start, _)) if start > offset => (ExtentKind::Hole, start),
            // The tail that pads the last sector belongs to its data.
            Some((_, end)) if end >= self.file.length() => (ExtentKind::Data, size),
            Some((_, end)) => (ExtentKind::Data, end),
        };
        Ok(Extent {
            start: offset,
            length: end.min(size).saturating_sub(offset).max(1),
            kind,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_padded(offset, buffer)
    }

    fn check(&self) -> Result<Check> {
        Ok(Check::nothing_to_check())
    }
}
