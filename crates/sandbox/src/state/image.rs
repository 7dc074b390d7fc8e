//! Images and snapshots.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Cloud, Common, Transition, is_due};
use crate::clock::{Moment, iso};
use crate::machine::DiskImage;
use crate::state::instance::tags_json;

#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) common: Common,
    pub(crate) family: String,
    pub(crate) version: String,
    pub(crate) owner_alias: &'static str,
    /// The account.
    pub(crate) owner_id: String,
    pub(crate) platform: String,
    pub(crate) os_name: String,
    pub(crate) os_type: String,
    pub(crate) architecture: String,
    pub(crate) boot_mode: String,
    /// `Features.ImdsSupport`, when it is known.
    pub(crate) imds_support: Option<String>,
    /// Whether there is a user `ecs-user`.
    pub(crate) non_root_login: bool,
    /// GiB of the system disk.
    pub(crate) size: u64,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) status: ImageStatus,
    pub(crate) transition: Option<Transition>,
    /// Whether the transition ends in failure.
    pub(crate) fails: bool,
    pub(crate) is_copy: bool,
    pub(crate) encrypted: bool,
    pub(crate) shared_with: BTreeSet<String>,
    pub(crate) disk: Option<DiskImage>,
    /// The examination that was asked for.
    pub(crate) detection: Option<Detection>,
    /// Image this one is copied from, while the copy runs.
    pub(crate) copied_from: Option<(String, String)>,
}

/// An examination of an image, as `DetectionStrategy` asks for it.
#[derive(Clone)]
pub(crate) struct Detection {
    pub(crate) ends: Moment,
    pub(crate) finds_risk: bool,
}

/// A disk in an image.
#[derive(Clone)]
pub(crate) struct Mapping {
    pub(crate) snapshot: String,
    pub(crate) device: String,
    pub(crate) size: u64,
    pub(crate) kind: &'static str,
    /// Bucket and object, of what was imported.
    pub(crate) imported_from: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ImageStatus {
    Creating,
    Available,
    CreateFailed,
    Deprecated,
}

#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) common: Common,
    pub(crate) disk: String,
    pub(crate) disk_kind: &'static str,
    pub(crate) size: u64,
    pub(crate) status: SnapshotStatus,
    pub(crate) transition: Option<Transition>,
    /// Whether the transition ends in failure.
    pub(crate) fails: bool,
    pub(crate) content: Option<DiskImage>,
    pub(crate) platform: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SnapshotStatus {
    Progressing,
    Accomplished,
    Failed,
}

impl Cloud {
    pub(crate) fn settle_images(&mut self, now: Moment) {
        for snapshot in self.snapshots.values_mut() {
            if is_due(snapshot.transition, now) {
                snapshot.transition = None;
                snapshot.status = if snapshot.fails {
                    SnapshotStatus::Failed
                } else {
                    SnapshotStatus::Accomplished
                };
            }
        }
        for image in self.images.values_mut() {
            if is_due(image.transition, now) {
                image.transition = None;
                image.copied_from = None;
                image.status = if image.fails {
                    ImageStatus::CreateFailed
                } else {
                    ImageStatus::Available
                };
            }
        }
    }

    /// An image by id: an own one of the region or a public one.
    pub(crate) fn image(&self, region: &str, id: &str) -> Option<Image> {
        let own = self.images.get(&(region.to_owned(), id.to_owned()));
        own.cloned()
            .or_else(|| crate::catalogue::public_image(region, id))
    }

    /// The newest available image of a family: own before public ones.
    pub(crate) fn newest_of_family(&self, region: &str, family: &str) -> Option<Image> {
        let own = self.images.values().filter(|image| {
            image.common.region == region
                && image.family == family
                && image.status == ImageStatus::Available
        });
        let newest = own.max_by_key(|image| image.common.created).cloned();
        newest.or_else(|| {
            let public = crate::catalogue::public_images(region).into_iter();
            public
                .filter(|image| image.family == family)
                .max_by_key(|image| image.common.created)
        })
    }

