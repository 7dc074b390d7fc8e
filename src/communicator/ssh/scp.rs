//! Files through the `scp` program on the machine.
//!
//! The protocol has no document; its source of facts is OpenSSH's `scp.c`
//! (`sink` and `source`). We speak the part of the local program: `-t` takes
//! files, `-f` gives them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use russh::ChannelMsg;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::path::{checked_name, quote, split, without_tilde};
use super::session::{Reply, Session, lost};
use super::transfer::{Transfer, local, new_directory, new_file, open_file};
use super::tree::{Entry, mode};
use crate::error::{Error, Kind, Result};

const CHUNK: usize = 256 * 1024;

/// A control line is a mode, a size and a name.
const LONGEST_LINE: usize = 8 * 1024;

/// How much of what the program complains about is kept.
const LONGEST_COMPLAINT: usize = 4 * 1024;

/// What a shell returns for a program it does not find.
const NOT_FOUND: u32 = 127;

/// Copies files with a program of its own.
pub(super) struct Scp {
    session: Session,
}

impl Scp {
    /// Uses a fresh session.
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Transfer for Scp {
    async fn upload(
        self: Box<Self>,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()> {
        let (directory, name) = split(without_tilde(destination));
        let name = checked_name(name)?;
        // -d: without the directory the file must not take its place.
        let command = format!("scp -d -t {}", quote(directory));
        let mut program = Program::start(self.session, &command).await?;
        program.acknowledged().await?;
        let mode = mode.unwrap_or(0o644);
        program.put(source, size, name, mode).await?;
        program.finish().await
    }

    async fn upload_dir(self: Box<Self>, entries: &[Entry], destination: &str) -> Result<()> {
        let directory = quote(destination);
        let command = format!("mkdir -p {directory} && scp -r -d -t {directory}");
        let mut program = Program::start(self.session, &command).await?;
        program.acknowledged().await?;
        for entry in entries {
            match entry {
                Entry::Enter { name, mode } => {
                    program.control(&format!("D{mode:04o} 0 {name}")).await?;
                }
                Entry::File { name, path } => {
                    let (mut file, metadata) = open_file(path).await?;
                    let (size, mode) = (metadata.len(), mode(&metadata));
                    program.put(&mut file, size, name, mode).await?;
                }
                Entry::Leave => program.control("E").await?,
            }
        }
        program.finish().await
    }

    async fn download(
        self: Box<Self>,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let command = format!("scp -f {}", quote(source));
        let mut program = Program::start(self.session, &command).await?;
        program.acknowledge().await?;
        match program.next_control().await? {
            Some(Control::File { size, .. }) => program.get(size, destination, source).await?,
            _ => return Err(protocol_error("no file")),
        }
        program.finish().await
    }

    async fn download_dir(self: Box<Self>, source: &str, destination: &Path) -> Result<()> {
        let command = format!("scp -r -f {}", quote(source));
        let mut program = Program::start(self.session, &command).await?;
        program.acknowledge().await?;
        program.get_all(destination).await?;
        program.finish().await
    }
}

/// What the giving program says next.
#[derive(Debug, PartialEq, Eq)]
enum Control {
    File { mode: u32, size: u64, name: String },
    Enter { mode: u32, name: String },
    Leave,
}

/// The `scp` program at the other end.
struct Program {
    session: Session,
    received: BytesMut,
    complaints: Vec<u8>,
    exit: Option<u32>,
}

impl Program {
    async fn start(mut session: Session, command: &str) -> Result<Self> {
        let request = session.write().exec(true, command).await;
        request.map_err(|error| lost().with_source(error))?;
        match session.reply().await {
            Reply::Accepted => Ok(Self {
                session,
                received: BytesMut::new(),
                complaints: Vec::new(),
                exit: None,
            }),
            Reply::Refused => Err(Error::new(
                Kind::Connect,
                "The SSH server refused to run scp",
            )),
            Reply::Gone => Err(lost()),
        }
    }

    /// Sends a file after its control line.
    async fn put(
        &mut self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        name: &str,
        mode: u32,
    ) -> Result<()> {
        self.control(&format!("C{mode:04o} {size} {name}")).await?;
        let mut left = size;
        let mut source = source.take(size);
        while left > 0 {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            let count = source.read_buf(&mut chunk).await;
            let count = count.map_err(|error| local("read the source of", name, error))?;
            if count == 0 {
                let message = format!("The source of {name} became shorter while it was sent");
                return Err(Error::new(Kind::Io, message));
            }
            left = left.saturating_sub(count as u64);
            self.send(chunk.freeze()).await?;
        }
        self.acknowledge().await?;
        self.acknowledged().await
    }

    /// Sends a control line and waits until it was understood.
    async fn control(&mut self, line: &str) -> Result<()> {
        if line.contains('\n') {
            let message = "scp cannot send a file whose name holds a line end";
            return Err(
                Error::new(Kind::Io, message).with_hint("Use ssh_file_transfer_method sftp")
            );
        }
        self.send(Bytes::from(format!("{line}\n"))).await?;
        self.acknowledged().await
    }

    /// Takes a file whose control line came.
    async fn get(
        &mut self,
        size: u64,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
        name: &str,
    ) -> Result<()> {
        let failed = |error| local("write the copy of", name, error);
        self.acknowledge().await?;
        let mut left = size;
        while left > 0 {
            self.fill().await?;
            let count = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.received.len());
            let chunk = self.received.split_to(count);
            destination.write_all(&chunk).await.map_err(failed)?;
            left -= count as u64;
        }
        destination.flush().await.map_err(failed)?;
        self.acknowledged().await?;
        self.acknowledge().await
    }

    /// Takes a directory; its own name does not matter.
    async fn get_all(&mut self, destination: &Path) -> Result<()> {
        let mut directory: Option<PathBuf> = None;
        while let Some(control) = self.next_control().await? {
            match (control, directory.take()) {
                (Control::Enter { .. }, None) => {
                    new_directory(destination).await?;
                    directory = Some(destination.to_owned());
                    self.acknowledge().await?;
                }
                (Control::Enter { name, .. }, Some(parent)) => {
                    let child = parent.join(checked_name(&name)?);
                    new_directory(&child).await?;
                    directory = Some(child);
                    self.acknowledge().await?;
                }
                (Control::File { mode, size, name }, Some(parent)) => {
                    let path = parent.join(checked_name(&name)?);
                    let mut file = new_file(&path, Some(mode)).await?;
                    self.get(size, &mut file, &name).await?;
                    directory = Some(parent);
                }
                (Control::Leave, Some(left)) => {
                    // Above the top there is nothing.
                    let parent = left.parent().filter(|_| left != destination);
                    directory = parent.map(Path::to_owned);
                    self.acknowledge().await?;
                }
                (Control::File { .. } | Control::Leave, None) => {
                    return Err(protocol_error("no directory"));
                }
            }
        }
        Ok(())
    }

    /// The next control line; none at the end.
    async fn next_control(&mut self) -> Result<Option<Control>> {
        while self.received.is_empty() {
            if !self.receive().await {
                return self.ended_well().map(|()| None);
            }
        }
        let first = self.byte().await?;
        let line = self.line().await?;
        match first {
            1 | 2 => Err(self.complained(&line)),
            _ => parse_control(first, &line).map(Some),
        }
    }

    /// Waits for the other end's consent.
    async fn acknowledged(&mut self) -> Result<()> {
        match self.byte().await? {
            0 => Ok(()),
            1 | 2 => {
                let line = self.line().await?;
                Err(self.complained(&line))
            }
            _ => Err(protocol_error("no acknowledgement")),
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        self.send(Bytes::from_static(&[0])).await
    }

    async fn byte(&mut self) -> Result<u8> {
        self.fill().await?;
        Ok(self.received.get_u8())
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.received.iter().position(|&byte| byte == b'\n') {
                let line = self.received.split_to(at + 1);
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.received.len() > LONGEST_LINE {
                return Err(protocol_error("an endless line"));
            }
            if !self.receive().await {
                return Err(self.ended_early());
            }
        }
    }

    /// Waits until something is there to be read.
    async fn fill(&mut self) -> Result<()> {
        while self.received.is_empty() {
            if !self.receive().await {
                return Err(self.ended_early());
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> bool {
        let Some(message) = self.session.next().await else {
            return false;
        };
        note(
            message,
            &mut self.received,
            &mut self.complaints,
            &mut self.exit,
        );
        true
    }

    async fn send(&mut self, data: Bytes) -> Result<()> {
        let Self {
            session,
            received,
            complaints,
            exit,
        } = self;
        let sent = session.send(data, |message| note(message, received, complaints, exit));
        match sent.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended_early()),
        }
    }

    /// Lets the program end and looks at how it did.
    async fn finish(mut self) -> Result<()> {
        // The program may already be gone; then its exit status says how.
        let _ = self.session.write().eof().await;
        while self.receive().await {}
        self.ended_well()
    }

    fn ended_well(&self) -> Result<()> {
        match self.exit {
            Some(0) => Ok(()),
            _ => Err(self.ended_early()),
        }
    }

    fn ended_early(&self) -> Error {
        let complaints = self.complaints();
        match self.exit {
            Some(NOT_FOUND) => Error::new(
                Kind::Connect,
                "SCP failed to start: scp is not installed on the machine",
            )
            .with_hint("Install it (package openssh-clients or openssh-client), or set ssh_file_transfer_method to sftp"),
            Some(code) => {
                let message = format!("The machine's scp ended with code {code}{complaints}");
                Error::new(Kind::Connect, message)
            }
            None if self.session.connection().is_lost() => lost(),
            None => Error::new(Kind::Connect, format!("The machine's scp ended early{complaints}")),
        }
    }

    fn complained(&self, line: &str) -> Error {
        Error::new(
            Kind::Connect,
            format!("The machine's scp said: {}", line.trim()),
        )
    }

    fn complaints(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaints);
        match text.trim() {
            "" => String::new(),
            text => format!(": {text}"),
        }
    }
}

fn note(
    message: ChannelMsg,
    received: &mut BytesMut,
    complaints: &mut Vec<u8>,
    exit: &mut Option<u32>,
) {
    match message {
        ChannelMsg::Data { data } => received.extend_from_slice(&data),
        ChannelMsg::ExtendedData { data, .. } => {
            let room = LONGEST_COMPLAINT.saturating_sub(complaints.len());
            complaints.extend_from_slice(&data[..data.len().min(room)]);
        }
        ChannelMsg::ExitStatus { exit_status } => *exit = Some(exit_status),
        _ => {}
    }
}

fn parse_control(first: u8, line: &str) -> Result<Control> {
    if first == b'E' {
        return Ok(Control::Leave);
    }
    let parse = || {
        let (mode, rest) = line.split_once(' ')?;
        let (size, name) = rest.split_once(' ')?;
        let mode = u32::from_str_radix(mode, 8).ok()?;
        Some((mode, size.parse().ok()?, name.to_owned()))
    };
    match (first, parse()) {
        (b'C', Some((mode, size, name))) => Ok(Control::File { mode, size, name }),
        (b'D', Some((mode, _, name))) => Ok(Control::Enter { mode, name }),
        _ => Err(protocol_error("an unknown message")),
    }
}

fn protocol_error(what: &str) -> Error {
    Error::new(Kind::Connect, format!("The machine's scp sent {what}"))
        .with_hint("A login script that prints something breaks scp: let it be silent when there is no terminal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_lines_parse() {
        let file = Control::File {
            mode: 0o644,
            size: 5,
            name: "a b".to_owned(),
        };
        assert_eq!(parse_control(b'C', "0644 5 a b").unwrap(), file);
        let enter = Control::Enter {
            mode: 0o755,
            name: "d".to_owned(),
        };
        assert_eq!(parse_control(b'D', "0755 0 d").unwrap(), enter);
        assert_eq!(parse_control(b'E', "").unwrap(), Control::Leave);
        for (first, line) in [
            (b'C', "x 5 a"),
            (b'C', "0644 -5 a"),
            (b'C', "0644 5"),
            (b'W', "elcome"),
        ] {
            assert!(parse_control(first, line).is_err(), "{line}");
        }
    }
}
