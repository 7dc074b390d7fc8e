//! Every provider, and the order in which they are asked.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    PROVIDER, ROLE, assert_caller, assert_hidden, github, jwt, on_an_instance, own_keys, set_oidc,
    whoami, without_keys, write_profiles,
};
use crate::harness::{quick_options, scrub};

#[tokio::test]
async fn whoami_tells_provider_account_and_what_was_passed_over() {
    let lab = on_an_instance().await;
    let outcome = lab.run(&["whoami"]).await.success();
    assert_snapshot!(outcome.shown(), @"
    Provider: instance metadata: RAM role of this instance
    Account:  1234567890123456
    ARN:      acs:ram::1234567890123456:assumed-role/builder/i-sandbox (AssumedRoleUser)
    Expires:  TIME, then renewed
    Passed over:
      environment: ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY are not set
      OIDC: ALIBABA_CLOUD_ROLE_ARN is not set
      profile: Cannot read `DIR/.aliyun/config.json`: No such file or directory (os error 2)
      credentials file: DIR/.alibabacloud/credentials does not exist
    ");
}

#[tokio::test]
async fn whoami_without_any_keys_says_where_they_were_looked_for() {
    let mut lab = without_keys(quick_options()).await;
    set_oidc(&mut lab);
    let outcome = lab.run(&["whoami", "--ci=none"]).await.failure(3);
    assert_snapshot!(scrub(&outcome.text()), @"
    Passed over:
      environment: ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY are not set
      OIDC: GitHub gives this job no token: it needs `permissions: id-token: write`, and pull requests of forks never get one
      profile: Cannot read `DIR/.aliyun/config.json`: No such file or directory (os error 2)
      credentials file: DIR/.alibabacloud/credentials does not exist
      instance metadata: No RAM role is attached to this instance
      credentials URI: ALIBABA_CLOUD_CREDENTIALS_URI is not set
    Error: No credentials for Alibaba Cloud were found: OIDC: GitHub gives this job no token: it needs `permissions: id-token: write`, and pull requests of forks never get one
    ");
    assert_eq!(lab.sandbox.calls().len(), 0);
}

#[tokio::test]
async fn keys_of_the_environment_come_first() {
    let mut lab = on_an_instance().await;
    let id = lab.sandbox.access_key_id().to_owned();
    let secret = lab.sandbox.access_key_secret().to_owned();
    lab.set("ALIBABA_CLOUD_ACCESS_KEY_ID", &id)
        .set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &secret);
    assert_caller(&whoami(&lab).await, "environment: keys", ":root", 0);
    lab.set("ALICLOUD_ASSUME_ROLE_ARN", ROLE);
    let answer = whoami(&lab).await;
    let session = "assumed-role/builder/alicloud-image";
    assert_caller(&answer, "role `acs:ram:", session, 0);
    assert!(answer["expiration"].is_string(), "{answer:#}");
}

#[tokio::test]
async fn oidc_takes_a_token_from_a_file_a_variable_or_github() {
    let mut lab = on_an_instance().await;
    set_oidc(&mut lab);
    lab.set("ALIBABA_CLOUD_ROLE_SESSION_NAME", "ci");
    let session = "assumed-role/builder/ci";
    let minted = github(&mut lab).await;
    assert_caller(&whoami(&lab).await, "OIDC: role", session, 1);
    assert_eq!(minted.lock().unwrap().len(), 1);
    let token = jwt("sts.aliyuncs.com", 60);
    lab.set("ALIBABA_CLOUD_OIDC_TOKEN", &token);
    let outcome = lab.run(&["whoami", "-vv"]).await.success();
    assert!(outcome.stdout.contains(session), "{}", outcome.stdout);
    assert_hidden(&outcome, &[&token]);
    let file = lab.path("token");
    lab.write("token", &token);
    lab.set("ALIBABA_CLOUD_OIDC_TOKEN", "unused")
        .set("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &file.display().to_string());
    assert_caller(&whoami(&lab).await, "OIDC: role", session, 1);
    assert_eq!(minted.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn profiles_of_the_cli_serve_in_all_modes_that_can_sign() {
    let mut lab = on_an_instance().await;
    let role = |mode: &str, more: Value| {
        let mut profile = json!({"name": mode, "mode": mode, "ram_role_arn": ROLE,
            "ram_session_name": mode, "expired_seconds": 900});
        let more = more.as_object().unwrap().clone();
        profile.as_object_mut().unwrap().extend(more);
        profile
    };
    let own = own_keys(&lab);
    let pair = json!({"access_key_id": own["access_key_id"],
        "access_key_secret": own["access_key_secret"]});
    let metadata = "latest/meta-data/ram/security-credentials/builder";
    lab.write("broker.json", &pair.to_string())
        .write("token", &jwt("sts.aliyuncs.com", 300));
    let profiles = [
        own,
        role("RamRoleArn", pair),
        role(
            "ChainableRamRoleArn",
            json!({"source_profile": "RamRoleArn"}),
        ),
        role("EcsRamRole", json!({"ram_role_name": "builder"})),
        role(
            "RamRoleArnWithRoleName",
            json!({"ram_role_name": "builder"}),
        ),
        role("External", json!({"process_command": "cat 'broker.json'"})),
        role(
            "CredentialsURI",
            json!({"credentials_uri": format!("{}/{metadata}", lab.sandbox.url())}),
        ),
        role(
            "OIDC",
            json!({"oidc_provider_arn": PROVIDER, "oidc_token_file": lab.path("token")}),
        ),
    ];
    write_profiles(&lab, &profiles);
    assert_caller(&whoami(&lab).await, "profile: `own` (mode AK)", ":root", 2);
    for (name, arn) in [
        ("RamRoleArn", "assumed-role/builder/RamRoleArn"),
        (
            "ChainableRamRoleArn",
            "assumed-role/builder/ChainableRamRoleArn",
        ),
        ("EcsRamRole", "assumed-role/builder/i-sandbox"),
        (
            "RamRoleArnWithRoleName",
            "assumed-role/builder/RamRoleArnWithRoleName",
        ),
        ("External", ":root"),
        ("CredentialsURI", "assumed-role/builder/i-sandbox"),
        ("OIDC", "assumed-role/builder/OIDC"),
    ] {
        lab.set("ALICLOUD_PROFILE", name);
        let provider = format!("profile: `{name}` (mode {name})");
        assert_caller(&whoami(&lab).await, &provider, arn, 0);
    }
}

#[tokio::test]
async fn the_sdks_file_the_instance_and_a_uri_come_last() {
    let mut lab = on_an_instance().await;
    let metadata = "latest/meta-data/ram/security-credentials/builder";
    let uri = format!("{}/{metadata}", lab.sandbox.url());
    lab.set("ALIBABA_CLOUD_CREDENTIALS_URI", &uri)
        .set("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    assert_caller(&whoami(&lab).await, "credentials URI", "i-sandbox", 5);
    lab.unset("ALIBABA_CLOUD_ECS_METADATA_DISABLED");
    assert_caller(&whoami(&lab).await, "instance metadata", "i-sandbox", 4);
    std::fs::create_dir(lab.path(".alibabacloud")).unwrap();
    let section = format!(
        "[default]\ntype = access_key\naccess_key_id = {}\naccess_key_secret = {}\n",
        lab.sandbox.access_key_id(),
        lab.sandbox.access_key_secret()
    );
    lab.write(".alibabacloud/credentials", &section);
    assert_caller(&whoami(&lab).await, "credentials file: section", ":root", 3);
}
