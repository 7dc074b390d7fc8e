//! Creating instances.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::json;

use super::{Answer, Context, check_tags};
use crate::catalogue::{self, zones};
use crate::error::ApiError;
use crate::faults::StateFault;
use crate::state::Common;
use crate::state::image::{Image, ImageStatus};
use crate::state::instance::{Disk, Instance, InstanceStatus};

pub(super) fn run_instances(context: &mut Context<'_>) -> Answer {
    let amount = context.params.number("Amount").unwrap_or(1);
    let mut ids = Vec::new();
    for _ in 0..amount {
        let id = add_instance(context, true)?;
        let causes = context.causes();
        let now = context.now;
        context.cloud.boot_instance(&id, "run", now, &causes);
        stick_when_planned(context, &id);
        ids.push(id);
    }
    Ok(json!({"InstanceIdSets": {"InstanceIdSet": ids}, "TradePrice": 0.0}))
}

pub(super) fn create_instance(context: &mut Context<'_>) -> Answer {
    let id = add_instance(context, false)?;
    let transition = context.begin("create", &id, context.cloud.delays.create);
    if let Some(instance) = context.cloud.instances.get_mut(&id) {
        instance.transition = Some(transition);
        instance.starts = false;
    }
    stick_when_planned(context, &id);
    Ok(json!({"InstanceId": id, "TradePrice": 0.0}))
}

fn stick_when_planned(context: &mut Context<'_>, id: &str) {
    if !context.takes_fault(StateFault::InstanceStuck) {
        return;
    }
    if let Some(instance) = context.cloud.instances.get_mut(id) {
        instance.transition = None;
        instance.sshd = None;
    }
}

/// Where an instance goes, checked.
struct Placement {
    zone: String,
    vpc: String,
    vswitch: String,
    security_groups: Vec<String>,
}

fn add_instance(context: &mut Context<'_>, gets_address: bool) -> Result<String, ApiError> {
    check_tags(context)?;
    let image = find_image(context)?;
    let kind = context.require("InstanceType")?;
    check_type(context, &kind, &image)?;
    check_login(context, &image)?;
    check_spot(context)?;
    check_disk_performance(context)?;
    let placement = place(context)?;
    check_hosting(context, &placement.zone)?;
    let stock = (placement.zone.clone(), kind.clone());
    if context.cloud.out_of_stock.contains(&stock) {
        return Err(no_stock());
    }
    let count = context.cloud.instances.values();
    if count.filter(|i| i.common.region == context.region).count() >= context.cloud.quotas.instances
    {
        return Err(context.error("QuotaExceed.ElasticQuota"));
    }
    check_role(context)?;
    check_key_pair(context)?;
    check_system_disk(context, &image)?;
    check_release_time(context)?;
    let instance = new_instance(context, &image, kind, placement, gets_address);
    let id = instance.common.id.clone();
    add_disks(context, &instance, &image)?;
    context.cloud.instances.insert(id.clone(), instance);
    Ok(id)
}

fn no_stock() -> ApiError {
    ApiError::new(
        403,
        "OperationDenied.NoStock",
        "The requested resource is sold out in the specified zone; try other types of resources or other regions and zones.",
    )
}

/// Who gives a role to an instance must be allowed to.
fn check_role(context: &Context<'_>) -> Result<(), ApiError> {
    let passed = match context.get("RamRoleName") {
        Some(_) => context.caller.authorize("ram:PassRole"),
        None => Ok(()),
    };
    passed.map_err(|_| context.error("InvalidUser.PassRoleForbidden"))
}

fn find_image(context: &Context<'_>) -> Result<Image, ApiError> {
    let region = &context.region;
    let image = match (context.get("ImageId"), context.get("ImageFamily")) {
        (Some(id), _) => context.cloud.image(region, id),
        (None, Some(family)) => context.cloud.newest_of_family(region, family),
        (None, None) => return Err(ApiError::missing_parameter("ImageId")),
    };
    let image = image.ok_or_else(|| context.error("InvalidImageId.NotFound"))?;
    if !matches!(
        image.status,
        ImageStatus::Available | ImageStatus::Deprecated
    ) {
        return Err(ApiError::new(
            403,
            "ImageNotAvailable",
            "The specified image is not available.",
        ));
    }
    Ok(image)
}

