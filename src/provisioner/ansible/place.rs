//! A directory for the keys and files of one run of Ansible, gone with it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Kind, Result};

/// The directory. Only we may look into it.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Result<Self> {
        let made = tempfile::Builder::new().prefix("packer-ansible").tempdir();
        made.map(Self).map_err(|error| {
            Error::new(Kind::Io, "Could not make a temporary directory").with_source(error)
        })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that only we may read.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(content.as_bytes())
        };
        write().map_err(|error| {
            let message = format!("Could not write {}", path.display());
            Error::new(Kind::Io, message).with_source(error)
        })?;
        Ok(path)
    }
}
