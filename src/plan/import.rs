//! Importing a disk image as typed options: the `alicloud-import`
//! post-processor and the command `import`.
//!
//! Names are Packer's where it has the option; the API of today has more.

use std::collections::BTreeMap;

use super::alicloud_ecs::{self, Access, Defaults, ImageOptions};
use crate::cloud::oss::parse_endpoint;
use crate::plan::check;
use crate::plan::files::Places;
use crate::plan::options;
use crate::plan::reader::{Desk, Reader};
use crate::template::decode::OptionSpec;
use crate::template::diagnostic::Diagnostics;
use crate::template::source::Spanned;
use crate::template::value::Value;

/// The tables of the block.
pub const OPTIONS: &[&[OptionSpec]] = &[
    options::access::OPTIONS,
    options::import::OPTIONS,
    options::image::OPTIONS,
    // Behind the others: one name is in both.
    options::import::UNUSED,
];

/// Fields that `oss_key_name` may use when it is rendered.
const KEY_FIELDS: &[&str] = &["BuildName", "BuilderType"];

/// The role that ECS assumes to read the object, unless another one is named.
pub const DEFAULT_ROLE: &str = "AliyunECSImageImportDefaultRole";

/// The largest disk (ImportImage in the ECS API), GiB.
const LARGEST_DISK: u32 = 2048;

/// What OSS takes on an object.
const OBJECT_TAGS: usize = 10;

/// Everything an import needs but the disk.
#[derive(Debug, Clone)]
pub struct Import {
    /// Who calls, and where.
    pub access: Access,
    /// What the image will be.
    pub image: ImageOptions,
    /// `oss_bucket_name`.
    pub bucket: Spanned<String>,
    /// `oss_key_name`, rendered at run time; when absent the run's id and the
    /// image's name serve.
    pub key: Option<Spanned<String>>,
    /// `oss_endpoint`: a host with optional scheme and port; the region's
    /// public endpoint when absent.
    pub oss_endpoint: Option<String>,
    /// `oss_object_tags`.
    pub object_tags: BTreeMap<String, String>,
    /// `oss_server_side_encryption` of the object.
    pub object_encryption: Option<String>,
    /// `skip_clean`: keep the object.
    pub skip_clean: bool,
    /// `image_os_type`.
    pub os_type: Option<String>,
    /// `image_system_size`, GiB; the disk's virtual size when absent.
    pub system_size: Option<Spanned<u32>>,
    /// `format`: what is sent; qcow2 when absent.
    pub format: Option<Spanned<DiskFormat>>,
    /// `skip_conversion`: send the file as it is.
    pub skip_conversion: bool,
    /// `keep_free_blocks`: send what the file system says is free, too.
    pub keep_free_blocks: bool,
    /// `strict_window`: compress with the window that qcow2's description asks
    /// for.
    pub strict_window: bool,
    /// `image_license_type`.
    pub license_type: Option<String>,
    /// `image_import_role_name`.
    pub role_name: Option<String>,
    /// `image_nvme_support`.
    pub nvme_support: Option<String>,
    /// `resource_group_id`.
    pub resource_group_id: Option<String>,
}

/// The formats ECS imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// The bare bytes.
    Raw,
    /// Microsoft's format, fixed or dynamic.
    Vhd,
    /// QEMU's format.
    Qcow2,
}

impl DiskFormat {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "RAW",
            Self::Vhd => "VHD",
            Self::Qcow2 => "QCOW2",
        }
    }

    /// The end of an object's name; the API has been seen to check it.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// Reads the block. Problems become diagnostics; then the result is not fit
/// for use.
pub fn read(reader: &mut Reader<'_, '_>, defaults: Defaults<'_>) -> Import {
    let (access, mut image) = alicloud_ecs::read_access_and_image(reader, defaults);
    boot_mode(reader, &mut image);
    warn_of_unused(reader);
    let skip_conversion = skip_conversion(reader);
    Import {
        bucket: reader.required(
            "oss_bucket_name",
            check::bucket,
            "Name the bucket the disk is uploaded to; it is made when there is none",
        ),
        key: key(reader),
        oss_endpoint: endpoint(reader, &access.region.value),
        object_tags: object_tags(reader),
        object_encryption: object_encryption(reader),
        skip_clean: reader.flag("skip_clean"),
        os_type: reader
            .one_of("image_os_type", &same(&["linux", "windows"]))
            .map(str::to_owned),
        system_size: system_size(reader),
        format: format(reader),
        skip_conversion,
        keep_free_blocks: reader.flag("keep_free_blocks"),
        strict_window: reader.flag("strict_window"),
        license_type: reader
            .one_of("image_license_type", &same(&["Auto", "Aliyun", "BYOL"]))
            .map(str::to_owned),
        role_name: reader.plain("image_import_role_name"),
        nvme_support: reader
            .one_of("image_nvme_support", &same(&["supported", "unsupported"]))
            .map(str::to_owned),
        resource_group_id: reader.plain("resource_group_id"),
        image,
        access,
    }
}

