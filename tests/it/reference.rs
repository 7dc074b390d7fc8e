//! The examples that teams copy from Alibaba Cloud's documentation, run as
//! they are: what each of them must call, must not call, and leave behind.

use std::path::PathBuf;
use std::time::Duration;

use alicloud_image_sandbox::{Call, Delays, MetadataOptions};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};

use crate::harness::{
    Lab, Outcome, documented_policy, guests, limited_to, machine_options, options, scrub,
};
use crate::record::{
    assert_absent, assert_never_called, assert_order, assert_params, mappings, tags, the_image,
};

fn example(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("examples/reference").join(name)
}

/// An example with a few options changed, as `template.json`.
fn write_changed(lab: &Lab, name: &str, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(example(name)).unwrap();
    let mut template = serde_json::from_str(&text).unwrap();
    change(&mut template);
    lab.write_template(&template);
}

async fn build(lab: &Lab, name: &str, variables: &[&str]) -> Outcome {
    let template = example(name).display().to_string();
    let mut arguments = vec!["build"];
    for variable in variables {
        arguments.extend(["-var", variable]);
    }
    arguments.push(&template);
    lab.run(&arguments).await
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_on_the_image_and_its_snapshots() {
    let lab = Lab::new().await;
    let outcome = build(&lab, "tags.json", &[]).await.success();

    let wanted = vec![pair("app", "web"), pair("version", "v1.0.0")];
    assert_eq!(tags(&lab.call("CreateImage")), wanted);
    let snapshot = lab.call("TagResources");
    assert_eq!(tags(&snapshot), wanted);
    let image = the_image(&lab, &outcome);
    let id = mappings(&image)[0]["SnapshotId"].as_str().unwrap();
    assert_params(
        &snapshot,
        &[("ResourceType", "snapshot"), ("ResourceId.1", id)],
    );

    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[
            ("InstanceType", "ecs.t5-lc1m1.small"),
            ("ImageId", "centos_7_03_64_20G_alibase_20170818.vhd"),
            ("IoOptimized", "optimized"),
            ("Amount", "1"),
        ],
    );
    // The example says nothing of an address, so it gets an EIP for the time
    // of the build.
    assert_params(
        &lab.call("AllocateEipAddress"),
        &[("InternetChargeType", "PayByTraffic")],
    );
    assert_order(
        &lab,
        &[
            "AllocateEipAddress",
            "RunInstances",
            "AssociateEipAddress",
            "StopInstance",
            "CreateImage",
            "DeleteInstance",
            "DeleteVSwitch",
            "DeleteVpc",
        ],
    );
    for action in [
        "UnassociateEipAddress",
        "ReleaseEipAddress",
        "DeleteInstance",
        "DeleteKeyPairs",
        "DeleteSecurityGroup",
        "DeleteVSwitch",
        "DeleteVpc",
    ] {
        assert!(!lab.calls(action).is_empty(), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_data_disks_is_made_from_the_system_disk() {
    let lab = Lab::new().await;
    lab.sandbox
        .seed()
        .snapshot("cn-hangzhou", "s-bp1xxxxxx", 40);
    let outcome = build(&lab, "image-ignore-data-disks.json", &[])
        .await
        .success();

    assert_params(
        &lab.call("RunInstances"),
        &[
            ("DataDisk.1.SnapshotId", "s-bp1xxxxxx"),
            // The slash that the example forgets is added.
            ("DataDisk.1.Device", "/dev/xvdb"),
            ("DataDisk.1.DeleteWithInstance", "true"),
        ],
    );
    assert_params(&lab.call("DescribeDisks"), &[("DiskType", "system")]);
    let create = lab.call("CreateImage");
    assert_absent(&create, &["InstanceId"]);
    let image = the_image(&lab, &outcome);
    assert_eq!(mappings(&image).len(), 1);
    let snapshot = mappings(&image)[0]["SnapshotId"].as_str().unwrap();
    assert_params(&create, &[("SnapshotId", snapshot)]);
    assert_order(
        &lab,
        &[
            "StopInstance",
            "DescribeDisks",
            "CreateSnapshot",
            "DescribeSnapshots",
            "CreateImage",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_data_disks_are_in_the_image() {
    let lab = Lab::new().await;
    lab.sandbox
        .seed()
        .snapshot("cn-hangzhou", "s-bp1xxxxxx", 40);
    write_changed(&lab, "image-ignore-data-disks.json", |template| {
        let builder = template["builders"][0].as_object_mut().unwrap();
        builder.remove("image_ignore_data_disks");
    });
    let outcome = lab.run(&["build", "template.json"]).await.success();
    let create = lab.call("CreateImage");
    assert!(create.params.contains_key("InstanceId"), "{create:#?}");
    assert_never_called(&lab, &["CreateSnapshot", "DescribeDisks"]);
    assert_eq!(mappings(&the_image(&lab, &outcome)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_timeout_example_builds() {
    let lab = Lab::new().await;
    let outcome = build(&lab, "wait-snapshot-ready-timeout.json", &[])
        .await
        .success();
    the_image(&lab, &outcome);
    assert_params(
        &lab.call("RunInstances"),
        &[("InstanceType", "ecs.s6-c1m2.large")],
    );
}

/// A lab whose images take longer than the hour Packer waits by default, in
/// which a thousand seconds pass in one.
async fn slow_images() -> Lab {
    let delays = Delays {
        image: Duration::from_secs(5000),
        ..Delays::none()
    };
    let mut lab = Lab::with(alicloud_image_sandbox::SandboxOptions {
        delays,
        jitter: 0.0,
        time_scale: 0.001,
        ..options()
    })
    .await;
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "0.001");
    lab.sandbox
        .seed()
        .vpc("cn-hangzhou", "vpc-1", "172.16.0.0/12")
        .vswitch("vpc-1", "vsw-1", "cn-hangzhou-h", "172.16.0.0/24")
        .security_group("vpc-1", "sg-1");
    lab
}

/// The example in a network that is there, without a machine to connect to.
fn write_with_limit(lab: &Lab, limit: Option<Value>) {
    write_changed(lab, "wait-snapshot-ready-timeout.json", |template| {
        let builder = template["builders"][0].as_object_mut().unwrap();
        builder.remove("associate_public_ip_address");
        builder.insert("communicator".into(), json!("none"));
        builder.insert("ssh_private_ip".into(), json!(true));
        builder.insert("vswitch_id".into(), json!("vsw-1"));
        builder.insert("security_group_id".into(), json!("sg-1"));
        match limit {
            Some(limit) => builder.insert("wait_snapshot_ready_timeout".into(), limit),
            None => builder.remove("wait_snapshot_ready_timeout"),
        };
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_snapshot_timeout_waits_for_a_slow_image() {
    let lab = slow_images().await;
    write_with_limit(&lab, Some(json!("7200")));
    let outcome = lab.run(&["build", "template.json"]).await.success();
    the_image(&lab, &outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_image_fails_after_an_hour_by_default() {
    let lab = slow_images().await;
    write_with_limit(&lab, None);
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    insta::assert_snapshot!(errors(&outcome), @r#"
    Build 'alicloud-ecs' errored after DURATION: Timed out after 3600s waiting for image m-ID in cn-hangzhou to be available
     --> template.json:7:5
      |
    7 |     {
      |     ^

    hint: Raise `wait_snapshot_ready_timeout`

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> alicloud-ecs: Timed out after 3600s waiting for image m-ID in cn-hangzhou to be available

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_snapshot_timeout_deletes_the_unfinished_image() {
    let lab = slow_images().await;
    write_with_limit(&lab, Some(json!(30)));
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    assert!(
        outcome.text().contains("waiting for image m-"),
        "{}",
        outcome.text()
    );
    for action in ["DeleteImage", "DeleteSnapshot", "DeleteInstance"] {
        assert!(!lab.calls(action).is_empty(), "{action}");
    }
    lab.assert_empty();
}

/// What was said of the errors, for people.
fn errors(outcome: &Outcome) -> String {
    let text = scrub(&outcome.text());
    let said = text.lines().skip_while(|line| {
        let begins = ["error:", "Build '"];
        !begins.iter().any(|begin| line.starts_with(begin))
    });
    let said = said.take_while(|line| !line.starts_with("::error"));
    said.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_needs_no_eip() {
    let lab = Lab::new().await;
    lab.sandbox
        .seed()
        .vpc("cn-hangzhou", "vpc-xxxx", "172.16.0.0/12")
        .vswitch("vpc-xxxx", "vsw-xxxx", "cn-hangzhou-i", "172.16.0.0/24");
    let outcome = build(&lab, "ssh-private-ip.json", &[]).await.success();
    the_image(&lab, &outcome);

    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[("VSwitchId", "vsw-xxxx"), ("ZoneId", "cn-hangzhou-i")],
    );
    assert_absent(&run, &["InternetMaxBandwidthOut"]);
    assert_never_called(
        &lab,
        &[
            "AllocateEipAddress",
            "AssociateEipAddress",
            "AllocatePublicIpAddress",
            "CreateVpc",
            "CreateVSwitch",
            "DeleteVpc",
            "DeleteVSwitch",
        ],
    );
    assert_params(&lab.calls("DescribeVpcs")[0], &[("VpcId", "vpc-xxxx")]);
    assert_params(
        &lab.calls("DescribeVSwitches")[0],
        &[("VSwitchId", "vsw-xxxx")],
    );
    // The sandbox gives private addresses from this range.
    assert!(
        outcome
            .stdout
            .contains("SSH communicator to connect: 127.2."),
        "{}",
        outcome.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_stops_itself_is_not_stopped() {
    let lab = Lab::with(limited_to(documented_policy(), machine_options())).await;
    write_changed(&lab, "disable-stop-instance.json", |template| {
        template["provisioners"] = json!([{
            "type": "shell",
            "inline": ["touch /etc/prepared", "shutdown -h now"],
            "expect_disconnect": true
        }]);
    });
    let outcome = lab.run(&["build", "template.json"]).await.success();
    the_image(&lab, &outcome);
    assert_never_called(&lab, &["StopInstance"]);
    assert!(lab.call("CreateImage").params.contains_key("InstanceId"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_never_stops_is_an_error_after_half_an_hour() {
    let mut lab = Lab::without_machines().await;
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "0.002");
    write_changed(&lab, "disable-stop-instance.json", |template| {
        template["builders"][0]["communicator"] = json!("none");
    });
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    insta::assert_snapshot!(errors(&outcome), @r#"
    Build 'alicloud-ecs' errored after DURATION: Timed out after 1800s waiting for instance i-ID to be Stopped
     --> template.json:7:5
      |
    7 |     {
      |     ^

    hint: With `disable_stop_instance` a provisioner must stop the instance, for example by `shutdown -h now` with `expect_disconnect`

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> alicloud-ecs: Timed out after 1800s waiting for instance i-ID to be Stopped

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
    assert_never_called(&lab, &["StopInstance", "CreateImage"]);
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_key_pair_is_used_and_left_alone() {
    let lab = Lab::new().await;
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    lab.write("key.pem", &key.to_openssh(LineEnding::LF).unwrap());
    let public = key.public_key().to_openssh().unwrap();
    lab.sandbox
        .seed()
        .key_pair("cn-hangzhou", "team-key", &public)
        .vpc("cn-hangzhou", "vpc-1", "172.16.0.0/12")
        .vswitch("vpc-1", "vsw-1", "cn-hangzhou-h", "172.16.0.0/24")
        .security_group("vpc-1", "sg-1");
    let file = format!("ssh_private_key_file={}", lab.path("key.pem").display());
    let variables = [
        "ssh_keypair_name=team-key",
        &file,
        "vpc_id=vpc-1",
        "vswitch_id=vsw-1",
        "security_group_id=sg-1",
    ];
    let outcome = build(&lab, "ssh-keypair.json", &variables).await.success();

    the_image(&lab, &outcome);
    assert!(outcome.stdout.contains("redis"), "{}", outcome.stdout);
    assert_params(
        &lab.call("RunInstances"),
        &[
            ("KeyPairName", "team-key"),
            ("SecurityGroupId", "sg-1"),
            ("VSwitchId", "vsw-1"),
        ],
    );
    assert_never_called(
        &lab,
        &[
            "CreateKeyPair",
            "ImportKeyPair",
            "DeleteKeyPairs",
            "CreateSecurityGroup",
            "DeleteSecurityGroup",
            "AuthorizeSecurityGroup",
            "CreateVpc",
            "CreateVSwitch",
            "AllocateEipAddress",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_mappings_reach_the_instance() {
    let lab = Lab::new().await;
    lab.sandbox
        .seed()
        .snapshot("cn-hangzhou", "s-xxxxxxxxxxxxxxx", 40);
    let outcome = build(&lab, "disk-mappings.json", &[]).await.success();
    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[
            ("SystemDisk.Category", "cloud_essd"),
            ("SystemDisk.Size", "20"),
            ("DataDisk.1.SnapshotId", "s-xxxxxxxxxxxxxxx"),
            // The slash that the example forgets is added.
            ("DataDisk.1.Device", "/dev/xvdb"),
            ("DataDisk.1.Category", "cloud_essd"),
            ("DataDisk.1.DeleteWithInstance", "true"),
        ],
    );
    assert_absent(&run, &["DataDisk.1.Size", "DataDisk.1.Encrypted"]);
    assert!(lab.call("CreateImage").params.contains_key("InstanceId"));
    assert_eq!(mappings(&the_image(&lab, &outcome)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_family_is_resolved_and_joined() {
    let lab = Lab::new().await;
    let outcome = build(&lab, "image-family.json", &[]).await.success();
    assert_params(
        &lab.call("DescribeImageFromFamily"),
        &[("ImageFamily", "acs:centos_7_9_x64")],
    );
    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[("ImageId", "centos_7_9_x64_20G_alibase_20240628.vhd")],
    );
    assert_absent(&run, &["ImageFamily"]);
    assert_params(
        &lab.call("CreateImage"),
        &[("ImageFamily", "test_packer_basic")],
    );
    assert_eq!(
        the_image(&lab, &outcome)["ImageFamily"],
        "test_packer_basic"
    );
    assert!(outcome.stdout.contains("redis"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_attached_to_the_instance() {
    let lab = Lab::new().await;
    let outcome = build(&lab, "ecs-ram-role.json", &[]).await.success();
    the_image(&lab, &outcome);
    assert_params(&lab.call("RunInstances"), &[("RamRoleName", "packer-test")]);
    // The caller's own credentials are not affected by it.
    let own = lab.sandbox.access_key_id();
    assert!(
        lab.sandbox
            .calls()
            .iter()
            .all(|call| call.access_key_id == own)
    );
}

/// Runs an example that needs a later version; nothing may be called.
async fn refused(name: &str) -> String {
    let lab = Lab::without_machines().await;
    let template = std::fs::read_to_string(example(name)).unwrap();
    let outcome = lab
        .write("template.json", &template)
        .run(&["build", "template.json"])
        .await
        .failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_eq!(outcome.outputs["status"], "failure");
    errors(&outcome)
}

/// The policy that the documentation gives for roles.
fn limit_role(lab: &Lab, role: &str) {
    lab.sandbox.seed().role_policy(role, documented_policy());
}

/// The keys of the calls, without repetitions.
fn callers(lab: &Lab) -> Vec<String> {
    let calls = lab.sandbox.calls().into_iter();
    let mut callers: Vec<_> = calls.map(|call| call.access_key_id).collect();
    callers.sort();
    callers.dedup();
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_profile_are_used() {
    let mut lab = Lab::new().await;
    let profiles = json!({"current": "ALI", "profiles": [{
        "name": "packer_sk", "mode": "AK", "sts_token": "", "ram_role_arn": "",
        "access_key_id": lab.sandbox.access_key_id(),
        "access_key_secret": lab.sandbox.access_key_secret(),
        "expired_seconds": 0, "retry_timeout": 0, "language": "en",
    }]});
    std::fs::create_dir(lab.path(".aliyun")).unwrap();
    lab.write(".aliyun/config.json", &profiles.to_string());
    lab.set("ALICLOUD_ACCESS_KEY", "LTAIofTheEnvironment")
        .set("ALICLOUD_SECRET_KEY", "secret-of-the-environment");
    let outcome = build(&lab, "profile.json", &[]).await.success();
    the_image(&lab, &outcome);
    assert_eq!(callers(&lab), [lab.sandbox.access_key_id()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_this_instance_needs_no_keys() {
    let mut options = options();
    options.machines = guests();
    options.metadata = MetadataOptions {
        role: Some("ImageTestAle".to_owned()),
        requires_token: true,
        ..MetadataOptions::default()
    };
    let mut lab = Lab::with(options).await;
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
    limit_role(&lab, "ImageTestAle");
    let outcome = build(&lab, "ram-role.json", &[]).await.success();
    the_image(&lab, &outcome);
    assert_eq!(
        lab.sandbox.metadata_requests(),
        [
            "PUT api/token 200",
            "GET meta-data/ram/security-credentials/ImageTestAle 200",
        ]
    );
    let [caller] = callers(&lab).try_into().unwrap();
    assert!(caller.starts_with("STS."), "{caller}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_with_the_keys() {
    let lab = Lab::new().await;
    limit_role(&lab, "packer-test");
    let outcome = build(&lab, "ram-role-arn.json", &[]).await.success();
    the_image(&lab, &outcome);
    let assume = lab.call("AssumeRole");
    assert_params(
        &assume,
        &[
            ("RoleArn", "acs:ram::186xxxxxxxxxx07:role/packer-test"),
            ("RoleSessionName", "packer-test"),
            ("DurationSeconds", "3600"),
        ],
    );
    assert_eq!(lab.sandbox.calls()[0].action, "AssumeRole");
    assert_eq!(assume.access_key_id, lab.sandbox.access_key_id());
    let calls = lab.sandbox.calls();
    let is_of_session = |call: &Call| call.access_key_id.starts_with("STS.");
    assert!(calls[1..].iter().all(is_of_session), "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_needs_its_user_data() {
    insta::assert_snapshot!(refused("winrm-user-data.json").await, @r#"
    error: Option `user_data_file` of builder `alicloud-ecs` names `examples/alicloud/basic/winrm_enable_userdata.ps1`, which does not exist
      --> template.json:21:23
       |
    21 |     "user_data_file": "examples/alicloud/basic/winrm_enable_userdata.ps1"
       |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: Relative paths start at the working directory, `DIR`

    Error: The template has 1 error
    "#);
}
