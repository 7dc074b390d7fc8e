//! A machine's disk becomes an image, and its files go or stay.

use alicloud_image_sandbox::{SeedBucket, SeedImage, StateFault};
use serde_json::json;

use super::{build, disk, template};
use crate::harness::{Lab, quick_options};

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
    let boot = json!({"boot_command": ["<waitText \"test boot: \" 600s>", "<enter>"]});
    let mut template = template(&boot);
    template["post-processors"] = json!([{
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
        let outcome = build(&lab).await.success();
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
    let outcome = build(&lab).await;
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
    let outcome = build(&lab).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("CreateFailed"), "{text}");
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    assert!(lab.path("output-vm/packer-vm").exists(), "{text}");
    assert_eq!(lab.sandbox.images(), Vec::<serde_json::Value>::new());
}
