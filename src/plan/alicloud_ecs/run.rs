//! Reads what the temporary instance will be.

use super::tags::{self, RUN_TAGS};
use super::{Access, Address, RunOptions, Source, disk};
use crate::plan::check::{self, Check};
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::source::Spanned;

const USER_DATA_LIMIT: usize = 32 * 1024;
const EIP_MBIT: u32 = 500;
const INSTANCE_MBIT: u32 = 100;

/// Reads the options.
pub(super) fn read(reader: &mut Reader<'_, '_>, access: &Access) -> RunOptions {
    let bandwidth = reader.positive("internet_max_bandwidth_out", EIP_MBIT);
    RunOptions {
        source: source(reader),
        instance_type: instance_type(reader),
        instance_name: plain_checked(reader, "instance_name", check::instance_name),
        zone_id: zone_id(reader, &access.region.value),
        io_optimized: reader.tri("io_optimized"),
        internet_charge_type: charge_type(reader),
        internet_max_bandwidth_out: bandwidth,
        address: reachable_address(reader, bandwidth),
        vpc_id: id(reader, "vpc_id", "vpc-"),
        vpc_name: plain_checked(reader, "vpc_name", check::network_name),
        vpc_cidr_block: reader.checked("vpc_cidr_block", check::vpc_cidr),
        vswitch_id: id(reader, "vswitch_id", "vsw-"),
        vswitch_name: plain_checked(reader, "vswitch_name", check::network_name),
        security_group_id: id(reader, "security_group_id", "sg-"),
        security_group_name: plain_checked(reader, "security_group_name", check::resource_name),
        security_group_source_cidrs: source_cidrs(reader),
        security_enhancement_strategy: enhancement(reader),
        ecs_ram_role_name: reader.text("ecs_ram_role_name"),
        run_tags: tags::of_map(reader, "run_tags", RUN_TAGS),
        resource_group_id: reader.plain("resource_group_id"),
        user_data: user_data(reader),
        ssh_keypair_name: reader.text("ssh_keypair_name"),
        password: password(reader),
        system_disk: disk::system(reader),
        data_disks: disk::data(reader),
        force_stop: reader.flag("force_stop_instance"),
        disable_stop: reader.flag("disable_stop_instance"),
    }
}

fn plain_checked(reader: &mut Reader<'_, '_>, name: &str, rule: Check) -> Option<String> {
    reader.checked(name, rule).map(|text| text.value)
}

fn source(reader: &mut Reader<'_, '_>) -> Source {
    let image = reader.checked("source_image", check::no_blank);
    let family = reader.checked("image_family", check::no_blank);
    match (image, family) {
        (Some(image), None) => Source::Image(image),
        (None, Some(family)) => Source::Family(family),
        (Some(image), Some(_)) => {
            let help = "Keep `image_family` for the newest image, or `source_image` for this one";
            reader.conflict("source_image", "image_family", help);
            Source::Image(image)
        }
        (None, None) => {
            let help = "Set it to an image's id, or set `image_family`";
            reader.missing("source_image", help);
            Source::Image(Spanned::default_value(String::new()))
        }
    }
}

fn instance_type(reader: &mut Reader<'_, '_>) -> Spanned<String> {
    let help = "Set it, for example to `ecs.g6.large`";
    let kind = reader.required("instance_type", check::no_blank, help);
    if !kind.value.is_empty() && !kind.value.starts_with("ecs.") {
        let what = format!(
            "is `{}`, which does not look like an instance type",
            kind.value
        );
        reader.warning("instance_type", &what, "Instance types begin with `ecs.`");
    }
    kind
}

fn zone_id(reader: &mut Reader<'_, '_>, region: &str) -> Option<Spanned<String>> {
    let zone = reader.checked("zone_id", check::no_blank)?;
    if !region.is_empty() && !zone.value.starts_with(region) {
        let what = format!("is `{}`, which is not in region `{region}`", zone.value);
        reader.warning(
            "zone_id",
            &what,
            format!("Its zones are named like `{region}-b`"),
        );
    }
    Some(zone)
}

fn charge_type(reader: &mut Reader<'_, '_>) -> Option<String> {
    let types = ["PayByTraffic", "PayByBandwidth"].map(|word| (word, word));
    let found = reader.one_of("internet_charge_type", &types);
    found.map(str::to_owned)
}

fn enhancement(reader: &mut Reader<'_, '_>) -> Option<String> {
    let strategies = ["Active", "Deactive"].map(|word| (word, word));
    let found = reader.one_of("security_enhancement_strategy", &strategies);
    found.map(str::to_owned)
}

/// An id of a resource; one of another sort is a slip worth a warning.
fn id(reader: &mut Reader<'_, '_>, name: &str, prefix: &str) -> Option<Spanned<String>> {
    let id = reader.checked(name, check::no_blank)?;
    if !id.value.starts_with(prefix) {
        let what = format!("is `{}`, which does not look right", id.value);
        reader.warning(name, &what, format!("Such ids begin with `{prefix}`"));
    }
    Some(id)
}

