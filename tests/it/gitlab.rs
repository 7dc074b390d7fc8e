//! The pipelines that GitLab's users copy, run as GitLab does: variables, then
//! `script`, then – whatever became of that – `after_script`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::pipeline::{blocks, component, document, on_gitlab, script, set_variables};
use crate::template;

const ISSUER: &str = "https://gitlab.example";

async fn lab() -> Lab {
    let mut lab = Lab::quick().await;
    on_gitlab(&mut lab);
    let mut template = template::silent(json!({"image_name": "web-{{user `app_version`}}"}));
    template["variables"] = json!({"app_version": ""});
    let text = template.to_string();
    lab.write("web.json", &text);
    lab
}

/// An OIDC provider of the names in the README, and nothing else to log in with.
fn trust(lab: &mut Lab) {
    let seed = lab.sandbox.seed();
    seed.oidc_provider("gitlab", ISSUER, &["sts.aliyuncs.com"]);
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
}

/// What GitLab does with `id_tokens`.
fn set_tokens(lab: &mut Lab, job: &Value) {
    for (name, token) in job["id_tokens"].as_object().into_iter().flatten() {
        let claims = json!({
            "iss": ISSUER, "aud": token["aud"],
            "sub": "project_path:team/images:ref_type:branch:ref:main",
            "exp": jiff::Timestamp::now().as_second() + 3600,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims));
        lab.set(name, &token);
    }
}

async fn run(lab: &mut Lab, job: &Value, part: &str) -> Outcome {
    set_tokens(lab, job);
    set_variables(lab, &job["variables"]);
    let child = lab.start_script(&script(&job[part]));
    lab.finish(child).await
}

/// Reads a dotenv report as GitLab does, by its rules.
fn dotenv(text: &str) -> Vec<(&str, &str)> {
    assert!(text.len() <= 5 * 1024, "{text}");
    let pairs: Vec<_> = text
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    assert!(pairs.len() <= 20, "{text}");
    for (name, value) in &pairs {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(name.bytes().all(is_plain), "{name}");
        assert!(
            !value.is_empty() && !value.contains(['"', '\'']),
            "{name}={value}"
        );
    }
    pairs
}

