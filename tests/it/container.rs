//! The program as process 1 of a container, in a process namespace of its own,
//! and the container image that `script/image` makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::harness::Lab;
use crate::web::with_provisioners;

/// A lab with a template that has these provisioners.
async fn lab(provisioners: &Value) -> Lab {
    let lab = Lab::quick().await;
    lab.write("web.json", &with_provisioners(json!({}), provisioners));
    lab
}

/// Provisioners that only end when the build is stopped.
fn endless() -> Value {
    json!([
        {"type": "shell-local", "inline": ["touch provisioning"]},
        {"type": "sleep", "duration": "10000h"},
    ])
}

/// The process 1 that `unshare` has started.
fn process_one(unshare: &Child) -> Pid {
    let id = unshare.id().expect("it runs");
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_does_not_stay_a_zombie() {
    // The shell in between ends first, so that `true` becomes a child of
    // process 1; nobody else can wait for it.
    let orphan = "(true & echo $! > orphan)";
    let reaped = "for i in $(seq 1000); do \
                  [ -e /proc/$(cat orphan) ] || exit 0; sleep 0.01; done; exit 1";
    let lab = lab(&json!([
        {"type": "shell-local", "inline": [orphan, "echo child of $PPID"]},
        {"type": "shell-local", "inline": [reaped]},
    ]))
    .await;
    let child = lab.start_as_process_one(&["build", "web.json"]);
    let outcome = lab.finish(child).await.success();
    // Process 1 itself runs no build, or it would take others' exit codes.
    let said = &outcome.stdout;
    assert!(
        said.contains("child of ") && !said.contains("child of 1\n"),
        "{said}"
    );
    assert!(outcome.outputs.contains_key("image-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_program() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let lab = lab(&endless()).await;
        let child = lab.start_as_process_one(&["build", "web.json"]);
        lab.wait_for_file("provisioning").await;
        assert!(!lab.temporary().is_empty());
        kill_process(process_one(&child), signal).unwrap();
        lab.finish(child).await.failure(code);
        lab.assert_empty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_a_terminal_comes_once() {
    let lab = lab(&endless()).await;
    let mut child = lab.start_at_terminal_as_process_one(&["build", "web.json"]);
    lab.wait_for_file("provisioning").await;
    let keyboard = child.stdin.as_mut().unwrap();
    keyboard.write_all(b"\x03").await.unwrap();
    let outcome = lab.finish(child).await.failure(130);
    let said = outcome.text();
    assert!(said.contains("after receiving interrupt"), "{said}");
    // A second one would have it clean up in a hurry.
    assert!(!said.contains("again"), "{said}");
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_and_the_name_are_those_of_the_program() {
    let lab = lab(&json!([])).await;
    let child = lab.start_as_process_one(&["build", "missing.json"]);
    let outcome = lab.finish(child).await.failure(2);
    assert!(outcome.text().contains("missing.json"), "{outcome:?}");
}

/// Runs the entry point of the slim image on a copy of its files, as a runtime
/// does. Arguments: where the files are, an empty directory, then those of the
/// program.
const RUNTIME: &str = r#"
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/merged"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work,userxattr" overlay "$2/merged"
cd "$2/merged"
mkdir proc dev
mount -t proc proc proc
mount --rbind /dev dev
cp "$3" web.json
shift 3
exec chroot . "$@"
"#;

fn slim(part: &str) -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_alicloud-image"));
    let target = binary.parent().and_then(Path::parent).unwrap();
    let path = target.join("image/slim").join(part);
    assert!(path.exists(), "run `script/image slim` first");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slim_image_builds_on_the_sandbox() {
    let config = std::fs::read_to_string(slim("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let list = |name: &str| {
        let list = config[name].as_array().cloned().unwrap_or_default();
        let list = list.iter().map(|one| one.as_str().unwrap().to_owned());
        list.collect::<Vec<_>>()
    };
    let directory = TempDir::new().unwrap();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/web.json");
    let environment = list("env");
    let environment = environment.iter().map(|one| one.split_once('=').unwrap());
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--pid"])
        .args(["--fork", "--kill-child", "sh", "-euc", RUNTIME, "runtime"])
        .args([&slim("rootfs"), directory.path(), &template])
        .args(list("entrypoint"))
        .args([
            "build",
            "--sandbox",
            "--sandbox-time-scale",
            "0.005",
            "web.json",
        ])
        .env_clear()
        .envs(environment)
        .env("HOME", "/root")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("0 resources left"), "{said}{errors}");
}

#[test]
fn the_slim_image_has_nothing_else() {
    let root = slim("rootfs");
    let mut files = BTreeSet::new();
    list(&root, &root, &mut files);
    let (applets, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| file.ends_with(" -> busybox"));
    assert!(applets.contains(&"bin/sh -> busybox".to_owned()));
    assert!(applets.iter().all(|applet| applet.starts_with("bin/")));
    assert_eq!(
        others,
        [
            "bin/busybox",
            "etc/group",
            "etc/nsswitch.conf",
            "etc/passwd",
            "etc/ssl/certs/ca-certificates.crt",
            "root/",
            "tmp/",
            "usr/bin/env -> ../../bin/busybox",
            "usr/local/bin/alicloud-image",
            "usr/local/bin/alicloud-image-action -> alicloud-image",
            "usr/local/bin/alicloud-image-post -> alicloud-image",
            "usr/share/doc/busybox-static/copyright",
            "var/tmp/",
        ]
    );
}

/// Files, links with what they point to, and empty directories.
fn list(root: &Path, directory: &Path, files: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let to = std::fs::read_link(&path).unwrap();
            files.insert(format!("{name} -> {}", to.display()));
        } else if kind.is_file() {
            files.insert(name);
        } else if std::fs::read_dir(&path).unwrap().next().is_none() {
            files.insert(format!("{name}/"));
        } else {
            list(root, &path, files);
        }
    }
}
