//! The server an installer reads its answers from: a directory
//! (`http_directory`) or files from the template (`http_content`).
//!
//! GET and HEAD, ranges and listings, as Go's file server that Packer uses.
//! It serves nothing outside the directory, and ends when it is dropped.
//! Source of facts: RFC 9110.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::SeekFrom;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

use super::port::Port;
use crate::engine::event::Events;
use crate::error::{Error, Kind, Result};
use crate::plan::qemu::{HttpContent, Ports};

/// A running server.
#[derive(Debug)]
pub(super) struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
    _port: Port,
}

impl HttpServer {
    /// Serves something at an address of this machine.
    ///
    /// # Errors
    /// When no port is free, or the address is not this machine's.
    pub(super) async fn start(
        content: &HttpContent,
        address: IpAddr,
        ports: Ports,
        events: &Events,
    ) -> Result<Self> {
        let port = Port::find(address, ports, "http_port")?;
        let address = SocketAddr::new(address, port.number());
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Error::new(Kind::Io, format!("Cannot listen on {address}")).with_source(error)
        })?;
        events.say(format!("Starting HTTP server on port {}", port.number()));
        let state = Site {
            content: Arc::new(content.clone()),
            events: events.clone(),
        };
        let router = Router::new().fallback(serve).with_state(state);
        let task = tokio::spawn(async move {
            // It ends with its task, never by itself.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            task,
            _port: port,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Site {
    content: Arc<HttpContent>,
    events: Events,
}

async fn serve(
    State(site): State<Site>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let response = if method == Method::GET || method == Method::HEAD {
        answer(&site.content, uri.path(), range_of(&headers)).await
    } else {
        text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
    };
    let status = response.status();
    // What the installer asked for, and did not get, is what people look for.
    if status.is_client_error() {
        let code = status.as_u16();
        site.events.message(format!(
            "HTTP server: {method} {} was answered with {code}",
            uri.path()
        ));
    }
    if method == Method::HEAD {
        let (parts, _) = response.into_parts();
        return Response::from_parts(parts, Body::empty());
    }
    response
}

fn range_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::RANGE)?.to_str().ok()
}

async fn answer(content: &HttpContent, path: &str, range: Option<&str>) -> Response<Body> {
    let Some(path) = decoded(path) else {
        return text(StatusCode::BAD_REQUEST, "malformed path\n");
    };
    match content {
        HttpContent::Files(files) => from_template(files, &path, range),
        HttpContent::Directory(root) => match inside(root, &path) {
            Some(file) => from_directory(&file, &path, range).await,
            None => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        },
    }
}

fn from_template(
    files: &BTreeMap<String, String>,
    path: &str,
    range: Option<&str>,
) -> Response<Body> {
    let cleaned = cleaned(path);
    let Some(content) = files.get(&cleaned) else {
        let names = files.keys().map(String::as_str);
        let guess = crate::template::nearest::did_you_mean(&cleaned, names);
        let guess = guess.map_or_else(String::new, |guess| format!(". {guess}"));
        return text(
            StatusCode::NOT_FOUND,
            &format!("{cleaned} not found{guess}\n"),
        );
    };
    let bytes = content.as_bytes();
    match part(range, bytes.len() as u64) {
        Part::Whole => response(StatusCode::OK, &cleaned, Body::from(bytes.to_vec())),
        Part::Unsatisfiable => unsatisfiable(bytes.len() as u64),
        Part::Slice { start, end } => {
            let slice = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            let body = Body::from(bytes[slice].to_vec());
            partial(&cleaned, start, end, bytes.len() as u64, body)
        }
    }
}

