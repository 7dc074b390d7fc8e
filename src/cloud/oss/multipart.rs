//! Objects in parts: the requests, one by one.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::object::ObjectOptions;
use super::{Ask, Crc64, Oss, xml};
use crate::cloud::transport::Method;
use crate::cloud::{Repeat, is_code, is_fate_unknown, is_gone};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::journal::permit::Permit;

/// An object that is being uploaded in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The object's name.
    pub key: String,
    /// OSS's id.
    pub id: String,
}

/// A part that OSS has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// From 1 to 10,000.
    pub number: u32,
    /// OSS's tag, in quotes.
    pub etag: String,
    /// Its checksum and length.
    pub crc64: Crc64,
}

/// How often an upload is begun that leaves no trace.
const INITIATIONS: u32 = 3;

const PARTS_PER_PAGE: &str = "1000";

impl Upload {
    fn ask(&self, action: &'static str, method: Method) -> Ask<'_> {
        Ask {
            query: vec![("uploadId", self.id.clone())],
            ..Ask::of_object(action, method, &self.bucket, &self.key)
        }
    }
}

impl Oss {
    /// Begins an upload. When the answer is lost, the upload is looked for
    /// before it is asked again: a second one would stay behind.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn initiate_upload(
        &self,
        bucket: &str,
        key: &str,
        options: &ObjectOptions,
        _permit: &Permit,
        stop: &Stop,
    ) -> Result<Upload> {
        let mut attempts = 1;
        loop {
            let error = match self.initiate_once(bucket, key, options, stop).await {
                Ok(upload) => return Ok(upload),
                Err(error) => error,
            };
            if !is_fate_unknown(&error) || stop.is_stopped() {
                return Err(error);
            }
            if let Some(upload) = self.newest_upload(bucket, key, stop).await? {
                return Ok(upload);
            }
            if attempts == INITIATIONS {
                return Err(error);
            }
            attempts += 1;
        }
    }

    async fn initiate_once(
        &self,
        bucket: &str,
        key: &str,
        options: &ObjectOptions,
        stop: &Stop,
    ) -> Result<Upload> {
        let ask = Ask {
            query: vec![("uploads", String::new())],
            headers: options.headers(),
            repeat: Repeat::Never,
            creates: true,
            ..Ask::of_object("InitiateMultipartUpload", Method::Post, bucket, key)
        };
        let answer = self.ask(ask, stop).await?;
        let initiated: xml::Initiated = xml::content(&answer, "InitiateMultipartUpload")?;
        if initiated.upload_id.is_empty() {
            let message = "InitiateMultipartUpload answered without an upload id";
            return Err(Error::new(Kind::Cloud, message));
        }
        Ok(Upload {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            id: initiated.upload_id,
        })
    }

