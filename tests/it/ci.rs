//! What other CI systems than GitHub are told.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::template;

/// A lab on another system.
async fn lab_on(variables: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::quick().await;
    for variable in ["GITHUB_ACTIONS", "GITHUB_WORKSPACE"] {
        lab.unset(variable);
    }
    for (name, value) in variables {
        lab.set(name, value);
    }
    lab
}

async fn build(lab: &Lab) -> Outcome {
    lab.write_template(&template::silent(json!({})));
    let arguments = ["build", "--output-file=image.env", "template.json"];
    lab.run(&arguments).await.success()
}

fn lines<'a>(outcome: &'a Outcome, mark: &str) -> Vec<&'a str> {
    let lines = outcome.stdout.lines();
    lines.filter(|line| line.contains(mark)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_folds_steps_and_reads_results_as_dotenv() {
    let lab = lab_on(&[
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_ID", "4711"),
        ("CI_PROJECT_PATH", "team/images"),
    ])
    .await;
    let outcome = build(&lab).await;
    assert!(outcome.outputs.is_empty() && outcome.summary.is_empty());
    let starts = lines(&outcome, "section_start:");
    assert!(starts.len() > 3, "{}", outcome.stdout);
    assert_eq!(starts.len(), lines(&outcome, "section_end:").len());
    assert_eq!(lines(&outcome, "::group::"), Vec::<&str>::new());
    let tags = lab.call("RunInstances").params;
    for fact in ["4711", "team/images"] {
        assert!(tags.values().any(|value| value == fact), "{tags:#?}");
    }
    let results = lab.read("image.env");
    assert!(results.len() < 5 * 1024);
    for line in results.lines() {
        let (name, value) = line.split_once('=').unwrap();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(name.bytes().all(is_plain), "{line}");
        assert!(!value.is_empty() && !value.starts_with('"'), "{line}");
    }
    assert!(results.contains("IMAGE_ID_CN_BEIJING=m-"), "{results}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_shows_findings_as_code_quality() {
    let mut lab = lab_on(&[("GITLAB_CI", "true")]).await;
    let root = lab.path("").display().to_string();
    lab.set("CI_PROJECT_DIR", &root);
    lab.set("ALICLOUD_IMAGE_CODE_QUALITY", "quality.json");
    lab.write_template(&template::silent(json!({"image_nam": "x"})));
    lab.run(&["validate", "template.json"]).await.failure(2);
    let report: Value = serde_json::from_str(&lab.read("quality.json")).unwrap();
    let location = &report[0]["location"];
    assert_eq!(location["path"], "template.json");
    assert!(location["lines"]["begin"].as_u64() > Some(1), "{report}");
    assert_eq!(report.as_array().unwrap().len(), 1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_gets_variables_groups_and_a_summary() {
    let mut lab = lab_on(&[
        ("TF_BUILD", "True"),
        ("BUILD_BUILDID", "4711"),
        ("BUILD_REPOSITORY_NAME", "team/images"),
    ])
    .await;
    let directory = lab.path("").display().to_string();
    lab.set("AGENT_TEMPDIRECTORY", &directory);
    let outcome = build(&lab).await;
    let id = &lab.sandbox.images()[0]["ImageId"];
    let variable = format!(
        "##vso[task.setvariable variable=imageId;isOutput=true]{}",
        id.as_str().unwrap()
    );
    assert_eq!(
        lines(&outcome, "variable=imageId;").last(),
        Some(&&*variable)
    );
    let tags = lab.call("RunInstances").params;
    for fact in ["4711", "team/images"] {
        assert!(tags.values().any(|value| value == fact), "{tags:#?}");
    }
    let groups = lines(&outcome, "##[group]");
    assert!(!groups.is_empty(), "{}", outcome.stdout);
    assert_eq!(groups.len(), lines(&outcome, "##[endgroup]").len());
    let uploads = lines(&outcome, "##vso[task.uploadsummary]");
    assert_eq!(uploads.len(), 1);
    assert!(lab.read("alicloud-image.md").contains("1 image built"));
}

#[tokio::test(flavor = "multi_thread")]
async fn jenkins_gets_plain_text_and_a_file() {
    let lab = lab_on(&[("JENKINS_URL", "http://jenkins"), ("NO_COLOR", "1")]).await;
    let outcome = build(&lab).await;
    for mark in ["::group", "##", "section_", "\u{1b}"] {
        assert_eq!(lines(&outcome, mark), Vec::<&str>::new());
    }
    assert!(lab.read("image.env").contains("STATUS=success\n"));
}