async fn from_directory(file: &Path, path: &str, range: Option<&str>) -> Response<Body> {
    let Ok(metadata) = tokio::fs::metadata(file).await else {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    if !metadata.is_dir() {
        return from_file(file, path, range, metadata.len()).await;
    }
    if !path.ends_with('/') {
        let mut response = text(StatusCode::MOVED_PERMANENTLY, "");
        let name = path.rsplit('/').next().unwrap_or_default();
        if let Ok(target) = format!("{}/", encoded(name)).parse() {
            response.headers_mut().insert(header::LOCATION, target);
        }
        return response;
    }
    let index = file.join("index.html");
    match tokio::fs::metadata(&index).await {
        Ok(found) if found.is_file() => from_file(&index, "/index.html", range, found.len()).await,
        _ => listing(file),
    }
}

async fn from_file(file: &Path, path: &str, range: Option<&str>, size: u64) -> Response<Body> {
    let Ok(mut file) = tokio::fs::File::open(file).await else {
        return text(StatusCode::FORBIDDEN, "403 Forbidden\n");
    };
    let (start, end) = match part(range, size) {
        Part::Unsatisfiable => return unsatisfiable(size),
        Part::Whole => (0, size),
        Part::Slice { start, end } => (start, end),
    };
    if file.seek(SeekFrom::Start(start)).await.is_err() {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "cannot seek\n");
    }
    let body = Body::from_stream(ReaderStream::new(file.take(end - start)));
    let mut response = match (start, end) == (0, size) && range.is_none() {
        true => response(StatusCode::OK, path, body),
        false => partial(path, start, end, size, body),
    };
    set(
        &mut response,
        header::CONTENT_LENGTH,
        &(end - start).to_string(),
    );
    response
}

fn listing(directory: &Path) -> Response<Body> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return text(StatusCode::FORBIDDEN, "403 Forbidden\n");
    };
    let name = |entry: std::fs::DirEntry| {
        let is_directory = entry.path().is_dir();
        let slash = if is_directory { "/" } else { "" };
        format!("{}{slash}", entry.file_name().to_string_lossy())
    };
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort_unstable();
    let mut page = "<!doctype html>\n<pre>\n".to_owned();
    for name in names {
        let (link, shown) = (encoded(&name), escaped(&name));
        let _ = writeln!(page, "<a href=\"{link}\">{shown}</a>");
    }
    page.push_str("</pre>\n");
    response(StatusCode::OK, "/index.html", Body::from(page))
}

/// The part of a file that is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From `start` up to, without, `end`.
    Slice {
        start: u64,
        end: u64,
    },
    Unsatisfiable,
}

/// One range of bytes; several at once may be answered by the whole.
fn part(range: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = range
        .and_then(|range| range.strip_prefix("bytes="))
        .filter(|range| !range.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if last >= first => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Part::Whole,
    };
    if start < end {
        Part::Slice { start, end }
    } else {
        Part::Unsatisfiable
    }
}

fn response(status: StatusCode, path: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type(path));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    response
}

fn partial(path: &str, start: u64, end: u64, size: u64, body: Body) -> Response<Body> {
    let mut response = response(StatusCode::PARTIAL_CONTENT, path, body);
    let range = format!("bytes {start}-{}/{size}", end - 1);
    set(&mut response, header::CONTENT_RANGE, &range);
    response
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, "");
    let range = format!("bytes */{size}");
    set(&mut response, header::CONTENT_RANGE, &range);
    response
}

fn text(status: StatusCode, body: &str) -> Response<Body> {
    response(status, ".txt", Body::from(body.to_owned()))
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("xml") => "text/xml; charset=utf-8",
        Some("iso" | "img" | "gz" | "xz" | "zst" | "tar" | "rpm" | "deb") => {
            "application/octet-stream"
        }
        _ => "text/plain; charset=utf-8",
    }
}

/// The path of a request inside the directory; nothing when it leads outside.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let is_plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    relative
        .components()
        .all(is_plain)
        .then(|| root.join(relative))
}

/// Without repeated slashes and `.`; `..` leads up, not out.
fn cleaned(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|path| !path.contains('\0'))
}

