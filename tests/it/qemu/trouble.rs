//! What goes wrong on this machine: programs that are missing, guests that do
//! not do what is expected.

use serde_json::json;

use super::{assert_nothing_left, build, lab};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_says_it_leaves_a_picture() {
    let lab = lab(json!({"boot_command": "<waitText \"login:\" 3s>root"})).await;
    let outcome = build(&lab).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("waiting for `login:`"), "{text}");
    assert!(
        text.contains("The end of the machine's serial console:"),
        "{text}"
    );
    assert!(text.contains("    vm: serial boot:"), "{text}");
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    let picture = std::fs::read(lab.path("output-vm-screen.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert_nothing_left(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_programs_come_with_their_packages() {
    for (more, message, package) in [
        (
            json!({"qemu_binary": "qemu-system-none"}),
            "There is no program `qemu-system-none`",
            "`apt-get install qemu-system-x86`",
        ),
        (
            json!({"qemu_binary": "/bin/sh", "vm_name": "vm"}),
            "QEMU did not start: `sh` ended with",
            "",
        ),
    ] {
        let lab = lab(more).await;
        let text = build(&lab).await.failure(1).text();
        assert!(text.contains(message), "{text}");
        assert!(text.contains(package), "{text}");
        assert_nothing_left(&lab);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_is_listened_on_and_must_exist() {
    let options = json!({
        "boot_command": "<waitText \"test boot: \" 60s>{{ .HTTPIP }}<enter>",
        "http_interface": "lo", "http_content": {"/a": "b"},
    });
    let with_lo = lab(options.clone()).await;
    build(&with_lo).await.success();
    let mut options = options;
    options["http_interface"] = json!("no-such-card");
    let lab = lab(options).await;
    let text = build(&lab).await.failure(1).text();
    assert!(text.contains("no-such-card"), "{text}");
    assert_nothing_left(&lab);
}
