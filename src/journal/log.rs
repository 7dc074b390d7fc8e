//! The journal's file: JSON lines, each on disk before the next step.
//!
//! ```json
//! {"record":"run","run":"6f…","version":"0.1.0"}
//! {"record":"intend","number":1,"build":"web","kind":"vpc","region":"cn-beijing","name":"…"}
//! {"record":"created","number":1,"id":"vpc-…"}
//! {"record":"deleted","number":1}
//! ```
//!
//! A line cut off by a crash is the last one, and its call was never made: it
//! is ignored. No credential is ever written.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::resource::Kind;
use crate::error::{Error, Kind as ErrorKind, Result};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(super) enum Record {
    /// First line: whose journal this is.
    Run { run: String, version: String },
    /// A call is about to create something.
    Intend {
        number: u64,
        #[serde(flatten)]
        intent: Intent,
    },
    /// It was created.
    Created { number: u64, id: String },
    /// It is an upload, and the next epochs of the disk are compressed with
    /// these levels: who goes on with it must make the same bytes.
    Levels { number: u64, levels: Vec<u8> },
    /// It is part of the result and will not be deleted.
    Kept { number: u64 },
    /// It is an image about to take the place of older ones.
    Replacing {
        number: u64,
        #[serde(flatten)]
        replacement: Replacement,
    },
    /// It is gone, or never came to be.
    Deleted { number: u64 },
}

impl Record {
    /// Whether it says what happened, not what is decided.
    fn is_fact(&self) -> bool {
        matches!(self, Self::Created { .. } | Self::Deleted { .. })
    }
}

/// What a call is about to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The build it belongs to.
    pub build: String,
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub region: String,
    /// The name it gets.
    pub name: String,
}

/// The place of older images, which a new one takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The name they have, and the new one gets when they are gone.
    pub name: String,
    /// Their snapshots, when these are to go too.
    pub snapshots: Vec<String>,
}

/// An intent and what became of it, while it is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the journal; also in the resource's tags.
    pub number: u64,
    /// What was to be created.
    pub intent: Intent,
    /// Its id, when the call returned.
    pub id: Option<String>,
    /// Of an image: whose place it takes, once that has begun.
    pub replacement: Option<Replacement>,
    /// The levels that an upload's disk was compressed with so far.
    pub levels: Vec<u8>,
}

/// The open, locked file and the entries that are not settled.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
    run: String,
    next: u64,
    open: BTreeMap<u64, Entry>,
}

impl Log {
    /// Starts a journal. Fails when the file exists.
    pub(super) fn create(path: &Path, run: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| io_error("create", path, error))?;
        lock(&file, path)?;
        let mut log = Self {
            file,
            path: path.to_owned(),
            run: run.to_owned(),
            next: 1,
            open: BTreeMap::new(),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        log.append(&Record::Run {
            run: run.to_owned(),
            version,
        })?;
        sync_directory(path)?;
        Ok(log)
    }

    /// Opens a journal that a run left behind. Fails while that run lives.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|error| io_error("open", path, error))?;
        lock(&file, path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(|error| io_error("read", path, error))?;
        let mut log = Self {
            file,
            path: path.to_owned(),
            run: String::new(),
            next: 1,
            open: BTreeMap::new(),
        };
        log.replay(&text)?;
        Ok(log)
    }

