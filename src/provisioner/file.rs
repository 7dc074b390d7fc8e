//! Files to and from the machine: Packer's `file` provisioner.
//!
//! Difference from Packer: a directory among the sources of a download does
//! not end the provisioner.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::{Context, communicator_of, late};
use crate::communicator::Communicator;
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::{Direction, File, FileSource};

/// Mode of a file made from `content`, as Packer's temporary file has it.
const CONTENT_MODE: u32 = 0o600;

/// Copies all sources.
pub(super) async fn run(file: &File, cx: &Context<'_>) -> Result<()> {
    let communicator = communicator_of(cx, "file")?;
    let to = render(&file.destination, cx)?;
    match &file.source {
        FileSource::Content(content) => {
            let upload = upload_content(communicator, content, &to, cx);
            cx.stop.race(upload).await?
        }
        FileSource::Paths(paths) => {
            for path in paths {
                let from = render(&path.value, cx)?;
                let copy = copy(communicator, file.direction, &from, &to, cx);
                cx.stop
                    .race(copy)
                    .await?
                    .map_err(|error| error.at(path.span))?;
            }
            Ok(())
        }
    }
}

fn render(text: &str, cx: &Context<'_>) -> Result<String> {
    late::render(text, &late::Fields::new(), cx.data)
        .map_err(|error| error.context(format!("Could not render {text:?}")))
}

async fn copy(
    communicator: &dyn Communicator,
    direction: Direction,
    from: &str,
    to: &str,
    cx: &Context<'_>,
) -> Result<()> {
    match direction {
        Direction::Upload => upload(communicator, from, to, cx).await,
        Direction::Download => download(communicator, from, to, cx).await,
    }
}

async fn upload_content(
    communicator: &dyn Communicator,
    content: &str,
    to: &str,
    cx: &Context<'_>,
) -> Result<()> {
    cx.events.say(format!("Uploading content => {to}"));
    if to.ends_with('/') {
        let message = format!("Could not upload content to {to}: a file name is missing");
        return Err(Error::new(Kind::Provision, message)
            .with_hint("End `destination` with the name the file shall have"));
    }
    let size = content.len() as u64;
    communicator
        .upload(&mut content.as_bytes(), size, to, Some(CONTENT_MODE))
        .await
        .map_err(|error| error.context(format!("Could not upload content to {to}")))
}

async fn upload(
    communicator: &dyn Communicator,
    from: &str,
    to: &str,
    cx: &Context<'_>,
) -> Result<()> {
    cx.events.say(format!("Uploading {from} => {to}"));
    let metadata = tokio::fs::metadata(from)
        .await
        .map_err(|error| local(format!("Could not read {from}"), error))?;
    let uploaded = if metadata.is_dir() {
        communicator.upload_dir(Path::new(from), to).await
    } else {
        upload_file(communicator, from, &file_target(from, to)).await
    };
    uploaded.map_err(|error| error.context(format!("Could not upload {from} to {to}")))
}

/// Uploads a single file with its permissions.
pub(super) async fn upload_file(
    communicator: &dyn Communicator,
    from: &str,
    to: &str,
) -> Result<()> {
    let unreadable = |error| local(format!("Could not read {from}"), error);
    let mut file = tokio::fs::File::open(from).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    communicator
        .upload(&mut file, metadata.len(), to, Some(mode))
        .await
}

async fn download(
    communicator: &dyn Communicator,
    from: &str,
    to: &str,
    cx: &Context<'_>,
) -> Result<()> {
    let is_directory = from.ends_with('/') || from.contains(['*', '?', '[']);
    let target = if is_directory {
        to.to_owned()
    } else {
        file_target(from, to)
    };
    cx.events.say(format!("Downloading {from} => {target}"));
    make_parents(&target).await?;
    let downloaded = if is_directory {
        communicator.download_dir(from, Path::new(&target)).await
    } else {
        download_file(communicator, from, Path::new(&target)).await
    };
    downloaded.map_err(|error| error.context(format!("Could not download {from} to {target}")))
}

async fn download_file(communicator: &dyn Communicator, from: &str, to: &Path) -> Result<()> {
    let unwritable = |error| local(format!("Could not write {}", to.display()), error);
    let mut file = tokio::fs::File::create(to).await.map_err(unwritable)?;
    communicator.download(from, &mut file).await?;
    file.flush().await.map_err(unwritable)
}

/// A destination that ends with `/` is a directory that gets the file.
fn file_target(from: &str, to: &str) -> String {
    let name = Path::new(from).file_name().unwrap_or_default();
    if to.ends_with(['/', '\\']) {
        format!("{to}{}", name.to_string_lossy())
    } else {
        to.to_owned()
    }
}

/// Makes the directories a target is in, and itself if it ends with `/`.
async fn make_parents(target: &str) -> Result<()> {
    let directory = match target.ends_with('/') {
        true => PathBuf::from(target),
        false => Path::new(target).parent().unwrap_or(Path::new("")).into(),
    };
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    tokio::fs::create_dir_all(&directory)
        .await
        .map_err(|error| local(format!("Could not create {}", directory.display()), error))
}

fn local(message: String, error: std::io::Error) -> Error {
    Error::new(Kind::Io, message).with_source(error)
}
