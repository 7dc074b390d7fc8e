//! Snapshots.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Capture, Context, among, check_tags, equals};
use crate::faults::StateFault;
use crate::state::image::{Snapshot, SnapshotStatus};
use crate::state::instance::InstanceStatus;

pub(super) fn create_snapshot(context: &mut Context<'_>) -> Answer {
    check_tags(context)?;
    let disk = context.require("DiskId")?;
    let disk = context.cloud.disks.get(&disk).cloned();
    let disk = disk.ok_or_else(|| context.error("InvalidDiskId.NotFound"))?;
    let instance = disk.instance.as_deref();
    let instance = instance
        .and_then(|id| context.cloud.instances.get(id))
        .cloned();
    let Some(instance) = instance else {
        return Err(context.error("IncorrectDiskStatus.NeverAttached"));
    };
    let states = [InstanceStatus::Running, InstanceStatus::Stopped];
    if instance.deleting || !states.contains(&instance.status) {
        return Err(context.error("IncorrectInstanceStatus"));
    }
    let busy = |s: &&Snapshot| s.disk == disk.common.id && s.status == SnapshotStatus::Progressing;
    if context.cloud.snapshots.values().find(busy).is_some() {
        return Err(context.error("IncorrectDiskStatus.CreatingSnapshot"));
    }
    let name = context.text("SnapshotName");
    let common = context.common("s", name);
    let id = common.id.clone();
    // The content of data disks is not simulated.
    let captures = disk.kind == "system" && instance.machine_on;
    if let Some(machine) = instance.machine.as_ref().filter(|_| captures) {
        context.captures.push(Capture {
            machine: Arc::clone(machine),
            image: None,
            snapshot: Some(id.clone()),
        });
    }
    let delay = context.cloud.delays.snapshot;
    let causes = [instance.common.id.clone(), disk.common.id.clone()];
    let transition = context
        .cloud
        .begin("snapshot", &id, delay, context.now, &causes);
    let snapshot = Snapshot {
        common,
        disk: disk.common.id,
        disk_kind: disk.kind,
        size: disk.size,
        status: SnapshotStatus::Progressing,
        transition: Some(transition),
        fails: context.takes_fault(StateFault::SnapshotFailed),
        content: instance.disk.filter(|_| disk.kind == "system"),
        platform: instance.image_platform,
    };
    context.cloud.snapshots.insert(id.clone(), snapshot);
    Ok(json!({"SnapshotId": id}))
}

pub(super) fn describe_snapshots(context: &mut Context<'_>) -> Answer {
    let ids = context.params.json_list("SnapshotIds")?;
    let cloud = &*context.cloud;
    let matches = |snapshot: &&Snapshot| {
        snapshot.common.region == context.region
            && among(ids.as_ref(), &snapshot.common.id)
            && equals(context.get("DiskId"), &snapshot.disk)
            && equals(context.get("SnapshotName"), &snapshot.common.name)
            && equals(context.get("SourceDiskType"), snapshot.disk_kind)
            && status_matches(context.get("Status"), snapshot)
            && of_instance(context, snapshot)
            && context.has_tags(&snapshot.common)
    };
    let snapshots = cloud.snapshots.values().filter(matches);
    let json =
        |s: &Snapshot| s.to_json(context.now, cloud.image_of_snapshot(&s.common.id).is_some());
    let snapshots: Vec<Value> = snapshots.map(json).collect();
    Ok(context.page("Snapshots", "Snapshot", snapshots))
}

fn status_matches(wanted: Option<&str>, snapshot: &Snapshot) -> bool {
    wanted.is_none_or(|wanted| wanted == "all" || wanted == snapshot.status.as_str())
}

fn of_instance(context: &Context<'_>, snapshot: &Snapshot) -> bool {
    let wanted = context.get("InstanceId");
    let disk = context.cloud.disks.get(&snapshot.disk);
    wanted.is_none_or(|id| disk.is_some_and(|disk| disk.instance.as_deref() == Some(id)))
}

pub(super) fn delete_snapshot(context: &mut Context<'_>) -> Answer {
    let id = context.require("SnapshotId")?;
    if !context.cloud.snapshots.contains_key(&id) {
        return Err(context.error("InvalidSnapshotId.NotFound"));
    }
    if context.cloud.image_of_snapshot(&id).is_some() {
        return Err(context.error("SnapshotCreatedImage"));
    }
    let mut disks = context.cloud.disks.values();
    if disks.any(|disk| disk.snapshot == id) && !context.params.flag("Force") {
        return Err(context.error("SnapshotCreatedDisk"));
    }
    context.cloud.snapshots.remove(&id);
    Ok(json!({}))
}
