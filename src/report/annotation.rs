//! What a CI system marks in the source or beside the job: at most ten per
//! severity, one error per failed build.
//!
//! They are complete only at the end, when it is known which ones matter.
//! GitHub shows the first ten of a severity and drops the rest, and nobody
//! reads more elsewhere. Not here: any system's syntax.

use std::path::{Component, Path, PathBuf};

use super::entry::{BuildEnd, Entry, EntryKind, Failure, Finding, Place, RunEnd};
use super::left::cleanup_command;
use super::settings::Workspace;
use crate::engine::event::Leftover;

/// GitHub's limit per severity.
const MOST: usize = 10;
/// Longer texts are cut, in characters.
const LONGEST: usize = 1000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
    Notice,
}

/// One remark.
pub(super) struct Annotation {
    pub(super) severity: Severity,
    pub(super) title: String,
    /// With the file as seen from the workspace.
    pub(super) place: Option<Place>,
    pub(super) message: String,
}

/// Collects what becomes an annotation.
pub(super) struct Annotations {
    workspace: Workspace,
    run_id: String,
    findings: Vec<Finding>,
    warnings: Vec<String>,
    is_over: bool,
}

impl Annotations {
    pub(super) fn new(workspace: &Workspace) -> Self {
        Self {
            workspace: workspace.clone(),
            run_id: String::new(),
            findings: Vec::new(),
            warnings: Vec::new(),
            is_over: false,
        }
    }

    /// The remarks to make after an entry.
    pub(super) fn on(&mut self, entry: &Entry) -> Vec<Annotation> {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.run_id.clone_from(&start.run_id),
            EntryKind::Diagnostic(finding) => self.findings.push(finding.clone()),
            // After the end nothing more is collected.
            EntryKind::Warning { text } if self.is_over => return shortened(vec![warning(text)]),
            EntryKind::Warning { text } => self.warnings.push(match &entry.build {
                Some(build) => format!("{build}: {text}"),
                None => text.clone(),
            }),
            EntryKind::RunFinished(end) => {
                self.is_over = true;
                return self.all(end);
            }
            _ => {}
        }
        Vec::new()
    }

    fn all(&self, end: &RunEnd) -> Vec<Annotation> {
        let mut all = shortened(self.errors(end));
        all.extend(shortened(self.warnings(end)));
        all.extend(notice(end));
        self.placed(all)
    }

    /// Those with a place in the workspace, without any limit.
    pub(super) fn in_workspace(&self, end: &RunEnd) -> Vec<Annotation> {
        let mut all = self.errors(end);
        all.extend(self.warnings(end));
        let mut placed = self.placed(all);
        placed.retain(|annotation| annotation.place.is_some());
        placed
    }

    fn placed(&self, mut all: Vec<Annotation>) -> Vec<Annotation> {
        for annotation in &mut all {
            let place = annotation.place.take();
            annotation.place = place.and_then(|place| self.workspace.seen_from(&place));
        }
        all
    }

    fn errors(&self, end: &RunEnd) -> Vec<Annotation> {
        let findings: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| finding.is_error())
            .collect();
        // The findings are the error of a run that ended because of them.
        let of_run = end
            .error
            .as_ref()
            .filter(|error| error.kind != "template" || findings.is_empty());
        let of_run = of_run.map(|error| failure("alicloud-image".to_owned(), error));
        let of_builds = end.builds.iter().filter_map(failed_build);
        let of_findings = findings.into_iter().map(of_finding);
        of_run
            .into_iter()
            .chain(of_builds)
            .chain(of_findings)
            .collect()
    }

    fn warnings(&self, end: &RunEnd) -> Vec<Annotation> {
        let leftovers = end.leftovers.iter().map(|leftover| self.leftover(leftover));
        let findings = self
            .findings
            .iter()
            .filter(|finding| !finding.is_error())
            .map(of_finding);
        let texts = self.warnings.iter().map(|text| warning(text));
        leftovers.chain(findings).chain(texts).collect()
    }

    fn leftover(&self, leftover: &Leftover) -> Annotation {
        let Leftover { resource, reason } = leftover;
        let command = cleanup_command(&self.run_id, std::slice::from_ref(leftover));
        Annotation {
            severity: Severity::Warning,
            title: "Resource left".to_owned(),
            place: None,
            message: format!(
                "{} {} in {} was not deleted: {reason}\nDelete it with: {command}",
                resource.kind, resource.id, resource.region
            ),
        }
    }
}

