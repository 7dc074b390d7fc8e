//! The run's results in the form of Packer's manifest, for `--manifest`.
//!
//! Unlike the post-processor `manifest`, it needs nothing in the template,
//! holds this run only, and lists what remains after the last post-processor,
//! an imported image for example. Beside Packer's fields there is `images`.

use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::Renderer;
use super::entry::{ArtifactEnd, BuildEnd, Entry, EntryKind};
use super::file::File;
use crate::owner;

/// Keeps the file up to date, build by build.
pub(super) struct Manifest {
    file: File,
    run: String,
    builds: Vec<Value>,
}

impl Manifest {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            file: File::new(path),
            run: String::new(),
            builds: Vec::new(),
        }
    }

    fn add(&mut self, end: &BuildEnd, seconds: i64) {
        for artifact in &end.artifacts {
            self.builds.push(json!({
                "name": end.name,
                "builder_type": end.builder_type,
                "build_time": seconds,
                "files": files(artifact),
                "artifact_id": artifact.id,
                "packer_run_uuid": self.run,
                "custom_data": null,
                "images": artifact.images,
            }));
        }
    }

    fn text(&self) -> String {
        let manifest = json!({"builds": self.builds, "last_run_uuid": self.run});
        format!("{manifest:#}\n")
    }
}

impl Renderer for Manifest {
    fn render(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.run.clone_from(&start.run_id),
            EntryKind::BuildFinished(end) => {
                self.add(end, entry.time.as_second());
                let written = write(&self.file.path, &self.text());
                self.file.note(written);
            }
            _ => {}
        }
    }

    fn trouble(&mut self) -> Option<String> {
        self.file.trouble()
    }
}

/// Packer writes `null` for no files, and 0 for the size of one that is gone.
fn files(artifact: &ArtifactEnd) -> Option<Vec<Value>> {
    let files = artifact.files.iter().map(|path| {
        let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        json!({"name": path, "size": size})
    });
    let files: Vec<_> = files.collect();
    (!files.is_empty()).then_some(files)
}

/// In one step, for whoever reads it meanwhile.
fn write(path: &Path, text: &str) -> io::Result<()> {
    owner::make_directories_above(path)?;
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(owner::directory_of(path))?;
    file.write_all(text.as_bytes())?;
    owner::hand_over(file.path());
    file.persist(path)?;
    Ok(())
}
