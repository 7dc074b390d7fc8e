//! Whose keys are used: every provider against the sandbox, what happens when
//! keys end, and what is said when there are none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alicloud_image::cloud::http::HttpTransport;
use alicloud_image::cloud::transport::{Method, Signed, Transport};
use alicloud_image_sandbox::guest::Confinement;
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::{AccessKey, Call, MetadataOptions, SandboxOptions, SeedBucket};
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, TIME_SCALE, options, quick_options, scrub};
use crate::template;

const ROLE: &str = "acs:ram::1234567890123456:role/builder";

const PROVIDER: &str = "acs:ram::1234567890123456:oidc-provider/ci";

const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A lab without keys in the environment.
async fn without_keys(options: SandboxOptions) -> Lab {
    let mut lab = Lab::with(options).await;
    lab.unset("ALICLOUD_ACCESS_KEY")
        .unset("ALICLOUD_SECRET_KEY");
    lab.sandbox
        .seed()
        .oidc_provider("ci", ISSUER, &["sts.aliyuncs.com"]);
    lab
}

/// A lab in which nothing takes time, on an instance with a role.
async fn on_an_instance() -> Lab {
    without_keys(SandboxOptions {
        metadata: MetadataOptions {
            role: Some("builder".to_owned()),
            ..MetadataOptions::default()
        },
        ..quick_options()
    })
    .await
}

fn own_keys(lab: &Lab) -> Value {
    json!({
        "name": "own", "mode": "AK",
        "access_key_id": lab.sandbox.access_key_id(),
        "access_key_secret": lab.sandbox.access_key_secret(),
    })
}

/// Writes `~/.aliyun/config.json`; the first profile is current.
fn write_profiles(lab: &Lab, profiles: &[Value]) {
    let content = json!({"current": profiles[0]["name"], "profiles": profiles});
    std::fs::create_dir_all(lab.path(".aliyun")).unwrap();
    lab.write(".aliyun/config.json", &content.to_string());
}

/// A token as a CI system makes them, good for so many seconds.
fn jwt(audience: &str, seconds: i64) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": audience, "sub": "repo:team/images:ref:refs/heads/main",
        "exp": jiff::Timestamp::now().as_second() + seconds,
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(json!({"alg": "RS256"})),
        part(claims)
    )
}

fn set_oidc(lab: &mut Lab) {
    lab.set("ALIBABA_CLOUD_ROLE_ARN", ROLE)
        .set("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", PROVIDER);
}

/// GitHub's token service: keeps what it mints.
async fn github(lab: &mut Lab) -> Arc<Mutex<Vec<String>>> {
    let minted = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&minted);
    let mint = async move |uri: Uri, headers: HeaderMap| {
        let right = headers
            .get("authorization")
            .map(axum::http::HeaderValue::as_bytes);
        if right != Some(b"bearer the-right-to-mint") {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let query = uri.query().unwrap_or_default();
        let audience = query.split("audience=").nth(1).unwrap_or_default();
        let token = jwt(audience, 300);
        kept.lock().unwrap().push(token.clone());
        Ok(json!({"value": token}).to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(mint);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}/token?api-version=2.0");
    lab.set("ACTIONS_ID_TOKEN_REQUEST_URL", &url)
        .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-right-to-mint");
    minted
}

/// Who the program says it is.
async fn whoami(lab: &Lab) -> Value {
    let outcome = lab.run(&["whoami", "--format=json"]).await.success();
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Checks provider and session, and how many places were passed over.
#[track_caller]
fn assert_caller(answer: &Value, provider: &str, arn: &str, passed_over: usize) {
    let shown = answer["provider"].as_str().unwrap();
    assert!(shown.starts_with(provider), "{answer:#}");
    assert!(answer["arn"].as_str().unwrap().ends_with(arn), "{answer:#}");
    let passed = answer["passed_over"].as_array().unwrap();
    assert_eq!(passed.len(), passed_over, "{answer:#}");
    assert_eq!(answer["account_id"], "1234567890123456");
}

/// Secrets may only be where the CI system swallows them.
#[track_caller]
fn assert_hidden(outcome: &Outcome, secrets: &[&str]) {
    let text = outcome.text();
    let seen = text
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"));
    for line in seen.chain(outcome.summary.lines()) {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}

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

/// The JSON that a URL of the sandbox answers.
async fn answer_of(url: &str) -> Value {
    let request = Signed {
        method: Method::Get,
        url: url.parse().unwrap(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        read_timeout: Duration::from_secs(30),
    };
    let transport = HttpTransport::new().unwrap();
    let answer = transport.send(request).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

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
