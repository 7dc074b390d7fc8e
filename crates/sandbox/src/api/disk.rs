//! Disks.

use serde_json::{Value, json};

use super::{Answer, Context, among, equals};
use crate::state::instance::Disk;

pub(super) fn describe_disks(context: &mut Context<'_>) -> Answer {
    let ids = context.params.json_list("DiskIds")?;
    let matches = |disk: &&Disk| {
        let status = if disk.instance.is_some() {
            "In_use"
        } else {
            "Available"
        };
        disk.common.region == context.region
            && among(ids.as_ref(), &disk.common.id)
            && any_or(context.get("DiskType"), disk.kind)
            && any_or(
                context
                    .get("Status")
                    .map(|s| if s == "All" { "all" } else { s }),
                status,
            )
            && any_or(context.get("Category"), &disk.category)
            && equals(context.get("ZoneId"), &disk.zone)
            && equals(context.get("SnapshotId"), &disk.snapshot)
            && equals(
                context.get("InstanceId"),
                disk.instance.as_deref().unwrap_or_default(),
            )
            && context.has_tags(&disk.common)
    };
    let disks = context.cloud.disks.values().filter(matches);
    let disks: Vec<Value> = disks.map(Disk::to_json).collect();
    Ok(context.page("Disks", "Disk", disks))
}

fn any_or(filter: Option<&str>, value: &str) -> bool {
    filter.is_none_or(|filter| filter == "all" || filter == value)
}

pub(super) fn delete_disk(context: &mut Context<'_>) -> Answer {
    let id = context.require("DiskId")?;
    let disk = context.cloud.disks.get(&id);
    let disk = disk.ok_or_else(|| context.error("InvalidDiskId.NotFound"))?;
    if disk.instance.is_some() {
        return Err(context.error("IncorrectDiskStatus"));
    }
    context.cloud.disks.remove(&id);
    Ok(json!({}))
}
