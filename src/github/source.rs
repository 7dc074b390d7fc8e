//! The files of a repository at a commit: which commit a ref is, and its
//! archive, which is downloaded as a whole and unpacked. A template names
//! scripts and files beside it; asking for each would be a request each, and
//! they need not all be known before the run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use url::Url;

use super::api::Request;
use super::failure::Failure;
use super::{Api, Repository, tree};
use crate::cloud::endpoint::is_loopback;
use crate::cloud::http::download_client;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// The SHA of a commit as plain text.
const SHA: &str = "application/vnd.github.sha";

/// Templates, scripts and their files: larger things belong elsewhere.
const LONGEST_ARCHIVE: u64 = 128 << 20;

/// For the whole download, in real time.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// How many branches or tags an error names.
const MOST_NAMES: usize = 5;

/// The files of a repository, as long as this value lives.
#[derive(Debug)]
pub struct Tree {
    /// The commit.
    pub commit: String,
    /// Where they are.
    pub root: PathBuf,
    /// The files it has in the repository, relative to the root.
    pub places: BTreeSet<PathBuf>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    _directory: TempDir,
}

/// Fetches a repository at a branch, tag or commit.
///
/// # Errors
/// When it is not there or may not be read, with what to do about it; when
/// its archive is too large or not one that may be unpacked.
pub async fn fetch(
    api: &Api,
    repository: &Repository,
    reference: &str,
    stop: &Stop,
) -> Result<Tree> {
    let commit = commit(api, repository, reference, stop).await?;
    let doing = || format!("Cannot fetch {repository} at {commit}");
    let url = archive(api, repository, &commit, stop)
        .await
        .map_err(|failure| failure.into_error(doing()))?;
    let file = stop
        .race(download(url))
        .await?
        .map_err(|error| error.context(doing()))?;
    let name = format!("{}-{}-{}", repository.owner, repository.name, &commit[..7]);
    // Unpacking is work for a processor.
    let unpacked = tokio::task::spawn_blocking(move || unpack(file, &name)).await;
    let (directory, root, unpacked) = unpacked
        .map_err(|error| Error::new(Kind::Internal, "Unpacking panicked").with_source(error))?
        .map_err(|error| error.context(doing()))?;
    Ok(Tree {
        commit,
        root,
        places: unpacked.places,
        left_out: unpacked.left_out,
        _directory: directory,
    })
}

/// The commit that a branch, tag or short SHA stands for.
async fn commit(
    api: &Api,
    repository: &Repository,
    reference: &str,
    stop: &Stop,
) -> Result<String> {
    let url = api.route([
        "repos",
        &repository.owner,
        &repository.name,
        "commits",
        reference,
    ]);
    let failure = match api.send(&Request::get(url, SHA), stop).await {
        Ok(answer) if is_sha(answer.body.trim()) => return Ok(answer.body.trim().to_owned()),
        Ok(answer) => Failure::Damaged(format!("{} is no commit", answer.status)),
        Err(failure) => failure,
    };
    let status = failure.status();
    let doing = format!("Cannot find `{reference}` in the repository {repository}");
    let error = failure.into_error(doing);
    Err(match status {
        // 422 is for a ref; 404 may be one for the token, or the repository.
        Some(404 | 422) if exists(api, repository, stop).await => {
            with_nearest(error, api, repository, reference, stop).await
        }
        Some(401 | 403 | 404) => error
            .with_hint(format!(
                "GitHub does not tell a repository that is not there from one that the token may \
                 not read. A workflow's own token reads public repositories and its own one: \
                 for another private one, give `github-token` a token that has `contents: read` \
                 on {repository}"
            ))
            .with_hint(
                "In the workflow's own repository the job needs `permissions: contents: read`",
            ),
        _ => error,
    })
}

fn is_sha(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn exists(api: &Api, repository: &Repository, stop: &Stop) -> bool {
    let url = api.route(["repos", &repository.owner, &repository.name]);
    api.get::<serde_json::Value>(url, stop).await.is_ok()
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// One request for each kind tells most typing errors.
async fn with_nearest(
    error: Error,
    api: &Api,
    repository: &Repository,
    reference: &str,
    stop: &Stop,
) -> Error {
    let mut names: Vec<String> = Vec::new();
    for kind in ["branches", "tags"] {
        let mut url = api.route(["repos", &repository.owner, &repository.name, kind]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let found: Vec<Named> = api.get(url, stop).await.unwrap_or_default();
        names.extend(found.into_iter().map(|one| one.name));
    }
    let known = names.iter().map(String::as_str);
    if let Some(nearest) = crate::template::nearest::nearest(reference, known) {
        return error.with_hint(format!("Did you mean `{nearest}`?"));
    }
    if names.is_empty() {
        return error;
    }
    names.truncate(MOST_NAMES);
    error.with_hint(format!("There are `{}`", names.join("`, `")))
}

/// Where the archive is: an address that needs no token for a few minutes.
async fn archive(
    api: &Api,
    repository: &Repository,
    commit: &str,
    stop: &Stop,
) -> Result<Url, Failure> {
    let url = api.route([
        "repos",
        &repository.owner,
        &repository.name,
        "tarball",
        commit,
    ]);
    let found = api.redirect(url, stop).await?;
    if found.scheme() == "https" || is_loopback(&found) {
        return Ok(found);
    }
    Err(Failure::Damaged(
        "the archive is not at an address with https".to_owned(),
    ))
}

async fn download(url: Url) -> Result<File> {
    // The query may hold a token: no error may show it.
    let lost = |error: reqwest::Error| {
        let words = crate::cloud::http::innermost_words(&error.without_url());
        Error::new(Kind::Io, format!("Cannot download the archive: {words}"))
    };
    let client = download_client(&url)?;
    let mut response = client
        .get(url)
        .timeout(DOWNLOAD_LIMIT)
        .send()
        .await
        .map_err(lost)?;
    if !response.status().is_success() {
        let message = format!("The archive's server answered {}", response.status());
        return Err(Error::new(Kind::Io, message));
    }
    let mut file = tempfile::tempfile().map_err(cannot_write)?;
    let mut length = 0;
    while let Some(bytes) = response.chunk().await.map_err(lost)? {
        length += bytes.len() as u64;
        if length > LONGEST_ARCHIVE {
            let message = format!("The archive is larger than {} MiB", LONGEST_ARCHIVE >> 20);
            return Err(Error::new(Kind::Usage, message)
                .with_hint("Keep templates in a repository without large files"));
        }
        file.write_all(&bytes).map_err(cannot_write)?;
    }
    file.rewind().map_err(cannot_write)?;
    Ok(file)
}

fn unpack(archive: File, name: &str) -> Result<(TempDir, PathBuf, tree::Unpacked)> {
    let directory = tempfile::tempdir().map_err(cannot_write)?;
    // Real, as the working directory will be: messages name it.
    let real = std::fs::canonicalize(directory.path()).map_err(cannot_write)?;
    let root = real.join(Path::new(name));
    let unpacked = tree::unpack(archive, &root)?;
    Ok((directory, root, unpacked))
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::new(
        Kind::Io,
        "Cannot write to the directory for temporary files",
    )
    .with_source(error)
}
