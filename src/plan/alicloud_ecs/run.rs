//! Reads what the temporary instance will be.

use super::tags::{self, RUN_TAGS};
use super::{Access, Address, RunOptions, disk, source, spot, word};
use crate::plan::check::{self, Check};
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::source::Spanned;

const USER_DATA_LIMIT: usize = 32 * 1024;
/// DescribeInstanceTypes takes no more in one call.
const MOST_TYPES: usize = 10;
const EIP_MBIT: u32 = 500;
const INSTANCE_MBIT: u32 = 100;
/// RunInstances gives no more to one instance.
const IPV6_ADDRESSES: u32 = 10;

/// Reads the options.
pub(super) fn read(reader: &mut Reader<'_, '_>, access: &Access) -> RunOptions {
    let bandwidth = reader.positive("internet_max_bandwidth_out", EIP_MBIT);
    let http_endpoint = word(reader, "http_endpoint", &["enabled", "disabled"]);
    RunOptions {
        source: source::source(reader),
        instance_types: instance_types(reader),
        instance_name: plain_checked(reader, "instance_name", check::instance_name),
        description: description(reader),
        spot: spot::spot(reader),
        deployment_set_id: id(reader, "deployment_set_id", "ds-"),
        dedicated_host_id: id(reader, "dedicated_host_id", "dh-"),
        ipv6_addresses: ipv6_addresses(reader),
        credit_specification: word(reader, "credit_specification", &["Standard", "Unlimited"]),
        http_tokens: http_tokens(reader, http_endpoint.as_deref()),
        http_endpoint,
        login_as_non_root: login_as_non_root(reader),
        zone_id: zone_id(reader, &access.region.value),
        io_optimized: reader.tri("io_optimized"),
        internet_charge_type: word(
            reader,
            "internet_charge_type",
            &["PayByTraffic", "PayByBandwidth"],
        ),
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
        security_enhancement_strategy: word(
            reader,
            "security_enhancement_strategy",
            &["Active", "Deactive"],
        ),
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

/// The types, the best first.
fn instance_types(reader: &mut Reader<'_, '_>) -> Vec<Spanned<String>> {
    let one = reader.checked("instance_type", check::no_blank);
    let mut several = reader.texts("instance_types");
    for kind in &several {
        reader.check("instance_types", kind, check::no_blank);
    }
    if several.len() > MOST_TYPES {
        let what = format!("has {} types", several.len());
        reader.error(
            "instance_types",
            &what,
            format!("Write at most {MOST_TYPES}"),
        );
    }
    if one.is_some() && !several.is_empty() {
        let help = "Keep `instance_types`, with the best one first";
        reader.conflict("instance_type", "instance_types", help);
    }
    if one.is_none() && several.is_empty() {
        let help = "Set it, for example to `ecs.g6.large`; or set `instance_types`";
        reader.missing_all(&["instance_type", "instance_types"], help);
    }
    let name = if several.is_empty() {
        "instance_type"
    } else {
        "instance_types"
    };
    several.extend(one);
    for kind in &several {
        if !kind.value.starts_with("ecs.") {
            let what = format!(
                "is `{}`, which does not look like an instance type",
                kind.value
            );
            reader.warning(name, &what, "Instance types begin with `ecs.`");
        }
    }
    several
}

/// Packer accepts any text and does not use it, so a bad one is no error.
fn description(reader: &mut Reader<'_, '_>) -> Option<String> {
    let text = reader.plain("description")?;
    let Err(complaint) = check::description(&text) else {
        return Some(text);
    };
    let help = format!("{}; it is left out", complaint.help);
    reader.warning("description", &complaint.what, help);
    None
}

fn login_as_non_root(reader: &mut Reader<'_, '_>) -> Option<Spanned<bool>> {
    let value = reader.tri("login_as_non_root")?;
    if value && reader.text_or("ssh_username", "ecs-user") == "root" {
        let help = "The user is `ecs-user`, who may use `sudo`";
        reader.error("login_as_non_root", "leaves no login for `root`", help);
    }
    Some(Spanned::new(value, reader.span("login_as_non_root")))
}

/// A program on the instance could ask in vain.
fn http_tokens(reader: &mut Reader<'_, '_>, endpoint: Option<&str>) -> Option<String> {
    let tokens = word(reader, "http_tokens", &["optional", "required"]);
    if tokens.is_some() && endpoint == Some("disabled") {
        let help = "Remove one of them";
        reader.error(
            "http_tokens",
            "has no effect without metadata service",
            help,
        );
    }
    tokens
}

/// A temporary vSwitch has no IPv6.
fn ipv6_addresses(reader: &mut Reader<'_, '_>) -> Option<Spanned<u32>> {
    const NAME: &str = "ipv6_address_count";
    let count = reader.positive(NAME, IPV6_ADDRESSES)?;
    if !reader.is_set("vswitch_id") {
        let help = "Name a vSwitch that has IPv6, as the temporary one has none";
        reader.error(NAME, "needs `vswitch_id`", help);
    }
    Some(Spanned::new(count, reader.span(NAME)))
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
