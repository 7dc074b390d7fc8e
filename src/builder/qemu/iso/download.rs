//! Downloads that go on where they were cut off.
//!
//! Source of facts: RFC 9110 on ranges.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::io_error;
use crate::builder::BuildContext;
use crate::cloud::http::download_client;
use crate::error::{Error, Kind, Result, one_line};

/// A server that sends nothing for so long is gone. Real time.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Tries in a row without a single new byte.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// A checksum file is not larger.
const LONGEST_TEXT: usize = 16 << 20;

/// Downloads a small text.
pub(super) async fn text(cx: &BuildContext<'_>, place: &str) -> Result<String> {
    let failed = || format!("Cannot download the checksum file {place}");
    let fetching = async {
        let (client, url) = client(place)?;
        let mut response = accept(client.get(url).send().await.map_err(network)?)?;
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(network)? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LONGEST_TEXT {
                return Err(Error::new(Kind::Io, "It is too large for a checksum file"));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let limited = tokio::time::timeout(SILENCE_LIMIT, fetching);
    let outcome = cx
        .stop
        .race(limited)
        .await?
        .unwrap_or_else(|_| Err(silent()));
    outcome.map_err(|error| error.context(failed()))
}

/// Downloads into a file, after what it holds already.
pub(super) async fn to(cx: &BuildContext<'_>, place: &str, path: &Path) -> Result<()> {
    let (client, url) = client(place)?;
    let mut tries = 0;
    loop {
        let before = size_of(path);
        let outcome = cx.stop.race(go_on(cx, &client, &url, path)).await?;
        let error = match outcome {
            Ok(()) => return Ok(()),
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(error)) => error,
        };
        tries = if size_of(path) > before { 1 } else { tries + 1 };
        if tries >= TRIES {
            return Err(error.context(format!("Cannot download {place}")));
        }
        let reason = one_line(&error);
        cx.events
            .message(format!("{reason}; going on in {PAUSE:?}"));
        cx.stop.sleep(PAUSE).await?;
    }
}

/// Why a try failed.
enum Trouble {
    /// Another try may go on.
    Passing(Error),
    /// Another try would fail the same way.
    Final(Error),
}

async fn go_on(
    cx: &BuildContext<'_>,
    client: &Client,
    url: &Url,
    path: &Path,
) -> Result<(), Trouble> {
    let have = size_of(path);
    let mut request = client.get(url.clone());
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request
        .send()
        .await
        .map_err(|error| Trouble::Passing(network(error)))?;
    // All there is was there already.
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
        return match total(&response) {
            Some(total) if total == have => Ok(()),
            _ => restart(path),
        };
    }
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
    let response = match accept(response) {
        Ok(response) => response,
        Err(error) if error.kind() == Kind::Io => return Err(Trouble::Final(error)),
        Err(error) => return Err(Trouble::Passing(error)),
    };
    let (file, start) = open(path, if goes_on { have } else { 0 }).map_err(Trouble::Final)?;
    receive(cx, response, file, path, start).await
}

/// What is there does not belong to the file; the next try begins anew.
fn restart(path: &Path) -> Result<(), Trouble> {
    let _ = std::fs::remove_file(path);
    let message = "The server's file is another than the one begun";
    Err(Trouble::Passing(Error::new(Kind::Connect, message)))
}

async fn receive(
    cx: &BuildContext<'_>,
    mut response: Response,
    mut file: File,
    path: &Path,
    start: u64,
) -> Result<(), Trouble> {
    let size = response.content_length().map(|length| start + length);
    let mut progress = Progress::new(size, start);
    loop {
        let chunk = tokio::time::timeout(SILENCE_LIMIT, response.chunk()).await;
        let chunk = chunk.map_err(|_| Trouble::Passing(silent()))?;
        let Some(chunk) = chunk.map_err(|error| Trouble::Passing(network(error)))? else {
            break;
        };
        file.write_all(&chunk)
            .map_err(|error| Trouble::Final(io_error("write", path, error)))?;
        if let Some(text) = progress.add(chunk.len() as u64) {
            cx.events.message(text);
        }
    }
    match size {
        Some(size) if progress.have < size => Err(Trouble::Passing(Error::new(
            Kind::Connect,
            "The connection ended before the file did",
        ))),
        _ => Ok(()),
    }
}

/// Says now and then how far a download is.
struct Progress {
    size: Option<u64>,
    have: u64,
    told_tenth: u64,
}

impl Progress {
    fn new(size: Option<u64>, have: u64) -> Self {
        Self {
            size,
            have,
            told_tenth: have * 10 / size.unwrap_or(u64::MAX).max(1),
        }
    }

    fn add(&mut self, count: u64) -> Option<String> {
        self.have += count;
        let size = self.size.filter(|size| *size > 0)?;
        let tenth = self.have * 10 / size;
        if tenth == self.told_tenth {
            return None;
        }
        self.told_tenth = tenth;
        Some(format!("{}% of {} MiB", tenth * 10, size >> 20))
    }
}

fn open(path: &Path, keep: u64) -> Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|file| file.set_len(keep).map(|()| file))
        .map_err(|error| io_error("write", path, error))?;
    Ok((file, keep))
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The size after the slash of `Content-Range: bytes */SIZE`.
fn total(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

fn client(place: &str) -> Result<(Client, Url)> {
    let url = Url::parse(place).map_err(|error| {
        Error::new(Kind::Io, format!("`{place}` is not a URL")).with_source(error)
    })?;
    Ok((download_client(&url)?, url))
}

/// Refused requests are final, those a server failed are not.
fn accept(response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Kind::Connect,
        false => Kind::Io,
    };
    Err(Error::new(
        kind,
        format!("{} answered with {status}", response.url()),
    ))
}

fn network(error: reqwest::Error) -> Error {
    Error::new(Kind::Connect, "The download failed").with_source(error)
}

fn silent() -> Error {
    let message = format!("The server sent nothing for {SILENCE_LIMIT:?}");
    Error::new(Kind::Connect, message)
}
