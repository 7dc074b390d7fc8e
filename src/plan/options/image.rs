//! Options of `alicloud-ecs` that say what the image will be.

use super::{K, OptionSpec, defaulted, ignored, option, renamed, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    required(
        "image_name",
        K::String,
        "Name of the image: 2 to 128 characters, beginning with a letter, then letters, digits, `:`, `_`, `.` and `-`.",
    ),
    option(
        "image_version",
        K::String,
        "Version noted on the image, 1 to 40 characters.",
    ),
    option(
        "image_description",
        K::String,
        "Description of the image, 2 to 256 characters.",
    ),
    option(
        "target_image_family",
        K::String,
        "Image family the new image joins.",
    ),
    option(
        "boot_mode",
        K::String,
        "Boot mode of the image: `BIOS`, `UEFI` or `UEFI-Preferred`.",
    ),
    option(
        "image_platform",
        K::String,
        "Distribution, for example `Ubuntu` or `Windows Server 2022`. A built image takes its source's when absent; an imported one is `Others Linux` then, and ECS sets neither its host name nor its password.",
    ),
    option(
        "image_architecture",
        K::String,
        "`x86_64`, `arm64` or `i386`. A built image takes its source's when absent; an imported one is `x86_64` then.",
    ),
    option(
        "image_detection_strategy",
        K::String,
        "`Standard` has ECS examine the image once it is available; each risk it finds is a warning.",
    ),
    option(
        "image_imds_support",
        K::String,
        "`v2` when the image works with a metadata service that demands tokens, so that its instances may have one; otherwise `v1`.",
    ),
    option(
        "tags",
        K::StringMap,
        "Tags of the image and its snapshots, at most 20.",
    ),
    option(
        "tag",
        K::ObjectList,
        "One tag as a block with `key` and `value`; joins `tags` and wins over it.",
    ),
    option(
        "image_share_account",
        K::StringList,
        "Account ids the image is shared with, in every region.",
    ),
    option(
        "image_unshare_account",
        K::StringList,
        "Account ids the image is no longer shared with.",
    ),
    option(
        "image_copy_regions",
        K::StringList,
        "Regions the image is copied to.",
    ),
    option(
        "image_copy_names",
        K::StringList,
        "Names of the copies, in the order of `image_copy_regions`; a copy without one gets the image's name.",
    ),
    option(
        "image_encrypted",
        K::Tri,
        "Encrypt the image and its copies.",
    ),
    option(
        "kms_key_id",
        K::String,
        "KMS key of the encrypted image in the main region; needs `image_encrypted`.",
    ),
    option(
        "image_copy_kms_ids",
        K::StringList,
        "KMS keys of the encrypted copies, in the order of `image_copy_regions`; needs `image_encrypted`.",
    ),
    renamed("kms_key_copy_ids", K::StringList, "image_copy_kms_ids"),
    defaulted(
        "image_force_delete",
        K::Bool,
        "false",
        "Replace an image of the same name; also set by `-force`.",
    ),
    defaulted(
        "image_force_delete_snapshots",
        K::Bool,
        "false",
        "Delete the replaced image's snapshots too; also set by `-force`.",
    ),
    ignored(
        "image_force_delete_instances",
        K::Bool,
        "it never had an effect",
    ),
    defaulted(
        "image_ignore_data_disks",
        K::Bool,
        "false",
        "Make the image from the system disk only.",
    ),
    defaulted(
        "image_delete_ssh_private_key",
        K::Bool,
        "false",
        "Detach the key pair and reboot before the image is made, so that the image holds no key of the build.",
    ),
    defaulted(
        "skip_create_image",
        K::Bool,
        "false",
        "Run everything but make no image.",
    ),
    defaulted(
        "skip_image_validation",
        K::Bool,
        "false",
        "Use `source_image` as it is, without looking whether it exists and fits; so an expired image works too.",
    ),
    defaulted(
        "wait_snapshot_ready_timeout",
        K::Int,
        "3600",
        "Seconds to wait for a snapshot, and again for the image.",
    ),
    defaulted(
        "wait_copying_image_ready_timeout",
        K::Int,
        "3600",
        "Seconds to wait for the copies.",
    ),
    option(
        "system_disk_mapping",
        K::Object,
        "System disk of the temporary instance; see the options of a disk.",
    ),
    option(
        "image_disk_mappings",
        K::ObjectList,
        "Data disks of the temporary instance, at most 16; see the options of a disk.",
    ),
];

/// The options of a `tag` block.
pub const TAG: &[OptionSpec] = &[
    required("key", K::String, "Key of the tag, 1 to 128 characters."),
    required(
        "value",
        K::String,
        "Value of the tag, at most 128 characters.",
    ),
];
