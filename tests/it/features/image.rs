//! The image itself: copies, shares, encryption, or none at all.

use std::time::Duration;

use alicloud_image_sandbox::{Delays, SandboxOptions, StateFault};
use serde_json::{Value, json};

use crate::harness::{Lab, interrupt, quick_options};
use crate::record::{assert_absent, assert_never_called, assert_params, tags, the_image};
use crate::template::silent;

/// A quick lab in which something takes its time.
async fn slow_lab(delays: Delays) -> Lab {
    Lab::with(SandboxOptions {
        delays,
        ..quick_options()
    })
    .await
}

fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("1{number:015}")).collect()
}

fn in_region<'a>(images: &'a [Value], region: &str) -> &'a Value {
    let image = images.iter().find(|image| image["RegionId"] == region);
    image.unwrap_or_else(|| panic!("no image in {region}: {images:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_copied_to_other_regions_at_once() {
    let lab = Lab::without_machines().await;
    let options = json!({
        "image_description": "Web server",
        "tags": {"app": "web"},
        "image_copy_regions": ["cn-hangzhou", "cn-shanghai"],
        "image_copy_names": ["web-hz", ""],
    });
    let outcome = lab.build(&silent(options)).await.success();

    let copies = lab.calls("CopyImage");
    assert_eq!(copies.len(), 2);
    let apart = copies[1].at.abs_diff(copies[0].at);
    assert!(
        apart.as_secs_f64() < 1.0,
        "one copy waited {apart:?} for the other"
    );
    for copy in &copies {
        assert_params(copy, &[("DestinationDescription", "Web server")]);
        assert_absent(copy, &["Encrypted", "KMSKeyId"]);
        assert_eq!(tags(copy), [("app".to_owned(), "web".to_owned())]);
    }

    let images = lab.sandbox.images();
    for (region, name) in [
        ("cn-beijing", "web"),
        ("cn-hangzhou", "web-hz"),
        ("cn-shanghai", "web"),
    ] {
        let image = in_region(&images, region);
        assert_eq!(image["ImageName"], name);
        assert_eq!(image["Status"], "Available");
        assert_eq!(image["Description"], "Web server");
        let tagged = lab.calls("TagResources");
        let snapshot = &image["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"];
        let call = tagged.iter().find(|call| call.region == region).unwrap();
        assert_params(call, &[("ResourceId.1", snapshot.as_str().unwrap())]);
        assert_eq!(tags(call), [("app".to_owned(), "web".to_owned())]);
    }
    let ids: Value = serde_json::from_str(&outcome.outputs["image-ids"]).unwrap();
    assert_eq!(
        ids["cn-hangzhou"],
        in_region(&images, "cn-hangzhou")["ImageId"]
    );
    assert_eq!(ids.as_object().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_refused_leaves_no_image_at_all() {
    let lab = Lab::without_machines().await;
    lab.refuse("CopyImage", "QuotaExceed.Image");
    let options = json!({"image_copy_regions": ["cn-hangzhou", "cn-shanghai"]});
    let outcome = lab.build(&silent(options)).await.failure(1);
    assert!(
        outcome.text().contains("Cannot copy image m-"),
        "{}",
        outcome.text()
    );
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_shared_with_in_batches_of_ten_in_every_region() {
    let lab = Lab::without_machines().await;
    let options = json!({
        "image_copy_regions": ["cn-hangzhou"],
        "image_share_account": accounts(12),
        "image_unshare_account": accounts(11),
    });
    lab.build(&silent(options)).await.success();

    for region in ["cn-beijing", "cn-hangzhou"] {
        let mut calls = lab.calls("ModifyImageSharePermission");
        calls.retain(|call| call.region == region);
        let batches: Vec<_> = calls
            .iter()
            .map(|call| {
                let count = |kind: &str| {
                    call.params
                        .keys()
                        .filter(|key| key.starts_with(kind))
                        .count()
                };
                (count("AddAccount."), count("RemoveAccount."))
            })
            .collect();
        assert_eq!(batches, [(10, 0), (2, 0), (0, 10), (0, 1)], "{region}");
        let images = lab.sandbox.images();
        let shared = &in_region(&images, region)["SharedWith"];
        assert_eq!(shared, &json!([accounts(12)[11]]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sharing_with_nobody_needs_no_permission() {
    let lab = Lab::without_machines().await;
    lab.build(&silent(json!({}))).await.success();
    assert_never_called(
        &lab,
        &["ModifyImageSharePermission", "TagResources", "CopyImage"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_image_is_a_copy_with_name_and_tags() {
    let lab = Lab::without_machines().await;
    let options = json!({
        "image_encrypted": true,
        "kms_key_id": "key-bj",
        "image_description": "Web server",
        "tags": {"app": "web"},
        "image_copy_regions": ["cn-hangzhou"],
        "image_copy_kms_ids": ["key-hz"],
    });
    lab.build(&silent(options)).await.success();

    let made = lab.call("CreateImage");
    assert_ne!(made.params["ImageName"], "web");
    for copy in lab.calls("CopyImage") {
        let destination = copy.params["DestinationRegionId"].as_str();
        let key = if destination == "cn-beijing" {
            "key-bj"
        } else {
            "key-hz"
        };
        assert_params(
            &copy,
            &[
                ("Encrypted", "true"),
                ("KMSKeyId", key),
                ("DestinationImageName", "web"),
            ],
        );
    }
    let images = lab.sandbox.images();
    assert_eq!(images.len(), 2, "the unencrypted one is gone: {images:#?}");
    for region in ["cn-beijing", "cn-hangzhou"] {
        let image = in_region(&images, region);
        assert_eq!(image["ImageName"], "web");
        assert_eq!(image["Description"], "Web server");
        let tags = image["Tags"]["Tag"].as_array().unwrap();
        assert!(
            tags.contains(&json!({"TagKey": "app", "TagValue": "web"})),
            "{tags:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_image_is_made_when_none_is_wanted() {
    let lab = Lab::without_machines().await;
    let outcome = lab
        .build(&silent(json!({"skip_create_image": true})))
        .await
        .success();
    assert_never_called(&lab, &["CreateImage", "CreateSnapshot"]);
    assert_eq!(outcome.outputs["image-id"], "");
    assert_eq!(outcome.outputs["status"], "success");
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_said_about_the_image_is_on_it() {
    let lab = Lab::without_machines().await;
    let options = json!({
        "image_version": 1.5,
        "image_description": "Web server",
        "target_image_family": "web-family",
        "boot_mode": "UEFI",
        "resource_group_id": "rg-team",
        "tag": [{"key": "tier", "value": "front"}],
    });
    let outcome = lab.build(&silent(options)).await.success();
    let create = lab.call("CreateImage");
    assert_params(
        &create,
        &[
            ("ImageVersion", "1.5"),
            ("Description", "Web server"),
            ("ImageFamily", "web-family"),
            ("BootMode", "UEFI"),
            ("ResourceGroupId", "rg-team"),
        ],
    );
    assert_eq!(tags(&create), [("tier".to_owned(), "front".to_owned())]);
    assert_eq!(the_image(&lab, &outcome)["ImageVersion"], "1.5");
}

#[tokio::test]
async fn what_ecs_is_told_about_the_image_is_on_its_copies_too() {
    let lab = Lab::quick().await;
    let options = json!({
        "image_platform": "Anolis",
        "image_architecture": "x86_64",
        "image_detection_strategy": "Standard",
        "image_imds_support": "v2",
        "target_image_family": "web-family",
        "boot_mode": "UEFI",
        "image_copy_regions": ["cn-hangzhou"],
    });
    lab.build(&silent(options)).await.success();
    let create = lab.call("CreateImage");
    assert_params(
        &create,
        &[
            ("Platform", "Anolis"),
            ("Architecture", "x86_64"),
            ("DetectionStrategy", "Standard"),
            ("Features.ImdsSupport", "v2"),
        ],
    );
    let images = lab.sandbox.images();
    for region in ["cn-beijing", "cn-hangzhou"] {
        let image = in_region(&images, region);
        assert_eq!(image["ImageFamily"], "web-family", "{region}");
        assert_eq!(image["BootMode"], "UEFI", "{region}");
        assert_eq!(image["Features"]["ImdsSupport"], "v2", "{region}");
    }
    // The copy has the boot mode of its source, so nobody sets it.
    let completed = lab.call("ModifyImageAttribute");
    assert_params(&completed, &[("ImageFamily", "web-family")]);
    assert_absent(&completed, &["BootMode", "ImageName"]);
}

#[tokio::test]
async fn an_encrypted_image_keeps_its_family() {
    let lab = Lab::quick().await;
    let options = json!({"image_encrypted": true, "target_image_family": "web-family"});
    lab.build(&silent(options)).await.success();
    let images = lab.sandbox.images();
    assert_eq!(images.len(), 1, "{images:#?}");
    assert_eq!(images[0]["ImageFamily"], "web-family");
}

#[tokio::test]
async fn what_ecs_finds_in_an_image_is_told() {
    let strategy = json!({"image_detection_strategy": "Standard"});
    let lab = slow_lab(Delays {
        detection: Duration::from_secs(90),
        ..Delays::none()
    })
    .await;
    let outcome = lab.build(&silent(strategy.clone())).await.success();
    let told = "(2 items) and found no risk\n";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    assert_params(
        &lab.call("CreateImage"),
        &[("DetectionStrategy", "Standard")],
    );

    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::DetectionRisk);
    let outcome = lab.build(&silent(strategy)).await.success();
    let image = &outcome.outputs["image-id"];
    let told = format!(
        "Warning: ECS found a risk in image {image} (High): NVMe.NotInstalled: Nvme is \
         `unsupported`\n"
    );
    assert!(outcome.stdout.contains(&told), "{}", outcome.stdout);
}

#[tokio::test]
async fn an_examination_that_does_not_end_costs_no_image() {
    let lab = slow_lab(Delays {
        detection: Duration::from_secs(3600),
        ..Delays::none()
    })
    .await;
    let options = json!({
        "image_detection_strategy": "Standard", "wait_snapshot_ready_timeout": 60,
    });
    let outcome = lab.build(&silent(options)).await.success();
    let told = "What ECS found in image m-";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    the_image(&lab, &outcome);
}

#[tokio::test]
async fn a_signal_in_an_examination_costs_no_image() {
    let lab = slow_lab(Delays {
        detection: Duration::from_secs(36_000),
        ..Delays::none()
    })
    .await;
    lab.write_template(&silent(json!({"image_detection_strategy": "Standard"})));
    let child = lab.start(&["build", "template.json"]);
    lab.wait_for_call("CreateImage").await;
    let before = lab.calls("DescribeImages").len();
    lab.wait_for_calls("DescribeImages", before + 4).await;
    interrupt(&child);
    let outcome = lab.finish(child).await;
    assert_eq!(outcome.code, 130, "{}", outcome.text());
    the_image(&lab, &outcome);
}

#[tokio::test]
async fn an_examination_that_is_not_heard_of_is_not_waited_for_long() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::DetectionSilent);
    let outcome = lab
        .build(&silent(json!({"image_detection_strategy": "Standard"})))
        .await
        .success();
    let told = "ECS does not say whether it examines image m-";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    let asked = lab.calls("DescribeImages").len();
    assert!(asked < 60, "{asked}");
}

#[tokio::test]
async fn a_copy_that_takes_too_long_names_the_option_that_helps() {
    let lab = slow_lab(Delays {
        copy: Duration::from_secs(3600),
        ..Delays::none()
    })
    .await;
    let options = json!({
        "image_copy_regions": ["cn-hangzhou"], "wait_copying_image_ready_timeout": 60,
    });
    let outcome = lab.build(&silent(options)).await.failure(1);
    let told = "hint: Raise `wait_copying_image_ready_timeout`";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    lab.assert_empty();
}
