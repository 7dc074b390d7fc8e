//! What GitHub's API is told about a run: the page of a comment and of a check
//! run, rendered and safe like all that is shown.
//!
//! Rendering is not sending: the page is left in a [`Review`], and whoever
//! made that takes it out and sends it.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::annotation::{Annotation, Severity};
use super::entry::{BuildEnd, Failure, RunEnd, Status};
use super::summary::{Summary, joined};
use crate::github::check_run::{self, Completion, Conclusion, Level};
use crate::github::comment::LONGEST;

/// What the state of a check run begins with whose id is not known: its key
/// follows.
pub const ASKED: &str = "asked:";

/// Where a run's page is left for whoever sends it.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// The address of the workflow run. A comment is read far from it, so it
    /// cannot be relative as in a job summary.
    pub run: Option<String>,
    draft: Arc<Mutex<Option<Draft>>>,
}

/// The page of a run that has ended.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Markdown with the result, for a comment.
    pub comment: String,
    /// Stands for what the comment says, without times and ids of the run.
    pub result: String,
    /// The end of a check run.
    pub completion: Completion,
}

impl Review {
    /// One whose page links to a workflow run.
    pub fn of_run(run: Option<String>) -> Self {
        Self {
            run,
            ..Self::default()
        }
    }

    /// The page, once the run has ended.
    pub fn take(&self) -> Option<Draft> {
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        draft.take()
    }

    pub(super) fn leave(&self, draft: Draft) {
        let mut place = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(draft);
    }
}

impl Draft {
    pub(super) fn new(
        summary: &Summary,
        end: &RunEnd,
        remarks: Vec<Annotation>,
        review: &Review,
    ) -> Self {
        let mut sections = summary.results(end);
        let result = fingerprint(end, &sections);
        sections.push(footer(summary, review));
        let comment = joined(&sections, LONGEST);
        let completion = Completion {
            conclusion: conclusion(end.status),
            title: summary.title(end),
            summary: comment.clone(),
            annotations: remarks.into_iter().filter_map(annotation).collect(),
        };
        Self {
            comment,
            result,
            completion,
        }
    }
}

fn footer(summary: &Summary, review: &Review) -> String {
    let mut parts = vec![format!("alicloud-image {}", env!("CARGO_PKG_VERSION"))];
    parts.extend(summary.origin());
    let link = |run: &String| format!("[workflow run]({run})");
    parts.extend(review.run.iter().map(link));
    format!("<sub>{}</sub>\n", parts.join(" · "))
}

fn conclusion(status: Status) -> Conclusion {
    match status {
        Status::Success => Conclusion::Success,
        Status::Failure | Status::Partial => Conclusion::Failure,
        Status::Cancelled => Conclusion::Cancelled,
        Status::Nothing => Conclusion::Neutral,
    }
}

/// Images and outcome. An answer's RequestId and the time it took differ
/// whenever a run is repeated.
fn fingerprint(end: &RunEnd, sections: &[String]) -> String {
    let mut facts = vec![end.status.word().to_owned()];
    let images = end.builds.iter().flat_map(BuildEnd::images);
    facts.extend(images.map(|image| format!("{} {}", image.region, image.image_id)));
    let errors = end.builds.iter().filter_map(|build| {
        let error = build.error.as_ref()?;
        Some(format!("{} {}", build.name, cause(error)))
    });
    facts.extend(end.error.iter().map(cause).chain(errors));
    facts.extend(end.leftovers.iter().map(|left| left.resource.id.clone()));
    let has_mistakes = end
        .error
        .as_ref()
        .is_some_and(|error| error.kind == "template");
    if has_mistakes {
        // What a template's mistakes are is only in the page, and nothing in
        // it differs from run to run.
        facts.extend_from_slice(sections);
    }
    let digest = Sha256::digest(facts.join("\n"));
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn cause(error: &Failure) -> String {
    match &error.api {
        Some(api) => format!("{} {} {}", error.kind, api.action, api.code),
        None => format!("{} {}", error.kind, error.chain),
    }
}

fn annotation(annotation: Annotation) -> Option<check_run::Annotation> {
    let place = annotation.place?;
    Some(check_run::Annotation {
        level: match annotation.severity {
            Severity::Error => Level::Failure,
            Severity::Warning => Level::Warning,
            Severity::Notice => Level::Notice,
        },
        path: place.file,
        line: place.line,
        // Ours is one past the last, theirs is the last.
        columns: place
            .end_column
            .map(|end| (place.column, end.saturating_sub(1).max(place.column))),
        title: annotation.title,
        message: annotation.message,
    })
}
