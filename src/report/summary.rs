//! The job summary, a Markdown page for GitHub and Azure: what was built, why
//! it failed, what it took, what is left.
//!
//! GitHub drops a summary over 1 MiB as a whole, near the limit without a
//! word: ours ends before 900 KiB, between two sections.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::console;
use super::duration::short;
use super::entry::{BuildEnd, Entry, EntryKind, Failure, Finding, Place, RunEnd, Start};
use super::left::cleanup_command;
use super::outputs::append;
use super::settings::Page;
use crate::artifact::Image;
use crate::engine::event::{Leftover, Resource};

/// In bytes.
const LONGEST: usize = 900 * 1024;
/// How many log lines of a failed build are shown.
const LOG_LINES: usize = 40;
/// The log lines are part of a table-like page; longer ones are cut.
const LONGEST_LOG_LINE: usize = 500;

/// Collects the page and writes it at the end.
pub(super) struct Summary {
    path: Option<PathBuf>,
    run: Option<String>,
    commit: Option<String>,
    run_id: String,
    command: &'static str,
    inputs: Vec<(&'static str, String)>,
    template_sha256: Option<String>,
    steps: Vec<Step>,
    /// Those under way.
    open: Vec<Step>,
    resources: Vec<Lifetime>,
    logs: BTreeMap<String, VecDeque<String>>,
    mistakes: Vec<Finding>,
    /// The template of another repository, and its commit.
    template: Option<(String, String)>,
    /// Builds and the pictures of their machines' screens.
    screenshots: Vec<(String, String)>,
}

struct Step {
    build: String,
    name: &'static str,
    start: Option<Timestamp>,
    elapsed: Duration,
    resources: Vec<String>,
    succeeded: bool,
}

struct Lifetime {
    resource: Resource,
    /// None for what an earlier run created.
    created: Option<Timestamp>,
    deleted: Option<Timestamp>,
}

impl Summary {
    pub(super) fn new(page: &Page) -> Self {
        Self {
            path: page.path.clone(),
            run: page.run.clone(),
            commit: page.commit.clone(),
            run_id: String::new(),
            command: "",
            inputs: Vec::new(),
            template_sha256: None,
            steps: Vec::new(),
            open: Vec::new(),
            resources: Vec::new(),
            logs: BTreeMap::new(),
            mistakes: Vec::new(),
            template: None,
            screenshots: Vec::new(),
        }
    }

    pub(super) fn render(&mut self, entry: &Entry) {
        let build = entry.build.as_deref().unwrap_or_default();
        match &entry.kind {
            EntryKind::RunStarted(start) => self.start(start),
            EntryKind::Say { text }
            | EntryKind::Message { text }
            | EntryKind::Output { text, .. }
            | EntryKind::Warning { text } => self.log(build, text),
            EntryKind::Diagnostic(finding) if finding.is_error() => {
                self.mistakes.push(finding.clone());
            }
            EntryKind::StepStarted { step } => self.open.push(Step {
                start: Some(entry.time),
                ..Step::new(build, step)
            }),
            EntryKind::StepFinished {
                step,
                elapsed,
                resources,
                succeeded,
            } => {
                let mut step = self.opened(build, step);
                step.elapsed = *elapsed;
                step.resources.clone_from(resources);
                step.succeeded = *succeeded;
                self.steps.push(step);
            }
            EntryKind::TemplateFetched { address, commit } => {
                self.template = Some((address.clone(), commit.clone()));
            }
            EntryKind::ResourceCreated(resource) => self.resources.push(Lifetime {
                resource: resource.clone(),
                created: Some(entry.time),
                deleted: None,
            }),
            EntryKind::ResourceDeleted(resource) => self.deleted(resource, entry.time),
            EntryKind::Screenshot { path } => {
                self.screenshots.push((build.to_owned(), path.clone()));
            }
            EntryKind::RunFinished(end) => self.write(end),
            _ => {}
        }
    }

