//! Builds by a caller who may do no more than the policy that Alibaba Cloud's
//! documentation of the builder gives.

use alicloud_image_sandbox::{AccessKey, SandboxOptions};
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, quick_options};
use crate::record::assert_params;
use crate::template::web;

async fn lab_with_documented_policy() -> Lab {
    let policy: Value = serde_json::from_str(include_str!("documented-policy.json")).unwrap();
    let key = AccessKey {
        user: Some("packer".to_owned()),
        policy: Some(policy),
        ..AccessKey::new("LTAI5tPolicyKey000000000", "policy-secret")
    };
    Lab::with(SandboxOptions {
        access_keys: vec![key],
        ..quick_options()
    })
    .await
}

async fn build(lab: &Lab, options: Value) -> Outcome {
    let mut all = json!({"ssh_timeout": "1h"});
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    all.as_object_mut().unwrap().extend(options);
    lab.write_template(&web(all))
        .run(&["build", "template.json"])
        .await
        .success()
}

#[tokio::test]
async fn the_documented_policy_is_enough_although_it_lists_no_zones() {
    let lab = lab_with_documented_policy().await;
    let outcome = build(&lab, json!({"tags": {"app": "web"}})).await;
    let told = "Zones may not be listed (ecs:DescribeZones), so they are tried";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    assert_params(&lab.call("RunInstances"), &[("ZoneId", "cn-beijing-h")]);
    assert!(
        !outcome.text().contains("left behind"),
        "{}",
        outcome.text()
    );
}

#[tokio::test]
async fn a_zone_that_is_not_there_is_passed_over() {
    let lab = lab_with_documented_policy().await;
    // The zones of this region are a, b and c.
    let options = json!({"region": "eu-central-1"});
    build(&lab, options).await;
    let made = lab.calls("CreateVSwitch");
    let tried: Vec<_> = made
        .iter()
        .map(|call| call.params["ZoneId"].as_str())
        .collect();
    assert_eq!(tried.first(), Some(&"eu-central-1h"));
    assert_eq!(tried.last(), Some(&"eu-central-1b"));
    assert_params(&lab.call("RunInstances"), &[("ZoneId", "eu-central-1b")]);
}

#[tokio::test]
async fn the_documented_policy_is_enough_for_everything_about_the_image() {
    let lab = lab_with_documented_policy().await;
    build(
        &lab,
        json!({
            "image_ignore_data_disks": true,
            "image_force_delete": true,
            "image_force_delete_snapshots": true,
            "image_copy_regions": ["cn-hangzhou"],
            "image_share_account": ["1234567890123457"],
            "target_image_family": "web",
            "image_delete_ssh_private_key": true,
            "tags": {"app": "web"},
        }),
    )
    .await;
    assert_eq!(lab.sandbox.images().len(), 2);
}

/// The policy that the program prints for `template.json`.
async fn printed_policy(lab: &Lab) -> Value {
    let outcome = lab.run(&["policy", "template.json"]).await.success();
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn actions(policy: &Value) -> Vec<&str> {
    let actions = policy["Statement"][0]["Action"].as_array().unwrap();
    actions
        .iter()
        .map(|action| action.as_str().unwrap())
        .collect()
}

/// Builds under the policy that the program prints for the template, and says
/// which of its actions were not called.
async fn unused_actions(options: Value) -> Vec<String> {
    let template = web(options);
    let planner = Lab::quick().await;
    let policy = printed_policy(planner.write_template(&template)).await;
    let key = AccessKey {
        user: Some("ci".to_owned()),
        policy: Some(policy.clone()),
        ..AccessKey::new("LTAI5tPolicyKey000000000", "policy-secret")
    };
    let lab = Lab::with(SandboxOptions {
        access_keys: vec![key],
        ..quick_options()
    })
    .await;
    lab.write_template(&template)
        .run(&["build", "template.json"])
        .await
        .success();
    let calls = lab.sandbox.calls();
    let mut unused = Vec::new();
    for action in actions(&policy) {
        let name = action.split_once(':').unwrap().1;
        if !calls.iter().any(|call| call.action == name) {
            unused.push(action.to_owned());
        }
    }
    unused
}

#[tokio::test]
async fn the_printed_policy_is_enough_and_hardly_more() {
    let simple = unused_actions(json!({"ssh_timeout": "1h"})).await;
    // What is left is for failures and for tags.
    let expected = [
        "ecs:DeleteImage",
        "ecs:DeleteSnapshot",
        "ecs:DescribeKeyPairs",
        "ecs:DescribeSecurityGroups",
        "ecs:TagResources",
    ];
    assert_eq!(simple, expected);
    let everything = unused_actions(json!({
        "ssh_timeout": "1h",
        "zone_id": "cn-beijing-i",
        "image_ignore_data_disks": true,
        "image_encrypted": true,
        "target_image_family": "web",
        "image_copy_regions": ["cn-hangzhou"],
        "image_share_account": ["1234567890123457"],
        "image_delete_ssh_private_key": true,
        "tags": {"app": "web"},
    }))
    .await;
    let expected = [
        "ecs:CancelCopyImage",
        "ecs:DescribeKeyPairs",
        "ecs:DescribeSecurityGroups",
    ];
    assert_eq!(everything, expected);
}

#[tokio::test]
async fn the_users_own_network_needs_fewer_permissions() {
    let lab = Lab::quick().await;
    lab.write_template(&web(json!({
        "vswitch_id": "vsw-1", "security_group_id": "sg-1", "ssh_private_ip": true,
        "ssh_keypair_name": "team", "ssh_agent_auth": true, "ecs_ram_role_name": "builder",
    })));
    let policy = printed_policy(&lab).await;
    let actions = actions(&policy);
    assert!(actions.contains(&"ram:PassRole"), "{actions:?}");
    for prefix in [
        "vpc:Create",
        "vpc:Allocate",
        "ecs:CreateSec",
        "ecs:ImportKey",
    ] {
        let made = actions.iter().find(|action| action.starts_with(prefix));
        assert_eq!(made, None);
    }
    let outcome = lab.run(&["policy", "--useful", "template.json"]).await;
    let useful = outcome.success().stdout;
    assert!(useful.contains("ecs:DescribeAvailableResource"), "{useful}");
}
