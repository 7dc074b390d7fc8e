//! Machines with a communicator. The boot sector speaks no SSH, so a server on
//! this machine does it in its place.

use std::net::SocketAddr;

use alicloud_image_sandbox::guest::{BootSpec, Confinement, Guest};
use serde_json::{Value, json};

use super::{assert_nothing_left, build, lab};

/// An SSH server that takes every command and runs none.
pub(super) struct Server {
    _guest: Guest,
    address: SocketAddr,
}

impl Server {
    pub(super) async fn start() -> Self {
        let guest = Guest::boot(BootSpec {
            instance_id: "vm".to_owned(),
            hostname: "vm".to_owned(),
            layers: Vec::new(),
            authorized_keys: Vec::new(),
            password: Some("secret".to_owned()),
            rpm_family: false,
            time_scale: 1.0,
            user_data: None,
            confinement: Confinement::Scripted,
        });
        let guest = guest.await.unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        guest.listen(address).await.unwrap();
        Self {
            _guest: guest,
            address,
        }
    }

    /// What leads a machine's build to this server.
    pub(super) fn options(&self) -> Value {
        json!({
            "communicator": "ssh", "skip_nat_mapping": true, "ssh_port": self.address.port(),
            "ssh_username": "root", "ssh_password": "secret",
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_heeds_its_power_button() {
    let server = Server::start().await;
    let mut options = server.options();
    // By now the guest has enabled the button.
    options["boot_command"] = json!("<waitText \"serial boot: \" 60s>");
    let lab = lab(options).await;
    let outcome = build(&lab).await.success();
    let text = outcome.text();
    assert!(text.contains("Halting the virtual machine...\n"), "{text}");
    assert!(!text.contains("did not heed"), "{text}");
    assert!(lab.path("output-vm/packer-vm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_is_switched_off_by_force() {
    let server = Server::start().await;
    let mut options = server.options();
    // Without a CPU that runs, nothing is heeded.
    options["qemuargs_append"] = json!([["-S"]]);
    options["shutdown_timeout"] = json!("1s");
    let lab = lab(options.clone()).await;
    let outcome = build(&lab).await.success();
    let text = outcome.text();
    assert!(
        text.contains("did not heed its power button within 1s"),
        "{text}"
    );
    assert!(lab.path("output-vm/packer-vm").exists());

    options["shutdown_command"] = json!("halt");
    options["vm_name"] = json!("other");
    options["output_directory"] = json!("other");
    lab.write_template(&super::template(&options));
    let outcome = build(&lab).await.failure(1);
    let text = outcome.text();
    assert!(
        text.contains("waiting for the machine to be off after `shutdown_command`"),
        "{text}"
    );
    assert!(text.contains("Raise `shutdown_timeout`"), "{text}");
    assert!(!lab.path("other").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_answers_leaves_a_picture() {
    let lab =
        lab(json!({"communicator": "ssh", "ssh_username": "root", "ssh_timeout": "2s"})).await;
    let outcome = build(&lab).await;
    assert_ne!(outcome.code, 0);
    let text = outcome.text();
    assert!(
        text.contains("See what the machine's screen showed: "),
        "{text}"
    );
    assert_eq!(outcome.outputs["screenshots"], "output-vm-screen.png");
    let summary = &outcome.summary;
    assert!(
        summary.contains("### Screens of failed machines\n\n- vm: <code>"),
        "{summary}"
    );
    let picture = std::fs::read(lab.path("output-vm-screen.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert_nothing_left(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_switches_itself_off_is_noticed_at_once() {
    let lab = lab(json!({
        "communicator": "ssh", "ssh_username": "root", "ssh_timeout": "1h",
        "boot_command": "<waitText \"test boot: \" 60s><enter>",
    }))
    .await;
    let outcome = build(&lab).await.failure(1);
    let text = outcome.text();
    let message = "The machine switched itself off before it could be reached";
    assert!(text.contains(message), "{text}");
    assert!(
        text.contains("end with a reboot instead of a shutdown"),
        "{text}"
    );
    assert_nothing_left(&lab);
}
