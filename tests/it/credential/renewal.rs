//! Keys that end before the run does.

use std::sync::Arc;
use std::time::Duration;

use alicloud_image_sandbox::guest::Confinement;
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::{MetadataOptions, SandboxOptions, SeedBucket};
use serde_json::json;

use super::{ROLE, answer_of, assert_hidden, github, jwt, on_an_instance, set_oidc, without_keys};
use crate::harness::{Lab, TIME_SCALE, options, quick_options};
use crate::template;

/// Scripted machines and the times of the real cloud, two minutes for a
/// build, with sessions that live for one.
fn short_sessions() -> SandboxOptions {
    SandboxOptions {
        machines: Arc::new(Guests {
            confinement: Confinement::Scripted,
            time_scale: TIME_SCALE,
            powershell: None,
        }),
        metadata: MetadataOptions {
            role: Some("builder".to_owned()),
            ..MetadataOptions::default()
        },
        session_life: Some(Duration::from_secs(60)),
        ..options()
    }
}

/// The keys that have signed calls.
fn callers(lab: &Lab) -> Vec<String> {
    let calls = lab.sandbox.calls().into_iter();
    let signed = calls.filter(|call| !call.access_key_id.is_empty());
    let mut callers: Vec<_> = signed.map(|call| call.access_key_id).collect();
    callers.sort();
    callers.dedup();
    callers
}

#[tokio::test]
async fn keys_that_live_a_minute_serve_a_build_of_two() {
    let lab = without_keys(short_sessions()).await;
    lab.write_template(&template::web(json!({
        "ram_role_name": "builder",
        "ssh_timeout": "1h",
    })));
    lab.run(&["build", "template.json"]).await.success();
    let callers = callers(&lab);
    assert!(callers.len() >= 3, "{callers:?}");
    // However many ask at once, one fetches for all.
    let asked = lab.sandbox.metadata_requests().len();
    assert_eq!(asked, 2 * callers.len(), "token and keys for each");
    // They are renewed before they end, not because they were refused.
    let calls = lab.sandbox.calls().into_iter();
    let failed: Vec<_> = calls.filter(|call| call.code.contains("Token")).collect();
    assert_eq!(failed.len(), 0, "{failed:#?}");
}

#[tokio::test]
async fn a_token_is_minted_for_each_session_of_a_long_build() {
    let mut lab = without_keys(short_sessions()).await;
    set_oidc(&mut lab);
    let minted = github(&mut lab).await;
    lab.write_template(&template::web(json!({
        "ram_role_arn": ROLE,
        "ram_session_name": "second",
        "ssh_timeout": "1h",
    })));
    let outcome = lab.run(&["build", "template.json"]).await.success();
    let sessions = lab.calls("AssumeRoleWithOIDC").len();
    assert!(sessions >= 2, "{sessions}");
    let minted = minted.lock().unwrap().clone();
    assert_eq!(minted.len(), sessions);
    assert!(lab.calls("AssumeRole").len() >= 2);
    assert_hidden(&outcome, &["the-right-to-mint", "eyJ", "CAIS"]);
    for token in minted {
        let mask = format!("::add-mask::{token}\n");
        assert!(outcome.stdout.contains(&mask), "{token}");
    }
}

#[tokio::test]
async fn what_was_fetched_cannot_be_printed() {
    let table = [
        ("github", "::add-mask::"),
        ("azure", "##vso[task.setsecret]"),
        ("gitlab", ""),
        ("none", ""),
    ];
    for (ci, mask) in table {
        let mut lab = without_keys(quick_options()).await;
        set_oidc(&mut lab);
        let token = jwt("sts.aliyuncs.com", 300);
        lab.write("token", &token);
        lab.set("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "token");
        let print = json!([{"type": "shell-local", "inline": ["echo It is $(cat token)"]}]);
        lab.write_template(&template::provisioned(template::silent(json!({})), print));
        let ci = format!("--ci={ci}");
        let outcome = lab.run(&["build", &ci, "template.json"]).await.success();
        let mut lines = outcome.stdout.lines();
        if !mask.is_empty() {
            let hides = |line: &str| line.strip_prefix(mask) == Some(token.as_str());
            assert!(lines.any(hides), "{ci}: {}", outcome.stdout);
        }
        let printed = lines.any(|line| line.ends_with("It is <sensitive>"));
        assert!(printed, "{ci}: {}", outcome.stdout);
        assert!(!lines.any(|line| line.contains(&token)), "{ci}");
        // The keys of the session are hidden as well.
        let masked = outcome.stdout.lines().filter(|line| line.contains("CAIS"));
        assert_eq!(masked.count() > 0, !mask.is_empty(), "{ci}");
    }
}

#[tokio::test]
async fn the_keys_of_a_role_upload_and_import_a_disk() {
    let lab = on_an_instance().await;
    lab.sandbox.seed().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    });
    let mut disk = vec![7; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    let import = [
        "import",
        "disk.raw",
        "--region=cn-beijing",
        "--image-name=imported",
        "--oss-bucket-name=images",
    ];
    lab.run(&import).await.success();
    let products: std::collections::BTreeSet<_> = lab
        .sandbox
        .calls()
        .into_iter()
        .inspect(|call| assert!(call.access_key_id.starts_with("STS."), "{call:#?}"))
        .map(|call| call.product)
        .collect();
    assert_eq!(
        products.into_iter().collect::<Vec<_>>(),
        ["Ecs", "Oss", "Ram", "Sts"]
    );
}

#[tokio::test]
async fn a_static_token_that_ends_in_a_build_is_explained_and_cleaned_up_later() {
    let mut lab = on_an_instance().await;
    let metadata = "latest/meta-data/ram/security-credentials/builder";
    let url = format!("{}/{metadata}", lab.sandbox.url());
    let keys = answer_of(&url).await;
    for (variable, member) in [
        ("ALICLOUD_ACCESS_KEY", "AccessKeyId"),
        ("ALICLOUD_SECRET_KEY", "AccessKeySecret"),
        ("ALICLOUD_SECURITY_TOKEN", "SecurityToken"),
    ] {
        lab.set(variable, keys[member].as_str().unwrap());
    }
    let wait =
        json!([{"type": "shell-local", "inline": ["while ! test -e go; do sleep 0.05; done"]}]);
    lab.write_template(&template::provisioned(template::silent(json!({})), wait));
    let child = lab.start(&["build", "template.json"]);
    lab.wait_for_call("RunInstances").await;
    lab.sandbox.advance(Duration::from_secs(7 * 3600));
    lab.write("go", "");
    let outcome = lab.finish(child).await.failure(3);
    let text = outcome.text();
    assert!(text.contains("InvalidSecurityToken.Expired"), "{text}");
    assert!(
        text.contains("hint: The temporary keys have ended: get new ones"),
        "{text}"
    );
    let token = keys["SecurityToken"].as_str().unwrap();
    assert_hidden(&outcome, &[token]);
    // The journal is kept; other keys delete what those could not.
    let (id, secret) = (
        lab.sandbox.access_key_id().to_owned(),
        lab.sandbox.access_key_secret().to_owned(),
    );
    lab.set("ALICLOUD_ACCESS_KEY", &id)
        .set("ALICLOUD_SECRET_KEY", &secret)
        .unset("ALICLOUD_SECURITY_TOKEN");
    let journal = std::fs::read_dir(lab.path("journals")).unwrap().next();
    let journal = journal.unwrap().unwrap().path().display().to_string();
    lab.run(&["cleanup", "--journal", &journal]).await.success();
    lab.assert_empty();
}
