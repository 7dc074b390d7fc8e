//! Options and where a template comes from.

use insta::assert_snapshot;
use regex::Regex;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::plain_lab;
use crate::web::web;

#[tokio::test]
async fn options_are_written_as_packer_writes_them_or_with_two_dashes() {
    let template = web(json!({"image_name": "{{user `name`}}-{{user `version`}}"})).replacen(
        '{',
        "{\"variables\": {\"name\": null, \"version\": null},",
        1,
    );
    let packers: &[&str] = &[
        "build",
        "-var",
        "name=web",
        "-var-file=vars.json",
        "-only=web",
        "-force",
        "-on-error=cleanup",
        "-parallel-builds=1",
        "-timestamp-ui",
        "-color=false",
        "web.json",
    ];
    let ours: &[&str] = &[
        "build",
        "--var=name=web",
        "--var-file",
        "vars.json",
        "--only",
        "web",
        "--force",
        "--on-error",
        "cleanup",
        "--parallel-builds",
        "1",
        "--timestamp-ui",
        "--color=false",
        "web.json",
    ];
    let stamped = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: ").unwrap();
    for arguments in [packers, ours] {
        let lab = plain_lab().await;
        lab.write("web.json", &template)
            .write("vars.json", "{\"version\": \"7\"}");
        let outcome = lab.run(arguments).await.success();
        assert_eq!(lab.sandbox.images()[0]["ImageName"], "web-7");
        assert!(
            outcome.stdout.lines().all(|line| stamped.is_match(line)),
            "{}",
            outcome.stdout
        );
    }
}

#[tokio::test]
async fn a_template_may_come_from_standard_input() {
    let lab = plain_lab().await;
    let mut child = lab.start_with_input(&["build", "-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(web(json!({})).as_bytes()).await.unwrap();
    drop(input);
    lab.finish(child).await.success();
    assert_eq!(lab.sandbox.images().len(), 1);
}

#[tokio::test]
async fn only_without_a_match_builds_nothing() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&["build", "-only=wbe", "web.json"])
        .await
        .failure(4);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.text(), @"
    warning: `-only` names `wbe`, which is not in the template
     |
     = help: Did you mean `web`?

    Error: No builds to run
    hint: Names for `-only` and `-except` are listed by `alicloud-image inspect`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn build_sandbox_needs_no_account() {
    let mut lab = plain_lab().await;
    for name in [
        "ALICLOUD_ACCESS_KEY",
        "ALICLOUD_SECRET_KEY",
        "ALIBABA_CLOUD_ENDPOINT_ECS",
        "ALIBABA_CLOUD_ENDPOINT_VPC",
        "ALIBABA_CLOUD_ENDPOINT_STS",
        "ALICLOUD_IMAGE_TIME_SCALE",
        "ALICLOUD_IMAGE_GUEST_PORT",
    ] {
        lab.unset(name);
    }
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&[
            "build",
            "--sandbox",
            "--sandbox-time-scale=0.01",
            "web.json",
        ])
        .await
        .success();
    assert!(outcome.stdout.contains("    web: hello\n"));
    assert!(outcome.stdout.ends_with("==> 0 resources left\n"));
    assert_eq!(lab.sandbox.calls().len(), 0);
}
