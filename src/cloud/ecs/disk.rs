//! Disks and snapshots.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{flag, list, number, percent};
use crate::cloud::parameters::JsonList;
use crate::cloud::{Done, Tag};

/// Finds disks.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDisks {
    pub disk_ids: Option<JsonList>,
    pub instance_id: Option<String>,
    /// `system`, `data` or `all`.
    pub disk_type: Option<String>,
    pub status: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeDisks -> DescribeDisksResponse, Always, Call);
pages!(DescribeDisks.disks: Disk, 100);

/// One page of disks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeDisksResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub disks: Vec<Disk>,
}

/// A disk.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Disk {
    pub disk_id: String,
    pub disk_name: String,
    /// `system` or `data`.
    #[serde(rename = "Type")]
    pub disk_type: String,
    pub category: String,
    pub status: String,
    /// GiB.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    pub device: String,
    pub instance_id: String,
    #[serde(deserialize_with = "flag")]
    pub delete_with_instance: bool,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Deletes a disk that is not attached.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteDisk {
    pub disk_id: String,
}
action!(Ecs DeleteDisk -> Done, Always, Call);

/// Makes a snapshot of a disk.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshot {
    pub disk_id: String,
    pub snapshot_name: Option<String>,
    pub description: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs CreateSnapshot -> CreateSnapshotResponse, WithClientToken, Create);

/// The new snapshot.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateSnapshotResponse {
    pub snapshot_id: String,
}

/// Finds snapshots.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshots {
    pub snapshot_ids: Option<JsonList>,
    pub disk_id: Option<String>,
    pub instance_id: Option<String>,
    pub snapshot_name: Option<String>,
    pub status: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeSnapshots -> DescribeSnapshotsResponse, Always, Call);
pages!(DescribeSnapshots.snapshots: Snapshot, 100);

/// One page of snapshots.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSnapshotsResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub snapshots: Vec<Snapshot>,
}

/// A snapshot.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Snapshot {
    pub snapshot_id: String,
    pub snapshot_name: String,
    /// `progressing`, `accomplished` or `failed`.
    pub status: String,
    /// Percent; none when the API says nothing.
    #[serde(deserialize_with = "percent")]
    pub progress: Option<u8>,
    pub source_disk_id: String,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Deletes a snapshot; `force` also when disks were made from it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSnapshot {
    pub snapshot_id: String,
    pub force: Option<bool>,
}
action!(Ecs DeleteSnapshot -> Done, Always, Call);
