//! Options of `alicloud-import`, beside those of access and image.

use super::{K, OptionSpec, communicator, defaulted, ignored, option, required, run};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    required(
        "oss_bucket_name",
        K::String,
        "Bucket the disk is uploaded to, in the region of the image; a private one is made when there is none, and stays when the import succeeds.",
    ),
    option(
        "oss_key_name",
        K::String,
        "Name of the object, rendered after the build; when absent, a name no other run uses.",
    ),
    option(
        "oss_endpoint",
        K::String,
        "Where OSS is reached: `public` (the default), `internal`, `accelerate`, `accelerate-overseas`, or a host, which may be a custom domain of the bucket.",
    ),
    option(
        "oss_object_tags",
        K::StringMap,
        "Tags of the object, at most 10.",
    ),
    option(
        "oss_server_side_encryption",
        K::String,
        "Have OSS encrypt the object: `AES256`, `KMS` or `SM4`. ECS is known to refuse encrypted buckets.",
    ),
    defaulted(
        "skip_clean",
        K::Bool,
        "false",
        "Keep the object after the import.",
    ),
    option(
        "image_os_type",
        K::String,
        "Operating system: `linux` or `windows`; ECS takes `linux` when absent.",
    ),
    option(
        "image_system_size",
        K::Int,
        "Size of the system disk in GiB, at least the disk's virtual size, which serves when absent.",
    ),
    option(
        "format",
        K::String,
        "Format that is sent: `QCOW2` (compressed, the default), `VHD` or `RAW`. Any disk is converted on the way.",
    ),
    defaulted(
        "skip_conversion",
        K::Bool,
        "false",
        "Send the file as it is, byte by byte; then `format` is checked against it.",
    ),
    defaulted(
        "keep_free_blocks",
        K::Bool,
        "false",
        "Send blocks that a clean file system marks as free too, with what was deleted in them; by default they become zeros.",
    ),
    defaulted(
        "strict_window",
        K::Bool,
        "false",
        "Compress QCOW2 with the window of 4 KiB that its description asks for: a little larger, for importers that refuse the default.",
    ),
    option(
        "image_license_type",
        K::String,
        "Licence of Windows: `Auto`, `Aliyun` or `BYOL`.",
    ),
    option(
        "image_import_role_name",
        K::String,
        "RAM role that lets ECS read the object; when absent, `AliyunECSImageImportDefaultRole`, which is made or completed.",
    ),
    option(
        "image_nvme_support",
        K::String,
        "Whether the image has NVMe drivers: `supported` or `unsupported`.",
    ),
    option(
        "resource_group_id",
        K::String,
        "Resource group of the image.",
    ),
];

/// Options of the builder that Packer takes here too and does nothing with.
pub const UNUSED: &[OptionSpec] = &unused();

const UNUSED_COUNT: usize = run::OPTIONS.len() + communicator::OPTIONS.len();

const fn unused() -> [OptionSpec; UNUSED_COUNT] {
    let why = "an import makes no instance";
    let mut unused = [ignored("", K::String, why); UNUSED_COUNT];
    let mut at = 0;
    while at < UNUSED_COUNT {
        let spec = if at < run::OPTIONS.len() {
            run::OPTIONS[at]
        } else {
            communicator::OPTIONS[at - run::OPTIONS.len()]
        };
        unused[at] = ignored(spec.name, spec.kind, why);
        at += 1;
    }
    unused
}
