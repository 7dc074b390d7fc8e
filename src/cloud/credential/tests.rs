use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::cloud::endpoint::Endpoints;
use crate::cloud::sign::SignatureAlgorithm;
use crate::cloud::transport::{HttpResponse, Method, SendFailure, Signed, Transport};
use crate::engine::event::{Event, EventKind, Events, Reporter};
use crate::error::{Error, one_line};

/// Answers in order with statuses and bodies, and records what was sent; 0 is
/// no answer.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<(u16, String)>>,
    sent: Mutex<Vec<Signed>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure> {
        let host = request.url.host_str().unwrap().to_owned();
        self.sent.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, body) = answer.expect("the script has no more answers");
        if status == 0 {
            return Err(SendFailure {
                unsent: true,
                host,
                source: io::Error::from(io::ErrorKind::TimedOut).into(),
            });
        }
        Ok(HttpResponse {
            status,
            body: body.into(),
            ..HttpResponse::default()
        })
    }
}

impl Script {
    fn new<const N: usize>(answers: [(u16, &str); N]) -> Arc<Self> {
        let answers = answers.map(|(status, body)| (status, body.to_owned()));
        Arc::new(Self {
            answers: Mutex::new(answers.into()),
            sent: Mutex::default(),
        })
    }

    /// `METHOD URL`, then the headers that were sent.
    fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let line = |request: &Signed| {
            let headers = request.headers.iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            let first = format!("{} {}", request.method.name(), request.url);
            [vec![first], headers].concat().join(" | ")
        };
        sent.iter().map(line).collect()
    }

    fn body(&self, number: usize) -> String {
        String::from_utf8(self.sent.lock().unwrap()[number].body.to_vec()).unwrap()
    }
}

fn credentials(script: &Arc<Script>, ambient: Ambient) -> Credentials {
    hiding_credentials(script, ambient, Hiding::default())
}

fn hiding_credentials(script: &Arc<Script>, ambient: Ambient, hiding: Hiding) -> Credentials {
    let network = Network {
        transport: Arc::clone(script) as Arc<dyn Transport>,
        endpoints: Endpoints::default(),
        signature: SignatureAlgorithm::default(),
        clock: Clock::default(),
        sts_region: None,
        hiding,
    };
    Credentials::new(ambient, network)
}

async fn fetch(script: &Arc<Script>, source: &Source) -> Result<Arc<Credential>> {
    let credentials = credentials(script, Ambient::default());
    credentials.of(source).get().await
}

/// Keeps the secrets it is told of.
#[derive(Clone, Default)]
struct Hidden(Arc<Mutex<Vec<String>>>);

impl Reporter for Hidden {
    fn on(&mut self, event: &Event) {
        if let EventKind::Secret(secret) = &event.kind {
            self.0.lock().unwrap().push(secret.expose().to_owned());
        }
    }
}

/// What is hidden once a source has provided keys.
async fn hidden(script: &Arc<Script>, source: &Source) -> Vec<String> {
    let hidden = Hidden::default();
    let hiding = Hiding::with(&Events::new(hidden.clone()));
    let credentials = hiding_credentials(script, Ambient::default(), hiding);
    credentials.of(source).get().await.unwrap();
    let hidden = hidden.0.lock().unwrap();
    hidden.clone()
}

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"STS.a","AccessKeySecret":"s",
    "SecurityToken":"t","Expiration":"2999-01-02T03:04:05Z"}"#;

const SESSION: &str = r#"{"Credentials":{"AccessKeyId":"STS.r","AccessKeySecret":"s",
    "SecurityToken":"t","Expiration":"2999-01-02T03:04:05Z"}}"#;

