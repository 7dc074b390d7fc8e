//! What makes an available image the one that was asked for: its name, tags
//! on its snapshots, copies, shares. It serves images that were built and
//! images that were imported.

use std::time::Duration;

use futures_util::future::try_join_all;

use crate::artifact::{self, Artifact};
use crate::builder::BuildContext;
use crate::cloud::ecs::{
    ANY_IMAGE_STATUS, DeleteImage, DeleteSnapshot, DescribeImages, Image, ModifyImageAttribute,
    ModifyImageSharePermission, TagResources, UntagResources,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::cloud::{self, Cloud, Tag};
use crate::engine::event::EventKind;
use crate::error::{Error, Kind as ErrorKind, Result, one_line};
use crate::journal::{Replacement, Slot, tags};
use crate::plan::alicloud_ecs::ImageOptions;
use crate::template::source::Spanned;

mod copy;
mod detection;

/// The API silently ignores further accounts of a call.
const ACCOUNTS_PER_CALL: usize = 10;

/// What is published, and how.
#[derive(Clone, Copy)]
pub struct Publisher<'a> {
    /// What makes and has images.
    pub cloud: &'a Cloud,
    /// The region the image is made in.
    pub region: &'a str,
    /// What the image will be.
    pub options: &'a ImageOptions,
    /// The resource group of copies.
    pub resource_group: Option<&'a str>,
    /// Packer's id of what made the image.
    pub builder_id: &'static str,
    /// The type of it, as templates write it.
    pub builder_type: &'static str,
}

/// An available image.
pub struct Made {
    /// The image.
    pub image: Image,
    /// What it was made from.
    pub source_image: String,
    /// A snapshot made for it, which it needs.
    pub snapshot_id: Option<String>,
}

/// Tags an image may have (CreateImage in the ECS API).
const MAX_TAGS: usize = 20;

/// An image in the region it was asked for.
struct Published {
    region: String,
    image: Image,
    name: String,
}

impl Published {
    /// Whether there was no older image whose place it has to take.
    fn has_its_name(&self) -> bool {
        self.image.image_name == self.name
    }
}

