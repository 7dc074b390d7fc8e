//! What went wrong with one request, and how callers recognize it.
//!
//! Facts: "Error codes" of the API reference: JSON with `Code`, `Message`,
//! `RequestId`; gateways in front of it also answer XML or HTML.

use std::error::Error as StdError;
use std::time::Duration;

use serde_json::Value;

use super::retry::codes;
use super::transport::{HttpResponse, SendFailure};
use crate::error::{ApiFailure, Error, Kind};

/// The code of a refused request.
pub fn code_of(error: &Error) -> Option<&str> {
    error.api_failure().map(|failure| failure.code.as_str())
}

/// Whether the request was refused with one of these codes.
pub fn is_code(error: &Error, wanted: &[&str]) -> bool {
    code_of(error).is_some_and(|code| codes::matches(wanted, code))
}

/// Whether the caller's RAM policies do not allow the request.
pub fn is_forbidden(error: &Error) -> bool {
    is_code(
        error,
        &["Forbidden.RAM", "Forbidden.SubUser", "NoPermission"],
    )
}

/// Whether a deleting or detaching action was refused because its object is
/// not there any more, which is what it wanted.
pub fn is_gone(error: &Error, action: &str) -> bool {
    code_of(error).is_some_and(|code| codes::is_gone(action, code))
}

/// Whether the request may have been carried out although it failed: no
/// answer came, or one that does not say, or we were told to stop and did not
/// wait for it.
pub fn is_fate_unknown(error: &Error) -> bool {
    if error.kind() == Kind::Cancelled {
        return true;
    }
    if let Some(failure) = error.api_failure() {
        return failure.http_status >= 500 && !codes::is_refusal(&failure.code);
    }
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(failure) = error.downcast_ref::<SendFailure>() {
            return !failure.unsent;
        }
        source = error.source();
    }
    false
}

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer.
    Send(SendFailure),
    /// An answer that says no, or nothing we understand.
    Refused(Box<Refusal>),
    /// What arrived is not what was sent.
    Damaged(String),
    /// We could not even ask.
    Local(Error),
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The answer in full.
    pub(super) failure: ApiFailure,
    /// When to come back, if the server says so.
    pub(super) retry_after: Option<Duration>,
    /// The server's clock.
    pub(super) date: Option<String>,
    /// The permission that is missing, for example `ecs:RunInstances`.
    pub(super) missing_permission: Option<String>,
    /// Where the request should have gone, if the server says so.
    pub(super) endpoint: Option<String>,
    /// Whether the server's string to sign is ours; none when it did not say.
    pub(super) same_string_to_sign: Option<bool>,
}

impl Refusal {
    /// Compares the string the server signed with ours, and cuts it off the
    /// message: it holds every parameter.
    pub(super) fn settle_signature(&mut self, ours: &str) {
        let ApiFailure { code, message, .. } = &mut self.failure;
        if code != "SignatureDoesNotMatch" && code != "IncompleteSignature" {
            return;
        }
        let Some(position) = message.find("server ") else {
            return;
        };
        // The last line is what differs; servers render the line end before
        // it in their own ways.
        let telling = ours.lines().last().unwrap_or_default();
        self.same_string_to_sign = Some(message[position..].contains(telling));
        message.truncate(position);
        message.truncate(message.trim_end().len());
    }
}

/// Where an answer belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) action: &'static str,
    pub(super) region: &'a str,
}

/// The content of an answer, or why it is none.
pub(super) fn read(asked: Asked<'_>, response: &HttpResponse) -> Result<Value, Box<Refusal>> {
    let content = serde_json::from_slice::<Value>(&response.body).ok();
    match content {
        Some(content) if (200..300).contains(&response.status) && content.is_object() => {
            Ok(content)
        }
        content => {
            let refusal = refusal(asked, response, &content.unwrap_or_default());
            // A dry run that would succeed is refused, too.
            if codes::matches(
                &["DryRunOperation", "DRYRUN.SUCCESS"],
                &refusal.failure.code,
            ) {
                return Ok(Value::Object(serde_json::Map::default()));
            }
            Err(Box::new(refusal))
        }
    }
}

fn refusal(asked: Asked<'_>, response: &HttpResponse, content: &Value) -> Refusal {
    let text = String::from_utf8_lossy(&response.body);
    let member = |name: &str| {
        let json = content[name].as_str().map(str::to_owned);
        json.or_else(|| xml_element(&text, name).map(str::to_owned))
    };
    let request_id = member("RequestId").or_else(|| response.request_id.clone());
    Refusal {
        failure: ApiFailure {
            action: asked.action,
            region: asked.region.to_owned(),
            http_status: response.status,
            // Something between us and the API spoke.
            code: member("Code").unwrap_or_else(|| format!("HTTP {}", response.status)),
            message: member("Message").unwrap_or_else(|| excerpt(&text)),
            request_id: request_id.unwrap_or_else(|| "unknown".to_owned()),
        },
        retry_after: response.retry_after_ms.map(Duration::from_millis),
        date: response.date.clone(),
        missing_permission: content["AccessDeniedDetail"]["AuthAction"]
            .as_str()
            .map(str::to_owned),
        endpoint: None,
        same_string_to_sign: None,
    }
}

