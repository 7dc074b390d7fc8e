//! GitLab CI: collapsible sections, findings as a code quality report, and
//! links to the images beside the job.
//!
//! Outputs are `--output-file`, for `artifacts:reports:dotenv`. GitLab cannot
//! be told of masks while a job runs. Facts: GitLab's pages on job logs, on
//! code quality, and on annotations reports.

use serde_json::{Value, json};

use super::entry::{BuildEnd, Entry, EntryKind, Finding};
use super::file::File;
use super::fold::{Fold, Folds};
use super::settings::{GitLab, Workspace};
use super::sink::Sink;
use super::{Renderer, console};
use crate::artifact::Image;

/// Folds lines: what comes before the text.
pub(super) struct Log {
    sink: Sink,
    folds: Folds,
    /// How many sections there were: their names must differ.
    sections: usize,
}

impl Log {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            sink,
            folds: Folds::default(),
            sections: 0,
        }
    }

    /// The marks of a section; the runner's log viewer hides them.
    fn mark(&self, edge: &str, time: i64, title: &str) -> String {
        let name = format!("alicloud_image_{}", self.sections);
        format!("\u{1b}[0Ksection_{edge}:{time}:{name}\r\u{1b}[0K{title}")
    }
}

impl Renderer for Log {
    fn render(&mut self, entry: &Entry) {
        let time = entry.time.as_second();
        let line = match self.folds.on(entry) {
            Some(Fold::Open(step)) => {
                self.sections += 1;
                self.mark("start", time, step)
            }
            Some(Fold::Close) => self.mark("end", time, ""),
            None => return,
        };
        self.sink.line(&line);
    }
}

/// The reports that are wanted.
pub(super) fn reports(settings: &GitLab) -> Vec<Box<dyn Renderer>> {
    let mut reports: Vec<Box<dyn Renderer>> = Vec::new();
    if let Some(report) = CodeQuality::new(settings) {
        reports.push(Box::new(OfMain::new(report)));
    }
    if let Some(report) = Links::new(settings) {
        reports.push(Box::new(OfMain::new(report)));
    }
    reports
}

/// A report of the job's main script: a clean-up in `after_script`, which has
/// the same variables, must not replace it.
struct OfMain<R> {
    report: R,
    is_cleanup: bool,
}

impl<R> OfMain<R> {
    fn new(report: R) -> Self {
        Self {
            report,
            is_cleanup: false,
        }
    }
}

impl<R: Renderer> Renderer for OfMain<R> {
    fn render(&mut self, entry: &Entry) {
        if let EntryKind::RunStarted(start) = &entry.kind {
            self.is_cleanup = start.command == "cleanup";
        }
        if !self.is_cleanup {
            self.report.render(entry);
        }
    }

    fn trouble(&mut self) -> Option<String> {
        self.report.trouble()
    }
}

/// Writes the code quality report at the end.
pub(super) struct CodeQuality {
    file: File,
    workspace: Workspace,
    findings: Vec<Finding>,
}

impl CodeQuality {
    /// None when no report is wanted.
    pub(super) fn new(settings: &GitLab) -> Option<Self> {
        Some(Self {
            file: File::new(settings.code_quality.as_ref()?),
            workspace: settings.workspace.clone(),
            findings: Vec::new(),
        })
    }

    /// Findings without a place in a file of the project are only in the log.
    fn issue(&self, finding: &Finding) -> Option<Value> {
        let place = self.workspace.seen_from(finding.place.as_ref()?)?;
        let (file, line) = (&place.file, place.line);
        let help = finding.help.iter().map(|help| format!(". {help}"));
        let description: String = std::iter::once(finding.message.clone())
            .chain(help)
            .collect();
        Some(json!({
            "description": description,
            "check_name": "template",
            "fingerprint": format!("{file}:{line}:{}:{}", place.column, finding.message),
            "severity": if finding.is_error() { "critical" } else { "minor" },
            "location": { "path": file, "lines": { "begin": line } },
        }))
    }
}

