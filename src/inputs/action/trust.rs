//! Whether the code of a job may come from somebody who cannot write to the
//! repository: a pull request from a fork.
//!
//! Facts: GitHub's pages on events that trigger workflows and on webhook
//! payloads. What cannot be found out counts as a stranger's.

use serde_json::Value;

use crate::inputs::Environment;

/// Says so for the job that this process is a step of.
pub(super) fn is_of_stranger(environment: &Environment) -> bool {
    let event = environment.get("GITHUB_EVENT_NAME").unwrap_or_default();
    let part = match event {
        "workflow_run" => "workflow_run",
        _ if event.starts_with("pull_request") => "pull_request",
        _ => return false,
    };
    let payload = environment.path("GITHUB_EVENT_PATH");
    let payload = payload.and_then(|path| std::fs::read(path).ok());
    let payload: Option<Value> = payload.and_then(|text| serde_json::from_slice(&text).ok());
    payload.is_none_or(|payload| comes_from_fork(&payload, part))
}

/// A fork that was deleted since has no name.
fn comes_from_fork(payload: &Value, part: &str) -> bool {
    let head = match part {
        "workflow_run" => &payload[part]["head_repository"],
        _ => &payload[part]["head"]["repo"],
    };
    let ours = payload["repository"]["full_name"].as_str();
    let theirs = head["full_name"].as_str();
    theirs.is_none() || ours.is_none() || theirs != ours
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_of_stranger_with(event: &str, payload: &Value) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), payload.to_string()).unwrap();
        let path = file.path().to_str().unwrap();
        is_of_stranger(&Environment::of([
            ("GITHUB_EVENT_NAME", event),
            ("GITHUB_EVENT_PATH", path),
        ]))
    }

    #[test]
    fn forks_are_strangers() {
        let repository = json!({"full_name": "team/images"});
        let from = |head: Value| json!({"repository": repository, "pull_request": {"head": {"repo": head}}});
        let ours = from(repository.clone());
        let fork = from(json!({"full_name": "stranger/images"}));
        let deleted = from(Value::Null);
        let run = |head: &str| json!({"repository": repository, "workflow_run": {"head_repository": {"full_name": head}}});
        let table = [
            ("push", &fork, false),
            ("schedule", &json!({}), false),
            ("pull_request", &ours, false),
            ("pull_request", &fork, true),
            ("pull_request", &deleted, true),
            ("pull_request", &json!([]), true),
            ("pull_request_target", &fork, true),
            ("pull_request_target", &ours, false),
            ("workflow_run", &run("team/images"), false),
            ("workflow_run", &run("stranger/images"), true),
        ];
        for (event, payload, is_strange) in table {
            let found = is_of_stranger_with(event, payload);
            assert_eq!(found, is_strange, "{event} {payload}");
        }
        let without_payload = Environment::of([("GITHUB_EVENT_NAME", "pull_request")]);
        assert!(is_of_stranger(&without_payload));
    }
}
