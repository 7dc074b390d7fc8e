//! Secrets of a run, looked for in everything that it writes.

use alicloud_image_sandbox::{AccessKey, SandboxOptions};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::plain_lab;
use crate::harness::{Lab, Outcome, quick_options};
use crate::web::{web, with_provisioners};

const SECRET_KEY: &str = "Canary+Key/9=x&y";
const VARIABLE: &str = "Canary+Variable/9=x&y";
const PASSWORD: &str = "Canary+Password/9=x&y";
const USER_DATA: &str = "#!/bin/sh\n# Canary+UserData/9=x&y of the boot\ntrue\n";

/// Ways in which a secret may turn up.
fn forms(secret: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    vec![
        secret.to_owned(),
        encoded.clone(),
        encoded.replace('+', "%20"),
        STANDARD_NO_PAD.encode(secret),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

fn canaries() -> Vec<String> {
    let line = USER_DATA.lines().nth(1).unwrap();
    [SECRET_KEY, VARIABLE, PASSWORD, USER_DATA, line]
        .into_iter()
        .flat_map(forms)
        .collect()
}

/// A template whose scripts say its secrets aloud, and then `end`.
fn talkative(end: &str) -> String {
    let say = format!(
        "echo '{{{{user `token`}}}}'; printf %s '{{{{user `token`}}}}' | base64; \
         echo '{{{{user `token`}}}}' >&2; echo '{PASSWORD}'; echo '{SECRET_KEY}'; \
         echo \"$TOKEN\"; echo '{{{{build `Password`}}}}'; {end}"
    );
    let provisioners = json!([
        {"type": "shell-local", "inline": [say], "environment_vars": ["TOKEN={{user `token`}}"]},
        {"type": "shell", "inline": [say], "environment_vars": ["TOKEN={{user `token`}}"]},
    ]);
    let options = json!({
        "access_key": "LTAI5tSandboxCanaryKey00",
        "secret_key": SECRET_KEY,
        "ssh_password": PASSWORD,
        "user_data": USER_DATA,
    });
    let mut template: Value =
        serde_json::from_str(&with_provisioners(options, &provisioners)).unwrap();
    template["variables"] = json!({"token": VARIABLE});
    template["sensitive-variables"] = json!(["token"]);
    template["post-processors"] = json!([{
        "type": "manifest",
        "output": "manifest.json",
        "custom_data": {"token": "{{user `token`}}"},
    }]);
    template.to_string()
}

fn with_canary_key() -> SandboxOptions {
    SandboxOptions {
        access_keys: vec![AccessKey::new("LTAI5tSandboxCanaryKey00", SECRET_KEY)],
        ..quick_options()
    }
}

/// Fails when a secret is anywhere a reader of the log or of files finds it.
/// GitHub swallows the lines that tell it what to mask.
fn assert_no_canary(lab: &Lab, outcome: &Outcome) {
    let shown = outcome.text();
    let shown: String = shown
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut places = vec![("output".to_owned(), shown)];
    let mut directories = vec![lab.path(".")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_template = path.ends_with("web.json");
            if path.is_dir() {
                directories.push(path);
            } else if !is_template {
                let text = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                places.push((path.display().to_string(), text));
            }
        }
    }
    for (place, text) in &places {
        for canary in canaries() {
            assert!(!text.contains(&canary), "{canary:?} is in {place}:\n{text}");
        }
    }
    let names: Vec<_> = places.iter().map(|(name, _)| name).collect();
    assert!(names.len() > 3, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_shown() {
    let ways: &[&[&str]] = &[
        &["-vvv"],
        &["-vvv", "--format=json"],
        &["-vvv", "-machine-readable"],
    ];
    for way in ways {
        let lab = Lab::with(with_canary_key()).await;
        lab.write("web.json", &talkative("true"));
        let mut arguments = vec!["build", "--output-file=results.env"];
        arguments.extend(*way);
        arguments.push("web.json");
        let outcome = lab.run(&arguments).await.success();
        assert!(outcome.text().contains("<sensitive>"));
        assert!(
            outcome.stderr.contains("RunInstances"),
            "a trace was asked for"
        );
        assert_no_canary(&lab, &outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_shown_by_failures_either() {
    let mut lab = Lab::with(with_canary_key()).await;
    lab.set("PACKER_LOG", "1");
    let template = talkative("exit 1");
    let outcome = lab
        .write("web.json", &template)
        .run(&["build", "-on-error=abort", "web.json"])
        .await
        .failure(1);
    assert_no_canary(&lab, &outcome);
    let run = outcome.outputs["build-run-id"].clone();
    lab.set("ALICLOUD_ACCESS_KEY", "LTAI5tSandboxCanaryKey00")
        .set("ALICLOUD_SECRET_KEY", SECRET_KEY);
    let outcome = lab.run(&["cleanup", "-vvv", "--run", &run]).await.success();
    assert_no_canary(&lab, &outcome);
}

#[tokio::test]
async fn secrets_on_the_command_line_of_a_bad_template_are_not_shown() {
    let lab = plain_lab().await;
    let template = web(json!({"secret_key": SECRET_KEY, "access_key": ["x"]}));
    let outcome = lab
        .write("web.json", &template)
        .run(&["validate", "web.json"])
        .await
        .failure(2);
    for form in forms(SECRET_KEY) {
        assert!(!outcome.text().contains(&form), "{}", outcome.text());
    }
}
