//! What every provisioner has beside its own options, and the ones that need
//! no machine.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{assert_said, provision};
use crate::harness::{Lab, Outcome};
use crate::template::{builder, provisioned, silent, template};

#[tokio::test(flavor = "multi_thread")]
async fn a_provisioner_that_takes_too_long_is_ended() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "inline": ["echo begun", "sleep 3600", "echo never"],
        "timeout": "30s"
    }]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    assert_said(&outcome, &["begun"]);
    let text = outcome.text();
    assert!(
        text.contains("Provisioner shell was not done after its timeout of 30s"),
        "{text}"
    );
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provisioner_is_tried_again() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "inline": ["echo try >> /tmp/tries", "[ $(wc -l < /tmp/tries) = 3 ]", "echo made it"],
        "max_retries": 5
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["made it"]);
    let tries = outcome.stdout.matches("retrying with").count();
    assert_eq!(tries, 2, "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_may_be_passed_over() {
    let lab = Lab::without_machines().await;
    let provisioners = json!([
        {"type": "shell-local", "inline": ["exit 3"], "continue_on_error": true},
        {"type": "shell-local", "inline": ["echo after"]}
    ]);
    let outcome = locally(&lab, provisioners).await.success();
    assert_said(&outcome, &["after"]);
}

/// Builds `web` without a machine, with these provisioners.
async fn locally(lab: &Lab, provisioners: Value) -> Outcome {
    lab.build(&provisioned(silent(json!({})), provisioners))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioners_differ_between_builds() {
    let lab = Lab::without_machines().await;
    let none = json!({"communicator": "none"});
    let builders = ["blue", "green"].map(|name| builder(name, none.clone()));
    let provisioners = json!([
        {"type": "shell-local", "inline": ["echo only blue"], "only": ["blue"]},
        {"type": "shell-local", "inline": ["echo not blue"], "except": ["blue"]},
        {
            "type": "shell-local",
            "inline": ["echo common"],
            "override": {"green": {"inline": ["echo special"]}}
        }
    ]);
    let outcome = lab
        .build(&provisioned(template(&builders), provisioners))
        .await
        .success();
    let said = |name: &str| {
        let prefix = format!("    {name}: ");
        let lines = outcome.stdout.lines();
        let of_build = lines.filter_map(|line| line.strip_prefix(&prefix));
        let words = ["only", "not", "common", "special"];
        let echoed = of_build.filter(|line| words.iter().any(|word| line.starts_with(word)));
        echoed.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(said("blue"), ["only blue", "common"]);
    assert_eq!(said("green"), ["not blue", "special"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn local_scripts_know_the_build_but_no_keys() {
    let lab = Lab::without_machines().await;
    lab.write(
        "local.sh",
        "#!/bin/sh\necho \"from a file: $TIER\"\nenv > env.txt\n",
    );
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path("local.sh"), executable).unwrap();
    let provisioners = json!([{
        "type": "shell-local",
        "script": "local.sh",
        "environment_vars": ["TIER=front"]
    }, {
        "type": "shell-local",
        "command": "echo \"$PACKER_BUILD_NAME on {{ build `ID` }}\""
    }, {
        "type": "sleep",
        "duration": "5s"
    }]);
    let outcome = locally(&lab, provisioners).await.success();
    let id = &lab.call("StopInstance").params["InstanceId"];
    assert_said(&outcome, &["from a file: front", &format!("web on {id}")]);
    let environment = lab.read("env.txt");
    assert!(environment.contains("PATH="), "{environment}");
    let secret = lab.sandbox.access_key_secret();
    assert!(!environment.contains(secret), "{environment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_runs_the_cleanup_provisioner() {
    let lab = Lab::new().await;
    let mut template = provisioned(
        crate::template::web(json!({})),
        json!([
            {"type": "shell", "inline": ["echo trace > /tmp/trace", "exit 1"]},
            {"type": "shell", "inline": ["echo not reached"]}
        ]),
    );
    template["error-cleanup-provisioner"] =
        json!({"type": "shell", "inline": ["echo found a $(cat /tmp/trace)"]});
    let outcome = lab.build(&template).await.failure(1);
    assert_said(&outcome, &["found a trace"]);
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn success_does_not_run_the_cleanup_provisioner() {
    let lab = Lab::without_machines().await;
    let mut template = provisioned(
        silent(json!({})),
        json!([{"type": "shell-local", "inline": ["echo fine"]}]),
    );
    template["error-cleanup-provisioner"] =
        json!({"type": "shell-local", "inline": ["echo cleaning"]});
    let outcome = lab.build(&template).await.success();
    assert_said(&outcome, &["fine"]);
    assert!(!outcome.stdout.contains("cleaning"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_a_connection_is_refused_clearly() {
    let lab = Lab::without_machines().await;
    let provisioners = json!([{"type": "shell", "inline": ["true"]}]);
    let outcome = locally(&lab, provisioners).await.failure(2);
    let text = outcome.text();
    assert!(text.contains("`shell` needs a connection"), "{text}");
    assert_eq!(lab.sandbox.calls().len(), 0);
}
