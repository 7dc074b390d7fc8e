//! Getting the ISO: local files where they are, others through the cache.
//!
//! A download goes on where it was cut off, and counts only once its checksum
//! is right. Names in the cache are Packer's, so that its downloads are used.
//! Source of facts: Packer's documentation of `iso_url` and `PACKER_CACHE_DIR`.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::Digest as _;
use sha2::digest::DynDigest;

use super::BuildContext;
use crate::error::{Error, Kind, Result, one_line};
use crate::plan::qemu::checksum::{Algorithm, Checksum, Digest};
use crate::plan::qemu::source::local_path;
use crate::plan::qemu::{Source, checksum_file};
use crate::process::Environment;
use crate::template::source::Spanned;

mod download;

/// What QEMU boots: a path, or a URL with `iso_skip_cache`.
pub(super) async fn fetch(cx: &BuildContext<'_>, source: &Source) -> Result<String> {
    let what = if source.disk_image { "disk" } else { "ISO" };
    cx.events.say(format!("Retrieving {what}"));
    let mut last = None;
    for url in &source.urls {
        cx.events.message(format!("Trying {url}"));
        match fetch_one(cx, source, url).await {
            Ok(place) => {
                cx.events.message(format!("{url} => {place}"));
                return Ok(place);
            }
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            Err(error) if source.urls.len() > 1 => {
                cx.events.message(one_line(&error));
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    let message = format!(
        "None of the {} places of the {what} works",
        source.urls.len()
    );
    let none = Error::new(Kind::Io, message)
        .with_hint("Correct `iso_urls`; why each of them failed is said above");
    Err(match last {
        Some(last) => none.with_source(last),
        None => none,
    })
}

async fn fetch_one(
    cx: &BuildContext<'_>,
    source: &Source,
    url: &Spanned<String>,
) -> Result<String> {
    let fetched = match local_path(&url.value) {
        Some(path) => local(cx, source, url, &path).await,
        None if source.skip_cache => Ok(url.value.clone()),
        None => remote(cx, source, url).await,
    };
    fetched.map_err(|error| error.at(url.span))
}

/// Local files are used where they are.
async fn local(
    cx: &BuildContext<'_>,
    source: &Source,
    url: &Spanned<String>,
    path: &Path,
) -> Result<String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !path.is_file() {
        let message = format!("There is no file `{}`", path.display());
        return Err(Error::new(Kind::Io, message)
            .with_hint("Relative paths start at the working directory"));
    }
    if let Some(expected) = digest(cx, source, &url.value).await? {
        verify(cx, &path, &expected, &url.value).await?;
    }
    Ok(path.display().to_string())
}

async fn remote(cx: &BuildContext<'_>, source: &Source, url: &Spanned<String>) -> Result<String> {
    let expected = digest(cx, source, &url.value).await?;
    let key = expected
        .as_ref()
        .map_or_else(|| url.value.clone(), ToString::to_string);
    let path = target(source, &key, cx.environment)?;
    let _lock = lock(cx, &path).await?;
    if path.is_file() {
        match &expected {
            None => {
                cx.events
                    .message(format!("Using {} unverified", path.display()));
                return Ok(path.display().to_string());
            }
            Some(expected) => match verify(cx, &path, expected, &url.value).await {
                Ok(()) => return Ok(path.display().to_string()),
                Err(error) if error.kind() == Kind::Cancelled => return Err(error),
                Err(_) => {
                    let shown = path.display();
                    cx.events
                        .message(format!("Checksum did not match, removing {shown}"));
                }
            },
        }
    }
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    download::to(cx, &url.value, &partial).await?;
    if let Some(expected) = &expected
        && let Err(error) = verify(cx, &partial, expected, &url.value).await
    {
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    std::fs::rename(&partial, &path).map_err(|error| io_error("rename", &partial, error))?;
    Ok(path.display().to_string())
}

/// Where a download goes.
fn target(source: &Source, key: &str, environment: &Environment) -> Result<PathBuf> {
    let digest: String = sha1::Sha1::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{digest}.{}", source.target_extension);
    let path = match &source.target_path {
        Some(path) if path.extension().is_some() => path.clone(),
        Some(directory) => directory.join(name),
        None => cache_directory(environment).join(name),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| io_error("create", directory, error))?;
    }
    Ok(path)
}

/// Packer's cache.
fn cache_directory(environment: &Environment) -> PathBuf {
    let variable = |name| environment.get(name).filter(|value| !value.is_empty());
    if let Some(directory) = variable("PACKER_CACHE_DIR") {
        return directory.into();
    }
    if let Some(directory) = variable("XDG_CACHE_HOME") {
        return Path::new(directory).join("packer");
    }
    match variable("HOME") {
        Some(home) => Path::new(home).join(".cache/packer"),
        None => PathBuf::from("packer_cache"),
    }
}

/// Keeps other builds and processes from downloading the same.
async fn lock(cx: &BuildContext<'_>, path: &Path) -> Result<File> {
    let name = PathBuf::from(format!("{}.lock", path.display()));
    let file = File::create(&name).map_err(|error| io_error("create", &name, error))?;
    let mut told = false;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if !told {
            told = true;
            cx.events.message(format!(
                "Waiting for another download to {}",
                path.display()
            ));
        }
        cx.stop
            .race(tokio::time::sleep(std::time::Duration::from_millis(200)))
            .await?;
    }
    Ok(file)
}

/// What the file must look like; nothing when anything goes.
async fn digest(cx: &BuildContext<'_>, source: &Source, url: &str) -> Result<Option<Digest>> {
    match &source.checksum {
        Checksum::None => Ok(None),
        Checksum::Digest(digest) => Ok(Some(digest.clone())),
        Checksum::File(place) => {
            let text = match local_path(place) {
                Some(path) => std::fs::read_to_string(&path)
                    .map_err(|error| io_error("read", &path, error))?,
                None => download::text(cx, place).await?,
            };
            let found = checksum_file::find(&text, url).ok_or_else(|| {
                let message = format!("No checksum of {url} was found in {place}");
                Error::new(Kind::Io, message)
                    .with_hint("Write the digest itself into `iso_checksum`")
            })?;
            Ok(Some(found))
        }
    }
}

/// Fails when the digest of the file, which came from `url`, is another.
async fn verify(cx: &BuildContext<'_>, path: &Path, expected: &Digest, url: &str) -> Result<()> {
    let (file, algorithm) = (path.to_owned(), expected.algorithm);
    let stop = cx.stop.clone();
    let hashing = move || digest_of(&file, algorithm, &|| stop.is_stopped());
    let actual = tokio::task::spawn_blocking(hashing)
        .await
        .map_err(|error| {
            Error::new(Kind::Internal, "Computing a digest was cut off").with_source(error)
        })??;
    if actual == expected.hex {
        return Ok(());
    }
    let message = format!(
        "The checksum of {url} is wrong: expected {expected}, got {}:{actual}",
        algorithm.name()
    );
    Err(Error::new(Kind::Io, message)
        .with_hint("Compare `iso_checksum` with what the publisher names for this very file"))
}

fn digest_of(path: &Path, algorithm: Algorithm, is_stopped: &dyn Fn() -> bool) -> Result<String> {
    use std::io::Read as _;
    let failed = |error| io_error("read", path, error);
    let mut hasher: Box<dyn DynDigest> = match algorithm {
        Algorithm::Md5 => Box::<md5::Md5>::default(),
        Algorithm::Sha1 => Box::<sha1::Sha1>::default(),
        Algorithm::Sha256 => Box::<sha2::Sha256>::default(),
        Algorithm::Sha512 => Box::<sha2::Sha512>::default(),
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        if is_stopped() {
            return Err(Error::cancelled());
        }
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn io_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Cannot {verb} `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests;