    fn start(&mut self, start: &Start) {
        self.run_id.clone_from(&start.run_id);
        self.command = start.command;
        self.inputs.clone_from(&start.inputs);
        self.template_sha256.clone_from(&start.template_sha256);
    }

    /// The step, which is under way no more.
    fn opened(&mut self, build: &str, name: &'static str) -> Step {
        let is_it = |step: &Step| step.build == build && step.name == name;
        let index = self.open.iter().rposition(is_it);
        index.map_or_else(|| Step::new(build, name), |index| self.open.remove(index))
    }

    fn log(&mut self, build: &str, text: &str) {
        let log = self.logs.entry(build.to_owned()).or_default();
        for line in text.split('\n') {
            log.push_back(line.chars().take(LONGEST_LOG_LINE).collect());
        }
        let surplus = log.len().saturating_sub(LOG_LINES);
        log.drain(..surplus);
    }

    fn deleted(&mut self, resource: &Resource, time: Timestamp) {
        let mut lifetimes = self.resources.iter_mut();
        match lifetimes.find(|lifetime| lifetime.resource == *resource) {
            Some(lifetime) => lifetime.deleted = Some(time),
            None => self.resources.push(Lifetime {
                resource: resource.clone(),
                created: None,
                deleted: Some(time),
            }),
        }
    }

    fn write(&self, end: &RunEnd) {
        // Their answer is an output, and nothing else happened.
        let answers = ["inspect", "plan", "policy", "matrix"];
        if answers.contains(&self.command) && end.error.is_none() {
            return;
        }
        // The post step of a run that left nothing has nothing to say.
        let is_empty = self.resources.is_empty() && end.leftovers.is_empty();
        if self.command == "cleanup" && is_empty && end.error.is_none() {
            return;
        }
        let mut sections = self.results(end);
        sections.extend(self.details(end));
        sections.push(self.footer());
        append(self.path.as_deref(), &joined(&sections, LONGEST));
    }

    /// What came of it: the first two blocks of the page.
    pub(super) fn results(&self, end: &RunEnd) -> Vec<String> {
        let mut sections = vec![format!("## {}\n\n", escape(&self.title(end)))];
        sections.extend(images_table(end));
        sections.extend(files_table(end));
        sections.extend(end.error.iter().map(|error| error_block(None, error)));
        sections.extend(mistakes(&self.mistakes));
        for build in &end.builds {
            sections.extend(
                build
                    .error
                    .iter()
                    .map(|error| error_block(Some(&build.name), error)),
            );
        }
        sections.extend(self.leftovers_block(&end.leftovers));
        sections
    }

    /// How it came to that.
    fn details(&self, end: &RunEnd) -> Vec<String> {
        let mut sections = Vec::new();
        sections.extend(self.screenshots_block());
        sections.extend(self.timeline());
        sections.extend(self.resources_table(&end.leftovers));
        sections.extend(self.inputs_block());
        for build in end.builds.iter().filter(|build| build.error.is_some()) {
            sections.extend(self.log_tail(&build.name));
        }
        sections
    }

    /// The headline, as plain text.
    pub(super) fn title(&self, end: &RunEnd) -> String {
        let failed: Vec<_> = end
            .builds
            .iter()
            .filter(|build| build.error.is_some())
            .collect();
        let text = match failed.as_slice() {
            _ if end.cancelled && end.error.is_none() => "✗ cancelled".to_owned(),
            [build] => format!(
                "✗ build {} failed{}",
                build.name,
                self.failed_step(&build.name)
            ),
            [_, _, ..] => format!("✗ {} builds failed", failed.len()),
            [] if end.error.is_some() => "✗ failed".to_owned(),
            [] if matches!(self.command, "build" | "merge" | "import") => self.success(end),
            [] => format!("{} succeeded", self.command),
        };
        format!("alicloud-image: {text}")
    }

