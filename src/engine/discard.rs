//! Deletes the files of artifacts that a template does not keep.
//!
//! Not here: which artifacts those are (`postprocessor`).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::event::Events;
use crate::artifact::Artifact;

/// Deletes what only discarded artifacts have, and the directories which that
/// empties. A file that stays costs a warning: what was made of it is there.
pub(super) fn discard(discarded: &[Artifact], kept: &[Artifact], events: &Events) {
    let kept: BTreeSet<_> = files(kept).collect();
    let unwanted: BTreeSet<_> = files(discarded)
        .filter(|file| !kept.contains(file))
        .collect();
    for file in &unwanted {
        events.say(format!("Deleting {}...", file.display()));
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                events.warn(format!("Cannot delete {}: {error}", file.display()));
            }
            _ => {}
        }
    }
    let directories: BTreeSet<_> = unwanted.iter().filter_map(|file| file.parent()).collect();
    for directory in directories {
        // It stays when something else is in it.
        let _ = std::fs::remove_dir(directory);
    }
}

fn files(artifacts: &[Artifact]) -> impl Iterator<Item = &Path> {
    let files = artifacts.iter().flat_map(|artifact| &artifact.files);
    files.map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Event, Reporter};

    struct Silent;

    impl Reporter for Silent {
        fn on(&mut self, _: &Event) {}
    }

    fn artifact(files: &[&PathBuf]) -> Artifact {
        Artifact {
            builder_id: String::new(),
            id: String::new(),
            description: String::new(),
            files: files.iter().map(|file| (*file).clone()).collect(),
            images: Vec::new(),
        }
    }

    #[test]
    fn a_file_that_a_kept_artifact_has_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, theirs) = (
            directory.path().join("ours"),
            directory.path().join("theirs"),
        );
        for directory in [&ours, &theirs] {
            std::fs::create_dir(directory).unwrap();
        }
        let (disk, more) = (ours.join("disk"), ours.join("disk-1"));
        let (sums, other) = (theirs.join("sums"), theirs.join("other"));
        for file in [&disk, &more, &sums, &other] {
            std::fs::write(file, "").unwrap();
        }
        let events = Events::new(Silent);
        discard(&[artifact(&[&disk, &sums])], &[artifact(&[&disk])], &events);
        assert!(disk.exists() && more.exists() && other.exists() && !sums.exists());
        discard(&[artifact(&[&disk, &more])], &[], &events);
        assert!(!ours.exists() && theirs.exists());
    }
}
