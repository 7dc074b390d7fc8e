//! Files over the `sftp` subsystem.
//!
//! Source of facts: draft-ietf-secsh-filexfer-02, the version OpenSSH speaks.
//! Many requests are under way at once, and each holds at most one packet, so
//! speed does not depend on the distance and memory stays bounded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::fs::File;
use russh_sftp::client::{Config, SftpSession};
use russh_sftp::protocol::{FileAttributes, FileType, OpenFlags};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::path::{ancestors, checked_name, join, without_tilde};
use super::session::Connection;
use super::transfer::{Transfer, local, new_directory, new_file, remote};
use super::tree::{Entry, mode};
use crate::error::{Error, Kind, Result};

/// Requests under way at once. With 32 KiB each, 2 MiB.
const WRITES: usize = 64;

/// Reads are as large as the server likes (255 KiB with OpenSSH).
const READS: usize = 16;

/// How much is read from a source before it is sent.
const CHUNK: usize = 256 * 1024;

/// A request waits behind those before it, on lines that may be slow. Dead
/// lines are found by the keep-alive.
const PATIENCE_SECONDS: u64 = 300;

/// How long the server may take to close the channel. Its own time.
const END_LIMIT: Duration = Duration::from_secs(5);

/// No honest tree is deeper.
const MAX_DEPTH: usize = 100;

/// A file transfer session.
pub(super) struct Sftp {
    session: SftpSession,
    /// Ends when the server has closed the channel.
    carrier: JoinHandle<()>,
    connection: Arc<Connection>,
}

impl Sftp {
    /// Starts the subsystem on a fresh channel; none when the machine has none.
    pub(super) async fn open(
        connection: &Arc<Connection>,
        mut channel: Channel<Msg>,
    ) -> Result<Option<Self>> {
        let starting = async {
            let request = channel.request_subsystem(true, "sftp").await;
            request.map_err(|error| remote("start", "sftp", error))?;
            if !accepted(&mut channel).await {
                let _ = channel.close().await;
                return Ok(None);
            }
            let config = Config {
                max_concurrent_reads: READS,
                max_concurrent_writes: WRITES,
                request_timeout_secs: PATIENCE_SECONDS,
                ..Config::default()
            };
            let (ours, theirs) = tokio::io::duplex(CHUNK);
            let carrier = tokio::spawn(carry(channel, theirs));
            // The subsystem may be configured while its program is missing.
            let session = SftpSession::new_with_config(ours, config).await;
            Ok(session.ok().map(|session| (session, carrier)))
        };
        let started = connection.unless_lost(starting).await?;
        Ok(started.map(|(session, carrier)| Self {
            session,
            carrier,
            connection: Arc::clone(connection),
        }))
    }

    /// Waits until the server has closed the channel. Dropbear closes one that
    /// is opened while a process of another ends, before anything runs in it.
    async fn end(self) {
        drop(self.session);
        // What was transferred is there, whatever becomes of the channel.
        let _ = tokio::time::timeout(END_LIMIT, self.carrier).await;
    }

