//! Reads the disks of the temporary instance.

use super::{Disk, word};
use crate::plan::check;
use crate::plan::options;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;
use crate::template::value::Value;

const CATEGORIES: &[&str] = &[
    "cloud",
    "cloud_efficiency",
    "cloud_ssd",
    "cloud_essd",
    "cloud_auto",
    "cloud_essd_entry",
    "cloud_regional_disk_auto",
];
const PERFORMANCE_LEVELS: &[&str] = &["PL0", "PL1", "PL2", "PL3"];
const PROVISIONED_IOPS: u32 = 50_000;
const MOST_DATA_DISKS: usize = 16;
const SYSTEM_DISK_GIB: u32 = 2048;
const DATA_DISK_GIB: u32 = 65_536;

/// Reads `system_disk_mapping`.
pub(super) fn system(reader: &mut Reader<'_, '_>) -> Disk {
    let Some(object) = reader.object("system_disk_mapping") else {
        return Disk::default();
    };
    let disk = disk(reader, object, "`system_disk_mapping`", SYSTEM_DISK_GIB);
    for (name, written) in [
        ("disk_snapshot_id", disk.snapshot_id.is_some()),
        ("disk_device", disk.device.is_some()),
        (
            "disk_delete_with_instance: false",
            disk.delete_with_instance == Some(false),
        ),
    ] {
        if written {
            let what = format!("has `{name}`, which has no effect on the system disk");
            let help = "The system disk comes from the source image and goes with the instance";
            reader.warning("system_disk_mapping", &what, help);
        }
    }
    disk
}

/// Reads `image_disk_mappings`.
pub(super) fn data(reader: &mut Reader<'_, '_>) -> Vec<Disk> {
    let objects = reader.object_list("image_disk_mappings");
    if objects.len() > MOST_DATA_DISKS {
        let what = format!("has {} disks", objects.len());
        let help = format!("An instance takes at most {MOST_DATA_DISKS} data disks");
        reader.error("image_disk_mappings", &what, help);
    }
    let mut disks: Vec<Disk> = Vec::new();
    for (index, object) in objects.into_iter().enumerate() {
        let place = format!("`image_disk_mappings[{index}]`");
        let read = disk(reader, object, &place, DATA_DISK_GIB);
        if read.device.is_some() && disks.iter().any(|other| other.device == read.device) {
            let device = read.device.as_deref().unwrap_or_default();
            let what = format!("uses the device `{device}` twice");
            reader.error(
                "image_disk_mappings",
                &what,
                "Give each disk its own device",
            );
        }
        disks.push(read);
    }
    disks
}

fn disk<'v>(reader: &mut Reader<'v, '_>, object: &'v Value, place: &str, most_gib: u32) -> Disk {
    let mut reader = reader.nested(object, &[options::disk::OPTIONS], place);
    let disk = Disk {
        name: plain(reader.checked("disk_name", check::instance_name)),
        category: reader.expect_one_of("disk_category", CATEGORIES),
        size_gib: reader.positive("disk_size", most_gib),
        snapshot_id: reader.text("disk_snapshot_id"),
        description: plain(reader.checked("disk_description", check::description)),
        delete_with_instance: reader.tri("disk_delete_with_instance"),
        device: device(&mut reader),
        performance_level: word(&mut reader, "disk_performance_level", PERFORMANCE_LEVELS),
        provisioned_iops: reader.positive("disk_provisioned_iops", PROVISIONED_IOPS),
        bursting_enabled: reader.tri("disk_bursting_enabled"),
        encrypted: reader.tri("disk_encrypted"),
        kms_key_id: reader.plain("disk_kms_key_id"),
    };
    if disk.kms_key_id.is_some() && disk.encrypted != Some(true) {
        let what = "has no effect without encryption";
        reader.error("disk_kms_key_id", what, "Set `disk_encrypted` to `true`");
    }
    only_of_category(&mut reader, "disk_performance_level", "cloud_essd");
    only_of_category(&mut reader, "disk_provisioned_iops", "cloud_auto");
    only_of_category(&mut reader, "disk_bursting_enabled", "cloud_auto");
    reader.finish();
    disk
}

/// Refuses an option that ECS takes for one category only.
fn only_of_category(reader: &mut Reader<'_, '_>, name: &str, category: &str) {
    if reader.is_set(name) && reader.text_or("disk_category", "") != category {
        let what = format!("is only for disks of the category `{category}`");
        reader.error(name, &what, format!("Set `disk_category` to `{category}`"));
    }
}

fn plain(text: Option<Spanned<String>>) -> Option<String> {
    text.map(|text| text.value)
}

/// Alibaba's own examples write `dev/xvdb`, without the first slash.
fn device(reader: &mut Reader<'_, '_>) -> Option<String> {
    let mut device = reader.text("disk_device")?;
    if device.value.starts_with("dev/") {
        let what = format!("is `{}`, without the first slash", device.value);
        device.value.insert(0, '/');
        let help = format!("Write `{}`, which is what is used", device.value);
        reader.warning("disk_device", &what, help);
    }
    reader.check("disk_device", &device, check::device);
    Some(device.value)
}
