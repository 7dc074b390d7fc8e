//! From [`Event`] to [`Entry`]: masking, sanitizing, rendering of snippets.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::diagnostics::{self, Rendered};
use super::entry::{
    Api, ArtifactEnd, BuildEnd, BuildName, Entry, EntryKind, Failure, Finding, Place, RunEnd,
    Start, Status,
};
use super::mask::SharedMask;
use super::review::ASKED;
use super::sanitize;
use crate::artifact::{Artifact, Image};
use crate::engine::event::{
    BuildResult, CheckRun, Event, EventKind, Leftover, Resource, RunResult, RunStarted, Stream,
};
use crate::error::{Error, Kind, one_line};
use crate::secret::Secret;
use crate::template::diagnostic::{Diagnostic, Severity};
use crate::template::source::{SourceFile, SourceId, Sources, Span};

/// What is needed to make an event safe.
#[derive(Debug, Default)]
pub(super) struct Safe {
    mask: SharedMask,
    started: Option<Arc<RunStarted>>,
    nothing: Sources,
}

impl Safe {
    /// What is hidden, now and later.
    pub(super) fn mask(&self) -> SharedMask {
        self.mask.clone()
    }

    /// Hides a value from now on. Gives back the forms that are new.
    pub(super) fn hide(&mut self, secret: &Secret) -> Vec<String> {
        self.mask.add(secret.expose())
    }

    /// The event without anything that must not be shown; none for an event
    /// that is not for showing.
    pub(super) fn entry(&mut self, event: &Event, time: Timestamp) -> Option<Entry> {
        if let EventKind::RunStarted(started) = &event.kind {
            self.started = Some(Arc::clone(started));
        }
        Some(Entry {
            time,
            build: event.build.as_deref().map(|name| self.line(name)),
            kind: self.kind(&event.kind)?,
        })
    }

    fn kind(&self, kind: &EventKind) -> Option<EntryKind> {
        Some(match kind {
            EventKind::Secret(_) | EventKind::Pulse => return None,
            EventKind::RunStarted(started) => EntryKind::RunStarted(self.start(started)),
            EventKind::Diagnostic(diagnostic) => EntryKind::Diagnostic(self.finding(diagnostic)),
            EventKind::Say(text) => EntryKind::Say {
                text: self.text(text),
            },
            EventKind::Message(text) => EntryKind::Message {
                text: self.text(text),
            },
            EventKind::Warning(text) => EntryKind::Warning {
                text: self.text(text),
            },
            EventKind::Output { stream, line } => self.output(*stream, line),
            EventKind::StepStarted { step } => EntryKind::StepStarted { step },
            EventKind::StepFinished {
                step,
                elapsed,
                resources,
                succeeded,
            } => EntryKind::StepFinished {
                step,
                elapsed: *elapsed,
                resources: resources.iter().map(|id| self.line(id)).collect(),
                succeeded: *succeeded,
            },
            EventKind::ResourceCreated(resource) => {
                EntryKind::ResourceCreated(self.resource(resource))
            }
            EventKind::ResourceDeleted(resource) => {
                EntryKind::ResourceDeleted(self.resource(resource))
            }
            EventKind::Leftover(leftover) => EntryKind::Leftover(self.leftover(leftover)),
            EventKind::ImageReady(image) => EntryKind::ImageReady {
                image: self.image(image),
            },
            EventKind::Screenshot(path) => EntryKind::Screenshot {
                path: self.path(path),
            },
            EventKind::Answer { name, text } => EntryKind::Answer {
                name,
                text: self.mask.apply(text).into_owned(),
            },
            EventKind::TemplateFetched { address, commit } => EntryKind::TemplateFetched {
                address: self.line(address),
                commit: self.line(commit),
            },
            EventKind::CheckRun(check_run) => self::check_run(check_run),
            EventKind::BuildFinished(result) => EntryKind::BuildFinished(self.build_end(result)),
            EventKind::RunFinished(result) => EntryKind::RunFinished(self.run_end(result)),
        })
    }

