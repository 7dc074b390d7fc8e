//! Typed requests and answers of Virtual Private Cloud and EIP, 2016-04-28.
#![expect(
    missing_docs,
    reason = "fields are documented in the API's own reference"
)]

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{flag, list, number, text};
use crate::cloud::{Done, Tag};

/// Makes a VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVpc {
    pub cidr_block: Option<String>,
    pub vpc_name: Option<String>,
    pub description: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Vpc CreateVpc -> CreateVpcResponse, WithClientToken, Create);

/// The new VPC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateVpcResponse {
    pub vpc_id: String,
}

/// Finds VPCs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVpcs {
    /// Up to 20 ids, separated by commas.
    pub vpc_id: Option<String>,
    pub vpc_name: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 50; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Vpc DescribeVpcs -> DescribeVpcsResponse, Always, Call);
pages!(DescribeVpcs.vpcs: Vpc, 50);

/// One page of VPCs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeVpcsResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub vpcs: Vec<Vpc>,
}

/// A VPC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vpc {
    pub vpc_id: String,
    pub vpc_name: String,
    /// `Pending` or `Available`.
    pub status: String,
    pub cidr_block: String,
    #[serde(deserialize_with = "flag")]
    pub is_default: bool,
    #[serde(rename = "VSwitchIds", deserialize_with = "list")]
    pub vswitch_ids: Vec<String>,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Deletes an empty VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVpc {
    pub vpc_id: String,
}
action!(Vpc DeleteVpc -> Done, Always, Call);

/// Makes a vSwitch, the subnet of a VPC in a zone.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVSwitch {
    pub vpc_id: String,
    pub zone_id: String,
    pub cidr_block: String,
    #[serde(rename = "VSwitchName")]
    pub vswitch_name: Option<String>,
    pub description: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Vpc CreateVSwitch -> CreateVSwitchResponse, WithClientToken, Create);

/// The new vSwitch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateVSwitchResponse {
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: String,
}

/// Finds vSwitches.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVSwitches {
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: Option<String>,
    #[serde(rename = "VSwitchName")]
    pub vswitch_name: Option<String>,
    pub vpc_id: Option<String>,
    pub zone_id: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 50; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Vpc DescribeVSwitches -> DescribeVSwitchesResponse, Always, Call);
pages!(DescribeVSwitches.vswitches: VSwitch, 50);

/// One page of vSwitches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeVSwitchesResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(rename = "VSwitches", deserialize_with = "list")]
    pub vswitches: Vec<VSwitch>,
}

/// A vSwitch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VSwitch {
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: String,
    #[serde(rename = "VSwitchName")]
    pub vswitch_name: String,
    pub vpc_id: String,
    pub zone_id: String,
    /// `Pending` or `Available`.
    pub status: String,
    pub cidr_block: String,
    #[serde(deserialize_with = "number")]
    pub available_ip_address_count: u64,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Deletes a vSwitch that nothing uses any more.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVSwitch {
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: String,
}
action!(Vpc DeleteVSwitch -> Done, Always, Call);

/// Rents a public address.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllocateEipAddress {
    pub name: Option<String>,
    pub description: Option<String>,
    /// Mbit/s.
    pub bandwidth: Option<u32>,
    /// `PayByTraffic` or `PayByBandwidth`.
    pub internet_charge_type: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Vpc AllocateEipAddress -> AllocateEipAddressResponse, WithClientToken, Create);

/// The new address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocateEipAddressResponse {
    pub allocation_id: String,
    /// The address itself.
    pub eip_address: String,
}

/// Gives an address to an instance.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateEipAddress {
    pub allocation_id: String,
    pub instance_id: String,
    /// `EcsInstance` when absent.
    pub instance_type: Option<String>,
}
action!(Vpc AssociateEipAddress -> Done, WithClientToken, Call);

/// Takes an address from its instance. One without instance refuses: look
/// first.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnassociateEipAddress {
    pub allocation_id: String,
    pub instance_id: Option<String>,
    /// `EcsInstance` when absent.
    pub instance_type: Option<String>,
}
action!(Vpc UnassociateEipAddress -> Done, WithClientToken, Call);

/// Gives an address back.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReleaseEipAddress {
    pub allocation_id: String,
}
action!(Vpc ReleaseEipAddress -> Done, Always, Call);

/// Finds addresses.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeEipAddresses {
    pub allocation_id: Option<String>,
    pub eip_address: Option<String>,
    pub eip_name: Option<String>,
    /// `EcsInstance` when `associated_instance_id` is set.
    pub associated_instance_type: Option<String>,
    pub associated_instance_id: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Vpc DescribeEipAddresses -> DescribeEipAddressesResponse, Always, Call);
pages!(DescribeEipAddresses.eip_addresses: EipAddress, 100);

/// One page of addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeEipAddressesResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub eip_addresses: Vec<EipAddress>,
}

/// An address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EipAddress {
    pub allocation_id: String,
    pub ip_address: String,
    pub name: String,
    /// `Associating`, `Unassociating`, `InUse`, `Available` or `Releasing`.
    pub status: String,
    pub instance_id: String,
    pub instance_type: String,
    #[serde(deserialize_with = "text")]
    pub bandwidth: String,
    pub allocation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}
