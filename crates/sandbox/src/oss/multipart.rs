//! Uploads in parts. Errors come where the real service reports them: a part
//! that is too small only when the upload is completed.

use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::json;

use super::bucket::parse;
use super::content::Content;
use super::error::OssError;
use super::object::{attributes_of, check_key};
use super::reply::Reply;
use super::target::Operation;
use super::{Answer, Context};
use crate::signature::{encode, hex};
use crate::state::bucket::{Object, Part, Upload};

/// Smallest part but for the last one.
const SMALLEST_PART: u64 = 100 << 10;

/// Highest number of a part.
const LAST_NUMBER: u32 = 10_000;

#[derive(Default, Deserialize)]
struct CompleteMultipartUpload {
    #[serde(rename = "Part", default)]
    parts: Vec<NamedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedPart {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

impl Context<'_> {
    pub(super) fn initiate_upload(&mut self) -> Answer {
        check_key(self.call.key())?;
        let attributes = attributes_of(self.call, self.find_bucket()?)?;
        let forbid_overwrite = self.call.header("x-oss-forbid-overwrite") == Some("true");
        self.check_overwrite(forbid_overwrite)?;
        let id = self.cloud.new_secret(32).to_ascii_uppercase();
        let (bucket, key) = (self.call.bucket().to_owned(), self.call.key().to_owned());
        let upload = Upload {
            common: self.common(format!("{bucket}/{key}?uploadId={id}")),
            key: key.clone(),
            attributes,
            forbid_overwrite,
            parts: Default::default(),
        };
        self.find_bucket_mut()?.uploads.insert(id.clone(), upload);
        let result = json!({
            "EncodingType": self.encoding(),
            "Bucket": bucket,
            "Key": self.encoded(&key),
            "UploadId": id,
        });
        Ok(Reply::xml("InitiateMultipartUploadResult", &result))
    }

    /// The encoding of keys in the answer, as asked for.
    pub(super) fn encoding(&self) -> &str {
        self.call.parameter("encoding-type").unwrap_or_default()
    }

    pub(super) fn encoded(&self, key: &str) -> String {
        match self.encoding() {
            "url" => encode(key).replace("%2F", "/"),
            _ => key.to_owned(),
        }
    }

    fn upload_id(&self) -> &str {
        self.call.parameter("uploadId").unwrap_or_default()
    }

    pub(super) fn find_upload(&self) -> Result<&Upload, OssError> {
        let id = self.upload_id();
        let upload = self.find_bucket()?.uploads.get(id);
        upload
            .filter(|upload| upload.key == self.call.key())
            .ok_or_else(|| OssError::no_such_upload(id))
    }

    pub(super) fn upload_part(&mut self) -> Answer {
        self.find_upload()?;
        let number = self.call.parameter("partNumber").unwrap_or_default();
        let parsed = number.parse().ok();
        let parsed = parsed.filter(|n| (1..=LAST_NUMBER).contains(n));
        let parsed = parsed.ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive.";
            OssError::invalid_argument("partNumber", number, message)
        })?;
        let encryption = "x-oss-server-side-encryption";
        if let Some(value) = self.call.header(encryption) {
            let message = "The encryption header is not supported by this operation.";
            return Err(OssError::invalid_argument(encryption, value, message));
        }
        let stored = self.stored.take();
        let stored = stored.ok_or_else(|| OssError::internal(&"no body"))?;
        let part = Part {
            etag: hex(&stored.md5).to_ascii_uppercase(),
            content: stored.content,
            stored: self.wall,
        };
        let reply = Reply::empty(200)
            .with("ETag", format!("\"{}\"", part.etag))
            .with("x-oss-hash-crc64ecma", part.content.crc64.to_string());
        let id = self.upload_id().to_owned();
        if let Some(upload) = self.find_bucket_mut()?.uploads.get_mut(&id) {
            upload.parts.insert(parsed, part);
        }
        Ok(reply)
    }

    pub(super) fn abort_upload(&mut self) -> Answer {
        self.find_upload()?;
        let id = self.upload_id().to_owned();
        self.find_bucket_mut()?.uploads.remove(&id);
        Ok(Reply::empty(204))
    }

    pub(super) fn complete_upload(&mut self) -> Answer {
        let upload = self.find_upload()?;
        let parts = self.chosen_parts(upload)?;
        self.check_overwrite(
            upload.forbid_overwrite || self.call.header("x-oss-forbid-overwrite") == Some("true"),
        )?;
        let key = upload.key.clone();
        let object = Object {
            common: self.common(format!("{}/{key}", self.call.bucket())),
            content: Content::concatenate(parts.iter().map(|part| &part.content)),
            etag: etag_of(&parts),
            kind: "Multipart",
            attributes: upload.attributes.clone(),
        };
        let (etag, sum) = (format!("\"{}\"", object.etag), object.content.crc64);
        let id = self.upload_id().to_owned();
        let bucket = self.find_bucket_mut()?;
        bucket.uploads.remove(&id);
        bucket.objects.insert(key.clone(), object);
        let result = json!({
            "EncodingType": self.encoding(),
            "Location": format!("http://{}/{}", self.call.host, encode(&key).replace("%2F", "/")),
            "Bucket": self.call.bucket(),
            "Key": self.encoded(&key),
            "ETag": etag,
        });
        Ok(Reply::xml("CompleteMultipartUploadResult", &result)
            .with("ETag", etag)
            .with("x-oss-hash-crc64ecma", sum.to_string()))
    }

    /// The parts the object is to be made of, checked.
    fn chosen_parts(&self, upload: &Upload) -> Result<Vec<Part>, OssError> {
        debug_assert_eq!(self.call.operation, Operation::CompleteMultipartUpload);
        let all = self.call.header("x-oss-complete-all") == Some("yes");
        let parts: Vec<Part> = if all {
            if !self.body.is_empty() {
                let message = "The body must be empty when x-oss-complete-all is specified.";
                return Err(OssError::invalid_argument(
                    "x-oss-complete-all",
                    "yes",
                    message,
                ));
            }
            upload.parts.values().cloned().collect()
        } else {
            let list: CompleteMultipartUpload = parse(&self.body)?;
            named_parts(upload, &list.parts)?
        };
        if parts.is_empty() {
            return Err(OssError::malformed_xml());
        }
        let small = parts[..parts.len() - 1]
            .iter()
            .find(|part| part.content.size < SMALLEST_PART);
        if let Some(part) = small {
            let message = "Your proposed upload smaller than the minimum allowed size.";
            return Err(OssError::new(400, "EntityTooSmall", message)
                .with("MinSizeAllowed", SMALLEST_PART.to_string())
                .with("ProposedSize", part.content.size.to_string())
                .with("EC", "0042-00000210"));
        }
        Ok(parts)
    }
}

fn named_parts(upload: &Upload, list: &[NamedPart]) -> Result<Vec<Part>, OssError> {
    if list
        .windows(2)
        .any(|pair| pair[0].part_number >= pair[1].part_number)
    {
        let message = "The list of parts was not in ascending order. Parts list must be specified in order by part number.";
        return Err(OssError::new(400, "InvalidPartOrder", message).with("EC", "0042-00000205"));
    }
    let find = |named: &NamedPart| {
        let part = upload.parts.get(&named.part_number);
        let wanted = named.etag.trim().trim_matches('"');
        part.filter(|part| part.etag.eq_ignore_ascii_case(wanted))
            .cloned()
            .ok_or_else(|| {
                let message = "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.";
                OssError::new(400, "InvalidPart", message)
                    .with("PartNumber", named.part_number.to_string())
                    .with("EC", "0042-00000206")
            })
    };
    list.iter().map(find).collect()
}

/// Of an object made of parts it is not the MD5.
fn etag_of(parts: &[Part]) -> String {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(&part.etag);
    }
    let digest = hex(&digest.finalize()).to_ascii_uppercase();
    format!("{digest}-{}", parts.len())
}