#[tokio::test]
async fn the_instance_is_asked_with_a_token() {
    let script = Script::new([(200, "secret-token"), (200, "web\n"), (200, KEYS)]);
    let keys = fetch(&script, &Source::InstanceRole(None)).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.a");
    assert!(keys.expiration.is_some());
    let base = "http://100.100.100.200/latest";
    let roles = format!("{base}/meta-data/ram/security-credentials/");
    assert_eq!(
        script.sent(),
        [
            format!("PUT {base}/api/token | x-aliyun-ecs-metadata-token-ttl-seconds: 60"),
            format!("GET {roles} | x-aliyun-ecs-metadata-token: secret-token"),
            format!("GET {roles}web | x-aliyun-ecs-metadata-token: secret-token"),
        ]
    );
}

#[tokio::test]
async fn an_old_metadata_server_is_asked_without_token_unless_forbidden() {
    let role = Source::InstanceRole(Some("web".into()));
    let script = Script::new([(404, ""), (200, KEYS)]);
    fetch(&script, &role).await.unwrap();
    assert!(!script.sent()[1].contains('|'));

    let script = Script::new([(404, "")]);
    let mut ambient = Ambient::default();
    ambient.instance.only_with_token = true;
    let error = credentials(&script, ambient)
        .of(&role)
        .get()
        .await
        .unwrap_err();
    assert!(error.hints()[0].contains("IMDSV1"), "{error:?}");
}

/// Answers, who asks, and what is said in the end.
type Case<'a> = (&'a [(u16, &'a str)], &'a Source, &'a str);

#[tokio::test]
async fn what_is_wrong_with_the_instance_is_said() {
    let role = Source::InstanceRole(Some("web".into()));
    let none = Source::InstanceRole(None);
    let table: [Case<'_>; 5] = [
        (
            &[(0, "")],
            &role,
            "Nobody answers for the instance metadata at 100.100.100.200: \
             Cannot connect to 100.100.100.200: timed out",
        ),
        (
            &[(200, "t"), (404, "")],
            &role,
            "The RAM role `web` is not attached to this instance",
        ),
        (
            &[(200, "t"), (404, "")],
            &none,
            "No RAM role is attached to this instance",
        ),
        (
            &[(200, "t"), (403, "")],
            &role,
            "The instance metadata refused with HTTP 403",
        ),
        (
            &[(200, "t"), (200, "<html>")],
            &role,
            "The instance metadata is no JSON with keys (line 1, column 1)",
        ),
    ];
    for (answers, source, expected) in table {
        let script = Script::default();
        let owned = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()));
        script.answers.lock().unwrap().extend(owned);
        let error = fetch(&Arc::new(script), source).await.unwrap_err();
        assert_eq!(one_line(&error), expected);
    }
}

fn assumed(base: Source) -> Source {
    Source::AssumedRole(Box::new(AssumedRole {
        base,
        arn: "acs:ram::1:role/web".into(),
        session: RoleSession {
            duration: Some(900),
            external_id: Some("x".into()),
            sts_region: Some("cn-beijing".into()),
            ..RoleSession::default()
        },
    }))
}

