//! A file on this machine as the place where parts go.

use std::fs::Permissions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::{Control, Options, PartSink, Summary, write_to};
use crate::disk::Disk;
use crate::error::{Error, Kind, Result};

/// Runs of zeros of this length become holes.
const HOLE: usize = 4096;

/// Writes the disk to a file, which appears when it is complete and replaces
/// one of the same name. Zeros become holes.
///
/// # Errors
/// As [`write_to`], and [`Kind::Io`] when the file cannot be written.
pub fn write_file(
    disk: &dyn Disk,
    options: &Options,
    path: &Path,
    control: Control<'_>,
) -> Result<Summary> {
    let failed = |error: std::io::Error| {
        let message = format!("Cannot write `{}`", path.display());
        Error::new(Kind::Io, message).with_source(error)
    };
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(".alicloud-image-")
        // Less what the umask takes, as for any other file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    let mut sink = FileSink {
        file,
        part_size: options.part_size.max(1) as u64,
    };
    let summary = write_to(disk, options, &mut sink, control);
    let summary = summary.map_err(|error| match error.kind() {
        Kind::Io => error.context(format!("Cannot write `{}`", path.display())),
        _ => error,
    })?;
    let file = sink.file;
    file.as_file().set_len(summary.length).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(summary)
}

struct FileSink {
    file: NamedTempFile,
    part_size: u64,
}

impl PartSink for FileSink {
    fn part(&mut self, number: u32, bytes: Bytes) -> Result<()> {
        let start = u64::from(number - 1) * self.part_size;
        let mut offset = start;
        for block in bytes.chunks(HOLE) {
            if block.iter().any(|byte| *byte != 0) {
                self.file
                    .as_file()
                    .write_all_at(block, offset)
                    .map_err(|error| {
                        let message = format!("Writing {} bytes at {offset:#x}", block.len());
                        Error::new(Kind::Io, message).with_source(error)
                    })?;
            }
            offset += block.len() as u64;
        }
        Ok(())
    }
}
