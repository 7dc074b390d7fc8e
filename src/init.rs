//! Process 1 of a container: hands signals on, and reaps.
//!
//! The kernel gives process 1 two duties: no signal does anything to it unless
//! it has a handler, and it inherits every process whose parent has ended,
//! which stays a zombie until process 1 has waited for it. Whoever waits for
//! "any child" also takes the exit codes of the children that others here wait
//! for. So process 1 only starts the program once more, as its child, and does
//! its duties in between; the child runs the builds. When it ends, so does
//! process 1, and the kernel kills whatever else is left in the container.
//!
//! Facts: pid_namespaces(7), wait(2).

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::signal::{Streams, next, streams};

/// What starts this program.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Whether this process has the duties of process 1.
pub fn is_wanted() -> bool {
    std::process::id() == 1
}

/// Runs the program with these arguments, the first of which is its name, as a
/// child; gives its exit code, 128 + n when signal n killed it.
///
/// # Errors
/// When handlers cannot be installed or the child cannot be started: then
/// nothing has happened.
pub fn run(arguments: &[OsString]) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        // Before the child, so that neither its end nor a signal is missed.
        let mut ended = signal(SignalKind::child())?;
        let mut stopping = streams()?;
        let child = start(arguments)?;
        loop {
            tokio::select! {
                _ = ended.recv() => if let Some(status) = reap(child) {
                    return Ok(exit_code(status));
                },
                () = hand_on(&mut stopping, child) => {}
            }
        }
    })
}

/// Starts the program in a process group of its own, in the foreground where
/// there is a terminal: Ctrl-C is to reach it once, and not through us again.
fn start(arguments: &[OsString]) -> io::Result<Pid> {
    let (name, arguments) = arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let child = Command::new(THIS_PROGRAM)
        .arg0(name)
        .args(arguments)
        .process_group(0)
        .spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or(io::ErrorKind::InvalidData)?;
    // Fails where there is no terminal.
    let _ = rustix::termios::tcsetpgrp(io::stdin(), id);
    Ok(id)
}

/// Hands one signal on.
async fn hand_on(stopping: &mut Streams, child: Pid) {
    let Some(signal) = next(stopping).await else {
        return std::future::pending().await;
    };
    // It fails only when the child has ended, which is seen next.
    let _ = kill_process(child, signal.into());
}

/// Waits for everything that has ended; tells how the child has, if it has.
fn reap(child: Pid) -> Option<WaitStatus> {
    while let Ok(Some((process, status))) = wait(WaitOptions::NOHANG) {
        if process == child {
            return Some(status);
        }
    }
    None
}

fn exit_code(status: WaitStatus) -> u8 {
    let killed = || status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or_else(killed);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
