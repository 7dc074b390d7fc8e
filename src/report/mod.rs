//! Everything the user sees: text, JSON, the CI systems' files and commands.
//!
//! ```text
//! Event ──► safe (mask, sanitize) ──► Entry ──► text │ machine_readable │ json
//!                                           └─► github │ gitlab │ azure │ output file
//! ```
//!
//! One [`Report`] takes all events, makes each safe once, and hands it to the
//! configured renderers. A renderer escapes for its own format and knows
//! nothing of the others. Nothing here fails the build: what cannot be written
//! is lost. Nobody else knows any CI's syntax.

use std::io::Write;

use jiff::Timestamp;

use crate::engine::event::{Event, EventKind, Reporter};

mod annotation;
mod azure;
mod console;
mod developer_log;
mod diagnostics;
mod duration;
mod entry;
pub mod exit;
mod file;
mod fold;
mod github;
mod gitlab;
mod json;
mod left;
mod live;
pub mod machine_readable;
mod manifest;
mod mask;
pub mod matrix;
pub mod outputs;
pub mod page;
pub mod review;
mod safe;
mod sanitize;
pub mod settings;
mod shape;
mod sink;
mod summary;
mod text;

pub use developer_log::DeveloperLog;
pub use exit::ExitStatus;
pub use settings::{Format, Settings, System};

use entry::{Entry, EntryKind};
use safe::Safe;
use sink::Sink;

/// Shows entries in one format.
trait Renderer: Send {
    /// Shows an entry.
    fn render(&mut self, entry: &Entry);

    /// Learns of a value that must not be shown. Entries never hold it.
    fn hide(&mut self, _form: &str) {}

    /// Learns that time passed.
    fn pulse(&mut self, _time: Timestamp) {}

    /// Says, once, what it could not do.
    fn trouble(&mut self) -> Option<String> {
        None
    }
}

/// The program's standard streams.
pub struct Writers {
    /// Standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Standard error.
    pub stderr: Box<dyn Write + Send>,
}

impl Writers {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
        }
    }
}

/// Shows a run in all configured ways.
pub struct Report {
    safe: Safe,
    renderers: Vec<Box<dyn Renderer>>,
    now: fn() -> Timestamp,
}

impl Report {
    /// A report that writes to the given streams and the configured files.
    pub fn new(settings: &Settings, writers: Writers) -> Self {
        Self::with_time(settings, writers, Timestamp::now)
    }

    /// A writer for the developers' log, which hides what this report hides.
    pub fn developer_log(&self, out: Box<dyn Write + Send>) -> DeveloperLog {
        DeveloperLog::new(self.safe.mask(), Sink::new(out))
    }

    fn with_time(settings: &Settings, writers: Writers, now: fn() -> Timestamp) -> Self {
        let mut report = Self {
            safe: Safe::default(),
            renderers: renderers(settings, writers),
            now,
        };
        for secret in &settings.secrets {
            report.hide(secret);
        }
        report
    }

    fn show(&mut self, entry: &Entry) {
        for renderer in &mut self.renderers {
            renderer.render(entry);
        }
    }

    fn show_trouble(&mut self, time: Timestamp) {
        let renderers = self.renderers.iter_mut();
        let troubles: Vec<_> = renderers.filter_map(|one| one.trouble()).collect();
        for text in troubles {
            let text = self.safe.text(&text);
            self.show(&Entry {
                time,
                build: None,
                kind: EntryKind::Warning { text },
            });
        }
    }

    fn hide(&mut self, secret: &crate::secret::Secret) {
        for form in self.safe.hide(secret) {
            for renderer in &mut self.renderers {
                renderer.hide(&form);
            }
        }
    }
}

/// In a CI system's log a group opens before the first line in it, and
/// annotations follow the text.
fn renderers(settings: &Settings, writers: Writers) -> Vec<Box<dyn Renderer>> {
    let stdout = Sink::new(writers.stdout);
    let for_people = match settings.format {
        Format::Json => Sink::new(writers.stderr),
        Format::Text | Format::MachineReadable => stdout.clone(),
    };
    let folds = settings.ci.as_ref().map(|ci| log(ci, &for_people));
    let sink = for_people.clone();
    let mut renderers: Vec<Box<dyn Renderer>> = match settings.format {
        Format::MachineReadable => {
            let lines = machine_readable::MachineReadable::new(sink, settings);
            folds.into_iter().chain([Box::new(lines) as _]).collect()
        }
        Format::Text | Format::Json => {
            let text = text::Text::new(sink, settings);
            vec![Box::new(live::Live::new(folds, Box::new(text)))]
        }
    };
    if settings.format == Format::Json {
        renderers.push(Box::new(json::Json(stdout)));
    }
    // Before the outputs, which name it.
    if let Some(path) = &settings.manifest {
        renderers.push(Box::new(manifest::Manifest::new(path)));
    }
    let ci = settings.ci.iter();
    renderers.extend(ci.flat_map(|ci| results(ci, settings, &for_people)));
    for path in &settings.output_files {
        let manifest = settings.manifest.clone();
        renderers.push(Box::new(outputs::OutputFile::new(path, manifest)));
    }
    renderers
}

/// What a CI system is told before the text.
fn log(system: &System, sink: &Sink) -> Box<dyn Renderer> {
    let sink = sink.clone();
    match system {
        System::GitHub(_) => Box::new(github::Log::new(sink)),
        System::GitLab(_) => Box::new(gitlab::Log::new(sink)),
        System::Azure(_) => Box::new(azure::Log::new(sink)),
    }
}

/// What a CI system is told after the text.
fn results(system: &System, settings: &Settings, sink: &Sink) -> Vec<Box<dyn Renderer>> {
    let sink = sink.clone();
    match system {
        System::GitHub(github) => {
            let manifest = settings.manifest.clone();
            vec![Box::new(github::Results::new(github, manifest, sink))]
        }
        System::GitLab(gitlab) => gitlab::reports(gitlab),
        System::Azure(azure) => vec![Box::new(azure::Results::new(azure, sink))],
    }
}

impl Reporter for Report {
    fn on(&mut self, event: &Event) {
        if let EventKind::Secret(secret) = &event.kind {
            self.hide(secret);
        }
        let now = (self.now)();
        if let EventKind::Pulse = &event.kind {
            for renderer in &mut self.renderers {
                renderer.pulse(now);
            }
        }
        if let Some(entry) = self.safe.entry(event, now) {
            self.show(&entry);
            self.show_trouble(now);
        }
    }
}

#[cfg(test)]
mod tests;
