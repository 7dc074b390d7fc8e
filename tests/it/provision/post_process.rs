//! What happens to the finished image's description on this machine.

use serde_json::{Value, json};

use super::assert_said;
use crate::harness::{Lab, Outcome};
use crate::template::silent;

async fn build(lab: &Lab, post_processors: Value) -> Outcome {
    let mut template = silent(json!({}));
    template["post-processors"] = post_processors;
    lab.write_template(&template)
        .run(&["build", "-force", "template.json"])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_written_as_packer_does() {
    let lab = Lab::without_machines().await;
    let manifest = json!([{
        "type": "manifest",
        "output": "out/manifest.json",
        "custom_data": {"stage": "<test> & more"}
    }]);
    let outcome = build(&lab, manifest).await.success();
    let text = lab.read("out/manifest.json");
    let parsed: Value = serde_json::from_str(&text).unwrap();
    let time = parsed["builds"][0]["build_time"].as_i64().unwrap();
    let image = &outcome.outputs["image-id"];
    let run = &outcome.outputs["build-run-id"];
    let expected = format!(
        r#"{{
  "builds": [
    {{
      "name": "web",
      "builder_type": "alicloud-ecs",
      "build_time": {time},
      "files": null,
      "artifact_id": "cn-beijing:{image}",
      "packer_run_uuid": "{run}",
      "custom_data": {{
        "stage": "\u003ctest\u003e \u0026 more"
      }}
    }}
  ],
  "last_run_uuid": "{run}"
}}"#
    );
    assert_eq!(text, expected);
    assert!(!lab.path("out/manifest.json.lock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn post_processors_follow_each_other() {
    let lab = Lab::without_machines().await;
    let post_processors = json!([
        ["manifest", {
            "type": "shell-local",
            "inline": ["grep -c artifact_id packer-manifest.json", "echo for $PACKER_BUILD_NAME"]
        }],
        {"type": "checksum", "checksum_types": ["sha256"]}
    ]);
    let outcome = build(&lab, post_processors).await.success();
    assert_said(&outcome, &["1", "for web"]);
    // An image has no files on this machine.
    let said = "The artifact has no files on this machine; there is nothing to checksum";
    assert!(outcome.stdout.contains(said), "{}", outcome.stdout);
    assert!(outcome.outputs["image-id"].starts_with("m-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_post_processor_keeps_the_image() {
    let lab = Lab::without_machines().await;
    let post_processors = json!([
        {"type": "shell-local", "inline": ["exit 9"]},
        {"type": "manifest", "output": "manifest.json"}
    ]);
    let outcome = build(&lab, post_processors).await.failure(1);
    let images = lab.sandbox.images();
    assert_eq!(images[0]["ImageId"], outcome.outputs["image-id"].as_str());
    assert!(
        lab.read("manifest.json")
            .contains(&outcome.outputs["image-id"])
    );
    assert!(
        outcome.text().contains("exit status: 9"),
        "{}",
        outcome.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_collects_builds_until_forced() {
    let lab = Lab::without_machines().await;
    let mut template = silent(json!({}));
    template["post-processors"] = json!(["manifest"]);
    for name in ["one", "two"] {
        template["builders"][0]["image_name"] = json!(name);
        lab.build(&template).await.success();
    }
    let count = || {
        lab.read("packer-manifest.json")
            .matches("artifact_id")
            .count()
    };
    assert_eq!(count(), 2);
    lab.run(&["build", "-force", "template.json"])
        .await
        .success();
    assert_eq!(count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_user_become_an_archive_beside_the_image() {
    let lab = Lab::without_machines().await;
    let post_processors = json!([[
        {"type": "shell-local", "inline": [
            "mkdir -p logs", "echo one > logs/1.log", "echo two > logs/2.log"
        ]},
        {"type": "artifice", "files": ["logs/*.log"]},
        {"type": "compress", "output": "out/logs_{{.BuildName}}.tar.gz"}
    ]]);
    let outcome = build(&lab, post_processors).await.success();
    let archive = lab.path("out/logs_web.tar.gz");
    let read = std::process::Command::new("tar")
        .arg("-xzOf")
        .arg(archive)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(read.stdout).unwrap(), "one\ntwo\n");
    assert!(!lab.path("logs").exists(), "the archive has them now");
    assert!(outcome.outputs["image-id"].starts_with("m-"));
    let shown = "--> web: compressed artifacts in: out/logs_web.tar.gz";
    assert!(outcome.stdout.contains(shown), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_cannot_be_written_is_refused_at_once() {
    let lab = Lab::without_machines().await;
    let post_processors = json!([{"type": "compress", "output": "disk.tar.xz"}]);
    let outcome = build(&lab, post_processors).await.failure(2);
    let text = outcome.text();
    let error = "asks for the format `xz`, which cannot be written";
    assert!(text.contains(error) && text.contains("`tar.gz`"), "{text}");
    assert_eq!(lab.sandbox.calls().len(), 0);
}