impl Renderer for CodeQuality {
    fn render(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::Diagnostic(finding) => self.findings.push(finding.clone()),
            EntryKind::RunFinished(_) => {
                let issues = self
                    .findings
                    .iter()
                    .filter_map(|finding| self.issue(finding));
                let report = Value::from_iter(issues).to_string();
                self.file.write(&report);
            }
            _ => {}
        }
    }

    fn trouble(&mut self) -> Option<String> {
        self.file.trouble()
    }
}

/// Writes the annotations report at the end: a link for each image.
pub(super) struct Links {
    file: File,
}

impl Links {
    /// None when no report is wanted.
    pub(super) fn new(settings: &GitLab) -> Option<Self> {
        let file = File::new(settings.links.as_ref()?);
        Some(Self { file })
    }
}

impl Renderer for Links {
    fn render(&mut self, entry: &Entry) {
        let EntryKind::RunFinished(end) = &entry.kind else {
            return;
        };
        let images = end.builds.iter().flat_map(BuildEnd::images);
        let report = json!({ "alicloud-image": images.filter_map(link).collect::<Vec<_>>() });
        self.file.write(&report.to_string());
    }

    fn trouble(&mut self) -> Option<String> {
        self.file.trouble()
    }
}

fn link(image: &Image) -> Option<Value> {
    let Image {
        build,
        region,
        image_id,
        ..
    } = image;
    Some(json!({"external_link": {
        "label": format!("{build} in {region}: {image_id}"),
        "url": console::images(image)?,
    }}))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::settings::System;
    use super::super::tests::{build, finish, image, result, shown, span_of, start};
    use super::*;
    use crate::engine::event::{EventKind, Events};
    use crate::template::diagnostic::Diagnostic;

    fn run(events: &Events) {
        start(events, &["web"]);
        let span = span_of("\"ecs.g9.huge\"");
        let finding = Diagnostic::error("Unknown type", span).help("Use `ecs.g9.large`");
        events.emit(EventKind::Diagnostic(finding));
        let web = events.for_build("web");
        web.emit(EventKind::StepStarted { step: "Check" });
        web.say("Checking...");
        web.emit(EventKind::StepFinished {
            step: "Check",
            elapsed: std::time::Duration::from_secs(1),
            resources: vec![],
            succeeded: true,
        });
        let images = vec![image("web", "cn-beijing", "m-1")];
        finish(events, result(vec![build("web", images, None)], vec![]));
    }

    #[test]
    fn steps_are_sections_findings_are_issues_and_images_are_links() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("quality.json");
        let links = directory.path().join("links.json");
        let settings = Settings {
            ci: Some(System::GitLab(GitLab {
                code_quality: Some(path.clone()),
                links: Some(links.clone()),
                ..GitLab::default()
            })),
            ..Settings::default()
        };
        let (stdout, _) = shown(&settings, run);
        let section: Vec<_> = stdout
            .lines()
            .skip_while(|line| !line.contains("section_start"))
            .take(3)
            .collect();
        assert_eq!(
            section,
            [
                "\u{1b}[0Ksection_start:1800000000:alicloud_image_1\r\u{1b}[0KCheck",
                "==> web: Checking...",
                "\u{1b}[0Ksection_end:1800000000:alicloud_image_1\r\u{1b}[0K",
            ]
        );
        let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let issue = json!({
            "description": "Unknown type. Use `ecs.g9.large`",
            "check_name": "template",
            "fingerprint": "images/web.json:4:22:Unknown type",
            "severity": "critical",
            "location": { "path": "images/web.json", "lines": { "begin": 4 } },
        });
        assert_eq!(report, json!([issue]));
        let links: Value = serde_json::from_slice(&std::fs::read(links).unwrap()).unwrap();
        let link = json!({"external_link": {
            "label": "web in cn-beijing: m-1",
            "url": "https://ecs.console.aliyun.com/image/region/cn-beijing/imageList",
        }});
        assert_eq!(links, json!({"alicloud-image": [link]}));
    }
}
