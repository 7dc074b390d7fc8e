//! The server's side of the old scp protocol, for guests that cannot run
//! scp(1): where the host has none, and where no command runs at all.
//!
//! Facts: scp.c of OpenSSH. `-t` receives, `-f` sends; every step is answered
//! by a byte: 0 for success, 1 or 2 and a line for an error.

use std::{
    io,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use russh::{
    Channel,
    server::{Handle, Msg},
};
use rustix::fs::{OFlags, Timespec, Timestamps};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};

use super::{
    confinement::tool,
    exec,
    machine::Inside,
    rootfs::{RootView, absolute},
};

/// The longest control line accepted.
const LONGEST_LINE: u64 = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Receive,
    Send,
}

/// What a client's scp asks its counterpart to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    direction: Direction,
    recursive: bool,
    path: String,
}

impl Transfer {
    /// Recognizes the command line an scp client runs on the server.
    pub(crate) fn parse(command: &[u8]) -> Option<Transfer> {
        let words = split(std::str::from_utf8(command).ok()?);
        let program = words
            .iter()
            .position(|word| word == "scp" || word.ends_with("/scp"))?;
        let only_sudo = |word: &String| word.ends_with("sudo") || word.starts_with('-');
        if !words[..program].iter().all(only_sudo) {
            return None;
        }
        let (path, options) = words[program + 1..].split_last()?;
        let options: String = options.concat();
        let direction = match (options.contains('t'), options.contains('f')) {
            (true, false) => Direction::Receive,
            (false, true) => Direction::Send,
            _ => return None,
        };
        Some(Transfer {
            direction,
            recursive: options.contains('r'),
            path: path.clone(),
        })
    }
}

/// The words of a simple shell command.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut characters = command.trim().chars();
    while let Some(character) = characters.next() {
        let Some(word) = words.last_mut() else { break };
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '\\') => word.extend(characters.next()),
            (None, ' ') => words.push(String::new()),
            _ => word.push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether scp has to be done here.
pub(crate) fn is_needed(inside: &Inside) -> bool {
    match inside {
        Inside::Scripted(_) => true,
        Inside::Namespaces(_) => tool("scp").is_err(),
    }
}

/// Does a transfer over a channel and closes it.
pub(crate) async fn serve(
    transfer: Transfer,
    inside: Inside,
    channel: Channel<Msg>,
    handle: Handle,
) {
    let id = channel.id();
    let view = inside.view();
    drop(inside);
    let (reader, writer) = tokio::io::split(channel.into_stream());
    let mut peer = Peer {
        reader: BufReader::with_capacity(64 * 1024, reader),
        writer,
    };
    let result = match view {
        Ok(view) => peer.transfer(&view, &transfer).await,
        Err(error) => Err(error),
    };
    let code = i32::from(result.is_err());
    if let Err(error) = result {
        // The client may be what failed.
        let _ = peer
            .writer
            .write_all(format!("\x02scp: {error}\n").as_bytes())
            .await;
    }
    exec::finish(&handle, id, ExitStatus::from_raw(code << 8)).await;
}

type Stream = russh::ChannelStream<Msg>;

struct Peer {
    reader: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
}

impl Peer {
    async fn transfer(&mut self, view: &RootView, transfer: &Transfer) -> io::Result<()> {
        let path = absolute(&transfer.path);
        match transfer.direction {
            Direction::Receive => self.receive(view, path).await,
            Direction::Send => {
                self.answer().await?;
                self.send(view, &path, transfer.recursive).await
            }
        }
    }

