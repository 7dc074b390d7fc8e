//! Files to and from the machine, through PowerShell.
//!
//! Packer writes files with `echo`, a process and three requests for every few
//! kilobytes. Here one PowerShell reads everything from its standard input: a
//! line `>PATH` begins a file, `:PATH` makes a directory, any other line is
//! content; paths and content are base64. It answers with the SHA-256 of all
//! content. The scripts must run on PowerShell 2.0 (Windows Server 2008 R2).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::failure::Failure;
use super::powershell::encoded;
use super::shell::{Running, Shells, Shown};
use crate::communicator::{ExitStatus, Output};
use crate::engine::event::Stream;
use crate::error::{Error, Kind, Result};

/// Content of one request: encoded twice it fits into the 150 KiB that Windows
/// Server 2008 R2 takes.
const CHUNK: usize = 72 * 1024;

const RECEIVE_FILES: &str = r"begin {
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$sum = [System.Security.Cryptography.SHA256]::Create()
$file = $null
}
process {
$line = ([string]$_).Trim()
if ($line.Length -eq 0) { return }
$mark = $line.Substring(0, 1)
if (($mark -eq '>') -or ($mark -eq ':')) {
$path = [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String($line.Substring(1)))
$path = [System.Environment]::ExpandEnvironmentVariables($path)
$path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($path)
if ($file) { $file.Close(); $file = $null }
if ($mark -eq ':') { [void][System.IO.Directory]::CreateDirectory($path); return }
[void][System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($path))
$file = [System.IO.File]::Create($path)
return
}
$bytes = [System.Convert]::FromBase64String($line)
$file.Write($bytes, 0, $bytes.Length)
[void]$sum.TransformBlock($bytes, 0, $bytes.Length, $bytes, 0)
}
end {
if ($file) { $file.Close() }
[void]$sum.TransformFinalBlock((New-Object byte[] 1), 0, 0)
[System.Console]::Out.WriteLine([System.BitConverter]::ToString($sum.Hash).Replace('-', ''))
}";

/// `PATH` is base64.
const SEND_FILE: &str = r"$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$path = [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String('PATH'))
$path = [System.Environment]::ExpandEnvironmentVariables($path)
$path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($path)
$file = [System.IO.File]::Open($path, 'Open', 'Read', 'ReadWrite')
$bytes = New-Object byte[] 48000
while (($count = $file.Read($bytes, 0, $bytes.Length)) -gt 0) {
[System.Console]::Out.WriteLine([System.Convert]::ToBase64String($bytes, 0, $count))
}
$file.Close()";

/// Files on their way to the machine.
pub(super) struct Upload<'a> {
    running: Running<'a>,
    sum: Sha256,
    /// Lines that were not sent yet.
    pending: Vec<u8>,
}

impl<'a> Upload<'a> {
    pub(super) async fn start(shells: &'a Shells) -> Result<Self> {
        let line = encoded(RECEIVE_FILES);
        let started = shells.start(&line, true).await;
        Ok(Self {
            running: started.map_err(Failure::into_error)?,
            sum: Sha256::new(),
            pending: Vec::new(),
        })
    }

    pub(super) fn directory(&mut self, path: &str) {
        self.line(":", path.as_bytes());
    }

    /// Sends a file.
    pub(super) async fn file(
        &mut self,
        path: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), Interrupted> {
        self.line(">", path.as_bytes());
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.clear();
            let mut limited = (&mut *source).take(CHUNK as u64);
            limited.read_to_end(&mut chunk).await?;
            if chunk.is_empty() {
                return Ok(());
            }
            self.sum.update(&chunk);
            self.line("", &chunk);
            self.flush_if_full().await?;
        }
    }

    fn line(&mut self, mark: &str, content: &[u8]) {
        self.pending.extend_from_slice(mark.as_bytes());
        let encoded = STANDARD.encode(content);
        self.pending.extend_from_slice(encoded.as_bytes());
        self.pending.extend_from_slice(b"\r\n");
    }

    /// Small files share a request.
    async fn flush_if_full(&mut self) -> Result<(), Interrupted> {
        const ENCODED_CHUNK: usize = CHUNK / 3 * 4;
        while self.pending.len() >= ENCODED_CHUNK {
            let now: Vec<u8> = self.pending.drain(..ENCODED_CHUNK).collect();
            self.running.send(&now, false).await?;
        }
        Ok(())
    }

    /// Sends the rest and compares the sums.
    pub(super) async fn finish(self, sent: Result<(), Interrupted>) -> Result<()> {
        let Self {
            running,
            sum,
            pending,
        } = self;
        let sent = match sent {
            Ok(()) => running
                .send(&pending, true)
                .await
                .map_err(Interrupted::from),
            Err(Interrupted::Source(error)) => {
                let message = "Could not read the file to upload";
                return Err(Error::new(Kind::Io, message).with_source(error));
            }
            Err(interrupted) => Err(interrupted),
        };
        // A script that failed takes no more input; its errors say why.
        let mut said = Said::default();
        let status = match &sent {
            Ok(()) | Err(Interrupted::Request(Failure::Fault(_))) => {
                running.follow(&mut said).await
            }
            Err(_) => ExitStatus::Disconnected,
        };
        if let (Err(Interrupted::Request(failure)), ExitStatus::Disconnected) = (sent, status) {
            return Err(failure.into_error());
        }
        said.check(status)?;
        let expected: String = sum
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        match String::from_utf8_lossy(&said.output).trim() == expected {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Connect,
                "The machine received other bytes than were sent",
            )),
        }
    }
}

