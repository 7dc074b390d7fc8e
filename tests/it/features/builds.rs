//! Several builds in one template.

use serde_json::{Value, json};

use crate::harness::Lab;
use crate::template::{builder, provisioned, template};

fn two_builds() -> Value {
    template(&[builder("blue", json!({})), builder("green", json!({}))])
}

fn silent_builds() -> Value {
    let silent = json!({"communicator": "none"});
    let names = ["blue", "green", "red"];
    template(&names.map(|name| builder(name, silent.clone())))
}

fn built(lab: &Lab) -> Vec<String> {
    let images = lab.sandbox.images();
    let mut names: Vec<_> = images
        .iter()
        .map(|image| image["ImageName"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_one_template_run_at_the_same_time() {
    let lab = Lab::new().await;
    let template = provisioned(
        two_builds(),
        json!([{"type": "shell", "inline": ["echo I am $PACKER_BUILD_NAME"]}]),
    );
    let outcome = lab.build(&template).await.success();
    assert_eq!(built(&lab), ["blue", "green"]);
    for name in ["blue", "green"] {
        let line = format!("    {name}: I am {name}\n");
        assert!(outcome.stdout.contains(&line), "{}", outcome.stdout);
    }
    let runs = lab.calls("RunInstances");
    let images = lab.calls("CreateImage");
    assert!(runs[1].at < images[0].at, "one waited for the other");
    let outputs: Value = serde_json::from_str(&outcome.outputs["images"]).unwrap();
    assert_eq!(outputs[0]["build"], "blue");
    assert_eq!(outputs[1]["build"], "green");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_can_be_picked_and_left_out() {
    let lab = Lab::without_machines().await;
    lab.write_template(&silent_builds());
    for (flag, expected) in [
        ("-only=green", vec!["green"]),
        ("-except=green,blue", vec!["green", "red"]),
    ] {
        lab.run(&["build", flag, "template.json"]).await.success();
        assert_eq!(built(&lab), expected, "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn picking_no_build_is_an_error() {
    let lab = Lab::without_machines().await;
    let outcome = lab
        .write_template(&silent_builds())
        .run(&["build", "-only=grey", "template.json"])
        .await
        .failure(4);
    assert!(
        outcome.text().contains("No builds to run"),
        "{}",
        outcome.text()
    );
    assert_eq!(lab.sandbox.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_can_run_one_after_the_other() {
    let lab = Lab::without_machines().await;
    lab.write_template(&silent_builds())
        .run(&["build", "-parallel-builds=1", "template.json"])
        .await
        .success();
    let runs = lab.calls("RunInstances");
    let images = lab.calls("CreateImage");
    assert_eq!((runs.len(), images.len()), (3, 3));
    for (image, next_run) in images.iter().zip(&runs[1..]) {
        assert!(image.at < next_run.at, "two builds ran at the same time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_build_does_not_stop_the_others() {
    let lab = Lab::without_machines().await;
    let silent = json!({"communicator": "none"});
    let wrong = json!({"communicator": "none", "instance_type": "ecs.none.large"});
    let template = template(&[builder("blue", silent), builder("green", wrong)]);
    let outcome = lab.build(&template).await.failure(5);
    assert_eq!(built(&lab), ["blue"]);
    assert_eq!(outcome.outputs["status"], "partial");
    assert!(outcome.outputs["image-id"].starts_with("m-"));
}
