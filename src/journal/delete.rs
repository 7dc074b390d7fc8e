//! Deleting one resource of each kind, until it is really gone. What is gone
//! already counts as deleted.

use std::time::Duration;

use super::local;
use super::resource::Kind;
use crate::cloud::JsonList;
use crate::cloud::ecs::{
    ANY_IMAGE_STATUS, CancelCopyImage, DeleteImage, DeleteInstance, DeleteKeyPairs,
    DeleteSecurityGroup, DeleteSnapshot, DescribeImages, DescribeInstances, Image,
};
use crate::cloud::vpc::{
    DeleteVSwitch, DeleteVpc, DescribeEipAddresses, ReleaseEipAddress, UnassociateEipAddress,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::cloud::{self, Action, Call, Cloud};
use crate::engine::stop::Stop;
use crate::error::Result;

/// A released instance is gone within seconds; five minutes is a fault.
const INSTANCE_LIMIT: Duration = Duration::from_secs(300);
const EIP_LIMIT: Duration = Duration::from_secs(180);
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
            Kind::Eip => {
                self.unless_gone(&ReleaseEipAddress {
                    allocation_id: id.into(),
                })
                .await
            }
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
            Kind::VSwitch => {
                self.unless_gone(&DeleteVSwitch {
                    vswitch_id: id.into(),
                })
                .await
            }
            Kind::Snapshot => self.snapshot(id).await,
            Kind::Vpc => self.unless_gone(&DeleteVpc { vpc_id: id.into() }).await,
            Kind::LocalProcess | Kind::LocalDirectory => local::delete(kind, id, self.stop).await,
        }
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
        wait::until(self.stop, INSTANCE_LIMIT, Pace::DELETE, &what, async || {
            let answer = self.cloud.call(self.region, &list, self.stop).await?;
            Ok(if answer.instances.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            })
        })
        .await
    }

    async fn eip_association(&self, id: &str) -> Result<()> {
        let (allocation_id, instance_id) = id.split_once('/').unwrap_or((id, ""));
        let request = UnassociateEipAddress {
            allocation_id: allocation_id.into(),
            instance_id: Some(instance_id.into()),
            ..Default::default()
        };
        self.unless_gone(&request).await?;
        let list = DescribeEipAddresses {
            allocation_id: Some(allocation_id.into()),
            ..Default::default()
        };
        let what = format!("waiting for EIP {allocation_id} to be free");
        wait::until(self.stop, EIP_LIMIT, Pace::EIP, &what, async || {
            let answer = self.cloud.call(self.region, &list, self.stop).await?;
            let is_ours = |status: &str| matches!(status, "InUse" | "Unassociating");
            let bound = answer.eip_addresses.iter().any(|eip| {
                is_ours(&eip.status)
                    && (eip.instance_id.is_empty() || eip.instance_id == instance_id)
            });
            Ok(if bound {
                Poll::Pending
            } else {
                Poll::Ready(())
            })
        })
        .await
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
        if matches!(image.status.as_str(), "Creating" | "Waiting") {
            self.unless_gone(&CancelCopyImage {
                image_id: id.into(),
            })
            .await?;
        }
        self.image(id).await
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

    async fn snapshot(&self, id: &str) -> Result<()> {
        self.unless_gone(&DeleteSnapshot {
            snapshot_id: id.into(),
            force: Some(true),
        })
        .await
    }

    async fn describe_image(&self, id: &str) -> Result<Option<Image>> {
        let request = DescribeImages {
            image_id: Some(id.into()),
            status: Some(ANY_IMAGE_STATUS.into()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region, &request, self.stop).await?;
        Ok(answer.images.into_iter().next())
    }
}

/// Codes of an image that cannot be deleted yet.
const BUSY_IMAGE: &[&str] = &[
    "IncorrectImageStatus",
    "InvalidImageStatus",
    "InvalidStatus",
    "OperationDenied.ImageCopying",
];
