//! What the action's inputs do, and what it says to who got one wrong. How the
//! runner runs it is tested in `tests/runner`.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::template;

/// A lab with a template `web.json`, in a job that has no keys yet.
async fn newcomer() -> Lab {
    let mut lab = Lab::without_machines().await;
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
    lab.write("web.json", &template::silent(json!({})).to_string());
    lab
}

async fn refused(lab: &Lab, inputs: &Value, code: i32) -> String {
    let outcome = lab.run_action(inputs).await.failure(code);
    assert_eq!(lab.temporary(), vec![]);
    assert_eq!(outcome.outputs["status"], "failure");
    outcome.end()
}

#[tokio::test]
async fn a_repository_without_its_variables_is_told_what_to_give() {
    let lab = newcomer().await;
    let inputs = json!({"template": "web.json", "role-to-assume": "", "oidc-provider-arn": ""});
    let said = refused(&lab, &inputs, 3).await;
    assert!(said.contains("No credentials"), "{said}");
    assert!(
        said.contains("hint: Give the inputs `role-to-assume` and `oidc-provider-arn`"),
        "{said}"
    );
    // Nobody has a command line there.
    assert!(!said.contains("whoami"), "{said}");
}

#[tokio::test]
async fn a_job_without_the_permission_is_told_its_line() {
    let lab = newcomer().await;
    let inputs = json!({
        "template": "web.json",
        "role-to-assume": "acs:ram::1234567890123456:role/images",
        "oidc-provider-arn": "acs:ram::1234567890123456:oidc-provider/github",
    });
    let said = refused(&lab, &inputs, 3).await;
    assert!(said.contains("`permissions: id-token: write`"), "{said}");
}