impl Workspace {
    /// The place with its file as seen from the workspace; none when it is
    /// elsewhere.
    pub(super) fn seen_from(&self, place: &Place) -> Option<Place> {
        Some(Place {
            file: self.relative(Path::new(&place.file))?,
            ..place.clone()
        })
    }

    fn relative(&self, path: &Path) -> Option<String> {
        let path = match (&self.root, path.is_absolute()) {
            (Some(root), true) => path.strip_prefix(root).ok()?.to_owned(),
            (None, true) => return None,
            (_, false) => self.directory.join(path),
        };
        let mut clean = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir if !clean.pop() => return None,
                _ => {}
            }
        }
        Some(clean.to_string_lossy().into_owned()).filter(|file| !file.is_empty() && file != "-")
    }
}

fn warning(text: &str) -> Annotation {
    Annotation {
        severity: Severity::Warning,
        title: "alicloud-image".to_owned(),
        place: None,
        message: text.to_owned(),
    }
}

/// No more than are shown; the last one says how many are not.
fn shortened(mut annotations: Vec<Annotation>) -> Vec<Annotation> {
    let hidden = annotations.len().saturating_sub(MOST);
    annotations.truncate(MOST);
    for annotation in &mut annotations {
        annotation.message = cut(&annotation.message, LONGEST);
    }
    if let (1.., Some(last)) = (hidden, annotations.last_mut()) {
        let more = format!("\n… and {hidden} more, see the log");
        let room = LONGEST - more.chars().count();
        last.message = cut(&last.message, room) + &more;
    }
    annotations
}

fn failed_build(build: &BuildEnd) -> Option<Annotation> {
    let error = build.error.as_ref()?;
    Some(failure(format!("Build {} failed", build.name), error))
}

fn failure(title: String, error: &Failure) -> Annotation {
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    // The server's answer ends the chain; a long chain must not cut off the
    // code and id that support asks for.
    let api = error
        .api
        .as_ref()
        .map(|api| format!("\n{}, RequestId {}", api.code, api.request_id));
    let is_long = error.chain.chars().count() > LONGEST / 2;
    let head: String = error.chain.chars().take(LONGEST / 2).collect();
    Annotation {
        severity: Severity::Error,
        title,
        place: error.place.clone(),
        message: [head, api.filter(|_| is_long).unwrap_or_default()]
            .into_iter()
            .chain(hints)
            .collect(),
    }
}

fn of_finding(finding: &Finding) -> Annotation {
    let help = finding
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("\nhelp: {help}"));
    Annotation {
        severity: match finding.is_error() {
            true => Severity::Error,
            false => Severity::Warning,
        },
        title: "Template".to_owned(),
        place: finding.place.clone(),
        message: format!("{}{help}", finding.message),
    }
}

/// One line with the images, when everything went well.
fn notice(end: &RunEnd) -> Option<Annotation> {
    let images: Vec<_> = end
        .builds
        .iter()
        .flat_map(BuildEnd::images)
        .map(|image| format!("{}: {} in {}", image.build, image.image_id, image.region))
        .collect();
    let is_good = end.error.is_none() && end.builds.iter().all(|build| build.error.is_none());
    (is_good && !images.is_empty()).then(|| Annotation {
        severity: Severity::Notice,
        title: "Images".to_owned(),
        place: None,
        message: images.join("; "),
    })
}

/// The message in so many characters.
fn cut(message: &str, longest: usize) -> String {
    if message.chars().count() <= longest {
        return message.to_owned();
    }
    let kept = message.chars().take(longest - 1);
    kept.chain(['…']).collect()
}