impl Publisher<'_> {
    /// Copies, tags and shares the image, and gives it its name; from then on
    /// it is the user's.
    ///
    /// # Errors
    /// When a step fails; the image is deleted by the journal's sweep unless
    /// it was complete.
    pub async fn publish(&self, cx: &BuildContext<'_>, made: Made) -> Result<Artifact> {
        let targets = self.copy_targets();
        let main_image = made.image.image_id.clone();
        let (tagged, copies) = tokio::join!(
            self.tag_snapshots(cx, self.region, &made.image, made.snapshot_id.as_deref()),
            try_join_all(
                targets
                    .iter()
                    .map(|target| self.copy(cx, &made.image, target))
            ),
        );
        tagged?;
        let mut published = copies?;
        if self.options.encrypted != Some(true) {
            let name = self.options.name.value.clone();
            let (region, image) = (self.region.to_owned(), made.image);
            published.insert(
                0,
                Published {
                    region,
                    image,
                    name,
                },
            );
        }
        let snapshot = made.snapshot_id.as_deref();
        try_join_all(published.iter().map(|one| self.finish(cx, one, snapshot))).await?;
        self.keep(cx, &published, snapshot)?;
        try_join_all(
            published
                .iter()
                .map(|one| self.take_name(cx, one, snapshot)),
        )
        .await?;
        let images = published
            .iter()
            .map(|one| self.describe(cx, one, &made.source_image));
        let images: Vec<_> = images.collect();
        for image in &images {
            cx.events.emit(EventKind::ImageReady(image.clone()));
        }
        // The images are the user's by now, whatever happens here.
        self.tell_detection(cx, &main_image).await;
        Ok(Artifact::of_images(self.builder_id, images))
    }

    /// The user's tags; and, as far as there is room, those by which an image
    /// is found whose creation lost its reply, or that was never finished.
    pub(crate) fn image_tags(&self, cx: &BuildContext<'_>, slot: &Slot) -> Vec<Tag> {
        let user = self.options.tags.clone().into_iter();
        let own = cx.tags.of_image(slot.number);
        let tags = user.chain(own).take(MAX_TAGS);
        tags.map(|(key, value)| Tag::new(key, value)).collect()
    }

    /// Waits until an image is available; fails at once when it never will be.
    pub(crate) async fn wait_for_image(
        &self,
        cx: &BuildContext<'_>,
        region: &str,
        id: &str,
        limit: Duration,
    ) -> Result<Image> {
        let request = DescribeImages {
            image_id: Some(id.to_owned()),
            status: Some(ANY_IMAGE_STATUS.to_owned()),
            ..Default::default()
        };
        let what = format!("waiting for image {id} in {region} to be available");
        wait::until(cx.stop, limit, Pace::IMAGE, &what, async || {
            let answer = self.cloud.call(region, &request, cx.stop).await?;
            let Some(image) = answer.images.into_iter().next() else {
                return Ok(Poll::Pending);
            };
            match image.status.as_str() {
                "Available" => Ok(Poll::Ready(image)),
                "CreateFailed" | "UnAvailable" => Err(failed_image(&image, region)),
                _ => Ok(progress(cx, "Image", id, image.progress)),
            }
        })
        .await
    }

    /// Usually the name that was asked for. When an image of that name must be
    /// replaced it is deleted last, so the new one needs another name until
    /// then; so does the source of an encrypted copy.
    pub(crate) async fn name_to_create(&self, cx: &BuildContext<'_>) -> Result<String> {
        let options = self.options;
        let wanted = &options.name.value;
        let encrypts = options.encrypted == Some(true);
        let taken = encrypts
            || (options.force_delete
                && !self.own_images(cx, self.region, wanted).await?.is_empty());
        Ok(if taken {
            temporary_name(wanted, cx.journal.run())
        } else {
            wanted.clone()
        })
    }

    /// Fails when an image of the name is there and may not be replaced.
    pub(crate) async fn check_names(&self, cx: &BuildContext<'_>) -> Result<()> {
        if self.options.force_delete || self.options.skip_create {
            return Ok(());
        }
        let name = &self.options.name;
        let main = (self.region, name.value.as_str());
        let copies = self.options.copies.iter().map(|copy| {
            (
                copy.region.value.as_str(),
                copy.name.as_deref().unwrap_or(&name.value),
            )
        });
        let checks = std::iter::once(main)
            .chain(copies)
            .map(async |(region, wanted)| {
                match self.own_images(cx, region, wanted).await?.first() {
                    Some(image) => Err(name_is_taken(name, wanted, region, image)),
                    None => Ok(()),
                }
            });
        try_join_all(checks).await.map(drop)
    }

    /// Own images with exactly this name.
    async fn own_images(
        &self,
        cx: &BuildContext<'_>,
        region: &str,
        name: &str,
    ) -> Result<Vec<Image>> {
        let request = DescribeImages::own(name);
        let mut images = self.cloud.call(region, &request, cx.stop).await?.images;
        images.retain(|image| image.image_name == name);
        Ok(images)
    }

    /// Tags the image's snapshots, except one that was made with them.
    async fn tag_snapshots(
        &self,
        cx: &BuildContext<'_>,
        region: &str,
        image: &Image,
        tagged: Option<&str>,
    ) -> Result<()> {
        let tags: Vec<_> = self
            .options
            .tags
            .iter()
            .map(|(key, value)| Tag::new(key, value))
            .collect();
        let mut snapshots = snapshots_of(image);
        snapshots.retain(|id| Some(id.as_str()) != tagged);
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

    /// Shares the image and marks it as finished. Until then its tags say that
    /// it may be deleted, to those who have no journal.
    async fn finish(
        &self,
        cx: &BuildContext<'_>,
        published: &Published,
        snapshot: Option<&str>,
    ) -> Result<()> {
        self.share(cx, published).await?;
        let Published { region, image, .. } = published;
        let snapshot = self.snapshot_in(region, snapshot);
        tokio::try_join!(
            self.mark_finished(cx, region, "image", Some(&image.image_id)),
            self.mark_finished(cx, region, "snapshot", snapshot),
        )
        .map(drop)
    }

    async fn mark_finished(
        &self,
        cx: &BuildContext<'_>,
        region: &str,
        resource_type: &str,
        id: Option<&str>,
    ) -> Result<()> {
        let Some(id) = id else {
            return Ok(());
        };
        let untag = UntagResources {
            resource_type: resource_type.to_owned(),
            resource_id: vec![id.to_owned()],
            tag_key: tags::UNFINISHED.map(str::to_owned).into(),
        };
        let outcome = match self.cloud.call(region, &untag, cx.stop).await {
            // A build must not fail for want of a permission that only tidies.
            Err(error) if cloud::is_forbidden(&error) => {
                let finished = TagResources {
                    resource_type: untag.resource_type,
                    resource_id: untag.resource_id,
                    tag: vec![Tag::new(tags::TEMPORARY, "false")],
                };
                self.cloud.call(region, &finished, cx.stop).await
            }
            outcome => outcome,
        };
        outcome.map(drop).map_err(|error| {
            error.context(format!(
                "Cannot mark {resource_type} {id} in {region} as finished"
            ))
        })
    }

    async fn share(&self, cx: &BuildContext<'_>, published: &Published) -> Result<()> {
        let options = self.options;
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

    /// From here on nothing may delete the images that have their names any
    /// more, whatever happens.
    fn keep(
        &self,
        cx: &BuildContext<'_>,
        published: &[Published],
        snapshot: Option<&str>,
    ) -> Result<()> {
        let complete = published.iter().filter(|one| one.has_its_name());
        let kept: Vec<_> = complete.flat_map(|one| self.parts(one, snapshot)).collect();
        cx.journal.keep_all(&kept)
    }

    /// What the journal knows of an image: itself, and in the main region the
    /// snapshot it was made from.
    fn parts<'b>(&self, published: &'b Published, snapshot: Option<&'b str>) -> Vec<&'b str> {
        let snapshot = self.snapshot_in(&published.region, snapshot);
        let id = published.image.image_id.as_str();
        snapshot.into_iter().chain([id]).collect()
    }

    /// The snapshot is in the main region.
    fn snapshot_in<'b>(&self, region: &str, snapshot: Option<&'b str>) -> Option<&'b str> {
        snapshot.filter(|_| region == self.region)
    }

    /// Deletes the older images of the wanted name, now that the new one is
    /// complete, and gives it that name.
    async fn take_name(
        &self,
        cx: &BuildContext<'_>,
        published: &Published,
        snapshot: Option<&str>,
    ) -> Result<()> {
        let Published {
            region,
            image,
            name,
        } = published;
        if published.has_its_name() {
            return Ok(());
        }
        let old_images = self.own_images(cx, region, name).await?;
        let snapshots = match self.options.force_delete_snapshots {
            true => old_images.iter().flat_map(snapshots_of).collect(),
            false => Vec::new(),
        };
        let replacement = Replacement {
            name: name.clone(),
            snapshots,
        };
        cx.journal.replacing(&image.image_id, replacement)?;
        for old in old_images {
            self.delete_old(cx, region, &old).await?;
        }
        self.rename(cx, published).await?;
        cx.journal.keep_all(&self.parts(published, snapshot))
    }

    async fn rename(&self, cx: &BuildContext<'_>, published: &Published) -> Result<()> {
        let Published {
            region,
            image,
            name,
        } = published;
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
                error.context(format!(
                    "Cannot rename image {} in {region} to {name}",
                    image.image_id
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
        if !self.options.force_delete_snapshots {
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
            builder_type: self.builder_type.to_owned(),
            region: region.clone(),
            image_id: image.image_id.clone(),
            image_name: name.clone(),
            source_image: source.to_owned(),
            snapshot_ids: snapshots_of(image),
            size_gib: image.size,
            created: image.creation_time.clone(),
            oss_object: None,
        }
    }
}

/// The option that gives a wait more time.
pub(crate) fn hint_at_limit(error: Error, option: &str) -> Error {
    match error.kind() {
        ErrorKind::Timeout => error.with_hint(format!("Raise `{option}`")),
        _ => error,
    }
}

fn failed_image(image: &Image, region: &str) -> Error {
    let Image {
        image_id, status, ..
    } = image;
    Error::new(
        ErrorKind::FailedState,
        format!("Image {image_id} in {region} ended as {status}"),
    )
}

/// A name of at most 128 characters, as the ECS API allows.
fn temporary_name(wanted: &str, run: &str) -> String {
    let suffix = format!("-{}", run.split('-').next().unwrap_or_default());
    let room = 128 - suffix.len();
    wanted.chars().take(room).chain(suffix.chars()).collect()
}

fn name_is_taken(name: &Spanned<String>, wanted: &str, region: &str, image: &Image) -> Error {
    let message = format!(
        "Image name `{wanted}` is used by image {} in {region}",
        image.image_id
    );
    Error::new(ErrorKind::Cloud, message).at(name.span).with_hint(
        "Choose another `image_name`, for example with `{{isotime \"20060102-1504\"}}` in it; or set \
         `image_force_delete` (or `-force`) to replace that image once the new one is available",
    )
}

/// Tells how far something is.
pub(crate) fn progress<T>(
    cx: &BuildContext<'_>,
    what: &str,
    id: &str,
    percent: Option<u8>,
) -> Poll<T> {
    percent.map_or(Poll::Pending, |percent| {
        cx.events.message(format!("{what} {id} is {percent}% done"));
        Poll::Progress(percent)
    })
}

fn snapshots_of(image: &Image) -> Vec<String> {
    let ids = image
        .disk_device_mappings
        .iter()
        .map(|mapping| mapping.snapshot_id.clone());
    ids.filter(|id| !id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_fits() {
        assert_eq!(temporary_name("web", "0a1b2c3d-0000"), "web-0a1b2c3d");
        assert_eq!(
            temporary_name(&"ü".repeat(128), "0a1b2c3d-0000")
                .chars()
                .count(),
            128
        );
    }
}
