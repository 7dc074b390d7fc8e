//! Commands and shells: the processes behind SSH's `exec` and `shell`.
//!
//! As with sshd a command gets pipes, or a terminal if the client asked for
//! one, and the shell of root. The terminal is made by script(1) inside.

use std::{
    ffi::OsString,
    io,
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use russh::{
    Channel, ChannelId, ChannelMsg, ChannelReadHalf, Sig,
    server::{Handle, Msg},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf},
    process::{Child, ChildStdin, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    backlog::Backlog,
    confinement::{Holder, PATH},
    rootfs::RootView,
};

/// The terminal a client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    pub(crate) name: String,
    pub(crate) columns: u32,
    pub(crate) rows: u32,
}

/// What a channel asks to run; no command means a login shell.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Option<Vec<u8>>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) terminal: Option<Terminal>,
}

/// The environment of root, before anything a client adds.
pub(crate) fn login_environment() -> [(&'static str, &'static str); 5] {
    [
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/sh"),
        ("PATH", PATH),
    ]
}

/// Runs a request to its end, or until the channel or the connection is
/// closed; then its processes get SIGHUP.
pub(crate) async fn run(
    request: Request,
    holder: Arc<Holder>,
    channel: Channel<Msg>,
    handle: Handle,
    stop: CancellationToken,
) {
    let id = channel.id();
    let spawned = spawn(&request, &holder);
    let stopped = holder.stopped();
    drop(holder);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return fail(&handle, id, &error).await,
    };
    let group = child.id();
    let input = child.stdin.take();
    let (reader, writer) = channel.split();
    let output = async {
        let stdout = forward(child.stdout.take(), writer.make_writer());
        let stderr = forward(child.stderr.take(), writer.make_writer_ext(Some(1)));
        tokio::join!(stdout, stderr);
        child.wait().await
    };
    let ended = tokio::select! {
        status = output => Some(status),
        () = feed(reader, input, group) => None,
        () = stop.cancelled() => None,
    };
    match ended {
        Some(Ok(status)) if went_down(status, stopped).await => {}
        Some(Ok(status)) => finish(&handle, id, status).await,
        Some(Err(error)) => fail(&handle, id, &error).await,
        None => signal(group, Signal::HUP),
    }
}

/// Whether a command was killed because its machine goes down, which counts as
/// stopped only a moment later. Its SSH server goes down with it, so nobody
/// reports how the command ended.
async fn went_down(status: ExitStatus, stopped: impl Future) -> bool {
    status.signal() == Some(Signal::KILL.as_raw()) && timeout(GOING_DOWN, stopped).await.is_ok()
}

/// From the death of a machine's first process to that of its last, in real
/// time; a command that was killed alone is reported this much later.
const GOING_DOWN: Duration = Duration::from_millis(200);

/// Succeeds without running anything.
pub(crate) async fn pretend(request: Request, channel: Channel<Msg>, handle: Handle) {
    let command = request.command.unwrap_or_default();
    tracing::debug!(command = %String::from_utf8_lossy(&command), "not run");
    finish(&handle, channel.id(), ExitStatus::from_raw(0)).await;
}

/// Reports an exit status and closes the channel. A client that is gone
/// needs no report, so errors end it silently.
pub(crate) async fn finish(handle: &Handle, id: ChannelId, status: ExitStatus) {
    let _ = handle.eof(id).await;
    let _ = match (status.code(), status.signal()) {
        (None, Some(number)) => {
            let name = signal_name(number);
            handle
                .exit_signal_request(id, name, status.core_dumped(), String::new(), String::new())
                .await
        }
        (code, _) => {
            let code = code.and_then(|code| u32::try_from(code).ok());
            handle.exit_status_request(id, code.unwrap_or(255)).await
        }
    };
    let _ = handle.close(id).await;
}

async fn fail(handle: &Handle, id: ChannelId, error: &io::Error) {
    let message = format!("cannot run the command: {error}\n");
    let _ = handle.extended_data(id, 1, message.into_bytes()).await;
    finish(handle, id, ExitStatus::from_raw(255 << 8)).await;
}

