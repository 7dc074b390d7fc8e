//! Buckets, objects and uploads of parts. Contents are files; the state only
//! points to them.

use std::collections::BTreeMap;

use super::{Common, Tags};
use crate::oss::content::Content;

#[derive(Clone)]
pub(crate) struct Bucket {
    /// The name is the id.
    pub(crate) common: Common,
    pub(crate) acl: String,
    pub(crate) storage_class: String,
    pub(crate) redundancy: String,
    /// Server-side encryption of everything in it: `AES256`, `KMS` or `SM4`.
    pub(crate) encryption: Option<String>,
    /// Whether another account owns it.
    pub(crate) foreign: bool,
    /// Rules as they were put, in XML.
    pub(crate) lifecycle: Option<String>,
    pub(crate) objects: BTreeMap<String, Object>,
    /// By upload id.
    pub(crate) uploads: BTreeMap<String, Upload>,
}

#[derive(Clone)]
pub(crate) struct Object {
    /// The id is `bucket/key`.
    pub(crate) common: Common,
    pub(crate) content: Content,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) kind: &'static str,
    pub(crate) attributes: Attributes,
}

/// What the creating call says about an object, besides its content.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) content_type: String,
    pub(crate) storage_class: String,
    pub(crate) acl: String,
    pub(crate) encryption: Option<String>,
    /// `x-oss-meta-*` and the standard headers that are given back.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

#[derive(Clone)]
pub(crate) struct Upload {
    /// The id is `bucket/key?uploadId=…`.
    pub(crate) common: Common,
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    pub(crate) forbid_overwrite: bool,
    pub(crate) parts: BTreeMap<u32, Part>,
}

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) content: Content,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) stored: jiff::Timestamp,
}
