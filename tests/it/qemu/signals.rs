//! Machines whose build is stopped or killed: nothing of them stays, whatever
//! was being done.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ssh::Server;
use super::{
    PATIENCE, assert_nothing_left, lab, private_directories, programs_in, template, to_its_end,
    until_shown,
};
use crate::harness::{Lab, interrupt, until};

/// Interrupts a run that has shown a text; it must end cleanly.
async fn interrupted_at(lab: &Lab, text: &str) {
    let mut child = lab.start(&["build", "template.json"]);
    let shown = until_shown(&mut child, text).await;
    interrupt(&child);
    let ended = tokio::time::timeout(PATIENCE, to_its_end(child)).await;
    let (code, rest) = ended.unwrap_or_else(|_| panic!("`{text}` was not interrupted"));
    let all = shown + &rest;
    assert_eq!(code, 130, "{text}: {all}");
    for line in [
        "==> Cancelling build after receiving interrupt\n",
        "Stopped before it was done\n",
        "==> Cleanly cancelled builds after being interrupted.\n",
        "==> 0 resources left\n",
    ] {
        assert!(all.contains(line), "{text}: {all}");
    }
    assert_nothing_left(lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_machine_is_prepared_or_typed_to() {
    let table: [(Value, &str); 4] = [
        (
            json!({"boot_wait": "1h", "boot_command": "x", "vtpm": true}),
            "Waiting 3600s for boot...\n",
        ),
        (
            json!({"boot_wait": "-1s", "boot_key_interval": "1h", "boot_command": "xy"}),
            "Typing the boot commands over VNC...\n",
        ),
        (
            json!({"boot_command": "<waitText \"never\" 1h>"}),
            "Typing the boot commands over VNC...\n",
        ),
        (json!({}), "Waiting for shutdown...\n"),
    ];
    for (more, text) in table {
        interrupted_at(&lab(more).await, text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_iso_is_downloaded() {
    // It takes the request and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x.iso", silent.local_addr().unwrap());
    let lab = lab(json!({"iso_url": url})).await;
    interrupted_at(&lab, &format!("Trying {url}\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_ssh_is_awaited_or_used() {
    let server = Server::start().await;
    let mut nobody = server.options();
    nobody["ssh_port"] = json!(1);
    interrupted_at(&lab(nobody).await, "Waiting for SSH").await;

    let lab = lab(json!({})).await;
    let mut provisioned = template(&server.options());
    provisioned["provisioners"] = json!([
        {"type": "shell-local", "inline": ["echo provisioning", "sleep 3600"]},
    ]);
    lab.write_template(&provisioned);
    interrupted_at(&lab, "    vm: provisioning\n").await;

    let mut halting = server.options();
    halting["shutdown_command"] = json!("halt");
    lab.write_template(&template(&halting));
    interrupted_at(&lab, "Gracefully halting virtual machine...\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_disk_is_compacted() {
    let mut lab = lab(json!({"boot_command": "<waitText \"test boot: \" 60s><enter>"})).await;
    // Converting takes for ever, anything else is done as always.
    let slow = lab.path("bin/qemu-img");
    std::fs::create_dir(lab.path("bin")).unwrap();
    let script = "#!/bin/sh\nif [ \"$1\" = convert ] && [ \"$2\" = -O ]; then exec sleep 3600; fi\n\
                  PATH=${PATH#*:}\nexec qemu-img \"$@\"\n";
    std::fs::write(&slow, script).unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    lab.set("PATH", &format!("{}:{path}", lab.path("bin").display()));
    interrupted_at(&lab, "Converting hard drive...\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_ends_with_a_killed_build_and_cleanup_removes_the_rest() {
    let lab = lab(json!({"boot_wait": "1h", "boot_command": "x", "vtpm": true})).await;
    let mut child = lab.start(&["build", "template.json"]);
    until_shown(&mut child, "for boot...\n").await;
    let running = programs_in(&lab);
    for name in ["qemu-system-x86_64 ", "swtpm "] {
        assert!(
            running.iter().any(|words| words.contains(name)),
            "{running:?}"
        );
    }
    child.kill().await.unwrap();
    until(|| programs_in(&lab).is_empty(), "the end of QEMU").await;
    assert_eq!(private_directories(&lab).len(), 1);
    assert!(lab.path("output-vm").exists());
    let journals = std::fs::read_dir(lab.path("journals")).unwrap();
    for journal in journals {
        let journal = journal.unwrap().path().display().to_string();
        let outcome = lab.run(&["cleanup", "--journal", &journal]).await.success();
        assert!(
            outcome.text().contains("==> 0 resources left\n"),
            "{}",
            outcome.text()
        );
    }
    assert_nothing_left(&lab);
}
