//! A communicator without a machine: it records calls and gives scripted
//! results. For tests.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{BuildData, Context};
use crate::clock::Clock;
use crate::communicator::{Communicator, ExitStatus, Output};
use crate::engine::event::{Event, EventKind, Events, Reporter, Stream};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::process::Environment;

/// How a command ends.
pub(crate) enum Reply {
    Exit(u32),
    Disconnect,
    NoConnection,
    /// It never ends.
    Hang,
    /// The run is stopped while the command runs.
    Stop(Stop),
}

/// Records calls as lines such as `exec rm -f /tmp/x`.
#[derive(Default)]
pub(crate) struct Fake {
    calls: Mutex<Vec<String>>,
    replies: Mutex<VecDeque<(&'static str, Reply)>>,
}

impl Fake {
    /// The next call whose record begins with `call` gets this reply; calls
    /// without reply succeed.
    pub(crate) fn reply(self, call: &'static str, reply: Reply) -> Self {
        self.replies.lock().unwrap().push_back((call, reply));
        self
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn record(&self, call: String) -> Result<ExitStatus> {
        match self.take_reply(&call) {
            Reply::Exit(code) => Ok(ExitStatus::Code(code)),
            Reply::Disconnect => Ok(ExitStatus::Disconnected),
            Reply::NoConnection => Err(Error::new(Kind::Connect, "No connection")),
            Reply::Hang => std::future::pending().await,
            Reply::Stop(stop) => {
                stop.stop();
                std::future::pending().await
            }
        }
    }

    fn take_reply(&self, call: &str) -> Reply {
        self.calls.lock().unwrap().push(call.to_owned());
        let mut replies = self.replies.lock().unwrap();
        match replies.front() {
            Some((prefix, _)) if call.starts_with(prefix) => replies.pop_front().unwrap().1,
            _ => Reply::Exit(0),
        }
    }
}

#[async_trait]
impl Communicator for Fake {
    async fn exec(&self, command: &str, output: &mut dyn Output) -> Result<ExitStatus> {
        output.line(Stream::Stdout, b"output of a command");
        self.record(format!("exec {command}")).await
    }

    async fn upload(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()> {
        let mut text = String::new();
        source.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.len() as u64, size, "the size is announced");
        let mode = mode.unwrap_or(0o644);
        self.record(format!("upload {destination} {mode:o} {text:?}"))
            .await
            .map(drop)
    }

    async fn upload_dir(&self, source: &Path, destination: &str) -> Result<()> {
        let source = source.display();
        self.record(format!("upload_dir {source} {destination}"))
            .await
            .map(drop)
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        destination.write_all(source.as_bytes()).await.unwrap();
        self.record(format!("download {source}")).await.map(drop)
    }

    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()> {
        let destination = destination.display();
        self.record(format!("download_dir {source} {destination}"))
            .await
            .map(drop)
    }

    async fn close(&self) {}
}

/// Keeps events as lines: `say …`, `out …`, `err …`, `warn …`.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

impl Reporter for Recorder {
    fn on(&mut self, event: &Event) {
        let line = match &event.kind {
            EventKind::Say(text) => format!("say {text}"),
            EventKind::Message(text) => format!("message {text}"),
            EventKind::Warning(text) => format!("warn {text}"),
            EventKind::Output { stream, line } if *stream == Stream::Stderr => {
                format!("err {line}")
            }
            EventKind::Output { line, .. } => format!("out {line}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

/// Everything a [`Context`] borrows.
pub(crate) struct World {
    pub(crate) fake: Option<Fake>,
    pub(crate) stop: Stop,
    pub(crate) data: BuildData,
    pub(crate) environment: Environment,
    events: Events,
    recorder: Recorder,
}

impl World {
    /// A machine behind the fake, and a clock on which a second is a
    /// millisecond.
    pub(crate) fn new(fake: Fake) -> Self {
        let recorder = Recorder::default();
        Self {
            fake: Some(fake),
            stop: Stop::new(Clock::scaled(0.001)),
            data: BuildData {
                name: "web".into(),
                build_name: "web".into(),
                builder_type: "alicloud-ecs".into(),
                run_id: "run-1".into(),
                values: [("ID".to_owned(), "i-1".to_owned())].into(),
                winrm: None,
                force: false,
            },
            environment: Environment::for_children([("PATH", "/usr/bin:/bin"), ("KEPT", "kept")]),
            events: Events::new(recorder.clone()),
            recorder,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            events: &self.events,
            stop: &self.stop,
            communicator: self.fake.as_ref().map(|fake| fake as &dyn Communicator),
            data: &self.data,
            environment: &self.environment,
        }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.fake.as_ref().map(Fake::calls).unwrap_or_default()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.recorder.0.lock().unwrap().clone()
    }
}
