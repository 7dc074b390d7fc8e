//! The check run, from its beginning to its end.

use axum::http::Method;
use serde_json::{Value, json};

use super::fake::{GitHub, Trouble};
use super::{MAIN, POST, assert_warned, lab_at, run};
use crate::harness::Lab;
use crate::template;

fn check_run(github: &GitHub) -> Value {
    let world = github.world();
    assert_eq!(world.check_runs.len(), 1);
    world.check_runs.values().next().unwrap().clone()
}

/// What a post step is given of the file that the main step wrote.
fn hand_state_over(lab: &mut Lab) {
    let state = lab.read("state");
    let mut lines = state.lines();
    while let Some(head) = lines.next() {
        let (name, delimiter) = head.split_once("<<").unwrap();
        let value: Vec<_> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        lab.set(&format!("STATE_{name}"), &value.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_a_check_run() {
    let github = GitHub::start("").await;
    let mut lab = lab_at(&github, &[("check-run", "true")]).await;
    let outcome = run(&lab, MAIN).await.success();
    let changes = github.changes();
    assert_eq!(changes[0].body["status"], "in_progress");
    let head = "2222222222222222222222222222222222222222";
    assert_eq!(changes[0].body["head_sha"], head);
    let found = check_run(&github);
    assert_eq!(found["name"], "alicloud-image (template.json)");
    assert_eq!(found["status"], "completed");
    assert_eq!(found["conclusion"], "success");
    let details = format!("{}/acme/images/actions/runs/4711", github.url);
    assert_eq!(found["details_url"], details);
    let title = found["output"]["title"].as_str().unwrap();
    assert!(
        title.starts_with("alicloud-image: 1 image built in"),
        "{title}"
    );
    let summary = found["output"]["summary"].as_str().unwrap();
    assert!(summary.contains(&outcome.outputs["image-id"]), "{summary}");
    // The post step has nothing to add.
    hand_state_over(&mut lab);
    run(&lab, POST).await.success();
    assert_eq!(github.changes().len(), changes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_run_whose_id_was_lost_is_found() {
    let github = GitHub::start("").await;
    let inputs = [("command", "validate"), ("check-run", "true")];
    let lab = lab_at(&github, &inputs).await;
    github.world().lost.push((Method::POST, "/check-runs"));
    let outcome = run(&lab, MAIN).await.success();
    assert!(!outcome.stdout.contains("::warning"), "{}", outcome.shown());
    assert_eq!(check_run(&github)["conclusion"], "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_run_that_is_not_found_at_once_is_left_to_the_post_step() {
    let github = GitHub::start("").await;
    let inputs = [("command", "validate"), ("check-run", "true")];
    let mut lab = lab_at(&github, &inputs).await;
    github.world().lost.push((Method::POST, "/check-runs"));
    let refusal = Trouble {
        status: 403,
        headers: Vec::new(),
        message: "Not now",
    };
    github.trouble(Method::GET, "/check-runs", refusal);
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(&outcome, &["Cannot open a check run", "502"]);
    hand_state_over(&mut lab);
    run(&lab, POST).await.success();
    assert_eq!(check_run(&github)["conclusion"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_annotations_however_many() {
    let github = GitHub::start("").await;
    let inputs = [("command", "validate"), ("check-run", "true")];
    let lab = lab_at(&github, &inputs).await;
    let mut options = serde_json::Map::new();
    for number in 0..60 {
        options.insert(format!("nonsense_{number}"), json!(1));
    }
    lab.write_template(&template::silent(options.into()));
    let outcome = run(&lab, MAIN).await.failure(2);
    // The runner shows ten.
    let shown = outcome.stdout.lines();
    let shown = shown.filter(|line| line.starts_with("::error "));
    assert_eq!(shown.count(), 10);
    let found = check_run(&github);
    assert_eq!(found["conclusion"], "failure");
    let annotations = found["all_annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), 60);
    let first = &annotations[0];
    assert_eq!(first["path"], "template.json");
    assert_eq!(first["annotation_level"], "failure");
    assert_eq!(first["start_line"], first["end_line"]);
    assert!(first["start_column"].as_u64() <= first["end_column"].as_u64());
    let line = first["start_line"].as_u64().unwrap() as usize;
    let text = lab.read("template.json");
    assert!(text.lines().nth(line - 1).unwrap().contains("nonsense_"));
    assert_eq!(github.changes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_post_step_ends_the_check_run_of_a_killed_step() {
    let github = GitHub::start("").await;
    let mut lab = lab_at(&github, &[("check-run", "true")]).await;
    let waiting = template::provisioned(
        template::web(json!({"ssh_timeout": "1h"})),
        json!([
            {"type": "shell-local", "inline": ["touch provisioning"]},
            {"type": "sleep", "duration": "10000h"},
        ]),
    );
    lab.write_template(&waiting);
    let mut main = lab.start_as(MAIN);
    lab.wait_for_file("provisioning").await;
    lab.wait_until(
        || lab.read("state").contains("check_run"),
        "the check run's id",
    )
    .await;
    main.kill().await.unwrap();
    assert_eq!(check_run(&github)["status"], "in_progress");
    hand_state_over(&mut lab);
    let outcome = run(&lab, POST).await.success();
    assert!(
        outcome.stdout.contains("is completed"),
        "{}",
        outcome.stdout
    );
    assert_eq!(check_run(&github)["conclusion"], "cancelled");
    lab.assert_empty();
    // It died before it heard the id; somebody else's is none of its business.
    let mut foreign = check_run(&github);
    foreign["id"] = 1.into();
    foreign["external_id"] = "another".into();
    foreign["status"] = "in_progress".into();
    let key = check_run(&github)["external_id"]
        .as_str()
        .unwrap()
        .to_owned();
    github.world().check_runs.get_mut(&4000).unwrap()["status"] = "in_progress".into();
    github.world().check_runs.insert(1, foreign);
    lab.set("STATE_check_run", &format!("asked:{key}"));
    run(&lab, POST).await.success();
    let foreign = github.world().check_runs.remove(&1).unwrap();
    assert_eq!(foreign["status"], "in_progress");
    assert_eq!(check_run(&github)["status"], "completed");
    // What a killed validation leaves is nothing but the check run.
    github.world().check_runs.get_mut(&4000).unwrap()["status"] = "in_progress".into();
    lab.unset("STATE_journal");
    run(&lab, POST).await.success();
    assert_eq!(check_run(&github)["status"], "completed");
}
