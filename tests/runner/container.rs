//! `docker run`: a container, and the client that the runner holds.
//!
//! As with Docker, the runner only sees the client. It passes signals on and
//! shows what the container prints; when it is killed, the container goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::image::Image;

/// A shell without libraries.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// What `docker run` is told.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) entrypoint: String,
    pub(crate) arguments: Vec<String>,
    /// What process 1 becomes.
    pub(crate) program: String,
    pub(crate) environment: BTreeMap<String, String>,
    /// Host directories and where they are mounted.
    pub(crate) mounts: Vec<(PathBuf, String)>,
    pub(crate) directory: String,
}

/// The client of a container.
pub(crate) struct Client {
    container: Arc<Container>,
    lines: mpsc::UnboundedReceiver<String>,
}

/// A container. It ends with its last handle.
pub(crate) struct Container {
    /// None when it ended before it was seen.
    init: Option<Pid>,
    is_attached: AtomicBool,
    is_killed: AtomicBool,
    exit: watch::Receiver<Option<i32>>,
    _root: TempDir,
}

/// How the client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With the code of the container.
    Code(i32),
    /// It was killed, and the container was not.
    Killed,
}

/// Starts a container and gives back its client, once the program runs.
pub(crate) async fn run(image: &Image, run: &Run) -> Client {
    let root = TempDir::new().unwrap();
    let mut child = command(image, run, &root).spawn().unwrap();
    let (sender, lines) = mpsc::unbounded_channel();
    let stdout = tokio::spawn(forward(child.stdout.take().unwrap(), sender.clone()));
    let stderr = tokio::spawn(forward(child.stderr.take().unwrap(), sender));
    let init = init_of(&mut child, &run.program).await;
    let (ended, exit) = watch::channel(None);
    tokio::spawn(async move {
        let status = child.wait().await.unwrap();
        // What it has printed comes before its end.
        let _ = (stdout.await, stderr.await);
        ended.send_replace(Some(status.code().unwrap_or(128)));
    });
    Client {
        container: Arc::new(Container {
            init,
            is_attached: AtomicBool::new(true),
            is_killed: AtomicBool::new(false),
            exit,
            _root: root,
        }),
        lines,
    }
}

fn command(image: &Image, run: &Run, root: &TempDir) -> Command {
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "--pid", "--fork"])
        .args(["--kill-child", "--", "/bin/bash", "-c"])
        .args([include_str!("container.sh"), "container"])
        .args([root.path(), &image.rootfs])
        .arg(&run.directory);
    for (host, inside) in &run.mounts {
        command.arg(host).arg(inside);
    }
    command
        .args(["--", &run.entrypoint])
        .args(&run.arguments)
        .env_clear()
        .envs(image.environment())
        .envs(&run.environment)
        .env("BUSYBOX", BUSYBOX)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn forward(stream: impl AsyncRead + Unpin, lines: mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = stream.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        // Nobody reads on once the client is gone.
        let _ = lines.send(line);
    }
}

/// The container's process 1 as the host sees it, once it is the program:
/// before that, signals would be lost as they are before `docker run` has
/// started anything.
async fn init_of(child: &mut Child, program: &str) -> Option<Pid> {
    let parent = child.id().unwrap();
    let children = format!("/proc/{parent}/task/{parent}/children");
    let name = program.rsplit('/').next().unwrap();
    let name = &name[..name.len().min(15)];
    for _ in 0..20_000 {
        let text = std::fs::read_to_string(&children).unwrap_or_default();
        let first = text.split_whitespace().next();
        if let Some(id) = first.and_then(|id| id.parse::<i32>().ok()) {
            let comm = std::fs::read_to_string(format!("/proc/{id}/comm"));
            if comm.is_ok_and(|comm| comm.trim_end() == name) {
                return Pid::from_raw(id);
            }
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the container does not start");
}

impl Client {
    /// The container, which may live longer.
    pub(crate) fn container(&self) -> Arc<Container> {
        Arc::clone(&self.container)
    }

    /// The next line; none when client or container ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        match self.container.is_attached.load(Ordering::Relaxed) {
            true => self.lines.recv().await,
            false => None,
        }
    }

    /// The lines that came already.
    pub(crate) fn lines_so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }

    /// Waits until it ends, for some time.
    pub(crate) async fn wait(&self, limit: Duration) -> Option<Exit> {
        let ended = tokio::time::timeout(limit, self.container.ended());
        ended.await.ok().map(Exit::Code)
    }

    /// Passes a signal on.
    pub(crate) fn signal(&self, signal: Signal) {
        self.container.kill(signal);
    }

    /// As `kill -9` of the client.
    pub(crate) fn kill(&self) -> Exit {
        self.container.is_attached.store(false, Ordering::Relaxed);
        Exit::Killed
    }
}

impl Container {
    /// Sends a signal to process 1, from outside.
    pub(crate) fn kill(&self, signal: Signal) {
        if signal == Signal::KILL {
            self.is_killed.store(true, Ordering::Relaxed);
        }
        if let Some(init) = self.init {
            // One that is gone needs no signal.
            let _ = kill_process(init, signal);
        }
    }

    /// Waits until it ended, and all it printed was read.
    pub(crate) async fn ended(&self) -> i32 {
        let mut exit = self.exit.clone();
        let code = exit.wait_for(Option::is_some).await.unwrap().unwrap();
        // Some versions of unshare lose the signal that ended process 1.
        match self.is_killed.load(Ordering::Relaxed) {
            true => 137,
            false => code,
        }
    }
}
