//! One request to OSS: signing it, and reading its answer or refusal.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::xml;
use crate::cloud::client::{About, Client, Exchange};
use crate::cloud::credential::Credential;
use crate::cloud::failure::{Failure, Refusal, excerpt};
use crate::cloud::sign::{Resource, sign_oss};
use crate::cloud::transport::{HttpResponse, Method, Signed};
use crate::error::ApiFailure;

pub(super) const CRC_HEADER: &str = "x-oss-hash-crc64ecma";

/// What an answer may take, and in addition each byte that is sent: a line
/// slower than this is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A request that can be signed for each attempt.
pub(super) struct Request {
    pub(super) about: About,
    pub(super) method: Method,
    pub(super) bucket: String,
    pub(super) key: Option<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    pub(super) crc64: Option<u64>,
}

/// An answer that says yes.
#[derive(Debug, Default)]
pub(super) struct Answer(HttpResponse);

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// The headers whose names begin so.
    pub(super) fn headers_from(&self, start: &str) -> Vec<(String, String)> {
        let headers = self.0.headers.iter();
        let found = headers.filter(|(name, _)| name.starts_with(start));
        found.cloned().collect()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    pub(super) fn crc64(&self) -> Option<u64> {
        self.number(CRC_HEADER)
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.0.body
    }
}

impl Exchange for Request {
    type Answer = Answer;

    fn about(&self) -> &About {
        &self.about
    }

    async fn exchange(&self, client: &Client, credential: &Credential) -> Result<Answer, Failure> {
        let (signed, string_to_sign) = self.sign(client, credential);
        let response = client.transmit(signed).await?;
        if !(200..300).contains(&response.status) {
            let mut refusal = self.refusal(&response);
            refusal.settle_signature(&string_to_sign);
            refusal.failure.message = credential.scrub(&refusal.failure.message);
            return Err(Failure::Refused(Box::new(refusal)));
        }
        let answer = Answer(response);
        match (self.crc64, answer.crc64()) {
            (Some(sent), Some(stored)) if sent != stored => Err(Failure::Damaged(format!(
                "OSS received other bytes than were sent (CRC-64 {stored}, not {sent})"
            ))),
            _ => Ok(answer),
        }
    }

    fn done(&self) -> Answer {
        Answer::default()
    }

    fn request_id(answer: &Answer) -> &str {
        answer.0.request_id.as_deref().unwrap_or_default()
    }
}

impl Request {
    fn sign(&self, client: &Client, credential: &Credential) -> (Signed, String) {
        let mut headers: BTreeMap<_, _> = self.headers.iter().cloned().collect();
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let resource = Resource {
            bucket: Some(&self.bucket),
            key: self.key.as_deref(),
            query: &query,
        };
        let string_to_sign = sign_oss(
            client.config().signature,
            self.method.name(),
            resource,
            &self.about.region,
            &mut headers,
            credential,
            client.now(),
        );
        let sending = self.body.len() as u64 / SLOWEST_BYTES_PER_SECOND;
        let signed = Signed {
            method: self.method,
            url: self.about.url.clone(),
            headers: headers.into_iter().collect(),
            body: self.body.clone(),
            read_timeout: PATIENCE + Duration::from_secs(sending),
        };
        (signed, string_to_sign)
    }

    fn refusal(&self, response: &HttpResponse) -> Refusal {
        let text = error_text(response);
        let said: xml::Error = xml::read(&text).unwrap_or_default();
        let request_id = Some(said.request_id)
            .filter(|id| !id.is_empty())
            .or_else(|| response.request_id.clone());
        let code = match said.code.as_str() {
            "" => code_of_status(self.about.action, response.status),
            code => code.to_owned(),
        };
        let ec = Some(said.ec)
            .filter(|ec| !ec.is_empty())
            .or_else(|| response.header("x-oss-ec").map(str::to_owned));
        let message = match said.message.as_str() {
            "" => excerpt(&text),
            message => message.to_owned(),
        };
        Refusal {
            failure: ApiFailure {
                action: self.about.action,
                region: self.about.region.clone(),
                http_status: response.status,
                code,
                message: ec.map_or_else(|| message.clone(), |ec| format!("{message} (EC {ec})")),
                request_id: request_id.unwrap_or_else(|| "unknown".to_owned()),
            },
            retry_after: response.retry_after_ms.map(Duration::from_millis),
            date: response.date.clone(),
            missing_permission: Some(permission(self.about.action).to_owned()),
            endpoint: Some(said.endpoint).filter(|endpoint| !endpoint.is_empty()),
            same_string_to_sign: None,
        }
    }
}

/// An answer to HEAD has no body; the error is in a header.
fn error_text(response: &HttpResponse) -> String {
    if response.body.is_empty() {
        let header = response.header("x-oss-err");
        let decoded = header.and_then(|text| STANDARD.decode(text).ok());
        return String::from_utf8_lossy(&decoded.unwrap_or_default()).into_owned();
    }
    String::from_utf8_lossy(&response.body).into_owned()
}

/// For an answer that says nothing, as those to HEAD may.
fn code_of_status(action: &str, status: u16) -> String {
    match status {
        404 if action == "HeadObject" => "NoSuchKey".to_owned(),
        status => format!("HTTP {status}"),
    }
}

/// The RAM action that allows an API action.
fn permission(action: &str) -> &str {
    match action {
        "InitiateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "PutObject" => {
            "oss:PutObject"
        }
        "GetObject" | "HeadObject" => "oss:GetObject",
        "ListObjects" => "oss:ListObjects",
        "GetBucketInfo" => "oss:GetBucketInfo",
        "PutBucket" => "oss:PutBucket",
        "DeleteBucket" => "oss:DeleteBucket",
        "DeleteObject" => "oss:DeleteObject",
        "AbortMultipartUpload" => "oss:AbortMultipartUpload",
        "ListParts" => "oss:ListParts",
        "ListMultipartUploads" => "oss:ListMultipartUploads",
        other => other,
    }
}