fn check_type(context: &Context<'_>, id: &str, image: &Image) -> Result<(), ApiError> {
    let Some(kind) = catalogue::instance_type(id) else {
        return Err(context.error("InvalidInstanceType.ValueNotSupported"));
    };
    let arm_image = image.architecture == "arm64";
    let boots = image.boot_mode == "UEFI-Preferred"
        || kind.boot_modes().contains(&image.boot_mode.as_str());
    if arm_image != (kind.architecture == "ARM") || !boots {
        return Err(context.error("ImageNotSupportInstanceType"));
    }
    Ok(())
}

/// The user that key and password are for must be in the image.
fn check_login(context: &Context<'_>, image: &Image) -> Result<(), ApiError> {
    let non_root = context.params.flag("ImageOptions.LoginAsNonRoot");
    if non_root && !image.non_root_login {
        return Err(context.error("LoginAsNonRoot.ImageNotSupport"));
    }
    Ok(())
}

/// Spot instances: the strategy, and what belongs to it.
fn check_spot(context: &Context<'_>) -> Result<(), ApiError> {
    let strategy = context.get("SpotStrategy").unwrap_or("NoSpot");
    if !["NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit"].contains(&strategy) {
        return Err(context.error("InvalidSpotStrategy"));
    }
    let limit = context.get("SpotPriceLimit");
    let limit = limit.and_then(|price| price.parse::<f64>().ok());
    if strategy == "SpotWithPriceLimit" && limit.is_none_or(|price| price <= 0.0) {
        return Err(context.error("InvalidSpotPriceLimit"));
    }
    let hours = context.params.number("SpotDuration");
    if hours.is_some_and(|hours| !(0..=1).contains(&hours)) {
        return Err(context.error("InvalidSpotDuration"));
    }
    Ok(())
}

/// What only some categories of disks have.
fn check_disk_performance(context: &Context<'_>) -> Result<(), ApiError> {
    let mut disks = context.params.objects("DataDisk");
    let of_system = |name: &str| {
        let value = context.get(&format!("SystemDisk.{name}"))?;
        Some((name.to_owned(), value.to_owned()))
    };
    let names = [
        "Category",
        "PerformanceLevel",
        "ProvisionedIops",
        "BurstingEnabled",
    ];
    disks.push(names.into_iter().filter_map(of_system).collect());
    for disk in disks {
        let category = disk.get("Category").map_or("", String::as_str);
        let is_of = |name: &str, wanted: &str| !disk.contains_key(name) || category == wanted;
        if !is_of("PerformanceLevel", "cloud_essd")
            || !is_of("ProvisionedIops", "cloud_auto")
            || !is_of("BurstingEnabled", "cloud_auto")
        {
            return Err(ApiError::new(
                403,
                "OperationDenied.PerformanceLevelNotMatch",
                "The disk category does not take this performance setting.",
            ));
        }
    }
    Ok(())
}

fn place(context: &Context<'_>) -> Result<Placement, ApiError> {
    let mut groups = context.params.list("SecurityGroupIds");
    groups.extend(context.get("SecurityGroupId").map(str::to_owned));
    let Some(vswitch_id) = context.get("VSwitchId") else {
        return Err(ApiError::missing_parameter("VSwitchId"));
    };
    let vswitch = context.cloud.vswitches.get(vswitch_id);
    let vswitch = vswitch
        .filter(|v| v.common.region == context.region)
        .ok_or_else(|| context.error("InvalidVSwitchId.NotFound"))?;
    if !vswitch.is_available() {
        return Err(ApiError::gateway("IncorrectVSwitchStatus"));
    }
    if context
        .get("ZoneId")
        .is_some_and(|zone| zone != vswitch.zone)
    {
        return Err(context.error("ResourcesNotInSameZone"));
    }
    if !zones(&context.region).contains(&vswitch.zone) {
        return Err(context.error("InvalidZoneId.NotFound"));
    }
    if groups.is_empty() {
        return Err(ApiError::missing_parameter("SecurityGroupId"));
    }
    for id in &groups {
        let group = context.cloud.security_groups.get(id);
        let group = group.ok_or_else(|| ApiError::gateway("InvalidSecurityGroupId.NotFound"))?;
        if group.vpc != vswitch.vpc {
            return Err(ApiError::new(
                403,
                "InvalidParameter.Mismatch",
                "Specified security group and virtual switch are not in the same VPC.",
            ));
        }
    }
    Ok(Placement {
        zone: vswitch.zone.clone(),
        vpc: vswitch.vpc.clone(),
        vswitch: vswitch_id.to_owned(),
        security_groups: groups,
    })
}