fn keys(id: &str) -> Keys {
    Keys {
        access_key: id.into(),
        secret_key: Secret::new("hunter2!"),
        security_token: None,
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_any_keys_even_those_of_a_role() {
    let script = Script::new([(200, SESSION), (200, SESSION)]);
    let source = assumed(assumed(Source::Keys(keys("base"))));
    let fetched = fetch(&script, &source).await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.r");
    let sent = script.sent();
    assert!(
        sent[0].starts_with("POST https://sts.cn-beijing.aliyuncs.com/ "),
        "{sent:?}"
    );
    assert!(sent[0].contains("Credential=base,") && sent[1].contains("Credential=STS.r,"));
    assert_eq!(
        script.body(0),
        "RoleArn=acs%3Aram%3A%3A1%3Arole%2Fweb&RoleSessionName=alicloud-image\
         &DurationSeconds=900&ExternalId=x"
    );
}

fn oidc(token: IdToken) -> Source {
    Source::Oidc(Box::new(OidcRole {
        role_arn: "acs:ram::1:role/web".into(),
        provider_arn: "acs:ram::1:oidc-provider/ci".into(),
        session: RoleSession::default(),
        token,
    }))
}

#[tokio::test]
async fn a_token_of_github_is_minted_for_the_audience_and_not_signed() {
    let script = Script::new([(200, r#"{"value":"jwt"}"#), (200, SESSION)]);
    let token = IdToken::Github {
        url: "https://ci.example/token?api-version=2".into(),
        token: Secret::new("right"),
        audience: "sts.aliyuncs.com".into(),
    };
    fetch(&script, &oidc(token)).await.unwrap();
    let sent = script.sent();
    assert_eq!(
        sent[0],
        "GET https://ci.example/token?api-version=2&audience=sts.aliyuncs.com \
         | authorization: bearer right | accept: application/json"
    );
    assert!(!sent[1].contains("authorization"), "{sent:?}");
    let form = script.body(1);
    for part in [
        "Action=AssumeRoleWithOIDC",
        "OIDCToken=jwt",
        "OIDCProviderArn=acs",
    ] {
        assert!(form.contains(part), "{form}");
    }
    assert!(!form.contains("Signature="), "{form}");
}

#[tokio::test]
async fn every_secret_is_hidden_once_it_is_known() {
    let minted = IdToken::Github {
        url: "https://ci.example/token".into(),
        token: Secret::new("right"),
        audience: "a".into(),
    };
    let oauth = OAuth {
        site: OAuthSite::Cn,
        access_token: Secret::new("old-access"),
        access_token_expire: 1,
        refresh_token: Secret::new("old-refresh"),
        cached: None,
        file: "/nowhere".into(),
        profile: "p".into(),
    };
    let renewed = r#"{"access_token":"access","refresh_token":"refresh","expires_in":3600}"#;
    let role = Source::InstanceRole(Some("web".into()));
    let uri = Source::Uri(Secret::new("http://127.0.0.1:8/?token=u"));
    let table: [(Source, &[&str], &[&str]); 5] = [
        (
            role,
            &["metadata-token", KEYS],
            &["metadata-token", "s", "t"],
        ),
        (
            oidc(minted),
            &[r#"{"value":"jwt"}"#, SESSION],
            &["jwt", "s", "t"],
        ),
        (
            assumed(Source::Keys(keys("base"))),
            &[SESSION],
            &["hunter2!", "s", "t"],
        ),
        (uri, &[KEYS], &["http://127.0.0.1:8/?token=u", "s", "t"]),
        (
            Source::OAuth(Box::new(oauth)),
            &[renewed, KEYS],
            &["old-access", "old-refresh", "access", "refresh", "s", "t"],
        ),
    ];
    for (source, answers, expected) in table {
        let script = Script::default();
        let answers = answers.iter().map(|body| (200, (*body).to_owned()));
        script.answers.lock().unwrap().extend(answers);
        assert_eq!(hidden(&Arc::new(script), &source).await, expected);
    }
}

const RSA_KEY: &str = include_str!("../sign/test-key.pem");

#[tokio::test]
async fn the_owner_of_an_rsa_key_pair_gets_keys_without_token() {
    let answer = r#"{"SessionAccessKey":{"SessionAccessKeyId":"TMPSK.a",
        "SessionAccessKeySecret":"s","Expiration":"2999-01-02T03:04:05Z"}}"#;
    let script = Script::new([(200, answer)]);
    let profile = json!({"mode": "RsaKeyPair", "key_pair_name": "pair-1",
        "private_key": RSA_KEY, "expired_seconds": 900, "sts_region": "ap-northeast-1"});
    let source = one(profile).unwrap().source;
    let keys = fetch(&script, &source).await.unwrap();
    assert_eq!(keys.access_key_id, "TMPSK.a");
    assert_eq!(keys.security_token, None);
    assert!(keys.expiration.is_some());
    assert!(script.sent()[0].starts_with("POST https://sts.ap-northeast-1.aliyuncs.com/ "));
    let form = script.body(0);
    for part in [
        "AccessKeyId=pair-1&",
        "Action=GenerateSessionAccessKey&",
        "DurationSeconds=900&",
        "SignatureMethod=SHA256withRSA&",
        "SignatureType=PRIVATEKEY&",
        "SignatureVersion=1.0&",
    ] {
        assert!(form.contains(part), "{form}");
    }
}

#[tokio::test]
async fn a_refused_token_is_explained() {
    let body =
        r#"{"Code":"AuthenticationFail.OIDCToken.Expired","Message":"Expired","RequestId":"r"}"#;
    let script = Script::new([(400, body)]);
    let token = IdToken::Value(Secret::new("jwt-secret"));
    let error = fetch(&script, &oidc(token)).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Credentials);
    assert!(error.hints()[0].contains("longer life"), "{error:?}");
    assert!(!format!("{error:?}").contains("jwt-secret"));
}

#[tokio::test]
async fn a_token_file_is_read_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let script = Script::new([(200, SESSION), (200, SESSION)]);
    let credentials = credentials(&script, Ambient::default());
    let provider = credentials.of(&oidc(IdToken::File(file.clone())));
    let error = provider.get().await.unwrap_err();
    assert!(error.message().contains("has no OIDC token"), "{error:?}");
    std::fs::write(&file, "first\n").unwrap();
    let keys = provider.get().await.unwrap();
    std::fs::write(&file, "second").unwrap();
    provider.refresh(&keys).await.unwrap();
    assert!(script.body(0).contains("OIDCToken=first&"));
    assert!(script.body(1).contains("OIDCToken=second&"));
}

#[tokio::test]
async fn a_uri_hands_out_keys() {
    let script = Script::new([(200, KEYS)]);
    let uri = Source::Uri(Secret::new("http://127.0.0.1:8/keys?token=hunter2"));
    assert_eq!(fetch(&script, &uri).await.unwrap().access_key_id, "STS.a");
    let table = [
        (500, "", "The credentials URI refused with HTTP 500"),
        (
            200,
            r#"{"Code":"Failed"}"#,
            "The credentials URI says `Failed`",
        ),
        (
            200,
            r#"{"AccessKeyId":"a"}"#,
            "The credentials URI has no AccessKeySecret",
        ),
    ];
    for (status, body, expected) in table {
        let error = fetch(&Script::new([(status, body)]), &uri)
            .await
            .unwrap_err();
        assert_eq!(one_line(&error), expected);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

/// A file with profiles in a directory of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn new(profiles: &Value) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let content = json!({"current": "current", "profiles": profiles});
        std::fs::write(home.file(), content.to_string()).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.json")
    }

    fn profiles(&self) -> Profiles {
        Profiles {
            file: Some(self.file()),
            ..Profiles::default()
        }
    }

    /// Replaces the directory's name, which differs from run to run.
    fn scrub(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

fn one(mut profile: Value) -> Result<Profile, String> {
    profile["name"] = json!("p");
    let source = json!({"name": "source", "access_key_id": "i", "access_key_secret": "s"});
    let home = Home::new(&json!([profile, source]));
    let read = home.profiles().named("p");
    read.map_err(|error: Error| home.scrub(&one_line(&error)))
}

#[test]
fn every_mode_that_has_keys_is_understood() {
    let pair = json!({"access_key_id": "id", "access_key_secret": "s"});
    let role = json!({"ram_role_arn": "acs:ram::1:role/web", "ram_session_name": "ci"});
    let table = [
        ("AK", json!({}), "keys"),
        ("stsToken", json!({"sts_token": "t"}), "temporary keys"),
        (
            "RamRoleArn",
            json!({}),
            "role `acs:ram::1:role/web`, assumed with keys",
        ),
        (
            "RamRoleArn",
            json!({"sts_token": "t"}),
            "role `acs:ram::1:role/web`, assumed with temporary keys",
        ),
        ("EcsRamRole", json!({}), "RAM role of this instance"),
        (
            "EcsRamRole",
            json!({"ram_role_name": "w"}),
            "RAM role `w` of this instance",
        ),
        (
            "RamRoleArnWithRoleName",
            json!({"ram_role_name": "w"}),
            "role `acs:ram::1:role/web`, assumed with RAM role `w` of this instance",
        ),
        (
            "External",
            json!({"process_command": "broker"}),
            "external process",
        ),
        (
            "CredentialsURI",
            json!({"credentials_uri": "http://x"}),
            "credentials URI",
        ),
        (
            "OIDC",
            json!({"oidc_provider_arn": "p", "oidc_token_file": "/token"}),
            "role `acs:ram::1:role/web`, assumed with the token in /token",
        ),
        (
            "CloudSSO",
            json!({"cloud_sso_sign_in_url": "https://x", "cloud_sso_account_id": "1",
                "cloud_sso_access_config": "c"}),
            "CloudSSO login",
        ),
        ("OAuth", json!({"oauth_site_type": "CN"}), "OAuth login"),
        (
            "RsaKeyPair",
            json!({"key_pair_name": "pair-1", "private_key": RSA_KEY}),
            "RSA key pair `pair-1`",
        ),
        (
            "RsaKeyPair",
            json!({"key_pair_name": "pair-1",
                "private_key": concat!(env!("CARGO_MANIFEST_DIR"), "/src/cloud/sign/test-key.pem")}),
            "RSA key pair `pair-1`",
        ),
        (
            "ChainableRamRoleArn",
            json!({"source_profile": "source"}),
            "role `acs:ram::1:role/web`, assumed with keys",
        ),
    ];
    for (mode, more, expected) in table {
        let mut profile = json!({"mode": mode, "unknown": [1]});
        for part in [&pair, &role, &more] {
            let members = part.as_object().unwrap().clone();
            profile.as_object_mut().unwrap().extend(members);
        }
        assert_eq!(one(profile).unwrap().source.describe(), expected, "{mode}");
    }
}

#[test]
fn a_mode_that_is_not_written_is_inferred() {
    let table = [
        (
            json!({"access_key_id": "i", "access_key_secret": "s"}),
            "AK",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "sts_token": "t"}),
            "StsToken",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "ram_role_arn": "a"}),
            "RamRoleArn",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "ram_role_arn": "a",
                "sts_token": "t"}),
            "StsToken",
        ),
        (
            json!({"access_key_id": "i", "ram_role_name": "w"}),
            "EcsRamRole",
        ),
        (
            json!({"key_pair_name": "p", "private_key": RSA_KEY}),
            "RsaKeyPair",
        ),
        (json!({"ram_role_name": "w"}), "EcsRamRole"),
        (json!({"process_command": "x"}), "External"),
        (
            json!({"oidc_provider_arn": "p", "oidc_token_file": "/t", "ram_role_arn": "a"}),
            "OIDC",
        ),
        (
            json!({"cloud_sso_sign_in_url": "https://x", "cloud_sso_account_id": "1",
                "cloud_sso_access_config": "c"}),
            "CloudSSO",
        ),
    ];
    for (profile, mode) in table {
        assert_eq!(one(profile).unwrap().mode.to_string(), mode);
    }
}