    async fn receive(&mut self, view: &RootView, target: PathBuf) -> io::Result<()> {
        let mut directories = vec![target];
        let mut times = None;
        self.confirm().await?;
        while let Some(line) = self.line().await? {
            let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
            match kind {
                "T" => times = parse_times(rest),
                "E" if directories.len() > 1 => drop(directories.pop()),
                "C" | "D" => {
                    let entry = Entry::parse(rest).ok_or(io::ErrorKind::InvalidData)?;
                    let path = place(view, directories.last(), &entry.name);
                    if kind == "D" {
                        if view.metadata(&path).is_err() {
                            view.create_dir(&path, entry.mode | 0o700)?;
                        }
                        directories.push(path);
                    } else {
                        self.receive_file(view, &path, &entry, times.take()).await?;
                    }
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
            self.confirm().await?;
        }
        Ok(())
    }

    async fn receive_file(
        &mut self,
        view: &RootView,
        path: &Path,
        entry: &Entry,
        times: Option<Timestamps>,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let file = view.open_file(path, flags, entry.mode)?;
        let mut file = tokio::fs::File::from_std(file);
        self.confirm().await?;
        let mut content = (&mut self.reader).take(entry.size);
        let copied = tokio::io::copy_buf(&mut content, &mut file).await?;
        file.flush().await?;
        if copied < entry.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(times) = times {
            view.set_times(path, &times)?;
        }
        self.answer().await
    }

    async fn send(&mut self, view: &RootView, path: &Path, recursive: bool) -> io::Result<()> {
        let metadata = view.metadata(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_dir() {
            self.step(&format!("C{mode:04o} {} {name}\n", metadata.len()))
                .await?;
            let file = view.open_file(path, OFlags::RDONLY, 0)?;
            let mut file = tokio::fs::File::from_std(file).take(metadata.len());
            tokio::io::copy(&mut file, &mut self.writer).await?;
            return self.step("\0").await;
        }
        if !recursive {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.step(&format!("D{mode:04o} 0 {name}\n")).await?;
        for (name, _) in view.read_dir(path)? {
            Box::pin(self.send(view, &path.join(name), recursive)).await?;
        }
        self.step("E\n").await
    }

    async fn step(&mut self, message: &str) -> io::Result<()> {
        self.writer.write_all(message.as_bytes()).await?;
        self.answer().await
    }

    async fn confirm(&mut self) -> io::Result<()> {
        self.writer.write_all(b"\0").await
    }

    async fn answer(&mut self) -> io::Result<()> {
        match self.reader.read_u8().await? {
            0 => Ok(()),
            _ => {
                let reason = self.line().await?.unwrap_or_default();
                Err(io::Error::other(reason))
            }
        }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        (&mut self.reader)
            .take(LONGEST_LINE)
            .read_line(&mut line)
            .await?;
        Ok(line.strip_suffix('\n').map(str::to_owned))
    }
}

/// A file or directory as a control line announces it.
struct Entry {
    mode: u32,
    size: u64,
    name: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Entry> {
        let mut fields = line.splitn(3, ' ');
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let size = fields.next()?.parse().ok()?;
        let name = fields.next()?;
        let plain = !name.contains('/') && !["", ".", ".."].contains(&name);
        plain.then(|| Entry {
            mode,
            size,
            name: name.to_owned(),
        })
    }
}

/// A directory takes entries under their names, anything else is the name.
fn place(view: &RootView, target: Option<&PathBuf>, name: &str) -> PathBuf {
    let target = target.cloned().unwrap_or_default();
    match view.metadata(&target) {
        Ok(metadata) if metadata.is_dir() => target.join(name),
        _ => target,
    }
}

fn parse_times(line: &str) -> Option<Timestamps> {
    let mut fields = line.split(' ').map(str::parse::<i64>);
    let time = |seconds| Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let last_modification = time(fields.next()?.ok()?);
    let last_access = time(fields.nth(1)?.ok()?);
    Some(Timestamps {
        last_access,
        last_modification,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_transfers() {
        let transfer = |direction, recursive, path: &str| {
            Some(Transfer {
                direction,
                recursive,
                path: path.to_owned(),
            })
        };
        for (command, expected) in [
            ("scp -vt /tmp", transfer(Direction::Receive, false, "/tmp")),
            (
                "scp -v -r -t -- '/tmp/a b'",
                transfer(Direction::Receive, true, "/tmp/a b"),
            ),
            (
                "sudo -S /usr/bin/scp -f x",
                transfer(Direction::Send, false, "x"),
            ),
            ("scp a b", None),
            ("echo scp -t x", None),
            ("ls", None),
        ] {
            assert_eq!(Transfer::parse(command.as_bytes()), expected, "{command}");
        }
    }

    #[test]
    fn entries_cannot_leave_their_directory() {
        for (line, expected) in [
            ("0644 3 a b", Some("a b")),
            ("0644 3 ../x", None),
            ("0644 3 ..", None),
            ("0644 3 ", None),
        ] {
            let entry = Entry::parse(line).map(|entry| entry.name);
            assert_eq!(entry.as_deref(), expected, "{line}");
        }
    }
}