#[tokio::test(flavor = "multi_thread")]
async fn the_component_of_the_readme_builds_and_its_results_reach_the_next_job() {
    let mut lab = lab().await;
    trust(&mut lab);
    let page = document(&blocks("README.md", "### GitLab", "yaml")[0]);
    let include = &page["include"][0];
    let path = include["component"].as_str().unwrap();
    let (name, _) = path.rsplit('/').next().unwrap().split_once('@').unwrap();
    let mut inputs = include["inputs"].clone();
    let args = inputs["args"]
        .as_str()
        .unwrap()
        .replace("$CI_COMMIT_SHORT_SHA", "0c9d1f2e");
    inputs["args"] = args.into();
    let (job_name, job) = component(name, &inputs);
    assert_eq!(page["use-the-image"]["needs"], json!([job_name]));
    assert_eq!(job["image"]["entrypoint"], json!([""]));

    run(&mut lab, &job, "script").await.success();
    assert_eq!(lab.calls("AssumeRoleWithOIDC").len(), 1);
    let after = run(&mut lab, &job, "after_script").await.success();
    assert!(
        after.stdout.contains("Found 0 journals"),
        "{}",
        after.stdout
    );

    let reports = &job["artifacts"]["reports"];
    let read = |report: &str| lab.read(reports[report].as_str().unwrap());
    let parsed = |report: &str| serde_json::from_str::<Value>(&read(report)).unwrap();
    let links = parsed("annotations");
    let link = &links["alicloud-image"][0]["external_link"];
    assert!(
        link["label"]
            .as_str()
            .unwrap()
            .starts_with("web in cn-beijing: m-")
    );
    assert_eq!(parsed("codequality"), json!([]));
    let results: Value = serde_json::from_str(&lab.read("alicloud-image.json")).unwrap();
    assert_eq!(results["image_name"], "web-0c9d1f2e");

    let variables = read("dotenv");
    for (name, value) in dotenv(&variables) {
        lab.set(name, value);
    }
    let used = run(&mut lab, &page["use-the-image"], "script")
        .await
        .success();
    let id = results["image_id"].as_str().unwrap();
    assert_eq!(used.stdout, format!("built {id} in cn-beijing\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_of_the_readme_leaves_nothing() {
    let mut lab = lab().await;
    let mut template: Value = serde_json::from_str(&lab.read("web.json")).unwrap();
    template["builders"][0]["communicator"] = json!("ssh");
    let template = template::provisioned(
        template,
        json!([{"type": "shell", "inline": ["sleep 600"]}]),
    );
    lab.write("web.json", &template.to_string());
    let page = document(&blocks("README.md", "### GitLab", "yaml")[1]);
    let job = &page["image"];
    set_variables(&mut lab, &job["variables"]);
    let child = lab.start_script(&script(&job["script"]));
    lab.wait_for_call("RunInstances").await;
    // The runner stops the container: nobody gets to say goodbye.
    let group = i32::try_from(child.id().unwrap()).unwrap();
    let group = rustix::process::Pid::from_raw(group).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    lab.finish(child).await.failure(-1);
    assert_ne!(lab.temporary(), vec![]);
    run(&mut lab, job, "after_script").await.success();
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_before_it_began_cleans_up_nothing() {
    let mut lab = lab().await;
    let (_, job) = component("build", &json!({"template": "nowhere.json"}));
    run(&mut lab, &job, "script").await.failure(2);
    run(&mut lab, &job, "after_script").await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_janitor_looks_in_all_regions_or_in_those_named() {
    let mut lab = lab().await;
    for (regions, says) in [("", "in 3"), ("cn-beijing,cn-hangzhou", "in 2 regions")] {
        let (_, job) = component("cleanup", &json!({"regions": regions}));
        let outcome = run(&mut lab, &job, "script").await.success();
        assert!(outcome.stdout.contains(says), "{}", outcome.stdout);
    }
    let inputs = json!({"regions": "cn-beijing", "buckets": "images,disks"});
    let (_, job) = component("cleanup", &inputs);
    let outcome = run(&mut lab, &job, "script").await.success();
    let says = "in 1 region and 2 OSS buckets";
    assert!(outcome.stdout.contains(says), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_pipeline_builds_every_leg_and_merges() {
    let mut lab = lab().await;
    trust(&mut lab);
    let mut template: Value = serde_json::from_str(&lab.read("web.json")).unwrap();
    template["builders"][0]
        .as_object_mut()
        .unwrap()
        .remove("region");
    lab.write("web.json", &template.to_string());
    let page = document(&blocks("docs/fan-out.md", "## GitLab", "yaml")[0]);
    let plan = &page["plan-images"];
    lab.set("CI_JOB_IMAGE", plan["image"]["name"].as_str().unwrap());
    run(&mut lab, plan, "script").await.success();
    let written = lab.read(
        page["images"]["trigger"]["include"][0]["artifact"]
            .as_str()
            .unwrap(),
    );
    insta::assert_snapshot!(written, @r#"
    # A child pipeline: a job for each build and region of a template, and one
    # that joins their results. Generated; write it anew when the template changes.
    stages: [build, merge]

    default:
      image:
        name: "ghcr.io/alicloud-image/alicloud-image:latest"
        entrypoint: [""]

    build:
      stage: build
      parallel:
        matrix:
          - ALICLOUD_IMAGE_BUILD: ["web"]
            ALICLOUD_REGION: ["cn-beijing"]
            ALICLOUD_IMAGE_LEG: ["web-cn-beijing"]
          - ALICLOUD_IMAGE_BUILD: ["web"]
            ALICLOUD_REGION: ["cn-hangzhou"]
            ALICLOUD_IMAGE_LEG: ["web-cn-hangzhou"]
      id_tokens:
        ALIBABA_CLOUD_OIDC_TOKEN:
          aud: "sts.aliyuncs.com"
      variables:
        ALICLOUD_IMAGE_JOURNAL_DIR: $CI_PROJECT_DIR/.alicloud-image
        ALICLOUD_IMAGE_LINKS: $CI_PROJECT_DIR/alicloud-image-links.json
      script:
        - "mkdir -p alicloud-image-results && alicloud-image build --only=\"$ALICLOUD_IMAGE_BUILD\" --output-file=\"$CI_PROJECT_DIR/alicloud-image-results/$ALICLOUD_IMAGE_LEG.json\" -- web.json"
      after_script:
        - alicloud-image cleanup --journal "$ALICLOUD_IMAGE_JOURNAL_DIR"
      artifacts:
        when: always
        paths:
          - alicloud-image-results/
        reports:
          annotations: alicloud-image-links.json

    merge:
      stage: merge
      when: always
      script:
        - "alicloud-image matrix --regions=cn-beijing,cn-hangzhou -- web.json > alicloud-image-matrix.json"
        - "mkdir -p alicloud-image-results && alicloud-image merge --expect=alicloud-image-matrix.json --manifest=alicloud-image-manifest.json --output-file=alicloud-image.json --output-file=alicloud-image.env alicloud-image-results"
      artifacts:
        when: always
        paths:
          - alicloud-image.json
          - alicloud-image-manifest.json
        reports:
          dotenv: alicloud-image.env
    "#);
    let child = document(&written);
    set_variables(&mut lab, &page["images"]["variables"]);
    let job = &child["build"];
    for leg in job["parallel"]["matrix"].as_array().unwrap() {
        for (name, values) in leg.as_object().unwrap() {
            lab.set(name, values[0].as_str().unwrap());
        }
        run(&mut lab, job, "script").await.success();
        run(&mut lab, job, "after_script").await.success();
    }
    lab.unset("ALICLOUD_REGION");
    run(&mut lab, &child["merge"], "script").await.success();
    let results: Value = serde_json::from_str(&lab.read("alicloud-image.json")).unwrap();
    let regions = results["image_ids"].as_object().unwrap().keys();
    assert_eq!(regions.collect::<Vec<_>>(), ["cn-beijing", "cn-hangzhou"]);
    let env = lab.read("alicloud-image.env");
    assert!(dotenv(&env).contains(&("IMAGE_COUNT", "2")), "{env}");
    assert!(
        lab.read("alicloud-image-manifest.json")
            .contains("cn-hangzhou:m-")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_written_into_a_child_pipeline() {
    let lab = lab().await;
    let mut template: Value = serde_json::from_str(&lab.read("web.json")).unwrap();
    template["variables"]["password"] = json!("");
    template["sensitive-variables"] = json!(["password"]);
    lab.write("web.json", &template.to_string());
    let arguments = [
        "matrix",
        "--format=gitlab",
        "-var=password=hush-hush",
        "web.json",
    ];
    let outcome = lab.run(&arguments).await.failure(2);
    assert_eq!(outcome.stdout, "");
    let message = "A child pipeline would show the secret variable `password`";
    assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("hush-hush"), "{}", outcome.stderr);
}
