//! Pages of objects, uploads and parts.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::bucket::owner;
use super::error::OssError;
use super::reply::Reply;
use super::{Answer, Context, OssCall};
use crate::clock::iso_millis;
use crate::state::bucket::Object;

/// A page size from the query.
pub(super) fn limit(
    call: &OssCall,
    name: &str,
    default: usize,
    max: usize,
) -> Result<usize, OssError> {
    let Some(text) = call.parameter(name).filter(|text| !text.is_empty()) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|n| (1..=max).contains(n));
    number.ok_or_else(|| OssError::invalid_argument(name, text, "Argument is out of range."))
}

/// One page of keys: objects, folded prefixes, and where the next page begins.
struct Page {
    objects: Vec<Value>,
    prefixes: Vec<Value>,
    count: usize,
    next: Option<String>,
}

impl Context<'_> {
    fn text(&self, name: &str) -> &str {
        self.call.parameter(name).unwrap_or_default()
    }

    pub(super) fn list_objects(&mut self) -> Answer {
        let page = self.page_after(self.text("marker"))?;
        let mut result = self.common_fields(&page);
        result.insert("Marker".into(), json!(self.encoded(self.text("marker"))));
        if let Some(next) = &page.next {
            result.insert("NextMarker".into(), json!(self.encoded(next)));
        }
        Ok(Reply::xml("ListBucketResult", &Value::Object(result)))
    }

    pub(super) fn list_objects_v2(&mut self) -> Answer {
        let token = self.text("continuation-token");
        let after = token.max(self.text("start-after"));
        let page = self.page_after(after)?;
        let mut result = self.common_fields(&page);
        result.insert("KeyCount".into(), json!(page.count));
        result.insert(
            "StartAfter".into(),
            json!(self.encoded(self.text("start-after"))),
        );
        result.insert("ContinuationToken".into(), json!(token));
        if let Some(next) = &page.next {
            result.insert("NextContinuationToken".into(), json!(next));
        }
        Ok(Reply::xml("ListBucketResult", &Value::Object(result)))
    }

    fn common_fields(&self, page: &Page) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("Name".into(), json!(self.call.bucket()));
        result.insert("Prefix".into(), json!(self.encoded(self.text("prefix"))));
        result.insert(
            "Delimiter".into(),
            json!(self.encoded(self.text("delimiter"))),
        );
        result.insert("MaxKeys".into(), json!(self.text("max-keys")));
        result.insert("EncodingType".into(), json!(self.encoding()));
        result.insert("IsTruncated".into(), json!(page.next.is_some()));
        result.insert("Contents".into(), json!(page.objects));
        result.insert("CommonPrefixes".into(), json!(page.prefixes));
        result
    }

    fn page_after(&self, after: &str) -> Result<Page, OssError> {
        let limit = limit(self.call, "max-keys", 100, 1000)?;
        let (prefix, delimiter) = (self.text("prefix"), self.text("delimiter"));
        let mut page = Page {
            objects: Vec::new(),
            prefixes: Vec::new(),
            count: 0,
            next: None,
        };
        let mut folded = BTreeSet::new();
        let mut last = String::new();
        for (key, object) in &self.find_bucket()?.objects {
            let Some(rest) = key.strip_prefix(prefix) else {
                continue;
            };
            let fold = rest.find(delimiter).filter(|_| !delimiter.is_empty());
            let name = fold.map_or(key.as_str(), |at| {
                &key[..prefix.len() + at + delimiter.len()]
            });
            if name <= after || folded.contains(name) {
                continue;
            }
            if page.count == limit {
                page.next = Some(last);
                break;
            }
            page.count += 1;
            name.clone_into(&mut last);
            if fold.is_some() {
                folded.insert(name);
                page.prefixes.push(json!({"Prefix": self.encoded(name)}));
            } else {
                page.objects.push(self.object_json(key, object));
            }
        }
        Ok(page)
    }

    fn object_json(&self, key: &str, object: &Object) -> Value {
        json!({
            "Key": self.encoded(key),
            "LastModified": iso_millis(object.common.created),
            "ETag": format!("\"{}\"", object.etag),
            "Type": object.kind,
            "Size": object.content.size,
            "StorageClass": object.attributes.storage_class,
            "Owner": owner(),
        })
    }

    pub(super) fn list_uploads(&mut self) -> Answer {
        let limit = limit(self.call, "max-uploads", 1000, 1000)?;
        let after = (self.text("key-marker"), self.text("upload-id-marker"));
        let uploads = self.find_bucket()?.uploads.iter();
        let mut found: Vec<_> = uploads
            .filter(|(id, upload)| {
                let later = match after {
                    (key, "") => upload.key.as_str() > key || key.is_empty(),
                    (key, marker) => (upload.key.as_str(), id.as_str()) > (key, marker),
                };
                later && upload.key.starts_with(self.text("prefix"))
            })
            .collect();
        found.sort_by(|a, b| (&a.1.key, a.0).cmp(&(&b.1.key, b.0)));
        let truncated = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| truncated);
        let shown: Vec<Value> = found
            .iter()
            .map(|(id, upload)| {
                json!({
                    "Key": self.encoded(&upload.key),
                    "UploadId": id,
                    "StorageClass": upload.attributes.storage_class,
                    "Initiated": iso_millis(upload.common.created),
                })
            })
            .collect();
        let result = json!({
            "EncodingType": self.encoding(),
            "Bucket": self.call.bucket(),
            "KeyMarker": self.encoded(after.0),
            "UploadIdMarker": after.1,
            "NextKeyMarker": last.map_or(String::new(), |(_, upload)| self.encoded(&upload.key)),
            "NextUploadIdMarker": last.map_or("", |(id, _)| id.as_str()),
            "Prefix": self.encoded(self.text("prefix")),
            "Delimiter": self.encoded(self.text("delimiter")),
            "MaxUploads": limit,
            "IsTruncated": truncated,
            "Upload": shown,
        });
        Ok(Reply::xml("ListMultipartUploadsResult", &result))
    }

    pub(super) fn list_parts(&mut self) -> Answer {
        let limit = limit(self.call, "max-parts", 1000, 1000)?;
        let marker: u32 = self.text("part-number-marker").parse().unwrap_or(0);
        let upload = self.find_upload()?;
        let after = upload.parts.range(marker.saturating_add(1)..);
        let shown: Vec<_> = after.take(limit).collect();
        let last = shown.last().map_or(0, |(number, _)| **number);
        let truncated = upload
            .parts
            .range(last.max(marker).saturating_add(1)..)
            .next()
            .is_some();
        let parts: Vec<Value> = shown
            .iter()
            .map(|(number, part)| {
                json!({
                    "PartNumber": number,
                    "LastModified": iso_millis(part.stored),
                    "ETag": format!("\"{}\"", part.etag),
                    "HashCrc64ecma": part.content.crc64.to_string(),
                    "Size": part.content.size,
                })
            })
            .collect();
        let result = json!({
            "EncodingType": self.encoding(),
            "Bucket": self.call.bucket(),
            "Key": self.encoded(&upload.key),
            "UploadId": self.text("uploadId"),
            "StorageClass": upload.attributes.storage_class,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": last,
            "MaxParts": limit,
            "IsTruncated": truncated,
            "Part": parts,
        });
        Ok(Reply::xml("ListPartsResult", &result))
    }
}
