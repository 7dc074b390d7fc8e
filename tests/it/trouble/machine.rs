//! Machines, scripts and images that fail or take too long.

use std::time::Duration;

use alicloud_image_sandbox::guest::Confinement;
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::{SandboxOptions, StateFault};
use insta::assert_snapshot;
use serde_json::json;

use super::build;
use crate::harness::{Lab, quick_options};
use crate::web::{web, with_provisioners};

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
