//! Running a command on the machine.
//!
//! Packer's way: each command is a session of its own, its text goes out as
//! an `exec` request with a line end, standard input is empty. Source of
//! facts: RFC 4254, section 6.

use russh::{ChannelMsg, Pty, Sig};

use super::session::{Reply, Session, lost};
use crate::communicator::lines::Lines;
use crate::communicator::{ExitStatus, Output};
use crate::engine::event::Stream;
use crate::error::{Error, Kind, Result};

/// The extended data stream that is standard error.
pub(super) const STDERR: u32 = 1;

/// What a command gets besides its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// A terminal. Standard error then joins standard output.
    pub(super) pty: bool,
    /// Our agent.
    pub(super) lend_agent: bool,
}

/// Runs a command to its end.
pub(super) async fn run(
    session: &mut Session,
    command: &str,
    setting: Setting,
    output: &mut dyn Output,
) -> Result<ExitStatus> {
    prepare(session, setting).await?;
    if !start(session, format!("{command}\n").into_bytes()).await? {
        return Ok(ExitStatus::Disconnected);
    }
    // No input: what reads it must not wait for ever.
    let _ = session.write().eof().await;
    Ok(follow(session, output).await)
}

/// Starts a command. Not when the connection went away: then the command may
/// have begun all the same, and may be what ended it.
pub(super) async fn start(session: &mut Session, command: Vec<u8>) -> Result<bool> {
    let request = session.write().exec(true, command);
    request.await.map_err(|error| lost().with_source(error))?;
    match session.reply().await {
        Reply::Accepted => Ok(true),
        Reply::Refused => Err(refused("to run the command")),
        Reply::Gone => Ok(false),
    }
}

/// Asks for what comes before a command.
pub(super) async fn prepare(session: &mut Session, setting: Setting) -> Result<()> {
    if setting.lend_agent {
        // Without an answer: commands that need the agent will say so.
        let request = session.write().agent_forward(false);
        request.await.map_err(|error| lost().with_source(error))?;
    }
    if !setting.pty {
        return Ok(());
    }
    let modes = [
        (Pty::ECHO, 0),
        (Pty::TTY_OP_ISPEED, 14_400),
        (Pty::TTY_OP_OSPEED, 14_400),
    ];
    let request = session
        .write()
        .request_pty(true, "xterm", 80, 40, 0, 0, &modes);
    request.await.map_err(|error| lost().with_source(error))?;
    match session.reply().await {
        Reply::Accepted => Ok(()),
        Reply::Refused => Err(refused("a terminal").with_hint("Set ssh_pty to false")),
        Reply::Gone => Err(lost()),
    }
}

pub(super) fn refused(what: &str) -> Error {
    Error::new(Kind::Connect, format!("The SSH server refused {what}"))
}

/// Hands over the output until the session ends.
async fn follow(session: &mut Session, output: &mut dyn Output) -> ExitStatus {
    let (mut stdout, mut stderr) = (Lines::default(), Lines::default());
    let mut status = ExitStatus::Disconnected;
    while let Some(message) = session.next().await {
        match message {
            ChannelMsg::Data { data } => {
                stdout.push(&data, |piece| piece.show(Stream::Stdout, output));
            }
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                stderr.push(&data, |piece| piece.show(Stream::Stderr, output));
            }
            other => status = reported(&other).unwrap_or(status),
        }
    }
    stdout.finish(|piece| piece.show(Stream::Stdout, output));
    stderr.finish(|piece| piece.show(Stream::Stderr, output));
    status
}

/// What a message says about how the command ended.
pub(super) fn reported(message: &ChannelMsg) -> Option<ExitStatus> {
    match message {
        ChannelMsg::ExitStatus { exit_status } => Some(ExitStatus::Code(*exit_status)),
        ChannelMsg::ExitSignal { signal_name, .. } => {
            Some(ExitStatus::Code(128 + number(signal_name)))
        }
        _ => None,
    }
}

/// The number of a signal on Linux; 0 for those without a fixed one.
fn number(signal: &Sig) -> u32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) => match name.as_str() {
            "TRAP" => 5,
            "BUS" => 7,
            "USR2" => 12,
            "XCPU" => 24,
            "SYS" => 31,
            _ => 0,
        },
    }
}
