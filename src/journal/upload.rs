//! How the journal names uploads, and how a run goes on with the upload of a
//! run that died.

use std::path::{Path, PathBuf};

use super::log::{Intent, Record};
use super::marker::{marker_key_of, marker_name};
use super::resource::Kind;
use super::{Entry, Journal};
use crate::cloud::oss::multipart::Upload;
use crate::error::Result;

const FROM: &str = " from ";
const UPLOAD_ID: &str = "?uploadId=";

/// The name of an upload's intent: bucket, key, and what is uploaded.
pub fn upload_name(bucket: &str, key: &str, source: &str) -> String {
    format!("{bucket}/{key}{FROM}{source}")
}

/// The id of an upload in the journal.
pub fn upload_id(upload: &Upload) -> String {
    let Upload { bucket, key, id } = upload;
    format!("{bucket}/{key}{UPLOAD_ID}{id}")
}

/// Bucket and key in the name of an upload's intent.
pub(super) fn target_of(name: &str) -> Option<(&str, &str)> {
    let (object, _) = name.split_once(FROM)?;
    object.split_once('/')
}

/// The upload that an id is of.
pub(super) fn upload_of(id: &str) -> Option<Upload> {
    let (object, upload_id) = id.rsplit_once(UPLOAD_ID)?;
    let (bucket, key) = object.split_once('/')?;
    Some(Upload {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        id: upload_id.to_owned(),
    })
}

/// What an upload must be like to be gone on with.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The build that goes on with it.
    pub build: &'a str,
    /// The bucket's region.
    pub region: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The key; any when absent.
    pub key: Option<&'a str>,
    /// What is uploaded.
    pub source: &'a str,
}

/// An upload that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The upload.
    pub upload: Upload,
    /// The levels its parts were compressed with, see [`Journal::note_level`].
    pub levels: Vec<u8>,
    /// The name of its [`super::marker`], if it has one.
    pub marker: Option<String>,
}

impl Wanted<'_> {
    fn upload(&self, entry: &Entry) -> Option<Upload> {
        let intent = &entry.intent;
        if intent.kind != Kind::OssUpload || intent.region != self.region {
            return None;
        }
        let upload = upload_of(entry.id.as_deref()?)?;
        let key = self.key.unwrap_or(&upload.key);
        let is_it = intent.name == upload_name(self.bucket, key, self.source)
            && upload.bucket == self.bucket
            && upload.key == key;
        is_it.then_some(upload)
    }
}

impl Journal {
    /// Takes over an upload from the journal of a run that died, if there is
    /// one in the same directory. From then on it is this run's to delete.
    ///
    /// # Errors
    /// When this journal cannot be written.
    pub fn adopt_upload(&self, wanted: &Wanted<'_>) -> Result<Option<Adopted>> {
        let own = self.path();
        for path in journals_beside(&own) {
            // A run that lives holds a lock; a damaged journal is `cleanup`'s.
            let Ok(other) = Self::open(&path) else {
                continue;
            };
            let entries = other.entries();
            let found = entries
                .iter()
                .find_map(|entry| Some((entry, wanted.upload(entry)?)));
            if let Some((entry, upload)) = found {
                let marker = marker_of(&entries, &upload);
                let adopted = Adopted {
                    upload,
                    levels: entry.levels.clone(),
                    marker: marker.map(|(_, key)| key.to_owned()),
                };
                self.take_over(wanted, &adopted)?;
                other.deleted(entry.number)?;
                if let Some((number, _)) = marker {
                    other.deleted(number)?;
                }
                other.close();
                return Ok(Some(adopted));
            }
        }
        Ok(None)
    }

    /// Notes the level that the next epoch of an upload's disk is compressed
    /// with, before it is. It is on disk when this returns.
    ///
    /// # Errors
    /// When this journal cannot be written.
    pub fn note_level(&self, upload_id: &str, level: u8) -> Result<()> {
        let mut log = self.lock();
        let entry = log
            .entries()
            .find(|entry| entry.id.as_deref() == Some(upload_id));
        let Some(number) = entry.map(|entry| entry.number) else {
            return Ok(());
        };
        let levels = vec![level];
        log.append(&Record::Levels { number, levels })
    }

