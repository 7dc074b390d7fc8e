//! VPCs and vSwitches, for both products that have these actions.

use serde_json::{Value, json};

use super::{Answer, Context, equals, listed};
use crate::catalogue::zones;
use crate::error::ApiError;
use crate::faults::StateFault;
use crate::state::network::{VSwitch, Vpc};

pub(super) fn create_vpc(context: &mut Context<'_>) -> Answer {
    let region = context.region.clone();
    let count = context.cloud.vpcs.values();
    if count.filter(|vpc| vpc.common.region == region).count() >= context.cloud.quotas.vpcs {
        return Err(context.error("QuotaExceeded.Vpc"));
    }
    let cidr = context.get("CidrBlock").unwrap_or("172.16.0.0/12");
    let cidr = cidr.to_owned();
    Network::parse(&cidr).ok_or_else(|| context.error("InvalidParameter"))?;
    let name = context.text("VpcName");
    let common = context.common("vpc", name);
    let id = common.id.clone();
    let pending = Some(context.begin("vpc", &id, context.cloud.delays.vpc));
    let vpc = Vpc {
        common,
        cidr,
        pending,
    };
    context.cloud.vpcs.insert(id.clone(), vpc);
    Ok(json!({
        "VpcId": id,
        "VRouterId": id.replacen("vpc-", "vrt-", 1),
        "RouteTableId": id.replacen("vpc-", "vtb-", 1),
        "ResourceGroupId": "",
    }))
}

pub(super) fn describe_vpcs(context: &mut Context<'_>) -> Answer {
    let cloud = &*context.cloud;
    let matches = |vpc: &&Vpc| {
        vpc.common.region == context.region
            && listed(context.get("VpcId"), &vpc.common.id)
            && equals(context.get("VpcName"), &vpc.common.name)
            && context.has_tags(&vpc.common)
    };
    let vpcs = cloud.vpcs.values().filter(matches);
    let vpcs: Vec<Value> = vpcs.map(|vpc| vpc.to_json(cloud)).collect();
    Ok(context.page("Vpcs", "Vpc", vpcs))
}

pub(super) fn delete_vpc(context: &mut Context<'_>) -> Answer {
    let id = context.require("VpcId")?;
    let Some(vpc) = context.cloud.vpcs.get(&id) else {
        return Err(ApiError::gateway("InvalidVpcID.NotFound"));
    };
    if vpc.pending.is_some() {
        return Err(context.error("IncorrectVpcStatus"));
    }
    if context.cloud.vswitches.values().any(|v| v.vpc == id) {
        return Err(context.error("DependencyViolation.VSwitch"));
    }
    if context.cloud.security_groups.values().any(|g| g.vpc == id) {
        return Err(context.error("DependencyViolation.SecurityGroup"));
    }
    context.cloud.vpcs.remove(&id);
    Ok(json!({}))
}

pub(super) fn create_vswitch(context: &mut Context<'_>) -> Answer {
    let vpc = context.require("VpcId")?;
    let zone = context.require("ZoneId")?;
    let cidr = context.require("CidrBlock")?;
    check_vswitch(context, &vpc, &zone, &cidr)?;
    let name = context.text("VSwitchName");
    let common = context.common("vsw", name);
    let id = common.id.clone();
    let mut delay = context.cloud.delays.vswitch;
    if context.takes_fault(StateFault::SlowVSwitch) {
        delay *= 10;
    }
    let pending = Some(context.begin("vswitch", &id, delay));
    let vswitch = VSwitch {
        common,
        vpc,
        zone,
        cidr,
        ipv6: false,
        pending,
        deleting: None,
    };
    context.cloud.vswitches.insert(id.clone(), vswitch);
    Ok(json!({"VSwitchId": id}))
}

fn check_vswitch(
    context: &Context<'_>,
    vpc_id: &str,
    zone: &str,
    cidr: &str,
) -> Result<(), ApiError> {
    let Some(vpc) = context.cloud.vpcs.get(vpc_id) else {
        return Err(ApiError::gateway("InvalidVpcID.NotFound"));
    };
    if vpc.pending.is_some() {
        return Err(context.error("IncorrectVpcStatus"));
    }
    if !zones(&vpc.common.region).iter().any(|z| z == zone) {
        return Err(context.error("InvalidZoneId.NotFound"));
    }
    let malformed = || context.error("InvalidCidrBlock.Malformed");
    let network = Network::parse(cidr).ok_or_else(malformed)?;
    let whole = Network::parse(&vpc.cidr).ok_or_else(malformed)?;
    if !(16..=29).contains(&network.length) || !whole.contains(network) {
        return Err(malformed());
    }
    let siblings = context.cloud.vswitches.values();
    let siblings: Vec<&VSwitch> = siblings.filter(|v| v.vpc == vpc_id).collect();
    if siblings.len() >= context.cloud.quotas.vswitches {
        return Err(context.error("QuotaExceeded.VSwitch"));
    }
    let overlaps = |v: &&&VSwitch| {
        Network::parse(&v.cidr).is_some_and(|n| n.contains(network) || network.contains(n))
    };
    if siblings.iter().find(overlaps).is_some() {
        return Err(context.error("InvalidCidrBlock.Overlapped"));
    }
    Ok(())
}

pub(super) fn describe_vswitches(context: &mut Context<'_>) -> Answer {
    let matches = |vswitch: &&VSwitch| {
        vswitch.common.region == context.region
            && listed(context.get("VSwitchId"), &vswitch.common.id)
            && equals(context.get("VpcId"), &vswitch.vpc)
            && equals(context.get("ZoneId"), &vswitch.zone)
            && equals(context.get("VSwitchName"), &vswitch.common.name)
            && context.has_tags(&vswitch.common)
    };
    let vswitches = context.cloud.vswitches.values().filter(matches);
    let vswitches: Vec<Value> = vswitches.map(VSwitch::to_json).collect();
    Ok(context.page("VSwitches", "VSwitch", vswitches))
}

pub(super) fn delete_vswitch(context: &mut Context<'_>) -> Answer {
    let id = context.require("VSwitchId")?;
    let Some(vswitch) = context.cloud.vswitches.get(&id) else {
        let code = match context.product {
            "Vpc" => "InvalidVSwitchId.NotFound",
            _ => "InvalidVswitchID.NotFound",
        };
        return Err(context.error(code));
    };
    if !vswitch.is_available() {
        return Err(context.error("IncorrectVSwitchStatus"));
    }
    if context.cloud.vswitch_in_use(&id) {
        return Err(context.error("DependencyViolation"));
    }
    let deleting = context.begin("delete_vswitch", &id, context.cloud.delays.delete_vswitch);
    if let Some(vswitch) = context.cloud.vswitches.get_mut(&id) {
        vswitch.deleting = Some(deleting);
    }
    Ok(json!({}))
}

/// An IPv4 network.
#[derive(Clone, Copy)]
struct Network {
    base: u32,
    length: u32,
}

impl Network {
    /// Parses `10.0.0.0/8`; host bits must be zero.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let base: std::net::Ipv4Addr = address.parse().ok()?;
        let length: u32 = length.parse().ok().filter(|l| (8..=32).contains(l))?;
        let base = u32::from(base);
        (base & !mask(length) == 0).then_some(Self { base, length })
    }

    fn contains(self, other: Self) -> bool {
        self.length <= other.length && other.base & mask(self.length) == self.base
    }
}

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}
