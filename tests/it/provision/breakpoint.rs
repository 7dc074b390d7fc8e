//! Stops that wait for Enter, where somebody can press it.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Child;

use crate::harness::Lab;
use crate::template::{provisioned, silent};

fn write_template(lab: &Lab) {
    let provisioners = json!([
        {"type": "breakpoint", "note": "look around"},
        {"type": "shell-local", "inline": ["touch after"]}
    ]);
    lab.write_template(&provisioned(silent(json!({})), provisioners));
}

/// Reads what the build shows up to a line with this text.
async fn read_until(child: &mut Child, text: &str) {
    let shown = child.stdout.as_mut().unwrap();
    let mut lines = BufReader::new(shown).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains(text) {
            return;
        }
    }
    panic!("{text:?} was never shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_a_breakpoint_is_passed() {
    let lab = Lab::without_machines().await;
    write_template(&lab);
    let outcome = lab.run(&["build", "template.json"]).await.success();
    let text = outcome.text();
    let warning = "Not pausing at breakpoint provisioner with note \"look around\"";
    assert!(text.contains(warning), "{text}");
    assert!(lab.path("after").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn enter_ends_a_breakpoint() {
    let lab = Lab::without_machines().await;
    write_template(&lab);
    let mut child = lab.start_at_terminal(&["build", "template.json"]);
    read_until(&mut child, "Press enter to continue.").await;
    assert!(!lab.path("after").exists());
    let keyboard = child.stdin.as_mut().unwrap();
    keyboard.write_all(b"\n").await.unwrap();
    lab.finish(child).await.success();
    assert!(lab.path("after").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_breakpoint() {
    let lab = Lab::without_machines().await;
    write_template(&lab);
    let mut child = lab.start_at_terminal(&["build", "template.json"]);
    read_until(&mut child, "Press enter to continue.").await;
    // What Ctrl-C types.
    let keyboard = child.stdin.as_mut().unwrap();
    keyboard.write_all(b"\x03").await.unwrap();
    let outcome = lab.finish(child).await;
    assert_ne!(outcome.code, 0);
    assert!(!lab.path("after").exists());
    lab.assert_empty();
}
