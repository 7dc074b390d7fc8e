//! Answers of OSS on the wire.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::content::Content;
use super::error::OssError;
use super::{Answer, OssCall};
use crate::xml;

/// A successful answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: ReplyBody,
}

pub(crate) enum ReplyBody {
    Empty,
    Xml(String),
    /// `length` bytes of a content from `offset`.
    Content {
        content: Content,
        offset: u64,
        length: u64,
    },
    /// Only the length of a content, for HEAD.
    Length(u64),
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: ReplyBody::Empty,
        }
    }

    pub(crate) fn xml(root: &str, value: &Value) -> Self {
        Self {
            body: ReplyBody::Xml(xml::render(root, value)),
            ..Self::empty(200)
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Puts an answer on the wire.
pub(crate) fn render(call: &OssCall, answer: Answer, request_id: &str) -> Response {
    let reply = answer.unwrap_or_else(|error| error_reply(call, &error, request_id));
    let mut response = Response::builder()
        .status(reply.status)
        .header(header::SERVER, "AliyunOSS")
        .header("x-oss-request-id", request_id)
        .header("x-oss-server-time", "1");
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response = response.header(name, value);
        }
    }
    let body = match reply.body {
        ReplyBody::Empty => Body::empty(),
        ReplyBody::Xml(_) if call.method == "HEAD" => Body::empty(),
        ReplyBody::Xml(text) => {
            response = response.header(header::CONTENT_TYPE, "application/xml");
            Body::from(text)
        }
        ReplyBody::Length(length) => {
            response = response.header(header::CONTENT_LENGTH, length);
            Body::empty()
        }
        ReplyBody::Content {
            content,
            offset,
            length,
        } => {
            response = response.header(header::CONTENT_LENGTH, length);
            Body::from_stream(content.stream(offset, length))
        }
    };
    response.body(body).expect("status and headers are valid")
}

fn error_reply(call: &OssCall, error: &OssError, request_id: &str) -> Reply {
    let text = xml::render("Error", &error.body(request_id, &call.host));
    let mut reply = Reply::empty(error.http);
    if let Some(detailed) = error.detail("EC") {
        reply = reply.with("x-oss-ec", detailed);
    }
    if let Some(delay) = error.detail("QosDelayTime") {
        reply = reply.with("x-oss-qos-delay-time", delay);
    }
    if call.method == "HEAD" {
        return reply.with("x-oss-err", STANDARD.encode(text));
    }
    reply.body = ReplyBody::Xml(text);
    reply
}
