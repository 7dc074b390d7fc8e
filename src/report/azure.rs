//! Azure Pipelines: output variables, masks, groups, issues and a summary.
//!
//! Facts: Microsoft's page on logging commands.

use super::Renderer;
use super::annotation::{Annotation, Annotations, Severity};
use super::entry::{Entry, EntryKind};
use super::fold::{Fold, Folds};
use super::outputs::Outputs;
use super::settings::Azure;
use super::sink::Sink;
use super::summary::Summary;

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
            Some(Fold::Open(step)) => self.sink.line(&format!("##[group]{step}")),
            Some(Fold::Close) => self.sink.line("##[endgroup]"),
            None => {}
        }
    }

    fn hide(&mut self, form: &str) {
        self.sink.line(&command("task.setsecret", &[], form));
    }
}

/// Writes variables, issues and the summary: what comes after the text.
pub(super) struct Results {
    sink: Sink,
    outputs: Outputs,
    annotations: Option<Annotations>,
    summary: Summary,
    /// The summary's file, which the agent must be told of.
    page: Option<String>,
}

impl Results {
    pub(super) fn new(settings: &Azure, sink: Sink) -> Self {
        let annotations = || Annotations::new(&settings.workspace);
        let page = settings.summary.path.as_ref();
        Self {
            sink,
            outputs: Outputs::default(),
            annotations: settings.annotations.then(annotations),
            summary: Summary::new(&settings.summary),
            page: page.map(|page| page.display().to_string()),
        }
    }

    /// In bytes; 0 when there is none.
    fn page_size(&self) -> u64 {
        let page = self.page.as_ref();
        page.and_then(|page| std::fs::metadata(page).ok())
            .map_or(0, |file| file.len())
    }

    fn variables(&self, is_last: bool) {
        let fields = self.outputs.fields().into_iter();
        for (name, value) in fields.filter(|(_, value)| is_last || !value.is_empty()) {
            let properties = [
                ("variable", camel_case(name)),
                ("isOutput", "true".to_owned()),
            ];
            let line = command("task.setvariable", &properties, &value);
            self.sink.line(&line);
        }
    }
}

impl Renderer for Results {
    fn render(&mut self, entry: &Entry) {
        let is_last = matches!(entry.kind, EntryKind::RunFinished(_));
        let size = self.page_size();
        if self.outputs.take(entry) {
            self.variables(is_last);
        }
        self.summary.render(entry);
        for annotation in self.annotations.iter_mut().flat_map(|all| all.on(entry)) {
            if let Some(issue) = issue(&annotation) {
                self.sink.line(&issue);
            }
        }
        // What an earlier step wrote is attached already.
        let is_new = is_last && self.page_size() > size;
        if let (true, Some(page)) = (is_new, &self.page) {
            self.sink.line(&command("task.uploadsummary", &[], page));
        }
    }
}

/// Azure has errors and warnings only.
fn issue(annotation: &Annotation) -> Option<String> {
    let severity = match annotation.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => return None,
    };
    let mut properties = vec![("type", severity.to_owned())];
    if let Some(place) = &annotation.place {
        properties.extend([
            ("sourcepath", place.file.clone()),
            ("linenumber", place.line.to_string()),
            ("columnnumber", place.column.to_string()),
        ]);
    }
    let message = format!("{}: {}", annotation.title, annotation.message);
    Some(command("task.logissue", &properties, &message))
}

/// `image-id` is `imageId`: names of variables have no hyphens.
fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |so_far, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        format!("{so_far}{}{tail}", head.to_uppercase())
    })
}

/// `##vso[area.action key=value;key=value]data` with everything escaped.
fn command(name: &str, properties: &[(&str, String)], data: &str) -> String {
    let properties: Vec<_> = properties
        .iter()
        .map(|(key, value)| format!("{key}={}", escape_property(value)))
        .collect();
    let space = if properties.is_empty() { "" } else { " " };
    let properties = properties.join(";");
    format!("##vso[{name}{space}{properties}]{}", escape_data(data))
}

fn escape_data(data: &str) -> String {
    data.replace('%', "%AZP25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(value: &str) -> String {
    escape_data(value).replace(';', "%3B").replace(']', "%5D")
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::settings::{Page, System};
    use super::super::tests::{mixed_run, shown};
    use super::*;

    #[test]
    fn everything_is_escaped() {
        let properties = [("sourcepath", "a;b]c%".to_owned())];
        assert_eq!(
            command("task.logissue", &properties, "100%\r\nno]"),
            "##vso[task.logissue sourcepath=a%3Bb%5Dc%AZP25]100%AZP25%0D%0Ano]"
        );
    }

    #[test]
    fn variables_have_names_without_hyphens() {
        for (name, expected) in [("image-id", "imageId"), ("status", "status")] {
            assert_eq!(camel_case(name), expected);
        }
    }

    #[test]
    fn a_mixed_run_gives_variables_issues_and_a_summary() {
        let directory = tempfile::tempdir().unwrap();
        let page = directory.path().join("summary.md");
        let settings = Settings {
            ci: Some(System::Azure(Azure {
                summary: Page {
                    path: Some(page.clone()),
                    ..Page::default()
                },
                annotations: true,
                ..Azure::default()
            })),
            ..Settings::default()
        };
        let (stdout, _) = shown(&settings, mixed_run);
        let last = |start: &str| stdout.lines().rfind(|line| line.starts_with(start));
        assert_eq!(
            last("##vso[task.setvariable variable=imageId;"),
            Some("##vso[task.setvariable variable=imageId;isOutput=true]m-1")
        );
        assert_eq!(
            last("##vso[task.setvariable variable=status;"),
            Some("##vso[task.setvariable variable=status;isOutput=true]partial")
        );
        let upload = format!("##vso[task.uploadsummary]{}", page.display());
        assert_eq!(last("##vso[task.uploadsummary"), Some(&*upload));
        let summary = std::fs::read_to_string(page).unwrap();
        assert!(summary.starts_with("## alicloud-image: ✗ build db failed"));
        let issues: Vec<_> = stdout
            .lines()
            .filter(|line| line.starts_with("##vso[task.logissue"))
            .collect();
        insta::assert_snapshot!(issues.join("\n"), @r#"
        ##vso[task.logissue type=error;sourcepath=images/web.json;linenumber=4;columnnumber=22]Build db failed: Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)%0Ahint: Choose another `instance_type` or `zone_id`
        ##vso[task.logissue type=warning]Resource left: vpc vpc-1 in cn-beijing was not deleted: DependencyViolation%0ADelete it with: alicloud-image cleanup --run 0c9d
        ##vso[task.logissue type=warning]alicloud-image: db: `io_optimized` has no effect
        "#);
    }
}
