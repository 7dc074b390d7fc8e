//! What other CI systems than GitHub are told.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, scrub};
use crate::pipeline::{document, map_texts, replaced, repository};
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

/// A build in a network that is there, so that nothing happens at the same
/// time as something else.
async fn build(lab: &Lab) -> Outcome {
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-team", "172.16.0.0/12")
        .vswitch("vpc-team", "vsw-team", "cn-beijing-i", "172.16.0.0/24")
        .security_group("vpc-team", "sg-team");
    lab.write_template(&template::silent(json!({
        "vswitch_id": "vsw-team",
        "security_group_id": "sg-team",
        "associate_public_ip_address": false,
    })));
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
    insta::assert_snapshot!(log(&outcome), @r#"
    ESC[0Ksection_start:NUMBER:alicloud_image_1CRESC[0KCheck
    ==> web: Checking region, image name and source image...
        web: Found source image: aliyun_3_x64_20G_alibase_20240819.vhd
    ESC[0Ksection_end:NUMBER:alicloud_image_1CRESC[0K
    ESC[0Ksection_start:NUMBER:alicloud_image_2CRESC[0KCreate key pair, network and address
    ESC[0Ksection_end:NUMBER:alicloud_image_2CRESC[0K
    ESC[0Ksection_start:NUMBER:alicloud_image_3CRESC[0KCreate instance
    ==> web: Creating instance...
        web: Created instance: i-ID
    ESC[0Ksection_end:NUMBER:alicloud_image_3CRESC[0K
    ESC[0Ksection_start:NUMBER:alicloud_image_4CRESC[0KAssign address
    ESC[0Ksection_end:NUMBER:alicloud_image_4CRESC[0K
    ESC[0Ksection_start:NUMBER:alicloud_image_5CRESC[0KStop instance
    ==> web: Stopping instance: i-ID
    ESC[0Ksection_end:NUMBER:alicloud_image_5CRESC[0K
    ==> web: Creating image: web
    ESC[0Ksection_start:NUMBER:alicloud_image_6CRESC[0KCreate image
        web: Created image: m-ID
    ESC[0Ksection_end:NUMBER:alicloud_image_6CRESC[0K
    Build 'web' finished after DURATION.

    ==> Wait completed after DURATION

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> 0 resources left
    "#);
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
    insta::assert_snapshot!(log(&outcome), @r#"
    ##vso[task.setvariable variable=imageIds;isOutput=true]{}
    ##vso[task.setvariable variable=images;isOutput=true][]
    ##vso[task.setvariable variable=snapshotIds;isOutput=true][]
    ##vso[task.setvariable variable=buildRunId;isOutput=true]UUID
    ##[group]Check
    ==> web: Checking region, image name and source image...
        web: Found source image: aliyun_3_x64_20G_alibase_20240819.vhd
    ##[endgroup]
    ##[group]Create key pair, network and address
    ##[endgroup]
    ##[group]Create instance
    ==> web: Creating instance...
        web: Created instance: i-ID
    ##[endgroup]
    ##[group]Assign address
    ##[endgroup]
    ##[group]Stop instance
    ==> web: Stopping instance: i-ID
    ##[endgroup]
    ==> web: Creating image: web
    ##[group]Create image
        web: Created image: m-ID
    ##[endgroup]
    Build 'web' finished after DURATION.

    ==> Wait completed after DURATION

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> 0 resources left
    ##vso[task.setvariable variable=imageId;isOutput=true]m-ID
    ##vso[task.setvariable variable=imageIds;isOutput=true]{"cn-beijing":"m-ID"}
    ##vso[task.setvariable variable=images;isOutput=true][{"build":"web","type":"alicloud-ecs","region":"cn-beijing","image_id":"m-ID","image_name":"web","source_image":"aliyun_3_x64_20G_alibase_20240819.vhd","snapshot_ids":["s-ID"],"size_gib":20,"created":"TIME"}]
    ##vso[task.setvariable variable=imageName;isOutput=true]web
    ##vso[task.setvariable variable=region;isOutput=true]cn-beijing
    ##vso[task.setvariable variable=snapshotIds;isOutput=true]["s-ID"]
    ##vso[task.setvariable variable=status;isOutput=true]success
    ##vso[task.setvariable variable=buildRunId;isOutput=true]UUID
    ##vso[task.setvariable variable=leftovers;isOutput=true][]
    ##vso[task.setvariable variable=durationSeconds;isOutput=true]NUMBER
    ##vso[task.uploadsummary]DIR/alicloud-image.md
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn jenkins_gets_plain_text_and_a_file() {
    let lab = lab_on(&[("JENKINS_URL", "http://jenkins"), ("NO_COLOR", "1")]).await;
    let outcome = build(&lab).await;
    insta::assert_snapshot!(log(&outcome), @r#"
    ==> web: Checking region, image name and source image...
        web: Found source image: aliyun_3_x64_20G_alibase_20240819.vhd
    ==> web: Creating instance...
        web: Created instance: i-ID
    ==> web: Stopping instance: i-ID
    ==> web: Creating image: web
        web: Created image: m-ID
    ==> web: Deleting instance i-ID...
    Build 'web' finished after DURATION.

    ==> Wait completed after DURATION

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> 0 resources left
    "#);
    for mark in ["::group", "##", "section_", "\u{1b}"] {
        assert_eq!(lines(&outcome, mark), Vec::<&str>::new());
    }
    assert!(lab.read("image.env").contains("STATUS=success\n"));
}

/// The log without what says nothing – masks and empty variables – and without
/// what differs from run to run: numbers, and the order
/// of publishing and deleting, which happen at the same time. Control
/// characters can be seen.
fn log(outcome: &Outcome) -> String {
    let is_mask = |line: &&str| line.contains("add-mask") || line.contains("task.setsecret");
    let mut is_ending = false;
    let lines = outcome.stdout.lines().filter(|line| {
        is_ending |= line.contains("Publish image");
        is_ending &= !line.starts_with("Build 'web' finished");
        let is_empty = line.ends_with("isOutput=true]");
        !is_mask(line) && !is_ending && !is_empty
    });
    let text = scrub(&lines.collect::<Vec<_>>().join("\n"));
    let numbers = regex::Regex::new(r"(section_\w+:|durationSeconds;isOutput=true\])\d+").unwrap();
    let text = numbers.replace_all(&text, "${1}NUMBER");
    text.replace('\u{1b}', "ESC").replace('\r', "CR")
}

/// As GitHub, but that nothing reads a summary.
async fn lab_on_gitea() -> Lab {
    let mut lab = Lab::quick().await;
    lab.set("GITEA_ACTIONS", "true")
        .unset("GITHUB_STEP_SUMMARY");
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn gitea_gets_outputs_and_all_else_as_text() {
    let lab = lab_on_gitea().await;
    let outcome = build(&lab).await;
    assert!(outcome.outputs["image-id"].starts_with("m-"));
    assert_eq!(outcome.summary, "");
    insta::assert_snapshot!(log(&outcome), @r#"
    ::group::Check
    ==> web: Checking region, image name and source image...
        web: Found source image: aliyun_3_x64_20G_alibase_20240819.vhd
    ::endgroup::
    ::group::Create key pair, network and address
    ::endgroup::
    ::group::Create instance
    ==> web: Creating instance...
        web: Created instance: i-ID
    ::endgroup::
    ::group::Assign address
    ::endgroup::
    ::group::Stop instance
    ==> web: Stopping instance: i-ID
    ::endgroup::
    ==> web: Creating image: web
    ::group::Create image
        web: Created image: m-ID
    ::endgroup::
    Build 'web' finished after DURATION.

    ==> Wait completed after DURATION

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> 0 resources left
    ::notice title=Images::web: m-ID in cn-beijing
    "#);
}

fn write_web(lab: &Lab) {
    lab.write("web.json", &template::silent(json!({})).to_string());
}

/// The scripts of the Jenkinsfile: of the stage, and of `post`.
fn jenkins_scripts() -> (String, String) {
    let file = repository("examples/ci/Jenkinsfile");
    let mut scripts = file.split("sh '''").skip(1).map(|part| {
        let (script, _) = part.split_once("'''").unwrap();
        script.to_owned()
    });
    let found = (scripts.next().unwrap(), scripts.next().unwrap());
    assert_eq!(scripts.next(), None);
    found
}

async fn lab_on_jenkins() -> Lab {
    let mut lab = lab_on(&[("JENKINS_URL", "http://jenkins")]).await;
    let workspace = lab.path("").display().to_string();
    let file = repository("examples/ci/Jenkinsfile");
    let mut directory = file
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ALICLOUD_IMAGE_JOURNAL_DIR = "));
    let directory = directory.next().unwrap().trim_matches('"');
    let directory = directory.replace("${WORKSPACE}/", &workspace);
    lab.set("ALICLOUD_IMAGE_JOURNAL_DIR", &directory);
    write_web(&lab);
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jenkinsfile_builds_and_an_aborted_build_leaves_nothing() {
    let mut lab = lab_on_jenkins().await;
    let (build, cleanup) = jenkins_scripts();
    lab.finish(lab.start_script(&build)).await.success();
    assert!(lab.read("image.env").contains("IMAGE_REGION=cn-beijing\n"));
    assert!(lab.read("image.json").contains("\"status\": \"success\""));
    lab.finish(lab.start_script(&cleanup)).await.success();

    let provisioned = template::provisioned(
        template::web(json!({"image_name": "other"})),
        json!([{"type": "shell", "inline": ["sleep 600"]}]),
    );
    lab.write("web.json", &provisioned.to_string());
    let child = lab.start_script(&build);
    lab.wait_for_calls("RunInstances", 2).await;
    // Jenkins sends SIGTERM to the whole group.
    let group = i32::try_from(child.id().unwrap()).unwrap();
    let group = rustix::process::Pid::from_raw(group).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
    // It goes on at once, and kills what is alive when `post` has ended. What
    // waits for a lock waits in real time here.
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "0.2");
    lab.finish(lab.start_script(&cleanup)).await.success();
    lab.finish(child).await.failure(143);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_for_azure_builds_and_uses_the_image() {
    let mut lab = lab_on(&[("TF_BUILD", "True")]).await;
    write_web(&lab);
    let root = lab.path("").display().to_string();
    let keys = [
        lab.variable("ALICLOUD_ACCESS_KEY"),
        lab.variable("ALICLOUD_SECRET_KEY"),
    ];
    let pipeline = document(&repository("examples/ci/azure-pipelines.yml"));
    let mut outputs = std::collections::BTreeMap::new();
    let mut used = String::new();
    for step in pipeline["steps"].as_array().unwrap() {
        let Some(script) = step["script"].as_str() else {
            continue;
        };
        let value = |name: &str| match name {
            "ALICLOUD_ACCESS_KEY" => keys[0].clone(),
            "ALICLOUD_SECRET_KEY" => keys[1].clone(),
            "Build.SourcesDirectory" => root.clone(),
            name => String::clone(&outputs[name]),
        };
        let evaluate = |text: &str| replaced(text, "$(", ")", value);
        let own = map_texts(&step["env"], &evaluate);
        let journal = map_texts(&pipeline["variables"][1], &evaluate);
        lab.set(
            journal["name"].as_str().unwrap(),
            journal["value"].as_str().unwrap(),
        );
        for (name, value) in own.as_object().unwrap() {
            lab.set(name, value.as_str().unwrap());
        }
        let outcome = lab.finish(lab.start_script(script)).await.success();
        let set = lines(&outcome, "##vso[task.setvariable ").into_iter();
        outputs.extend(set.map(|line| {
            let (name, rest) = line
                .split_once("variable=")
                .unwrap()
                .1
                .split_once(';')
                .unwrap();
            let step = step["name"].as_str().unwrap_or("none");
            (
                format!("{step}.{name}"),
                rest.split_once(']').unwrap().1.to_owned(),
            )
        }));
        used += lines(&outcome, "built ").first().unwrap_or(&"");
    }
    let id = lab.sandbox.images()[0]["ImageId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(used, format!("built {id} in cn-beijing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_for_gitea_builds_and_uses_the_image() {
    let mut lab = lab_on_gitea().await;
    write_web(&lab);
    let keys = [
        lab.variable("ALICLOUD_ACCESS_KEY"),
        lab.variable("ALICLOUD_SECRET_KEY"),
    ];
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
    let workflow = document(&repository("examples/ci/gitea.yml"));
    let mut outputs = std::collections::BTreeMap::new();
    for step in workflow["jobs"]["image"]["steps"].as_array().unwrap() {
        let step = map_texts(step, &|text| {
            replaced(text, "${{", "}}", |name| match name {
                "secrets.ALICLOUD_ACCESS_KEY" => keys[0].clone(),
                "secrets.ALICLOUD_SECRET_KEY" => keys[1].clone(),
                name => String::clone(&outputs[name]),
            })
        });
        let uses = step["uses"].as_str().unwrap_or_default();
        if uses.contains("alicloud-image/alicloud-image@") {
            let outcome = lab.run_action(&step["with"]).await.success();
            let id = step["id"].as_str().unwrap_or("none");
            let named = outcome.outputs.into_iter();
            outputs
                .extend(named.map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value)));
        }
        if let Some(script) = step["run"].as_str() {
            for (name, value) in step["env"].as_object().unwrap() {
                lab.set(name, value.as_str().unwrap());
            }
            let outcome = lab.finish(lab.start_script(script)).await.success();
            let id = &outputs["steps.image.outputs.image-id"];
            assert_eq!(outcome.stdout, format!("built {id} in cn-beijing\n"));
        }
    }
}
