//! Packer's `-machine-readable`: `unixtime,target,type,data…` per line.
//!
//! Scripts find image ids in it with
//! `grep artifact,0,id | cut -d, -f6 | cut -d: -f2`.

use jiff::Timestamp;

use super::Renderer;
use super::entry::{BuildEnd, Entry, EntryKind, RunEnd};
use super::shape::{Shapes, Tone};
use super::sink::Sink;

/// Writes lines of comma-separated values.
pub(super) struct MachineReadable {
    sink: Sink,
    shapes: Shapes,
}

impl MachineReadable {
    pub(super) fn new(sink: Sink, settings: &super::Settings) -> Self {
        Self {
            sink,
            shapes: Shapes::new(settings.verbose > 0),
        }
    }

    fn results(&self, end: &RunEnd, time: Timestamp) {
        let failed = end
            .builds
            .iter()
            .filter(|build| build.error.is_some())
            .count();
        if failed > 0 {
            self.line(time, "", &["error-count", &failed.to_string()]);
        }
        for build in &end.builds {
            self.result(build, time);
        }
    }

    fn result(&self, build: &BuildEnd, time: Timestamp) {
        let name = &build.name;
        if let Some(error) = &build.error {
            self.line(time, name, &["error", &error.chain]);
        }
        if build.artifacts.is_empty() {
            return;
        }
        self.line(
            time,
            name,
            &["artifact-count", &build.artifacts.len().to_string()],
        );
        for (index, artifact) in build.artifacts.iter().enumerate() {
            let index = index.to_string();
            let fact = |data: &[&str]| {
                let mut fields = vec!["artifact", &index];
                fields.extend(data);
                self.line(time, name, &fields);
            };
            fact(&["builder-id", &artifact.builder_id]);
            fact(&["id", &artifact.id]);
            fact(&["string", &artifact.description]);
            fact(&["files-count", &artifact.files.len().to_string()]);
            for (number, file) in artifact.files.iter().enumerate() {
                fact(&["file", &number.to_string(), file]);
            }
            fact(&["end"]);
        }
    }

    fn line(&self, time: Timestamp, target: &str, fields: &[&str]) {
        let fields: Vec<_> = fields.iter().map(|field| escaped(field)).collect();
        let seconds = time.as_second();
        self.sink.line(&format!(
            "{seconds},{},{}",
            escaped(target),
            fields.join(",")
        ));
    }
}

pub(super) fn escaped(data: &str) -> String {
    data.replace(',', "%!(PACKER_COMMA)")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
}

impl Renderer for MachineReadable {
    fn render(&mut self, entry: &Entry) {
        if let EntryKind::RunFinished(end) = &entry.kind {
            self.results(end, entry.time);
        }
        for shape in self.shapes.of(entry) {
            let tone = match shape.tone {
                Tone::Say | Tone::Warning => "say",
                Tone::Message => "message",
                Tone::Error => "error",
            };
            self.line(entry.time, "", &["ui", tone, &shape.text]);
        }
    }
}

/// The lines of `version -machine-readable`; the misspelt type is Packer's.
pub fn version(time: Timestamp, version: &str) -> String {
    let seconds = time.as_second();
    let line = |kind: &str, data: &str| format!("{seconds},,{kind},{data}\n");
    [
        line("version", version),
        line("version-prelease", ""),
        line("version-commit", ""),
    ]
    .concat()
}
