//! Deleting one resource of each kind, so that what is deleted next can go.
//! What is gone already counts as deleted.

use std::time::Duration;

use super::local;
use super::resource::Kind;
use super::tags;
use super::upload::upload_of;
use crate::cloud::JsonList;
use crate::cloud::ecs::{
    ANY_IMAGE_STATUS, CancelCopyImage, CancelTask, DeleteImage, DeleteInstance, DeleteKeyPairs,
    DeleteSecurityGroup, DeleteSnapshot, DescribeImages, DescribeInstances, DescribeTasks, Image,
};
use crate::cloud::vpc::{
    DeleteVSwitch, DeleteVpc, DescribeEipAddresses, DescribeVSwitches, ReleaseEipAddress,
    UnassociateEipAddress,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::cloud::{self, Action, Call, Cloud, Tag};
use crate::engine::stop::Stop;
use crate::error::Result;

/// A released instance is gone within seconds; five minutes is a fault.
const INSTANCE_LIMIT: Duration = Duration::from_secs(300);
/// What belongs to the network is gone, or free, within seconds as well.
const NETWORK_LIMIT: Duration = Duration::from_secs(180);
/// An image that is still being made may refuse to be deleted until then.
const IMAGE_LIMIT: Duration = Duration::from_secs(600);

/// Calls Alibaba Cloud in one region, where nothing is left to create.
pub(super) struct Deleter<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) region: &'a str,
    pub(super) stop: &'a Stop,
}

