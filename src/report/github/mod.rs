//! GitHub Actions: step outputs, state for the post step, job summary,
//! annotations, masks and groups.
//!
//! Gitea and Forgejo understand the same; what they do not know they ignore.
//! Facts: GitHub's pages on workflow commands and the runner's source.

use super::Renderer;
use super::entry::{Entry, EntryKind};
use super::settings::GitHub;
use super::sink::Sink;

mod annotations;
mod commands;
mod files;
mod summary;

use annotations::Annotations;
use files::Files;
use summary::Summary;

/// Writes outputs, state, summary and annotations: what comes after the text.
pub(super) struct Results {
    sink: Sink,
    files: Files,
    summary: Summary,
    annotations: Option<Annotations>,
}

impl Results {
    pub(super) fn new(settings: &GitHub, sink: Sink) -> Self {
        Self {
            files: Files::new(settings),
            summary: Summary::new(settings),
            annotations: settings.annotations.then(|| Annotations::new(settings)),
            sink,
        }
    }
}

impl Renderer for Results {
    fn render(&mut self, entry: &Entry) {
        self.files.render(entry);
        self.summary.render(entry);
        if let Some(annotations) = &mut self.annotations {
            for command in annotations.on(entry) {
                self.sink.line(&command);
            }
        }
    }
}

/// Masks secrets, and folds the lines of each step in runs of one build: what
/// comes before the text. Lines of parallel builds alternate, and groups
/// cannot.
pub(super) struct Log {
    sink: Sink,
    is_single: bool,
    /// How many steps are under way: one may consist of others, which may run
    /// at the same time, but groups cannot be nested.
    depth: usize,
}

impl Log {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            sink,
            is_single: false,
            depth: 0,
        }
    }

    fn open(&mut self, step: &str) {
        if self.depth == 0 {
            self.sink.line(&commands::command("group", &[], step));
        }
        self.depth += 1;
    }

    fn close(&mut self, levels: usize) {
        let was_open = self.depth > 0;
        self.depth = self.depth.saturating_sub(levels);
        if was_open && self.depth == 0 {
            self.sink.line(&commands::command("endgroup", &[], ""));
        }
    }
}

impl Renderer for Log {
    fn render(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.is_single = start.builds.len() == 1,
            EntryKind::StepStarted { step } if self.is_single => self.open(step),
            EntryKind::StepFinished { .. } => self.close(1),
            // A step that was cut off never finished.
            EntryKind::BuildFinished(_) | EntryKind::RunFinished(_) => self.close(self.depth),
            _ => {}
        }
    }

    fn hide(&mut self, form: &str) {
        self.sink.line(&commands::command("add-mask", &[], form));
    }
}

#[cfg(test)]
mod tests;
