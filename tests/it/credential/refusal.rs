//! What is said when a provider gives no keys, or keys that may not.

use alicloud_image_sandbox::AccessKey;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{ROLE, jwt, on_an_instance, set_oidc, without_keys};
use crate::harness::{Lab, quick_options};
use crate::template;

/// Builds `web` with these options, which fails, and tells how it ended.
async fn failing(lab: &Lab, options: Value, code: i32) -> String {
    lab.write_template(&template::web(options));
    let outcome = lab.run(&["build", "template.json"]).await.failure(code);
    lab.assert_empty();
    let end = outcome.end();
    end.split("\n==> Wait")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_metadata_server_that_hangs_is_given_up_soon() {
    let mut options = quick_options();
    options.metadata.hangs = true;
    let lab = without_keys(options).await;
    let end = failing(&lab, json!({"ram_role_name": "builder"}), 3).await;
    assert_snapshot!(end, @"
    Build 'web' errored after DURATION: Nobody answers for the instance metadata at ADDRESS: No answer from ADDRESS: Timed out waiting
     --> template.json:3:5
      |
    3 |     {
      |     ^

    hint: The RAM role of an instance only serves on an ECS instance; in a container the instance's metadata needs a hop limit of 2. Elsewhere give keys, a profile or OIDC
    ");
    assert_eq!(lab.sandbox.calls().len(), 0);
}

#[tokio::test]
async fn a_role_that_is_not_attached_is_said() {
    let lab = on_an_instance().await;
    let end = failing(&lab, json!({"ram_role_name": "other"}), 3).await;
    assert_snapshot!(end, @"
    Build 'web' errored after DURATION: The RAM role `other` is not attached to this instance
     --> template.json:3:5
      |
    3 |     {
      |     ^

    hint: Attach the role in the ECS console; the metadata at /latest/meta-data/ram/security-credentials/ shows the name of the one that is attached
    ");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_explained() {
    let lab = Lab::quick().await;
    lab.refuse("AssumeRole", "NoPermission");
    let end = failing(&lab, json!({"ram_role_arn": ROLE}), 3).await;
    assert_snapshot!(end, @"
    Build 'web' errored after DURATION: Failed to assume the role `acs:ram::1234567890123456:role/builder`: Alibaba Cloud refused the request: NoPermission: Refused by the test. (AssumeRole in cn-hangzhou, HTTP 403, RequestId UUID)
     --> template.json:3:5
      |
    3 |     {
      |     ^

    hint: The role's trust policy must name the caller, too; an account's root user cannot assume roles
    hint: Attach a RAM policy that allows AssumeRole to the user or role whose keys are used
    ");
}

#[tokio::test]
async fn a_role_without_permission_names_the_permission() {
    let lab = Lab::quick().await;
    let policy = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:Describe*", "vpc:*", "sts:*"], "Resource": "*"},
    ]});
    lab.sandbox.seed().role_policy("builder", policy);
    let end = failing(&lab, json!({"ram_role_arn": ROLE}), 3).await;
    assert!(
        end.contains("hint: Attach a RAM policy that allows ecs:"),
        "{end}"
    );
    // A session policy narrows a role that may do everything.
    let lab = Lab::quick().await;
    let narrow =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"vpc:*","Resource":"*"}]}"#;
    let options = json!({"ram_role_arn": ROLE, "ram_session_policy": narrow});
    let end = failing(&lab, options, 3).await;
    assert!(end.contains("allows ecs:Describe"), "{end}");
}

#[tokio::test]
async fn a_caller_who_may_not_pass_a_role_gets_the_policy_to_attach() {
    let everything_else = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:*", "vpc:*"], "Resource": "*"},
    ]});
    let mut options = quick_options();
    options.access_keys = vec![AccessKey {
        user: Some("ci".to_owned()),
        policy: Some(everything_else),
        ..AccessKey::new("LTAI5tLimitedKey00000000", "limited-secret")
    }];
    let lab = Lab::with(options).await;
    let end = failing(&lab, json!({"ecs_ram_role_name": "packer-test"}), 3).await;
    assert_snapshot!(end, @r#"
    Build 'web' errored after DURATION: Cannot start an instance of type ecs.g6.large in cn-beijing-h: Alibaba Cloud refused the request: InvalidUser.PassRoleForbidden: The RAM user does not have the privilege to pass a RAM role. (RunInstances in cn-beijing, HTTP 403, RequestId UUID)
      --> template.json:11:28
       |
    11 |       "ecs_ram_role_name": "packer-test"
       |                            ^^^^^^^^^^^^^

    hint: Attach this RAM policy to the user or role whose keys are used, as it gives a role to the instance (`ecs_ram_role_name`): {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ram:PassRole", "Resource": "*"}]}
    "#);
}

/// What goes wrong first: the trust policy is for another repository or branch.
#[tokio::test]
async fn a_role_that_does_not_trust_the_token_is_told_with_what_the_token_says() {
    let mut lab = without_keys(quick_options()).await;
    set_oidc(&mut lab);
    lab.set("ALIBABA_CLOUD_OIDC_TOKEN", &jwt("sts.aliyuncs.com", 300));
    lab.refuse("AssumeRoleWithOIDC", "AuthenticationFail.NoPermission");
    let end = failing(&lab, json!({}), 3).await;
    assert_snapshot!(end, @"
    Build 'web' errored after DURATION: No credentials for Alibaba Cloud were found: OIDC: Failed to assume the role `acs:ram::1234567890123456:role/builder` with OIDC: Alibaba Cloud refused the request: AuthenticationFail.NoPermission: Refused by the test. (AssumeRoleWithOIDC in cn-hangzhou, HTTP 403, RequestId UUID)
     --> template.json:3:5
      |
    3 |     {
      |     ^

    hint: The role's trust policy must name the OIDC provider, and its conditions on `oidc:iss`, `oidc:aud` and `oidc:sub` must fit the token
    hint: In the token, `oidc:iss` is `https://token.actions.githubusercontent.com`, `oidc:aud` is `sts.aliyuncs.com`, `oidc:sub` is `repo:team/images:ref:refs/heads/main`
    hint: `alicloud-image whoami` shows where they were looked for
    ");
}
