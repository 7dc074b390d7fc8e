//! Requests to whoever hands out keys or tokens over plain HTTP, without a
//! signature: instance metadata, credentials URIs, sign-in services.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::{Credential, Network};
use crate::cloud::transport::{HttpResponse, Method, Signed};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// How long sign-in services may take (real time, as all time-outs of the
/// network).
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A request without content.
pub(super) fn get(url: Url, headers: Vec<(&'static str, String)>) -> Signed {
    Signed {
        method: Method::Get,
        url,
        headers,
        body: bytes::Bytes::new(),
        read_timeout: PATIENCE,
    }
}

/// A request with content.
pub(super) fn post(url: Url, headers: Vec<(&'static str, String)>, body: String) -> Signed {
    Signed {
        method: Method::Post,
        body: body.into(),
        ..get(url, headers)
    }
}

/// Sends a request; any status but 200 is an error. `what` says who answers.
pub(super) async fn ask(network: &Network, what: &str, request: Signed) -> Result<HttpResponse> {
    let response = network.transport.send(request).await.map_err(|failure| {
        Error::new(Kind::Credentials, format!("Failed to ask {what}")).with_source(failure)
    })?;
    if response.status == 200 {
        return Ok(response);
    }
    let mut message = format!(
        "{} refused with HTTP {}",
        capitalized(what),
        response.status
    );
    if let Some(said) = said(&response.body) {
        message.push_str(": ");
        message.push_str(&said);
    }
    Err(Error::new(Kind::Credentials, message))
}

/// Keys as all of these services write them, but for the case of the names.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Answer {
    code: String,
    #[serde(alias = "accessKeyId", alias = "access_key_id")]
    access_key_id: String,
    #[serde(alias = "accessKeySecret", alias = "access_key_secret")]
    access_key_secret: String,
    #[serde(alias = "securityToken", alias = "sts_token")]
    security_token: String,
    #[serde(alias = "expiration")]
    expiration: String,
    /// A profile of the CLI has one.
    #[serde(alias = "mode")]
    mode: String,
}

/// Reads keys out of an answer.
pub(super) fn keys(what: &str, body: &[u8]) -> Result<Credential> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        // The text of the error could quote the answer, that is a key.
        let message = format!(
            "{} is no JSON with keys (line {}, column {})",
            capitalized(what),
            error.line(),
            error.column()
        );
        Error::new(Kind::Credentials, message)
    })?;
    if !matches!(answer.code.as_str(), "" | "Success") {
        let message = format!("{} says `{}`", capitalized(what), answer.code);
        return Err(Error::new(Kind::Credentials, message));
    }
    if !["", "AK", "StsToken"]
        .map(str::to_lowercase)
        .contains(&answer.mode.to_lowercase())
    {
        let message = format!("{} has the mode `{}`", capitalized(what), answer.mode);
        return Err(Error::new(Kind::Credentials, message)
            .with_hint("It must be keys, that is, of mode `AK` or `StsToken`"));
    }
    for (name, value) in [
        ("AccessKeyId", &answer.access_key_id),
        ("AccessKeySecret", &answer.access_key_secret),
    ] {
        if value.is_empty() {
            let message = format!("{} has no {name}", capitalized(what));
            return Err(Error::new(Kind::Credentials, message));
        }
    }
    Ok(Credential {
        access_key_id: answer.access_key_id,
        secret: Secret::new(answer.access_key_secret),
        security_token: Some(answer.security_token)
            .filter(|token| !token.is_empty())
            .map(Secret::new),
        expiration: expiration(&answer.expiration),
    })
}

/// `2026-01-02T03:04:05Z`; an unreadable one is unknown, and the API's refusal
/// of old keys has them renewed all the same.
pub(super) fn expiration(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// What an error page of these services says: only a short text, as anything
/// else could be a page or a key.
fn said(body: &[u8]) -> Option<String> {
    let content: serde_json::Value = serde_json::from_slice(body).ok()?;
    let names = ["Message", "message", "error_description", "error"];
    let mut texts = names.iter().filter_map(|name| content[*name].as_str());
    texts.next().map(|text| text.chars().take(200).collect())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}
