//! Reads what the image will be.

use std::collections::BTreeSet;

use super::tags::{self, IMAGE_TAGS};
use super::{Access, Copy, ImageOptions, word};
use crate::plan::check;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

const HOUR: u32 = 3600;

/// Architectures of images.
pub(super) const ARCHITECTURES: &[&str] = &["x86_64", "arm64", "i386"];

/// Reads the options; `force` is the command line's `-force`.
pub(super) fn read(reader: &mut Reader<'_, '_>, access: &Access, force: bool) -> ImageOptions {
    let encrypted = reader.tri("image_encrypted");
    let options = ImageOptions {
        name: reader.required(
            "image_name",
            check::image_name,
            "Name the image, for example `web-{{timestamp}}`",
        ),
        version: plain_checked(reader, "image_version", check::image_version),
        description: plain_checked(reader, "image_description", check::description),
        target_family: reader.checked("target_image_family", check::image_family),
        boot_mode: word(reader, "boot_mode", &["BIOS", "UEFI", "UEFI-Preferred"]),
        platform: reader.expect_one_of("image_platform", PLATFORMS),
        architecture: word(reader, "image_architecture", ARCHITECTURES),
        detection_strategy: reader.expect_one_of("image_detection_strategy", &["Standard"]),
        imds_support: word(reader, "image_imds_support", &["v1", "v2"]),
        tags: tags::with_blocks(reader, "tags", "tag", IMAGE_TAGS),
        share_accounts: accounts(reader, "image_share_account"),
        unshare_accounts: accounts(reader, "image_unshare_account"),
        copies: copies(reader, &access.region.value, encrypted),
        encrypted,
        kms_key_id: kms_key_id(reader, encrypted),
        force_delete: reader.flag("image_force_delete") || force,
        force_delete_snapshots: reader.flag("image_force_delete_snapshots") || force,
        ignore_data_disks: reader.flag("image_ignore_data_disks"),
        delete_ssh_private_key: reader.flag("image_delete_ssh_private_key"),
        skip_create: reader.flag("skip_create_image"),
        skip_validation: reader.flag("skip_image_validation"),
        ready_timeout: reader.seconds("wait_snapshot_ready_timeout", HOUR),
        copy_timeout: reader.seconds("wait_copying_image_ready_timeout", HOUR),
    };
    boots(reader, &options);
    can_be_shared(reader, &options);
    options
}

/// Arm machines of ECS only boot with UEFI.
fn boots(reader: &mut Reader<'_, '_>, options: &ImageOptions) {
    let is_arm = options.architecture.as_deref() == Some("arm64");
    if is_arm && options.boot_mode.as_deref() == Some("BIOS") {
        let what = "is `BIOS`, which no arm64 instance has";
        reader.error("boot_mode", what, "Write `UEFI`, or leave it out");
    }
}

/// ECS does not share what only its own key decrypts.
fn can_be_shared(reader: &mut Reader<'_, '_>, options: &ImageOptions) {
    let mut keys = options.copies.iter().map(|copy| &copy.kms_key_id);
    let has_keys = options.kms_key_id.is_some() && keys.all(Option::is_some);
    if options.encrypted == Some(true) && !options.share_accounts.is_empty() && !has_keys {
        let what = "shares images that are encrypted with ECS's own key, which it refuses";
        let help = "Set `kms_key_id`, and `image_copy_kms_ids` for the copies, to keys of your own";
        reader.warning("image_share_account", what, help);
    }
}

fn plain_checked(reader: &mut Reader<'_, '_>, name: &str, rule: check::Check) -> Option<String> {
    reader.checked(name, rule).map(|text| text.value)
}

fn accounts(reader: &mut Reader<'_, '_>, name: &str) -> Vec<String> {
    let mut accounts = reader.texts(name);
    for account in &mut accounts {
        account.value = account.value.trim().to_owned();
        reader.check(name, account, check::account);
    }
    accounts.into_iter().map(|account| account.value).collect()
}

