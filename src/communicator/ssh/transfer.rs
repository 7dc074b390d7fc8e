//! What the two ways of copying files have in common.

use std::fs::Metadata;
use std::path::Path;

use async_trait::async_trait;
use tokio::fs::{self, File};
use tokio::io::{AsyncRead, AsyncWrite};

use super::tree::Entry;
use crate::error::{Error, Kind, Result};

/// One way of copying files, for one call. Semantics: [`Communicator`].
///
/// [`Communicator`]: crate::communicator::Communicator
#[async_trait]
pub(super) trait Transfer: Send {
    async fn upload(
        self: Box<Self>,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()>;

    async fn upload_dir(self: Box<Self>, entries: &[Entry], destination: &str) -> Result<()>;

    async fn download(
        self: Box<Self>,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()>;

    async fn download_dir(self: Box<Self>, source: &str, destination: &Path) -> Result<()>;
}

/// Opens a local file that is to be sent.
pub(super) async fn open_file(path: &Path) -> Result<(File, Metadata)> {
    let open = async {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        Ok((file, metadata))
    };
    open.await
        .map_err(|error| local("read", &path.display().to_string(), error))
}

/// Makes a local file for a copy. `mode` gives its permission bits, without
/// those that would let it run as somebody else.
pub(super) async fn new_file(path: &Path, mode: Option<u32>) -> Result<File> {
    let mode = mode.map_or(0o644, |mode| mode & 0o777);
    let mut options = fs::OpenOptions::new();
    // We must be able to write what we make.
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode | 0o200);
    let opened = options.open(path).await;
    opened.map_err(|error| local("write", &path.display().to_string(), error))
}

/// Makes a local directory, unless it is there.
pub(super) async fn new_directory(path: &Path) -> Result<()> {
    let made = fs::create_dir_all(path).await;
    made.map_err(|error| local("make the directory", &path.display().to_string(), error))
}

/// The error of something on this machine.
pub(super) fn local(what: &str, path: &str, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not {what} {path}")).with_source(error)
}

/// The error of something on the other machine.
pub(super) fn remote(
    what: &str,
    path: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let message = format!("Could not {what} {path} on the machine");
    Error::new(Kind::Connect, message).with_source(error)
}
