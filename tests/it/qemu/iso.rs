//! ISOs that are downloaded, verified and booted.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::json;
use sha2::Digest as _;

use super::{assert_nothing_left, build, disk, lab, template};

/// An ISO that boots the sector.
fn iso(directory: &Path) -> Vec<u8> {
    let (tree, image) = (directory.join("tree"), directory.join("made.iso"));
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("boot.img"), &disk()[..2048]).unwrap();
    let made = Command::new("xorriso")
        .args([
            "-as",
            "genisoimage",
            "-quiet",
            "-b",
            "boot.img",
            "-c",
            "catalog",
        ])
        .args(["-no-emul-boot", "-boot-load-size", "4", "-o"])
        .args([&image, &tree])
        .output()
        .expect("the tests need xorriso");
    assert!(made.status.success(), "{made:?}");
    std::fs::read(image).unwrap()
}

/// A server of `/x.iso` and its checksum file.
#[derive(Clone)]
struct Site {
    iso: Arc<Vec<u8>>,
    requests: Arc<AtomicUsize>,
}

impl Site {
    fn sum(&self) -> String {
        let digest = sha2::Sha256::digest(self.iso.as_slice());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    async fn serve(&self) -> (String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (url, server)
    }
}

async fn answer(State(site): State<Site>, uri: Uri) -> (StatusCode, Vec<u8>) {
    site.requests.fetch_add(1, Ordering::SeqCst);
    match uri.path() {
        "/x.iso" => (StatusCode::OK, site.iso.to_vec()),
        "/SUMS" => (
            StatusCode::OK,
            format!("{}  x.iso\n", site.sum()).into_bytes(),
        ),
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iso_is_downloaded_once_verified_and_booted() {
    let lab = lab(json!({})).await;
    let site = Site {
        iso: Arc::new(iso(&lab.path(""))),
        requests: Arc::default(),
    };
    let (url, server) = site.serve().await;
    let machine = |checksum: String, name: &str| {
        template(&json!({
            "iso_url": format!("{url}/x.iso"), "iso_checksum": checksum, "disk_image": false,
            "output_directory": name, "boot_command": "<waitText \"test boot: \" 60s><enter>",
        }))
    };
    lab.write_template(&machine(format!("file:{url}/SUMS"), "first"));
    let text = build(&lab).await.success().stdout;
    assert!(text.contains("Starting VM, booting from CD-ROM"), "{text}");
    let cached = lab.path(".cache/packer");
    assert!(
        text.contains(&format!("{url}/x.iso => {}", cached.display())),
        "{text}"
    );
    assert_eq!(site.requests.load(Ordering::SeqCst), 2);

    // Known by its digest, and there: the server is not asked, even if gone.
    server.abort();
    lab.write_template(&machine(format!("sha256:{}", site.sum()), "second"));
    build(&lab).await.success();
    assert!(lab.path("second/packer-vm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_shows_both_and_the_url() {
    let mut lab = lab(json!({})).await;
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "0.001");
    let site = Site {
        iso: Arc::new(b"no iso".to_vec()),
        requests: Arc::default(),
    };
    let (url, server) = site.serve().await;
    let wrong = "0".repeat(64);
    let options = json!({"iso_url": format!("{url}/x.iso"), "iso_checksum": wrong});
    lab.write_template(&template(&options));
    let text = build(&lab).await.failure(1).text();
    let message = format!(
        "The checksum of {url}/x.iso is wrong: expected sha256:{wrong}, got sha256:{}",
        site.sum()
    );
    assert!(text.contains(&message), "{text}");
    assert!(
        text.contains("Compare `iso_checksum` with what the publisher names"),
        "{text}"
    );
    assert_nothing_left(&lab);

    server.abort();
    let _ = server.await;
    let text = build(&lab).await.failure(1).text();
    assert!(
        text.contains(&format!("Cannot download {url}/x.iso")),
        "{text}"
    );
    assert_nothing_left(&lab);
}
