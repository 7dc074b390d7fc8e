//! The sentences people read, in Packer's shapes, before colours and
//! timestamps. `text` and `machine_readable` both show them.
//!
//! Packer's users grep for these shapes; they are part of the interface.

use super::diagnostics::Rendered;
use super::duration::in_words;
use super::entry::{BuildEnd, Entry, EntryKind, Failure, RunEnd, Start};
use super::left::cleanup_command;
use crate::engine::event::Leftover;

/// What sort of text it is; chooses colour and Packer's `ui` type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// A headline.
    Say,
    /// A detail.
    Message,
    /// A failure.
    Error,
    /// A warning.
    Warning,
}

/// One piece of text, perhaps of several lines, with its prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// What sort of text it is.
    pub tone: Tone,
    /// The text without colours.
    pub text: String,
    /// The text with colours of its own, if it has them.
    pub styled: Option<String>,
}

/// Makes shapes of entries.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    verbose: bool,
    run_id: String,
    command: &'static str,
}

impl Shapes {
    /// With `verbose`, steps and resources are shown too.
    pub(super) fn new(verbose: bool) -> Self {
        Self {
            verbose,
            ..Self::default()
        }
    }

    /// What to show for an entry.
    pub(super) fn of(&mut self, entry: &Entry) -> Vec<Shape> {
        let build = entry.build.as_deref();
        match &entry.kind {
            EntryKind::RunStarted(start) => self.start(start),
            EntryKind::Diagnostic(finding) => vec![rendered(
                if finding.is_error() {
                    Tone::Error
                } else {
                    Tone::Warning
                },
                &finding.rendered,
            )],
            EntryKind::Say { text } => vec![say(Tone::Say, build, text)],
            EntryKind::Message { text } | EntryKind::Output { text, .. } => {
                vec![message(build, text)]
            }
            EntryKind::Warning { text } => vec![warning(build, text)],
            EntryKind::TemplateFetched { address, commit } => {
                let text = format!("Template {address} is at commit {commit}");
                vec![plain(Tone::Say, format!("==> {text}"))]
            }
            EntryKind::BuildFinished(end) => build_finished(end),
            EntryKind::RunFinished(end) => self.run_finished(end),
            kind => self
                .detail(kind)
                .map(|text| message(build, &text))
                .into_iter()
                .collect(),
        }
    }

    fn start(&mut self, start: &Start) -> Vec<Shape> {
        self.run_id.clone_from(&start.run_id);
        self.command = start.command;
        Vec::new()
    }

    fn detail(&self, kind: &EntryKind) -> Option<String> {
        if !self.verbose {
            return None;
        }
        Some(match kind {
            EntryKind::StepStarted { step } => format!("Step \"{step}\" started"),
            EntryKind::StepFinished {
                step,
                elapsed,
                resources,
                succeeded,
            } => {
                let word = if *succeeded { "finished" } else { "failed" };
                let about = match resources.as_slice() {
                    [] => String::new(),
                    ids => format!(" ({})", ids.join(", ")),
                };
                format!("Step \"{step}\" {word} after {}{about}", in_words(*elapsed))
            }
            EntryKind::ResourceCreated(resource) => {
                format!(
                    "Created {} {} in {}",
                    resource.kind, resource.id, resource.region
                )
            }
            EntryKind::ResourceDeleted(resource) => {
                format!(
                    "Deleted {} {} in {}",
                    resource.kind, resource.id, resource.region
                )
            }
            EntryKind::ImageReady { image } => {
                format!("Image {} is available in {}", image.image_id, image.region)
            }
            _ => return None,
        })
    }

    fn run_finished(&self, end: &RunEnd) -> Vec<Shape> {
        let mut shapes = Vec::new();
        if !end.builds.is_empty() {
            // Nothing was waited for when results are joined.
            if self.command != "merge" {
                let waited = format!("\n==> Wait completed after {}", in_words(end.elapsed));
                shapes.push(plain(Tone::Say, waited));
            }
            shapes.extend(cancelled(end));
            shapes.extend(errors(end));
            shapes.push(artifacts(end));
        }
        if let Some(error) = &end.error {
            let space = if end.builds.is_empty() { "" } else { "\n" };
            let headline = format!("{space}Error: {}", error.chain);
            shapes.extend(failure(&headline, error));
        }
        if self.has_resources(end) {
            shapes.extend(self.leftovers(&end.leftovers));
        }
        shapes
    }

    /// Only these commands know what is left, and only once they began.
    fn has_resources(&self, end: &RunEnd) -> bool {
        match self.command {
            "build" | "import" => !end.builds.is_empty(),
            "cleanup" => end.error.is_none(),
            _ => false,
        }
    }

