//! What a user is told, and what is left behind, when something goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use alicloud_image_sandbox::guest::Confinement;
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::{
    AccessKey, Effect, Fault, SandboxOptions, SeedImage, StateFault, When,
};
use futures_util::{StreamExt, stream};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, quick_options};
use crate::web::{everything, web, with_provisioners};

/// How many labs of one test work at the same time.
const AT_ONCE: usize = 4;

async fn build(lab: &Lab, template: &str) -> Outcome {
    lab.write("web.json", template)
        .run(&["build", "web.json"])
        .await
}

/// A build of `web` with these options in a quick lab.
async fn build_quickly(options: Value) -> (Lab, Outcome) {
    let lab = Lab::quick().await;
    let outcome = build(&lab, &web(options)).await;
    (lab, outcome)
}

fn refusal(http: u16, code: &str) -> Effect {
    Effect::Error {
        http,
        code: code.to_owned(),
        message: "The sandbox was told to say so.".to_owned(),
    }
}

fn fault(action: &str, when: When, effect: Effect) -> Fault {
    Fault {
        action: action.to_owned(),
        when,
        effect,
    }
}

// Templates that cannot be built: nothing is asked of the cloud.

#[tokio::test]
async fn a_template_that_is_not_there() {
    let lab = Lab::quick().await;
    let outcome = lab.run(&["build", "web.json"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"Error: Cannot read template web.json: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_template_that_is_a_directory() {
    let lab = Lab::quick().await;
    std::fs::create_dir(lab.path("web")).unwrap();
    let outcome = lab.run(&["build", "web"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: There is no template in web
    hint: Files of an HCL2 template end in `.pkr.hcl`; name a JSON template by its file
    ");
}

#[tokio::test]
async fn a_template_that_is_not_text() {
    let lab = Lab::quick().await;
    std::fs::write(lab.path("web.json"), b"\x1f\x8b\x08\xff").unwrap();
    let outcome = lab.run(&["build", "web.json"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: Template web.json is not UTF-8 text: invalid utf-8 sequence of 1 bytes from index 1
    hint: Save it in the encoding UTF-8
    ");
}

#[tokio::test]
async fn a_template_with_a_missing_comma() {
    let lab = Lab::quick().await;
    let broken = web(json!({})).replace("\"web\",\n      \"region\"", "\"web\"\n      \"region\"");
    let outcome = build(&lab, &broken).await.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Invalid JSON: a comma is missing
     --> web.json:5:20
      |
    5 |       "name": "web"
      |                    ^
      |
      = help: Add a comma here

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=5,col=20,endColumn=20::Invalid JSON: a comma is missing%0Ahelp: Add a comma here
    "#);
}

#[tokio::test]
async fn a_variable_without_value() {
    let lab = Lab::quick().await;
    let template = web(json!({"image_name": "web-{{user `version`}}"})).replacen(
        '{',
        "{\n  \"variables\": {\"version\": null},",
        1,
    );
    let outcome = build(&lab, &template).await.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Required variable `version` is not set
     --> web.json:2:17
      |
    2 |   "variables": {"version": null},
      |                 ^^^^^^^^^
      |
      = help: Pass it with `-var 'version=…'` or in a `-var-file`

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=2,col=17,endColumn=26::Required variable `version` is not set%0Ahelp: Pass it with `-var 'version=…'` or in a `-var-file`
    "#);
}

#[tokio::test]
async fn an_option_of_the_wrong_type() {
    let (lab, outcome) = build_quickly(json!({"image_copy_regions": {"cn-hangzhou": true}})).await;
    let outcome = outcome.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Option `image_copy_regions` of builder `web` must be a list of strings, but it is an object
      --> web.json:12:29
       |
    12 |       "image_copy_regions": {
       |                             ^ expected a list of strings

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=12,col=29::Option `image_copy_regions` of builder `web` must be a list of strings, but it is an object
    "#);
}

// What only the cloud knows.

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

// The machine.

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

#[tokio::test]
async fn an_ssh_key_that_the_machine_does_not_know() {
    let lab = Lab::quick().await;
    let key = alicloud_image::communicator::ssh::key::KeyPair::generate(
        alicloud_image::plan::communicator::KeyType::Ed25519,
    )
    .unwrap();
    lab.write("id", key.private.expose());
    let options = json!({"ssh_private_key_file": "id", "ssh_timeout": "2m"});
    let outcome = build(&lab, &web(options)).await.failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Timeout waiting for SSH at ADDRESS after 120s: Last attempt: the server refused to log in user root (tried: private key file; the server takes: publickey)
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Check ssh_username, and that the image lets this user in with this key or password

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Timeout waiting for SSH at ADDRESS after 120s: Last attempt: the server refused to log in user root (tried: private key file; the server takes: publickey)

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn a_machine_that_never_answers() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::NoSshd);
    let outcome = build(&lab, &web(json!({"ssh_timeout": "1m"})))
        .await
        .failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Timeout waiting for SSH at ADDRESS after 60s: Last attempt: the connection was refused (Connection refused (os error 111))
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Nothing listens on port 22: check ssh_port and that sshd starts at boot

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Timeout waiting for SSH at ADDRESS after 60s: Last attempt: the connection was refused (Connection refused (os error 111))

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn an_instance_that_never_runs() {
    let lab = Lab::with(very_quick()).await;
    lab.sandbox.inject_state(StateFault::InstanceStuck);
    let outcome = build(&lab, &web(json!({}))).await.failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Timed out after 1800s waiting for instance i-ID to be Running
     --> web.json:3:5
      |
    3 |     {
      |     ^


    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Timed out after 1800s waiting for instance i-ID to be Running

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

/// Half an hour is two seconds.
fn very_quick() -> SandboxOptions {
    let time_scale = 0.001;
    let machines = Guests {
        confinement: Confinement::Scripted,
        time_scale,
        powershell: None,
    };
    SandboxOptions {
        machines: std::sync::Arc::new(machines),
        time_scale,
        ..quick_options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails() {
    let lab = Lab::new().await;
    let script = json!([{"type": "shell", "inline": ["echo before", "exit 3", "echo after"]}]);
    let outcome = build(&lab, &with_provisioners(json!({}), &script))
        .await
        .failure(1);
    assert!(outcome.stdout.contains("web: before"));
    assert!(!outcome.stdout.contains("web: after"));
    assert_eq!(outcome.outputs["status"], "failure");
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Script exited with non-zero exit status: 3. Allowed exit codes are: [0]
      --> web.json:15:5
       |
    15 |     {
       |     ^


    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Script exited with non-zero exit status: 3. Allowed exit codes are: [0]

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_takes_longer_than_its_timeout() {
    let lab = Lab::new().await;
    let script = json!([{"type": "shell", "inline": ["sleep 100000"], "timeout": "20s"}]);
    let outcome = build(&lab, &with_provisioners(json!({}), &script))
        .await
        .failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Provisioner shell was not done after its timeout of 20s
      --> web.json:15:5
       |
    15 |     {
       |     ^

    hint: Raise `timeout` of the provisioner if it needs longer

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Provisioner shell was not done after its timeout of 20s

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

// The image.

#[tokio::test]
async fn an_image_that_fails() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    let outcome = build(&lab, &web(json!({}))).await.failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Image m-ID in cn-beijing ended as CreateFailed
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Local disks cannot be part of an image: see `image_ignore_data_disks`; otherwise try again

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Image m-ID in cn-beijing ended as CreateFailed

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn a_snapshot_that_fails() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::SnapshotFailed);
    let outcome = build(&lab, &web(json!({"image_ignore_data_disks": true})))
        .await
        .failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Snapshot s-ID failed in cn-beijing
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Local disks cannot have snapshots; otherwise try again

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Snapshot s-ID failed in cn-beijing

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn an_image_that_takes_longer_than_its_timeout() {
    let mut options = quick_options();
    options.delays.image = Duration::from_secs(1000);
    let lab = Lab::with(options).await;
    let outcome = build(&lab, &web(json!({"wait_snapshot_ready_timeout": 2})))
        .await
        .failure(1);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Timed out after 2s waiting for image m-ID in cn-beijing to be available
     --> web.json:3:5
      |
    3 |     {
      |     ^

    hint: Raise `wait_snapshot_ready_timeout`

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Timed out after 2s waiting for image m-ID in cn-beijing to be available

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_deadline() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::InstanceStuck);
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&["build", "-timeout-minutes=1", "web.json"])
        .await
        .failure(7);
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Stopped before it was done

    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Stopped before it was done

    ==> Builds finished but no artifacts were created.

    Error: The run did not end within DURATION
    hint: Raise `--timeout-minutes`

    ==> 0 resources left
    ");
}

// A cloud that stumbles.

/// The actions of a clean build of everything, each once.
async fn actions() -> Vec<String> {
    let lab = lab_with_old_image().await;
    build(&lab, &everything()).await.success();
    let calls = lab.sandbox.calls();
    let actions: BTreeSet<_> = calls.into_iter().map(|call| call.action).collect();
    actions.into_iter().collect()
}

async fn lab_with_old_image() -> Lab {
    let lab = Lab::quick().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".to_owned(),
        id: "m-old".to_owned(),
        name: "web".to_owned(),
        snapshot: "s-old".to_owned(),
        ..Default::default()
    });
    lab
}

/// Builds everything while some actions meet a fault at their first call, and
/// proves that each thing was made once and nothing temporary is left.
async fn survives(actions: &[String], effect: Effect) {
    let lab = lab_with_old_image().await;
    for action in actions {
        lab.sandbox
            .inject(fault(action, When::Once, effect.clone()));
    }
    let outcome = build(&lab, &everything()).await;
    let context = format!("{effect:?} at {actions:?}:\n{}", outcome.text());
    assert_eq!(outcome.code, 0, "{context}");
    let images = lab.sandbox.images();
    let regions: Vec<_> = images.iter().map(|image| &image["RegionId"]).collect();
    assert_eq!(regions, ["cn-beijing", "cn-hangzhou"], "{context}");
    assert!(
        images.iter().all(|image| image["ImageName"] == "web"),
        "{images:?}"
    );
    assert_eq!(lab.temporary(), vec![], "{context}");
    for (action, id) in DELETIONS {
        let calls = lab.calls(action).into_iter();
        let deleted: BTreeSet<_> = calls.map(|call| call.params[*id].clone()).collect();
        assert_eq!(deleted.len(), 1, "{action} {deleted:?}\n{context}");
    }
}

/// What is made once is deleted once; the old image and its snapshot too.
const DELETIONS: &[(&str, &str)] = &[
    ("DeleteInstance", "InstanceId"),
    ("DeleteKeyPairs", "KeyPairNames"),
    ("DeleteSecurityGroup", "SecurityGroupId"),
    ("DeleteVSwitch", "VSwitchId"),
    ("DeleteVpc", "VpcId"),
    ("ReleaseEipAddress", "AllocationId"),
    ("DeleteImage", "ImageId"),
    ("DeleteSnapshot", "SnapshotId"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_throttling_of_every_action() {
    survives(&actions().await, refusal(400, "Throttling.User")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_an_outage_at_every_action() {
    survives(&actions().await, refusal(503, "ServiceUnavailable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_a_reset_connection_at_every_action() {
    survives(&actions().await, Effect::DropBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_a_lost_reply_of_every_action() {
    survives(&actions().await, Effect::DropAfter).await;
}

/// What a repetition could make twice.
const CREATING: [&str; 10] = [
    "CreateVpc",
    "CreateVSwitch",
    "CreateSecurityGroup",
    "ImportKeyPair",
    "AllocateEipAddress",
    "RunInstances",
    "AssociateEipAddress",
    "CreateSnapshot",
    "CreateImage",
    "CopyImage",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_a_creating_action_makes_nothing_twice() {
    let done = actions().await;
    let labs = CREATING.map(|action| {
        assert!(done.iter().any(|called| called == action), "{action}");
        async move { survives(&[action.to_owned()], Effect::DropAfter).await }
    });
    let labs = stream::iter(labs).buffer_unordered(AT_ONCE);
    Box::pin(labs.collect::<()>()).await;
}

// Permissions and keys.

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

// Leftovers.

#[tokio::test]
async fn what_cannot_be_deleted_is_reported_everywhere() {
    let mut lab = Lab::quick().await;
    lab.may_leave_resources();
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    let outcome = build(&lab, &web(json!({}))).await.success();
    let left = lab.temporary();
    assert_eq!(left.len(), 1, "{left:?}");
    let leftovers: Value = serde_json::from_str(&outcome.outputs["leftovers"]).unwrap();
    assert_eq!(leftovers[0]["kind"], "VPC");
    assert_eq!(leftovers[0]["id"], left[0].id.as_str());
    assert_eq!(leftovers[0]["region"], "cn-beijing");
    assert!(
        leftovers[0]["reason"]
            .as_str()
            .unwrap()
            .contains("Forbidden")
    );
    let run = &outcome.outputs["build-run-id"];
    let row = format!("| **VPC** | <code>{}</code> | cn-beijing |", left[0].id);
    assert!(outcome.summary.contains(&row), "{}", outcome.summary);
    assert!(outcome.summary.contains(&format!("cleanup --run {run}")));
    assert_snapshot!(last_lines(&outcome), @"
    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> Some temporary resources were not deleted:
    --> VPC vpc-ID in cn-beijing: Alibaba Cloud refused the request: Forbidden: The sandbox was told to say so. (DeleteVpc in cn-beijing, HTTP 403, RequestId UUID)
        Delete them with: alicloud-image cleanup --run UUID

    ==> 1 resource left
    ::warning title=Resource left::VPC vpc-ID in cn-beijing was not deleted: Alibaba Cloud refused the request: Forbidden: The sandbox was told to say so. (DeleteVpc in cn-beijing, HTTP 403, RequestId UUID)%0ADelete it with: alicloud-image cleanup --run UUID
    ::notice title=Images::web: m-ID in cn-beijing
    ");
}

/// From the artifacts on.
fn last_lines(outcome: &Outcome) -> String {
    let text = outcome.shown();
    let start = text.find("==> Builds finished").unwrap_or_default();
    text[start..].to_owned()
}

#[tokio::test]
async fn leftovers_fail_the_run_when_asked_to() {
    let mut lab = Lab::quick().await;
    lab.may_leave_resources();
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    lab.write("web.json", &web(json!({})))
        .run(&["build", "--fail-on-leftovers", "web.json"])
        .await
        .failure(6);
    assert_eq!(lab.temporary().len(), 1);
}

#[tokio::test]
async fn a_leftover_is_deleted_later_by_its_journal() {
    let lab = Lab::quick().await;
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    let outcome = build(&lab, &web(json!({}))).await.success();
    lab.sandbox.clear_faults();
    let run = &outcome.outputs["build-run-id"];
    lab.run(&["cleanup", "--run", run]).await.success();
    assert_eq!(lab.temporary(), vec![]);
}