impl Deleter<'_> {
    pub(super) async fn delete(&self, kind: Kind, id: &str) -> Result<()> {
        match kind {
            Kind::Instance => self.instance(id).await,
            Kind::EipAssociation => self.eip_association(id).await,
            Kind::Image => self.image(id).await,
            Kind::ImageCopy => self.image_copy(id).await,
            Kind::Eip => self.eip(id).await,
            Kind::KeyPair => {
                self.unless_gone(&DeleteKeyPairs {
                    key_pair_names: JsonList::one(id),
                })
                .await
            }
            Kind::SecurityGroup => {
                self.unless_gone(&DeleteSecurityGroup {
                    security_group_id: id.into(),
                })
                .await
            }
            Kind::VSwitch => self.vswitch(id).await,
            Kind::Snapshot => self.snapshot(id).await,
            Kind::Vpc => self.unless_gone(&DeleteVpc { vpc_id: id.into() }).await,
            Kind::ImageImport => self.image_import(id).await,
            Kind::OssUpload => self.oss_upload(id).await,
            Kind::OssObject | Kind::OssMarker => {
                let (bucket, key) = id.split_once('/').unwrap_or((id, ""));
                let oss = self.cloud.oss(self.region)?;
                oss.delete_object(bucket, key, self.stop).await
            }
            Kind::OssBucket => {
                let oss = self.cloud.oss(self.region)?;
                oss.delete_bucket(id, self.stop).await
            }
            Kind::LocalProcess | Kind::LocalDirectory => local::delete(kind, id, self.stop).await,
        }
    }

    /// An image that is still being imported is only deleted once its task is
    /// cancelled.
    async fn image_import(&self, id: &str) -> Result<()> {
        let Some(image) = self.describe_image(id).await? else {
            return Ok(());
        };
        if is_being_made(&image) {
            // Who may not look at tasks waits until the import has ended.
            let cancelled = self.cancel_import(id).await;
            if let Err(error) = cancelled {
                tracing::debug!(%error, id, "the import was not cancelled");
            }
        }
        self.image(id).await
    }

    async fn cancel_import(&self, id: &str) -> Result<()> {
        let request = DescribeTasks {
            task_action: Some("ImportImage".to_owned()),
            resource_ids: vec![id.to_owned()],
            ..Default::default()
        };
        let answer = self.cloud.call(self.region, &request, self.stop).await?;
        let tasks = answer.task_set.into_iter();
        for task in tasks.filter(|task| task.resource_id == id) {
            let task_id = task.task_id;
            self.unless_gone(&CancelTask { task_id }).await?;
        }
        Ok(())
    }

    async fn oss_upload(&self, id: &str) -> Result<()> {
        let Some(upload) = upload_of(id) else {
            return Ok(());
        };
        let oss = self.cloud.oss(self.region)?;
        oss.abort_upload(&upload, self.stop).await
    }

    pub(super) async fn call<R: Call>(&self, request: &R) -> Result<R::Response> {
        self.cloud.call(self.region, request, self.stop).await
    }

    async fn unless_gone<R: Call>(&self, request: &R) -> Result<()> {
        match self.cloud.call(self.region, request, self.stop).await {
            Err(error) if !cloud::is_gone(&error, R::NAME) => Err(error),
            _ => Ok(()),
        }
    }

    /// What stands on the instance can only be deleted once it is gone.
    async fn instance(&self, id: &str) -> Result<()> {
        self.unless_gone(&DeleteInstance {
            instance_id: id.into(),
            force: Some(true),
        })
        .await?;
        let list = DescribeInstances {
            instance_ids: Some(JsonList::one(id)),
            ..Default::default()
        };
        let what = format!("waiting for instance {id} to be released");
        self.until_gone(&list, INSTANCE_LIMIT, Pace::DELETE, &what, |answer| {
            answer.instances.is_empty()
        })
        .await
    }

    /// The deletion is accepted first and carried out a moment later.
    async fn vswitch(&self, id: &str) -> Result<()> {
        self.unless_gone(&DeleteVSwitch {
            vswitch_id: id.into(),
        })
        .await?;
        if self.stop.is_hurried() {
            return Ok(());
        }
        let list = DescribeVSwitches {
            vswitch_id: Some(id.into()),
            ..Default::default()
        };
        let what = format!("waiting for vSwitch {id} to be gone");
        self.until_gone(
            &list,
            NETWORK_LIMIT,
            Pace::DELETE_VSWITCH,
            &what,
            |answer| answer.vswitches.is_empty(),
        )
        .await
    }

    /// As with a vSwitch, and it is billed until then.
    async fn eip(&self, id: &str) -> Result<()> {
        self.unless_gone(&ReleaseEipAddress {
            allocation_id: id.into(),
        })
        .await?;
        if self.stop.is_hurried() {
            return Ok(());
        }
        let list = DescribeEipAddresses {
            allocation_id: Some(id.into()),
            ..Default::default()
        };
        let what = format!("waiting for EIP {id} to be gone");
        self.until_gone(&list, NETWORK_LIMIT, Pace::RELEASE_EIP, &what, |answer| {
            answer.eip_addresses.is_empty()
        })
        .await
    }

    /// Waits until a listing finds nothing any more.
    async fn until_gone<R: Call>(
        &self,
        list: &R,
        limit: Duration,
        pace: Pace,
        what: &str,
        is_empty: impl Fn(&R::Response) -> bool,
    ) -> Result<()> {
        wait::until(self.stop, limit, pace, what, async || {
            let answer = self.cloud.call(self.region, list, self.stop).await?;
            Ok(if is_empty(&answer) {
                Poll::Ready(())
            } else {
                Poll::Pending
            })
        })
        .await
    }

    /// The end of the instance unbinds its EIP as well, at any moment, and
    /// then the EIP refuses for good: what it says of itself decides.
    async fn eip_association(&self, id: &str) -> Result<()> {
        let (allocation_id, instance_id) = id.split_once('/').unwrap_or((id, ""));
        self.unbind(allocation_id, instance_id).await?;
        let list = DescribeEipAddresses {
            allocation_id: Some(allocation_id.into()),
            ..Default::default()
        };
        let what = format!("waiting for EIP {allocation_id} to be free");
        wait::until(
            self.stop,
            NETWORK_LIMIT,
            Pace::RELEASE_EIP,
            &what,
            async || {
                let answer = self.cloud.call(self.region, &list, self.stop).await?;
                let mut eips = answer.eip_addresses.iter();
                let is_ours = |id: &str| id.is_empty() || id == instance_id;
                let status = eips
                    .find(|eip| is_ours(&eip.instance_id))
                    .map(|eip| eip.status.as_str());
                match status {
                    Some("InUse") => self.unbind(allocation_id, instance_id).await?,
                    Some("Associating" | "Unassociating") => {}
                    _ => return Ok(Poll::Ready(())),
                }
                Ok(Poll::Pending)
            },
        )
        .await
    }

    async fn unbind(&self, allocation_id: &str, instance_id: &str) -> Result<()> {
        let request = UnassociateEipAddress {
            allocation_id: allocation_id.into(),
            instance_id: Some(instance_id.into()),
            ..Default::default()
        };
        match self.unless_gone(&request).await {
            Err(error) if cloud::is_code(&error, BUSY_EIP) => Ok(()),
            outcome => outcome,
        }
    }

    /// An image owns the snapshots it was made with.
    async fn image(&self, id: &str) -> Result<()> {
        let Some(image) = self.describe_image(id).await? else {
            return Ok(());
        };
        self.delete_image(id).await?;
        for mapping in &image.disk_device_mappings {
            if !mapping.snapshot_id.is_empty() {
                self.snapshot(&mapping.snapshot_id).await?;
            }
        }
        Ok(())
    }

    async fn image_copy(&self, id: &str) -> Result<()> {
        let Some(image) = self.describe_image(id).await? else {
            return Ok(());
        };
        if is_being_made(&image) {
            self.unless_gone(&CancelCopyImage {
                image_id: id.into(),
            })
            .await?;
        }
        self.image(id).await
    }

    /// An image that was found by its tags, of whatever origin. Its run may
    /// have finished it since.
    pub(super) async fn unfinished_image(&self, id: &str) -> Result<()> {
        let Some(image) = self.describe_image(id).await? else {
            return Ok(());
        };
        let is_temporary = |tag: &Tag| tag.key == tags::TEMPORARY && tag.value == "true";
        if !image.tags.iter().any(is_temporary) {
            return Ok(());
        }
        match is_being_made(&image) && !self.cancel_copy(id).await {
            true => self.image_import(id).await,
            false => self.image(id).await,
        }
    }

    /// Whether the image was a copy that could still be cancelled.
    async fn cancel_copy(&self, id: &str) -> bool {
        let image_id = id.to_owned();
        let cancelled = self.call(&CancelCopyImage { image_id }).await;
        if let Err(error) = &cancelled {
            tracing::debug!(%error, id, "it is no copy that can be cancelled");
        }
        cancelled.is_ok()
    }

    async fn delete_image(&self, id: &str) -> Result<()> {
        let request = DeleteImage {
            image_id: id.into(),
            force: Some(true),
        };
        let what = format!("waiting for image {id} to accept its deletion");
        wait::until(
            self.stop,
            IMAGE_LIMIT,
            Pace::DELETE,
            &what,
            async || match self.cloud.call(self.region, &request, self.stop).await {
                Ok(_) => Ok(Poll::Ready(())),
                Err(error) if cloud::is_gone(&error, DeleteImage::NAME) => Ok(Poll::Ready(())),
                Err(error) if cloud::is_code(&error, BUSY_IMAGE) => Ok(Poll::Pending),
                Err(error) => Err(error),
            },
        )
        .await
    }

    pub(super) async fn snapshot(&self, id: &str) -> Result<()> {
        self.unless_gone(&DeleteSnapshot {
            snapshot_id: id.into(),
            force: Some(true),
        })
        .await
    }

    pub(super) async fn describe_image(&self, id: &str) -> Result<Option<Image>> {
        let request = DescribeImages {
            image_id: Some(id.into()),
            status: Some(ANY_IMAGE_STATUS.into()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region, &request, self.stop).await?;
        Ok(answer.images.into_iter().next())
    }
}

fn is_being_made(image: &Image) -> bool {
    matches!(image.status.as_str(), "Creating" | "Waiting")
}

/// Codes of an image that cannot be deleted yet.
const BUSY_IMAGE: &[&str] = &[
    "ImageIsImporting",
    "IncorrectImageStatus",
    "InvalidImageStatus",
    "InvalidStatus",
    "OperationDenied.ImageCopying",
];

/// Codes of an EIP that cannot be unbound: not yet, or not any more.
const BUSY_EIP: &[&str] = &[
    "IncorrectEipStatus",
    "IncorrectInstanceStatus",
    "IncorrectStatus*",
    "InvalidBindingStatus",
    "InvalidStatus.EcsStatusNotSupport",
    "InvalidStatus.EniStatusNotSupport",
    "OperationFailed.EcsMigrating",
];
