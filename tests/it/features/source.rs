//! The image a build begins with: named, found by a filter, or not there.

use alicloud_image_sandbox::SeedImage;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::record::{assert_absent, assert_never_called, assert_params};
use crate::template::silent;

/// A lab with own images: id, name and the day of January 2026 they were made.
async fn lab_with(images: &[(&str, &str, u8)]) -> Lab {
    let lab = Lab::quick().await;
    for (id, name, day) in images {
        lab.sandbox.seed().image(&SeedImage {
            region: "cn-beijing".to_owned(),
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            tags: [("app".to_owned(), "web".to_owned())].into(),
            created: Some(format!("2026-01-0{day}T00:00:00Z").parse().unwrap()),
            ..SeedImage::default()
        });
    }
    lab
}

const THREE: &[(&str, &str, u8)] = &[
    ("m-web-1", "base-web-1", 1),
    ("m-web-2", "base-web-2", 2),
    ("m-db", "base-db", 3),
];

/// A build that begins with what a filter finds.
async fn build(lab: &Lab, filter: Value) -> Outcome {
    let mut template = silent(json!({"source_image_filter": filter}));
    let builder = template["builders"][0].as_object_mut().unwrap();
    builder.remove("source_image");
    lab.build(&template).await
}

async fn build_from(lab: &Lab, options: Value) -> Outcome {
    lab.build(&silent(options)).await
}

/// Asserts that nothing was begun.
#[track_caller]
fn assert_untouched(lab: &Lab) {
    assert_never_called(
        lab,
        &[
            "CreateVpc",
            "AllocateEipAddress",
            "ImportKeyPair",
            "RunInstances",
        ],
    );
}

#[tokio::test]
async fn a_filter_takes_the_newest_image_that_fits() {
    let lab = lab_with(THREE).await;
    let filter = json!({
        "name": "base-web-*", "owners": ["self"], "tags": {"app": "web"},
        "architecture": "x86_64", "most_recent": true,
    });
    let outcome = build(&lab, filter).await.success();
    assert_params(&lab.call("RunInstances"), &[("ImageId", "m-web-2")]);
    let found = "Found source image: m-web-2 (base-web-2)";
    assert!(outcome.stdout.contains(found), "{}", outcome.stdout);
    let listed = lab.calls("DescribeImages");
    let by_filter = listed
        .iter()
        .find(|call| call.params.contains_key("Tag.1.Key"));
    assert_params(
        by_filter.unwrap(),
        &[
            ("ImageOwnerAlias", "self"),
            ("Architecture", "x86_64"),
            ("Tag.1.Key", "app"),
            ("Tag.1.Value", "web"),
        ],
    );
}

#[tokio::test]
async fn several_images_that_fit_are_told_and_none_is_taken() {
    let lab = lab_with(THREE).await;
    let outcome = build(&lab, json!({"name": "base-web-?"})).await.failure(1);
    let told = "2 images in cn-beijing fit `source_image_filter`: m-web-2 (base-web-2, \
                2026-01-02T00:00:00Z); m-web-1 (base-web-1, 2026-01-01T00:00:00Z)";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    let hint = "hint: Set `most_recent` to `true`";
    assert!(outcome.text().contains(hint), "{}", outcome.text());
    assert_untouched(&lab);
    assert!(lab.calls("DescribeImages").len() < 5);
}

#[tokio::test]
async fn a_filter_that_nothing_fits_shows_the_nearest() {
    let lab = lab_with(THREE).await;
    let filter = json!({"name": "base-wbe-*", "owners": ["self"], "most_recent": true});
    let outcome = build(&lab, filter).await.failure(1);
    let told = "hint: The nearest are m-web-2 (base-web-2, 2026-01-02T00:00:00Z); m-web-1 ";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    assert_untouched(&lab);
}

#[tokio::test]
async fn each_owner_is_asked_for_as_the_api_wants_it() {
    let lab = Lab::quick().await;
    let owners = ["1234567890123456", "community", "marketplace", "system"];
    build(&lab, json!({"family": "acs:nothing", "owners": owners}))
        .await
        .failure(1);
    let calls = lab.calls("DescribeImages");
    let asked = |alias: &str, more: (&str, &str)| {
        let mut calls = calls.iter();
        calls.any(|call| {
            let is = |name: &str, value: &str| call.params.get(name).is_some_and(|v| v == value);
            is("ImageOwnerAlias", alias)
                && is("ImageFamily", "acs:nothing")
                && (more.0.is_empty() || is(more.0, more.1))
        })
    };
    assert!(asked("others", ("ImageOwnerId", "1234567890123456")));
    assert!(asked("others", ("IsPublic", "true")));
    assert!(asked("marketplace", ("", "")));
    assert!(asked("system", ("", "")));
}