fn xml_element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value)
}

/// The beginning of an answer that is not the API's.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(LONGEST)
        .collect();
    if line.is_empty() {
        "The answer is empty".to_owned()
    } else {
        format!("The answer is not the API's: {line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body(status: u16, body: &str) -> Result<Value, Box<Refusal>> {
        let asked = Asked {
            action: "RunInstances",
            region: "cn-hangzhou",
        };
        let response = HttpResponse {
            status,
            retry_after_ms: Some(1500),
            request_id: Some("from-header".into()),
            body: body.to_owned().into(),
            ..HttpResponse::default()
        };
        read(asked, &response)
    }

    #[test]
    fn refusals_are_read_from_json_xml_and_anything() {
        let table = [
            (
                403,
                r#"{"Code":"Forbidden.RAM","Message":"No","RequestId":"r1","AccessDeniedDetail":{"AuthAction":"ecs:RunInstances"}}"#,
                ("Forbidden.RAM", "No", "r1"),
            ),
            (
                400,
                "<Error><RequestId>r2</RequestId><Code>Throttling</Code><Message>Slow</Message></Error>",
                ("Throttling", "Slow", "r2"),
            ),
            (
                502,
                "<html>\n<b>Bad  Gateway</b></html>",
                (
                    "HTTP 502",
                    "The answer is not the API's: <html> <b>Bad Gateway</b></html>",
                    "from-header",
                ),
            ),
            (504, "", ("HTTP 504", "The answer is empty", "from-header")),
            (
                200,
                "hello",
                (
                    "HTTP 200",
                    "The answer is not the API's: hello",
                    "from-header",
                ),
            ),
        ];
        for (status, body, expected) in table {
            let refusal = read_body(status, body).unwrap_err();
            let failure = &refusal.failure;
            assert_eq!(
                (
                    failure.code.as_str(),
                    failure.message.as_str(),
                    failure.request_id.as_str()
                ),
                expected
            );
            assert_eq!(refusal.retry_after, Some(Duration::from_millis(1500)));
        }
        let denied = read_body(403, table[0].1).unwrap_err();
        assert_eq!(
            denied.missing_permission.as_deref(),
            Some("ecs:RunInstances")
        );
        assert!(read_body(200, r#"{"RequestId":"r"}"#).is_ok());
        let passed = r#"{"Code":"DryRunOperation","Message":"ok","RequestId":"r"}"#;
        assert!(read_body(400, passed).is_ok());
    }

    #[test]
    fn a_quoted_string_to_sign_is_compared_and_cut() {
        let settle = |message: &str, ours: &str| {
            let body = serde_json::json!({"Code": "SignatureDoesNotMatch", "Message": message});
            let mut refusal = read_body(400, &body.to_string()).unwrap_err();
            refusal.settle_signature(ours);
            (refusal.same_string_to_sign, refusal.failure.message)
        };
        let acs3 = "No match. server StringToSign is [ACS3-HMAC-SHA256\n0a1b] server ...";
        let rpc = "No match. server string to sign is:POST&%2F&a";
        let cut = || "No match.".to_owned();
        assert_eq!(settle(acs3, "ACS3-HMAC-SHA256\n0a1b"), (Some(true), cut()));
        assert_eq!(settle(acs3, "ACS3-HMAC-SHA256\nffff"), (Some(false), cut()));
        assert_eq!(settle(rpc, "POST&%2F&a"), (Some(true), cut()));
        assert_eq!(settle("No match.", "x"), (None, cut()));
    }

    #[test]
    fn the_fate_is_unknown_without_a_clear_answer() {
        let refused = |status: u16, code: &str| {
            let failure = ApiFailure {
                action: "ImportKeyPair",
                region: "r".into(),
                http_status: status,
                code: code.into(),
                message: String::new(),
                request_id: String::new(),
            };
            Error::new(Kind::Cloud, "x")
                .with_source(failure)
                .context("y")
        };
        let sent = |unsent| {
            let failure = SendFailure {
                unsent,
                host: "h".into(),
                source: "reset".into(),
            };
            Error::new(Kind::Cloud, "x")
                .with_source(failure)
                .context("y")
        };
        let table = [
            (refused(502, "HTTP 502"), true),
            (refused(500, "InternalError"), true),
            (refused(503, "ServiceUnavailable"), false),
            (refused(400, "KeyPair.AlreadyExist"), false),
            (sent(false), true),
            (sent(true), false),
            (Error::cancelled(), true),
            (Error::new(Kind::Usage, "x"), false),
        ];
        for (error, expected) in table {
            assert_eq!(is_fate_unknown(&error), expected, "{error:?}");
        }
    }
}