    /// A secret may be split by what sanitizing removes, or altered by what it
    /// adds: masking comes before and after.
    pub(super) fn text(&self, text: &str) -> String {
        self.mask
            .apply(&sanitize::text(&self.mask.apply(text)))
            .into_owned()
    }

    fn line(&self, text: &str) -> String {
        self.text(text).replace('\n', " ")
    }

    fn path(&self, path: &Path) -> String {
        self.line(&path.to_string_lossy())
    }

    /// A secret that escape sequences split is only seen once they are gone:
    /// then the sanitized line stands for the one that came.
    fn output(&self, stream: Stream, came: &str) -> EntryKind {
        let masked = self.mask.apply(came);
        let sanitized = sanitize::line(&masked);
        let text = self.mask.apply(&sanitized);
        let line = match &text {
            Cow::Borrowed(_) => &masked,
            Cow::Owned(_) => &text,
        };
        EntryKind::Output {
            stream: match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            },
            line: sanitize::cut(line).into_owned(),
            text: sanitize::cut(&text).into_owned(),
        }
    }

    fn start(&self, started: &RunStarted) -> Start {
        Start {
            run_id: self.line(&started.run_id),
            command: started.command,
            builds: started
                .builds
                .iter()
                .map(|(name, builder_type)| BuildName {
                    name: self.line(name),
                    builder_type: self.line(builder_type),
                })
                .collect(),
            journal: started.journal.as_deref().map(|path| self.path(path)),
            region: started.region.as_deref().map(|region| self.line(region)),
            inputs: started
                .inputs
                .iter()
                .map(|(name, value)| (*name, self.line(value)))
                .collect(),
            template_sha256: template(started).map(|file| sha256(&file.text)),
        }
    }

    fn finding(&self, diagnostic: &Diagnostic) -> Finding {
        Finding {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: self.text(&diagnostic.message),
            place: self.place(diagnostic.span),
            label: diagnostic.label.as_deref().map(|label| self.text(label)),
            help: diagnostic.help.as_deref().map(|help| self.text(help)),
            rendered: self.rendered(&diagnostics::render(diagnostic, self.sources())),
        }
    }

    fn sources(&self) -> &Sources {
        self.started
            .as_ref()
            .map_or(&self.nothing, |started| &started.sources)
    }

    fn place(&self, span: Option<Span>) -> Option<Place> {
        let location = self.sources().locate(span?)?;
        Some(Place {
            file: self.path(&location.path),
            line: location.line,
            column: location.column,
            end_column: location.end_column,
        })
    }

    /// The renderer has already replaced control characters of the source;
    /// the escapes of the styled form are ours.
    fn rendered(&self, rendered: &Rendered) -> Rendered {
        Rendered {
            plain: self.text(&rendered.plain),
            styled: sanitize::break_commands(&self.mask.apply(&rendered.styled)),
        }
    }

    fn resource(&self, resource: &Resource) -> Resource {
        Resource {
            kind: self.line(&resource.kind),
            id: self.line(&resource.id),
            region: self.line(&resource.region),
        }
    }

    fn leftover(&self, leftover: &Leftover) -> Leftover {
        Leftover {
            resource: self.resource(&leftover.resource),
            reason: self.line(&leftover.reason),
        }
    }

    fn image(&self, image: &Image) -> Image {
        Image {
            build: self.line(&image.build),
            builder_type: self.line(&image.builder_type),
            region: self.line(&image.region),
            image_id: self.line(&image.image_id),
            image_name: self.line(&image.image_name),
            source_image: self.line(&image.source_image),
            snapshot_ids: image.snapshot_ids.iter().map(|id| self.line(id)).collect(),
            size_gib: image.size_gib,
            created: self.line(&image.created),
            oss_object: image.oss_object.as_deref().map(|object| self.line(object)),
        }
    }

    fn build_end(&self, result: &BuildResult) -> BuildEnd {
        BuildEnd {
            name: self.line(&result.name),
            builder_type: result.builder_type,
            elapsed: result.elapsed,
            artifacts: result
                .artifacts
                .iter()
                .map(|artifact| self.artifact(artifact))
                .collect(),
            error: result.error.as_ref().map(|error| self.failure(error)),
        }
    }

    fn artifact(&self, artifact: &Artifact) -> ArtifactEnd {
        ArtifactEnd {
            builder_id: self.line(&artifact.builder_id),
            id: self.line(&artifact.id),
            description: self.text(&artifact.description),
            files: artifact.files.iter().map(|file| self.path(file)).collect(),
            images: artifact
                .images
                .iter()
                .map(|image| self.image(image))
                .collect(),
        }
    }

    fn failure(&self, error: &Error) -> Failure {
        let place = error
            .span()
            .and_then(|span| diagnostics::render_place(span, self.sources()));
        Failure {
            kind: kind_name(error.kind()),
            message: self.text(error.message()),
            chain: self.line(&one_line(error)),
            hints: error
                .hints()
                .into_iter()
                .map(|hint| self.text(hint))
                .collect(),
            place: self.place(error.span()),
            api: error.api_failure().map(|failure| Api {
                action: failure.action.to_owned(),
                region: self.line(&failure.region),
                http_status: failure.http_status,
                code: self.line(&failure.code),
                message: self.line(&failure.message),
                request_id: self.line(&failure.request_id),
            }),
            rendered_place: place.map(|place| self.rendered(&place)),
        }
    }

    fn run_end(&self, result: &RunResult) -> RunEnd {
        RunEnd {
            status: status(result),
            elapsed: result.elapsed,
            cancelled: result.cancelled,
            builds: result
                .builds
                .iter()
                .map(|build| self.build_end(build))
                .collect(),
            leftovers: result
                .leftovers
                .iter()
                .map(|leftover| self.leftover(leftover))
                .collect(),
            error: result.error.as_ref().map(|error| self.failure(error)),
        }
    }
}

