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

/// Writes everything for GitHub.
pub(super) struct GitHubRenderer {
    sink: Sink,
    files: Files,
    summary: Summary,
    annotations: Option<Annotations>,
    groups: Groups,
}

impl GitHubRenderer {
    pub(super) fn new(settings: &GitHub, sink: Sink) -> Self {
        Self {
            files: Files::new(settings),
            summary: Summary::new(settings),
            annotations: settings.annotations.then(|| Annotations::new(settings)),
            groups: Groups::default(),
            sink,
        }
    }
}

impl Renderer for GitHubRenderer {
    fn render(&mut self, entry: &Entry) {
        for command in self.groups.on(entry) {
            self.sink.line(&command);
        }
        self.files.render(entry);
        self.summary.render(entry);
        if let Some(annotations) = &mut self.annotations {
            for command in annotations.on(entry) {
                self.sink.line(&command);
            }
        }
    }

    fn hide(&mut self, form: &str) {
        self.sink.line(&commands::command("add-mask", &[], form));
    }
}

/// Folds the lines of each step, in runs of one build. Lines of parallel
/// builds alternate, and groups cannot.
#[derive(Debug, Default)]
struct Groups {
    is_single: bool,
    is_open: bool,
}

impl Groups {
    fn on(&mut self, entry: &Entry) -> Vec<String> {
        match &entry.kind {
            EntryKind::RunStarted(start) => {
                self.is_single = start.builds.len() == 1;
                Vec::new()
            }
            EntryKind::StepStarted { step } if self.is_single => {
                let mut commands: Vec<_> = self.close().collect();
                commands.push(commands::command("group", &[], step));
                self.is_open = true;
                commands
            }
            EntryKind::StepFinished { .. }
            | EntryKind::BuildFinished(_)
            | EntryKind::RunFinished(_) => self.close().collect(),
            _ => Vec::new(),
        }
    }

    fn close(&mut self) -> impl Iterator<Item = String> + use<> {
        let was_open = std::mem::take(&mut self.is_open);
        was_open
            .then(|| commands::command("endgroup", &[], ""))
            .into_iter()
    }
}

#[cfg(test)]
mod tests;
