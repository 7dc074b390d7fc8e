//! What the tests of this builder share: options from a few lines of JSON, and
//! a context to work in.

use std::path::PathBuf;

use crate::builder::BuildContext;
use crate::clock::Clock;
use crate::engine::event::{Event, Events, Reporter};
use crate::engine::stop::Stop;
use crate::journal::Journal;
use crate::journal::tags::RunTags;
use crate::plan::qemu::{Defaults, OPTIONS, Qemu, read};
use crate::plan::testing::read_in;
use crate::process::Environment;

/// Options of a machine `vm` with an ISO, and more.
pub(super) fn options(more: &str) -> Qemu {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(",{more}")
    };
    let text = format!(
        r#"{{"iso_url":"https://example.com/x.iso","iso_checksum":"none","vm_name":"vm",
            "output_directory":"out"{more}}}"#
    );
    let directory = tempfile::tempdir().unwrap();
    let defaults = Defaults {
        build: "web",
        force: false,
    };
    let outcome = read_in(directory.path(), &text, OPTIONS, |reader| {
        read(reader, defaults)
    });
    let is_error = |line: &String| line.starts_with("error");
    let errors: Vec<_> = outcome.findings.into_iter().filter(is_error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    outcome.read
}

/// What a builder works with, in a directory of its own.
pub(super) struct Bench {
    directory: tempfile::TempDir,
    events: Events,
    stop: Stop,
    journal: Journal,
    tags: RunTags,
    environment: Environment,
}

struct Silent;

impl Reporter for Silent {
    fn on(&mut self, _: &Event) {}
}

impl Bench {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let variables = [
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), path("")),
            ("PACKER_CACHE_DIR".to_owned(), path("cache")),
            ("TMPDIR".to_owned(), path("")),
        ];
        let now = jiff::Timestamp::UNIX_EPOCH;
        let ttl = std::time::Duration::from_secs(60);
        Self {
            events: Events::new(Silent),
            stop: Stop::new(Clock::default()),
            journal: Journal::start(&directory.path().join("journals"), "run").unwrap(),
            tags: RunTags::new("run", now, ttl, Vec::new()),
            environment: Environment::for_children(variables),
            directory,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn context(&self) -> BuildContext<'_> {
        BuildContext {
            build: "web",
            events: &self.events,
            stop: &self.stop,
            journal: &self.journal,
            tags: &self.tags,
            environment: &self.environment,
        }
    }
}
