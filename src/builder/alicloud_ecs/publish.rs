//! What makes an available image the one that was asked for: its name, tags
//! on its snapshots, copies, shares.

use futures_util::future::try_join_all;

use super::image::{Captured, temporary_name};
use super::{AlicloudEcs, BUILDER_ID};
use crate::artifact::{self, Artifact};
use crate::builder::BuildContext;
use crate::cloud::Tag;
use crate::cloud::ecs::{
    CopyImage, DeleteImage, DeleteSnapshot, Image, ModifyImageAttribute,
    ModifyImageSharePermission, TagResources,
};
use crate::engine::event::EventKind;
use crate::error::{Result, one_line};
use crate::journal::resource::Kind;
use crate::journal::{Intent, Slot};

/// The API silently ignores further accounts of a call.
const ACCOUNTS_PER_CALL: usize = 10;

/// An image in the region it was asked for.
struct Published {
    region: String,
    image: Image,
    name: String,
}

/// Where a copy goes, and how.
struct CopyTarget {
    region: String,
    name: String,
    encrypted: bool,
    kms_key_id: Option<String>,
}

impl AlicloudEcs<'_> {
    pub(super) async fn publish(
        &self,
        cx: &BuildContext<'_>,
        captured: Captured,
    ) -> Result<Artifact> {
        let targets = self.copy_targets();
        let (tagged, copies) = tokio::join!(
            self.tag_snapshots(cx, self.region(), &captured.image),
            try_join_all(
                targets
                    .iter()
                    .map(|target| self.copy(cx, &captured.image, target))
            ),
        );
        tagged?;
        let mut published = copies?;
        if self.options.image.encrypted != Some(true) {
            let name = self.options.image.name.value.clone();
            let (region, image) = (self.region().to_owned(), captured.image);
            published.insert(
                0,
                Published {
                    region,
                    image,
                    name,
                },
            );
        }
        try_join_all(published.iter().map(|one| self.share(cx, one))).await?;
        // From here on nothing may delete them any more, whatever happens.
        for one in &published {
            cx.journal.keep(&one.image.image_id)?;
        }
        if let Some(snapshot) = &captured.snapshot_id {
            cx.journal.keep(snapshot)?;
        }
        try_join_all(published.iter().map(|one| self.take_name(cx, one))).await?;
        let images = published
            .iter()
            .map(|one| self.describe(cx, one, &captured.source_image));
        let images: Vec<_> = images.collect();
        for image in &images {
            cx.events.emit(EventKind::ImageReady(image.clone()));
        }
        Ok(Artifact::of_images(BUILDER_ID, images))
    }

    fn copy_targets(&self) -> Vec<CopyTarget> {
        let options = &self.options.image;
        let encrypted = options.encrypted == Some(true);
        let own = encrypted.then(|| CopyTarget {
            region: self.region().to_owned(),
            name: options.name.value.clone(),
            encrypted,
            kms_key_id: options.kms_key_id.clone(),
        });
        let others = options.copies.iter().map(|copy| CopyTarget {
            region: copy.region.value.clone(),
            name: copy
                .name
                .clone()
                .unwrap_or_else(|| options.name.value.clone()),
            encrypted,
            kms_key_id: copy.kms_key_id.clone(),
        });
        own.into_iter().chain(others).collect()
    }

    async fn copy(
        &self,
        cx: &BuildContext<'_>,
        image: &Image,
        target: &CopyTarget,
    ) -> Result<Published> {
        let options = &self.options.image;
        let must_replace = options.force_delete
            && !self
                .own_images(cx, &target.region, &target.name)
                .await?
                .is_empty();
        let name = if must_replace {
            temporary_name(&target.name, cx.journal.run())
        } else {
            target.name.clone()
        };
        cx.events.say(format!(
            "Copying image {} to {}...",
            image.image_id, target.region
        ));
        let id = self.request_copy(cx, image, target, &name).await?;
        let copy = self
            .wait_for_image(cx, &target.region, &id, options.copy_timeout)
            .await?;
        cx.events
            .message(format!("Copied image to {}: {id}", target.region));
        self.tag_snapshots(cx, &target.region, &copy).await?;
        Ok(Published {
            region: target.region.clone(),
            image: copy,
            name: target.name.clone(),
        })
    }

    async fn request_copy(
        &self,
        cx: &BuildContext<'_>,
        image: &Image,
        target: &CopyTarget,
        name: &str,
    ) -> Result<String> {
        let intent = Intent {
            region: target.region.clone(),
            ..self.intent(cx, Kind::ImageCopy, name)
        };
        let request = |slot: &Slot| CopyImage {
            image_id: image.image_id.clone(),
            destination_region_id: Some(target.region.clone()),
            destination_image_name: Some(name.to_owned()),
            destination_description: self.options.image.description.clone(),
            encrypted: target.encrypted.then_some(true),
            kms_key_id: target.kms_key_id.clone(),
            resource_group_id: self.resource_group(),
            tag: self.image_tags(cx, slot),
        };
        let made = self
            .create(cx, intent, request, |made| &made.image_id)
            .await;
        made.map(|made| made.image_id).map_err(|error| {
            error.context(format!(
                "Cannot copy image {} to {}",
                image.image_id, target.region
            ))
        })
    }

    async fn tag_snapshots(
        &self,
        cx: &BuildContext<'_>,
        region: &str,
        image: &Image,
    ) -> Result<()> {
        let tags: Vec<_> = self
            .options
            .image
            .tags
            .iter()
            .map(|(key, value)| Tag::new(key, value))
            .collect();
        let snapshots = snapshots_of(image);
        if tags.is_empty() || snapshots.is_empty() {
            return Ok(());
        }
        cx.events.say(format!(
            "Adding tags to snapshots: {}",
            snapshots.join(", ")
        ));
        let request = TagResources {
            resource_type: "snapshot".to_owned(),
            resource_id: snapshots,
            tag: tags,
        };
        let outcome = self.cloud.call(region, &request, cx.stop).await;
        outcome.map(drop).map_err(|error| {
            error.context(format!(
                "Cannot tag the snapshots of image {} in {region}",
                image.image_id
            ))
        })
    }

    async fn share(&self, cx: &BuildContext<'_>, published: &Published) -> Result<()> {
        let options = &self.options.image;
        let Published { region, image, .. } = published;
        let add = options
            .share_accounts
            .chunks(ACCOUNTS_PER_CALL)
            .map(|accounts| ModifyImageSharePermission {
                image_id: image.image_id.clone(),
                add_account: accounts.to_vec(),
                ..Default::default()
            });
        let remove = options
            .unshare_accounts
            .chunks(ACCOUNTS_PER_CALL)
            .map(|accounts| ModifyImageSharePermission {
                image_id: image.image_id.clone(),
                remove_account: accounts.to_vec(),
                ..Default::default()
            });
        for request in add.chain(remove) {
            cx.events
                .say(format!("Sharing image {} in {region}...", image.image_id));
            self.cloud
                .call(region, &request, cx.stop)
                .await
                .map_err(|error| {
                    error.context(format!("Cannot share image {} in {region}", image.image_id))
                })?;
        }
        Ok(())
    }

    /// Deletes the older images of the wanted name, now that the new one is
    /// complete, and gives it that name.
    async fn take_name(&self, cx: &BuildContext<'_>, published: &Published) -> Result<()> {
        let Published {
            region,
            image,
            name,
        } = published;
        if image.image_name == *name {
            return Ok(());
        }
        for old in self.own_images(cx, region, name).await? {
            self.delete_old(cx, region, &old).await?;
        }
        let request = ModifyImageAttribute {
            image_id: image.image_id.clone(),
            image_name: Some(name.clone()),
            ..Default::default()
        };
        self.cloud
            .call(region, &request, cx.stop)
            .await
            .map(drop)
            .map_err(|error| {
                error
                    .context(format!(
                        "Cannot rename image {} in {region} to {name}",
                        image.image_id
                    ))
                    .with_hint(format!(
                        "The image is complete, under the name {}",
                        image.image_name
                    ))
            })
    }

    async fn delete_old(&self, cx: &BuildContext<'_>, region: &str, old: &Image) -> Result<()> {
        cx.events.say(format!(
            "Deleting the old image {} in {region}...",
            old.image_id
        ));
        let request = DeleteImage {
            image_id: old.image_id.clone(),
            force: Some(true),
        };
        self.cloud
            .call(region, &request, cx.stop)
            .await
            .map_err(|error| {
                error.context(format!(
                    "Cannot delete the old image {} in {region}",
                    old.image_id
                ))
            })?;
        if !self.options.image.force_delete_snapshots {
            return Ok(());
        }
        for snapshot_id in snapshots_of(old) {
            let request = DeleteSnapshot {
                snapshot_id: snapshot_id.clone(),
                force: Some(true),
            };
            if let Err(error) = self.cloud.call(region, &request, cx.stop).await {
                let reason = one_line(&error);
                cx.events.warn(format!(
                    "Snapshot {snapshot_id} of the old image is still there: {reason}"
                ));
            }
        }
        Ok(())
    }

    fn describe(
        &self,
        cx: &BuildContext<'_>,
        published: &Published,
        source: &str,
    ) -> artifact::Image {
        let Published {
            region,
            image,
            name,
        } = published;
        artifact::Image {
            build: cx.build.to_owned(),
            builder_type: "alicloud-ecs".to_owned(),
            region: region.clone(),
            image_id: image.image_id.clone(),
            image_name: name.clone(),
            source_image: source.to_owned(),
            snapshot_ids: snapshots_of(image),
            size_gib: image.size,
            created: image.creation_time.clone(),
        }
    }
}

fn snapshots_of(image: &Image) -> Vec<String> {
    let ids = image
        .disk_device_mappings
        .iter()
        .map(|mapping| mapping.snapshot_id.clone());
    ids.filter(|id| !id.is_empty()).collect()
}
