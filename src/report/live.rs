//! What people see while a run goes on, in the log of a CI system or a
//! terminal.
//!
//! Lines of parallel builds alternate, and no system can fold that. So there
//! the lines of a build are held back and shown together when it ends; what it
//! is at is told meanwhile. Nobody looks at half a minute of silence without
//! wondering: then, too, it is told what the builds are at.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Renderer;
use super::duration::short;
use super::entry::{Entry, EntryKind};

/// Nothing was shown for so long.
const SILENCE: SignedDuration = SignedDuration::from_secs(30);

/// What is held back of a build, in bytes of text: a process that is killed
/// loses it.
const MOST: usize = 256 * 1024;

/// Shows text, with the folds of a CI system if there is one.
pub(super) struct Live {
    folds: Option<Box<dyn Renderer>>,
    text: Box<dyn Renderer>,
    /// Builds run at the same time, where lines can be folded.
    holds: bool,
    held: BTreeMap<String, Held>,
    /// The step that each build is at, and since when.
    steps: Vec<(String, &'static str, Timestamp)>,
    shown: Option<Timestamp>,
}

#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    bytes: usize,
}

impl Live {
    pub(super) fn new(folds: Option<Box<dyn Renderer>>, text: Box<dyn Renderer>) -> Self {
        Self {
            folds,
            text,
            holds: false,
            held: BTreeMap::new(),
            steps: Vec::new(),
            shown: None,
        }
    }

    fn show(&mut self, entry: &Entry) {
        self.shown = Some(entry.time);
        if let Some(folds) = &mut self.folds {
            folds.render(entry);
        }
        self.text.render(entry);
    }

    fn say(&mut self, build: &str, text: String, time: Timestamp) {
        self.show(&Entry {
            time,
            build: Some(build.to_owned()),
            kind: EntryKind::Say { text },
        });
    }

    fn hold(&mut self, build: &str, entry: &Entry) {
        if let EntryKind::StepStarted { step } = &entry.kind {
            self.say(build, format!("{step}..."), entry.time);
        }
        let held = self.held.entry(build.to_owned()).or_default();
        held.bytes += length(&entry.kind);
        held.entries.push(entry.clone());
        if held.bytes > MOST {
            self.release(build, entry.time);
        }
    }

    /// Shows what was held back of a build, as one fold.
    fn release(&mut self, build: &str, time: Timestamp) {
        let Some(held) = self.held.remove(build) else {
            return;
        };
        let mark = |kind| Entry {
            time,
            build: None,
            kind,
        };
        let title = build.to_owned();
        let has_text = held.bytes > 0;
        if has_text {
            self.show(&mark(EntryKind::FoldOpened { title }));
        }
        for entry in &held.entries {
            self.show(entry);
        }
        if has_text {
            self.show(&mark(EntryKind::FoldClosed));
        }
    }

    fn follow(&mut self, entry: &Entry) {
        let build = entry.build.as_deref().unwrap_or_default();
        match &entry.kind {
            EntryKind::RunStarted(start) => {
                self.holds = self.folds.is_some() && start.builds.len() > 1;
            }
            EntryKind::StepStarted { step } => {
                self.steps.push((build.to_owned(), step, entry.time));
            }
            EntryKind::StepFinished { step, .. } => {
                let is_it = |(of, open, _): &(String, &str, _)| of == build && open == step;
                if let Some(index) = self.steps.iter().rposition(is_it) {
                    self.steps.remove(index);
                }
            }
            EntryKind::BuildFinished(end) => self.steps.retain(|(of, ..)| *of != end.name),
            _ => {}
        }
    }
}

impl Renderer for Live {
    fn render(&mut self, entry: &Entry) {
        self.follow(entry);
        match (&entry.kind, &entry.build) {
            (EntryKind::BuildFinished(end), _) => self.release(&end.name, entry.time),
            (_, Some(build)) if self.holds => return self.hold(build, entry),
            (EntryKind::RunFinished(_), _) => {
                let builds: Vec<_> = self.held.keys().cloned().collect();
                for build in builds {
                    self.release(&build, entry.time);
                }
            }
            _ => {}
        }
        self.show(entry);
    }

    fn hide(&mut self, form: &str) {
        if let Some(folds) = &mut self.folds {
            folds.hide(form);
        }
        self.text.hide(form);
    }

    /// Tells the innermost step of each build.
    fn pulse(&mut self, time: Timestamp) {
        let since = self.shown.map(|shown| time.duration_since(shown));
        if since.is_none_or(|since| since < SILENCE) {
            return;
        }
        let innermost: BTreeMap<_, _> = self
            .steps
            .iter()
            .map(|(build, step, since)| (build.clone(), (*step, *since)))
            .collect();
        for (build, (step, since)) in innermost {
            let elapsed = time.duration_since(since).unsigned_abs();
            self.say(&build, format!("{step}, {} so far", short(elapsed)), time);
        }
    }
}

