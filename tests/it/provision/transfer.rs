//! Files to and from the machine.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{assert_said, provision};
use crate::harness::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_go_up() {
    let lab = Lab::new().await;
    std::fs::create_dir_all(lab.path("site/css")).unwrap();
    lab.write("site/index.html", "<h1>it works</h1>\n")
        .write("site/css/main.css", "h1 { color: red }\n")
        .write("tool.sh", "#!/bin/sh\necho the tool ran\n");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path("tool.sh"), executable).unwrap();
    let provisioners = json!([
        {"type": "shell", "inline": ["mkdir -p /srv/contents"]},
        {"type": "file", "source": "site", "destination": "/srv"},
        {"type": "file", "source": "site/", "destination": "/srv/contents"},
        {"type": "file", "source": "tool.sh", "destination": "/usr/local/bin/"},
        {"type": "file", "content": "written for {{ build `User` }}", "destination": "/etc/note"},
        {"type": "shell", "inline": [
            "cat /srv/site/index.html /srv/contents/css/main.css",
            "tool.sh",
            "cat /etc/note; echo"
        ]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(
        &outcome,
        &["<h1>it works</h1>", "h1 { color: red }", "the tool ran"],
    );
    assert!(outcome.stdout.contains("written for"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_come_down() {
    let lab = Lab::new().await;
    let provisioners = json!([
        {"type": "shell", "inline": [
            "mkdir -p /var/report/deep",
            "echo 42 > /var/report/answer",
            "echo below > /var/report/deep/file",
            "head -c 300000 /dev/zero | tr '\\0' 'x' > /var/big"
        ]},
        {"type": "file", "direction": "download",
         "source": "/var/report/answer", "destination": "out/answer.txt"},
        {"type": "file", "direction": "download",
         "source": "/var/big", "destination": "out/"},
        {"type": "file", "direction": "download",
         "source": "/var/report/", "destination": "out/report"}
    ]);
    provision(&lab, provisioners).await.success();
    assert_eq!(lab.read("out/answer.txt"), "42\n");
    assert_eq!(lab.read("out/big"), "x".repeat(300_000));
    assert_eq!(lab.read("out/report/answer"), "42\n");
    assert_eq!(lab.read("out/report/deep/file"), "below\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_found_before_anything_is_made() {
    let lab = Lab::without_machines().await;
    let provisioners = json!([
        {"type": "file", "source": "missing.txt", "destination": "/etc/"}
    ]);
    let outcome = provision(&lab, provisioners).await.failure(2);
    assert!(outcome.text().contains("missing.txt"), "{}", outcome.text());
    assert_eq!(lab.sandbox.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_be_made_during_the_build() {
    let lab = Lab::new().await;
    let provisioners = json!([
        {"type": "shell-local", "inline": ["echo made late > late.txt"]},
        {"type": "file", "source": "late.txt", "destination": "/etc/late", "generated": true},
        {"type": "shell", "inline": ["cat /etc/late"]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["made late"]);
}
