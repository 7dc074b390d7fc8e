//! From a stopped instance to an available image.

use super::AlicloudEcs;
use crate::builder::{BuildContext, Machine};
use crate::cloud::JsonList;
use crate::cloud::ecs::{
    CreateImage, CreateSnapshot, DescribeDisks, DescribeSnapshots, Image, ImageFeatures,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::publish::{Made, hint_at_limit, progress};

/// The option that limits waits for snapshot and image.
const READY_LIMIT: &str = "wait_snapshot_ready_timeout";

fn hint_at_local_disks(error: Error) -> Error {
    match error.kind() {
        ErrorKind::FailedState => error.with_hint(
            "Local disks cannot be part of an image: see `image_ignore_data_disks`; otherwise try again",
        ),
        _ => error,
    }
}

impl From<Captured> for Made {
    fn from(captured: Captured) -> Self {
        Self {
            image: captured.image,
            source_image: captured.source_image,
            snapshot_id: captured.snapshot_id,
        }
    }
}

/// The available image, before tags, copies and shares.
pub struct Captured {
    pub(super) image: Image,
    /// The image it was made from.
    pub(super) source_image: String,
    /// A snapshot made for it, which it needs.
    pub(super) snapshot_id: Option<String>,
}

impl AlicloudEcs<'_> {
    pub(super) async fn create_image(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
    ) -> Result<Captured> {
        let options = &self.options.image;
        let name = self.publisher().name_to_create(cx).await?;
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
            self.publisher()
                .wait_for_image(cx, self.region(), &id, options.ready_timeout)
                .await
                .map_err(|error| hint_at_limit(error, READY_LIMIT))
                .map_err(hint_at_local_disks)
        };
        let image = cx.step("Create image", work).await?;
        Ok(Captured {
            image,
            source_image: machine.source_image.clone(),
            snapshot_id,
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
            platform: options.platform.clone(),
            architecture: options.architecture.clone(),
            detection_strategy: options.detection_strategy.clone(),
            features: ImageFeatures {
                imds_support: options.imds_support.clone(),
            },
            resource_group_id: self.resource_group(),
            tag: self.publisher().image_tags(cx, slot),
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
            tag: self.publisher().image_tags(cx, slot),
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
        .map_err(|error| hint_at_limit(error, READY_LIMIT))
    }
}
