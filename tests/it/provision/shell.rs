//! The `shell` provisioner.

use serde_json::json;

use super::{assert_said, provision};
use crate::harness::{Lab, scrub};

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_their_environment() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "environment_vars": ["GREETING=it's \"fine\" $HOME", "LIST=a, b"],
        "env": {"TIER": "front"},
        "inline": [
            "echo \"$GREETING\"",
            "echo \"$LIST $TIER\"",
            "echo \"$PACKER_BUILD_NAME $PACKER_BUILDER_TYPE\""
        ]
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(
        &outcome,
        &["it's \"fine\" $HOME", "a, b front", "web alicloud-ecs"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn script_files_run_in_order_with_a_command_of_the_user() {
    let lab = Lab::new().await;
    lab.write("one.sh", "#!/bin/sh\r\necho \"one for $WHO\"\r\n")
        .write("two.sh", "#!/bin/sh\necho two\n");
    let provisioners = json!([{
        "type": "shell",
        "scripts": ["one.sh", "two.sh"],
        "environment_vars": ["WHO=root"],
        "execute_command": "echo 'secret' | {{ .Vars }} sudo -S -E bash '{{ .Path }}'"
    }, {
        "type": "shell",
        "inline": ["echo left: $(ls /tmp | grep -c script_)"],
        "remote_folder": "/root"
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["one for root", "two", "left: 0"]);
    assert!(outcome.stdout.find(": one for root") < outcome.stdout.find(": two\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_script_fails_the_build_and_leaves_nothing() {
    let lab = Lab::new().await;
    let provisioners = json!([
        {"type": "shell", "inline": ["echo before", "exit 3"]},
        {"type": "shell", "inline": ["echo after"]}
    ]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    assert_said(&outcome, &["before"]);
    assert!(!outcome.stdout.contains("after\n"), "{}", outcome.stdout);
    let text = scrub(&outcome.text());
    let error = text.lines().find(|line| line.starts_with("Build 'web'"));
    insta::assert_snapshot!(error.unwrap(), @r#"
    Build 'web' errored after DURATION: Script exited with non-zero exit status: 3. Allowed exit codes are: [0]
    "#);
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_can_be_declared_valid() {
    let lab = Lab::new().await;
    let provisioners = json!([
        {"type": "shell", "inline": ["exit 3"], "valid_exit_codes": [0, 3]},
        {"type": "shell", "inline": ["echo after"]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_can_come_by_file() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "use_env_var_file": true,
        "environment_vars": ["GREETING=it's fine"],
        "inline": [
            "echo \"$GREETING $PACKER_BUILD_NAME\"",
            "echo files: $(ls /tmp | grep -c varfile_)"
        ]
    }, {
        "type": "shell",
        "inline": ["echo later: $(ls /tmp | grep -c varfile_)"]
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["it's fine web", "files: 1", "later: 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_may_restart_between_scripts() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "inline": ["echo kept > /etc/note", "reboot", "sleep 600"],
        "expect_disconnect": true
    }, {
        "type": "shell",
        "inline": ["cat /etc/note"],
        "pause_before": "10s"
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["kept"]);
    assert!(
        outcome
            .stdout
            .contains("==> web: Pausing 10s before the next provisioner...\n"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unexpected_restart_is_explained() {
    let lab = Lab::new().await;
    let provisioners = json!([{"type": "shell", "inline": ["reboot", "sleep 600"]}]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("Script disconnected unexpectedly"), "{text}");
    assert!(text.contains("expect_disconnect"), "{text}");
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_the_build_can_be_used() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "environment_vars": ["INSTANCE={{ build `ID` }}"],
        "inline": [
            "echo id=$INSTANCE={{ build `ID` }}",
            "echo host={{ build `Host` }} user={{ build `User` }}",
            "echo by={{ build `ConnType` }} run={{ build `PackerRunUUID` }}"
        ]
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    let id = &lab.call("StopInstance").params["InstanceId"];
    let run = &outcome.outputs["build-run-id"];
    assert_said(
        &outcome,
        &[&format!("id={id}={id}"), &format!("by=ssh run={run}")],
    );
    assert!(scrub(&outcome.stdout).contains("host=ADDRESS user=root\n"));
}
