//! A file that a report keeps up to date. One that cannot be written does not
//! fail the run, but whoever waits for it is told.

use std::io;
use std::path::{Path, PathBuf};

use crate::owner;

/// A file, and why it could not be written.
pub(super) struct File {
    pub(super) path: PathBuf,
    is_told: bool,
    trouble: Option<String>,
}

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_told: false,
            trouble: None,
        }
    }

    /// Writes the whole file.
    pub(super) fn write(&mut self, text: &str) {
        let written = write(&self.path, text);
        self.note(written);
    }

    /// Takes note of an attempt to write it.
    pub(super) fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            let path = self.path.display();
            self.trouble = Some(format!("Cannot write `{path}`: {error}"));
        }
    }

    /// Why it could not be written, once.
    pub(super) fn trouble(&mut self) -> Option<String> {
        let trouble = self.trouble.take().filter(|_| !self.is_told);
        self.is_told |= trouble.is_some();
        trouble
    }
}

/// As it is, because it may be a pipe or a device.
fn write(path: &Path, text: &str) -> io::Result<()> {
    owner::make_directories_above(path)?;
    std::fs::write(path, text)?;
    if path.is_file() {
        owner::hand_over(path);
    }
    Ok(())
}