#[tokio::test]
async fn a_template_that_is_not_there_is_looked_for() {
    let lab = newcomer().await;
    std::fs::create_dir(lab.path("empty")).unwrap();
    let said = refused(&lab, &json!({"template": "wbe.json"}), 2).await;
    insta::assert_snapshot!(said, @"
    Error: Cannot read template wbe.json: No such file or directory (os error 2)
    hint: Did you mean `web.json`?
    ");
    let inputs = json!({"template": "web.json", "working-directory": "empty"});
    let said = refused(&lab, &inputs, 2).await;
    insta::assert_snapshot!(said, @"
    Error: Cannot read template web.json: No such file or directory (os error 2)
    hint: DIR/empty is empty; in a workflow, `actions/checkout` comes first
    ");
    let said = refused(&lab, &json!({"template": "images/web.json"}), 2).await;
    insta::assert_snapshot!(said, @"
    Error: Cannot read template images/web.json: No such file or directory (os error 2)
    hint: There is no directory DIR/images
    ");
    let said = refused(&lab, &json!({"template": "database.json"}), 2).await;
    insta::assert_snapshot!(said, @"
    Error: Cannot read template database.json: No such file or directory (os error 2)
    hint: It is looked for in DIR
    ");
}

#[tokio::test]
async fn mistakes_are_said_of_inputs() {
    let lab = newcomer().await;
    let with = |more: Value| {
        let mut inputs = json!({"template": "web.json"});
        let more = more.as_object().unwrap().clone();
        inputs.as_object_mut().unwrap().extend(more);
        inputs
    };
    let role = "acs:ram::1234567890123456:role/images";
    let table = [
        (
            json!({"parallel": "many"}),
            "Bad value of input `parallel`: `many`: invalid digit found in string",
        ),
        (
            json!({"resource-ttl-hours": "0"}),
            "Bad value of input `resource-ttl-hours`: `0`: 0 is not in 1..=4294967295",
        ),
        (
            json!({"timeout-minutes": "-1"}),
            "Bad value of input `timeout-minutes`: `-1`: -1 is not in 0..=4294967295",
        ),
        (
            json!({"vars": "app_version"}),
            "Bad value of input `vars`: `app_version`: expected NAME=VALUE",
        ),
        (
            json!({"on-error": "continue"}),
            "Bad value of input `on-error`: `continue`\n\
             hint: Use one of `cleanup`, `abort`, `ask`, `run-cleanup-provisioner`",
        ),
        (
            json!({"role-to-assume": "arn:aws:iam::1:role/images"}),
            "Bad value of input `role-to-assume`: `arn:aws:iam::1:role/images`\n\
             hint: Use an ARN of the form `acs:ram::ACCOUNT:role/NAME`",
        ),
        (
            json!({"role-to-assume": role, "oidc-provider-arn": role}),
            "Bad value of input `oidc-provider-arn`: `acs:ram::1234567890123456:role/images`\n\
             hint: Use an ARN of the form `acs:ram::ACCOUNT:oidc-provider/NAME`",
        ),
        (
            json!({"role-to-assume": role, "role-session-expiration": "1h"}),
            "Bad value of input `role-session-expiration`: `1h`\n\
             hint: Use a number of seconds between 900 and 43200",
        ),
        (
            json!({"access-key-id": "LTAI5tNobodysKeyAtAll000"}),
            "Only one of the inputs `access-key-id` and `access-key-secret` is set\n\
             hint: Set both, or neither and use the environment\n\
             hint: A secret that the repository has not is empty, and so is every one for a fork",
        ),
        (
            json!({
                "command": "import", "file": "disk.raw", "region": "cn-beijing",
                "image-name": "web", "oss-bucket-name": "images",
            }),
            "There is no disk image `DIR/disk.raw`\nhint: It is looked for in DIR",
        ),
        (
            json!({"command": "import", "sandbox": "true"}),
            "There is no sandbox for the command `import`\n\
             hint: Input `sandbox` is for `build`; leave it out here",
        ),
    ];
    for (inputs, expected) in table {
        let said = refused(&lab, &with(inputs), 2).await;
        assert_eq!(said, format!("Error: {expected}"));
    }
}

#[tokio::test]
async fn whoever_only_looks_works_in_the_directory_and_gets_a_status() {
    let lab = Lab::without_machines().await;
    std::fs::create_dir(lab.path("images")).unwrap();
    // Such a device is corrected, with a warning.
    let disk = json!({"disk_device": "dev/xvdb", "disk_size": 40});
    let template = template::silent(json!({"image_disk_mappings": [disk]}));
    lab.write("images/web.json", &template.to_string());
    for command in ["inspect", "plan", "matrix", "validate"] {
        let inputs = json!({
            "command": command, "template": "web.json", "working-directory": "images",
        });
        let outcome = lab.run_action(&inputs).await.success();
        assert_eq!(outcome.outputs["status"], "success", "{command}");
        assert_eq!(outcome.outputs["manifest-path"], "", "{command}");
        // What has its answer in an output has no page.
        assert_eq!(outcome.summary.is_empty(), command != "validate");
        let warns = |outcome: &Outcome| {
            let text = outcome.text();
            let mut lines = text.lines().filter(|line| line.starts_with("::warning "));
            lines.any(|line| line.contains("file=images/web.json") && line.contains("dev/xvdb"))
        };
        assert!(
            command == "inspect" || warns(&outcome),
            "{command}: {}",
            outcome.text()
        );
    }
    lab.write("images/web.json", "{\"builders\": 1}");
    let inputs = json!({
        "command": "inspect", "template": "web.json", "working-directory": "images",
    });
    let outcome = lab.run_action(&inputs).await.failure(2);
    assert!(
        outcome
            .text()
            .contains("::error title=Template,file=images/web.json,line=1"),
        "{}",
        outcome.text()
    );
}

#[tokio::test]
async fn a_manifest_of_another_run_is_no_output() {
    let lab = newcomer().await;
    lab.write("alicloud-image-manifest.json", "{}");
    let inputs = json!({"template": "missing.json"});
    let outcome = lab.run_action(&inputs).await.failure(2);
    assert_eq!(outcome.outputs["manifest-path"], "");
}