#[tokio::test]
async fn an_image_that_another_account_shares_is_found_by_its_id() {
    let lab = Lab::quick().await;
    for (id, name, owner) in [
        ("m-own", "base-own", ""),
        ("m-other", "base-other", "1111111111111111"),
        ("m-partner", "base-partner", "2222222222222222"),
    ] {
        lab.sandbox.seed().image(&SeedImage {
            region: "cn-beijing".to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            ..SeedImage::default()
        });
    }
    let filter = json!({"name": "base-*", "owners": ["2222222222222222"]});
    build(&lab, filter).await.success();
    assert_params(&lab.call("RunInstances"), &[("ImageId", "m-partner")]);
}

#[tokio::test]
async fn a_public_image_that_is_gone_shows_its_successors() {
    let lab = Lab::quick().await;
    let options = json!({"source_image": "aliyun_3_x64_20G_alibase_20240818.vhd"});
    let outcome = build_from(&lab, options).await.failure(1);
    let told =
        "hint: The nearest are aliyun_3_x64_20G_alibase_20240819.vhd (2024-08-20T03:00:00Z); ";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    assert_untouched(&lab);
}

#[tokio::test]
async fn a_family_without_images_shows_the_nearest() {
    let lab = Lab::quick().await;
    let mut template = silent(json!({"image_family": "acs:ubuntu_24_4_x64"}));
    let builder = template["builders"][0].as_object_mut().unwrap();
    builder.remove("source_image");
    let outcome = lab.build(&template).await.failure(1);
    let told = "hint: The nearest are ubuntu_24_04_x64_20G_alibase_20251013.vhd ";
    assert!(outcome.text().contains(told), "{}", outcome.text());
}

#[tokio::test]
async fn an_image_that_nobody_looks_at_is_used_as_it_is() {
    let lab = Lab::quick().await;
    build_from(&lab, json!({"skip_image_validation": true}))
        .await
        .success();
    assert_never_called(&lab, &["DescribeInstanceTypes"]);
    for call in lab.calls("DescribeImages") {
        let id = call.params.get("ImageId");
        assert!(id.is_none_or(|id| id.starts_with("m-")), "{call:#?}");
    }
}

#[tokio::test]
async fn an_image_that_nobody_looked_at_and_is_not_there_shows_the_nearest() {
    let lab = lab_with(THREE).await;
    let options = json!({"source_image": "m-nowhere", "skip_image_validation": true});
    let outcome = build_from(&lab, options).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("InvalidImageId.NotFound"), "{text}");
    assert!(
        text.contains("hint: The nearest are m-db (base-db, "),
        "{text}"
    );
}

#[tokio::test]
async fn an_image_for_other_processors_is_told_before_anything_is_made() {
    let lab = Lab::quick().await;
    seed_arm(&lab);
    let options = json!({"source_image": "m-arm"});
    let outcome = build_from(&lab, options).await.failure(1);
    let told = "Source image `m-arm` is for arm64, but ecs.g6.large has X86 processors";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    assert_untouched(&lab);
    let options = json!({
        "source_image": "m-arm", "boot_mode": "BIOS", "instance_type": "ecs.g8y.large",
    });
    let outcome = build_from(&lab, options).await.failure(1);
    let told = "Source image `m-arm` is for arm64, which has no BIOS";
    assert!(outcome.text().contains(told), "{}", outcome.text());
}

#[tokio::test]
async fn a_type_that_does_not_run_the_image_is_passed_over() {
    let lab = Lab::quick().await;
    seed_arm(&lab);
    let mut template = silent(json!({
        "source_image": "m-arm", "instance_types": ["ecs.g6.large", "ecs.g8y.large"],
    }));
    let builder = template["builders"][0].as_object_mut().unwrap();
    builder.remove("instance_type");
    let outcome = lab.build(&template).await.success();
    assert_params(
        &lab.call("RunInstances"),
        &[("InstanceType", "ecs.g8y.large")],
    );
    let told = "but ecs.g6.large has X86 processors";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    assert_absent(&lab.call("RunInstances"), &["SpotStrategy"]);
}

fn seed_arm(lab: &Lab) {
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".to_owned(),
        id: "m-arm".to_owned(),
        name: "arm".to_owned(),
        architecture: "arm64".to_owned(),
        ..SeedImage::default()
    });
}