#[test]
fn what_a_session_is_like_is_read() {
    let profile = json!({"mode": "RamRoleArn", "access_key_id": "i", "access_key_secret": "s",
        "ram_role_arn": "a", "ram_session_name": "ci", "expired_seconds": 900, "policy": "{}",
        "external_id": "x", "sts_region": "cn-beijing", "region_id": "eu-central-1"});
    let profile = one(profile).unwrap();
    assert_eq!(profile.region.as_deref(), Some("eu-central-1"));
    let Source::AssumedRole(role) = profile.source else {
        panic!("no role");
    };
    assert_eq!(
        role.session,
        RoleSession {
            name: Some("ci".into()),
            duration: Some(900),
            policy: Some("{}".into()),
            external_id: Some("x".into()),
            sts_region: Some("cn-beijing".into()),
            sts_endpoint: None,
        }
    );
}

#[test]
fn a_useless_profile_is_named_with_file_and_mode() {
    let table = [
        (
            json!({"mode": "AK", "access_key_id": "i", "access_key_secret": " "}),
            "Profile `p` (mode AK) in `DIR/config.json` has no `access_key_secret`",
        ),
        (
            json!({"mode": "Ak47"}),
            "Profile `p` in `DIR/config.json` has the unknown mode `Ak47`",
        ),
        (
            json!({"mode": "BearerToken", "bearer_token": "t"}),
            "Profile `p` (mode BearerToken) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"mode": "anonymous"}),
            "Profile `p` (mode Anonymous) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"bearer_token": "t"}),
            "Profile `p` (mode BearerToken) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"mode": "StsToken", "access_key_id": "i", "access_key_secret": "s"}),
            "Profile `p` (mode StsToken) in `DIR/config.json` has no `sts_token`",
        ),
        (
            json!({"mode": "RamRoleArn", "access_key_id": "i", "access_key_secret": "s"}),
            "Profile `p` (mode RamRoleArn) in `DIR/config.json` has no `ram_role_arn`",
        ),
        (
            json!({"mode": "External"}),
            "Profile `p` (mode External) in `DIR/config.json` has no `process_command`",
        ),
        (
            json!({"mode": "OIDC", "ram_role_arn": "a", "oidc_provider_arn": "p"}),
            "Profile `p` (mode OIDC) in `DIR/config.json` has no `oidc_token_file`",
        ),
        (
            json!({"mode": "CloudSSO", "cloud_sso_account_id": "1"}),
            "Profile `p` (mode CloudSSO) in `DIR/config.json` has no `cloud_sso_sign_in_url`",
        ),
        (
            json!({"mode": "OAuth", "oauth_site_type": "EU"}),
            "Profile `p` (mode OAuth) in `DIR/config.json` has the unknown `oauth_site_type` `EU`",
        ),
        (
            json!({"mode": "RsaKeyPair", "private_key": RSA_KEY}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no `key_pair_name`",
        ),
        (
            json!({"mode": "RsaKeyPair", "key_pair_name": "k", "private_key": "/nowhere/key"}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no usable `private_key`: \
             Cannot read `/nowhere/key`: No such file or directory (os error 2)",
        ),
        (
            json!({"mode": "RsaKeyPair", "key_pair_name": "k",
                "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2"}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no usable `private_key`: \
             The private key is no RSA key in PEM format",
        ),
        (
            json!({}),
            "Profile `p` (mode AK) in `DIR/config.json` has no `access_key_id`",
        ),
        (
            json!({"mode": "ChainableRamRoleArn", "ram_role_arn": "a", "source_profile": "p"}),
            "Profile `p` in `DIR/config.json` is its own `source_profile`",
        ),
        (
            json!({"mode": "ChainableRamRoleArn", "ram_role_arn": "a", "source_profile": "q"}),
            "There is no profile `q` in `DIR/config.json`",
        ),
        (
            json!({"mode": "CredentialsURI"}),
            "Profile `p` (mode CredentialsURI) in `DIR/config.json` has no `credentials_uri`",
        ),
    ];
    for (profile, expected) in table {
        assert_eq!(one(profile).unwrap_err(), expected);
    }
}

#[test]
fn a_file_that_is_no_profile_file_is_told_with_its_line() {
    let home = Home::new(&json!([]));
    let table = [
        (
            "{\n  \"profiles\": [\n    {\"name\": }\n",
            "`DIR/config.json` is not JSON: expected value at line 3 column 14",
        ),
        ("{}", "`DIR/config.json` has no list `profiles`"),
    ];
    for (text, expected) in table {
        std::fs::write(home.file(), text).unwrap();
        let error = home.profiles().current().unwrap_err();
        assert_eq!(home.scrub(&one_line(&error)), expected);
    }
    std::fs::remove_file(home.file()).unwrap();
    let error = home.profiles().current().unwrap_err();
    assert!(home.scrub(error.message()) == "Cannot read `DIR/config.json`");
}

#[test]
fn programs_of_profiles_can_be_forbidden() {
    let home = Home::new(&json!([
        {"name": "p", "mode": "External", "process_command": "x"},
    ]));
    let profiles = Profiles {
        external_disabled: true,
        ..home.profiles()
    };
    assert!(profiles.named("p").is_err());
}

fn sso(expires: i64, cached: i64) -> Value {
    json!([{
        "name": "current", "mode": "CloudSSO", "cloud_sso_account_id": "1",
        "cloud_sso_sign_in_url": "https://signin.example/start", "access_token": "login",
        "cloud_sso_access_config": "ac-1", "cloud_sso_access_token_expire": expires,
        "access_key_id": "STS.cached", "access_key_secret": "s", "sts_token": "t",
        "sts_expiration": cached,
    }])
}

async fn current(script: &Arc<Script>, profiles: Profiles) -> Result<Arc<Credential>> {
    let ambient = Ambient {
        profiles,
        ..Ambient::default()
    };
    credentials(script, ambient)
        .of(&Source::Ambient)
        .get()
        .await
}

#[tokio::test]
async fn a_cloud_sso_login_serves_while_it_lasts() {
    let now = Timestamp::now().as_second();
    let answer = format!(r#"{{"CloudCredential":{KEYS}}}"#);
    let script = Script::new([(200, &answer)]);
    let home = Home::new(&sso(now + 60, now - 60));
    let keys = current(&script, home.profiles()).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.a");
    assert_eq!(
        script.sent()[0],
        "POST https://signin.example/cloud-credentials | accept: application/json \
         | content-type: application/json | authorization: Bearer login"
    );
    assert_eq!(
        script.body(0),
        r#"{"AccountId":"1","AccessConfigurationId":"ac-1"}"#
    );
    // Keys of the login that are still good need no service.
    let home = Home::new(&sso(now - 60, now + 60));
    let keys = current(&Script::new([]), home.profiles()).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.cached");
}

#[tokio::test]
async fn an_ended_login_says_how_to_log_in_again() {
    let home = Home::new(&sso(1, 1));
    let source = home.profiles().current().unwrap().source;
    let error = fetch(&Script::new([]), &source).await.unwrap_err();
    assert_eq!(
        error.message(),
        "The CloudSSO login of profile `current` has ended"
    );
    assert!(error.hints()[0].contains("aliyun configure --profile current"));
}

#[tokio::test]
async fn an_oauth_login_is_renewed_and_written_back() {
    let renewed = r#"{"access_token":"new","refresh_token":"newer","expires_in":3600}"#;
    let keys = r#"{"accessKeyId":"STS.o","accessKeySecret":"s","securityToken":"t",
        "expiration":"2999-01-02T03:04:05Z"}"#;
    let script = Script::new([(200, renewed), (200, keys)]);
    let home = Home::new(&json!([
        {"name": "other", "mode": "AK"},
        {"name": "current", "mode": "OAuth", "oauth_site_type": "intl", "language": "en",
         "oauth_access_token": "old", "oauth_refresh_token": "older",
         "oauth_access_token_expire": 1},
    ]));
    let fetched = current(&script, home.profiles()).await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.o");
    let sent = script.sent();
    assert!(
        sent[0].starts_with("POST https://oauth.alibabacloud.com/v1/token "),
        "{sent:?}"
    );
    assert!(
        script
            .body(0)
            .contains("grant_type=refresh_token&refresh_token=older&client_id=41")
    );
    assert!(sent[1].ends_with("authorization: Bearer new"), "{sent:?}");
    let written = std::fs::read_to_string(home.file()).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    let profile = &written["profiles"][1];
    assert_eq!(profile["oauth_refresh_token"], "newer");
    assert_eq!(profile["language"], "en");
    assert_eq!(written["profiles"][0]["name"], "other");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn section_of(text: &str, section: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, text).unwrap();
    let scrub = |text: &str| text.replace(&directory.path().display().to_string(), "DIR");
    match ini::read(Path::new(&file), section) {
        Ok(source) => Ok(source.describe()),
        Err(error) => Err(scrub(&one_line(&error))),
    }
}

#[test]
fn files_of_the_sdks_are_understood() {
    let text = "# mine\n[default]\ntype = access_key # permanent\naccess_key_id = i\n\
        access_key_secret=s\n\n[web]\ntype=ecs_ram_role\nrole_name=w\n[role]\n\
        type=ram_role_arn\naccess_key_id=i\naccess_key_secret=s\nrole_arn=a\n[bad]\n\
        type=bearer\n[empty]\n[rsa]\ntype=rsa_key_pair\npublic_key_id=k\nprivate_key_file=/nowhere/key\n";
    assert_eq!(section_of(text, "default").unwrap(), "keys");
    assert_eq!(
        section_of(text, "web").unwrap(),
        "RAM role `w` of this instance"
    );
    assert_eq!(
        section_of(text, "role").unwrap(),
        "role `a`, assumed with keys"
    );
    let table = [
        (
            "bad",
            "Section `bad` in `DIR/credentials` has the unknown type `bearer`",
        ),
        (
            "rsa",
            "Section `rsa` in `DIR/credentials` has no usable `private_key_file`: \
             Cannot read `/nowhere/key`: No such file or directory (os error 2)",
        ),
        (
            "empty",
            "Section `empty` in `DIR/credentials` has no `type`",
        ),
        ("none", "There is no section `none` in `DIR/credentials`"),
    ];
    for (section, expected) in table {
        assert_eq!(section_of(text, section).unwrap_err(), expected);
    }
}

#[tokio::test]
async fn the_chain_goes_on_until_something_serves_and_stays_with_it() {
    let script = Script::new([(400, ""), (200, "t"), (200, "web"), (200, KEYS)]);
    let Source::Oidc(role) = oidc(IdToken::Value(Secret::new("jwt"))) else {
        panic!("no role");
    };
    let ambient = Ambient {
        oidc: OidcSetting::Role(role),
        profiles_disabled: true,
        ..Ambient::default()
    };
    let credentials = credentials(&script, ambient);
    let provider = credentials.of(&Source::Ambient);
    assert_eq!(provider.get().await.unwrap().access_key_id, "STS.a");
    assert_eq!(provider.get().await.unwrap().access_key_id, "STS.a");
    let found = credentials.found().await.unwrap();
    assert_eq!(
        found.provider,
        "instance metadata: RAM role of this instance"
    );
    let passed: Vec<_> = found
        .passed_over
        .iter()
        .map(|passed| &*passed.provider)
        .collect();
    assert_eq!(
        passed,
        ["environment", "OIDC", "profile", "credentials file"]
    );
    assert_eq!(script.sent.lock().unwrap()[1].method, Method::Put);
}

#[tokio::test]
async fn a_role_of_the_environment_is_assumed_with_what_the_chain_finds() {
    let script = Script::new([(200, SESSION)]);
    let ambient = Ambient {
        keys: Some(keys("base")),
        assumed_role: Some(("acs:ram::1:role/web".into(), RoleSession::default())),
        ..Ambient::default()
    };
    let credentials = credentials(&script, ambient);
    let fetched = credentials.of(&Source::Ambient).get().await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.r");
    let found = credentials.found().await.unwrap();
    assert_eq!(
        found.provider,
        "role `acs:ram::1:role/web`, assumed with environment: keys"
    );
}

#[tokio::test]
async fn a_chosen_profile_is_not_replaced_by_other_keys() {
    let home = Home::new(&json!([]));
    let ambient = Ambient {
        keys: Some(keys("other")),
        profiles: Profiles {
            chosen: Some("p".into()),
            ..home.profiles()
        },
        ..Ambient::default()
    };
    let credentials = credentials(&Script::new([]), ambient);
    let error = credentials.of(&Source::Ambient).get().await.unwrap_err();
    assert!(error.message().starts_with("There is no profile `p`"));
}