    fn leftovers(&self, leftovers: &[Leftover]) -> Vec<Shape> {
        let mut shapes = Vec::new();
        if !leftovers.is_empty() {
            let mut lines = vec!["\n==> Some temporary resources were not deleted:".to_owned()];
            lines.extend(leftovers.iter().map(|Leftover { resource, reason }| {
                let what = format!("{} {} in {}", resource.kind, resource.id, resource.region);
                format!("--> {what}: {reason}")
            }));
            lines.push(format!(
                "    Delete them with: {}",
                cleanup_command(&self.run_id, leftovers)
            ));
            shapes.push(plain(Tone::Error, lines.join("\n")));
        }
        let count = leftovers.len();
        let plural = if count == 1 { "" } else { "s" };
        shapes.push(plain(
            Tone::Say,
            format!("\n==> {count} resource{plural} left"),
        ));
        shapes
    }
}

fn plain(tone: Tone, text: String) -> Shape {
    Shape {
        tone,
        text,
        styled: None,
    }
}

/// A finding, followed by a blank line as compilers do.
fn rendered(tone: Tone, rendered: &Rendered) -> Shape {
    Shape {
        tone,
        text: format!("{}\n", rendered.plain),
        styled: Some(format!("{}\n", rendered.styled)),
    }
}

fn prefixed(prefix: &str, text: &str) -> String {
    let lines = text.split('\n').map(|line| format!("{prefix}{line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn say(tone: Tone, build: Option<&str>, text: &str) -> Shape {
    let prefix = build.map_or_else(|| "==> ".to_owned(), |name| format!("==> {name}: "));
    plain(tone, prefixed(&prefix, text))
}

/// Without a build it is the answer itself, such as that of `inspect`.
fn message(build: Option<&str>, text: &str) -> Shape {
    let prefix = build.map_or_else(String::new, |name| format!("    {name}: "));
    plain(Tone::Message, prefixed(&prefix, text))
}

fn warning(build: Option<&str>, text: &str) -> Shape {
    match build {
        Some(_) => say(Tone::Warning, build, &format!("Warning: {text}")),
        None => plain(Tone::Warning, format!("Warning: {text}")),
    }
}

fn build_finished(end: &BuildEnd) -> Vec<Shape> {
    let Some(error) = &end.error else {
        let text = format!(
            "Build '{}' finished after {}.",
            end.name,
            in_words(end.elapsed)
        );
        return vec![plain(Tone::Say, text)];
    };
    let headline = format!(
        "Build '{}' errored after {}: {}",
        end.name,
        in_words(end.elapsed),
        error.chain
    );
    failure(&headline, error)
}

/// The chain once, then the place in the template, then what to do.
fn failure(headline: &str, error: &Failure) -> Vec<Shape> {
    let mut shapes = vec![plain(Tone::Error, headline.to_owned())];
    shapes.extend(
        error
            .rendered_place
            .as_ref()
            .map(|place| rendered(Tone::Error, place)),
    );
    shapes.extend(
        error
            .hints
            .iter()
            .map(|hint| plain(Tone::Message, format!("hint: {hint}"))),
    );
    shapes
}

fn cancelled(end: &RunEnd) -> Option<Shape> {
    if !end.cancelled || end.error.is_some() {
        return None;
    }
    let text = if end.leftovers.is_empty() {
        "Cleanly cancelled builds after being interrupted."
    } else {
        "Cancelled builds after being interrupted."
    };
    Some(plain(Tone::Say, format!("\n==> {text}")))
}

fn errors(end: &RunEnd) -> Option<Shape> {
    let lines: Vec<_> = end
        .builds
        .iter()
        .filter_map(|build| {
            Some(format!(
                "--> {}: {}",
                build.name,
                build.error.as_ref()?.chain
            ))
        })
        .collect();
    let headline = "\n==> Some builds didn't complete successfully and had errors:\n";
    (!lines.is_empty()).then(|| plain(Tone::Error, format!("{headline}{}", lines.join("\n"))))
}

fn artifacts(end: &RunEnd) -> Shape {
    let lines: Vec<_> = end
        .builds
        .iter()
        .flat_map(|build| {
            let name = &build.name;
            build
                .artifacts
                .iter()
                .map(move |artifact| format!("--> {name}: {}", artifact.description))
        })
        .collect();
    if lines.is_empty() {
        let text = "\n==> Builds finished but no artifacts were created.".to_owned();
        return plain(Tone::Say, text);
    }
    let headline = "\n==> Builds finished. The artifacts of successful builds are:\n";
    plain(Tone::Say, format!("{headline}{}", lines.join("\n")))
}
