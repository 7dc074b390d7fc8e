//! What GitHub is told about a run, and templates that come from it.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::template;

mod check_run;
mod comment;
mod fake;
mod remote;

use fake::{GitHub, TOKEN};

const MAIN: &str = "alicloud-image-action";
const POST: &str = "alicloud-image-post";

/// A lab whose binary runs as the action, in a workflow of pull request 7.
async fn lab_at(github: &GitHub, inputs: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::quick().await;
    let event = lab.path("event.json").display().to_string();
    lab.write("event.json", &event_of(7, 1).to_string());
    let server = github.url.trim_end_matches("/api/v3");
    for (name, value) in [
        ("GITHUB_API_URL", github.url.as_str()),
        ("GITHUB_SERVER_URL", server),
        ("GITHUB_REPOSITORY", "acme/images"),
        ("GITHUB_RUN_ID", "4711"),
        ("GITHUB_SHA", "1111111111111111111111111111111111111111"),
        ("GITHUB_WORKFLOW", "CI"),
        ("GITHUB_JOB", "image"),
        ("GITHUB_EVENT_PATH", &event),
        ("INPUT_TEMPLATE", "template.json"),
        ("INPUT_GITHUB-TOKEN", TOKEN),
    ] {
        lab.set(name, value);
    }
    for (name, value) in inputs {
        lab.set(&format!("INPUT_{}", name.to_uppercase()), value);
    }
    lab.write_template(&template::silent(json!({})));
    lab
}

/// A pull request from a repository with this id; the workflow's has 1.
fn event_of(number: u64, head_repository: u64) -> Value {
    json!({"pull_request": {
        "number": number,
        "head": {
            "sha": "2222222222222222222222222222222222222222",
            "repo": {"id": head_repository},
        },
        "base": {"repo": {"id": 1}},
    }})
}

async fn run(lab: &Lab, program: &str) -> Outcome {
    let child = lab.start_as(program);
    let outcome = lab.finish(child).await;
    let shown = outcome.text();
    let told = shown
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"));
    assert!(!told.collect::<String>().contains(TOKEN), "{shown}");
    outcome
}

#[track_caller]
fn assert_warned(outcome: &Outcome, parts: &[&str]) {
    let lines = outcome.stdout.lines();
    let mut warnings = lines.filter(|line| line.starts_with("::warning "));
    let is_whole = |warning: &str| parts.iter().all(|part| warning.contains(part));
    assert!(warnings.any(is_whole), "{parts:?} in {}", outcome.shown());
}
