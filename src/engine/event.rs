//! What happens in a run, as data. Nobody prints: everything is an [`Event`],
//! and `report` renders it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, Image};
use crate::error::Error;
use crate::secret::Secret;
use crate::template::diagnostic::Diagnostic;
use crate::template::source::Sources;

/// One thing that happened, perhaps in one build.
#[derive(Debug, Clone)]
pub struct Event {
    /// The build it happened in; none for the run as a whole.
    pub build: Option<Arc<str>>,
    /// What happened.
    pub kind: EventKind,
}

/// The things that can happen.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The run begins.
    RunStarted(Arc<RunStarted>),
    /// A value must be hidden from now on.
    Secret(Secret),
    /// A finding about template or command line.
    Diagnostic(Diagnostic),
    /// A step worth a line of its own: `==> NAME: text`.
    Say(String),
    /// A detail of the step: `    NAME: text`.
    Message(String),
    /// A line from a machine or a program: untrusted text.
    Output {
        /// Which stream it came from.
        stream: Stream,
        /// One line, without its end, as it came.
        line: String,
    },
    /// Something the user should act on, though the build goes on.
    Warning(String),
    /// A step began.
    StepStarted {
        /// Its name, for example `Create instance`.
        step: &'static str,
    },
    /// A step ended.
    StepFinished {
        /// Its name.
        step: &'static str,
        /// How long it took, nominal.
        elapsed: Duration,
        /// Ids of resources it was about.
        resources: Vec<String>,
        /// Whether it succeeded.
        succeeded: bool,
    },
    /// A temporary resource was made.
    ResourceCreated(Resource),
    /// A temporary resource is gone.
    ResourceDeleted(Resource),
    /// A temporary resource could not be deleted.
    Leftover(Leftover),
    /// An image that was asked for is available.
    ImageReady(Image),
    /// What the screen of a failed build's machine showed is in this file.
    Screenshot(PathBuf),
    /// A command's whole answer, which is also the step output of this name.
    Answer {
        /// The output's name.
        name: &'static str,
        /// The answer.
        text: String,
    },
    /// The template came from another repository.
    TemplateFetched {
        /// As the user gave it.
        address: String,
        /// The commit that was fetched.
        commit: String,
    },
    /// What there is to do for a check run on GitHub.
    CheckRun(CheckRun),
    /// Time passed.
    Pulse,
    /// A build ended.
    BuildFinished(Arc<BuildResult>),
    /// The run ended.
    RunFinished(Arc<RunResult>),
}

/// How far a check run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckRun {
    /// It is asked for with this key; its id is not known yet.
    Asked(String),
    /// It waits for its result.
    Open(u64),
    /// It has its result, or was never opened.
    Done,
}

/// The facts known when a run begins.
#[derive(Debug)]
pub struct RunStarted {
    /// Id in every tag and in the manifest.
    pub run_id: String,
    /// The command, for example `build`.
    pub command: &'static str,
    /// Names of the builds with their types, in template order.
    pub builds: Vec<(String, String)>,
    /// All texts read, for snippets and annotations.
    pub sources: Sources,
    /// The journal's path, for `GITHUB_STATE` and hints.
    pub journal: Option<PathBuf>,
    /// The main region of the first build.
    pub region: Option<String>,
    /// What the user asked for, in a word each; nothing secret.
    pub inputs: Vec<(&'static str, String)>,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A temporary resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is, for example `instance`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Where it is.
    pub region: String,
}

/// A temporary resource that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// What it is.
    #[serde(flatten)]
    pub resource: Resource,
    /// Why it could not be deleted.
    pub reason: String,
}

/// How a build ended.
#[derive(Debug)]
pub struct BuildResult {
    /// Its name.
    pub name: String,
    /// The builder's type.
    pub builder_type: &'static str,
    /// How long it took, nominal.
    pub elapsed: Duration,
    /// Artifacts that remain, in Packer's order; empty when there are none.
    pub artifacts: Vec<Artifact>,
    /// The root cause, if it failed. Artifacts may remain all the same.
    pub error: Option<Error>,
}

/// How the run ended.
#[derive(Debug)]
pub struct RunResult {
    /// Every build's end, in template order.
    pub builds: Vec<Arc<BuildResult>>,
    /// What could not be deleted.
    pub leftovers: Vec<Leftover>,
    /// How long the run took, nominal.
    pub elapsed: Duration,
    /// Whether a signal ended it.
    pub cancelled: bool,
    /// An error of the run as a whole.
    pub error: Option<Error>,
}

impl RunResult {
    /// The end of a run that failed before any build.
    pub fn failed(error: Error) -> Self {
        Self {
            error: Some(error),
            ..Self::without_builds()
        }
    }

    /// The good end of a run that builds nothing.
    pub fn without_builds() -> Self {
        Self {
            builds: Vec::new(),
            leftovers: Vec::new(),
            elapsed: Duration::ZERO,
            cancelled: false,
            error: None,
        }
    }
}

/// Receives events, one at a time, in order. It never fails the build.
pub trait Reporter: Send {
    /// Takes one event.
    fn on(&mut self, event: &Event);
}

/// Hands events to the reporter. Cheap to clone; a clone may speak for one
/// build. A slow reader of our output slows the build, so that memory stays
/// bounded however much a guest prints.
#[derive(Clone)]
pub struct Events {
    reporter: Arc<Mutex<dyn Reporter>>,
    build: Option<Arc<str>>,
}

impl Events {
    /// Sends everything to a reporter.
    pub fn new(reporter: impl Reporter + 'static) -> Self {
        Self {
            reporter: Arc::new(Mutex::new(reporter)),
            build: None,
        }
    }

    /// The same, speaking for one build.
    #[must_use]
    pub fn for_build(&self, name: &str) -> Self {
        Self {
            reporter: Arc::clone(&self.reporter),
            build: Some(Arc::from(name)),
        }
    }

    /// Sends an event.
    pub fn emit(&self, kind: EventKind) {
        let event = Event {
            build: self.build.clone(),
            kind,
        };
        // A reporter that panicked once may still render what follows.
        self.reporter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .on(&event);
    }

    /// A step worth a line of its own.
    pub fn say(&self, text: impl Into<String>) {
        self.emit(EventKind::Say(text.into()));
    }

    /// A detail of the step.
    pub fn message(&self, text: impl Into<String>) {
        self.emit(EventKind::Message(text.into()));
    }

    /// Something the user should act on.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(EventKind::Warning(text.into()));
    }

    /// A line from a machine or a program.
    pub fn output(&self, stream: Stream, line: impl Into<String>) {
        self.emit(EventKind::Output {
            stream,
            line: line.into(),
        });
    }
}
