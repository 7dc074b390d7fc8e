//! What can be known before the first byte is sent: the disk fits, the name
//! is free, the bucket is right, and ECS may read it. What is known of the
//! disk itself is in `check_disk`.

use super::Importer;
use super::role::{self, Found, RoleState};
use crate::builder::BuildContext;
use crate::cloud::oss::bucket::BucketInfo;
use crate::cloud::sts::GetCallerIdentity;
use crate::error::{Error, Kind, Result};

/// What the checks found out.
pub(super) struct Checked {
    pub(super) has_bucket: bool,
    pub(super) role: RoleState,
    /// What the image boots with, when it is known.
    pub(super) boot_mode: Option<String>,
}

/// What was found where the image is to be.
pub(super) struct Place {
    has_bucket: bool,
    role: Found,
}

impl Importer<'_> {
    pub(super) async fn check(&self, cx: &BuildContext<'_>) -> Result<Checked> {
        cx.events
            .say("Checking disk, image name, bucket and role...");
        let boot_mode = self.check_disks(cx).await?;
        let place = self.check_place(cx).await?;
        let role = role::put_right(cx, self.cloud, self.region(), self.role(), place.role);
        Ok(Checked {
            has_bucket: place.has_bucket,
            role: role.await?,
            boot_mode,
        })
    }

    /// Names, bucket and role; nothing is changed.
    pub(super) async fn check_place(&self, cx: &BuildContext<'_>) -> Result<Place> {
        let publisher = self.publisher();
        let (names, bucket, role) = tokio::join!(
            publisher.check_names(cx),
            self.check_bucket(cx),
            role::look(cx, self.cloud, self.region(), self.role()),
        );
        names?;
        Ok(Place {
            has_bucket: bucket?,
            role: role?,
        })
    }

    /// Whether the bucket is there, and good.
    async fn check_bucket(&self, cx: &BuildContext<'_>) -> Result<bool> {
        let bucket = &self.options.bucket;
        let oss = self.cloud.oss(self.region())?;
        let found = oss.bucket_info(&bucket.value, cx.stop).await;
        let Some(info) = found.map_err(|error| error.at(bucket.span))? else {
            return Ok(false);
        };
        self.judge_bucket(&info)?;
        self.check_owner(cx, &info).await;
        self.check_object(cx).await?;
        Ok(true)
    }

    fn judge_bucket(&self, info: &BucketInfo) -> Result<()> {
        let (bucket, region) = (&self.options.bucket, self.region());
        let refuse = |message: String, hint: &str| {
            Err(Error::new(Kind::Cloud, message)
                .at(bucket.span)
                .with_hint(hint.to_owned()))
        };
        if !info.region.is_empty() && info.region != region {
            return refuse(
                format!("OSS bucket {bucket} is in {}, not in {region}", info.region),
                "ECS imports from a bucket of the image's own region: choose another bucket; one that does not exist is made",
            );
        }
        if let Some(algorithm) = &info.encryption {
            return refuse(
                format!("OSS bucket {bucket} encrypts what is in it ({algorithm})"),
                "ECS cannot import an encrypted object: choose another bucket",
            );
        }
        if info.storage_class.contains("Archive") {
            return refuse(
                format!("OSS bucket {bucket} is of class {}", info.storage_class),
                "ECS cannot import an archived object: choose a bucket of class Standard",
            );
        }
        Ok(())
    }

    /// Another account's bucket may do, when it lets us and ECS in.
    async fn check_owner(&self, cx: &BuildContext<'_>, info: &BucketInfo) {
        if info.owner_id.is_empty() {
            return;
        }
        let request = GetCallerIdentity::default();
        let Ok(caller) = self.cloud.call(self.region(), &request, cx.stop).await else {
            return;
        };
        if !caller.account_id.is_empty() && caller.account_id != info.owner_id {
            cx.events.warn(format!(
                "OSS bucket {} belongs to account {}, not to {}: its policy must let role {} read it",
                self.options.bucket,
                info.owner_id,
                caller.account_id,
                self.role()
            ));
        }
    }

    /// An object of the wanted name is someone's; it is not written over.
    async fn check_object(&self, cx: &BuildContext<'_>) -> Result<()> {
        let Some(key) = self.key else {
            return Ok(());
        };
        let bucket = &self.options.bucket.value;
        let oss = self.cloud.oss(self.region())?;
        if oss.head_object(bucket, key, cx.stop).await?.is_none() {
            return Ok(());
        }
        let message = format!("OSS bucket {bucket} has an object {key} already");
        let span = self.options.key.as_ref().and_then(|key| key.span);
        Err(Error::new(Kind::Cloud, message)
            .at(span)
            .with_hint("Choose another `oss_key_name`, leave it out, or delete the object"))
    }
}