    /// Own images made from a snapshot.
    pub(crate) fn image_of_snapshot(&self, snapshot: &str) -> Option<&Image> {
        let uses = |image: &&Image| image.mappings.iter().any(|m| m.snapshot == snapshot);
        self.images.values().find(uses)
    }
}

impl Image {
    pub(crate) fn is_rpm_family(&self) -> bool {
        let name = self.platform.to_ascii_lowercase();
        ["ubuntu", "debian", "windows"]
            .iter()
            .all(|other| !name.contains(other))
    }

    pub(crate) fn percent(&self, now: Moment) -> u64 {
        self.transition.map_or(100, |t| t.percent(now))
    }

    pub(crate) fn to_json(&self, now: Moment, in_use: bool) -> Value {
        let percent = format!("{}%", self.percent(now));
        let mapping = |mapping: &Mapping| {
            let (bucket, object) = mapping.imported_from.clone().unwrap_or_default();
            json!({
                "Type": mapping.kind,
                "SnapshotId": mapping.snapshot,
                "Device": mapping.device,
                "Size": mapping.size.to_string(),
                "Progress": percent,
                "Format": "",
                "ImportOSSBucket": bucket,
                "ImportOSSObject": object,
            })
        };
        let mappings: Vec<Value> = self.mappings.iter().map(mapping).collect();
        let mut shown = json!({
            "ImageId": self.common.id,
            "ImageName": self.common.name,
            "ImageFamily": self.family,
            "ImageVersion": self.version,
            "ImageOwnerAlias": self.owner_alias,
            "ImageOwnerId": self.owner_id.parse::<u64>().unwrap_or_default(),
            "Description": self.common.description,
            "Status": format!("{:?}", self.status),
            "Progress": percent,
            "CreationTime": iso(self.common.created),
            "Size": self.size,
            "Platform": self.platform,
            "OSName": self.os_name,
            "OSNameEn": self.os_name,
            "OSType": self.os_type,
            "Architecture": self.architecture,
            "BootMode": self.boot_mode,
            "Features": {"ImdsSupport": self.imds_support},
            "LoginAsNonRootSupported": self.non_root_login,
            "Usage": if in_use { "instance" } else { "none" },
            "IsCopied": self.is_copy,
            "IsSelfShared": (if self.shared_with.is_empty() { "false" } else { "true" }),
            "IsSubscribed": false,
            "IsSupportCloudinit": true,
            "IsSupportIoOptimized": true,
            "IsPublic": self.owner_alias == "system",
            "ProductCode": "",
            "ResourceGroupId": self.common.resource_group,
            "DiskDeviceMappings": {"DiskDeviceMapping": mappings},
            "Tags": {"Tag": tags_json(&self.common.tags)},
        });
        if let Some(detection) = &self.detection {
            shown["DetectionOptions"] = detection.to_json(now);
        }
        shown
    }
}

impl Detection {
    fn to_json(&self, now: Moment) -> Value {
        if now < self.ends {
            return json!({"Status": "Processing"});
        }
        let mut nvme = json!({"Name": "Nvme", "Value": "supported"});
        if self.finds_risk {
            nvme = json!({"Name": "Nvme", "Value": "unsupported",
                "RiskLevel": "High", "RiskCode": "NVMe.NotInstalled"});
        }
        let cloud_init = json!({"Name": "CloudInit", "Value": "installed"});
        json!({"Status": "Finished", "Items": {"Item": [nvme, cloud_init]}})
    }
}

impl Snapshot {
    pub(crate) fn to_json(&self, now: Moment, used_by_image: bool) -> Value {
        let percent = self.transition.map_or(100, |t| t.percent(now));
        json!({
            "SnapshotId": self.common.id,
            "SnapshotName": self.common.name,
            "Description": self.common.description,
            "RegionId": self.common.region,
            "Status": self.status.as_str(),
            "Progress": format!("{percent}%"),
            "SourceDiskId": self.disk,
            "SourceDiskSize": self.size.to_string(),
            "SourceDiskType": self.disk_kind,
            "SnapshotType": "user",
            "Usage": if used_by_image { "image" } else { "none" },
            "Encrypted": false,
            "Available": self.status == SnapshotStatus::Accomplished,
            "InstantAccess": false,
            "Category": "standard",
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso(self.common.created),
            "Tags": {"Tag": tags_json(&self.common.tags)},
        })
    }
}

impl SnapshotStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Accomplished => "accomplished",
            Self::Failed => "failed",
        }
    }
}