fn copies(reader: &mut Reader<'_, '_>, main: &str, encrypted: Option<bool>) -> Vec<Copy> {
    let regions = reader.texts("image_copy_regions");
    let names = same_length(reader, "image_copy_names", regions.len());
    let keys_option = kms_ids_option(reader);
    let keys = same_length(reader, keys_option, regions.len());
    if !keys.is_empty() {
        needs_encryption(reader, keys_option, encrypted);
    }
    let mut seen = BTreeSet::from([main.to_owned()]);
    let mut copies = Vec::new();
    for (index, region) in regions.into_iter().enumerate() {
        reader.check("image_copy_regions", &region, check::region);
        let name = nth(&names, index);
        if let Some(name) = &name {
            reader.check("image_copy_names", name, check::image_name);
        }
        if !seen.insert(region.value.clone()) {
            warn_repeated(reader, &region.value, main);
            continue;
        }
        copies.push(Copy {
            region,
            name: name.map(|name| name.value),
            kms_key_id: nth(&keys, index).map(|key| key.value),
        });
    }
    copies
}

/// The element of a list when it is there and not empty.
fn nth(list: &[Spanned<String>], index: usize) -> Option<Spanned<String>> {
    let element = list.get(index)?;
    (!element.value.is_empty()).then(|| element.clone())
}

fn kms_ids_option(reader: &mut Reader<'_, '_>) -> &'static str {
    let (current, old) = ("image_copy_kms_ids", "kms_key_copy_ids");
    match (reader.is_set(current), reader.is_set(old)) {
        (true, true) => reader.conflict(old, current, format!("Keep `{current}`")),
        (false, true) => return old,
        _ => {}
    }
    current
}

/// A list that has nothing or as many elements as there are copy regions.
fn same_length(reader: &mut Reader<'_, '_>, name: &str, regions: usize) -> Vec<Spanned<String>> {
    let list = reader.list(name);
    if !list.is_empty() && list.len() != regions {
        let what = format!(
            "has {} but `image_copy_regions` has {}",
            elements(list.len()),
            elements(regions)
        );
        let help = "Write one for each region, in the same order; an empty text means the default";
        reader.error(name, &what, help);
    }
    list
}

fn elements(count: usize) -> String {
    match count {
        1 => "1 element".to_owned(),
        _ => format!("{count} elements"),
    }
}

fn warn_repeated(reader: &mut Reader<'_, '_>, region: &str, main: &str) {
    let what = match region == main {
        true => format!("names `{region}`, the region the image is made in"),
        false => format!("names `{region}` twice"),
    };
    reader.warning("image_copy_regions", &what, "It is left out");
}

fn kms_key_id(reader: &mut Reader<'_, '_>, encrypted: Option<bool>) -> Option<String> {
    let key = reader.plain("kms_key_id")?;
    needs_encryption(reader, "kms_key_id", encrypted);
    Some(key)
}

fn needs_encryption(reader: &mut Reader<'_, '_>, name: &str, encrypted: Option<bool>) {
    if encrypted != Some(true) {
        let what = "has no effect without encryption";
        reader.error(name, what, "Set `image_encrypted` to `true`");
    }
}

/// Platforms of CreateImage and ImportImage; the list may grow.
const PLATFORMS: &[&str] = &[
    "Aliyun",
    "AlmaLinux",
    "Anolis",
    "CentOS",
    "CentOS Stream",
    "CoreOS",
    "Customized Linux",
    "Debian",
    "Fedora",
    "Fedora CoreOS",
    "FreeBSD",
    "Gentoo",
    "Kylin",
    "OpenSUSE",
    "Other Windows",
    "Others Linux",
    "RedHat",
    "Rocky Linux",
    "SUSE",
    "UOS",
    "Ubuntu",
    "Windows Server 2003",
    "Windows Server 2008",
    "Windows Server 2012",
    "Windows Server 2016",
    "Windows Server 2019",
    "Windows Server 2022",
];
