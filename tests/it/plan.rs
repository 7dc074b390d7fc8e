//! `plan`, `--manifest`, `--no-local-exec`, and journals by the directory.

use serde_json::{Value, json};

use crate::harness::Lab;
use crate::web::{web, with_provisioners};

#[tokio::test]
async fn a_plan_stands_alone_on_standard_output() {
    let lab = Lab::without_machines().await;
    let text = web(json!({"image_copy_regions": ["cn-hangzhou"], "instance_type": "ecs.odd"}));
    let outcome = lab
        .write("web.json", &text)
        .run(&["plan", "web.json"])
        .await
        .success();
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(plan["template"], "web.json");
    assert_eq!(plan["builds"][0]["name"], "web");
    assert_eq!(
        plan["builds"][0]["image_copy_regions"],
        json!(["cn-hangzhou"])
    );
    let output: Value = serde_json::from_str(&outcome.outputs["plan"]).unwrap();
    assert_eq!(output, plan);
    assert_eq!(lab.sandbox.calls().len(), 0);
    let broken = web(json!({"instance_typo": "x"}));
    let outcome = lab
        .write("web.json", &broken)
        .run(&["plan", "web.json"])
        .await
        .failure(2);
    assert!(!outcome.stdout.contains('{'), "{}", outcome.stdout);
    assert!(!outcome.outputs.contains_key("plan") || outcome.outputs["plan"].is_empty());
}

#[tokio::test]
async fn a_manifest_of_the_run_replaces_an_older_one() {
    let lab = Lab::quick().await;
    let build = ["build", "--manifest=built.json", "-force", "web.json"];
    lab.write("web.json", &web(json!({})));
    lab.run(&build).await.success();
    let outcome = lab.run(&build).await.success();
    let manifest: Value = serde_json::from_str(&lab.read("built.json")).unwrap();
    let builds = manifest["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1);
    let id = format!("cn-beijing:{}", outcome.outputs["image-id"]);
    assert_eq!(builds[0]["artifact_id"], id);
    assert_eq!(builds[0]["files"], Value::Null);
    assert_eq!(
        builds[0]["images"][0]["image_id"],
        outcome.outputs["image-id"]
    );
    assert_eq!(manifest["last_run_uuid"], outcome.outputs["build-run-id"]);
    assert_eq!(outcome.outputs["manifest-path"], "built.json");
}

#[tokio::test]
async fn a_run_without_an_image_has_an_empty_manifest() {
    let lab = Lab::without_machines().await;
    let outcome = lab
        .write("web.json", &web(json!({"source_image": "m-none"})))
        .run(&["build", "--manifest=built.json", "web.json"])
        .await
        .failure(1);
    assert_eq!(outcome.outputs["image-id"], "");
    let manifest: Value = serde_json::from_str(&lab.read("built.json")).unwrap();
    assert_eq!(manifest["builds"], json!([]));
    assert_eq!(outcome.outputs["manifest-path"], "built.json");
}

#[tokio::test]
async fn a_strangers_template_sees_no_keys_and_starts_nothing() {
    let lab = Lab::without_machines().await;
    let provisioners = json!([{"type": "shell-local", "inline": ["touch ran"]}]);
    let outcome = lab
        .write("web.json", &with_provisioners(json!({}), &provisioners))
        .run(&["validate", "--no-local-exec", "web.json"])
        .await
        .failure(2);
    assert!(
        outcome
            .text()
            .contains("The provisioner `shell-local` uses this machine"),
        "{}",
        outcome.text()
    );
    let mut text: Value = serde_json::from_str(&web(json!({}))).unwrap();
    text["variables"] = json!({"key": "{{env `ALICLOUD_SECRET_KEY`}}x"});
    text["builders"][0]["image_name"] = json!("web-{{user `key`}}");
    let outcome = lab
        .write("web.json", &text.to_string())
        .run(&["plan", "--no-local-exec", "web.json"])
        .await
        .success();
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(plan["builds"][0]["image_name"], "web-x");
}

#[tokio::test]
async fn all_journals_of_a_directory_are_swept() {
    let lab = Lab::quick().await;
    let provisioners = json!([
        {"type": "shell-local", "inline": ["touch provisioning"]},
        {"type": "sleep", "duration": "10000h"},
    ]);
    lab.write("web.json", &with_provisioners(json!({}), &provisioners));
    for _ in 0..2 {
        let mut child = lab.start(&["build", "web.json"]);
        lab.wait_for_file("provisioning").await;
        child.kill().await.unwrap();
        std::fs::remove_file(lab.path("provisioning")).unwrap();
    }
    let outcome = lab.run(&["cleanup", "--journal=journals"]).await.success();
    assert!(
        outcome.stdout.contains("Found 2 journals in journals"),
        "{}",
        outcome.stdout
    );
    lab.assert_empty();
    assert_eq!(std::fs::read_dir(lab.path("journals")).unwrap().count(), 0);
}
