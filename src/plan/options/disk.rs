//! Options of a disk: `system_disk_mapping` and `image_disk_mappings`.

use super::{K, OptionSpec, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "disk_name",
        K::String,
        "Name of the disk, 2 to 128 characters.",
    ),
    option(
        "disk_category",
        K::String,
        "Category of the disk: `cloud`, `cloud_efficiency`, `cloud_ssd`, `cloud_essd`, `cloud_auto` or `cloud_essd_entry`; a data disk also `cloud_regional_disk_auto`.",
    ),
    option("disk_size", K::Int, "Size in GiB."),
    option(
        "disk_snapshot_id",
        K::String,
        "Snapshot the data disk begins with.",
    ),
    option(
        "disk_description",
        K::String,
        "Description of the disk, 2 to 256 characters.",
    ),
    option(
        "disk_delete_with_instance",
        K::Tri,
        "Delete the data disk with the temporary instance; disks of a build are deleted unless this is `false`.",
    ),
    option(
        "disk_device",
        K::String,
        "Device of the data disk in the instance, for example `/dev/xvdb`.",
    ),
    option(
        "disk_performance_level",
        K::String,
        "Performance level of a `cloud_essd`: `PL0`, `PL1`, `PL2` or `PL3`. Not an option of Packer.",
    ),
    option(
        "disk_provisioned_iops",
        K::Int,
        "IOPS of a `cloud_auto` beyond those its size gives, at most 50000. Not an option of Packer.",
    ),
    option(
        "disk_bursting_enabled",
        K::Tri,
        "Whether a `cloud_auto` may go beyond its IOPS for a while, at a price. Not an option of Packer.",
    ),
    option("disk_encrypted", K::Tri, "Encrypt the disk."),
    option(
        "disk_kms_key_id",
        K::String,
        "KMS key of the encrypted disk; needs `disk_encrypted`.",
    ),
];