/// Reads a block that stands alone, in a text of its own.
pub fn read_alone(
    block: &Value,
    defaults: Defaults<'_>,
    places: &Places,
    diagnostics: &mut Diagnostics,
) -> Import {
    let mut secrets = Vec::new();
    let mut desk = Desk {
        diagnostics,
        secrets: &mut secrets,
        places,
    };
    let mut reader = Reader::new(block, OPTIONS, "`import`", &mut desk);
    let import = read(&mut reader, defaults);
    reader.finish();
    import
}

/// Words that stand for themselves.
fn same<const N: usize>(words: &[&'static str; N]) -> [(&'static str, &'static str); N] {
    words.map(|word| (word, word))
}

/// Arm machines of ECS only boot with UEFI, and no import checks that.
fn boot_mode(reader: &mut Reader<'_, '_>, image: &mut ImageOptions) {
    let is_arm = image.architecture.as_deref() == Some("arm64");
    match image.boot_mode.as_deref() {
        None if is_arm => image.boot_mode = Some("UEFI".to_owned()),
        Some("UEFI-Preferred") => reader.error(
            "boot_mode",
            "is `UEFI-Preferred`, which an import does not take",
            "Write `BIOS` or `UEFI`, as the disk was installed",
        ),
        _ => {}
    }
}

fn key(reader: &mut Reader<'_, '_>) -> Option<Spanned<String>> {
    let key = reader.checked("oss_key_name", check::object_key)?;
    reader.check_late("oss_key_name", &key, KEY_FIELDS);
    Some(key)
}

fn endpoint(reader: &mut Reader<'_, '_>, region: &str) -> Option<String> {
    let text = reader.plain("oss_endpoint")?;
    match parse_endpoint(&text, region) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let what = format!("is `{text}`, which is no endpoint");
            reader.error("oss_endpoint", &what, error.message().to_owned());
            None
        }
    }
}

fn object_tags(reader: &mut Reader<'_, '_>) -> BTreeMap<String, String> {
    let tags = reader.map("oss_object_tags");
    if tags.len() > OBJECT_TAGS {
        let what = format!("has {} tags", tags.len());
        let help = format!("Write at most {OBJECT_TAGS}");
        reader.error("oss_object_tags", &what, help);
    }
    tags
}

fn object_encryption(reader: &mut Reader<'_, '_>) -> Option<String> {
    const OPTION: &str = "oss_server_side_encryption";
    let algorithm = reader.one_of(OPTION, &same(&["AES256", "KMS", "SM4"]))?;
    reader.warning(
        OPTION,
        "is set, and ECS is known to refuse encrypted buckets",
        "Leave it out unless a rule demands it: the object is private, and deleted after the import",
    );
    Some(algorithm.to_owned())
}

fn system_size(reader: &mut Reader<'_, '_>) -> Option<Spanned<u32>> {
    let size = reader.positive("image_system_size", LARGEST_DISK)?;
    Some(Spanned::new(size, reader.span("image_system_size")))
}

fn format(reader: &mut Reader<'_, '_>) -> Option<Spanned<DiskFormat>> {
    const WORDS: &[(&str, DiskFormat)] = &[
        ("RAW", DiskFormat::Raw),
        ("VHD", DiskFormat::Vhd),
        ("QCOW2", DiskFormat::Qcow2),
        ("raw", DiskFormat::Raw),
        ("vhd", DiskFormat::Vhd),
        ("qcow2", DiskFormat::Qcow2),
    ];
    let format = reader.one_of("format", WORDS)?;
    Some(Spanned::new(format, reader.span("format")))
}

/// Options of the builder that mean nothing without a machine.
fn warn_of_unused(reader: &mut Reader<'_, '_>) {
    const NO_MACHINE: &[&str] = &[
        "image_delete_ssh_private_key",
        "image_disk_mappings",
        "image_version",
        "skip_create_image",
        "skip_image_validation",
        "system_disk_mapping",
    ];
    // Reading them finds wrong types.
    reader.object("system_disk_mapping");
    reader.object_list("image_disk_mappings");
    for name in NO_MACHINE {
        if reader.is_set(name) {
            reader.warning(name, "has no effect on an import", "It can be left out");
        }
    }
}

