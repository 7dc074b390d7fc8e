//! Images: finding, making, changing and deleting them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::instance::replace;
use super::run::device_name;
use super::{Answer, Capture, Context, check_tags, equals, listed};
use crate::auth::ACCOUNT_ID;
use crate::catalogue::public_images;
use crate::error::ApiError;
use crate::faults::StateFault;
use crate::state::image::{Detection, Image, ImageStatus, Mapping, Snapshot, SnapshotStatus};
use crate::state::instance::{Disk, InstanceStatus};
use crate::state::{Cloud, Common, Transition};

pub(super) fn describe_images(context: &mut Context<'_>) -> Answer {
    let own = context.cloud.images.values();
    let own = own.filter(|image| image.common.region == context.region);
    let mut images: Vec<Image> = own.cloned().collect();
    images.extend(public_images(&context.region));
    images.retain(|image| matches(context, image));
    images.sort_by_key(|image| std::cmp::Reverse(image.common.created));
    let images = images.iter();
    let images = images.map(|image| image.to_json(context.now, in_use(context.cloud, image)));
    let images: Vec<Value> = images.collect();
    Ok(context.page("Images", "Image", images))
}

fn matches(context: &Context<'_>, image: &Image) -> bool {
    let status = context.get("Status").unwrap_or("Available");
    let status_matches = status == "ALL" || listed(Some(status), &format!("{:?}", image.status));
    status_matches
        && listed(context.get("ImageId"), &image.common.id)
        && name_matches(context, &image.common.name)
        && equals(context.get("ImageFamily"), &image.family)
        && equals(context.get("ImageOwnerAlias"), image.owner_alias)
        && equals(context.get("ImageOwnerId"), &image.owner_id)
        && equals(context.get("OSType"), &image.os_type)
        && equals(context.get("Architecture"), &image.architecture)
        && equals(context.get("ResourceGroupId"), &image.common.resource_group)
        && has_snapshot(context, image)
        && context.has_tags(&image.common)
}

fn name_matches(context: &Context<'_>, name: &str) -> bool {
    let wanted = context.get("ImageName");
    let contained = |wanted: &str| context.cloud.fuzzy_image_names && name.contains(wanted);
    equals(wanted, name) || wanted.is_some_and(contained)
}

fn has_snapshot(context: &Context<'_>, image: &Image) -> bool {
    let wanted = context.get("SnapshotId");
    wanted.is_none_or(|id| image.mappings.iter().any(|m| m.snapshot == id))
}

fn in_use(cloud: &Cloud, image: &Image) -> bool {
    let mut instances = cloud.instances.values();
    instances.any(|i| i.image == image.common.id && i.common.region == image.common.region)
}

pub(super) fn describe_image_from_family(context: &mut Context<'_>) -> Answer {
    let family = context.require("ImageFamily")?;
    let image = context.cloud.newest_of_family(&context.region, &family);
    let image = image.map(|image| image.to_json(context.now, in_use(context.cloud, &image)));
    Ok(json!({"Image": image.unwrap_or_else(|| json!({}))}))
}

/// What an image is made of.
struct Source {
    os: Image,
    disks: Vec<Part>,
    instance: Option<String>,
}

/// A disk that goes into an image: an existing snapshot or a disk of which
/// one is made.
enum Part {
    Snapshot(Snapshot, String),
    Disk(Disk),
}

pub(super) fn create_image(context: &mut Context<'_>) -> Answer {
    check_tags(context)?;
    let name = new_name(context, "ImageName")?;
    check_texts(context)?;
    check_quota(context)?;
    check_detection(context)?;
    let source = find_source(context)?;
    let common = context.common("m", name);
    let id = common.id.clone();
    let transition = context.begin("image", &id, context.cloud.delays.image);
    let mut image = blank_image(context, common, &source.os);
    image.transition = Some(transition);
    image.detection = detection(context, transition);
    let mut system_snapshot = None;
    for (index, part) in source.disks.into_iter().enumerate() {
        let mapping = match part {
            Part::Snapshot(snapshot, device) => {
                image.disk = snapshot.content.clone().or(image.disk);
                mapping_of(&snapshot, device)
            }
            Part::Disk(disk) => {
                let snapshot = snapshot_for(context, &image, &disk, transition);
                let device = if disk.kind == "system" {
                    "/dev/xvda".to_owned()
                } else {
                    device_name(index - 1)
                };
                if disk.kind == "system" {
                    system_snapshot = Some(snapshot.common.id.clone());
                }
                let mapping = mapping_of(&snapshot, device);
                context
                    .cloud
                    .snapshots
                    .insert(snapshot.common.id.clone(), snapshot);
                mapping
            }
        };
        if mapping.kind == "system" {
            image.size = mapping.size;
        }
        image.mappings.push(mapping);
    }
    fill_disk(context, &mut image, source.instance, system_snapshot);
    let key = (image.common.region.clone(), id.clone());
    context.cloud.images.insert(key, image);
    Ok(json!({"ImageId": id}))
}

