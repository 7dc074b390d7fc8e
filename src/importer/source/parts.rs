//! The parts of an object: of a file as it is, and of a pass over a disk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{SettleLevel, State, io_error, open_file};
use crate::cloud::oss::upload::{Part, PartQueue, PartSource};
use crate::disk::Disk;
use crate::disk::stream::{self, Control, PartSink};
use crate::error::{Error, Kind, Result};

/// A pass over a disk, whose parts come as [`PartSink`] says.
pub(super) struct Pass {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: stream::Options,
    pub(super) settle_level: SettleLevel,
    pub(super) state: Arc<State>,
}

impl PartSource for Pass {
    fn part_size(&self) -> u64 {
        self.options.part_size as u64
    }

    fn run(&mut self, queue: &PartQueue) -> Result<()> {
        let position = &self.state.position;
        let control = Control {
            is_stopped: &|| queue.is_closed(),
            is_send_queue_full: &|| queue.is_full(),
            settle_level: &*self.settle_level,
            progress: &|done| position.store(done, Ordering::Relaxed),
        };
        let mut sink = QueueSink(queue);
        let summary = stream::write_to(self.disk.as_ref(), &self.options, &mut sink, control)?;
        // A pass runs once.
        let _ = self.state.summary.set(summary);
        Ok(())
    }
}

struct QueueSink<'a>(&'a PartQueue);

impl PartSink for QueueSink<'_> {
    fn part(&mut self, number: u32, bytes: Bytes) -> Result<()> {
        self.0.put(Part { number, bytes })
    }
}

/// A file, cut into parts.
pub(super) struct FileParts {
    file: File,
    path: PathBuf,
    size: u64,
    part_size: u64,
}

impl FileParts {
    pub(super) fn open(path: &Path, part_size: u64) -> Result<Self> {
        let file = open_file(path)?;
        let metadata = file.metadata().map_err(|error| io_error(path, error))?;
        Ok(Self {
            size: metadata.len(),
            file,
            path: path.to_owned(),
            part_size,
        })
    }

    fn part(&self, offset: u64) -> Result<Part> {
        let too_large = || Error::new(Kind::Internal, "A part does not fit into memory");
        let length = (self.size - offset).min(self.part_size);
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large())?];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| io_error(&self.path, error))?;
        let number = offset / self.part_size + 1;
        Ok(Part {
            number: u32::try_from(number).map_err(|_| too_large())?,
            bytes: Bytes::from(bytes),
        })
    }
}

impl PartSource for FileParts {
    fn part_size(&self) -> u64 {
        self.part_size
    }

    fn run(&mut self, queue: &PartQueue) -> Result<()> {
        let mut offset = 0;
        while offset < self.size {
            queue.put(self.part(offset)?)?;
            offset += self.part_size;
        }
        Ok(())
    }
}
