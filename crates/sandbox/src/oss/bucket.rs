//! Buckets: making, describing and deleting them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::OssError;
use super::reply::{Reply, ReplyBody};
use super::{Answer, Context};
use crate::auth::ACCOUNT_ID;
use crate::clock::iso_millis;
use crate::state::Common;
use crate::state::bucket::Bucket;

/// Buckets an account may have in a region.
const QUOTA: usize = 100;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateBucketConfiguration {
    storage_class: Option<String>,
    data_redundancy_type: Option<String>,
}

/// Parses a body; an empty one is the default.
pub(super) fn parse<T: for<'a> Deserialize<'a> + Default>(body: &[u8]) -> Result<T, OssError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let text = std::str::from_utf8(body).map_err(|_| OssError::malformed_xml())?;
    quick_xml::de::from_str(text).map_err(|_| OssError::malformed_xml())
}

impl Context<'_> {
    pub(super) fn find_bucket(&self) -> Result<&Bucket, OssError> {
        let bucket = self.cloud.buckets.get(self.call.bucket());
        bucket.ok_or_else(|| OssError::no_such_bucket(self.call.bucket()))
    }

    pub(super) fn find_bucket_mut(&mut self) -> Result<&mut Bucket, OssError> {
        let name = self.call.bucket();
        let bucket = self.cloud.buckets.get_mut(name);
        bucket.ok_or_else(|| OssError::no_such_bucket(name))
    }

    pub(super) fn put_bucket(&mut self) -> Answer {
        let name = self.call.bucket().to_owned();
        if !is_bucket_name(&name) {
            let message = "The specified bucket is not valid.";
            return Err(OssError::new(400, "InvalidBucketName", message).with("BucketName", name));
        }
        let configuration: CreateBucketConfiguration = parse(&self.body)?;
        if let Some(bucket) = self.cloud.buckets.get(&name) {
            let message = if bucket.foreign {
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
            } else {
                "The bucket you attempt to create already exists."
            };
            return Err(OssError::new(409, "BucketAlreadyExists", message)
                .with("BucketName", name)
                .with("EC", "0015-00000104"));
        }
        let own = self.cloud.buckets.values();
        let own = own.filter(|b| !b.foreign && b.common.region == self.region);
        if own.count() >= QUOTA {
            let message = "You have attempted to create more buckets than allowed.";
            return Err(OssError::new(400, "TooManyBuckets", message));
        }
        let acl = self.call.header("x-oss-acl").unwrap_or("private");
        if acl != "private" {
            // Block Public Access is on in new buckets.
            let message = "Put public bucket acl is not allowed.";
            return Err(OssError::access_denied(message));
        }
        let bucket = Bucket {
            storage_class: configuration.storage_class.unwrap_or("Standard".to_owned()),
            redundancy: configuration
                .data_redundancy_type
                .unwrap_or("LRS".to_owned()),
            ..Bucket::new(self.common(name.clone()))
        };
        self.cloud.buckets.insert(name.clone(), bucket);
        Ok(Reply::empty(200).with("Location", format!("/{name}")))
    }

    /// What every thing in OSS has: its id is its name.
    pub(super) fn common(&self, id: String) -> Common {
        Common {
            name: id.clone(),
            id,
            region: self.region.clone(),
            description: String::new(),
            resource_group: String::new(),
            tags: Default::default(),
            created: self.wall,
            seeded: false,
        }
    }

    pub(super) fn delete_bucket(&mut self) -> Answer {
        let bucket = self.find_bucket()?;
        if !bucket.objects.is_empty() || !bucket.uploads.is_empty() {
            let message = "The bucket has objects. Please delete them first.";
            return Err(OssError::new(409, "BucketNotEmpty", message)
                .with("BucketName", self.call.bucket())
                .with("EC", "0015-00000301"));
        }
        self.cloud.buckets.remove(self.call.bucket());
        Ok(Reply::empty(204))
    }

    pub(super) fn list_buckets(&mut self) -> Answer {
        let text = |name: &str| self.call.parameter(name).unwrap_or_default();
        let (prefix, marker) = (text("prefix"), text("marker"));
        let limit = super::listing::limit(self.call, "max-keys", 100, 1000)?;
        let buckets = self.cloud.buckets.values().filter(|bucket| {
            let name = bucket.common.id.as_str();
            !bucket.foreign && name.starts_with(prefix) && name > marker
        });
        let found: Vec<&Bucket> = buckets.collect();
        let truncated = found.len() > limit;
        let shown: Vec<Value> = found
            .iter()
            .take(limit)
            .map(|bucket| {
                let region = &bucket.common.region;
                json!({
                    "CreationDate": iso_millis(bucket.common.created),
                    "ExtranetEndpoint": format!("oss-{region}.aliyuncs.com"),
                    "IntranetEndpoint": format!("oss-{region}-internal.aliyuncs.com"),
                    "Location": format!("oss-{region}"),
                    "Name": bucket.common.id,
                    "Region": region,
                    "StorageClass": bucket.storage_class,
                })
            })
            .collect();
        let next = found.get(limit.wrapping_sub(1)).filter(|_| truncated);
        Ok(Reply::xml(
            "ListAllMyBucketsResult",
            &json!({
                "Prefix": prefix,
                "Marker": marker,
                "MaxKeys": limit,
                "IsTruncated": truncated,
                "NextMarker": next.map_or("", |bucket| bucket.common.id.as_str()),
                "Owner": owner(),
                "Buckets": {"Bucket": shown},
            }),
        ))
    }

    pub(super) fn bucket_info(&mut self) -> Answer {
        let bucket = self.find_bucket()?;
        let region = &bucket.common.region;
        let encryption = bucket.encryption.as_deref().unwrap_or("None");
        Ok(Reply::xml(
            "BucketInfo",
            &json!({"Bucket": {
                "AccessMonitor": "Disabled",
                "BlockPublicAccess": "true",
                "Comment": "",
                "CreationDate": iso_millis(bucket.common.created),
                "CrossRegionReplication": "Disabled",
                "DataRedundancyType": bucket.redundancy,
                "ExtranetEndpoint": format!("oss-{region}.aliyuncs.com"),
                "IntranetEndpoint": format!("oss-{region}-internal.aliyuncs.com"),
                "Location": format!("oss-{region}"),
                "Name": bucket.common.id,
                "ResourceGroupId": "rg-acfmxsandbox",
                "StorageClass": bucket.storage_class,
                "TransferAcceleration": "Disabled",
                "Owner": owner(),
                "AccessControlList": {"Grant": bucket.acl},
                "ServerSideEncryptionRule": {"SSEAlgorithm": encryption},
                "BucketPolicy": {"LogBucket": "", "LogPrefix": ""},
            }}),
        ))
    }

    pub(super) fn bucket_location(&mut self) -> Answer {
        let location = format!("oss-{}", self.find_bucket()?.common.region);
        Ok(Reply::xml("LocationConstraint", &json!(location)))
    }

    pub(super) fn head_bucket(&mut self) -> Answer {
        let region = self.find_bucket()?.common.region.clone();
        Ok(Reply::empty(200).with("x-oss-bucket-region", region))
    }

    pub(super) fn bucket_acl(&mut self) -> Answer {
        let acl = &self.find_bucket()?.acl;
        Ok(access_control(acl))
    }

    pub(super) fn bucket_stat(&mut self) -> Answer {
        let bucket = self.find_bucket()?;
        let sizes = bucket.objects.values().map(|object| object.content.size);
        Ok(Reply::xml(
            "BucketStat",
            &json!({
                "Storage": sizes.sum::<u64>(),
                "ObjectCount": bucket.objects.len(),
                "MultipartUploadCount": bucket.uploads.len(),
            }),
        ))
    }

    pub(super) fn bucket_encryption(&mut self) -> Answer {
        let Some(algorithm) = &self.find_bucket()?.encryption else {
            let message = "The server side encryption rule configuration does not exist.";
            return Err(OssError::new(
                404,
                "NoSuchServerSideEncryptionRule",
                message,
            ));
        };
        let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}});
        Ok(Reply::xml("ServerSideEncryptionRule", &rule))
    }

    pub(super) fn bucket_lifecycle(&mut self) -> Answer {
        let Some(rules) = self.find_bucket()?.lifecycle.clone() else {
            let message = "No Row found in Lifecycle Table.";
            return Err(OssError::new(404, "NoSuchLifecycle", message));
        };
        Ok(Reply {
            body: ReplyBody::Xml(rules),
            ..Reply::empty(200)
        })
    }

    pub(super) fn put_lifecycle(&mut self) -> Answer {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        if !text.contains("<LifecycleConfiguration") {
            return Err(OssError::malformed_xml());
        }
        self.find_bucket_mut()?.lifecycle = Some(text);
        Ok(Reply::empty(200))
    }

    pub(super) fn delete_lifecycle(&mut self) -> Answer {
        self.find_bucket_mut()?.lifecycle = None;
        Ok(Reply::empty(204))
    }
}

impl Bucket {
    /// An empty private bucket.
    pub(crate) fn new(common: Common) -> Self {
        Self {
            common,
            acl: "private".to_owned(),
            storage_class: "Standard".to_owned(),
            redundancy: "LRS".to_owned(),
            encryption: None,
            foreign: false,
            lifecycle: None,
            objects: Default::default(),
            uploads: Default::default(),
        }
    }
}

pub(super) fn owner() -> Value {
    json!({"ID": ACCOUNT_ID, "DisplayName": ACCOUNT_ID})
}

pub(super) fn access_control(acl: &str) -> Reply {
    let policy = json!({"Owner": owner(), "AccessControlList": {"Grant": acl}});
    Reply::xml("AccessControlPolicy", &policy)
}

fn is_bucket_name(name: &str) -> bool {
    let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|c| letter(*c) || *c == b'-')
        && [bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(|c| letter(*c))
}
