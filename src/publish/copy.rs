//! Copies of an available image: in other regions, and encrypted in its own.

use super::{Published, Publisher, hint_at_limit, temporary_name};
use crate::builder::BuildContext;
use crate::cloud::ecs::{CopyImage, Image, ImageFeatures, ModifyImageAttribute};
use crate::error::Result;
use crate::journal::Slot;
use crate::journal::resource::Kind;

/// Where a copy goes, and how.
pub(super) struct CopyTarget {
    region: String,
    name: String,
    encrypted: bool,
    kms_key_id: Option<String>,
}

impl Publisher<'_> {
    pub(super) fn copy_targets(&self) -> Vec<CopyTarget> {
        let options = self.options;
        let encrypted = options.encrypted == Some(true);
        let own = encrypted.then(|| CopyTarget {
            region: self.region.to_owned(),
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

    pub(super) async fn copy(
        &self,
        cx: &BuildContext<'_>,
        image: &Image,
        target: &CopyTarget,
    ) -> Result<Published> {
        let options = self.options;
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
            .await
            .map_err(|error| hint_at_limit(error, "wait_copying_image_ready_timeout"))?;
        self.complete_copy(cx, &target.region, &copy).await?;
        cx.events
            .message(format!("Copied image to {}: {id}", target.region));
        self.tag_snapshots(cx, &target.region, &copy, None).await?;
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
        let intent = cx.intent(Kind::ImageCopy, &target.region, name);
        let request = |slot: &Slot| CopyImage {
            image_id: image.image_id.clone(),
            destination_region_id: Some(target.region.clone()),
            destination_image_name: Some(name.to_owned()),
            destination_description: self.options.description.clone(),
            encrypted: target.encrypted.then_some(true),
            kms_key_id: target.kms_key_id.clone(),
            resource_group_id: self.resource_group.map(str::to_owned),
            tag: self.image_tags(cx, slot),
        };
        let made = cx
            .create(self.cloud, self.region, intent, request, |made| {
                &made.image_id
            })
            .await;
        made.map(|made| made.image_id).map_err(|error| {
            error.context(format!(
                "Cannot copy image {} to {}",
                image.image_id, target.region
            ))
        })
    }

    /// Sets what CopyImage has no parameter for, unless the copy has it.
    async fn complete_copy(&self, cx: &BuildContext<'_>, region: &str, copy: &Image) -> Result<()> {
        let options = self.options;
        let family = options.target_family.as_ref().map(|family| &family.value);
        let has_imds = copy.features.imds_support.as_deref().unwrap_or_default();
        let request = ModifyImageAttribute {
            image_id: copy.image_id.clone(),
            image_family: lost(family, &copy.image_family),
            boot_mode: lost(options.boot_mode.as_ref(), &copy.boot_mode),
            features: ImageFeatures {
                imds_support: lost(options.imds_support.as_ref(), has_imds),
            },
            ..Default::default()
        };
        let features = &request.features;
        if request.image_family.is_none()
            && request.boot_mode.is_none()
            && features.imds_support.is_none()
        {
            return Ok(());
        }
        let outcome = self.cloud.call(region, &request, cx.stop).await;
        outcome.map(drop).map_err(|error| {
            error.context(format!(
                "Cannot complete image {} in {region}",
                copy.image_id
            ))
        })
    }
}

/// What was asked for and is not there.
fn lost(wanted: Option<&String>, has: &str) -> Option<String> {
    wanted.filter(|wanted| *wanted != has).cloned()
}
