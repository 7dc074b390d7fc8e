//! Regions, zones and what is in stock there.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{list, number};

/// The regions this account may use.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRegions {}
action!(Ecs DescribeRegions -> DescribeRegionsResponse, Always, Call);

/// Regions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsResponse {
    #[serde(deserialize_with = "list")]
    pub regions: Vec<Region>,
}

/// A region.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Region {
    pub region_id: String,
    pub region_endpoint: String,
    pub local_name: String,
}

/// The zones of a region and what they sell.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeZones {
    pub instance_charge_type: Option<String>,
}
action!(Ecs DescribeZones -> DescribeZonesResponse, Always, Call);

/// Zones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesResponse {
    #[serde(deserialize_with = "list")]
    pub zones: Vec<Zone>,
}

/// A zone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zone {
    pub zone_id: String,
    pub local_name: String,
    /// For example `VSwitch`, `Instance`, `Disk`.
    #[serde(deserialize_with = "list")]
    pub available_resource_creation: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub available_instance_types: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub available_disk_categories: Vec<String>,
}

/// What is in stock: `destination_resource` is what to list (`Zone`,
/// `InstanceType`, `SystemDisk`, …), the others narrow it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAvailableResource {
    pub destination_resource: String,
    pub resource_type: Option<String>,
    pub instance_charge_type: Option<String>,
    pub spot_strategy: Option<String>,
    pub dedicated_host_id: Option<String>,
    pub zone_id: Option<String>,
    pub io_optimized: Option<String>,
    pub instance_type: Option<String>,
    pub system_disk_category: Option<String>,
    pub data_disk_category: Option<String>,
    pub network_category: Option<String>,
}
action!(Ecs DescribeAvailableResource -> DescribeAvailableResourceResponse, Always, Call);

/// What instance types are like.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypes {
    /// At most 10; all of them when empty.
    pub instance_types: Vec<String>,
}
action!(Ecs DescribeInstanceTypes -> DescribeInstanceTypesResponse, Always, Call);

/// Instance types.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceTypesResponse {
    #[serde(deserialize_with = "list")]
    pub instance_types: Vec<InstanceType>,
}

/// An instance type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceType {
    pub instance_type_id: String,
    /// `X86` or `ARM`.
    pub cpu_architecture: String,
    /// `BIOS`, `UEFI`; empty when the API says nothing.
    #[serde(deserialize_with = "list")]
    pub supported_boot_modes: Vec<String>,
}

/// Stock per zone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAvailableResourceResponse {
    #[serde(deserialize_with = "list")]
    pub available_zones: Vec<AvailableZone>,
}

/// The stock of a zone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableZone {
    pub zone_id: String,
    /// `Available` or `SoldOut`.
    pub status: String,
    /// `WithStock`, `ClosedWithStock`, `WithoutStock` or `ClosedWithoutStock`.
    pub status_category: String,
    #[serde(deserialize_with = "list")]
    pub available_resources: Vec<AvailableResource>,
}

/// The stock of one sort of resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResource {
    #[serde(rename = "Type")]
    pub resource_type: String,
    #[serde(deserialize_with = "list")]
    pub supported_resources: Vec<SupportedResource>,
}

/// One thing on sale, for example an instance type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedResource {
    pub value: String,
    /// `Available` or `SoldOut`.
    pub status: String,
    pub status_category: String,
    /// Smallest disk size in GiB.
    #[serde(deserialize_with = "number")]
    pub min: u64,
    /// Largest disk size in GiB.
    #[serde(deserialize_with = "number")]
    pub max: u64,
}
