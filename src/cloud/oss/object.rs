//! Objects in one piece: putting small ones, looking, deleting.

use bytes::Bytes;
use jiff::Timestamp;

use super::{Ask, Crc64, Oss, xml};
use crate::cloud::sign::encode;
use crate::cloud::transport::Method;
use crate::cloud::{is_code, is_gone};
use crate::engine::stop::Stop;
use crate::error::Result;
use crate::journal::permit::Permit;

const OBJECTS_PER_PAGE: &str = "1000";

/// How an object is stored. It is always private and of class Standard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectOptions {
    /// `AES256`, `KMS` or `SM4`; ECS cannot import an encrypted object.
    pub encryption: Option<String>,
    /// At most ten.
    pub tags: Vec<(String, String)>,
    /// Headers `x-oss-meta-…`, without underscores; 8 KB at most.
    pub metadata: Vec<(&'static str, String)>,
    /// Whether an object of that name may be there already.
    pub overwrite: bool,
}

impl ObjectOptions {
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("x-oss-storage-class", "Standard".to_owned()),
            ("x-oss-object-acl", "private".to_owned()),
        ];
        if !self.overwrite {
            headers.push(("x-oss-forbid-overwrite", "true".to_owned()));
        }
        if let Some(encryption) = &self.encryption {
            headers.push(("x-oss-server-side-encryption", encryption.clone()));
        }
        if !self.tags.is_empty() {
            headers.push(("x-oss-tagging", tagging(&self.tags)));
        }
        headers.extend(self.metadata.iter().cloned());
        headers
    }
}

fn tagging(tags: &[(String, String)]) -> String {
    let pairs = tags
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What is known of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bytes.
    pub size: u64,
    /// Its CRC-64, when OSS knows it.
    pub crc64: Option<u64>,
    /// Its headers `x-oss-meta-…`.
    pub metadata: Vec<(String, String)>,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was put, by OSS's clock.
    pub modified: Option<Timestamp>,
}

impl Oss {
    /// Stores an object in one request.
    ///
    /// # Errors
    /// When OSS refuses, or did not receive what was sent.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        options: &ObjectOptions,
        _permit: &Permit,
        stop: &Stop,
    ) -> Result<()> {
        let ask = Ask {
            headers: options.headers(),
            crc64: Some(Crc64::of(&bytes).value),
            body: bytes,
            creates: true,
            ..Ask::of_object("PutObject", Method::Put, bucket, key)
        };
        self.ask(ask, stop).await.map(drop)
    }

    /// The object, if it is there.
    ///
    /// # Errors
    /// When OSS refuses to say.
    pub async fn head_object(
        &self,
        bucket: &str,
        key: &str,
        stop: &Stop,
    ) -> Result<Option<ObjectInfo>> {
        let ask = Ask::of_object("HeadObject", Method::Head, bucket, key);
        match self.ask(ask, stop).await {
            Ok(answer) => Ok(Some(ObjectInfo {
                size: answer.number("content-length").unwrap_or_default(),
                crc64: answer.crc64(),
                metadata: answer.headers_from("x-oss-meta-"),
            })),
            Err(error) if is_code(&error, &["NoSuchKey", "HTTP 404"]) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The content of a small object, if it is there.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn get_object(&self, bucket: &str, key: &str, stop: &Stop) -> Result<Option<Bytes>> {
        let ask = Ask::of_object("GetObject", Method::Get, bucket, key);
        match self.ask(ask, stop).await {
            Ok(answer) => Ok(Some(Bytes::copy_from_slice(answer.body()))),
            Err(error) if is_code(&error, &["NoSuchKey"]) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects whose names begin so. A bucket that is gone has none.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn list_objects(
        &self,
        bucket: &str,
        prefix: &str,
        stop: &Stop,
    ) -> Result<Vec<ListedObject>> {
        let (mut all, mut marker) = (Vec::new(), String::new());
        loop {
            let ask = Ask {
                query: vec![
                    ("prefix", prefix.to_owned()),
                    ("marker", marker.clone()),
                    ("max-keys", OBJECTS_PER_PAGE.to_owned()),
                ],
                ..Ask::new("ListObjects", Method::Get, bucket)
            };
            let answer = match self.ask(ask, stop).await {
                Err(error) if is_code(&error, &["NoSuchBucket"]) => return Ok(all),
                outcome => outcome?,
            };
            let page: xml::Objects = xml::content(&answer, "ListObjects")?;
            all.extend(page.objects.into_iter().map(listed));
            if !page.is_truncated || page.next_marker <= marker {
                return Ok(all);
            }
            marker = page.next_marker;
        }
    }

    /// Deletes an object. One that is gone counts as deleted.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn delete_object(&self, bucket: &str, key: &str, stop: &Stop) -> Result<()> {
        let ask = Ask::of_object("DeleteObject", Method::Delete, bucket, key);
        match self.ask(ask, stop).await {
            Err(error) if is_gone(&error, "DeleteObject") => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn listed(object: xml::Object) -> ListedObject {
    ListedObject {
        key: object.key,
        size: object.size,
        modified: object.last_modified.parse().ok(),
    }
}