/// Options of the conversion mean nothing without it.
fn skip_conversion(reader: &mut Reader<'_, '_>) -> bool {
    let skips = reader.flag("skip_conversion");
    if !skips {
        return false;
    }
    for name in ["keep_free_blocks", "strict_window"] {
        if reader.is_set(name) {
            let what = "has no effect with `skip_conversion`";
            reader.warning(name, what, "It can be left out");
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{Outcome, read_in};

    const BASE: &str = r#""region":"cn-beijing","image_name":"web","oss_bucket_name":"images""#;

    fn import(more: &str) -> Outcome<Import> {
        let text = format!("{{{BASE}{more}}}");
        read_in(".", &text, OPTIONS, |reader| {
            read(reader, Defaults::default())
        })
    }

    #[test]
    fn little_must_be_said() {
        let outcome = import("");
        assert_eq!(outcome.findings, [""; 0]);
        let import = outcome.read;
        assert_eq!(import.bucket.value, "images");
        assert!(import.key.is_none() && import.format.is_none() && !import.skip_clean);
        let nothing = read_in(".", "{}", OPTIONS, |reader| {
            read(reader, Defaults::default())
        });
        assert_eq!(
            nothing.findings,
            [
                "error: Option `region` of `it` is missing",
                "error: Option `image_name` of `it` is missing",
                "error: Option `oss_bucket_name` of `it` is missing",
            ]
        );
    }

    #[test]
    fn what_the_builder_takes_is_taken_and_not_used() {
        let more = r#","instance_type":"ecs.g6.large","ssh_username":"root","run_tags":{"a":"b"},
            "resource_group_id":"rg-1","instance_typ":"x""#;
        let outcome = import(more);
        assert_eq!(
            outcome.findings,
            [
                "warning: Option `instance_type` of `it` has no effect",
                "warning: Option `ssh_username` of `it` has no effect",
                "warning: Option `run_tags` of `it` has no effect",
                "error: Unknown option `instance_typ` in `it`",
            ]
        );
        assert_eq!(outcome.read.resource_group_id.as_deref(), Some("rg-1"));
    }

    #[test]
    fn values_are_typed() {
        let import = import(
            r#","image_system_size":"40","format":"qcow2","image_architecture":"arm64","oss_endpoint":"internal""#,
        )
        .read;
        assert_eq!(import.system_size.unwrap().value, 40);
        assert_eq!(import.format.unwrap().value, DiskFormat::Qcow2);
        assert_eq!(import.image.boot_mode.as_deref(), Some("UEFI"));
        assert_eq!(
            import.oss_endpoint.as_deref(),
            Some("oss-cn-beijing-internal.aliyuncs.com")
        );
    }

    #[test]
    fn broken_rules_are_found() {
        let table = [
            (
                r#","image_architecture":"arm64","boot_mode":"BIOS""#,
                "error: Option `boot_mode` of `it` is `BIOS`, which no arm64 instance has",
            ),
            (
                r#","boot_mode":"UEFI-Preferred""#,
                "error: Option `boot_mode` of `it` is `UEFI-Preferred`, which an import does not take",
            ),
            (
                r#","image_system_size":4096"#,
                "error: Option `image_system_size` of `it` is 4096",
            ),
            (
                r#","format":"vmdk""#,
                "error: Option `format` of `it` is `vmdk`, which is not one of its values",
            ),
            (
                r#","oss_key_name":"/a""#,
                "error: Option `oss_key_name` of `it` begins with `/`",
            ),
            (
                r#","oss_key_name":"{{.Nope}}""#,
                "error: Option `oss_key_name` of `it` cannot be rendered",
            ),
            (
                r#","image_platform":"Centos""#,
                "warning: Option `image_platform` of `it` is `Centos`, which is not known",
            ),
            (
                r#","oss_server_side_encryption":"SM4""#,
                "warning: Option `oss_server_side_encryption` of `it` is set, and ECS",
            ),
            (
                r#","skip_conversion":true,"strict_window":true"#,
                "warning: Option `strict_window` of `it` has no effect with `skip_conversion`",
            ),
            (
                r#","image_version":"1""#,
                "warning: Option `image_version` of `it` has no effect on an import",
            ),
        ];
        for (more, expected) in table {
            let findings = import(more).findings;
            assert!(
                findings.len() == 1 && findings[0].starts_with(expected),
                "{more}: {findings:?}"
            );
        }
    }
}