/// The template is what was read first. An import has none, only options that
/// read like one.
fn template(started: &RunStarted) -> Option<&SourceFile> {
    let has_template = started.command != "import";
    let file = started.sources.file(SourceId::default());
    file.filter(|_| has_template)
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

fn status(result: &RunResult) -> Status {
    if let Some(error) = &result.error {
        return match error.kind() {
            Kind::NoMatch => Status::Nothing,
            Kind::Cancelled => Status::Cancelled,
            _ => Status::Failure,
        };
    }
    if result.cancelled {
        return Status::Cancelled;
    }
    let failed = result
        .builds
        .iter()
        .filter(|build| build.error.is_some())
        .count();
    match (failed, result.builds.len()) {
        (0, _) => Status::Success,
        (failed, all) if failed < all => Status::Partial,
        _ => Status::Failure,
    }
}

fn check_run(check_run: &CheckRun) -> EntryKind {
    let (id, state) = match check_run {
        CheckRun::Asked(key) => (None, format!("{ASKED}{key}")),
        CheckRun::Open(id) => (Some(*id), id.to_string()),
        CheckRun::Done => (None, String::new()),
    };
    EntryKind::CheckRun { id, state }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Template => "template",
        Kind::Credentials => "credentials",
        Kind::NoMatch => "no_match",
        Kind::Cloud => "cloud",
        Kind::FailedState => "failed_state",
        Kind::Connect => "connect",
        Kind::Provision => "provision",
        Kind::PostProcess => "post_process",
        Kind::Timeout => "timeout",
        Kind::Cancelled => "cancelled",
        Kind::Disk => "disk",
        Kind::Io => "io",
        Kind::Busy => "busy",
        Kind::Internal => "internal",
    }
}
