//! Whose keys are used: every provider against the sandbox, what happens when
//! keys end, and what is said when there are none.

mod profile;
mod provider;
mod refusal;
mod renewal;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alicloud_image::cloud::http::HttpTransport;
use alicloud_image::cloud::transport::{Method, Signed, Transport};
use alicloud_image_sandbox::{MetadataOptions, SandboxOptions};
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, quick_options};

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