    /// What was made, and how long it took.
    fn success(&self, end: &RunEnd) -> String {
        let images = end.builds.iter().flat_map(BuildEnd::images).count();
        let local = end.builds.iter().filter(|build| is_local(build)).count();
        let (count, what) = match images {
            0 if local > 0 => (local, "local image"),
            _ => (images, "image"),
        };
        let plural = if count == 1 { "" } else { "s" };
        let done = if self.command == "import" {
            "imported"
        } else {
            "built"
        };
        format!("{count} {what}{plural} {done} in {}", short(end.elapsed))
    }

    fn failed_step(&self, build: &str) -> String {
        let step = self
            .steps
            .iter()
            .rfind(|step| step.build == build && !step.succeeded);
        step.map_or_else(String::new, |step| format!(" at \"{}\"", step.name))
    }

    /// A summary shows only pictures that are on the web, so it says how to
    /// get them out of the runner.
    fn screenshots_block(&self) -> Option<String> {
        let rows = self
            .screenshots
            .iter()
            .map(|(build, path)| format!("- {}: {}\n", escape(build), code(path)));
        let rows: String = rows.collect();
        (!rows.is_empty()).then(|| {
            let output = code("${{ steps.ID.outputs.screenshots }}");
            format!(
                "### Screens of failed machines\n\n{rows}\nKeep them with a step {} that has {} \
                 and {output} as its {}\n\n",
                code("uses: actions/upload-artifact"),
                code("if: failure()"),
                code("path"),
            )
        })
    }

    fn leftovers_block(&self, leftovers: &[Leftover]) -> Option<String> {
        if leftovers.is_empty() {
            return None;
        }
        let rows = leftovers.iter().map(|Leftover { resource, reason }| {
            format!(
                "| **{}** | {} | {} | {} |\n",
                escape(&resource.kind),
                code(&resource.id),
                escape(&resource.region),
                escape(reason)
            )
        });
        Some(format!(
            "### Resources left\n\n| Kind | ID | Region | Reason |\n|---|---|---|---|\n{}\nDelete them with {}\n\n",
            rows.collect::<String>(),
            code(&cleanup_command(&self.run_id, leftovers))
        ))
    }

