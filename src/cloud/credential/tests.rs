//! Where keys come from, against a scripted transport.
//!
//! What the tests of all sources need, and what holds for every source.

mod chain;
mod instance;
mod login;
mod profile;
mod role;
mod uri;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::cloud::endpoint::Endpoints;
use crate::cloud::sign::SignatureAlgorithm;
use crate::cloud::transport::{HttpResponse, SendFailure, Signed, Transport};
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
        clock: Clock::scaled(0.001),
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

fn oidc(token: IdToken) -> Source {
    Source::Oidc(Box::new(OidcRole {
        role_arn: "acs:ram::1:role/web".into(),
        provider_arn: "acs:ram::1:oidc-provider/ci".into(),
        session: RoleSession::default(),
        token,
    }))
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
