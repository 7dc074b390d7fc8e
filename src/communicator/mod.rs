//! Talking to a machine: one small trait, an implementation per protocol.

mod lines;
mod show;
pub mod ssh;
pub mod winrm;

use std::path::Path;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::event::Stream;
use crate::error::{Error, Kind, Result};

pub use show::Show;

/// A connection to a machine. Lost connections are made again by the next
/// call. Every call ends early when the build is stopped.
#[async_trait]
pub trait Communicator: Send + Sync {
    /// Runs a command and hands its output over line by line while it runs.
    async fn exec(&self, command: &str, output: &mut dyn Output) -> Result<ExitStatus>;

    /// Writes a file. `size` is the number of bytes `source` will give; `mode`
    /// is set when known, else the file gets 0644.
    async fn upload(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()>;

    /// Copies a directory. A `source` that ends with `/` means its contents
    /// go into `destination`; otherwise `destination/name-of-source` is made.
    async fn upload_dir(&self, source: &Path, destination: &str) -> Result<()>;

    /// Reads a file.
    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()>;

    /// Copies a directory's contents into a local directory.
    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()>;

    /// Runs a program whose bytes pass unchanged in both directions, for
    /// somebody else's SSH client (see [`ssh::adapter`]).
    ///
    /// # Errors
    /// [`Kind::Connect`] when the program cannot be started, or the protocol
    /// has no such thing; [`Kind::Io`] when a pipe of this side breaks.
    async fn relay(&self, _program: Program<'_>, _pipes: Pipes<'_>) -> Result<ExitStatus> {
        let message = "This kind of connection cannot pass bytes through";
        Err(Error::new(Kind::Connect, message))
    }

    /// Ends the connection. Later calls fail.
    async fn close(&self);
}

/// What [`Communicator::relay`] runs.
#[derive(Debug, Clone, Copy)]
pub enum Program<'a> {
    /// A command line for the user's shell.
    Command {
        /// Its bytes, as the client sent them.
        line: &'a [u8],
        /// Whether a terminal would do; it gets one if the template says so.
        terminal: bool,
    },
    /// The SFTP server.
    Sftp,
}

/// The standard streams of a relayed program.
pub struct Pipes<'a> {
    /// What it reads.
    pub stdin: &'a mut (dyn AsyncRead + Send + Unpin),
    /// What it writes.
    pub stdout: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// What it complains about.
    pub stderr: &'a mut (dyn AsyncWrite + Send + Unpin),
}

/// Takes the output of a command.
pub trait Output: Send {
    /// One line without its end, or the beginning of a very long one.
    /// Untrusted; may hold any bytes.
    fn line(&mut self, stream: Stream, line: &[u8]);

    /// A further piece of a very long line.
    fn rest_of_line(&mut self, stream: Stream, piece: &[u8]) {
        self.line(stream, piece);
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It returned this code; 128 + n when signal n killed it.
    Code(u32),
    /// The connection was lost before it said.
    Disconnected,
}

impl ExitStatus {
    /// The number Packer uses for a lost connection.
    pub const DISCONNECTED_CODE: u32 = 2_300_218;

    /// The number to compare with `valid_exit_codes`.
    pub fn code(self) -> u32 {
        match self {
            Self::Code(code) => code,
            Self::Disconnected => Self::DISCONNECTED_CODE,
        }
    }
}
