//! Object Storage Service: what is needed to bring an image into a bucket.
//!
//! ```text
//! Oss::for a region ── bucket, object, multipart ── request ── sign ──► OSS
//!                            ▲
//!                          upload: parts at the same time, CRC-64, resume
//! ```
//!
//! Not here: what is uploaded and when it is deleted (`importer`, `journal`).
//! Facts: the OSS API reference.

pub mod bucket;
mod crc;
pub mod multipart;
pub mod object;
mod place;
mod request;
#[cfg(test)]
mod tests;
pub mod upload;
mod xml;

use std::sync::Arc;

use bytes::Bytes;

use self::place::Place;
use self::request::{Answer, Request};
use super::client::{About, Client};
use super::transport::Method;
use super::{Cloud, Product, Repeat};
use crate::engine::stop::Stop;
use crate::error::Result;

pub use self::crc::Crc64;
pub use self::place::parse_endpoint;

/// OSS in one region. Cheap to clone.
#[derive(Clone)]
pub struct Oss {
    client: Arc<Client>,
    region: String,
    place: Place,
}

impl Cloud {
    /// OSS in a region.
    ///
    /// # Errors
    /// `Kind::Usage` when the region cannot be part of a host name.
    pub fn oss(&self, region: &str) -> Result<Oss> {
        let url = self.0.config().endpoints.of(Product::Oss, region)?;
        Ok(Oss {
            client: Arc::clone(&self.0),
            region: region.to_owned(),
            place: Place::new(url),
        })
    }
}

/// A request to OSS, in the caller's words.
struct Ask<'a> {
    action: &'static str,
    method: Method,
    repeat: Repeat,
    bucket: &'a str,
    key: Option<&'a str>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// The CRC-64 that the answer must confirm.
    crc64: Option<u64>,
    creates: bool,
}

impl<'a> Ask<'a> {
    fn new(action: &'static str, method: Method, bucket: &'a str) -> Self {
        Self {
            action,
            method,
            repeat: Repeat::Always,
            bucket,
            key: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            crc64: None,
            creates: false,
        }
    }

    fn of_object(action: &'static str, method: Method, bucket: &'a str, key: &'a str) -> Self {
        Self {
            key: Some(key),
            ..Self::new(action, method, bucket)
        }
    }
}

impl Oss {
    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where an object is, for people.
    ///
    /// # Errors
    /// When the bucket cannot be part of a host name.
    pub fn address_of(&self, bucket: &str, key: &str) -> Result<String> {
        let url = self.place.url(bucket, Some(key), &[])?;
        Ok(url.to_string())
    }

    async fn ask(&self, ask: Ask<'_>, stop: &Stop) -> Result<Answer> {
        let query: Vec<_> = ask
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let url = self.place.url(ask.bucket, ask.key, &query)?;
        let request = Request {
            about: About {
                action: ask.action,
                region: self.region.clone(),
                repeat: ask.repeat,
                creates: ask.creates,
                url,
            },
            method: ask.method,
            bucket: ask.bucket.to_owned(),
            key: ask.key.map(str::to_owned),
            query: ask.query,
            headers: ask.headers,
            body: ask.body,
            crc64: ask.crc64,
        };
        self.client.until_answered(&request, stop).await
    }
}
