//! Virtual machines that really run, emulated: a boot sector as the guest.

use alicloud_image_sandbox::{SeedBucket, SeedImage, StateFault};

use crate::harness::{Lab, quick_options};

/// Assembled from `tests/fixtures/boot-sector.S`.
const BOOT_SECTOR: &str = "\
    31c08ed8bc007cbe4f7ce83400bf617c30e4cd16b40ecd103c0d75f4be5b7ce81f00b801\
    5331dbcd15b80e5331dbb90201cd15b80753bb0100b90300cd15f4ebfdac84c07408b40e\
    31dbcd10ebf3c37465737420626f6f743a20000d0a627965";

/// A machine that boots the sector, with more options.
fn template(more: &str) -> String {
    format!(
        r#"{{"builders":[{{"type":"qemu","name":"vm","iso_url":"boot.img","iso_checksum":"none",
            "disk_image":true,"disk_size":"2M","accelerator":"tcg","memory":32,"headless":true,
            "communicator":"none"{more}}}]}}"#
    )
}

async fn lab(more: &str) -> Lab {
    let mut lab = Lab::without_machines().await;
    // A guest's seconds are real ones.
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "1");
    for variable in ["ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY"] {
        lab.unset(variable);
    }
    std::fs::write(lab.path("boot.img"), disk()).unwrap();
    lab.write("vm.json", &template(more));
    lab
}

/// A disk of 1 MiB that begins with the sector.
fn disk() -> Vec<u8> {
    let digits = BOOT_SECTOR.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let mut disk: Vec<u8> = digits.map(byte).collect();
    disk.resize(510, 0);
    disk.extend([0x55, 0xaa]);
    disk.resize(1 << 20, 0);
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_booted_typed_to_and_kept() {
    let lab = lab(
        r#","boot_command":["<waitText \"test boot: \" 60s>","Ok, A&b?<enter>"],
           "cd_content":{"meta-data":""},"floppy_content":{"a.cfg":"b"},
           "http_content":{"/c":"d"},"qemuargs_append":[["-device","virtio-rng-pci"]]"#,
    )
    .await;
    let outcome = lab.run(&["build", "vm.json"]).await.success();
    let text = &outcome.stdout;
    assert!(
        text.contains("--> vm: VM files in directory: output-vm\n"),
        "{text}"
    );
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    let magic = std::fs::read(lab.path("output-vm/packer-vm")).unwrap();
    assert!(magic.starts_with(b"QFI\xfb"));
    // Once more: the directory is in the way now.
    let outcome = lab.run(&["build", "vm.json"]).await.failure(2);
    assert!(
        outcome.text().contains("exists already"),
        "{}",
        outcome.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_says_it_leaves_a_picture() {
    let lab = lab(r#","boot_command":"<waitText \"login:\" 3s>root""#).await;
    let outcome = lab.run(&["build", "vm.json"]).await;
    assert_ne!(outcome.code, 0);
    let text = outcome.text();
    assert!(text.contains("waiting for `login:`"), "{text}");
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    let picture = std::fs::read(lab.path("output-vm-screen.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert!(!lab.path("output-vm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn qemus_own_words_are_shown_and_dropped_defaults_named() {
    let lab = lab(r#","qemuargs":[["-device","no-such-device"]]"#).await;
    let outcome = lab.run(&["build", "vm.json"]).await;
    assert_ne!(outcome.code, 0);
    let text = outcome.text();
    assert!(
        text.contains("'no-such-device' is not a valid device"),
        "{text}"
    );
    assert!(text.contains("QEMU did not start"), "{text}");
    assert!(!lab.path("output-vm").exists());
}

/// A machine whose disk is imported.
async fn importing_lab(keep_input_artifact: bool) -> Lab {
    let mut lab = Lab::with(quick_options()).await;
    // The guest gets a minute, and the first look at the image comes soon.
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "0.1");
    let bucket = SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    };
    lab.sandbox.seed().import_role().bucket(&bucket);
    std::fs::write(lab.path("boot.img"), disk()).unwrap();
    let machine = template(r#","boot_command":["<waitText \"test boot: \" 600s>","<enter>"]"#);
    let mut template: serde_json::Value = serde_json::from_str(&machine).unwrap();
    template["post-processors"] = serde_json::json!([{
        "type": "alicloud-import", "region": "cn-beijing", "oss_bucket_name": "images",
        "image_name": "imported", "keep_input_artifact": keep_input_artifact,
    }]);
    lab.write_template(&template);
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machines_disk_becomes_an_image_and_goes_unless_it_is_kept() {
    for keep in [false, true] {
        let lab = importing_lab(keep).await;
        let outcome = lab.run(&["build", "template.json"]).await.success();
        let text = &outcome.stdout;
        assert!(text.contains("packer-vm as QCOW2 to"), "{text}");
        assert!(text.contains("==> 0 resources left\n"), "{text}");
        let image = lab.sandbox.images()[0]["ImageId"].clone();
        assert_eq!(outcome.outputs["image-id"], image.as_str().unwrap());
        assert_eq!(lab.path("output-vm/packer-vm").exists(), keep, "{text}");
        assert_eq!(lab.path("output-vm").exists(), keep);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_machine_is_made_whose_disk_cannot_be_imported() {
    let lab = importing_lab(false).await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".into(),
        id: "m-old".into(),
        name: "imported".into(),
        ..SeedImage::default()
    });
    let outcome = lab.run(&["build", "template.json"]).await;
    assert_ne!(outcome.code, 0);
    let text = outcome.text();
    let said = "Post-processor `alicloud-import` would fail";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("Image name `imported` is used"), "{text}");
    assert!(!text.contains("Retrieving"), "{text}");
    assert!(!lab.path("output-vm").exists(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_import_keeps_the_machines_disk() {
    let lab = importing_lab(false).await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("CreateFailed"), "{text}");
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    assert!(lab.path("output-vm/packer-vm").exists(), "{text}");
    assert_eq!(lab.sandbox.images(), Vec::<serde_json::Value>::new());
}