/// Takes the content from the stopped instance, or has it captured from the
/// running machine.
fn fill_disk(
    context: &mut Context<'_>,
    image: &mut Image,
    instance: Option<String>,
    snapshot: Option<String>,
) {
    let Some(instance) = instance.and_then(|id| context.cloud.instances.get(&id)) else {
        return;
    };
    if instance.machine_on
        && let Some(machine) = &instance.machine
    {
        context.captures.push(Capture {
            machine: Arc::clone(machine),
            image: Some((image.common.region.clone(), image.common.id.clone())),
            snapshot,
        });
        return;
    }
    image.disk = instance.disk.clone();
    let content = instance.disk.clone();
    if let Some(snapshot) = snapshot.and_then(|id| context.cloud.snapshots.get_mut(&id)) {
        snapshot.content = content;
    }
}

pub(super) fn mapping_of(snapshot: &Snapshot, device: String) -> Mapping {
    Mapping {
        snapshot: snapshot.common.id.clone(),
        device,
        size: snapshot.size,
        kind: snapshot.disk_kind,
        imported_from: None,
    }
}

pub(super) fn snapshot_for(
    context: &mut Context<'_>,
    image: &Image,
    disk: &Disk,
    transition: Transition,
) -> Snapshot {
    let common = context.common("s", format!("SnapshotForImage-{}", image.common.id));
    Snapshot {
        common: Common {
            tags: BTreeMap::new(),
            ..common
        },
        disk: disk.common.id.clone(),
        disk_kind: disk.kind,
        size: disk.size,
        status: SnapshotStatus::Progressing,
        transition: Some(transition),
        fails: false,
        content: None,
        platform: image.platform.clone(),
    }
}

pub(super) fn blank_image(context: &mut Context<'_>, common: Common, os: &Image) -> Image {
    let or_of = |name: &str, value: &str| context.get(name).unwrap_or(value).to_owned();
    Image {
        family: context.text("ImageFamily"),
        version: context.text("ImageVersion"),
        owner_alias: "self",
        owner_id: ACCOUNT_ID.to_owned(),
        platform: or_of("Platform", &os.platform),
        os_name: os.os_name.clone(),
        os_type: os.os_type.clone(),
        architecture: or_of("Architecture", &os.architecture),
        boot_mode: or_of("BootMode", &os.boot_mode),
        imds_support: context.get("Features.ImdsSupport").map(str::to_owned),
        non_root_login: os.non_root_login,
        size: os.size,
        mappings: Vec::new(),
        status: ImageStatus::Creating,
        transition: None,
        fails: context.takes_fault(StateFault::ImageCreateFailed),
        is_copy: false,
        encrypted: false,
        shared_with: Default::default(),
        disk: None,
        detection: None,
        copied_from: None,
        common,
    }
}

fn find_source(context: &Context<'_>) -> Result<Source, ApiError> {
    if let Some(id) = context.get("SnapshotId") {
        let snapshot = usable_snapshot(context, id)?;
        if snapshot.disk_kind != "system" {
            return Err(context.error("InvalidSystemSnapshot.Missing"));
        }
        let disks = vec![Part::Snapshot(snapshot.clone(), "/dev/xvda".to_owned())];
        return Ok(Source {
            os: os_of_snapshot(context, &snapshot),
            disks,
            instance: None,
        });
    }
    if let Some(id) = context.get("InstanceId") {
        return source_of_instance(context, id);
    }
    source_of_mappings(context)
}

