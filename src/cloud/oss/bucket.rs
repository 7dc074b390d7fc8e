//! Buckets: what one is like, making and deleting one.

use super::{Ask, Oss, xml};
use crate::cloud::transport::Method;
use crate::cloud::{is_code, is_gone};
use crate::engine::stop::Stop;
use crate::error::Result;
use crate::journal::permit::Permit;

/// What is known of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketInfo {
    /// Its name.
    pub name: String,
    /// Its region, for example `cn-hangzhou`.
    pub region: String,
    /// `Standard`, `IA`, `Archive`, …
    pub storage_class: String,
    /// Its public host.
    pub public_endpoint: String,
    /// Its host inside of the region.
    pub internal_endpoint: String,
    /// The account it belongs to.
    pub owner_id: String,
    /// The algorithm, when everything in it is encrypted.
    pub encryption: Option<String>,
}

impl Oss {
    /// The bucket, if there is one of that name, whoever owns it.
    ///
    /// # Errors
    /// When it is another account's, or is reached elsewhere; the hints say
    /// so.
    pub async fn bucket_info(&self, bucket: &str, stop: &Stop) -> Result<Option<BucketInfo>> {
        let ask = Ask {
            query: vec![("bucketInfo", String::new())],
            ..Ask::new("GetBucketInfo", Method::Get, bucket)
        };
        let answer = match self.ask(ask, stop).await {
            Ok(answer) => answer,
            Err(error) if is_code(&error, &["NoSuchBucket"]) => return Ok(None),
            Err(error) => {
                return Err(error.context(format!("Cannot look at OSS bucket {bucket}")));
            }
        };
        let info: xml::BucketInfo = xml::content(&answer, "GetBucketInfo")?;
        Ok(Some(bucket_info(info.bucket)))
    }

    /// Makes a private bucket in the region. One that is the caller's already
    /// is left as it is.
    ///
    /// # Errors
    /// When the name is taken by another account, or is not allowed.
    pub async fn create_bucket(&self, bucket: &str, _permit: &Permit, stop: &Stop) -> Result<()> {
        let ask = Ask {
            headers: vec![
                ("content-type", "application/xml".to_owned()),
                ("x-oss-acl", "private".to_owned()),
            ],
            body: xml::CREATE_BUCKET.into(),
            creates: true,
            ..Ask::new("PutBucket", Method::Put, bucket)
        };
        let error = match self.ask(ask, stop).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // When an answer was lost, the next one says that the bucket is there:
        // ours, if we may look at it.
        let is_there = is_code(&error, &["BucketAlreadyExists"])
            && matches!(self.bucket_info(bucket, stop).await, Ok(Some(_)));
        if is_there {
            return Ok(());
        }
        Err(error.context(format!(
            "Cannot create OSS bucket {bucket} in {}",
            self.region
        )))
    }

    /// Deletes a bucket that has nothing in it. One that has is kept, and so
    /// is its owner's data.
    ///
    /// # Errors
    /// When OSS refuses for another reason.
    pub async fn delete_bucket(&self, bucket: &str, stop: &Stop) -> Result<()> {
        let ask = Ask::new("DeleteBucket", Method::Delete, bucket);
        match self.ask(ask, stop).await {
            Err(error) if is_gone(&error, "DeleteBucket") => Ok(()),
            Err(error) if is_code(&error, &["BucketNotEmpty"]) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn bucket_info(bucket: xml::Bucket) -> BucketInfo {
    let region = bucket.location.strip_prefix("oss-");
    BucketInfo {
        region: region.unwrap_or(&bucket.location).to_owned(),
        name: bucket.name,
        storage_class: bucket.storage_class,
        public_endpoint: bucket.extranet_endpoint,
        internal_endpoint: bucket.intranet_endpoint,
        owner_id: bucket.owner.id,
        encryption: Some(bucket.server_side_encryption_rule.algorithm)
            .filter(|algorithm| !algorithm.is_empty() && algorithm != "None"),
    }
}
