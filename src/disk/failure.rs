//! The errors of this module: each names the file, where, and what.

use std::fmt::Display;
use std::path::Path;

use crate::error::{Error, Kind};

/// The file contradicts its format. `offset` is where in the file.
pub(super) fn damaged(path: &Path, offset: u64, what: impl Display) -> Error {
    let message = format!(
        "The disk image `{}` is damaged at offset {offset:#x}: {what}",
        path.display()
    );
    Error::new(Kind::Disk, message)
}

/// The file may be fine, but we do not read such ones.
pub(super) fn unsupported(path: &Path, what: impl Display) -> Error {
    let message = format!("Cannot use the disk image `{}`: {what}", path.display());
    Error::new(Kind::Disk, message)
}

/// The operating system failed us.
pub(super) fn io(path: &Path, operation: &str, error: std::io::Error) -> Error {
    let message = format!("Cannot {operation} `{}`", path.display());
    Error::new(Kind::Io, message).with_source(error)
}