/// The deployment set and the dedicated host must exist, and the host be in
/// the zone.
fn check_hosting(context: &Context<'_>, zone: &str) -> Result<(), ApiError> {
    let here = |id: &str| (context.region.clone(), id.to_owned());
    if let Some(set) = context.get("DeploymentSetId")
        && !context.cloud.deployment_sets.contains(&here(set))
    {
        return Err(context.error("InvalidDeploymentSetId.NotFound"));
    }
    let Some(host) = context.get("DedicatedHostId") else {
        return Ok(());
    };
    match context.cloud.dedicated_hosts.get(&here(host)) {
        None => Err(context.error("InvalidDedicatedHostId.NotFound")),
        Some(of_host) if of_host != zone => Err(context.error("ResourcesNotInSameZone")),
        Some(_) => Ok(()),
    }
}

fn check_key_pair(context: &Context<'_>) -> Result<(), ApiError> {
    let Some(name) = context.get("KeyPairName") else {
        return Ok(());
    };
    let id = (context.region.clone(), name.to_owned());
    if context.cloud.key_pairs.contains_key(&id) {
        return Ok(());
    }
    Err(context.error("InvalidKeyPairName.NotFound"))
}

fn check_system_disk(context: &Context<'_>, image: &Image) -> Result<(), ApiError> {
    let Some(size) = context.params.number("SystemDisk.Size") else {
        return Ok(());
    };
    // Old clients send 0 when the size is unset, and that works.
    if size != 0 && size < image.size as i64 {
        return Err(context.error("InvalidSystemDiskSize.LessThanImageSize"));
    }
    Ok(())
}

/// AutoReleaseTime must be at least half an hour ahead.
fn check_release_time(context: &Context<'_>) -> Result<(), ApiError> {
    let Some(text) = context.get("AutoReleaseTime") else {
        return Ok(());
    };
    let time = parse_time(text).ok_or_else(|| context.error("InvalidAutoReleaseTime.Malformed"))?;
    let minutes = time.duration_since(context.wall()).as_secs_f64() / 60.0;
    // The seconds are cut off, hence one minute of grace.
    if minutes < 29.0 {
        return Err(context.error("InvalidAutoReleaseTime.Malformed"));
    }
    Ok(())
}

fn parse_time(text: &str) -> Option<jiff::Timestamp> {
    let formats = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"];
    let parsed = formats
        .iter()
        .find_map(|format| jiff::civil::DateTime::strptime(format, text).ok())?;
    let zoned = parsed.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

fn new_instance(
    context: &mut Context<'_>,
    image: &Image,
    instance_type: String,
    placement: Placement,
    gets_address: bool,
) -> Instance {
    let name = context.text("InstanceName");
    let mut common = context.common("i", name);
    if common.name.is_empty() {
        common.name = default_name(&common.id);
    }
    let private_address = context.cloud.new_address(2);
    let bandwidth_out = context
        .params
        .number("InternetMaxBandwidthOut")
        .unwrap_or(0);
    // CreateInstance leaves that to AllocatePublicIpAddress.
    let public = (bandwidth_out > 0 && gets_address).then(|| context.cloud.new_address(1));
    let release_time = context.get("AutoReleaseTime").and_then(parse_time);
    let host_name = context.get("HostName").map(str::to_owned);
    let host_name = host_name.unwrap_or_else(|| default_name(&common.id));
    let no_sshd = context.takes_fault(StateFault::NoSshd);
    let or = |name: &str, default: &str| context.get(name).unwrap_or(default).to_owned();
    Instance {
        zone: placement.zone,
        instance_type,
        image: image.common.id.clone(),
        image_platform: image.platform.clone(),
        image_os_name: image.os_name.clone(),
        os_type: image.os_type.clone(),
        rpm_family: image.is_rpm_family(),
        vpc: placement.vpc,
        vswitch: placement.vswitch,
        security_groups: placement.security_groups,
        key_pair: context.get("KeyPairName").map(str::to_owned),
        password: context.get("Password").map(str::to_owned),
        user_data: context.get("UserData").map(str::to_owned),
        host_name,
        spot_strategy: or("SpotStrategy", "NoSpot"),
        deployment_set: or("DeploymentSetId", ""),
        dedicated_host: or("DedicatedHostId", ""),
        io_optimized: context.get("IoOptimized") != Some("none"),
        internet_charge_type: or("InternetChargeType", "PayByTraffic"),
        bandwidth_out,
        private_address,
        public_address: public,
        status: InstanceStatus::Pending,
        transition: None,
        starts: false,
        deleting: false,
        reclaimed: false,
        released_at: release_time.map(|time| context.clock.moment(time)),
        release_time,
        sshd: None,
        has_sshd: !no_sshd,
        started: Some(common.created),
        boot: 0,
        machine_on: false,
        machine: None,
        disk: image.disk.clone(),
        common,
    }
}

/// The host name ECS gives: `iZbp1…Z`.
fn default_name(id: &str) -> String {
    format!("iZ{}Z", id.trim_start_matches("i-"))
}

fn add_disks(
    context: &mut Context<'_>,
    instance: &Instance,
    image: &Image,
) -> Result<(), ApiError> {
    let size = context.params.number("SystemDisk.Size").unwrap_or(0) as u64;
    let mut disks = vec![Disk {
        common: disk_common(context, "SystemDisk.DiskName", "SystemDisk.Description"),
        zone: instance.zone.clone(),
        instance: Some(instance.common.id.clone()),
        kind: "system",
        device: "/dev/xvda".to_owned(),
        category: context
            .get("SystemDisk.Category")
            .unwrap_or("cloud_essd")
            .to_owned(),
        size: size.max(image.size),
        delete_with_instance: true,
        encrypted: context.params.flag("SystemDisk.Encrypted"),
        snapshot: String::new(),
        image: image.common.id.clone(),
    }];
    let wanted = context.params.objects("DataDisk");
    let mut devices = BTreeSet::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let disk = data_disk(context, instance, index, wanted)?;
        if !devices.insert(disk.device.clone()) {
            return Err(context.error("InvalidDevice.InUse"));
        }
        disks.push(disk);
    }
    if wanted.is_empty() {
        disks.extend(disks_of_image(context, instance, image));
    }
    for disk in disks {
        context.cloud.disks.insert(disk.common.id.clone(), disk);
    }
    Ok(())
}