/// Why an upload did not go on.
pub(super) enum Interrupted {
    Source(std::io::Error),
    Request(Failure),
}

impl From<std::io::Error> for Interrupted {
    fn from(error: std::io::Error) -> Self {
        Self::Source(error)
    }
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

/// Sends the entries of a directory.
pub(super) async fn upload_tree(
    upload: &mut Upload<'_>,
    source: &Path,
    destination: &str,
) -> Result<(), Interrupted> {
    let mut directories = vec![(source.to_owned(), destination.to_owned())];
    while let Some((from, to)) = directories.pop() {
        upload.directory(&to);
        let mut entries = tokio::fs::read_dir(&from).await?;
        while let Some(entry) = entries.next_entry().await? {
            let target = format!("{to}/{}", entry.file_name().to_string_lossy());
            // Follows links, as Packer does.
            if tokio::fs::metadata(entry.path()).await?.is_dir() {
                directories.push((entry.path(), target));
            } else {
                let mut file = tokio::fs::File::open(entry.path()).await?;
                upload.file(&target, &mut file).await?;
            }
        }
    }
    Ok(())
}

/// Reads a file of the machine.
pub(super) async fn download(
    shells: &Shells,
    source: &str,
    destination: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<()> {
    let line = encoded(&SEND_FILE.replace("PATH", &STANDARD.encode(source)));
    let running = shells.start(&line, false).await;
    let running = running.map_err(Failure::into_error)?;
    let (mut shown, mut said) = (Shown::default(), Decoded::default());
    let status = loop {
        let ended = running.next(&mut shown, &mut said).await;
        let written = destination.write_all(&said.content).await;
        written.map_err(|error| {
            Error::new(Kind::Io, "Could not write the downloaded file").with_source(error)
        })?;
        said.content.clear();
        if let Some(status) = ended {
            break status;
        }
    };
    running.end(status).await;
    said.rest.check(status)?;
    if said.is_damaged {
        let message = "The machine sent something else than the file";
        return Err(Error::new(Kind::Connect, message));
    }
    Ok(())
}

/// What a script of ours said.
#[derive(Default)]
struct Said {
    output: Vec<u8>,
    errors: Vec<String>,
}

impl Said {
    /// Fails unless the script has ended well.
    fn check(&self, status: ExitStatus) -> Result<()> {
        match status {
            ExitStatus::Code(0) => Ok(()),
            ExitStatus::Code(code) => {
                let why = self.errors.join(" ");
                let why = why.trim();
                let why = match why.is_empty() {
                    true => format!("exit code {code}"),
                    false => why.to_owned(),
                };
                Err(Error::new(
                    Kind::Provision,
                    format!("PowerShell failed: {why}"),
                ))
            }
            ExitStatus::Disconnected => {
                Err(Error::new(Kind::Connect, "The WinRM connection was lost"))
            }
        }
    }
}

impl Output for Said {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        match stream {
            Stream::Stdout => self.output.extend_from_slice(line),
            Stream::Stderr => self.errors.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
}

/// Content that comes as lines of base64.
#[derive(Default)]
struct Decoded {
    content: Vec<u8>,
    is_damaged: bool,
    rest: Said,
}

impl Output for Decoded {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        if stream == Stream::Stderr {
            return self.rest.line(stream, line);
        }
        match STANDARD.decode(line) {
            Ok(bytes) => self.content.extend_from_slice(&bytes),
            Err(_) => self.is_damaged = true,
        }
    }
}
