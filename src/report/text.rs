//! Text for people: Packer's shapes with colours and timestamps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Renderer;
use super::entry::{Entry, EntryKind};
use super::shape::{Shape, Shapes, Tone};
use super::sink::Sink;

/// Packer's colours in its order: green, cyan, magenta, yellow, blue.
const COLORS: [u8; 5] = [32, 36, 35, 33, 34];
const RED: u8 = 31;
const YELLOW: u8 = 33;

/// Writes text.
pub(super) struct Text {
    sink: Sink,
    shapes: Shapes,
    color: bool,
    timestamps: bool,
    colors: BTreeMap<String, u8>,
}

impl Text {
    pub(super) fn new(sink: Sink, settings: &super::Settings) -> Self {
        Self {
            sink,
            shapes: Shapes::new(settings.verbose > 0),
            color: settings.color,
            timestamps: settings.timestamps,
            colors: BTreeMap::new(),
        }
    }

    /// With colours, each build says its colour first.
    fn header(&mut self, names: &[String], time: Timestamp) {
        if !self.color || names.is_empty() {
            return;
        }
        for (name, color) in names.iter().zip(COLORS.into_iter().cycle()) {
            self.colors.insert(name.clone(), color);
            let line = format!("{name}: output will be in this color.");
            self.line(&colored(&line, 1, color), time);
        }
        self.line("", time);
    }

    fn shape(&self, shape: &Shape, build: Option<&str>, time: Timestamp) {
        if let (true, Some(styled)) = (self.color, &shape.styled) {
            return styled.split('\n').for_each(|line| self.line(line, time));
        }
        let style = self.style(shape.tone, build);
        for line in shape.text.split('\n') {
            match style {
                Some((weight, color)) if !line.is_empty() => {
                    self.line(&colored(line, weight, color), time);
                }
                _ => self.line(line, time),
            }
        }
    }

    fn style(&self, tone: Tone, build: Option<&str>) -> Option<(u8, u8)> {
        if !self.color {
            return None;
        }
        let own = build.and_then(|name| self.colors.get(name)).copied();
        match tone {
            Tone::Error => Some((1, RED)),
            Tone::Warning => Some((1, YELLOW)),
            Tone::Say => own.map(|color| (1, color)),
            Tone::Message => own.map(|color| (0, color)),
        }
    }

    fn line(&self, line: &str, time: Timestamp) {
        if self.timestamps {
            self.sink.line(&format!("{time:.0}: {line}"));
        } else {
            self.sink.line(line);
        }
    }
}

fn colored(line: &str, weight: u8, color: u8) -> String {
    format!("\u{1b}[{weight};{color}m{line}\u{1b}[0m")
}

impl Renderer for Text {
    fn render(&mut self, entry: &Entry) {
        if let EntryKind::RunStarted(start) = &entry.kind {
            let names: Vec<_> = start
                .builds
                .iter()
                .map(|build| build.name.clone())
                .collect();
            self.header(&names, entry.time);
        }
        let build = match &entry.kind {
            EntryKind::BuildFinished(end) => Some(end.name.as_str()),
            _ => entry.build.as_deref(),
        };
        for shape in self.shapes.of(entry) {
            self.shape(&shape, build, entry.time);
        }
    }
}
