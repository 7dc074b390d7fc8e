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

/// A signed request: always `POST`, all parameters in the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Scheme, host and port; the path is `/`.
    pub url: Url,
    /// All headers but `host` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The form.
    pub body: String,
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
    /// The content.
    pub body: Bytes,
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
