//! What the region does not have, has not left, or has already.

use std::collections::BTreeSet;

use alicloud_image_sandbox::{SeedImage, When};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{build, build_quickly, fault, refusal};
use crate::harness::Lab;
use crate::web::web;

#[tokio::test]
async fn an_image_name_that_is_taken() {
    let lab = Lab::quick().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".to_owned(),
        id: "m-old".to_owned(),
        name: "web".to_owned(),
        ..Default::default()
    });
    let outcome = build(&lab, &web(json!({}))).await.failure(1);
    assert_eq!(lab.calls("RunInstances").len(), 0);
    assert_snapshot!(outcome.end(), @r#"
    Build 'web' errored after DURATION: Image name `web` is used by image m-old in cn-beijing
     --> web.json:7:21
      |
    7 |       "image_name": "web",
      |                     ^^^^^

    hint: Choose another `image_name`, for example with `{{isotime "20060102-1504"}}` in it; or set `image_force_delete` (or `-force`) to replace that image once the new one is available

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Image name `web` is used by image m-old in cn-beijing

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn a_region_that_does_not_exist() {
    let (lab, outcome) = build_quickly(json!({"region": "cn-bejing"})).await;
    lab.assert_empty();
    assert_snapshot!(outcome.failure(1).end(), @r#"
    Build 'web' errored after DURATION: Region `cn-bejing` does not exist for this account
     --> web.json:6:17
      |
    6 |       "region": "cn-bejing",
      |                 ^^^^^^^^^^^

    hint: Did you mean `cn-beijing`?

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Region `cn-bejing` does not exist for this account

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn a_source_image_that_does_not_exist() {
    let (lab, outcome) = build_quickly(json!({"source_image": "m-nowhere"})).await;
    lab.assert_empty();
    assert_snapshot!(outcome.failure(1).end(), @r#"
    Build 'web' errored after DURATION: Source image `m-nowhere` was not found in cn-beijing
     --> web.json:8:23
      |
    8 |       "source_image": "m-nowhere",
      |                       ^^^^^^^^^^^

    hint: An expired image is used as it is with `skip_image_validation`; an image of another account must be shared with this one

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Source image `m-nowhere` was not found in cn-beijing

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn an_instance_type_that_does_not_exist() {
    let (lab, outcome) = build_quickly(json!({"instance_type": "ecs.g6.lrage"})).await;
    lab.assert_empty();
    assert_snapshot!(outcome.failure(1).end(), @r#"
    Build 'web' errored after DURATION: No zone in cn-beijing sells instance type `ecs.g6.lrage`
     --> web.json:9:24
      |
    9 |       "instance_type": "ecs.g6.lrage",
      |                        ^^^^^^^^^^^^^^

    hint: Choose another `instance_type` or region; see `aliyun ecs DescribeAvailableResource --RegionId cn-beijing --DestinationResource InstanceType`

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: No zone in cn-beijing sells instance type `ecs.g6.lrage`

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn a_zone_without_stock_is_passed_over() {
    let lab = Lab::quick().await;
    lab.sandbox
        .set_out_of_stock("cn-beijing-h", "ecs.g6.large", true);
    build(&lab, &web(json!({}))).await.success();
    assert_ne!(
        lab.call("RunInstances").params.get("ZoneId").unwrap(),
        "cn-beijing-h"
    );
}

#[tokio::test]
async fn a_zone_that_sells_out_meanwhile_is_followed_by_the_next() {
    let lab = Lab::quick().await;
    lab.sandbox.inject(fault(
        "RunInstances",
        When::Once,
        refusal(403, "OperationDenied.NoStock"),
    ));
    let outcome = build(&lab, &web(json!({}))).await.success();
    let zones: BTreeSet<_> = lab
        .calls("RunInstances")
        .into_iter()
        .map(|call| call.params["ZoneId"].clone())
        .collect();
    assert_eq!(zones.len(), 2, "{zones:?}");
    assert!(
        outcome
            .stdout
            .contains("Zone cn-beijing-h has no ecs.g6.large left"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn no_stock_in_any_zone() {
    let lab = Lab::quick().await;
    lab.sandbox.inject(fault(
        "RunInstances",
        When::Every,
        refusal(403, "OperationDenied.NoStock"),
    ));
    let outcome = build(&lab, &web(json!({}))).await.failure(1);
    assert_eq!(lab.calls("RunInstances").len(), 3);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @r#"
    Build 'web' errored after DURATION: Cannot start an instance of type ecs.g6.large in cn-beijing-j: Alibaba Cloud refused the request: OperationDenied.NoStock: The sandbox was told to say so. (RunInstances in cn-beijing, HTTP 403, RequestId UUID)
     --> web.json:9:24
      |
    9 |       "instance_type": "ecs.g6.large",
      |                        ^^^^^^^^^^^^^^

    hint: The zone has none left: choose another zone, instance type or disk category

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Cannot start an instance of type ecs.g6.large in cn-beijing-j: Alibaba Cloud refused the request: OperationDenied.NoStock: The sandbox was told to say so. (RunInstances in cn-beijing, HTTP 403, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn no_zone_lists_the_instance_type() {
    let lab = Lab::quick().await;
    for zone in ["h", "i", "j"] {
        let zone = format!("cn-beijing-{zone}");
        lab.sandbox.set_out_of_stock(&zone, "ecs.g6.large", true);
    }
    let outcome = build(&lab, &web(json!({}))).await.failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @r#"
    Build 'web' errored after DURATION: No zone in cn-beijing sells instance type `ecs.g6.large`
     --> web.json:9:24
      |
    9 |       "instance_type": "ecs.g6.large",
      |                        ^^^^^^^^^^^^^^

    hint: Choose another `instance_type` or region; see `aliyun ecs DescribeAvailableResource --RegionId cn-beijing --DestinationResource InstanceType`

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: No zone in cn-beijing sells instance type `ecs.g6.large`

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn two_builds_of_one_run_share_a_region() {
    let lab = Lab::quick().await;
    let mut template: Value = serde_json::from_str(&web(json!({}))).unwrap();
    let mut second = template["builders"][0].clone();
    second["name"] = json!("db");
    second["image_name"] = json!("db");
    template["builders"].as_array_mut().unwrap().push(second);
    build(&lab, &template.to_string()).await.success();
    assert_eq!(lab.sandbox.images().len(), 2);
}
