//! The XML of OSS: answers by serde, and the two bodies that are sent.
//!
//! Elements that are missing are empty: OSS leaves out what does not apply.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::multipart::SentPart;
use super::request::Answer;
use crate::error::{Error as ProductError, Kind, Result};

/// Reads a document, whatever its root is called.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    quick_xml::de::from_str(text).ok()
}

/// The content of an answer.
pub(super) fn content<T: DeserializeOwned>(answer: &Answer, action: &str) -> Result<T> {
    let text = String::from_utf8_lossy(answer.body());
    quick_xml::de::from_str(&text).map_err(|error| {
        let message = format!("OSS's answer to {action} is not understood");
        ProductError::new(Kind::Cloud, message).with_source(error)
    })
}

/// A refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Error {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: String,
    #[serde(rename = "EC")]
    pub(super) ec: String,
    /// Where the bucket is.
    pub(super) endpoint: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct BucketInfo {
    pub(super) bucket: Bucket,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) location: String,
    pub(super) storage_class: String,
    pub(super) extranet_endpoint: String,
    pub(super) intranet_endpoint: String,
    pub(super) owner: Owner,
    pub(super) server_side_encryption_rule: Encryption,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    #[serde(rename = "ID")]
    pub(super) id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Encryption {
    #[serde(rename = "SSEAlgorithm")]
    pub(super) algorithm: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Initiated {
    pub(super) upload_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Parts {
    #[serde(rename = "Part")]
    pub(super) parts: Vec<Part>,
    pub(super) is_truncated: bool,
    pub(super) next_part_number_marker: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Part {
    pub(super) part_number: u32,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
    #[serde(rename = "HashCrc64ecma")]
    pub(super) crc64: Option<u64>,
    pub(super) size: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Uploads {
    #[serde(rename = "Upload")]
    pub(super) uploads: Vec<Upload>,
    pub(super) is_truncated: bool,
    pub(super) next_key_marker: String,
    pub(super) next_upload_id_marker: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) upload_id: String,
    pub(super) initiated: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Objects {
    #[serde(rename = "Contents")]
    pub(super) objects: Vec<Object>,
    pub(super) is_truncated: bool,
    pub(super) next_marker: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) last_modified: String,
    pub(super) size: u64,
}

/// The body that creates a bucket.
pub(super) const CREATE_BUCKET: &str =
    "<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>";

/// The body that completes an upload.
pub(super) fn complete(parts: &[SentPart]) -> String {
    let parts: String = parts
        .iter()
        .map(|part| {
            let (number, etag) = (part.number, quick_xml::escape::escape(&part.etag));
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_may_name_little() {
        let text = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>The bucket &amp; so on</Message><RequestId>R</RequestId><HostId>h</HostId><Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint><EC>0003-1</EC></Error>";
        let error: Error = read(text).unwrap();
        assert_eq!(error.code, "AccessDenied");
        assert_eq!(error.message, "The bucket & so on");
        assert_eq!(error.endpoint, "oss-cn-beijing.aliyuncs.com");
        assert_eq!(error.ec, "0003-1");
        assert!(read::<Error>("<html><b>Bad Gateway").is_none());
    }

    #[test]
    fn lists_may_be_empty_or_long() {
        let text = "<ListPartsResult><Bucket>b</Bucket><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker><Part><PartNumber>1</PartNumber><ETag>\"A\"</ETag><HashCrc64ecma>7</HashCrc64ecma><Size>3</Size></Part><Part><PartNumber>2</PartNumber><ETag>\"B\"</ETag><Size>4</Size></Part></ListPartsResult>";
        let list: Parts = read(text).unwrap();
        assert_eq!((list.is_truncated, list.next_part_number_marker), (true, 2));
        let parts: Vec<_> = list
            .parts
            .iter()
            .map(|part| (part.part_number, part.crc64, part.size))
            .collect();
        assert_eq!(parts, [(1, Some(7), 3), (2, None, 4)]);
        let list: Parts =
            read("<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>").unwrap();
        assert!(list.parts.is_empty());
    }

    #[test]
    fn objects_are_listed_with_size_and_time() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\"><Name>b</Name><Prefix>p/</Prefix><Marker></Marker><MaxKeys>1</MaxKeys><Delimiter></Delimiter><IsTruncated>true</IsTruncated><NextMarker>p/a</NextMarker><Contents><Key>p/a</Key><LastModified>2012-02-24T08:43:07.000Z</LastModified><ETag>\"5B\"</ETag><Type>Normal</Type><Size>344606</Size><StorageClass>Standard</StorageClass><Owner><ID>1</ID><DisplayName>d</DisplayName></Owner></Contents></ListBucketResult>";
        let list: Objects = read(text).unwrap();
        assert_eq!(
            (list.is_truncated, list.next_marker.as_str()),
            (true, "p/a")
        );
        let objects: Vec<_> = list
            .objects
            .iter()
            .map(|object| {
                (
                    object.key.as_str(),
                    object.size,
                    object.last_modified.as_str(),
                )
            })
            .collect();
        assert_eq!(objects, [("p/a", 344_606, "2012-02-24T08:43:07.000Z")]);
        let time: jiff::Timestamp = objects[0].2.parse().unwrap();
        assert_eq!(time.as_second(), 1_330_072_987);
    }

    #[test]
    fn parts_are_named_with_their_tags() {
        let part = SentPart {
            number: 1,
            etag: "\"AB\"".into(),
            crc64: super::super::Crc64::default(),
        };
        assert_eq!(
            complete(&[part]),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;AB&quot;</ETag></Part></CompleteMultipartUpload>"
        );
    }
}
