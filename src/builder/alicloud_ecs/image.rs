//! From a stopped instance to an available image.

use std::time::Duration;

use super::AlicloudEcs;
use crate::builder::{BuildContext, Machine};
use crate::cloud::JsonList;
use crate::cloud::Tag;
use crate::cloud::ecs::{
    ANY_IMAGE_STATUS, CreateImage, CreateSnapshot, DescribeDisks, DescribeImages,
    DescribeSnapshots, Image,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::journal::tags;

/// The available image, before tags, copies and shares.
pub struct Captured {
    pub(super) image: Image,
    /// The image it was made from.
    pub(super) source_image: String,
    /// A snapshot made for it, which it needs.
    pub(super) snapshot_id: Option<String>,
}

/// Tags an image may have (CreateImage in the ECS API).
const MAX_TAGS: usize = 20;

impl AlicloudEcs<'_> {
    pub(super) async fn create_image(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
    ) -> Result<Captured> {
        let options = &self.options.image;
        let name = self.name_to_create(cx).await?;
        let snapshot_id = if options.ignore_data_disks {
            Some(
                cx.step("Create snapshot", self.snapshot_system_disk(cx, machine))
                    .await?,
            )
        } else {
            None
        };
        cx.events.say(format!("Creating image: {name}"));
        let work = async {
            let id = self
                .request_image(cx, machine, snapshot_id.as_deref(), &name)
                .await?;
            cx.events.message(format!("Created image: {id}"));
            self.wait_for_image(cx, self.region(), &id, options.ready_timeout)
                .await
        };
        let image = cx.step("Create image", work).await?;
        Ok(Captured {
            image,
            source_image: machine.source_image.clone(),
            snapshot_id,
        })
    }

    /// Usually the name that was asked for. When an image of that name must be
    /// replaced it is deleted last, so the new one needs another name until
    /// then; so does the source of an encrypted copy.
    async fn name_to_create(&self, cx: &BuildContext<'_>) -> Result<String> {
        let options = &self.options.image;
        let wanted = &options.name.value;
        let encrypts = options.encrypted == Some(true);
        let taken = encrypts
            || (options.force_delete
                && !self.own_images(cx, self.region(), wanted).await?.is_empty());
        Ok(if taken {
            temporary_name(wanted, cx.journal.run())
        } else {
            wanted.clone()
        })
    }

    async fn request_image(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
        snapshot: Option<&str>,
        name: &str,
    ) -> Result<String> {
        let options = &self.options.image;
        let request = |slot: &Slot| CreateImage {
            instance_id: snapshot.is_none().then(|| machine.id.clone()),
            snapshot_id: snapshot.map(str::to_owned),
            image_name: Some(name.to_owned()),
            image_family: options
                .target_family
                .as_ref()
                .map(|family| family.value.clone()),
            image_version: options.version.clone(),
            description: options.description.clone(),
            boot_mode: options.boot_mode.clone(),
            resource_group_id: self.resource_group(),
            tag: self.image_tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::Image, name);
        let made = self
            .create(cx, intent, request, |made| &made.image_id)
            .await;
        made.map(|made| made.image_id).map_err(|error| {
            error
                .context(format!("Cannot create image {name}"))
                .at(options.name.span)
        })
    }

    /// The user's tags; and, as far as there is room, the run and intent, by
    /// which an image is found whose creation lost its reply.
    pub(super) fn image_tags(&self, cx: &BuildContext<'_>, slot: &Slot) -> Vec<Tag> {
        let user = self
            .options
            .image
            .tags
            .iter()
            .map(|(key, value)| Tag::new(key, value));
        let own = [
            Tag::new(tags::RUN_ID, cx.journal.run()),
            Tag::new(tags::INTENT, slot.number.to_string()),
        ];
        user.chain(own).take(MAX_TAGS).collect()
    }

    /// Waits until an image is available; fails at once when it never will be.
    pub(super) async fn wait_for_image(
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
        .map_err(|error| match error.kind() {
            ErrorKind::Timeout => error.with_hint("Raise `wait_snapshot_ready_timeout`"),
            _ => error,
        })
    }

    async fn snapshot_system_disk(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
    ) -> Result<String> {
        let disk = self.system_disk_of(cx, machine).await?;
        let name = self.name(cx, None, "snapshot");
        let request = |slot: &Slot| CreateSnapshot {
            disk_id: disk.clone(),
            snapshot_name: Some(name.clone()),
            resource_group_id: self.resource_group(),
            tag: self.image_tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::Snapshot, &name);
        let made = self
            .create(cx, intent, request, |made| &made.snapshot_id)
            .await;
        let id = made
            .map_err(|error| error.context(format!("Cannot create a snapshot of disk {disk}")))?
            .snapshot_id;
        cx.events
            .say(format!("Creating snapshot from system disk {disk}: {id}"));
        self.wait_for_snapshot(cx, &id).await?;
        Ok(id)
    }

    async fn system_disk_of(&self, cx: &BuildContext<'_>, machine: &Machine) -> Result<String> {
        let request = DescribeDisks {
            instance_id: Some(machine.id.clone()),
            disk_type: Some("system".to_owned()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        answer
            .disks
            .into_iter()
            .next()
            .map(|disk| disk.disk_id)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Cloud,
                    format!("Instance {} has no system disk", machine.id),
                )
            })
    }

    async fn wait_for_snapshot(&self, cx: &BuildContext<'_>, id: &str) -> Result<()> {
        let request = DescribeSnapshots {
            snapshot_ids: Some(JsonList::one(id)),
            ..Default::default()
        };
        let what = format!("waiting for snapshot {id} to be accomplished");
        wait::until(
            cx.stop,
            self.options.image.ready_timeout,
            Pace::IMAGE,
            &what,
            async || {
                let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
                let Some(snapshot) = answer.snapshots.into_iter().next() else {
                    return Ok(Poll::Pending);
                };
                match snapshot.status.as_str() {
                    "accomplished" => Ok(Poll::Ready(())),
                    "failed" => Err(Error::new(
                        ErrorKind::FailedState,
                        format!("Snapshot {id} failed in {}", self.region()),
                    )
                    .with_hint("Local disks cannot have snapshots; otherwise try again")),
                    _ => Ok(progress(cx, "Snapshot", id, snapshot.progress)),
                }
            },
        )
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Timeout => error.with_hint("Raise `wait_snapshot_ready_timeout`"),
            _ => error,
        })
    }
}

fn progress<T>(cx: &BuildContext<'_>, what: &str, id: &str, percent: Option<u8>) -> Poll<T> {
    percent.map_or(Poll::Pending, |percent| {
        cx.events.message(format!("{what} {id} is {percent}% done"));
        Poll::Progress(percent)
    })
}

fn failed_image(image: &Image, region: &str) -> Error {
    let Image {
        image_id, status, ..
    } = image;
    Error::new(ErrorKind::FailedState, format!("Image {image_id} in {region} ended as {status}"))
        .with_hint("Local disks cannot be part of an image: see `image_ignore_data_disks`; otherwise try again")
}

/// A name of at most 128 characters, as the ECS API allows.
pub(super) fn temporary_name(wanted: &str, run: &str) -> String {
    let suffix = format!("-{}", run.split('-').next().unwrap_or_default());
    let room = 128 - suffix.len();
    wanted.chars().take(room).chain(suffix.chars()).collect()
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
