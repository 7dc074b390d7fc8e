//! Keys that are missing, wrong or over, and permissions that are missing.

use alicloud_image_sandbox::{AccessKey, SandboxOptions, When};
use insta::assert_snapshot;
use serde_json::json;

use super::{build, fault, refusal};
use crate::harness::{Lab, quick_options};
use crate::web::web;

fn without(actions: &[&str]) -> SandboxOptions {
    let policy = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": actions, "Resource": "*"},
    ]});
    let mut options = quick_options();
    options.access_keys = vec![AccessKey {
        user: Some("ci".to_owned()),
        policy: Some(policy),
        ..AccessKey::new("LTAI5tSandboxLimitedKey0", "limited-secret")
    }];
    options
}

#[tokio::test]
async fn a_missing_permission_to_start_instances() {
    let lab = Lab::with(without(&["ecs:RunInstances"])).await;
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @r#"
    Build 'web' errored after DURATION: Cannot start an instance of type ecs.g6.large in cn-beijing-h: Alibaba Cloud refused the request: Forbidden.RAM: User not authorized to operate on the specified resource, or this API doesn't support RAM. (RunInstances in cn-beijing, HTTP 403, RequestId UUID)
     --> web.json:9:24
      |
    9 |       "instance_type": "ecs.g6.large",
      |                        ^^^^^^^^^^^^^^

    hint: Attach a RAM policy that allows ecs:RunInstances to the user or role whose keys are used

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Cannot start an instance of type ecs.g6.large in cn-beijing-h: Alibaba Cloud refused the request: Forbidden.RAM: User not authorized to operate on the specified resource, or this API doesn't support RAM. (RunInstances in cn-beijing, HTTP 403, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn a_missing_permission_to_create_images() {
    let lab = Lab::with(without(&["ecs:CreateImage"])).await;
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @r#"
    Build 'web' errored after DURATION: Cannot create image web: Alibaba Cloud refused the request: Forbidden.RAM: User not authorized to operate on the specified resource, or this API doesn't support RAM. (CreateImage in cn-beijing, HTTP 403, RequestId UUID)
     --> web.json:7:21
      |
    7 |       "image_name": "web",
      |                     ^^^^^

    hint: Attach a RAM policy that allows ecs:CreateImage to the user or role whose keys are used

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Cannot create image web: Alibaba Cloud refused the request: Forbidden.RAM: User not authorized to operate on the specified resource, or this API doesn't support RAM. (CreateImage in cn-beijing, HTTP 403, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[tokio::test]
async fn a_wrong_secret() {
    let mut lab = Lab::quick().await;
    lab.set("ALICLOUD_SECRET_KEY", "not-the-secret");
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Alibaba Cloud refused the request: SignatureDoesNotMatch: Specified signature does not match our calculation. (DescribeImages in cn-beijing, HTTP 400, RequestId UUID)
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: The AccessKey secret does not belong to the AccessKey id: check for a stale, cut or padded value

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Alibaba Cloud refused the request: SignatureDoesNotMatch: Specified signature does not match our calculation. (DescribeImages in cn-beijing, HTTP 400, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn an_unknown_key() {
    let mut lab = Lab::quick().await;
    lab.set("ALICLOUD_ACCESS_KEY", "LTAI5tNobodysKey");
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Alibaba Cloud refused the request: InvalidAccessKeyId.NotFound: Specified access key is not found. (DescribeImages in cn-beijing, HTTP 404, RequestId UUID)
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Check the AccessKey id for typos; keys of the Chinese and the international site are different accounts

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Alibaba Cloud refused the request: InvalidAccessKeyId.NotFound: Specified access key is not found. (DescribeImages in cn-beijing, HTTP 404, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn no_keys_at_all() {
    let mut lab = Lab::quick().await;
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: No credentials for Alibaba Cloud were found
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Set `ALICLOUD_ACCESS_KEY` and `ALICLOUD_SECRET_KEY`, or `access_key` and `secret_key` in the template; to try a template without an account use `build --sandbox`
    hint: `alicloud-image whoami` shows where they were looked for

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: No credentials for Alibaba Cloud were found

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn temporary_keys_that_have_ended() {
    let lab = Lab::quick().await;
    lab.sandbox.inject(fault(
        "*",
        When::Every,
        refusal(400, "InvalidSecurityToken.Expired"),
    ));
    let outcome = build(&lab, &web(json!({}))).await.failure(3);
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Alibaba Cloud refused the request: InvalidSecurityToken.Expired: The sandbox was told to say so. (DescribeImages in cn-beijing, HTTP 400, RequestId UUID)
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: The temporary keys have ended: get new ones, or give them a longer duration

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Alibaba Cloud refused the request: InvalidSecurityToken.Expired: The sandbox was told to say so. (DescribeImages in cn-beijing, HTTP 400, RequestId UUID)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}
