//! Profiles that a template or the environment names.

use alicloud_image_sandbox::Call;
use insta::assert_snapshot;
use serde_json::json;

use super::{assert_hidden, own_keys, write_profiles};
use crate::harness::{Lab, scrub};
use crate::template;

#[tokio::test]
async fn a_profile_that_cannot_be_used_is_found_before_the_first_call() {
    let lab = Lab::quick().await;
    let broken = json!({"name": "broken", "mode": "AK", "access_key_id": "id"});
    let bearer = json!({"name": "bearer", "mode": "BearerToken", "bearer_token": "t"});
    let newer = json!({"name": "newer", "mode": "Passkey"});
    let rsa = json!({"name": "rsa", "mode": "RsaKeyPair", "key_pair_name": "k",
        "private_key": "gone.pem"});
    write_profiles(&lab, &[own_keys(&lab), broken, bearer, newer, rsa]);
    lab.write(
        "bad.json",
        "{\n  \"profiles\": [\n    {\"name\": \"own\",}\n  ]\n}\n",
    );
    let mut said = String::new();
    for options in [
        json!({"profile": "owm"}),
        json!({"profile": "broken"}),
        json!({"profile": "bearer"}),
        json!({"profile": "newer"}),
        json!({"profile": "rsa"}),
        json!({"profile": "own", "shared_credentials_file": "bad.json"}),
    ] {
        lab.write_template(&template::web(options));
        let outcome = lab.run(&["build", "template.json"]).await.failure(2);
        let text = scrub(&outcome.text());
        let lines = text
            .lines()
            .filter(|line| line.starts_with("error:") || line.trim_start().starts_with("= help:"));
        said.extend(lines.flat_map(|line| [line, "\n"]));
    }
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(said, @"
    error: Option `profile` of builder `web` cannot be used: There is no profile `owm` in `DIR/.aliyun/config.json`
       = help: It has `own`, `broken`, `bearer`, `newer`, `rsa`
    error: Option `profile` of builder `web` cannot be used: Profile `broken` (mode AK) in `DIR/.aliyun/config.json` has no `access_key_secret`
       = help: Correct the file, or name another profile
    error: Option `profile` of builder `web` cannot be used: Profile `bearer` (mode BearerToken) in `DIR/.aliyun/config.json` has no keys, and ECS takes nothing else
       = help: Use a profile of mode `AK`, `StsToken`, `RamRoleArn`, `EcsRamRole` or `OIDC`
    error: Option `profile` of builder `web` cannot be used: Profile `newer` in `DIR/.aliyun/config.json` has the unknown mode `Passkey`
       = help: Known are `AK`, `StsToken`, `RamRoleArn`, `EcsRamRole`, `RsaKeyPair`, `RamRoleArnWithRoleName`, `ChainableRamRoleArn`, `External`, `CredentialsURI`, `OIDC`, `CloudSSO`, `OAuth`, `BearerToken`, `Anonymous`
    error: Option `profile` of builder `web` cannot be used: Profile `rsa` (mode RsaKeyPair) in `DIR/.aliyun/config.json` has no usable `private_key`: Cannot read `gone.pem`: No such file or directory (os error 2)
       = help: Correct the file, or name another profile
    error: Option `profile` of builder `web` cannot be used: `bad.json` is not JSON: trailing comma at line 3 column 20
       = help: Correct the file, or name another profile
    ");
    // Checking a template needs no credentials.
    lab.write_template(&template::web(json!({"profile": "owm"})));
    let outcome = lab.run(&["validate", "template.json"]).await.success();
    assert!(outcome.text().contains("warning: Option `profile`"));
}

#[tokio::test]
async fn a_template_with_a_profile_can_be_tried_without_one() {
    let lab = Lab::quick().await;
    let template = template::silent(json!({"profile": "own"}));
    lab.write_template(&template);
    let arguments = [
        "build",
        "--sandbox",
        "--sandbox-time-scale=0.001",
        "template.json",
    ];
    lab.run(&arguments).await.success();
    assert_eq!(lab.sandbox.calls().len(), 0);
}

/// Calls are only of these keys.
#[track_caller]
fn assert_only(lab: &Lab, id: &str) {
    let others = |call: &Call| call.access_key_id != id;
    assert!(!lab.sandbox.calls().iter().any(others));
}

#[tokio::test]
async fn a_profile_of_the_environment_comes_before_its_keys() {
    let mut lab = Lab::quick().await;
    write_profiles(&lab, &[own_keys(&lab)]);
    let secret = lab.sandbox.access_key_secret().to_owned();
    lab.set("ALICLOUD_ACCESS_KEY", "LTAIofSomebodyElse00")
        .set("ALICLOUD_SECRET_KEY", "somebody-elses-secret")
        .set("ALICLOUD_PROFILE", "own");
    lab.write_template(&template::silent(json!({})));
    let outcome = lab.run(&["build", "-v", "template.json"]).await.success();
    assert_only(&lab, lab.sandbox.access_key_id());
    assert_hidden(&outcome, &[&secret, "somebody-elses-secret"]);
}
