//! Annotations: at most ten per severity, one error per failed build.
//!
//! They are written at the end, when it is known which ones matter; the
//! runner shows the first ten of a severity and drops the rest.

use std::path::{Component, Path, PathBuf};

use super::super::entry::{BuildEnd, Entry, EntryKind, Failure, Finding, Place, RunEnd};
use super::super::settings::GitHub;
use super::commands::command;
use crate::engine::event::Leftover;

/// The runner's limit per severity.
const MOST: usize = 10;
/// Longer texts are cut, in characters.
const LONGEST: usize = 1000;

/// Collects what becomes an annotation.
pub(super) struct Annotations {
    workspace: Option<PathBuf>,
    directory: PathBuf,
    run_id: String,
    findings: Vec<Finding>,
    warnings: Vec<String>,
}

struct Annotation {
    title: String,
    place: Option<Place>,
    message: String,
}

impl Annotations {
    pub(super) fn new(settings: &GitHub) -> Self {
        Self {
            workspace: settings.workspace.clone(),
            directory: settings.directory.clone(),
            run_id: String::new(),
            findings: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The commands to write after an entry.
    pub(super) fn on(&mut self, entry: &Entry) -> Vec<String> {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.run_id.clone_from(&start.run_id),
            EntryKind::Diagnostic(finding) => self.findings.push(finding.clone()),
            EntryKind::Warning { text } => self.warnings.push(match &entry.build {
                Some(build) => format!("{build}: {text}"),
                None => text.clone(),
            }),
            EntryKind::RunFinished(end) => return self.all(end),
            _ => {}
        }
        Vec::new()
    }

    fn all(&self, end: &RunEnd) -> Vec<String> {
        [
            self.commands("error", self.errors(end)),
            self.commands("warning", self.warnings(end)),
            self.commands("notice", notice(end).into_iter().collect()),
        ]
        .concat()
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
        let texts = self.warnings.iter().map(|text| Annotation {
            title: "alicloud-image".to_owned(),
            place: None,
            message: text.clone(),
        });
        leftovers.chain(findings).chain(texts).collect()
    }

    fn leftover(&self, Leftover { resource, reason }: &Leftover) -> Annotation {
        let run = &self.run_id;
        Annotation {
            title: "Resource left".to_owned(),
            place: None,
            message: format!(
                "{} {} in {} was not deleted: {reason}\nDelete it with: alicloud-image cleanup --run {run}",
                resource.kind, resource.id, resource.region
            ),
        }
    }

    fn commands(&self, severity: &str, mut annotations: Vec<Annotation>) -> Vec<String> {
        let hidden = annotations.len().saturating_sub(MOST);
        annotations.truncate(MOST);
        if let (1.., Some(last)) = (hidden, annotations.last_mut()) {
            last.message = format!("{}\n… and {hidden} more, see the log", cut(&last.message));
        }
        let write = |annotation: &Annotation| {
            command(
                severity,
                &self.properties(annotation),
                &cut(&annotation.message),
            )
        };
        annotations.iter().map(write).collect()
    }

    fn properties(&self, annotation: &Annotation) -> Vec<(&'static str, String)> {
        let mut properties = vec![("title", annotation.title.clone())];
        let place = annotation.place.as_ref();
        let Some((place, file)) = place.and_then(|place| Some((place, self.relative(place)?)))
        else {
            return properties;
        };
        properties.extend([
            ("file", file),
            ("line", place.line.to_string()),
            ("col", place.column.to_string()),
            (
                "endColumn",
                place
                    .end_column
                    .map_or_else(String::new, |column| column.to_string()),
            ),
        ]);
        properties
    }

    /// The file as seen from the workspace; none when it is elsewhere.
    fn relative(&self, place: &Place) -> Option<String> {
        let path = Path::new(&place.file);
        let path = match (&self.workspace, path.is_absolute()) {
            (Some(workspace), true) => path.strip_prefix(workspace).ok()?.to_owned(),
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
        title: "Images".to_owned(),
        place: None,
        message: images.join("; "),
    })
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
