use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};

use super::*;
use crate::builder::qemu::tests_support::Bench;
use crate::plan::qemu::checksum;

const CONTENT: &str = "0123456789abcdef";

/// A server of one file that breaks its first answer off.
#[derive(Clone, Default)]
struct Flaky {
    requests: Arc<Mutex<Vec<Option<String>>>>,
    broken: Arc<AtomicUsize>,
}

async fn answer(State(flaky): State<Flaky>, request: Request) -> Response {
    let range = request.headers().get("range");
    let range = range.map(|range| range.to_str().unwrap().to_owned());
    flaky.requests.lock().unwrap().push(range.clone());
    let start = range.map_or(0, |range| {
        let digits = range.trim_start_matches("bytes=").trim_end_matches('-');
        digits.parse::<usize>().unwrap()
    });
    let rest = &CONTENT[start..];
    let is_broken = flaky
        .broken
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok();
    let body = if is_broken {
        let first = stream::iter([Ok(Bytes::from_static(&CONTENT.as_bytes()[..4]))]);
        let cut = stream::once(async {
            // What was given so far goes out when there is nothing to be had.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        Body::from_stream(first.chain(cut))
    } else {
        Body::from(rest)
    };
    let status = if start > 0 { 206 } else { 200 };
    Response::builder()
        .status(status)
        .header("content-length", rest.len())
        .body(body)
        .unwrap()
}

async fn serve(flaky: Flaky) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(flaky);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/dir/x.iso")
}

fn source(url: &str, checksum: &str) -> Source {
    Source {
        urls: vec![Spanned::default_value(url.to_owned())],
        checksum: checksum::parse(checksum).unwrap(),
        target_path: None,
        target_extension: "iso".to_owned(),
        skip_cache: false,
        disk_image: false,
    }
}

fn sha256(text: &str) -> String {
    let digest = sha2::Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut_off_and_is_cached() {
    let bench = Bench::new();
    let flaky = Flaky::default();
    flaky.broken.store(1, Ordering::SeqCst);
    let url = serve(flaky.clone()).await;
    let source = source(&url, &format!("sha256:{}", sha256(CONTENT)));
    let path = fetch(&bench.context(), &source).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT);
    assert!(
        path.starts_with(bench.path("cache").to_str().unwrap()),
        "{path}"
    );
    let asked = flaky.requests.lock().unwrap().clone();
    assert_eq!(asked, [None, Some("bytes=4-".to_owned())]);
    assert_eq!(fetch(&bench.context(), &source).await.unwrap(), path);
    assert_eq!(flaky.requests.lock().unwrap().len(), 2);
    std::fs::write(&path, "spoiled").unwrap();
    fetch(&bench.context(), &source).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CONTENT);
}

#[tokio::test]
async fn builds_at_the_same_time_download_once() {
    let bench = Bench::new();
    let flaky = Flaky::default();
    let url = serve(flaky.clone()).await;
    let source = source(&url, &sha256(CONTENT));
    let (one, other) = (bench.context(), bench.context());
    let (one, other) = tokio::join!(fetch(&one, &source), fetch(&other, &source));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(flaky.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_checksum_is_an_error_and_nothing_is_kept() {
    let bench = Bench::new();
    let url = serve(Flaky::default()).await;
    let source = source(&url, &"0".repeat(64));
    let error = fetch(&bench.context(), &source).await.unwrap_err();
    assert!(
        error.message().contains("is wrong: expected sha256:000"),
        "{error}"
    );
    let kept = std::fs::read_dir(bench.path("cache")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        kept.iter()
            .all(|name| name.to_str().unwrap().ends_with(".lock")),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_local_file_stays_where_it_is() {
    let bench = Bench::new();
    let (iso, sums) = (bench.path("x.iso"), bench.path("SUMS"));
    std::fs::write(&iso, CONTENT).unwrap();
    std::fs::write(&sums, format!("{}  x.iso", sha256(CONTENT))).unwrap();
    let checksum = format!("file:{}", sums.display());
    for url in [
        iso.display().to_string(),
        format!("file://{}", iso.display()),
    ] {
        let place = fetch(&bench.context(), &source(&url, &checksum))
            .await
            .unwrap();
        assert_eq!(Path::new(&place), iso);
    }
    std::fs::write(&sums, format!("{}  y.iso\n", sha256(CONTENT))).unwrap();
    let url = iso.display().to_string();
    let error = fetch(&bench.context(), &source(&url, &checksum))
        .await
        .unwrap_err();
    assert!(error.message().starts_with("No checksum of"), "{error}");
}

#[tokio::test]
async fn the_next_place_is_tried() {
    let bench = Bench::new();
    let url = serve(Flaky::default()).await;
    let mut source = source("/absent.iso", "none");
    source.urls.push(Spanned::default_value(url));
    assert!(fetch(&bench.context(), &source).await.is_ok());
    source.urls.pop();
    let error = fetch(&bench.context(), &source).await.unwrap_err();
    assert_eq!(error.message(), "There is no file `/absent.iso`");
}

#[test]
fn downloads_go_where_the_options_say() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().to_str().unwrap();
    let environment = Environment::for_children([("HOME", home)]);
    let mut source = source("https://h/x", "none");
    let path = target(&source, "key", &environment).unwrap();
    assert_eq!(
        path.parent().unwrap(),
        directory.path().join(".cache/packer")
    );
    assert_eq!(path.file_name().unwrap().len(), 40 + ".iso".len());
    source.target_path = Some(directory.path().join("sub"));
    let path = target(&source, "key", &environment).unwrap();
    assert_eq!(path.parent().unwrap(), directory.path().join("sub"));
    source.target_path = Some(directory.path().join("sub/x.iso"));
    let path = target(&source, "key", &environment).unwrap();
    assert_eq!(path, directory.path().join("sub/x.iso"));
}