    /// Sends a part; the same number again replaces it.
    ///
    /// # Errors
    /// When OSS refuses, or did not receive what was sent.
    pub async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        bytes: Bytes,
        crc64: Crc64,
        stop: &Stop,
    ) -> Result<SentPart> {
        let mut ask = Ask {
            crc64: Some(crc64.value),
            body: bytes,
            ..upload.ask("UploadPart", Method::Put)
        };
        ask.query.push(("partNumber", number.to_string()));
        let answer = self.ask(ask, stop).await.map_err(|error| {
            error.context(format!(
                "Cannot upload part {number} of {}/{}",
                upload.bucket, upload.key
            ))
        })?;
        Ok(SentPart {
            number,
            etag: answer.header("etag").unwrap_or_default().to_owned(),
            crc64,
        })
    }

    /// The parts that OSS has, by their numbers; none when it knows no such
    /// upload.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn list_parts(
        &self,
        upload: &Upload,
        stop: &Stop,
    ) -> Result<Option<BTreeMap<u32, SentPart>>> {
        let mut all = BTreeMap::new();
        let mut marker = 0;
        loop {
            let mut ask = upload.ask("ListParts", Method::Get);
            ask.query.push(("max-parts", PARTS_PER_PAGE.to_owned()));
            ask.query.push(("part-number-marker", marker.to_string()));
            let answer = match self.ask(ask, stop).await {
                Err(error) if is_code(&error, &["NoSuchUpload"]) => return Ok(None),
                outcome => outcome?,
            };
            let page: xml::Parts = xml::content(&answer, "ListParts")?;
            all.extend(
                page.parts
                    .into_iter()
                    .map(|part| (part.part_number, sent(part))),
            );
            if !page.is_truncated || page.next_part_number_marker <= marker {
                return Ok(Some(all));
            }
            marker = page.next_part_number_marker;
        }
    }

    /// Makes the parts an object; gives the object's CRC-64 when OSS says it.
    /// An answer that got lost gives none: look at the object.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[SentPart],
        options: &ObjectOptions,
        _permit: &Permit,
        stop: &Stop,
    ) -> Result<Option<u64>> {
        let mut ask = Ask {
            headers: vec![("content-type", "application/xml".to_owned())],
            body: xml::complete(parts).into(),
            creates: true,
            ..upload.ask("CompleteMultipartUpload", Method::Post)
        };
        if !options.overwrite {
            ask.headers
                .push(("x-oss-forbid-overwrite", "true".to_owned()));
        }
        let answer = self.ask(ask, stop).await?;
        Ok(answer.crc64())
    }

    /// Deletes an upload and its parts. Parts that were under way may stay
    /// when it is done once, so it is done until OSS knows it no more.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn abort_upload(&self, upload: &Upload, stop: &Stop) -> Result<()> {
        const MOST: u32 = 5;
        for _ in 0..MOST {
            let ask = upload.ask("AbortMultipartUpload", Method::Delete);
            match self.ask(ask, stop).await {
                Err(error) if is_gone(&error, "AbortMultipartUpload") => return Ok(()),
                outcome => outcome.map(drop)?,
            }
            if self.list_parts(upload, stop).await?.is_none() {
                return Ok(());
            }
        }
        let message = format!(
            "Upload {} of {}/{} goes on to have parts",
            upload.id, upload.bucket, upload.key
        );
        Err(Error::new(Kind::Cloud, message))
    }

    /// The upload of this object that began last, if any is under way.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn newest_upload(
        &self,
        bucket: &str,
        key: &str,
        stop: &Stop,
    ) -> Result<Option<Upload>> {
        let uploads = self.uploads_of(bucket, key, stop).await?;
        let newest = uploads.into_iter().max_by_key(|(_, initiated)| *initiated);
        Ok(newest.map(|(upload, _)| upload))
    }

    /// The uploads of this object that are under way, and when each began, by
    /// OSS's clock.
    ///
    /// # Errors
    /// When OSS refuses.
    pub async fn uploads_of(
        &self,
        bucket: &str,
        key: &str,
        stop: &Stop,
    ) -> Result<Vec<(Upload, Option<Timestamp>)>> {
        let mut all = Vec::new();
        let (mut key_marker, mut id_marker) = (String::new(), String::new());
        loop {
            let ask = Ask {
                query: vec![
                    ("uploads", String::new()),
                    ("prefix", key.to_owned()),
                    ("key-marker", key_marker.clone()),
                    ("upload-id-marker", id_marker.clone()),
                ],
                ..Ask::new("ListMultipartUploads", Method::Get, bucket)
            };
            let answer = self.ask(ask, stop).await?;
            let page: xml::Uploads = xml::content(&answer, "ListMultipartUploads")?;
            let of_key = page.uploads.into_iter().filter(|upload| upload.key == key);
            all.extend(of_key.map(|upload| under_way(bucket, upload)));
            let next = (page.next_key_marker, page.next_upload_id_marker);
            if !page.is_truncated || next == (key_marker.clone(), id_marker.clone()) {
                return Ok(all);
            }
            (key_marker, id_marker) = next;
        }
    }
}

fn under_way(bucket: &str, upload: xml::Upload) -> (Upload, Option<Timestamp>) {
    let initiated = upload.initiated.parse().ok();
    let upload = Upload {
        bucket: bucket.to_owned(),
        key: upload.key,
        id: upload.upload_id,
    };
    (upload, initiated)
}

fn sent(part: xml::Part) -> SentPart {
    SentPart {
        number: part.part_number,
        etag: part.etag,
        crc64: Crc64 {
            value: part.crc64.unwrap_or_default(),
            length: part.size,
        },
    }
}