fn encoded(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/+@".contains(byte);
    let mut text = String::new();
    for byte in name.bytes() {
        if plain(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn escaped(name: &str) -> String {
    let name = name.replace('&', "&amp;").replace('<', "&lt;");
    name.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response<Body>) -> (u16, String) {
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        (status, String::from_utf8(bytes.unwrap().to_vec()).unwrap())
    }

    #[test]
    fn ranges() {
        let slice = |start, end| Part::Slice { start, end };
        for (range, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-3"), slice(0, 4)),
            (Some("bytes=4-"), slice(4, 10)),
            (Some("bytes=-3"), slice(7, 10)),
            (Some("bytes=-30"), slice(0, 10)),
            (Some("bytes=5-100"), slice(5, 10)),
            (Some("bytes=10-"), Part::Unsatisfiable),
            (Some("bytes=-0"), Part::Unsatisfiable),
            (Some("bytes=3-1"), Part::Whole),
            (Some("bytes=0-1,4-5"), Part::Whole),
            (Some("lines=1-2"), Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range:?}");
        }
    }

    #[test]
    fn nothing_outside_is_served() {
        let root = Path::new("/srv");
        assert_eq!(inside(root, "/a/b"), Some("/srv/a/b".into()));
        assert_eq!(inside(root, "/"), Some("/srv/".into()));
        for path in ["/../etc/passwd", "/a/../../b", "//../x"] {
            assert_eq!(inside(root, path), None, "{path}");
        }
        assert_eq!(inside(root, "//etc"), Some("/srv/etc".into()));
        assert_eq!(decoded("/%2e%2E/x").as_deref(), Some("/../x"));
        assert_eq!(decoded("/%zz"), None);
        assert_eq!(decoded("/%00"), None);
    }

    #[tokio::test]
    async fn a_directory_is_listed_and_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("a <b>.cfg"), "0123456789").unwrap();
        let content = HttpContent::Directory(directory.path().to_owned());
        let get = async |path: &str, range| body(answer(&content, path, range).await).await;
        let (status, page) = get("/", None).await;
        assert_eq!(status, 200);
        assert!(
            page.contains("<a href=\"a%20%3Cb%3E.cfg\">a &lt;b&gt;.cfg</a>\n<a href=\"sub/\">")
        );
        let file = "/a%20%3Cb%3E.cfg";
        assert_eq!(get(file, None).await, (200, "0123456789".to_owned()));
        assert_eq!(get(file, Some("bytes=2-3")).await, (206, "23".to_owned()));
        assert_eq!(get(file, Some("bytes=20-")).await.0, 416);
        assert_eq!(get("/sub", None).await.0, 301);
        assert_eq!(get("/absent", None).await.0, 404);
        assert_eq!(get("/%2e%2e/x", None).await.0, 404);
    }

    #[tokio::test]
    async fn files_of_the_template_are_read() {
        let files = [("/preseed.cfg".to_owned(), "d-i".to_owned())];
        let content = HttpContent::Files(files.into());
        let get = async |path: &str, range| body(answer(&content, path, range).await).await;
        assert_eq!(get("/preseed.cfg", None).await, (200, "d-i".to_owned()));
        assert_eq!(get("//./preseed.cfg", None).await.0, 200);
        assert_eq!(
            get("/preseed.cfg", Some("bytes=-1")).await,
            (206, "i".to_owned())
        );
        let (status, message) = get("/presed.cfg", None).await;
        assert_eq!(status, 404);
        assert!(
            message.starts_with("/presed.cfg not found. Did you mean"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn it_listens_and_ends() {
        struct Silent;
        impl crate::engine::event::Reporter for Silent {
            fn on(&mut self, _: &crate::engine::event::Event) {}
        }
        let files = [("/a".to_owned(), "b".to_owned())];
        let content = HttpContent::Files(files.into());
        let ports = Ports {
            low: 20_000,
            high: 29_999,
        };
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let server = HttpServer::start(&content, address, ports, &Events::new(Silent)).await;
        let server = server.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/a", server.address());
        let response = client.get(&url).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "b");
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.status().as_u16(), 200);
        let post = client.post(&url).send().await.unwrap();
        assert_eq!(post.status().as_u16(), 405);
    }
}