fn spawn(request: &Request, holder: &Holder) -> io::Result<Child> {
    let view = RootView::open(&holder.root())?;
    let bash = view.metadata(Path::new("/bin/bash")).is_ok();
    let shell = if bash { "/bin/bash" } else { "/bin/sh" };
    let mut command = holder.command()?;
    command
        .args([
            "/bin/sh",
            "-c",
            r#"cd "$HOME" 2>/dev/null; exec "$@""#,
            "sh",
        ])
        .envs(login_environment())
        .env("SHELL", shell)
        .envs(
            request
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    add_program(&mut command, request, shell);
    command.spawn()
}

fn add_program(command: &mut Command, request: &Request, shell: &str) {
    let line = request.command.clone().map(OsString::from_vec);
    let Some(terminal) = &request.terminal else {
        match line {
            Some(line) => command.args([shell, "-c"]).arg(line),
            None => command.args([shell, "-l"]),
        };
        return;
    };
    let (rows, columns) = (terminal.rows, terminal.columns);
    let mut script = OsString::from(format!("stty rows {rows} cols {columns} 2>/dev/null; "));
    script.push(line.unwrap_or_else(|| format!("exec {shell} -l").into()));
    command
        .env("TERM", &terminal.name)
        .args(["script", "-qec"])
        .arg(script)
        .arg("/dev/null");
}

async fn forward(from: Option<impl AsyncRead + Unpin>, to: impl AsyncWrite) {
    let Some(from) = from else { return };
    let mut from = BufReader::with_capacity(64 * 1024, from);
    // A client that is gone is noticed by the reader of its channel.
    let _ = copy_buf(&mut from, &mut std::pin::pin!(to)).await;
}

/// Passes input and signals on; returns when the client closed the channel.
async fn feed(mut reader: ChannelReadHalf, mut input: Option<ChildStdin>, group: Option<u32>) {
    let mut backlog = Backlog::default();
    let mut ended = false;
    loop {
        if ended && backlog.is_empty() {
            input = None;
        }
        tokio::select! {
            message = reader.wait() => match message {
                Some(ChannelMsg::Data { data }) if input.is_some() => {
                    if let Err(error) = backlog.push(data) {
                        tracing::warn!(%error, "the input of a command is cut off");
                        input = None;
                    }
                }
                Some(ChannelMsg::Eof) => ended = true,
                Some(ChannelMsg::Signal { signal: name }) => signal(group, signal_number(&name)),
                Some(ChannelMsg::Close) | None => return,
                Some(_) => {}
            },
            advanced = advance(&mut input, &mut backlog), if input.is_some() && !backlog.is_empty() => {
                // A process that reads no more is no error; the rest is
                // thrown away.
                if advanced.is_err() {
                    input = None;
                    backlog = Backlog::default();
                }
            }
        }
    }
}

/// Writes a piece of the backlog; nothing is lost if this is cancelled.
async fn advance(input: &mut Option<ChildStdin>, backlog: &mut Backlog) -> io::Result<()> {
    let Some(pipe) = input else { return Ok(()) };
    let front = backlog.front()?;
    let count = pipe.write(&front).await?;
    backlog.consume(count);
    Ok(())
}

fn signal(group: Option<u32>, number: Signal) {
    let group = group.and_then(|group| i32::try_from(group).ok());
    if let Some(group) = group.and_then(Pid::from_raw) {
        // The processes may have ended by themselves.
        let _ = kill_process_group(group, number);
    }
}

fn signal_name(number: i32) -> Sig {
    match Signal::from_named_raw(number) {
        Some(Signal::ABORT) => Sig::ABRT,
        Some(Signal::ALARM) => Sig::ALRM,
        Some(Signal::FPE) => Sig::FPE,
        Some(Signal::HUP) => Sig::HUP,
        Some(Signal::ILL) => Sig::ILL,
        Some(Signal::INT) => Sig::INT,
        Some(Signal::KILL) => Sig::KILL,
        Some(Signal::PIPE) => Sig::PIPE,
        Some(Signal::QUIT) => Sig::QUIT,
        Some(Signal::SEGV) => Sig::SEGV,
        Some(Signal::TERM) => Sig::TERM,
        Some(Signal::USR1) => Sig::USR1,
        _ => Sig::Custom(format!("{number}@linux")),
    }
}

fn signal_number(name: &Sig) -> Signal {
    match name {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::HUP => Signal::HUP,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::PIPE => Signal::PIPE,
        Sig::QUIT => Signal::QUIT,
        Sig::USR1 => Signal::USR1,
        _ => Signal::TERM,
    }
}