    /// Steps that were cut off never finished; they come last.
    fn timeline(&self) -> Option<String> {
        let finished = self.steps.iter().map(|step| (step, true));
        let rows = finished.chain(self.open.iter().map(|step| (step, false)));
        let rows = rows.map(|(step, is_finished)| {
            format!(
                "| {} | {}{} | {} | {} | {} |\n",
                escape(&step.build),
                if step.succeeded { "" } else { "✗ " },
                escape(step.name),
                step.start.map_or_else(String::new, clock),
                if is_finished {
                    short(step.elapsed)
                } else {
                    "cut off".to_owned()
                },
                step.resources
                    .iter()
                    .map(|id| code(id))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        });
        let head = "| Build | Step | Start (UTC) | Duration | Resources |\n|---|---|---|---|---|\n";
        let rows: String = rows.collect();
        (!rows.is_empty()).then(|| details("Timeline", &format!("{head}{rows}")))
    }

    fn resources_table(&self, leftovers: &[Leftover]) -> Option<String> {
        let is_left = |lifetime: &&Lifetime| {
            leftovers
                .iter()
                .any(|leftover| leftover.resource == lifetime.resource)
        };
        let (left, gone): (Vec<_>, Vec<_>) = self.resources.iter().partition(is_left);
        let rows = left
            .iter()
            .map(|lifetime| lifetime.row("**left**"))
            .chain(gone.iter().map(|lifetime| lifetime.row("kept")));
        let head = "| Kind | ID | Region | Created (UTC) | Deleted (UTC) | State |\n|---|---|---|---|---|---|\n";
        let table = format!("{head}{}", rows.collect::<String>());
        (!self.resources.is_empty()).then(|| details("Temporary resources", &table))
    }

    /// As YAML; a JSON string is one of YAML.
    fn inputs_block(&self) -> Option<String> {
        let line = |(name, value): &(&str, String)| {
            let quoted = serde_json::Value::from(value.as_str()).to_string();
            format!("{name}: {}", escape(&quoted))
        };
        let lines: Vec<_> = self.inputs.iter().map(line).collect();
        let text = format!("<pre>{}</pre>\n", lines.join("\n"));
        (!lines.is_empty()).then(|| details("Inputs", &text))
    }

    fn log_tail(&self, build: &str) -> Option<String> {
        let log = self.logs.get(build)?;
        let lines: Vec<_> = log.iter().map(|line| escape(line)).collect();
        let title = format!("Last {} log lines of {}", lines.len(), escape(build));
        Some(details(
            &title,
            &format!("<pre>{}</pre>\n", lines.join("\n")),
        ))
    }

    /// Which commits the template and the workflow are from.
    pub(super) fn origin(&self) -> Vec<String> {
        let template = self.template.iter();
        let template = template
            .map(|(address, commit)| format!("template {} at {}", code(address), code(commit)));
        let digest = self.template_sha256.iter();
        let digest = digest.map(|digest| format!("template SHA-256 {}", code(digest)));
        let commit = self.commit.iter();
        let commit = commit.map(|commit| format!("commit {}", code(commit)));
        template.chain(digest).chain(commit).collect()
    }

    fn footer(&self) -> String {
        let mut parts = vec![format!("alicloud-image {}", env!("CARGO_PKG_VERSION"))];
        if !self.run_id.is_empty() {
            parts.push(format!("run {}", code(&self.run_id)));
        }
        parts.extend(self.origin());
        // Relative: an absolute link breaks when a part of it is masked.
        parts.extend(
            self.run
                .iter()
                .map(|run| format!("[workflow run](./{})", escape(run))),
        );
        format!("<sub>{}</sub>\n", parts.join(" · "))
    }
}

impl Step {
    fn new(build: &str, name: &'static str) -> Self {
        Self {
            build: build.to_owned(),
            name,
            start: None,
            elapsed: Duration::ZERO,
            resources: Vec::new(),
            succeeded: false,
        }
    }
}

impl Lifetime {
    fn row(&self, state_when_there: &str) -> String {
        let state = if self.deleted.is_some() {
            "deleted"
        } else {
            state_when_there
        };
        format!(
            "| {} | {} | {} | {} | {} | {state} |\n",
            escape(&self.resource.kind),
            code(&self.resource.id),
            escape(&self.resource.region),
            self.created.map_or_else(String::new, clock),
            self.deleted.map_or_else(String::new, clock),
        )
    }
}

fn images_table(end: &RunEnd) -> Option<String> {
    let row = |build: &BuildEnd, image: &Image| {
        let mark = if build.error.is_some() { "✗" } else { "✓" };
        format!(
            "| {mark} | {} | {} | {} | {} | {} |\n",
            escape(&build.name),
            escape(&image.region),
            linked(image),
            escape(&image.image_name),
            short(build.elapsed)
        )
    };
    let rows: String = end
        .builds
        .iter()
        .flat_map(|build| build.images().map(move |image| row(build, image)))
        .collect();
    let head = "| | Build | Region | Image ID | Name | Time |\n|---|---|---|---|---|---|\n";
    (!rows.is_empty()).then(|| format!("{head}{rows}\n"))
}

/// Whether all that a build made is on this machine.
fn is_local(build: &BuildEnd) -> bool {
    build.images().next().is_none() && build.files().next().is_some()
}

/// What is on this machine only, as disks of `qemu` are.
fn files_table(end: &RunEnd) -> Option<String> {
    let row = |build: &BuildEnd| {
        let mark = if build.error.is_some() { "✗" } else { "✓" };
        let files: Vec<_> = build.files().map(code).collect();
        format!(
            "| {mark} | {} | {} | {} |\n",
            escape(&build.name),
            files.join("<br>"),
            short(build.elapsed)
        )
    };
    let local = end.builds.iter().filter(|build| is_local(build));
    let rows: String = local.map(row).collect();
    let head = "| | Build | Files | Time |\n|---|---|---|---|\n";
    (!rows.is_empty()).then(|| format!("{head}{rows}\n"))
}

/// The id, as a link to the list of the region's images in the console.
fn linked(image: &Image) -> String {
    let id = code(&image.image_id);
    match console::images(image) {
        Some(address) => format!("<a href=\"{address}\">{id}</a>"),
        None => id,
    }
}

fn error_block(build: Option<&str>, error: &Failure) -> String {
    let who = build.map_or_else(String::new, |name| format!("**{}**: ", escape(name)));
    let mut lines = vec![format!("{who}{}", escape(&error.chain))];
    if let Some(api) = &error.api {
        lines.push(format!(
            "Action {}, code {}, RequestId {}",
            code(&api.action),
            code(&api.code),
            code(&api.request_id)
        ));
    }
    if let Some(place) = &error.place {
        lines.push(format!("Template {}", located(place)));
    }
    lines.extend(
        error
            .hints
            .iter()
            .map(|hint| format!("Hint: {}", escape(hint))),
    );
    format!("> {}\n\n", lines.join("\n>\n> "))
}

/// Every error of the template: the log may be far away, and annotations are
/// at most ten.
fn mistakes(findings: &[Finding]) -> Option<String> {
    let items = findings.iter().map(|finding| {
        let place = finding.place.as_ref();
        let place = place.map_or_else(String::new, |place| format!("{} ", located(place)));
        let help = finding.help.as_ref();
        let help = help.map_or_else(String::new, |help| format!(". {}", escape(help)));
        format!("- {place}{}{help}\n", escape(&finding.message))
    });
    (!findings.is_empty()).then(|| format!("{}\n", items.collect::<String>()))
}

fn located(place: &Place) -> String {
    code(&format!("{}:{}:{}", place.file, place.line, place.column))
}

fn details(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{body}\n</details>\n\n")
}

fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Text that is only text: no HTML, no table cell, no Markdown, no line end.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\n' | '\r' => escaped.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '!' | '@' | '#' => {
                escaped.push_str(&format!("&#{};", u32::from(letter)));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// As many whole sections as fit into so many bytes; the footer, which is the
/// last one, is always there.
pub(super) fn joined(sections: &[String], longest: usize) -> String {
    const NOTICE: &str = "_The rest did not fit; see the log._\n\n";
    let Some((footer, body)) = sections.split_last() else {
        return String::new();
    };
    let mut page = String::new();
    let mut is_cut = false;
    for section in body {
        if page.len() + section.len() + footer.len() + NOTICE.len() > longest {
            is_cut = true;
            continue;
        }
        page.push_str(section);
    }
    if is_cut {
        page.push_str(NOTICE);
    }
    page + footer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_too_long_loses_whole_sections() {
        let sections = [
            "head\n".to_owned(),
            "x".repeat(LONGEST),
            "small\n".to_owned(),
            "foot\n".to_owned(),
        ];
        assert_eq!(
            joined(&sections, LONGEST),
            "head\nsmall\n_The rest did not fit; see the log._\n\nfoot\n"
        );
        assert_eq!(joined(&["a".to_owned(), "b".to_owned()], LONGEST), "ab");
    }

    #[test]
    fn hostile_text_is_only_text() {
        assert_eq!(
            escape("a|b <img src=x> [l](u) `c` *d*\n@all #1"),
            "a&#124;b &lt;img src=x&gt; &#91;l&#93;(u) &#96;c&#96; &#42;d&#42; &#64;all &#35;1"
        );
    }
}