    async fn create(&self, path: &str, mode: Option<u32>) -> Result<File, SftpError> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        // The mode comes with the file, so that a secret is never readable.
        let attributes = permissions(mode.unwrap_or(0o644));
        self.session
            .open_with_flags_and_attributes(path, flags, attributes)
            .await
    }

    async fn put(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        path: &str,
        mode: Option<u32>,
    ) -> Result<()> {
        let failed = |error: SftpError| remote("write", path, error);
        let mut file = self.create(path, mode).await.map_err(failed)?;
        if let Some(mode) = mode {
            // The umask applied, or the file was there before.
            let set = file.set_metadata(permissions(mode)).await;
            set.map_err(failed)?;
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = source.read(&mut buffer).await;
            let count = count.map_err(|error| local("read the source of", path, error))?;
            if count == 0 {
                break;
            }
            let written = file.write_all(&buffer[..count]).await;
            written.map_err(|error| remote("write", path, error))?;
        }
        let closed = file.close().await;
        closed.map_err(|error| remote("write", path, error))
    }

    async fn get(
        &self,
        path: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let opened = self.session.open(path).await;
        let mut file = opened.map_err(|error| remote("read", path, error))?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = file.read(&mut buffer).await;
            let count = count.map_err(|error| remote("read", path, error))?;
            if count == 0 {
                break;
            }
            let written = destination.write_all(&buffer[..count]).await;
            written.map_err(|error| local("write the copy of", path, error))?;
        }
        let flushed = destination.flush().await;
        flushed.map_err(|error| local("write the copy of", path, error))
    }

    /// Makes a directory and those it is in. Says whether it is new.
    async fn make_directories(&self, path: &str) -> Result<()> {
        for part in ancestors(path) {
            self.make_directory(part).await?;
        }
        Ok(())
    }

    async fn make_directory(&self, path: &str) -> Result<bool> {
        if self.is_directory(path).await {
            return Ok(false);
        }
        let made = self.session.create_dir(path).await;
        made.map_err(|error| remote("make the directory", path, error))?;
        Ok(true)
    }

    async fn is_directory(&self, path: &str) -> bool {
        let metadata = self.session.metadata(path).await;
        metadata.is_ok_and(|metadata| metadata.file_type().is_dir())
    }

    async fn put_all(&self, entries: &[Entry], destination: &str) -> Result<()> {
        let mut path = destination.to_owned();
        // Directories that are left, with the mode they get when they are new.
        let mut parents = Vec::new();
        for entry in entries {
            match entry {
                Entry::Enter { name, mode } => {
                    let child = join(&path, name);
                    let new = self.make_directory(&child).await?;
                    parents.push((std::mem::replace(&mut path, child), new.then_some(*mode)));
                }
                Entry::File { name, path: source } => {
                    self.put_file(source, &join(&path, name)).await?;
                }
                Entry::Leave => {
                    let Some((parent, mode)) = parents.pop() else {
                        break;
                    };
                    self.set_mode(&std::mem::replace(&mut path, parent), mode)
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn set_mode(&self, path: &str, mode: Option<u32>) -> Result<()> {
        let Some(mode) = mode else { return Ok(()) };
        let set = self.session.set_metadata(path, permissions(mode)).await;
        set.map_err(|error| remote("set the mode of", path, error))
    }

    async fn put_file(&self, source: &Path, destination: &str) -> Result<()> {
        let (mut file, metadata) = super::transfer::open_file(source).await?;
        self.put(&mut file, destination, Some(mode(&metadata)))
            .await
    }

    async fn get_all(&self, source: &str, destination: &Path) -> Result<()> {
        let mut pending = vec![(source.to_owned(), destination.to_owned(), 0)];
        while let Some((source, destination, depth)) = pending.pop() {
            if depth > MAX_DEPTH {
                let message = format!("{source} on the machine leads too deep");
                return Err(Error::new(Kind::Connect, message));
            }
            new_directory(&destination).await?;
            let read = self.session.read_dir(source.as_str()).await;
            for entry in read.map_err(|error| remote("list", &source, error))? {
                let name = entry.file_name();
                let from = join(&source, checked_name(&name)?);
                let to = destination.join(&name);
                let found = self.session.metadata(from.as_str()).await;
                let found = found.map_err(|error| remote("read", &from, error))?;
                match found.file_type() {
                    // A link to a directory may lead in circles.
                    FileType::Dir if entry.file_type().is_symlink() => {}
                    FileType::Dir => pending.push((from, to, depth + 1)),
                    FileType::File => self.get_file(&from, &to, found.permissions).await?,
                    // Reading a pipe or a device may never end.
                    FileType::Symlink | FileType::Other => {}
                }
            }
        }
        Ok(())
    }

    async fn get_file(&self, source: &str, destination: &Path, mode: Option<u32>) -> Result<()> {
        let mut file = new_file(destination, mode).await?;
        self.get(source, &mut file).await
    }
}

/// Carries bytes both ways until the server closes the channel.
async fn carry(channel: Channel<Msg>, side: DuplexStream) {
    let (mut read, write) = channel.split();
    let (mut requests, mut answers) = tokio::io::split(side);
    let send = async {
        // The end of either side shows in the other direction.
        let _ = tokio::io::copy(&mut requests, &mut write.make_writer()).await;
        let _ = write.eof().await;
    };
    let receive = async {
        loop {
            match read.wait().await {
                Some(ChannelMsg::Data { data }) => drop(answers.write_all(&data).await),
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            }
        }
        let _ = answers.shutdown().await;
    };
    tokio::join!(send, receive);
}

async fn accepted(channel: &mut Channel<Msg>) -> bool {
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return true,
            Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return false,
            Some(_) => {}
        }
    }
}

fn permissions(mode: u32) -> FileAttributes {
    FileAttributes {
        permissions: Some(mode),
        ..FileAttributes::empty()
    }
}

#[async_trait]
impl Transfer for Sftp {
    async fn upload(
        self: Box<Self>,
        source: &mut (dyn AsyncRead + Send + Unpin),
        _size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()> {
        let put = self.put(source, without_tilde(destination), mode);
        let outcome = self.connection.unless_lost(put).await;
        self.end().await;
        outcome
    }

    async fn upload_dir(self: Box<Self>, entries: &[Entry], destination: &str) -> Result<()> {
        let destination = without_tilde(destination);
        let put = async {
            self.make_directories(destination).await?;
            self.put_all(entries, destination).await
        };
        let outcome = self.connection.unless_lost(put).await;
        self.end().await;
        outcome
    }

    async fn download(
        self: Box<Self>,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let get = self.get(without_tilde(source), destination);
        let outcome = self.connection.unless_lost(get).await;
        self.end().await;
        outcome
    }

    async fn download_dir(self: Box<Self>, source: &str, destination: &Path) -> Result<()> {
        let get = self.get_all(without_tilde(source), destination);
        let outcome = self.connection.unless_lost(get).await;
        self.end().await;
        outcome
    }
}
