//! Running a program on the machine for somebody else: bytes pass unchanged,
//! standard input too.
//!
//! Not here: lines of output (`exec`). Source of facts: RFC 4254, section 6.

use std::io;

use bytes::BytesMut;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::exec::{self, STDERR, Setting};
use super::session::{Reply, Session, lost};
use crate::communicator::{ExitStatus, Pipes, Program};
use crate::error::{Error, Kind, Result};

/// The most that is read of standard input at once.
const CHUNK: usize = 32 * 1024;

/// Runs a program to its end.
pub(super) async fn run(
    session: &mut Session,
    program: Program<'_>,
    setting: Setting,
    pipes: Pipes<'_>,
) -> Result<ExitStatus> {
    if !start(session, program, setting).await? {
        return Ok(ExitStatus::Disconnected);
    }
    let write = session.shared_write();
    let follow = follow(session, pipes.stdout, pipes.stderr);
    tokio::pin!(follow);
    tokio::select! {
        biased;
        status = &mut follow => status,
        // A program may end without reading all, and a client may go away:
        // what becomes of the program says more.
        _ = feed(pipes.stdin, &write) => follow.await,
    }
}

async fn start(session: &mut Session, program: Program<'_>, setting: Setting) -> Result<bool> {
    match program {
        Program::Command { line, terminal } => {
            // Unasked, a terminal would change the bytes of a file transfer.
            let pty = setting.pty && terminal;
            exec::prepare(session, Setting { pty, ..setting }).await?;
            exec::start(session, line.to_vec()).await
        }
        Program::Sftp => {
            let request = session.write().request_subsystem(true, "sftp");
            request.await.map_err(|error| lost().with_source(error))?;
            match session.reply().await {
                Reply::Accepted => Ok(true),
                Reply::Refused => Err(exec::refused("SFTP")),
                Reply::Gone => Ok(false),
            }
        }
    }
}

/// Sends standard input and its end.
async fn feed(
    stdin: &mut (dyn AsyncRead + Send + Unpin),
    write: &ChannelWriteHalf<Msg>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        if stdin.read_buf(&mut buffer).await? == 0 {
            break;
        }
        let sent = write.data_bytes(buffer.split().freeze()).await;
        sent.map_err(io::Error::other)?;
    }
    write.eof().await.map_err(io::Error::other)
}

/// Hands over the output until the session ends.
async fn follow(
    session: &mut Session,
    stdout: &mut (dyn AsyncWrite + Send + Unpin),
    stderr: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<ExitStatus> {
    let broken = |error| {
        Error::new(Kind::Io, "Nobody takes the program's output any more").with_source(error)
    };
    let mut status = ExitStatus::Disconnected;
    while let Some(message) = session.next().await {
        match message {
            ChannelMsg::Data { data } => stdout.write_all(&data).await.map_err(broken)?,
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                stderr.write_all(&data).await.map_err(broken)?;
            }
            other => status = exec::reported(&other).unwrap_or(status),
        }
    }
    Ok(status)
}
