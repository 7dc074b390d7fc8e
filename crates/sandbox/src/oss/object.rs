//! Objects: storing, reading, describing and deleting them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::bucket::{access_control, parse};
use super::error::OssError;
use super::reply::{Reply, ReplyBody};
use super::{Answer, Context, OssCall};
use crate::clock::http_date;
use crate::state::bucket::{Attributes, Bucket, Object};

/// Longest key in bytes.
const KEY_LENGTH: usize = 1023;

/// Headers of the creating call that every later answer repeats.
const REPEATED: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

const STORAGE_CLASSES: &[&str] = &[
    "Standard",
    "IA",
    "Archive",
    "ColdArchive",
    "DeepColdArchive",
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tagging {
    tag_set: TagSet,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TagSet {
    tag: Vec<Tag>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tag {
    key: String,
    value: String,
}

impl Context<'_> {
    pub(super) fn put_object(&mut self) -> Answer {
        check_key(self.call.key())?;
        let attributes = attributes_of(self.call, self.find_bucket()?)?;
        self.check_overwrite(self.call.header("x-oss-forbid-overwrite") == Some("true"))?;
        let stored = self.stored.take();
        let stored = stored.ok_or_else(|| OssError::internal(&"no body"))?;
        let object = Object {
            common: self.common(format!("{}/{}", self.call.bucket(), self.call.key())),
            etag: crate::signature::hex(&stored.md5).to_ascii_uppercase(),
            content: stored.content,
            kind: "Normal",
            attributes,
        };
        let reply = Reply::empty(200)
            .with("ETag", format!("\"{}\"", object.etag))
            .with("x-oss-hash-crc64ecma", object.content.crc64.to_string());
        let key = self.call.key().to_owned();
        self.find_bucket_mut()?.objects.insert(key, object);
        Ok(reply)
    }

    /// Refuses to replace an object that must not be.
    pub(super) fn check_overwrite(&self, forbidden: bool) -> Result<(), OssError> {
        if !forbidden || !self.find_bucket()?.objects.contains_key(self.call.key()) {
            return Ok(());
        }
        let message = "The object you specified already exists and can not be overwritten.";
        Err(OssError::new(409, "FileAlreadyExists", message).with("EC", "0026-00000121"))
    }

    pub(super) fn find_object(&self) -> Result<&Object, OssError> {
        let object = self.find_bucket()?.objects.get(self.call.key());
        object.ok_or_else(|| OssError::no_such_key(self.call.key()))
    }

    fn find_object_mut(&mut self) -> Result<&mut Object, OssError> {
        let key = self.call.key();
        let object = self.find_bucket_mut()?.objects.get_mut(key);
        object.ok_or_else(|| OssError::no_such_key(key))
    }

    pub(super) fn get_object(&mut self) -> Answer {
        let object = self.find_object()?;
        if object.attributes.storage_class.ends_with("Archive") {
            let message = "The operation is not valid for the object's state.";
            return Err(OssError::new(403, "InvalidObjectState", message));
        }
        let size = object.content.size;
        let mut reply = describe(object);
        let range = self.call.header("range").and_then(|r| parse_range(r, size));
        let (offset, length) = match range {
            None => (0, size),
            Some((first, last)) => {
                reply.status = 206;
                reply = reply.with("Content-Range", format!("bytes {first}-{last}/{size}"));
                (first, last - first + 1)
            }
        };
        reply.body = ReplyBody::Content {
            content: object.content.clone(),
            offset,
            length,
        };
        Ok(reply)
    }

    pub(super) fn head_object(&mut self) -> Answer {
        let object = self.find_object()?;
        let mut reply = describe(object);
        reply.body = ReplyBody::Length(object.content.size);
        Ok(reply)
    }

    pub(super) fn object_meta(&mut self) -> Answer {
        let object = self.find_object()?;
        let mut reply = Reply::empty(200)
            .with("ETag", format!("\"{}\"", object.etag))
            .with("Last-Modified", http_date(object.common.created))
            .with("x-oss-hash-crc64ecma", object.content.crc64.to_string());
        reply.body = match self.call.method.as_str() {
            "HEAD" => ReplyBody::Length(object.content.size),
            _ => reply.body,
        };
        Ok(reply)
    }

    /// Deleting what is not there is a success.
    pub(super) fn delete_object(&mut self) -> Answer {
        let (bucket, key) = (self.call.bucket(), self.call.key());
        self.find_bucket_mut()?.objects.remove(key);
        self.cloud.fail_imports_of(bucket, key);
        Ok(Reply::empty(204))
    }

    pub(super) fn object_acl(&mut self) -> Answer {
        Ok(access_control(&self.find_object()?.attributes.acl))
    }

    pub(super) fn put_object_acl(&mut self) -> Answer {
        let acl = self.call.header("x-oss-object-acl").map(str::to_owned);
        let acl = acl.filter(|acl| ["default", "private"].contains(&acl.as_str()));
        let acl =
            acl.ok_or_else(|| OssError::access_denied("Put public object acl is not allowed."))?;
        self.find_object_mut()?.attributes.acl = acl;
        Ok(Reply::empty(200))
    }

    pub(super) fn object_tagging(&mut self) -> Answer {
        let tags = self.find_object()?.attributes.tags.iter();
        let tags: Vec<Value> = tags.map(|(k, v)| json!({"Key": k, "Value": v})).collect();
        Ok(Reply::xml("Tagging", &json!({"TagSet": {"Tag": tags}})))
    }

    pub(super) fn put_object_tagging(&mut self) -> Answer {
        let tagging: Tagging = parse(&self.body)?;
        let tags = tagging.tag_set.tag.into_iter();
        let tags: BTreeMap<String, String> = tags.map(|tag| (tag.key, tag.value)).collect();
        check_tags(&tags)?;
        self.find_object_mut()?.attributes.tags = tags;
        Ok(Reply::empty(200))
    }

    pub(super) fn delete_object_tagging(&mut self) -> Answer {
        self.find_object_mut()?.attributes.tags.clear();
        Ok(Reply::empty(204))
    }
}

pub(super) fn check_key(key: &str) -> Result<(), OssError> {
    if key.len() <= KEY_LENGTH && !key.starts_with(['/', '\\']) {
        return Ok(());
    }
    let message = "The specified object is not valid.";
    Err(OssError::new(400, "InvalidObjectName", message).with("ObjectName", key))
}

/// What the headers of a creating call say about an object.
pub(super) fn attributes_of(call: &OssCall, bucket: &Bucket) -> Result<Attributes, OssError> {
    let text = |name: &str, default: &str| call.header(name).unwrap_or(default).to_owned();
    let storage_class = text("x-oss-storage-class", &bucket.storage_class);
    if !STORAGE_CLASSES.contains(&storage_class.as_str()) {
        let message = "The specified storage class is not valid.";
        return Err(OssError::invalid_argument(
            "x-oss-storage-class",
            &storage_class,
            message,
        ));
    }
    let encryption = call
        .header("x-oss-server-side-encryption")
        .map(str::to_owned);
    if let Some(algorithm) = &encryption
        && !["AES256", "KMS", "SM4"].contains(&algorithm.as_str())
    {
        let message = "The encryption method specified is not supported.";
        return Err(OssError::new(
            400,
            "InvalidEncryptionAlgorithmError",
            message,
        ));
    }
    let tags = call.header("x-oss-tagging").unwrap_or_default();
    let tags = url::form_urlencoded::parse(tags.as_bytes())
        .into_owned()
        .collect();
    check_tags(&tags)?;
    let kept = |name: &str| name.starts_with("x-oss-meta-") || REPEATED.contains(&name);
    let headers = call.headers.iter().filter(|(name, _)| kept(name));
    Ok(Attributes {
        content_type: text("content-type", "application/octet-stream"),
        storage_class,
        acl: text("x-oss-object-acl", "default"),
        encryption: encryption.or_else(|| bucket.encryption.clone()),
        headers: headers.map(|(n, v)| (n.clone(), v.clone())).collect(),
        tags,
    })
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), OssError> {
    let fits = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
    };
    if tags.len() <= 10 && tags.iter().all(fits) {
        return Ok(());
    }
    let message = "The tag set is not valid.";
    Err(OssError::new(400, "InvalidTag", message))
}

/// The headers of HEAD and GET.
fn describe(object: &Object) -> Reply {
    let attributes = &object.attributes;
    let mut reply = Reply::empty(200)
        .with("Content-Type", attributes.content_type.clone())
        .with("Accept-Ranges", "bytes")
        .with("ETag", format!("\"{}\"", object.etag))
        .with("Last-Modified", http_date(object.common.created))
        .with("x-oss-object-type", object.kind)
        .with("x-oss-storage-class", attributes.storage_class.clone())
        .with("x-oss-hash-crc64ecma", object.content.crc64.to_string());
    if let Some(algorithm) = &attributes.encryption {
        reply = reply.with("x-oss-server-side-encryption", algorithm.clone());
    }
    if !attributes.tags.is_empty() {
        reply = reply.with("x-oss-tagging-count", attributes.tags.len().to_string());
    }
    for (name, value) in &attributes.headers {
        reply = reply.with(name, value.clone());
    }
    reply
}

/// First and last byte of a `Range` header. One that makes no sense is ignored,
/// which is the documented default.
fn parse_range(header: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (
            size.saturating_sub(suffix.parse().ok()?),
            size.checked_sub(1)?,
        ),
        (first, "") => (first.parse().ok()?, size.checked_sub(1)?),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?),
    };
    (first <= last && last < size).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_documentation() {
        let table = [
            ("bytes=0-9", Some((0, 9))),
            ("bytes=10-", Some((10, 99))),
            ("bytes=-10", Some((90, 99))),
            ("bytes=-200", Some((0, 99))),
            ("bytes=50-100", None),
            ("bytes=9-0", None),
            ("0-9", None),
        ];
        for (header, range) in table {
            assert_eq!(parse_range(header, 100), range, "{header}");
        }
        assert_eq!(parse_range("bytes=0-", 0), None);
    }
}
