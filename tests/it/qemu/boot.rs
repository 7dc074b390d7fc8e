//! Machines that boot, are typed to, and become an artifact.

use serde_json::json;

use super::{assert_nothing_left, build, lab, private_directories, programs_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_booted_typed_to_and_kept() {
    let lab = lab(json!({
        "boot_command": ["<waitText \"test boot: \" 60s>", "Ok, A&b?<enter>"],
        "cd_content": {"meta-data": ""}, "floppy_content": {"a.cfg": "b"},
        "http_content": {"/c": "d"}, "qmp_enable": true,
        "qemuargs_append": [["-device", "virtio-rng-pci"]],
    }))
    .await;
    let outcome = build(&lab).await.success();
    let text = &outcome.stdout;
    assert!(
        text.contains("--> vm: VM files in directory: output-vm\n"),
        "{text}"
    );
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    let magic = std::fs::read(lab.path("output-vm/packer-vm")).unwrap();
    assert!(magic.starts_with(b"QFI\xfb"));
    // The control socket is not part of the artifact.
    assert_eq!(lab.path("output-vm").read_dir().unwrap().count(), 1);
    // Once more: the directory is in the way now, unless it may be replaced.
    let outcome = build(&lab).await.failure(2);
    assert!(
        outcome.text().contains("exists already"),
        "{}",
        outcome.text()
    );
    std::fs::write(lab.path("output-vm/old"), "").unwrap();
    let forced = lab.run(&["build", "-force", "template.json"]).await;
    forced.success();
    assert!(!lab.path("output-vm/old").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_on_the_serial_line_is_waited_for() {
    let lab = lab(json!({
        "boot_steps": [["<waitText \"serial boot: \" 60s>", "The loader"], ["<enter>", "Go on"]],
        "format": "raw", "use_backing_file": false, "vm_name": "disk.raw",
    }))
    .await;
    let outcome = build(&lab).await.success();
    let text = &outcome.stdout;
    for step in ["The loader", "Go on"] {
        let line = format!("    vm: Typing boot command for: {step}\n");
        assert!(text.contains(&line), "{text}");
    }
    let disk = std::fs::read(lab.path("output-vm/disk.raw")).unwrap();
    assert_eq!(disk.len(), 2 << 20);
    assert_eq!(disk[510..512], [0x55, 0xaa]);
}

/// The firmware's own shell is the guest: it finds nothing to boot. A network
/// card without its ROM keeps the firmware from booting from the network.
#[tokio::test(flavor = "multi_thread")]
async fn a_uefi_machine_with_a_tpm_and_a_vnc_password() {
    let lab = lab(json!({
        "efi_boot": true, "efi_drop_efivars": true, "vtpm": true, "vnc_use_password": true,
        "memory": 128, "net_device": "e1000,romfile=", "disk_additional_size": ["1M"],
        "boot_command": [
            "<waitText \"Press ESC\" 110s><esc><waitText \"Shell>\" 60s>reset -s<enter>",
        ],
    }))
    .await;
    let outcome = build(&lab).await.success();
    let text = &outcome.stdout;
    assert!(
        text.contains("connect via VNC with the password `"),
        "{text}"
    );
    let made = lab.path("output-vm").read_dir().unwrap();
    let mut made: Vec<_> = made.map(|entry| entry.unwrap().file_name()).collect();
    made.sort();
    assert_eq!(made, ["packer-vm", "packer-vm-1"]);
    assert_eq!(programs_in(&lab), Vec::<String>::new());
    assert!(private_directories(&lab).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_defaults_are_named() {
    let lab = lab(json!({
        "qemuargs": [["-drive", "file={{ .OutputDir }}/{{ .Name }},", "if=virtio,format=qcow2"]],
        "boot_command": "<waitText \"test boot: \" 60s><enter>",
    }))
    .await;
    let outcome = build(&lab).await.success();
    let text = outcome.text();
    assert!(
        text.contains("`qemuargs` replace these defaults: -drive file="),
        "{text}"
    );
    assert!(text.contains("`qemuargs_append`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn qemus_own_words_are_shown() {
    let lab = lab(json!({"qemuargs": [["-device", "no-such-device"]]})).await;
    let outcome = build(&lab).await.failure(1);
    let text = outcome.text();
    assert!(
        text.contains("'no-such-device' is not a valid device"),
        "{text}"
    );
    assert!(text.contains("QEMU did not start"), "{text}");
    assert_nothing_left(&lab);
}
