//! Reads what the image will be.

use std::collections::BTreeSet;

use super::tags::{self, IMAGE_TAGS};
use super::{Access, Copy, ImageOptions};
use crate::plan::check;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

const HOUR: u32 = 3600;

/// Reads the options; `force` is the command line's `-force`.
pub(super) fn read(reader: &mut Reader<'_, '_>, access: &Access, force: bool) -> ImageOptions {
    let encrypted = reader.tri("image_encrypted");
    ImageOptions {
        name: reader.required(
            "image_name",
            check::image_name,
            "Name the image, for example `web-{{timestamp}}`",
        ),
        version: plain_checked(reader, "image_version", check::image_version),
        description: plain_checked(reader, "image_description", check::description),
        target_family: reader.checked("target_image_family", check::image_family),
        boot_mode: boot_mode(reader),
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
    }
}

fn plain_checked(reader: &mut Reader<'_, '_>, name: &str, rule: check::Check) -> Option<String> {
    reader.checked(name, rule).map(|text| text.value)
}

fn boot_mode(reader: &mut Reader<'_, '_>) -> Option<String> {
    let modes = ["BIOS", "UEFI", "UEFI-Preferred"].map(|mode| (mode, mode));
    reader.one_of("boot_mode", &modes).map(str::to_owned)
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
