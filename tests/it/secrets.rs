//! Canaries: a secret of its own in every secret input, and a search for each
//! of them in everything that leaves the program.

use std::collections::BTreeMap;

use alicloud_image::communicator::ssh::key::KeyPair;
use alicloud_image::plan::communicator::KeyType;
use alicloud_image_sandbox::{AccessKey, SandboxOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::{Lab, Outcome, guests, options, quick_options};
use crate::template::{builder, provisioned, silent, template, web};

/// The secrets of a run by the input they came from. Each has characters that
/// look different in URLs.
struct Canaries(BTreeMap<&'static str, String>);

impl Canaries {
    fn new() -> Self {
        let names = [
            "access-key-secret",
            "other-secret",
            "other-token",
            "runtime-token",
            "github-token",
            "request-token",
            "job-token",
            "oidc-token",
            "input",
            "password",
            "user-data",
            "variable",
            "inherited",
        ];
        let canary = |name| {
            let unique = uuid::Uuid::new_v4().simple().to_string();
            (name, format!("Canary+{}/9", &unique[..16]))
        };
        Self(names.map(canary).into())
    }

    fn of(&self, input: &str) -> &str {
        &self.0[input]
    }

    /// Which of them are in a text, in clear or in a form that is easily
    /// reversed.
    fn found_in(&self, text: &str) -> Vec<&str> {
        let is_there = |canary: &String| {
            let in_url = canary.replace('+', "%2B").replace('/', "%2F");
            let echoed = STANDARD.encode(format!("{canary}\n"));
            // In the midst of a text, three bytes begin at any of three places.
            let inside = ["", "x", "xx"].map(|before| {
                let whole = STANDARD.encode(format!("{before}{canary}"));
                whole[4..whole.len() - 4].to_owned()
            });
            let forms = [canary.clone(), STANDARD.encode(canary), echoed, in_url];
            let mut forms = forms.iter().chain(&inside);
            forms.any(|form| text.contains(form.as_str()))
        };
        let found = self.0.iter().filter(|(_, canary)| is_there(canary));
        found.map(|(input, _)| *input).collect()
    }
}

async fn lab(canaries: &Canaries, options: SandboxOptions) -> Lab {
    let key = AccessKey::new("LTAI5tCanary", canaries.of("access-key-secret"));
    let mut lab = Lab::with(SandboxOptions {
        access_keys: vec![key],
        ..options
    })
    .await;
    lab.set("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI5tOtherCanary")
        .set(
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            canaries.of("other-secret"),
        )
        .set("ALIBABA_CLOUD_SECURITY_TOKEN", canaries.of("other-token"))
        .set("ACTIONS_RUNTIME_TOKEN", canaries.of("runtime-token"))
        .set("ALICLOUD_IMAGE_GITHUB_TOKEN", canaries.of("github-token"))
        .set(
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            canaries.of("request-token"),
        )
        .set("CI_JOB_TOKEN", canaries.of("job-token"))
        .set("ALIBABA_CLOUD_OIDC_TOKEN", canaries.of("oidc-token"))
        .set("INPUT_ACCESS-KEY-SECRET", canaries.of("input"))
        .set("INHERITED", canaries.of("inherited"));
    let variables = json!({"token": canaries.of("variable")});
    lab.write("secret.json", &variables.to_string());
    let mut template = provisioned(
        web(json!({
            "ssh_password": canaries.of("password"),
            "ssh_timeout": "1h",
            "user_data": format!("#!/bin/sh\n# {}", canaries.of("user-data")),
            // No place for a secret, and yet people put them there.
            "image_description": "made with {{user `token`}}",
        })),
        json!([
            {"type": "shell", "inline": [
                "echo 'It is {{user `token`}}, and {{user `inherited`}}'",
                "printf %s '{{user `token`}}' | base64",
                "echo '{{user `token`}}' | base64",
                "echo 'to stderr: {{user `token`}}' >&2",
            ]},
            {"type": "shell-local", "inline": [
                "env > child-environment",
                "cat /proc/[0-9]*/cmdline > processes 2> /dev/null || true",
                "cat journals/* > journal",
                "echo 'locally {{user `token`}}'",
                "printf '%s' 'user:{{user `token`}}' | base64 -w0",
            ]},
        ]),
    );
    template["variables"] = json!({"token": null, "inherited": "{{env `INHERITED`}}"});
    template["sensitive-variables"] = json!(["token", "inherited"]);
    template["post-processors"] = json!([{"type": "manifest"}]);
    lab.write_template(&template);
    lab
}

/// Everything the run gave to anyone.
fn everything(lab: &Lab, outcome: &Outcome) -> Vec<(String, String)> {
    let files = [
        "outputs",
        "state",
        "summary.md",
        "image.env",
        "packer-manifest.json",
        "journal",
        "child-environment",
        "processes",
    ];
    let read = |name: &str| {
        let bytes = std::fs::read(lab.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (
            name.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    };
    // What masks secrets has to say them; the runner does not show these lines.
    let shown = outcome.stdout.lines();
    let shown = shown.filter(|line| !line.starts_with("::add-mask::"));
    let streams = [
        ("stdout", shown.collect::<Vec<_>>().join("\n")),
        ("stderr", outcome.stderr.clone()),
    ];
    let streams = streams.map(|(name, text)| (name.to_owned(), text));
    streams.into_iter().chain(files.map(read)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_program() {
    let canaries = Canaries::new();
    let machines = guests();
    let lab = lab(
        &canaries,
        SandboxOptions {
            machines,
            ..options()
        },
    )
    .await;
    let arguments = [
        "build",
        "-vvv",
        "-var-file=secret.json",
        "--output-file=image.env",
        "template.json",
    ];
    let outcome = lab.run(&arguments).await.success();
    let said = "It is <sensitive>, and <sensitive>";
    assert!(outcome.stdout.contains(said), "{}", outcome.shown());
    let is_traced = outcome.stderr.contains("TRACE") && outcome.stderr.contains("RunInstances");
    assert!(is_traced, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("Description=made with <sensitive>"));
    for (place, text) in everything(&lab, &outcome) {
        assert!(!text.is_empty(), "{place} is empty");
        let mut found = canaries.found_in(&text);
        // A variable of the job is the job's: its scripts see it as always.
        found.retain(|input| (*input, place.as_str()) != ("inherited", "child-environment"));
        assert_eq!(found, Vec::<&str>::new(), "{place}: {text}");
        assert!(!text.contains("PRIVATE KEY"), "the temporary key: {place}");
    }
    let sent = lab.call("RunInstances").params;
    assert_eq!(sent["Password"], canaries.of("password"));
}

/// Only GitHub and Azure can be told of a secret; what is told them is not
/// shown.
#[tokio::test(flavor = "multi_thread")]
async fn other_ci_systems_are_told_no_secret() {
    let canaries = Canaries::new();
    for (variable, value) in [
        ("HOME", "."),
        ("JENKINS_URL", "http://jenkins"),
        ("GITLAB_CI", "true"),
        ("TF_BUILD", "True"),
    ] {
        let mut lab = lab(&canaries, quick_options()).await;
        for (name, file) in [
            ("ALICLOUD_IMAGE_LINKS", "links.json"),
            ("ALICLOUD_IMAGE_CODE_QUALITY", "quality.json"),
            ("AGENT_TEMPDIRECTORY", "."),
        ] {
            let path = lab.path(file).display().to_string();
            lab.set(name, &path);
        }
        lab.unset("GITHUB_ACTIONS").set(variable, value);
        let arguments = [
            "build",
            "-vvv",
            "-var-file=secret.json",
            "--output-file=image.env",
            "--output-file=image.json",
            "--manifest=made.json",
            "template.json",
        ];
        let outcome = lab.run(&arguments).await.success();
        assert!(
            outcome.stdout.contains("locally <sensitive>"),
            "{}",
            outcome.stdout
        );
        let is_mask = |line: &&str| line.starts_with("##vso[task.setsecret]");
        let shown = outcome.stdout.lines().filter(|line| !is_mask(line));
        let mut told = shown.collect::<Vec<_>>().join("\n") + &outcome.stderr;
        for file in [
            "image.env",
            "image.json",
            "made.json",
            "packer-manifest.json",
            "journal",
        ] {
            told += &lab.read(file);
        }
        for file in ["links.json", "quality.json", "alicloud-image.md"] {
            told += &std::fs::read_to_string(lab.path(file)).unwrap_or_default();
        }
        assert_eq!(
            canaries.found_in(&told),
            Vec::<&str>::new(),
            "{value}: {told}"
        );
    }
}

#[test]
fn canaries_are_found_in_every_form() {
    let canaries = Canaries::new();
    let canary = canaries.of("password");
    let in_url = canary.replace('+', "%2B").replace('/', "%2F");
    let basic = STANDARD.encode(format!("user:{canary}@host"));
    for text in [canary, &STANDARD.encode(canary), &in_url, &basic] {
        assert_eq!(canaries.found_in(&format!("x{text}y")), ["password"]);
    }
}

/// What a run gave to anyone, but for the lines that have secrets masked.
fn shown(outcome: &Outcome, lab: &Lab) -> String {
    let text = outcome.text();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"));
    let files = ["outputs", "state", "summary.md", "journal"];
    let files = files.map(|name| std::fs::read_to_string(lab.path(name)).unwrap_or_default());
    format!(
        "{}\n{}",
        lines.collect::<Vec<_>>().join("\n"),
        files.join("\n")
    )
}

const COPY_JOURNAL: &str = "cat journals/* > journal; env > environment";

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_fetched_stay_inside() {
    let lab = Lab::quick().await;
    let role =
        json!({"ram_role_arn": "acs:ram::1234567890123456:role/builder", "ssh_timeout": "1h"});
    let provisioners = json!([{"type": "shell-local", "inline": [COPY_JOURNAL]}]);
    lab.write_template(&provisioned(web(role), provisioners));
    let outcome = lab.run(&["build", "-vv", "template.json"]).await.success();
    assert!(outcome.stderr.contains("AssumeRole"), "it is traced");
    let secrets = lab.sandbox.session_secrets();
    assert_eq!(secrets.len(), 2, "one session");
    let canaries = Canaries(["secret", "token"].into_iter().zip(secrets).collect());
    let text = shown(&outcome, &lab) + &lab.read("environment");
    assert_eq!(canaries.found_in(&text), Vec::<&str>::new(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_windows_stays_inside() {
    let lab = Lab::quick().await;
    let canaries = Canaries::new();
    let user_data = format!(
        "[powershell]\nwinrm quickconfig -q\n# {}",
        canaries.of("user-data")
    );
    let mut template = web(json!({
        "source_image": "win2022_21H2_x64_dtc_en-us_40G_alibase_20250917.vhd",
        "communicator": "winrm",
        "winrm_username": "Administrator",
        "winrm_password": canaries.of("password"),
        "winrm_use_ntlm": true,
        "winrm_timeout": "1h",
        "user_data": user_data,
    }));
    template["builders"][0]
        .as_object_mut()
        .unwrap()
        .remove("ssh_username");
    let password = "{{build `Password`}}";
    let provisioners = json!([
        {"type": "shell-local", "inline": [COPY_JOURNAL, format!("echo 'It is {password}'")]},
        {"type": "powershell", "inline": [format!("Write-Output 'It is {password}'")]},
    ]);
    lab.write_template(&provisioned(template, provisioners));
    let outcome = lab.run(&["build", "-vv", "template.json"]).await.success();
    assert!(
        outcome.stdout.contains("It is <sensitive>"),
        "{}",
        outcome.shown()
    );
    let text = shown(&outcome, &lab);
    assert_eq!(canaries.found_in(&text), Vec::<&str>::new(), "{text}");
    assert_eq!(
        lab.call("RunInstances").params["Password"],
        canaries.of("password")
    );
}

/// The canaries of these names alone.
fn canaries_of(names: &[&'static str]) -> Canaries {
    let fresh = Canaries::new();
    let mut spare = fresh.0.into_values();
    let pairs = names.iter().map(|name| (*name, spare.next().unwrap()));
    Canaries(pairs.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_the_action_stay_inside() {
    let canaries = canaries_of(&["access-key-secret", "github-token", "variable"]);
    let key = AccessKey::new("LTAI5tCanary", canaries.of("access-key-secret"));
    let mut lab = Lab::with(SandboxOptions {
        access_keys: vec![key],
        ..quick_options()
    })
    .await;
    for variable in ["ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY"] {
        lab.unset(variable);
    }
    let look = "env > environment; cat /proc/[0-9]*/cmdline > processes 2> /dev/null || true";
    let provisioners = json!([{"type": "shell-local", "inline": [
        look, COPY_JOURNAL, "printf %s 'it is {{user `token`}}' | base64",
    ]}]);
    let mut template = provisioned(silent(json!({})), provisioners);
    template["variables"] = json!({"token": ""});
    template["sensitive-variables"] = json!(["token"]);
    lab.write_template(&template);
    let inputs = json!({
        "template": "template.json",
        "access-key-id": "LTAI5tCanary",
        "access-key-secret": canaries.of("access-key-secret"),
        "github-token": canaries.of("github-token"),
        "vars": format!("token={}", canaries.of("variable")),
        "log-level": "trace",
    });
    let outcome = lab.run_action(&inputs).await.success();
    let mut text = shown(&outcome, &lab);
    for file in ["environment", "alicloud-image-manifest.json"] {
        text += &lab.read(file);
    }
    text += &String::from_utf8_lossy(&std::fs::read(lab.path("processes")).unwrap());
    assert_eq!(canaries.found_in(&text), Vec::<&str>::new(), "{text}");
}

/// A template whose secret options are canaries, which are all in tags, too.
fn secretive(canaries: &Canaries) -> serde_json::Value {
    let with = |mut options: serde_json::Value, names: &[&str]| {
        for name in names {
            options[name] = json!(canaries.of(name));
        }
        for (name, canary) in &canaries.0 {
            options["tags"][name] = json!(canary);
        }
        options
    };
    let bastion = json!({
        "access_key": "LTAI5tCanary",
        "ssh_bastion_host": "127.0.0.1", "ssh_bastion_username": "x",
    });
    let keys = ["secret_key", "security_token", "user_data"];
    let names = [&keys[..], &["ssh_password", "ssh_bastion_password"]].concat();
    let proxy = json!({"ssh_proxy_host": "127.0.0.1", "ssh_proxy_username": "x"});
    let windows = json!({"communicator": "winrm", "winrm_username": "x"});
    let mut template = template(&[
        builder("bastion", with(bastion, &names)),
        builder("proxy", with(proxy, &["ssh_proxy_password"])),
        builder("windows", with(windows, &["winrm_password"])),
    ]);
    let disk = json!({
        "type": "qemu", "name": "disk", "iso_url": "disk.img", "iso_checksum": "none",
        "disk_image": true, "communicator": "none",
    });
    template["builders"].as_array_mut().unwrap().push(disk);
    template["provisioners"] = json!([{
        "type": "powershell", "only": ["windows"], "inline": ["x"],
        "elevated_user": "x", "elevated_password": canaries.of("elevated_password"),
    }]);
    template["post-processors"] = json!([{
        "type": "alicloud-import", "only": ["disk"], "region": "cn-beijing",
        "image_name": "imported", "oss_bucket_name": "images",
        "access_key": "LTAI5tCanary", "secret_key": canaries.of("import"),
    }]);
    template
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_at_a_template_shows_none_of_its_secrets() {
    let canaries = canaries_of(&[
        "secret_key",
        "security_token",
        "user_data",
        "ssh_password",
        "ssh_bastion_password",
        "ssh_proxy_password",
        "winrm_password",
        "elevated_password",
        "import",
    ]);
    let lab = Lab::quick().await;
    lab.write_template(&secretive(&canaries));
    lab.write("disk.img", "");
    for command in ["inspect", "plan", "policy", "validate", "matrix"] {
        let outcome = lab.run(&[command, "template.json"]).await.success();
        let text = shown(&outcome, &lab);
        let found = canaries.found_in(&text);
        assert_eq!(found, Vec::<&str>::new(), "{command}: {text}");
        let is_told = outcome.stdout.contains("<sensitive>");
        assert_eq!(is_told, command == "plan", "{command}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_key_stays_inside() {
    let key = KeyPair::generate(KeyType::Ed25519).unwrap();
    let lab = Lab::quick().await;
    lab.write("id", key.private.expose());
    let options = json!({"ssh_private_key_file": "id", "ssh_timeout": "2m"});
    lab.write_template(&web(options));
    let outcome = lab
        .run(&["build", "-vvv", "template.json"])
        .await
        .failure(1);
    let text = shown(&outcome, &lab);
    for line in key.private.expose().lines().filter(|line| line.len() > 20) {
        assert!(line.starts_with("-----") || !text.contains(line), "{text}");
    }
}
