//! ImportImage, and waiting for what comes of it.

use tokio::time::Instant;

use super::check::Checked;
use super::role::{RoleState, SETTLES_WITHIN};
use super::{Importer, Object};
use crate::builder::BuildContext;
use crate::cloud::ecs::{
    DescribeTasks, ImportImage, ImportImageResponse, ImportedDisk, ImportedFeatures,
    ModifyImageAttribute,
};
use crate::cloud::is_code;
use crate::cloud::wait::Pace;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::publish::Made;

/// A role that was just made is not seen by ECS at once.
const NO_ROLE: &[&str] = &["NoSetRoletoECSServiceAcount", "InvalidOSS.NotAuthorized"];

impl Importer<'_> {
    pub(super) async fn import(
        &self,
        cx: &BuildContext<'_>,
        objects: &[Object],
        checked: &Checked,
    ) -> Result<Made> {
        let name = self.publisher().name_to_create(cx).await?;
        cx.events.say(format!("Importing image: {name}"));
        let begun = self.begin_import(cx, objects, &name, checked).await?;
        let id = &begun.image_id;
        cx.events.message(format!("Importing image: {id}"));
        let limit = self.options.image.ready_timeout;
        let ready = self
            .publisher()
            .wait_for_image(cx, self.region(), id, limit)
            .await;
        let image = match ready {
            Ok(image) => image,
            Err(error) => return Err(self.with_reason(cx, error, &begun.task_id).await),
        };
        self.join_family(cx, id).await?;
        Ok(Made {
            image,
            source_image: self.disks[0].name(),
            snapshot_id: None,
        })
    }

    /// Asks again while ECS does not see the role that was just made.
    async fn begin_import(
        &self,
        cx: &BuildContext<'_>,
        objects: &[Object],
        name: &str,
        checked: &Checked,
    ) -> Result<ImportImageResponse> {
        let started = Instant::now();
        loop {
            let error = match self.request_import(cx, objects, name, checked).await {
                Ok(begun) => return Ok(begun),
                Err(error) => error,
            };
            let elapsed = cx.stop.clock().elapsed(started);
            let may_settle = checked.role == RoleState::Changed && elapsed < SETTLES_WITHIN;
            if !may_settle || !is_code(&error, NO_ROLE) {
                let from: Vec<_> = objects.iter().map(Object::id).collect();
                let from = from.join(" and ");
                return Err(error
                    .context(format!("Cannot import image {name} from {from}"))
                    .at(self.options.image.name.span));
            }
            cx.events
                .message("ECS does not see the new role yet; asking again");
            cx.stop.sleep(Pace::ROLE_SETTLES).await?;
        }
    }

    async fn request_import(
        &self,
        cx: &BuildContext<'_>,
        objects: &[Object],
        name: &str,
        checked: &Checked,
    ) -> Result<ImportImageResponse> {
        let request = |slot: &Slot| ImportImage {
            boot_mode: checked.boot_mode.clone(),
            ..self.request(cx, objects, name, slot)
        };
        let intent = self.intent(cx, Kind::ImageImport, name);
        cx.create(self.cloud, self.region(), intent, request, |begun| {
            &begun.image_id
        })
        .await
    }

    fn request(
        &self,
        cx: &BuildContext<'_>,
        objects: &[Object],
        name: &str,
        slot: &Slot,
    ) -> ImportImage {
        let options = self.options;
        ImportImage {
            image_name: Some(name.to_owned()),
            description: options.image.description.clone(),
            architecture: options.architecture.clone(),
            os_type: options.os_type.clone(),
            platform: options.platform.clone(),
            role_name: options.role_name.clone(),
            license_type: options.license_type.clone(),
            resource_group_id: options.resource_group_id.clone(),
            disk_device_mapping: self.mapping(objects),
            detection_strategy: options.detection_strategy.clone(),
            features: ImportedFeatures {
                nvme_support: options.nvme_support.clone(),
                imds_support: options.imds_support.clone(),
            },
            tag: self.publisher().image_tags(cx, slot),
            boot_mode: None,
        }
    }

    /// The first one becomes the system disk.
    fn mapping(&self, objects: &[Object]) -> Vec<ImportedDisk> {
        let disks = self.disks.iter().zip(objects).enumerate();
        let disks = disks.map(|(index, (disk, object))| ImportedDisk {
            oss_bucket: Some(object.bucket.clone()),
            oss_object: Some(object.key.clone()),
            format: Some(disk.format().name().to_owned()),
            disk_image_size: Some(self.size_of(index)),
        });
        disks.collect()
    }

    /// ImportImage knows no family.
    async fn join_family(&self, cx: &BuildContext<'_>, id: &str) -> Result<()> {
        let Some(family) = &self.options.image.target_family else {
            return Ok(());
        };
        let request = ModifyImageAttribute {
            image_id: id.to_owned(),
            image_family: Some(family.value.clone()),
            ..Default::default()
        };
        let joined = self.cloud.call(self.region(), &request, cx.stop).await;
        joined.map(drop).map_err(|error| {
            error
                .context(format!("Cannot put image {id} into family {family}"))
                .at(family.span)
        })
    }

    /// The task may know why an import failed.
    async fn with_reason(&self, cx: &BuildContext<'_>, error: Error, task_id: &str) -> Error {
        let hint = "Usual causes: the disk is no bootable system of that platform, it is encrypted or \
                    damaged, or `image_system_size` is smaller than it; the disk on this machine was kept";
        if error.kind() != ErrorKind::FailedState {
            return error;
        }
        let error = error.with_hint(hint);
        match self.reason(cx, task_id).await {
            Some(reason) => error.context(format!("Import task {task_id} failed: {reason}")),
            None => error,
        }
    }

    async fn reason(&self, cx: &BuildContext<'_>, task_id: &str) -> Option<String> {
        if task_id.is_empty() {
            return None;
        }
        let request = DescribeTasks {
            task_ids: Some(task_id.to_owned()),
            ..Default::default()
        };
        // Who may import may not always look at tasks.
        let answer = self
            .cloud
            .call(self.region(), &request, cx.stop)
            .await
            .ok()?;
        let task = answer.task_set.into_iter().next()?;
        let said = [task.error_code, task.error_msg];
        let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
        (!said.is_empty()).then(|| said.join(": "))
    }
}