    fn replay(&mut self, text: &[u8]) -> Result<()> {
        // What follows the last newline was cut off while being written.
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        for (index, line) in text[..whole].split(|&byte| byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let record = serde_json::from_slice(line).map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    format!(
                        "Line {} of the journal `{}` is damaged",
                        index + 1,
                        self.path.display()
                    ),
                )
                .with_source(error)
                .with_hint(
                    "Delete what the run made by its tags: `alicloud-image cleanup --run ID`",
                )
            })?;
            self.apply(record);
        }
        // The next record must not be glued to a torn one.
        self.file
            .set_len(whole as u64)
            .map_err(|error| io_error("repair", &self.path, error))
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Run { run, .. } => self.run = run,
            Record::Intend { number, intent } => {
                self.next = self.next.max(number + 1);
                self.open.insert(
                    number,
                    Entry {
                        number,
                        intent,
                        id: None,
                        replacement: None,
                        levels: Vec::new(),
                    },
                );
            }
            Record::Created { number, id } => {
                if let Some(entry) = self.open.get_mut(&number) {
                    entry.id = Some(id);
                }
            }
            Record::Replacing {
                number,
                replacement,
            } => {
                if let Some(entry) = self.open.get_mut(&number) {
                    entry.replacement = Some(replacement);
                }
            }
            Record::Levels { number, levels } => {
                if let Some(entry) = self.open.get_mut(&number) {
                    entry.levels.extend(levels);
                }
            }
            Record::Kept { number } | Record::Deleted { number } => {
                self.open.remove(&number);
            }
        }
    }

    /// Writes an intent. It is on disk when this returns.
    pub(super) fn intend(&mut self, intent: Intent) -> Result<u64> {
        let number = self.next;
        self.append(&Record::Intend { number, intent })?;
        Ok(number)
    }

    /// Writes a record. It is on disk when this returns.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Writes records at once: a process that is killed has written all of
    /// them or none.
    ///
    /// When that fails, because the disk is full for example, what happened is
    /// known all the same, and what was decided is not. That a deletion is not
    /// written is no error: repeating it finds nothing to delete.
    pub(super) fn append_all(&mut self, records: &[Record]) -> Result<()> {
        let written = self.write(records);
        for record in records {
            if written.is_ok() || record.is_fact() {
                self.apply(record.clone());
            }
        }
        let is_deletion = |record: &Record| matches!(record, Record::Deleted { .. });
        match written {
            Err(error) if records.iter().all(is_deletion) => {
                tracing::warn!(%error, "a deletion is not in the journal");
                Ok(())
            }
            written => written,
        }
    }

    fn write(&mut self, records: &[Record]) -> Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).expect("a record is plain data");
            lines.push(b'\n');
        }
        let whole = self.file.metadata().map(|metadata| metadata.len());
        let written = self.file.write_all(&lines);
        if let (Err(_), Ok(whole)) = (&written, whole) {
            // The next record must not be glued to a torn one. If this fails
            // too, the journal is damaged, and the tags are what is left.
            let _ = self.file.set_len(whole);
        }
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|error| io_error("write", &self.path, error))
    }

    /// What is not settled, in the order it was made.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.open.values()
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A child process that was just forked, and has not yet become its program,
/// would keep the lock for a moment longer.
impl Drop for Log {
    fn drop(&mut self) {
        // The end of the process releases it as well.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn lock(file: &File, path: &Path) -> Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::new(
            ErrorKind::Busy,
            format!(
                "The journal `{}` is in use by a running process",
                path.display()
            ),
        )
        .with_hint("Wait until that run has ended; it deletes its resources itself")
    })
}

/// A new file's name must survive a crash as well as its contents.
fn sync_directory(path: &Path) -> Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io_error("sync the directory of", path, error))
}

fn io_error(verb: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("Cannot {verb} the journal `{}`", path.display()),
    )
    .with_source(source)
    .with_hint("Name a writable directory with `--journal-dir`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(kind: Kind) -> Intent {
        Intent {
            build: "web".into(),
            kind,
            region: "cn-beijing".into(),
            name: "n".into(),
        }
    }

    #[test]
    fn replays_what_is_not_settled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut log = Log::create(&path, "run-1").unwrap();
        let vpc = log.intend(intent(Kind::Vpc)).unwrap();
        log.append(&Record::Created {
            number: vpc,
            id: "vpc-1".into(),
        })
        .unwrap();
        let instance = log.intend(intent(Kind::Instance)).unwrap();
        let image = log.intend(intent(Kind::Image)).unwrap();
        log.append(&Record::Kept { number: image }).unwrap();
        drop(log);

        let log = Log::open(&path).unwrap();
        assert_eq!(log.run(), "run-1");
        let open: Vec<_> = log
            .entries()
            .map(|entry| (entry.number, entry.id.as_deref()))
            .collect();
        assert_eq!(open, [(vpc, Some("vpc-1")), (instance, None)]);
    }

    #[test]
    fn a_cut_off_last_line_is_ignored_at_every_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut log = Log::create(&path, "run-1").unwrap();
        log.intend(intent(Kind::Vpc)).unwrap();
        drop(log);
        let text = std::fs::read(&path).unwrap();
        let first_line = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for length in first_line..text.len() {
            std::fs::write(&path, &text[..length]).unwrap();
            let mut log = Log::open(&path).unwrap();
            assert_eq!(log.entries().count(), 0, "cut at {length}");
            log.intend(intent(Kind::Eip)).unwrap();
            drop(log);
            assert_eq!(
                Log::open(&path).unwrap().entries().count(),
                1,
                "cut at {length}"
            );
        }
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let _held = Log::create(&path, "run-1").unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(error.message().contains("in use"), "{error}");
    }
}
