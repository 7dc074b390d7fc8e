//! Events made safe: the only thing renderers see.
//!
//! ```text
//! Event ──mask secrets──► sanitize ──► render snippets ──► Entry
//! ```
//!
//! An [`Entry`] holds plain data without secrets, without control characters
//! and without anything a CI system would obey; a renderer only has to escape
//! for its own format. Its serialized form is the schema of `--format json`,
//! documented in `json`.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::diagnostics::Rendered;
use crate::artifact::Image;
use crate::engine::event::{Leftover, Resource};

/// One event, safe to show.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    /// When it was received.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    /// The build it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum EntryKind {
    RunStarted(Start),
    Diagnostic(Finding),
    Say {
        text: String,
    },
    Message {
        text: String,
    },
    Output {
        stream: &'static str,
        /// As it came, but for secrets; JSON escapes control characters.
        line: String,
        /// Sanitized and cut.
        #[serde(skip)]
        text: String,
    },
    Warning {
        text: String,
    },
    StepStarted {
        step: &'static str,
    },
    StepFinished {
        step: &'static str,
        #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
        elapsed: Duration,
        resources: Vec<String>,
        succeeded: bool,
    },
    ResourceCreated(Resource),
    ResourceDeleted(Resource),
    Leftover(Leftover),
    ImageReady {
        image: Image,
    },
    Screenshot {
        path: String,
    },
    Answer {
        name: &'static str,
        text: String,
    },
    TemplateFetched {
        address: String,
        commit: String,
    },
    CheckRun {
        id: Option<u64>,
        /// The state for the post step.
        #[serde(skip)]
        state: String,
    },
    /// What follows belongs together. Made here, and not part of the schema.
    #[serde(skip)]
    FoldOpened {
        title: String,
    },
    /// It ends.
    #[serde(skip)]
    FoldClosed,
    BuildFinished(BuildEnd),
    RunFinished(RunEnd),
}

/// The facts known when a run begins.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Start {
    pub run_id: String,
    pub command: &'static str,
    pub builds: Vec<BuildName>,
    pub journal: Option<String>,
    pub region: Option<String>,
    #[serde(skip)]
    pub inputs: Vec<(&'static str, String)>,
    pub template_sha256: Option<String>,
}

/// A build that will run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BuildName {
    pub name: String,
    pub builder_type: String,
}

/// A finding about template or command line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub severity: &'static str,
    pub message: String,
    pub place: Option<Place>,
    pub label: Option<String>,
    pub help: Option<String>,
    #[serde(skip)]
    pub rendered: Rendered,
}

impl Finding {
    pub(super) fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_column: Option<usize>,
}

/// A build's end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BuildEnd {
    pub name: String,
    pub builder_type: &'static str,
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    pub artifacts: Vec<ArtifactEnd>,
    pub error: Option<Failure>,
}

impl BuildEnd {
    pub(super) fn images(&self) -> impl Iterator<Item = &Image> {
        self.artifacts.iter().flat_map(|artifact| &artifact.images)
    }

    /// What remains of it on this machine.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.artifacts.iter().flat_map(|artifact| &artifact.files);
        files.map(String::as_str)
    }
}

/// An artifact that remains.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ArtifactEnd {
    pub builder_id: String,
    pub id: String,
    pub description: String,
    pub files: Vec<String>,
    pub images: Vec<Image>,
}

/// An error with everything a person needs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    pub kind: &'static str,
    /// The outermost message.
    pub message: String,
    /// The messages of the whole chain in one line.
    pub chain: String,
    pub hints: Vec<String>,
    pub place: Option<Place>,
    pub api: Option<Api>,
    #[serde(skip)]
    pub rendered_place: Option<Rendered>,
}

/// What Alibaba Cloud answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Api {
    pub action: String,
    pub region: String,
    pub http_status: u16,
    pub code: String,
    pub message: String,
    pub request_id: String,
}

/// The run's end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RunEnd {
    pub status: Status,
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    pub cancelled: bool,
    pub builds: Vec<BuildEnd>,
    pub leftovers: Vec<Leftover>,
    pub error: Option<Failure>,
}

/// The run's result in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Success,
    Failure,
    Partial,
    Cancelled,
    Nothing,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Partial => "partial",
            Self::Cancelled => "cancelled",
            Self::Nothing => "nothing",
        }
    }
}

/// Milliseconds are as precise as anyone needs, and steady in snapshots.
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    serializer.serialize_f64(f64::from(millis) / 1000.0)
}

/// To the millisecond.
fn rfc3339<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{time:.3}"))
}