fn source_of_instance(context: &Context<'_>, id: &str) -> Result<Source, ApiError> {
    let instance = context.cloud.instances.get(id);
    let instance = instance.ok_or_else(|| context.error("InvalidInstanceId.NotFound"))?;
    let states = [InstanceStatus::Running, InstanceStatus::Stopped];
    if instance.deleting || !states.contains(&instance.status) {
        return Err(context.error("IncorrectInstanceStatus"));
    }
    let disks = context.cloud.disks.values();
    let mut disks: Vec<Disk> = disks
        .filter(|disk| disk.instance.as_deref() == Some(id))
        .cloned()
        .collect();
    disks.sort_by_key(|disk| (disk.kind == "data", disk.device.clone()));
    let os = context.cloud.image(&context.region, &instance.image);
    Ok(Source {
        os: os.unwrap_or_else(|| plain_image(context)),
        disks: disks.into_iter().map(Part::Disk).collect(),
        instance: Some(id.to_owned()),
    })
}

fn source_of_mappings(context: &Context<'_>) -> Result<Source, ApiError> {
    let mut disks = Vec::new();
    for (index, mapping) in context
        .params
        .objects("DiskDeviceMapping")
        .iter()
        .enumerate()
    {
        let id = mapping.get("SnapshotId").cloned().unwrap_or_default();
        let snapshot = usable_snapshot(context, &id)?;
        let device = mapping.get("Device").cloned();
        let default = if index == 0 {
            "/dev/xvda".to_owned()
        } else {
            device_name(index - 1)
        };
        disks.push(Part::Snapshot(snapshot, device.unwrap_or(default)));
    }
    let Some(Part::Snapshot(first, _)) = disks.first() else {
        return Err(context.error("MissingParameter"));
    };
    Ok(Source {
        os: os_of_snapshot(context, first),
        disks,
        instance: None,
    })
}

fn usable_snapshot(context: &Context<'_>, id: &str) -> Result<Snapshot, ApiError> {
    let snapshot = context.cloud.snapshots.get(id);
    let snapshot = snapshot.filter(|snapshot| snapshot.common.region == context.region);
    let snapshot = snapshot.ok_or_else(|| context.error("InvalidSnapshotId.NotFound"))?;
    if snapshot.status != SnapshotStatus::Accomplished {
        return Err(context.error("InvalidSnapshotId.NotReady"));
    }
    Ok(snapshot.clone())
}

fn os_of_snapshot(context: &Context<'_>, snapshot: &Snapshot) -> Image {
    let images = public_images(&context.region).into_iter();
    let mut images = images.filter(|image| image.platform == snapshot.platform);
    images.next().unwrap_or_else(|| plain_image(context))
}

pub(super) fn plain_image(context: &Context<'_>) -> Image {
    let mut images = public_images(&context.region).into_iter();
    images.next().expect("the catalogue has images")
}

/// There is one strategy of detection.
fn check_detection(context: &Context<'_>) -> Result<(), ApiError> {
    match context.get("DetectionStrategy") {
        None | Some("Standard") => Ok(()),
        Some(_) => Err(ApiError::invalid_parameter(
            "DetectionStrategy",
            "it must be Standard",
        )),
    }
}

/// The examination that the call asks for, which begins when the image is
/// available.
pub(super) fn detection(context: &mut Context<'_>, image: Transition) -> Option<Detection> {
    context.get("DetectionStrategy")?;
    if context.takes_fault(StateFault::DetectionSilent) {
        return None;
    }
    let delay = context.cloud.delays.detection;
    Some(Detection {
        ends: image.ready + context.cloud.draw("detection", delay),
        finds_risk: context.takes_fault(StateFault::DetectionRisk),
    })
}

pub(super) fn check_quota(context: &Context<'_>) -> Result<(), ApiError> {
    let own = context.cloud.images.keys();
    let count = own.filter(|(region, _)| *region == context.region).count();
    if count >= context.cloud.quotas.images {
        return Err(context.error("QuotaExceed.Image"));
    }
    Ok(())
}

/// The name for a new image; one is made up when the call gives none.
pub(super) fn new_name(context: &mut Context<'_>, parameter: &str) -> Result<String, ApiError> {
    let Some(name) = context.get(parameter).map(str::to_owned) else {
        return Ok(context.cloud.new_id("image", "cn-hangzhou"));
    };
    check_name(context, &name)?;
    let region = context.region.clone();
    check_unused(context, &region, &name)?;
    Ok(name)
}