    fn take_over(&self, wanted: &Wanted<'_>, adopted: &Adopted) -> Result<()> {
        let Upload { bucket, key, .. } = &adopted.upload;
        if let Some(marker) = &adopted.marker {
            let name = marker_name(bucket, marker, key);
            self.inherit(wanted, Kind::OssMarker, name, format!("{bucket}/{marker}"))?;
        }
        let name = upload_name(bucket, key, wanted.source);
        let number = self.inherit(wanted, Kind::OssUpload, name, upload_id(&adopted.upload))?;
        let levels = adopted.levels.clone();
        self.settle(&Record::Levels { number, levels })
    }

    fn inherit(&self, wanted: &Wanted<'_>, kind: Kind, name: String, id: String) -> Result<u64> {
        let intent = Intent {
            build: wanted.build.to_owned(),
            kind,
            region: wanted.region.to_owned(),
            name,
        };
        let number = self.lock().intend(intent)?;
        self.settle(&Record::Created { number, id })?;
        Ok(number)
    }
}

/// Number and name of the marker of an upload.
fn marker_of<'a>(entries: &'a [Entry], upload: &Upload) -> Option<(u64, &'a str)> {
    let mut markers = entries
        .iter()
        .filter(|entry| entry.intent.kind == Kind::OssMarker);
    markers.find_map(|entry| {
        let key = marker_key_of(&entry.intent.name, &upload.bucket, &upload.key)?;
        Some((entry.number, key))
    })
}

fn journals_beside(own: &Path) -> Vec<PathBuf> {
    let directory = own.parent().unwrap_or(own);
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = paths
        .filter(|path| path != own && path.extension().is_some_and(|end| end == "journal"))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Event, Events, Reporter};

    struct Silent;
    impl Reporter for Silent {
        fn on(&mut self, _: &Event) {}
    }

    fn upload(id: &str) -> Upload {
        Upload {
            bucket: "b".into(),
            key: "d/k.raw".into(),
            id: id.into(),
        }
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let written = upload_id(&upload("0A?uploadId"));
        assert_eq!(upload_of("b/k"), None);
        assert_eq!(upload_of(&upload_id(&upload("0A"))), Some(upload("0A")));
        assert_eq!(written, "b/d/k.raw?uploadId=0A?uploadId");
        let name = upload_name("b", "d/k.raw", "/tmp/from here.raw");
        assert_eq!(target_of(&name), Some(("b", "d/k.raw")));
    }

    async fn begin(journal: &Journal, events: &Events, source: &str) {
        let intent = Intent {
            build: "web".into(),
            kind: Kind::OssUpload,
            region: "cn-beijing".into(),
            name: upload_name("b", "d/k.raw", source),
        };
        let created = journal.create(events, intent, async |_| Ok((upload_id(&upload("0A")), ())));
        created.await.unwrap();
    }

    #[tokio::test]
    async fn only_the_upload_of_a_dead_run_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let events = Events::new(Silent);
        let old = Journal::start(directory.path(), "old").unwrap();
        begin(&old, &events, "disk.raw").await;
        for level in [2, 4] {
            old.note_level(&upload_id(&upload("0A")), level).unwrap();
        }
        let new = Journal::start(directory.path(), "new").unwrap();
        let wanted = Wanted {
            build: "web",
            region: "cn-beijing",
            bucket: "b",
            key: None,
            source: "disk.raw",
        };
        assert_eq!(new.adopt_upload(&wanted).unwrap(), None, "it lives");
        drop(old);
        let others = [
            Wanted {
                source: "other.raw",
                ..wanted
            },
            Wanted {
                region: "cn-hangzhou",
                ..wanted
            },
            Wanted {
                bucket: "c",
                ..wanted
            },
            Wanted {
                key: Some("k"),
                ..wanted
            },
        ];
        for other in others {
            assert_eq!(new.adopt_upload(&other).unwrap(), None, "{other:?}");
        }
        let adopted = Adopted {
            upload: upload("0A"),
            levels: vec![2, 4],
            marker: None,
        };
        // A program that a test beside this one starts may hold the dead run's
        // lock for the moment between fork and exec.
        let found = (0..10_000).find_map(|_| new.adopt_upload(&wanted).unwrap());
        assert_eq!(found, Some(adopted));
        assert_eq!(new.entries().len(), 1);
        assert_eq!(new.entries()[0].levels, [2, 4]);
        assert!(!directory.path().join("old.journal").exists());
    }
}
