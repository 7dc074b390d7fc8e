//! The write-ahead journal of everything a run creates, and the sweep that
//! deletes it.
//!
//! Nothing else in the product can create a cloud resource: creating calls
//! want a [`permit::Permit`], and only [`Journal::create`] makes one, after
//! the intent is on disk. Whatever then happens – success, failure, a signal,
//! `kill -9` – the same idempotent [`sweep`] finds and deletes it, from this
//! process or a later one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cloud;
use crate::engine::event::{EventKind, Events, Resource};
use crate::engine::step;
use crate::error::{Error, Kind as ErrorKind, Result};

mod delete;
mod find;
pub mod local;
mod log;
pub mod marker;
pub mod permit;
mod replace;
pub mod resource;
pub mod sweep;
pub mod tags;
pub mod upload;

pub use log::{Entry, Intent, Replacement};
use log::{Log, Record};
use permit::Permit;

/// The journal of one run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    log: Arc<Mutex<Log>>,
    run: Arc<str>,
}

impl Journal {
    /// Starts the journal of a run as `<directory>/<run>.journal`.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn start(directory: &Path, run: &str) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                format!(
                    "Cannot create the journal's directory `{}`",
                    directory.display()
                ),
            )
            .with_source(error)
            .with_hint("Name a writable directory with `--journal-dir`")
        })?;
        Ok(Self::new(Log::create(&path_of(directory, run), run)?))
    }

    /// Opens the journal of a run that ended without deleting everything.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or its run still lives.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::new(Log::open(path)?))
    }

    fn new(log: Log) -> Self {
        let run = Arc::from(log.run());
        Self {
            log: Arc::new(Mutex::new(log)),
            run,
        }
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.lock().path().to_owned()
    }

    /// What is neither deleted nor kept, in the order it was made.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries().cloned().collect()
    }

    /// Creates a resource: the intent goes to disk, `call` creates it with the
    /// [`Slot`]'s permit and tags and returns its id with whatever else it
    /// learnt, and the id goes to disk.
    ///
    /// # Errors
    /// When the journal cannot be written (nothing is created then), or the
    /// call fails. A call that failed for certain settles the intent; one
    /// whose fate is unknown stays for the sweep.
    pub async fn create<T>(
        &self,
        events: &Events,
        intent: Intent,
        call: impl AsyncFnOnce(&Slot) -> Result<(String, T)>,
    ) -> Result<T> {
        let number = self.lock().intend(intent.clone())?;
        let slot = Slot {
            permit: Permit::new(self.token(number)),
            number,
        };
        let (id, value) = match call(&slot).await {
            Ok(created) => created,
            Err(error) => {
                if !cloud::is_fate_unknown(&error) {
                    self.settle(&Record::Deleted { number })?;
                }
                return Err(error);
            }
        };
        self.settle(&Record::Created {
            number,
            id: id.clone(),
        })?;
        step::made(&id);
        let Intent { kind, region, .. } = intent;
        let resource = Resource {
            kind: kind.name().to_owned(),
            id,
            region,
        };
        events.emit(EventKind::ResourceCreated(resource));
        Ok(value)
    }

    /// Marks a resource as part of the result, or as the user's to keep.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn keep(&self, id: &str) -> Result<()> {
        self.keep_all(&[id])
    }

    /// As [`Self::keep`]; a process that is killed keeps all of them or none.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn keep_all(&self, ids: &[&str]) -> Result<()> {
        let mut log = self.lock();
        let is_named = |entry: &&Entry| entry.id.as_deref().is_some_and(|id| ids.contains(&id));
        let named = log.entries().filter(is_named);
        let records: Vec<_> = named
            .map(|entry| Record::Kept {
                number: entry.number,
            })
            .collect();
        log.append_all(&records)
    }

    /// Notes that an image is about to take the place of older ones. A sweep
    /// then finishes that, unless an older one is still there.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn replacing(&self, id: &str, replacement: Replacement) -> Result<()> {
        let number = self.number_of(id);
        number.map_or(Ok(()), |number| {
            self.settle(&Record::Replacing {
                number,
                replacement,
            })
        })
    }

    /// Marks a resource as used up: it became something else.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn used_up(&self, id: &str) -> Result<()> {
        let number = self.number_of(id);
        number.map_or(Ok(()), |number| self.deleted(number))
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        let log = self.lock();
        let mut entries = log.entries();
        let entry = entries.find(|entry| entry.id.as_deref() == Some(id))?;
        Some(entry.number)
    }

    /// Removes the file when nothing in it is left to do.
    pub fn close(self) {
        let log = self.lock();
        if log.entries().next().is_none() {
            // A file that stays is harmless: a later sweep finds nothing in it.
            let _ = std::fs::remove_file(log.path());
        }
    }

    fn deleted(&self, number: u64) -> Result<()> {
        self.settle(&Record::Deleted { number })
    }

    fn found(&self, number: u64, id: &str) -> Result<()> {
        self.settle(&Record::Created {
            number,
            id: id.to_owned(),
        })
    }

    fn settle(&self, record: &Record) -> Result<()> {
        self.lock().append(record)
    }

    /// At most 64 ASCII characters, unique for run and intent, as ClientToken
    /// wants it; derived so that a later process could repeat the call.
    fn token(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a creating call needs from the journal.
#[derive(Debug)]
pub struct Slot {
    /// The right to create.
    pub permit: Permit,
    /// The intent's number, for the resource's tags.
    pub number: u64,
}

/// The journal's path of a run.
pub fn path_of(directory: &Path, run: &str) -> PathBuf {
    directory.join(format!("{run}.journal"))
}

#[cfg(test)]
mod tests {
    use super::resource::Kind;
    use super::*;
    use crate::error::ApiFailure;

    struct Silent;
    impl crate::engine::event::Reporter for Silent {
        fn on(&mut self, _: &crate::engine::event::Event) {}
    }

    fn intent() -> Intent {
        Intent {
            build: "web".into(),
            kind: Kind::Vpc,
            region: "cn-beijing".into(),
            name: "n".into(),
        }
    }

    fn failure(http_status: u16) -> Error {
        Error::new(ErrorKind::Cloud, "x").with_source(ApiFailure {
            action: "CreateVpc",
            region: "cn-beijing".into(),
            http_status,
            code: "C".into(),
            message: "m".into(),
            request_id: "r".into(),
        })
    }

    #[tokio::test]
    async fn the_intent_is_on_disk_before_the_call() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::start(directory.path(), "run").unwrap();
        let text = || std::fs::read_to_string(path_of(directory.path(), "run")).unwrap();
        journal
            .create(&Events::new(Silent), intent(), async |slot| {
                assert!(text().contains("\"intend\""));
                assert_eq!(slot.permit.client_token(), "run-1");
                Ok(("vpc-1".to_owned(), ()))
            })
            .await
            .unwrap();
        assert_eq!(journal.entries()[0].id.as_deref(), Some("vpc-1"));
        journal.keep("vpc-1").unwrap();
        journal.close();
        assert!(!path_of(directory.path(), "run").exists());
    }

    #[tokio::test]
    async fn a_refused_call_settles_its_intent_and_an_unknown_fate_does_not() {
        for (status, left) in [(400, 0), (403, 0), (500, 1), (503, 1)] {
            let directory = tempfile::tempdir().unwrap();
            let journal = Journal::start(directory.path(), "run").unwrap();
            let outcome: Result<()> = journal
                .create(&Events::new(Silent), intent(), async |_| {
                    Err(failure(status))
                })
                .await;
            assert!(outcome.is_err());
            assert_eq!(journal.entries().len(), left, "HTTP {status}");
        }
    }
}
