//! GitHub Actions: step outputs, state for the post step, job summary,
//! annotations, masks and groups.
//!
//! Gitea and Forgejo understand the same; what they do not know they ignore.
//! Facts: GitHub's pages on workflow commands and the runner's source.

use std::path::PathBuf;

use super::Renderer;
use super::annotation::{Annotation, Annotations, Severity};
use super::entry::{Entry, EntryKind};
use super::fold::{Fold, Folds};
use super::review::{Draft, Review};
use super::settings::GitHub;
use super::sink::Sink;
use super::summary::Summary;

mod commands;
mod files;

use commands::command;
use files::Files;

/// Writes outputs, state, summary and annotations: what comes after the text.
pub(super) struct Results {
    sink: Sink,
    files: Files,
    summary: Summary,
    annotations: Annotations,
    are_annotations_shown: bool,
    review: Option<Review>,
}

impl Results {
    pub(super) fn new(settings: &GitHub, manifest: Option<PathBuf>, sink: Sink) -> Self {
        Self {
            files: Files::new(settings, manifest),
            summary: Summary::new(&settings.summary),
            annotations: Annotations::new(&settings.workspace),
            are_annotations_shown: settings.annotations,
            review: settings.review.clone(),
            sink,
        }
    }
}

impl Renderer for Results {
    fn render(&mut self, entry: &Entry) {
        self.files.render(entry);
        self.summary.render(entry);
        let annotations = self.annotations.on(entry);
        if self.are_annotations_shown {
            for annotation in annotations {
                self.sink.line(&written(&annotation));
            }
        }
        if let (Some(review), EntryKind::RunFinished(end)) = (&self.review, &entry.kind) {
            let remarks = self.annotations.in_workspace(end);
            review.leave(Draft::new(&self.summary, end, remarks, review));
        }
    }
}

fn written(annotation: &Annotation) -> String {
    let severity = match annotation.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let mut properties = vec![("title", annotation.title.clone())];
    if let Some(place) = &annotation.place {
        let end = place.end_column.map(|column| column.to_string());
        properties.extend([
            ("file", place.file.clone()),
            ("line", place.line.to_string()),
            ("col", place.column.to_string()),
            ("endColumn", end.unwrap_or_default()),
        ]);
    }
    command(severity, &properties, &annotation.message)
}

/// Masks secrets, and folds lines: what comes before the text.
pub(super) struct Log {
    sink: Sink,
    folds: Folds,
}

impl Log {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            sink,
            folds: Folds::default(),
        }
    }
}

impl Renderer for Log {
    fn render(&mut self, entry: &Entry) {
        match self.folds.on(entry) {
            Some(Fold::Open(step)) => self.sink.line(&command("group", &[], step)),
            Some(Fold::Close) => self.sink.line(&command("endgroup", &[], "")),
            None => {}
        }
    }

    fn hide(&mut self, form: &str) {
        self.sink.line(&command("add-mask", &[], form));
    }
}

#[cfg(test)]
mod tests;