fn source_cidrs(reader: &mut Reader<'_, '_>) -> Vec<String> {
    let cidrs = reader.texts("security_group_source_cidrs");
    for cidr in &cidrs {
        reader.check("security_group_source_cidrs", cidr, check::cidr);
    }
    if cidrs.is_empty() {
        return vec!["0.0.0.0/0".to_owned()];
    }
    if reader.is_set("security_group_id") {
        let help = "Your own security group is used as it is";
        reader.warning(
            "security_group_source_cidrs",
            "has no effect with `security_group_id`",
            help,
        );
    }
    cidrs.into_iter().map(|cidr| cidr.value).collect()
}

/// The address, with a warning when this machine can hardly reach it.
fn reachable_address(reader: &mut Reader<'_, '_>, bandwidth: Option<u32>) -> Address {
    let address = address(reader, bandwidth);
    let ways = [
        "vpc_id",
        "vswitch_id",
        "ssh_host",
        "ssh_bastion_host",
        "ssh_proxy_host",
        "winrm_host",
    ];
    let connects = reader.text_or("communicator", "ssh") != "none";
    let private = matches!(address, Address::Private { .. });
    if private && connects && !ways.iter().any(|way| reader.is_set(way)) {
        let name = match reader.flag("ssh_private_ip") {
            true => "ssh_private_ip",
            false => "associate_public_ip_address",
        };
        let what = "leaves only a private address in a temporary VPC, which this machine cannot \
                    reach";
        let help = "Set `vswitch_id` to one this machine is connected to, or `ssh_bastion_host`";
        reader.warning(name, what, help);
    }
    address
}

/// Decides which address is used. A template that says nothing gets a
/// temporary EIP, as Packer did before the plugins were split off.
fn address(reader: &mut Reader<'_, '_>, bandwidth: Option<u32>) -> Address {
    let associate = reader.tri("associate_public_ip_address");
    let eip = id(reader, "eip_id", "eip-");
    let private = reader.flag("ssh_private_ip");
    if let Some(eip) = eip {
        refuse_other_addresses(reader, private, associate);
        return Address::Eip(eip);
    }
    match (private, associate, bandwidth) {
        (true, _, _) => Address::Private {
            also_eip: associate == Some(true),
        },
        (false, Some(true), _) => Address::TemporaryEip,
        (false, _, Some(mbit)) => {
            limit_instance_bandwidth(reader, mbit);
            Address::InstancePublicIp
        }
        (false, Some(false), None) => Address::Private { also_eip: false },
        (false, None, None) => Address::TemporaryEip,
    }
}

fn refuse_other_addresses(reader: &mut Reader<'_, '_>, private: bool, associate: Option<bool>) {
    if private {
        let help = "Keep `eip_id` to connect by that EIP, or `ssh_private_ip` to connect privately";
        reader.conflict("eip_id", "ssh_private_ip", help);
    }
    if associate == Some(false) {
        let help = "Remove `associate_public_ip_address: false` to connect by your EIP";
        reader.conflict("eip_id", "associate_public_ip_address", help);
    }
}

fn limit_instance_bandwidth(reader: &mut Reader<'_, '_>, mbit: u32) {
    if mbit > INSTANCE_MBIT {
        let what = format!("is {mbit}");
        let help = format!(
            "An instance's own address takes at most {INSTANCE_MBIT} Mbit/s; set \
             `associate_public_ip_address` to `true` for an EIP"
        );
        reader.error("internet_max_bandwidth_out", &what, help);
    }
}

fn password(reader: &mut Reader<'_, '_>) -> Option<Secret> {
    // Packer's order: the first one that is set, whatever the communicator.
    let names = ["ssh_password", "winrm_password"];
    let name = names.into_iter().find(|name| reader.is_set(name))?;
    let password = reader.secret(name)?;
    if let Err(complaint) = check::password(password.expose()) {
        reader.error(name, &complaint.what, complaint.help);
    }
    Some(password)
}

fn user_data(reader: &mut Reader<'_, '_>) -> Option<Secret> {
    let inline = reader.secret("user_data");
    let file = reader.existing_file("user_data_file");
    if inline.is_some() && file.is_some() {
        reader.conflict("user_data", "user_data_file", "Keep one of them");
        return None;
    }
    let (name, data) = match (inline, file) {
        (Some(inline), _) => ("user_data", inline),
        (None, Some(file)) => ("user_data_file", read_user_data(reader, &file)?),
        (None, None) => return None,
    };
    if data.expose().len() > USER_DATA_LIMIT {
        let what = format!("has {} bytes of user data", data.expose().len());
        reader.error(name, &what, "ECS takes at most 32 KiB (32768 bytes)");
    }
    Some(data)
}

fn read_user_data(
    reader: &mut Reader<'_, '_>,
    file: &Spanned<std::path::PathBuf>,
) -> Option<Secret> {
    // A file that is not there has been reported already.
    let bytes = reader.places().read(&file.value).ok()?;
    let Ok(text) = String::from_utf8(bytes) else {
        let what = format!("names `{}`, which is not UTF-8 text", file.value.display());
        reader.error(
            "user_data_file",
            &what,
            "Use text; compressed user data cannot be sent yet",
        );
        return None;
    };
    let secret = Secret::new(text);
    reader.keep_secret(&secret);
    Some(secret)
}