fn disk_common(context: &mut Context<'_>, name: &str, description: &str) -> Common {
    let name = context.text(name);
    let description = context.text(description);
    let common = context.common("d", name);
    Common {
        description,
        ..common
    }
}

fn data_disk(
    context: &mut Context<'_>,
    instance: &Instance,
    index: usize,
    wanted: &BTreeMap<String, String>,
) -> Result<Disk, ApiError> {
    let field = |name: &str| wanted.get(name).cloned().unwrap_or_default();
    let snapshot = field("SnapshotId");
    let mut size = field("Size").parse().unwrap_or(0);
    if !snapshot.is_empty() {
        let found = context.cloud.snapshots.get(&snapshot);
        let found = found.ok_or_else(|| context.error("InvalidDataDiskSnapshotId.NotFound"))?;
        size = size.max(found.size);
    } else if size == 0 {
        return Err(context.error("InvalidDataDiskSize.ValueNotSupported"));
    }
    let common = context.common("d", field("DiskName"));
    let is = |name: &str| field(name).eq_ignore_ascii_case("true");
    Ok(Disk {
        common: Common {
            description: field("Description"),
            ..common
        },
        zone: instance.zone.clone(),
        instance: Some(instance.common.id.clone()),
        kind: "data",
        device: wanted
            .get("Device")
            .cloned()
            .unwrap_or_else(|| device_name(index)),
        category: wanted
            .get("Category")
            .cloned()
            .unwrap_or_else(|| "cloud_essd".to_owned()),
        size,
        delete_with_instance: !field("DeleteWithInstance").eq_ignore_ascii_case("false"),
        encrypted: is("Encrypted"),
        snapshot,
        image: String::new(),
    })
}

/// The data disks an image brings along.
fn disks_of_image(context: &mut Context<'_>, instance: &Instance, image: &Image) -> Vec<Disk> {
    let mappings = image.mappings.iter().filter(|m| m.kind == "data");
    let mut disks = Vec::new();
    for mapping in mappings {
        disks.push(Disk {
            common: context.common("d", String::new()),
            zone: instance.zone.clone(),
            instance: Some(instance.common.id.clone()),
            kind: "data",
            device: mapping.device.clone(),
            category: "cloud_essd".to_owned(),
            size: mapping.size,
            delete_with_instance: true,
            encrypted: image.encrypted,
            snapshot: mapping.snapshot.clone(),
            image: image.common.id.clone(),
        });
    }
    disks
}

/// `/dev/xvdb` for the first data disk.
pub(super) fn device_name(index: usize) -> String {
    let letter = char::from(b'b' + u8::try_from(index).unwrap_or(0).min(24));
    format!("/dev/xvd{letter}")
}
