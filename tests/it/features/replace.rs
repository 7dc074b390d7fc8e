//! Replacing an image of the same name: the new one comes first.

use alicloud_image_sandbox::{SeedImage, StateFault};
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::record::{assert_never_called, assert_params};
use crate::template::silent;

/// A lab with an image `web` that consists of one snapshot.
async fn lab_with_old_image() -> Lab {
    let lab = Lab::without_machines().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".to_owned(),
        id: "m-old".to_owned(),
        name: "web".to_owned(),
        snapshot: "s-old".to_owned(),
        ..SeedImage::default()
    });
    lab
}

async fn build(lab: &Lab, options: Value, flags: &[&str]) -> Outcome {
    let arguments = [&["build"], flags, &["template.json"]].concat();
    lab.write_template(&silent(options)).run(&arguments).await
}

/// Asserts that the old image was deleted only when the new one was there,
/// which then got its name.
#[track_caller]
fn assert_replaced(lab: &Lab, outcome: &Outcome) {
    let new = &outcome.outputs["image-id"];
    let calls = lab.sandbox.calls();
    let place = |action: &str, id: &str| {
        let of_image = |call: &&alicloud_image_sandbox::Call| {
            call.action == action && call.params.get("ImageId").is_some_and(|of| of == id)
        };
        let last = calls.iter().rev().find(of_image);
        last.unwrap_or_else(|| panic!("no {action} of {id}")).at
    };
    let available = place("DescribeImages", new);
    let deleted = place("DeleteImage", "m-old");
    let renamed = place("ModifyImageAttribute", new);
    assert!(available < deleted, "{available:?} {deleted:?}");
    assert!(deleted < renamed, "{deleted:?} {renamed:?}");
    let images = lab.sandbox.images();
    assert_eq!(images.len(), 1, "{images:#?}");
    assert_eq!(images[0]["ImageId"], new.as_str());
    assert_eq!(images[0]["ImageName"], "web");
    assert_eq!(outcome.outputs["image-name"], "web");
}

/// Asserts that the old image is there as if nothing had happened.
#[track_caller]
fn assert_untouched(lab: &Lab) {
    let images = lab.sandbox.images();
    assert_eq!(images.len(), 1, "{images:#?}");
    assert_eq!(images[0]["ImageId"], "m-old");
    assert_eq!(images[0]["ImageName"], "web");
    let deleted = lab.calls("DeleteImage").into_iter();
    assert_eq!(
        deleted
            .filter(|call| call.params["ImageId"] == "m-old")
            .count(),
        0
    );
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_image_is_deleted_when_the_new_one_is_available() {
    let lab = lab_with_old_image().await;
    let outcome = build(&lab, json!({"image_force_delete": true}), &[])
        .await
        .success();
    assert_replaced(&lab, &outcome);
    assert_ne!(lab.call("CreateImage").params["ImageName"], "web");
    assert_never_called(&lab, &["DeleteSnapshot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_snapshots_go_with_it_when_asked() {
    let lab = lab_with_old_image().await;
    let options = json!({"image_force_delete": "true", "image_force_delete_snapshots": "true"});
    let outcome = build(&lab, options, &[]).await.success();
    assert_replaced(&lab, &outcome);
    assert_params(&lab.call("DeleteSnapshot"), &[("SnapshotId", "s-old")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_force_flag_replaces_image_and_snapshots() {
    let lab = lab_with_old_image().await;
    let outcome = build(&lab, json!({}), &["-force"]).await.success();
    assert_replaced(&lab, &outcome);
    assert_params(&lab.call("DeleteSnapshot"), &[("SnapshotId", "s-old")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_old_image_the_name_is_taken_at_once() {
    let lab = Lab::without_machines().await;
    let outcome = build(&lab, json!({"image_force_delete": true}), &[])
        .await
        .success();
    assert_params(&lab.call("CreateImage"), &[("ImageName", "web")]);
    assert_never_called(&lab, &["ModifyImageAttribute", "DeleteImage"]);
    assert_eq!(outcome.outputs["image-name"], "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_new_image_leaves_the_old_one_alone() {
    let lab = lab_with_old_image().await;
    lab.refuse("CreateImage", "QuotaExceed.Image");
    build(&lab, json!({"image_force_delete": true}), &[])
        .await
        .failure(1);
    assert_untouched(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_new_image_leaves_the_old_one_alone() {
    let lab = lab_with_old_image().await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    build(&lab, json!({}), &["-force"]).await.failure(1);
    assert_untouched(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_found_before_anything_is_made() {
    let lab = lab_with_old_image().await;
    let outcome = build(&lab, json!({}), &[]).await.failure(1);
    let text = outcome.text();
    assert!(
        text.contains("Image name `web` is used by image m-old in cn-beijing"),
        "{text}"
    );
    assert!(text.contains("image_force_delete"), "{text}");
    assert_never_called(&lab, &["CreateVpc", "ImportKeyPair", "RunInstances"]);
    assert_untouched(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_replaces_the_image_of_its_name_too() {
    let lab = Lab::without_machines().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-hangzhou".to_owned(),
        id: "m-copy".to_owned(),
        name: "web".to_owned(),
        snapshot: "s-copy".to_owned(),
        ..SeedImage::default()
    });
    let options = json!({"image_force_delete": true, "image_copy_regions": ["cn-hangzhou"]});
    build(&lab, options, &[]).await.success();
    assert_params(&lab.call("DeleteImage"), &[("ImageId", "m-copy")]);
    let names: Vec<_> = lab
        .sandbox
        .images()
        .iter()
        .map(|image| (image["RegionId"].clone(), image["ImageName"].clone()))
        .collect();
    assert_eq!(
        json!(names),
        json!([["cn-beijing", "web"], ["cn-hangzhou", "web"]])
    );
}