/// Of an entry's text, in bytes; others are a line at most.
fn length(kind: &EntryKind) -> usize {
    match kind {
        EntryKind::Say { text }
        | EntryKind::Message { text }
        | EntryKind::Output { text, .. }
        | EntryKind::Warning { text } => text.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::entry::{BuildEnd, BuildName, Start};

    /// Writes down what it is given, in a word each.
    #[derive(Clone, Default)]
    struct Words(Arc<Mutex<Vec<String>>>);

    impl Renderer for Words {
        fn render(&mut self, entry: &Entry) {
            let word = match &entry.kind {
                EntryKind::Say { text } | EntryKind::Message { text } => text.clone(),
                EntryKind::FoldOpened { title } => format!("[{title}"),
                EntryKind::FoldClosed => "]".to_owned(),
                EntryKind::BuildFinished(end) => format!("end of {}", end.name),
                _ => return,
            };
            self.0.lock().unwrap().push(word);
        }
    }

    impl Words {
        fn taken(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    struct Nothing;
    impl Renderer for Nothing {
        fn render(&mut self, _: &Entry) {}
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn entry(build: &str, kind: EntryKind) -> Entry {
        let build = (!build.is_empty()).then(|| build.to_owned());
        let time = at(0);
        Entry { time, build, kind }
    }

    fn say(build: &str, text: &str) -> Entry {
        let text = text.to_owned();
        entry(build, EntryKind::Say { text })
    }

    fn started(builds: &[&str]) -> Entry {
        let name = |name: &&str| BuildName {
            name: (*name).to_owned(),
            builder_type: String::new(),
        };
        let start = Start {
            run_id: String::new(),
            command: "build",
            builds: builds.iter().map(name).collect(),
            journal: None,
            region: None,
            inputs: Vec::new(),
            template_sha256: None,
        };
        entry("", EntryKind::RunStarted(start))
    }

    fn ended(name: &str) -> Entry {
        let end = BuildEnd {
            name: name.to_owned(),
            builder_type: "",
            elapsed: std::time::Duration::ZERO,
            artifacts: Vec::new(),
            error: None,
        };
        entry(name, EntryKind::BuildFinished(end))
    }

    fn live(is_ci: bool) -> (Live, Words) {
        let words = Words::default();
        let folds = is_ci.then(|| Box::new(Nothing) as Box<dyn Renderer>);
        (Live::new(folds, Box::new(words.clone())), words)
    }

    fn step(build: &str) -> Entry {
        entry(build, EntryKind::StepStarted { step: "Create VPC" })
    }

    #[test]
    fn builds_at_the_same_time_are_shown_one_by_one_where_lines_fold() {
        let entries = [
            started(&["web", "db"]),
            step("web"),
            say("web", "1"),
            say("db", "2"),
            say("", "signal"),
            say("web", "3"),
            ended("web"),
            say("db", "4"),
            ended("db"),
        ];
        let together = [
            "Create VPC...",
            "signal",
            "[web",
            "1",
            "3",
            "]",
            "end of web",
            "[db",
            "2",
            "4",
            "]",
            "end of db",
        ];
        let as_they_come = ["1", "2", "signal", "3", "end of web", "4", "end of db"];
        for (is_ci, expected) in [(true, &together[..]), (false, &as_they_come[..])] {
            let (mut live, words) = live(is_ci);
            entries.iter().for_each(|entry| live.render(entry));
            assert_eq!(words.taken(), expected);
        }
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let (mut live, words) = live(true);
        live.render(&started(&["web", "db"]));
        let long = "x".repeat(MOST / 2);
        for _ in 0..2 {
            live.render(&say("web", &long));
            assert_eq!(words.taken(), [""; 0]);
        }
        live.render(&say("web", "more"));
        assert_eq!(words.taken(), ["[web", &long, &long, "more", "]"]);
    }

    #[test]
    fn silence_is_broken_by_what_builds_are_at() {
        for builds in [&["web"][..], &["web", "db"]] {
            let (mut live, words) = live(true);
            live.render(&started(builds));
            live.render(&step("web"));
            live.pulse(at(29));
            words.taken();
            live.pulse(at(30));
            assert_eq!(words.taken(), ["Create VPC, 30 s so far"]);
            live.pulse(at(59));
            assert_eq!(words.taken(), [""; 0]);
            live.pulse(at(60));
            assert_eq!(words.taken(), ["Create VPC, 1 m 0 s so far"]);
            live.render(&ended("web"));
            words.taken();
            live.pulse(at(600));
            assert_eq!(words.taken(), [""; 0]);
        }
    }
}
