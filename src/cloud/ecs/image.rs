//! Images: finding, making, copying, sharing and deleting them.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{flag, list, number, percent, text};
use crate::cloud::{Done, Tag};

/// Every status an image can have, for [`DescribeImages::status`]: without it
/// the API lists only available images.
pub const ANY_IMAGE_STATUS: &str = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";

/// Finds images.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImages {
    /// Up to 100 ids, separated by commas.
    pub image_id: Option<String>,
    /// `*` stands for anything. See [`own`](Self::own).
    pub image_name: Option<String>,
    pub image_family: Option<String>,
    /// `system`, `self`, `others` or `marketplace`.
    pub image_owner_alias: Option<String>,
    /// The account of shared and community images.
    pub image_owner_id: Option<String>,
    /// Whether to list community images.
    pub is_public: Option<bool>,
    /// `x86_64`, `arm64` or `i386`.
    pub architecture: Option<String>,
    /// Comma list; see [`ANY_IMAGE_STATUS`].
    pub status: Option<String>,
    pub snapshot_id: Option<String>,
    pub instance_type: Option<String>,
    pub show_expired: Option<bool>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}

impl DescribeImages {
    /// The caller's own images of this name, in any status. The API has been
    /// seen to match loosely: compare the names of what comes back.
    pub fn own(name: &str) -> Self {
        Self {
            image_name: Some(name.to_owned()),
            image_owner_alias: Some("self".to_owned()),
            status: Some(ANY_IMAGE_STATUS.to_owned()),
            page_size: Some(100),
            ..Self::default()
        }
    }
}
action!(Ecs DescribeImages -> DescribeImagesResponse, Always, Call);
pages!(DescribeImages.images: Image, 100);

/// One page of images.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImagesResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub images: Vec<Image>,
}

/// An image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    pub image_id: String,
    pub image_name: String,
    pub image_family: String,
    pub image_version: String,
    pub image_owner_alias: String,
    #[serde(deserialize_with = "text")]
    pub image_owner_id: String,
    pub description: String,
    /// `Creating`, `Waiting`, `Available`, `UnAvailable`, `CreateFailed` or
    /// `Deprecated`.
    pub status: String,
    /// Percent; none when the API says nothing.
    #[serde(deserialize_with = "percent")]
    pub progress: Option<u8>,
    /// GiB.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    #[serde(rename = "OSType")]
    pub os_type: String,
    #[serde(rename = "OSName")]
    pub os_name: String,
    pub platform: String,
    pub architecture: String,
    pub boot_mode: String,
    pub creation_time: String,
    pub features: ImageFeatures,
    pub detection_options: DetectionOptions,
    #[serde(deserialize_with = "flag")]
    pub is_support_cloudinit: bool,
    /// None when the API says nothing.
    pub login_as_non_root_supported: Option<bool>,
    #[serde(deserialize_with = "flag")]
    pub is_self_shared: bool,
    #[serde(deserialize_with = "list")]
    pub disk_device_mappings: Vec<DiskDeviceMapping>,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// What ECS found out about an image, when it was asked to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetectionOptions {
    /// `Processing` or `Finished`; empty when nobody asked.
    pub status: String,
    #[serde(deserialize_with = "list")]
    pub items: Vec<DetectionItem>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetectionItem {
    pub name: String,
    pub value: String,
    /// `High` or `Medium`; empty when there is no risk.
    pub risk_level: String,
    pub risk_code: String,
}

/// A disk of an image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMapping {
    /// `system` or `data`.
    #[serde(rename = "Type")]
    pub disk_type: String,
    pub device: String,
    pub snapshot_id: String,
    /// GiB.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    #[serde(deserialize_with = "percent")]
    pub progress: Option<u8>,
    #[serde(deserialize_with = "flag")]
    pub encrypted: bool,
    /// Of an image that is imported.
    #[serde(rename = "ImportOSSBucket")]
    pub import_oss_bucket: String,
}

/// The newest available image of a family.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImageFromFamily {
    pub image_family: String,
}
action!(Ecs DescribeImageFromFamily -> DescribeImageFromFamilyResponse, Always, Call);

/// The image; its id is empty when the family has none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageFromFamilyResponse {
    pub image: Image,
}

/// Makes an image of an instance or a snapshot.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateImage {
    pub instance_id: Option<String>,
    pub snapshot_id: Option<String>,
    pub image_name: Option<String>,
    pub image_family: Option<String>,
    pub image_version: Option<String>,
    pub description: Option<String>,
    pub platform: Option<String>,
    pub architecture: Option<String>,
    pub boot_mode: Option<String>,
    pub disk_device_mapping: Vec<NewDiskDeviceMapping>,
    /// `Standard` has ECS examine the image.
    pub detection_strategy: Option<String>,
    pub features: ImageFeatures,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs CreateImage -> CreateImageResponse, WithClientToken, Create);

/// A disk of a new image.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewDiskDeviceMapping {
    pub snapshot_id: Option<String>,
    pub size: Option<u32>,
    pub device: Option<String>,
    pub disk_type: Option<String>,
}

/// What instances of an image can do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageFeatures {
    /// `v1` or `v2`.
    pub imds_support: Option<String>,
}

/// The new image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageResponse {
    pub image_id: String,
}

/// Deletes an image; `force` also when instances use it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteImage {
    pub image_id: String,
    pub force: Option<bool>,
}
action!(Ecs DeleteImage -> Done, Always, Call);

/// Copies an image from the region it is called in to another, or encrypted
/// to the same one.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CopyImage {
    pub image_id: String,
    pub destination_region_id: Option<String>,
    pub destination_image_name: Option<String>,
    pub destination_description: Option<String>,
    pub encrypted: Option<bool>,
    #[serde(rename = "KMSKeyId")]
    pub kms_key_id: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs CopyImage -> CopyImageResponse, WithClientToken, Create);

/// The copy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CopyImageResponse {
    pub image_id: String,
}

/// Ends a copy that is still being made; called where the copy is.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelCopyImage {
    pub image_id: String,
}
action!(Ecs CancelCopyImage -> Done, Always, Call);

/// Sets attributes of an image; absent ones stay.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyImageAttribute {
    pub image_id: String,
    pub image_name: Option<String>,
    pub image_family: Option<String>,
    pub description: Option<String>,
    pub boot_mode: Option<String>,
    /// `Deprecated` or `Available`.
    pub status: Option<String>,
    pub features: ImageFeatures,
}
action!(Ecs ModifyImageAttribute -> Done, Always, Call);

/// Shares an image with accounts or stops it. The API silently ignores all
/// but the first ten accounts of each list.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyImageSharePermission {
    pub image_id: String,
    pub add_account: Vec<String>,
    pub remove_account: Vec<String>,
}
action!(Ecs ModifyImageSharePermission -> Done, Always, Call);

/// With whom an image is shared.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImageSharePermission {
    pub image_id: String,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeImageSharePermission -> DescribeImageSharePermissionResponse, Always, Call);
pages!(DescribeImageSharePermission.accounts: ShareAccount, 100);

/// One page of accounts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSharePermissionResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub accounts: Vec<ShareAccount>,
}

/// An account an image is shared with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareAccount {
    #[serde(deserialize_with = "text")]
    pub aliyun_id: String,
}
