//! The file that lists what was built: Packer's `manifest`.
//!
//! The form is Packer's to the byte: Go's JSON with two spaces, no newline at
//! the end. Entries that are in the file already are kept as they are. The
//! file is replaced in one step, under a lock that other builds and other
//! runs on this machine respect.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artifact::Artifact;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::owner;
use crate::plan::post_processor::Manifest;
use crate::provisioner::{Context, late};

/// Mode of a new manifest, less the umask.
const MODE: u32 = 0o664;

/// Time between two tries to get the lock, and the limit for all of them.
/// Real times: what happens on this machine's disk is not scaled.
const LOCK_DELAY: Duration = Duration::from_millis(10);
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// The whole file.
#[derive(Serialize, Deserialize, Default)]
struct File {
    /// Packer writes `null` for an empty list.
    #[serde(default)]
    builds: Option<Vec<Value>>,
    #[serde(default)]
    last_run_uuid: String,
}

/// One build, in Packer's order.
#[derive(Serialize)]
struct Build {
    name: String,
    builder_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_time: Option<i64>,
    files: Option<Vec<BuiltFile>>,
    artifact_id: String,
    packer_run_uuid: String,
    custom_data: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct BuiltFile {
    name: String,
    size: u64,
}

/// Adds the artifact to the manifest.
pub(super) async fn run(manifest: &Manifest, input: &Artifact, cx: &Context<'_>) -> Result<()> {
    let build = describe(manifest, input, cx)?;
    let path = PathBuf::from(&manifest.output);
    make_directory(&path)?;
    let _lock = Lock::take(&path, cx).await?;
    let mut file = read(&path)?;
    if cx.data.force && file.last_run_uuid != cx.data.run_id {
        file = File::default();
    }
    file.builds.get_or_insert_default().push(to_value(&build)?);
    file.last_run_uuid.clone_from(&cx.data.run_id);
    let text = to_text(&file)?;
    replace(&path, &text).map_err(|error| unwritable(&path, error))
}

/// Writes a manifest of these entries; the last one's run is the last run.
///
/// # Errors
/// [`Kind::Io`] when the file cannot be written.
pub fn write(path: &Path, builds: Vec<Value>) -> Result<()> {
    let last = builds
        .last()
        .and_then(|build| build["packer_run_uuid"].as_str());
    let last_run_uuid = last.unwrap_or_default().to_owned();
    let text = to_text(&File {
        builds: Some(builds),
        last_run_uuid,
    })?;
    make_directory(path)?;
    replace(path, &text).map_err(|error| unwritable(path, error))
}

fn describe(manifest: &Manifest, input: &Artifact, cx: &Context<'_>) -> Result<Build> {
    let files: Vec<_> = input
        .files
        .iter()
        .map(|file| describe_file(file, manifest.strip_path))
        .collect();
    Ok(Build {
        name: cx.data.build_name.clone(),
        builder_type: cx.data.builder_type.clone(),
        build_time: (!manifest.strip_time).then(|| Timestamp::now().as_second()),
        files: (!files.is_empty()).then_some(files),
        artifact_id: input.id.clone(),
        packer_run_uuid: cx.data.run_id.clone(),
        custom_data: custom_data(manifest, cx)?,
    })
}

/// A file that is gone has the size 0, as in Packer.
fn describe_file(path: &Path, strip_path: bool) -> BuiltFile {
    let name = match path.file_name() {
        Some(name) if strip_path => name,
        _ => path.as_os_str(),
    };
    BuiltFile {
        name: name.to_string_lossy().into_owned(),
        size: fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

fn custom_data(manifest: &Manifest, cx: &Context<'_>) -> Result<Option<BTreeMap<String, String>>> {
    let Some(pairs) = &manifest.custom_data else {
        return Ok(None);
    };
    let render = |(key, text): &(String, String)| {
        late::render(text, &late::Fields::new(), cx.data)
            .map(|value| (key.clone(), value))
            .map_err(|error| error.context(format!("Could not render `custom_data.{key}`")))
    };
    pairs.iter().map(render).collect::<Result<_>>().map(Some)
}

fn make_directory(path: &Path) -> Result<()> {
    owner::make_directories_above(path).map_err(|error| unwritable(path, error))
}

fn read(path: &Path) -> Result<File> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => {
            let message = format!("Could not read {}", path.display());
            return Err(Error::new(Kind::Io, message).with_source(error));
        }
    };
    if content.is_empty() {
        return Ok(File::default());
    }
    serde_json::from_slice(&content).map_err(|error| {
        let message = format!("Unable to parse content from {}", path.display());
        Error::new(Kind::Io, message)
            .with_source(error)
            .with_hint("Move the file away, or give `output` another name")
    })
}

fn to_value(build: &Build) -> Result<Value> {
    serde_json::to_value(build).map_err(unserializable)
}

/// JSON as Go writes it: some characters of strings are escaped for HTML.
fn to_text(file: &File) -> Result<String> {
    let text = serde_json::to_string_pretty(file).map_err(unserializable)?;
    Ok(text
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

fn unserializable(error: serde_json::Error) -> Error {
    Error::new(Kind::Internal, "Could not write a manifest as JSON").with_source(error)
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not write {}", path.display())).with_source(error)
}

/// Writes a new file beside the old one and puts it in its place. A symbolic
/// link and the mode of the old file stay.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(MODE))
        .tempfile_in(owner::directory_of(&path))?;
    file.write_all(text.as_bytes())?;
    owner::hand_over(file.path());
    if let Ok(metadata) = fs::metadata(&path) {
        fs::set_permissions(file.path(), metadata.permissions())?;
    }
    file.persist(&path)?;
    Ok(())
}

/// The right to change a manifest. The lock file, `<output>.lock`, is deleted
/// with it; one left by a crash does no harm.
struct Lock {
    path: PathBuf,
    _file: fs::File,
}

impl Lock {
    async fn take(manifest: &Path, cx: &Context<'_>) -> Result<Self> {
        let mut path = manifest.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let clock = Clock::default();
        let taking = clock.timeout(LOCK_LIMIT, lock(&path));
        let file = cx.stop.race(taking).await?.ok_or_else(|| {
            let message = format!("Timed out waiting for the lock {}", path.display());
            Error::new(Kind::Timeout, message)
        })??;
        Ok(Self { path, _file: file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Deleted while it is locked: whoever opened it meanwhile sees that
        // its file is no longer the one at the path.
        let _ = fs::remove_file(&self.path);
    }
}

async fn lock(path: &Path) -> Result<fs::File> {
    loop {
        match try_lock(path).map_err(|error| unwritable(path, error))? {
            Some(file) => return Ok(file),
            None => Clock::default().sleep(LOCK_DELAY).await,
        }
    }
}

/// The locked file; none while somebody else has it.
fn try_lock(path: &Path) -> io::Result<Option<fs::File>> {
    let file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(()) if is_at(&file, path)? => Ok(Some(file)),
        Ok(()) => Ok(None),
    }
}

fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(theirs) => Ok(ours.ino() == theirs.ino() && ours.dev() == theirs.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_a_deleted_file_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = fs::File::create(&path).unwrap();
        assert!(is_at(&first, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&first, &path).unwrap());
        fs::File::create(&path).unwrap();
        assert!(!is_at(&first, &path).unwrap());
    }

    #[test]
    fn one_has_the_lock_and_a_file_left_behind_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        fs::write(&path, "left by a crash").unwrap();
        let first = try_lock(&path).unwrap();
        assert!(first.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(first);
        assert!(try_lock(&path).unwrap().is_some());
    }
}
