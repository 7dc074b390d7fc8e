//! A template spread over jobs, and their results joined.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::pipeline::{blocks, document, map_texts, replaced, repository};
use crate::template;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Two builds that are made wherever they are told to.
fn two_builds() -> Value {
    let build = |name: &str| {
        let mut build = template::builder(name, json!({"communicator": "none"}));
        build.as_object_mut().unwrap().remove("region");
        build
    };
    template::template(&[build("web"), build("db")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_has_a_leg_for_each_build_and_region() {
    let lab = Lab::quick().await;
    lab.write_template(&two_builds());
    let regions = "--regions=cn-beijing,cn-hangzhou";
    let outcome = lab
        .run(&["matrix", regions, "template.json"])
        .await
        .success();
    let matrix = parsed(&outcome.stdout);
    let legs = matrix["include"].as_array().unwrap().iter();
    let legs: Vec<_> = legs.map(|leg| leg["id"].as_str().unwrap()).collect();
    assert_eq!(
        legs,
        [
            "web-cn-beijing",
            "web-cn-hangzhou",
            "db-cn-beijing",
            "db-cn-hangzhou"
        ]
    );
    assert_eq!(
        matrix["include"][3],
        json!({"build": "db", "type": "alicloud-ecs", "region": "cn-hangzhou", "id": "db-cn-hangzhou"})
    );
    assert_eq!(parsed(&outcome.outputs["matrix"]), matrix);
    let one = lab
        .run(&["matrix", regions, "-only=db", "template.json"])
        .await
        .success();
    assert_eq!(parsed(&one.stdout)["include"].as_array().unwrap().len(), 2);
    assert!(lab.sandbox.calls().is_empty(), "a matrix makes no calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_the_template_fixes_is_no_other_one() {
    let lab = Lab::quick().await;
    lab.write_template(&template::silent(json!({})));
    let fixed = lab.run(&["matrix", "template.json"]).await.success();
    assert_eq!(parsed(&fixed.stdout)["include"][0]["region"], "cn-beijing");
    let other = ["matrix", "--regions=cn-hangzhou", "template.json"];
    let refused = lab.run(&other).await.failure(2);
    insta::assert_snapshot!(refused.end(), @r#"
    Error: Build `web` is made in cn-beijing, not in cn-hangzhou
     --> template.json:6:17
      |
    6 |       "region": "cn-beijing",
      |                 ^^^^^^^^^^^^

    hint: Take `region` out of the template, or read it from a variable and name that with `--region-variable`
    "#);
    let mut variable = template::silent(json!({"region": "{{user `region`}}"}));
    variable["variables"] = json!({"region": ""});
    lab.write_template(&variable);
    let read = [
        "matrix",
        "--regions=cn-beijing,cn-hangzhou",
        "--region-variable=region",
        "template.json",
    ];
    let legs = parsed(&lab.run(&read).await.success().stdout);
    assert_eq!(legs["include"][1]["region"], "cn-hangzhou");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_finds_what_validate_finds() {
    let lab = Lab::quick().await;
    let mut wrong = two_builds();
    wrong["builders"][1]["image_nam"] = json!("db");
    wrong["builders"][0]["zone_id"] = json!("cn-beijing-b");
    lab.write_template(&wrong);
    let outcome = lab
        .run(&["matrix", "--regions=cn-hangzhou", "template.json"])
        .await
        .failure(2);
    assert_eq!(outcome.stdout, "");
    for what in [
        "`image_nam`",
        "is not in region `cn-hangzhou`",
        "The template has 1 error",
    ] {
        assert!(outcome.stderr.contains(what), "{what}\n{}", outcome.stderr);
    }
    lab.run(&["matrix", "-only=nothing", "template.json"])
        .await
        .failure(4);
}

/// What the legs of `two_builds` in cn-beijing wrote below `legs`.
async fn run_legs(lab: &Lab) {
    for leg in ["web", "db"] {
        std::fs::create_dir_all(lab.path("legs").join(leg)).unwrap();
        let only = format!("-only={leg}");
        let file = format!("--output-file=legs/{leg}/{leg}.json");
        lab.run(&["build", &only, &file, "template.json"])
            .await
            .success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_legs_results_become_one() {
    let mut lab = Lab::quick().await;
    lab.set("ALICLOUD_REGION", "cn-beijing")
        .write_template(&two_builds());
    let matrix = lab.run(&["matrix", "template.json"]).await.success();
    lab.write("matrix.json", &matrix.stdout);
    run_legs(&lab).await;
    std::fs::remove_file(lab.path("summary.md")).unwrap();
    let merged = lab
        .run(&[
            "merge",
            "--expect=matrix.json",
            "--manifest=manifest.json",
            "--output-file=all.json",
            "--output-file=all.env",
            "legs",
        ])
        .await
        .success();
    let images = parsed(&merged.outputs["images"]);
    assert_eq!(images[0]["build"], "web");
    assert_eq!(images[1]["build"], "db");
    let id = images[0]["image_id"].as_str().unwrap();
    assert_eq!(merged.outputs["image-id"], id);
    assert_eq!(merged.outputs["status"], "success");
    assert!(
        merged.summary.contains("alicloud-image: 2 images built in"),
        "{}",
        merged.summary
    );
    let manifest = parsed(&lab.read("manifest.json"));
    assert_eq!(
        manifest["builds"][0]["artifact_id"],
        format!("cn-beijing:{id}")
    );
    assert_eq!(
        manifest["last_run_uuid"],
        manifest["builds"][1]["packer_run_uuid"]
    );
    assert!(
        lab.read("all.env")
            .contains(&format!("IMAGE_ID={id}\nIMAGE_NAME=web\n"))
    );
    let all = parsed(&lab.read("all.json"));
    assert_eq!(
        (&all["images"], &all["image_id"]),
        (&images, &images[0]["image_id"])
    );
    let again = lab.run(&["merge", "all.json"]).await.success();
    assert_eq!(parsed(&again.outputs["images"]), images);
    insta::assert_snapshot!(merged.shown(), @r#"

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID
    --> db: Alicloud images were created:

    cn-beijing: m-ID
    ::notice title=Images::web: m-ID in cn-beijing; db: m-ID in cn-beijing
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_without_a_result_makes_it_partial() {
    let mut lab = Lab::quick().await;
    lab.set("ALICLOUD_REGION", "cn-beijing")
        .write_template(&two_builds());
    run_legs(&lab).await;
    let matrix = lab.run(&["matrix", "template.json"]).await.success();
    let expect = format!("--expect={}", matrix.stdout);
    std::fs::remove_file(lab.path("legs/db/db.json")).unwrap();
    let partial = lab.run(&["merge", &expect, "legs"]).await.failure(5);
    assert_eq!(partial.outputs["status"], "partial");
    assert_eq!(
        parsed(&partial.outputs["images"]).as_array().unwrap().len(),
        1
    );
    let line = "--> db: There is no result: its job was cancelled, or failed early";
    assert!(partial.stdout.contains(line), "{}", partial.stdout);
    std::fs::remove_file(lab.path("legs/web/web.json")).unwrap();
    let nothing = lab.run(&["merge", &expect, "legs"]).await.failure(1);
    assert_eq!(nothing.outputs["status"], "failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_that_was_killed_is_told_from_one_without_a_result() {
    let lab = Lab::quick().await;
    let provisioned = template::provisioned(
        template::web(json!({})),
        json!([{"type": "shell", "inline": ["sleep 600"]}]),
    );
    lab.write_template(&provisioned);
    let mut child = lab.start(&["build", "--output-file=web.json", "template.json"]);
    lab.wait_for_call("RunInstances").await;
    child.kill().await.unwrap();
    let outcome = lab.run(&["merge", "web.json"]).await.failure(1);
    let line = "--> web: Its run was killed before it ended";
    assert!(outcome.stdout.contains(line), "{}", outcome.stdout);
    let journals = lab.path("journals").display().to_string();
    lab.run(&["cleanup", "--journal", &journals])
        .await
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_joined_are_named() {
    let lab = Lab::quick().await;
    let result = |id: &str| {
        let image = json!({
            "build": "web", "type": "alicloud-ecs", "region": "cn-a", "image_id": id,
            "image_name": "web", "source_image": "s", "snapshot_ids": [], "size_gib": 40,
            "created": "2026-11-22T08:00:00Z",
        });
        json!({"build_run_id": "r", "images": [image]}).to_string()
    };
    lab.write("a.json", &result("m-1"))
        .write("b.json", &result("m-2"));
    lab.write("other.json", "{}").write("broken.json", "{");
    let table: [(&[&str], &str); 4] = [
        (
            &["a.json", "b.json"],
            "Build `web` has two images in cn-a: m-1 in `a.json` and m-2 in `b.json`",
        ),
        (
            &["other.json"],
            "`other.json` is neither a result nor a manifest",
        ),
        (
            &["broken.json"],
            "`broken.json` is neither a result nor a manifest",
        ),
        (&["nowhere.json"], "Cannot read `nowhere.json`"),
    ];
    for (files, message) in table {
        let mut arguments = vec!["merge"];
        arguments.extend(files);
        let outcome = lab.run(&arguments).await.failure(2);
        assert!(
            outcome.text().contains(message),
            "{message}\n{}",
            outcome.text()
        );
    }
}

/// The reusable workflow, called with these inputs.
struct Workflow {
    definition: Value,
    inputs: Value,
}

impl Workflow {
    fn called_with(inputs: Value) -> Self {
        let definition = document(&repository(".github/workflows/build-images.yml"));
        let declared = &definition["on"]["workflow_call"]["inputs"];
        for (name, _) in inputs.as_object().unwrap() {
            assert!(declared.get(name).is_some(), "unknown input {name}");
        }
        Self { definition, inputs }
    }

    /// The steps of a job that use this action.
    fn action_step(&self, job: &str) -> &Value {
        let steps = self.definition["jobs"][job]["steps"].as_array().unwrap();
        let is_ours = |step: &&Value| step["uses"] == "./.alicloud-image-action";
        steps.iter().find(is_ours).unwrap()
    }

    fn input(&self, name: &str) -> String {
        let declared = &self.definition["on"]["workflow_call"]["inputs"][name];
        assert!(declared.is_object(), "input {name} is declared");
        let value = self.inputs.get(name).unwrap_or(&declared["default"]);
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// What GitHub makes of the expressions in a value.
    fn evaluated(&self, value: &Value, matrix: &str, leg: &Value) -> Value {
        map_texts(value, &|text| {
            replaced(text, "${{", "}}", |expression| {
                let (context, name) = expression.split_once('.').unwrap();
                match (context, name) {
                    (
                        "inputs",
                        "region-variable != '' && format('{0}={1}', inputs.region-variable, matrix.region) || ''",
                    ) => String::new(),
                    ("inputs", name) => self.input(name),
                    ("matrix", name) => leg[name].as_str().unwrap().to_owned(),
                    ("needs", "matrix.outputs.matrix") => matrix.to_owned(),
                    ("secrets", _) => String::new(),
                    _ => panic!("unknown expression {expression}"),
                }
            })
        })
    }

    async fn run(&self, lab: &Lab, job: &str, matrix: &str, leg: &Value) -> Outcome {
        let with = self.evaluated(&self.action_step(job)["with"], matrix, leg);
        lab.run_action(&with).await.success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reusable_workflow_spreads_and_merges() {
    let lab = Lab::quick().await;
    std::fs::create_dir(lab.path("infra")).unwrap();
    lab.write("infra/web.json", &two_builds().to_string());
    let page = document(&blocks("docs/fan-out.md", "## GitHub", "yaml")[0]);
    let mut inputs = page["jobs"]["images"]["with"].clone();
    inputs["working-directory"] = "infra".into();
    inputs["only"] = "web".into();
    inputs["artifact"] = "images".into();
    // The lab's environment has keys.
    inputs["role-to-assume"] = "".into();
    inputs["oidc-provider-arn"] = "".into();
    let workflow = Workflow::called_with(inputs);
    let planned = workflow.run(&lab, "matrix", "", &Value::Null).await;
    let matrix = &planned.outputs["matrix"];
    let steps = workflow.definition["jobs"]["build"]["steps"]
        .as_array()
        .unwrap();
    let upload = &steps.last().unwrap()["with"];
    let download = &workflow.definition["jobs"]["merge"]["steps"][0]["with"]["pattern"];
    let pattern = workflow.evaluated(download, matrix, &Value::Null);
    let start = pattern.as_str().unwrap().strip_suffix('*').unwrap();
    let glob = |name: &str| name.starts_with(start);
    for leg in parsed(matrix)["include"].as_array().unwrap() {
        workflow.run(&lab, "build", matrix, leg).await;
        let upload = workflow.evaluated(upload, matrix, leg);
        let name = upload["name"].as_str().unwrap();
        // Another call of the workflow has other legs.
        assert!(
            glob(name) && !glob(&name.replace("images", "images-2")),
            "{name}"
        );
        let artifact = format!("legs/{name}");
        std::fs::create_dir_all(lab.path(&artifact)).unwrap();
        let file = lab.path(upload["path"].as_str().unwrap());
        std::fs::rename(file, lab.path(&artifact).join("leg.json")).unwrap();
    }
    let merged = workflow.run(&lab, "merge", matrix, &Value::Null).await;
    let ids = parsed(&merged.outputs["image-ids"]);
    assert_eq!(ids.as_object().unwrap().len(), 2, "{ids}");
    assert_eq!(merged.outputs["status"], "success");
    let manifest = &merged.outputs["manifest-path"];
    assert_eq!(
        parsed(&lab.read(manifest))["builds"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let declared = workflow.definition["jobs"]["merge"]["outputs"]
        .as_object()
        .unwrap();
    for name in declared.keys() {
        assert!(merged.outputs.contains_key(name), "{name}");
    }
}
