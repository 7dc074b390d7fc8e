//! VPCs, vSwitches, security groups and elastic IP addresses.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{Cloud, Common, Transition, is_due};
use crate::clock::{Moment, iso};
use crate::state::instance::tags_json;

#[derive(Clone)]
pub(crate) struct Vpc {
    pub(crate) common: Common,
    pub(crate) cidr: String,
    pub(crate) pending: Option<Transition>,
}

#[derive(Clone)]
pub(crate) struct VSwitch {
    pub(crate) common: Common,
    pub(crate) vpc: String,
    pub(crate) zone: String,
    pub(crate) cidr: String,
    /// Whether it has IPv6, too.
    pub(crate) ipv6: bool,
    pub(crate) pending: Option<Transition>,
    pub(crate) deleting: Option<Transition>,
}

#[derive(Clone)]
pub(crate) struct SecurityGroup {
    pub(crate) common: Common,
    pub(crate) vpc: String,
    pub(crate) rules: Vec<Rule>,
}

/// A rule of a security group.
#[derive(Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) direction: &'static str,
    pub(crate) protocol: String,
    pub(crate) port_range: String,
    pub(crate) cidr: String,
    pub(crate) policy: String,
    pub(crate) priority: String,
}

#[derive(Clone)]
pub(crate) struct Eip {
    pub(crate) common: Common,
    pub(crate) address: Ipv4Addr,
    pub(crate) bandwidth: String,
    pub(crate) charge_type: String,
    pub(crate) instance: Option<String>,
    pub(crate) status: EipStatus,
    pub(crate) transition: Option<Transition>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EipStatus {
    Pending,
    Available,
    Associating,
    InUse,
    Unassociating,
    Releasing,
}

impl Cloud {
    pub(crate) fn settle_network(&mut self, now: Moment) {
        self.lingering.retain(|interface| interface.until > now);
        self.vswitches.retain(|_, v| !is_due(v.deleting, now));
        for vswitch in self.vswitches.values_mut() {
            clear_when_over(&mut vswitch.pending, now);
        }
        for vpc in self.vpcs.values_mut() {
            clear_when_over(&mut vpc.pending, now);
        }
        let gone = |eip: &Eip| eip.status == EipStatus::Releasing && is_due(eip.transition, now);
        self.eips.retain(|_, eip| !gone(eip));
        for eip in self.eips.values_mut() {
            eip.settle(now);
        }
    }

    /// Whether an instance, or what is left of one, uses a security group.
    pub(crate) fn security_group_in_use(&self, id: &str) -> bool {
        let uses = |groups: &[String]| groups.iter().any(|group| group == id);
        let mut instances = self.instances.values();
        instances.any(|instance| uses(&instance.security_groups))
            || self.lingering.iter().any(|l| uses(&l.security_groups))
    }

    /// Whether an instance, or what is left of one, is in a vSwitch.
    pub(crate) fn vswitch_in_use(&self, id: &str) -> bool {
        let mut instances = self.instances.values();
        instances.any(|instance| instance.vswitch == id)
            || self.lingering.iter().any(|l| l.vswitch == id)
    }
}

fn clear_when_over(transition: &mut Option<Transition>, now: Moment) {
    if is_due(*transition, now) {
        *transition = None;
    }
}

impl Eip {
    fn settle(&mut self, now: Moment) {
        if !is_due(self.transition, now) {
            return;
        }
        self.transition = None;
        self.status = match self.status {
            EipStatus::Associating => EipStatus::InUse,
            EipStatus::Unassociating => {
                self.instance = None;
                EipStatus::Available
            }
            EipStatus::Pending => EipStatus::Available,
            other => other,
        };
    }

    pub(crate) fn to_json(&self) -> Value {
        let instance_type = self.instance.as_ref().map_or("", |_| "EcsInstance");
        json!({
            "AllocationId": self.common.id,
            "IpAddress": self.address.to_string(),
            "Status": format!("{:?}", self.status),
            "InstanceId": self.instance.clone().unwrap_or_default(),
            "InstanceType": instance_type,
            "RegionId": self.common.region,
            "Bandwidth": self.bandwidth,
            "InternetChargeType": self.charge_type,
            "ChargeType": "PostPaid",
            "Name": self.common.name,
            "Description": self.common.description,
            "ResourceGroupId": self.common.resource_group,
            "AllocationTime": iso(self.common.created),
            "ExpiredTime": "",
            "OperationLocks": {"LockReason": []},
            "Tags": {"Tag": key_value_tags(&self.common)},
        })
    }
}

impl Vpc {
    pub(crate) fn to_json(&self, cloud: &Cloud) -> Value {
        let vswitches = cloud.vswitches.values();
        let ids = vswitches
            .filter(|v| v.vpc == self.common.id)
            .map(|v| v.common.id.clone());
        json!({
            "VpcId": self.common.id,
            "RegionId": self.common.region,
            "Status": if self.pending.is_some() { "Pending" } else { "Available" },
            "VpcName": self.common.name,
            "Description": self.common.description,
            "CidrBlock": self.cidr,
            "IsDefault": false,
            "VRouterId": self.common.id.replacen("vpc-", "vrt-", 1),
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso(self.common.created),
            "VSwitchIds": {"VSwitchId": ids.collect::<Vec<_>>()},
            "UserCidrs": {"UserCidr": []},
            "Tags": {"Tag": key_value_tags(&self.common)},
        })
    }
}

impl VSwitch {
    pub(crate) fn is_available(&self) -> bool {
        self.pending.is_none() && self.deleting.is_none()
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "VSwitchId": self.common.id,
            "VpcId": self.vpc,
            "ZoneId": self.zone,
            "Status": if self.is_available() { "Available" } else { "Pending" },
            "VSwitchName": self.common.name,
            "Description": self.common.description,
            "CidrBlock": self.cidr,
            "AvailableIpAddressCount": 252,
            "IsDefault": false,
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso(self.common.created),
            "Tags": {"Tag": key_value_tags(&self.common)},
        })
    }
}

impl SecurityGroup {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "SecurityGroupId": self.common.id,
            "SecurityGroupName": self.common.name,
            "Description": self.common.description,
            "SecurityGroupType": "normal",
            "VpcId": self.vpc,
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso(self.common.created),
            "ServiceManaged": false,
            "Tags": {"Tag": tags_json(&self.common.tags)},
        })
    }
}

impl Rule {
    pub(crate) fn to_json(&self) -> Value {
        let ingress = self.direction == "ingress";
        json!({
            "Direction": self.direction,
            "IpProtocol": self.protocol.to_ascii_uppercase(),
            "PortRange": self.port_range,
            "SourceCidrIp": if ingress { self.cidr.as_str() } else { "" },
            "DestCidrIp": if ingress { "" } else { self.cidr.as_str() },
            "Policy": self.policy,
            "Priority": self.priority,
            "NicType": "intranet",
        })
    }
}

/// Tags as VPC answers them; ECS has other member names.
fn key_value_tags(common: &Common) -> Vec<Value> {
    let tags = common.tags.iter();
    tags.map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}