pub(super) fn check_name(context: &Context<'_>, name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    let reserved = ["acs:", "aliyun", "http://", "https://"];
    let allowed = |c: char| c.is_alphanumeric() || ":_-.".contains(c);
    let valid = (2..=128).contains(&length)
        && name.starts_with(char::is_alphabetic)
        && name.chars().all(allowed)
        && !reserved.iter().any(|prefix| name.starts_with(prefix));
    if valid {
        return Ok(());
    }
    Err(context.error("InvalidImageName.Malformed"))
}

pub(super) fn check_unused(
    context: &Context<'_>,
    region: &str,
    name: &str,
) -> Result<(), ApiError> {
    let mut images = context.cloud.images.values();
    if images.any(|image| image.common.region == region && image.common.name == name) {
        return Err(ApiError::gateway("InvalidImageName.Duplicated"));
    }
    Ok(())
}

pub(super) fn check_texts(context: &Context<'_>) -> Result<(), ApiError> {
    let description = context.get("Description");
    let wrong = |d: &str| d.chars().count() < 2 || d.chars().count() > 256 || d.starts_with("http");
    if description.is_some_and(wrong) {
        return Err(context.error("InvalidDescription.Malformed"));
    }
    let wrong = |v: &str| v.chars().count() > 40;
    if context.get("ImageVersion").is_some_and(wrong) {
        return Err(context.error("InvalidImageVersion.Malformed"));
    }
    let wrong = |f: &str| f.starts_with("acs:") || f.starts_with("aliyun");
    if context.get("ImageFamily").is_some_and(wrong) {
        return Err(context.error("InvalidImageFamily.Malformed"));
    }
    Ok(())
}

pub(super) fn delete_image(context: &mut Context<'_>) -> Answer {
    let id = context.require("ImageId")?;
    let key = (context.region.clone(), id.clone());
    let Some(image) = context.cloud.images.get(&key) else {
        return Err(context.error("InvalidImageId.NotFound"));
    };
    if context.cloud.is_importing(image) {
        let message = "The specified Image is importing.";
        return Err(ApiError::new(403, "ImageIsImporting", message));
    }
    let mut others = context.cloud.images.values();
    if others.any(|other| other.copied_from.as_ref() == Some(&key)) {
        return Err(context.error("OperationDenied.ImageCopying"));
    }
    if !context.params.flag("Force") {
        if in_use(context.cloud, image) {
            return Err(context.error("ImageUsingByInstance"));
        }
        if !image.shared_with.is_empty() {
            return Err(context.error("ImageUseShared"));
        }
    }
    context.cloud.images.remove(&key);
    Ok(json!({}))
}

pub(super) fn modify_image_attribute(context: &mut Context<'_>) -> Answer {
    let key = (context.region.clone(), context.require("ImageId")?);
    if !context.cloud.images.contains_key(&key) {
        return Err(context.error("InvalidImageId.NotFound"));
    }
    let set = |name: &str| context.get(name).map(str::to_owned);
    let (name, family) = (set("ImageName"), set("ImageFamily"));
    let (description, boot_mode) = (set("Description"), set("BootMode"));
    let imds_support = set("Features.ImdsSupport");
    check_texts(context)?;
    if let Some(name) = &name {
        check_name(context, name)?;
        if context.cloud.images[&key].common.name != *name {
            check_unused(context, &key.0, name)?;
        }
    }
    let status = new_status(context, context.cloud.images[&key].status)?;
    let Some(image) = context.cloud.images.get_mut(&key) else {
        return Ok(json!({}));
    };
    image.status = status;
    replace(&mut image.common.name, name);
    replace(&mut image.family, family);
    replace(&mut image.common.description, description);
    replace(&mut image.boot_mode, boot_mode);
    image.imds_support = imds_support.or(image.imds_support.take());
    Ok(json!({}))
}

/// The status an image gets: only Available and Deprecated can be chosen.
fn new_status(context: &Context<'_>, now: ImageStatus) -> Result<ImageStatus, ApiError> {
    match (context.get("Status"), now) {
        (None, _) => Ok(now),
        (Some("Deprecated"), ImageStatus::Available | ImageStatus::Deprecated) => {
            Ok(ImageStatus::Deprecated)
        }
        (Some("Available"), ImageStatus::Deprecated) => Ok(ImageStatus::Available),
        (Some("Available"), _) => Err(context.error("ImageStatus.NotDeprecated")),
        (Some(_), _) => Err(context.error("ImageStatus.NotAvailable")),
    }
}
