//! The seam between signing and the network: one signed request, one answer.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

/// Sends one request once. It neither retries nor reads the answer.
#[async_trait]
pub trait Transport: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// When there was none.
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure>;
}

/// The methods of HTTP that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`, the only one outside of OSS.
    #[default]
    Post,
    /// `PUT`
    Put,
}

impl Method {
    /// As it is sent and signed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A signed request. A body is in memory, so that it can be sent again: an
/// object is sent in parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is done.
    pub method: Method,
    /// Scheme, host and port; path and query are OSS's, `/` elsewhere.
    pub url: Url,
    /// All headers but `host` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The form, or part of an object.
    pub body: Bytes,
    /// How long to wait for the answer.
    pub read_timeout: Duration,
}

/// Only the address: headers and body are secret.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The server's clock (`date`).
    pub date: Option<String>,
    /// When to come back (`x-acs-retry-after`), in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The id to give to support (`x-acs-request-id`).
    pub request_id: Option<String>,
    /// What OSS says in headers: `etag`, `content-length` and `x-oss-*`, in
    /// lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
}

impl HttpResponse {
    /// The value of a header of OSS.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub struct SendFailure {
    /// Whether the request cannot have reached the server.
    pub unsent: bool,
    /// The host it was for.
    pub host: String,
    /// What happened.
    pub source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unsent, host, .. } = self;
        if *unsent {
            write!(f, "Cannot connect to {host}")
        } else {
            write!(f, "No answer from {host}")
        }
    }
}

impl StdError for SendFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}
