//! Importing images, and the tasks that do it.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{list, number};
use crate::cloud::{Done, Tag};

/// Makes an image of objects in OSS.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportImage {
    pub image_name: Option<String>,
    pub description: Option<String>,
    /// `i386`, `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: Option<String>,
    pub platform: Option<String>,
    /// `BIOS` or `UEFI`.
    pub boot_mode: Option<String>,
    pub role_name: Option<String>,
    /// `Auto`, `Aliyun` or `BYOL`.
    pub license_type: Option<String>,
    pub resource_group_id: Option<String>,
    /// The system disk, then up to 16 data disks.
    pub disk_device_mapping: Vec<ImportedDisk>,
    /// `Standard`.
    pub detection_strategy: Option<String>,
    pub features: ImportedFeatures,
    pub tag: Vec<Tag>,
}
action!(Ecs ImportImage -> ImportImageResponse, WithClientToken, Create);

/// An object that becomes a disk.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportedDisk {
    #[serde(rename = "OSSBucket")]
    pub oss_bucket: Option<String>,
    #[serde(rename = "OSSObject")]
    pub oss_object: Option<String>,
    /// `RAW`, `VHD` or `QCOW2`.
    pub format: Option<String>,
    /// GiB.
    pub disk_image_size: Option<u32>,
}

/// What instances of an image can do.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportedFeatures {
    /// `supported` or `unsupported`.
    pub nvme_support: Option<String>,
    /// `v1` or `v2`.
    pub imds_support: Option<String>,
}

/// The image to be, and the task that makes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportImageResponse {
    pub image_id: String,
    pub task_id: String,
}

/// Looks at tasks.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeTasks {
    /// Ids, separated by commas.
    pub task_ids: Option<String>,
    pub task_action: Option<String>,
    pub resource_ids: Vec<String>,
}
action!(Ecs DescribeTasks -> DescribeTasksResponse, Always, Call);

/// One page of tasks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeTasksResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub task_set: Vec<Task>,
}

/// A task. The reason of a failed one is in fields that the reference does
/// not list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    pub task_id: String,
    /// `Finished`, `Processing`, `Waiting`, `Deleted`, `Paused` or `Failed`.
    pub task_status: String,
    pub resource_id: String,
    pub error_code: String,
    #[serde(alias = "ErrorMessage", alias = "FailedReason", alias = "Message")]
    pub error_msg: String,
}

/// Ends a task that imports or exports an image.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelTask {
    pub task_id: String,
}
action!(Ecs CancelTask -> Done, Always, Call);
