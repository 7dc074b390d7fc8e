//! Regions, zones, stock and instance types.

use serde_json::{Value, json};

use super::{Answer, Context, listed};
use crate::catalogue::{DISK_CATEGORIES, INSTANCE_TYPES, InstanceType, regions, zones};

pub(super) fn describe_regions(_context: &mut Context<'_>) -> Answer {
    let regions = regions().iter().map(|(id, region)| {
        json!({
            "RegionId": id,
            "LocalName": region.name,
            "RegionEndpoint": region.ecs,
            "Status": "available",
        })
    });
    Ok(json!({"Regions": {"Region": regions.collect::<Vec<_>>()}}))
}

pub(super) fn describe_zones(context: &mut Context<'_>) -> Answer {
    let zones = zones(&context.region).into_iter();
    let zones: Vec<Value> = zones.map(|zone| zone_json(context, &zone)).collect();
    Ok(json!({"Zones": {"Zone": zones}}))
}

fn zone_json(context: &Context<'_>, zone: &str) -> Value {
    let types: Vec<&str> = INSTANCE_TYPES.iter().map(|kind| kind.id).collect();
    json!({
        "ZoneId": zone,
        "LocalName": zone,
        "ZoneType": "AvailabilityZone",
        "AvailableInstanceTypes": {"InstanceTypes": types},
        "AvailableDiskCategories": {"DiskCategories": DISK_CATEGORIES},
        "AvailableResourceCreation": {"ResourceTypes": ["VSwitch", "IoOptimized", "Instance", "Disk"]},
        "AvailableVolumeCategories": {"VolumeCategories": []},
        "AvailableDedicatedHostGenerations": {"DedicatedHostGenerations": []},
        "DedicatedHostGenerations": {"DedicatedHostGeneration": []},
        "AvailableResources": {"ResourcesInfo": [{
            "IoOptimized": true,
            "NetworkTypes": {"supportedNetworkCategory": ["vpc"]},
            "InstanceTypes": {"supportedInstanceType": types},
            "InstanceTypeFamilies": {"supportedInstanceTypeFamily": []},
            "InstanceGenerations": {"supportedInstanceGeneration": ["ecs-5"]},
            "SystemDiskCategories": {"supportedSystemDiskCategory": DISK_CATEGORIES},
            "DataDiskCategories": {"supportedDataDiskCategory": DISK_CATEGORIES},
        }]},
        "RegionId": context.region,
    })
}

pub(super) fn describe_available_resource(context: &mut Context<'_>) -> Answer {
    let destination = context.require("DestinationResource")?;
    let wanted = context.get("InstanceType");
    let zones = zones(&context.region).into_iter();
    let zones = zones.filter(|zone| listed(context.get("ZoneId"), zone));
    let host = context.get("DedicatedHostId");
    let of_host = host.map(|host| {
        let host = (context.region.clone(), host.to_owned());
        let zone = context.cloud.dedicated_hosts.get(&host);
        zone.ok_or_else(|| context.error("InvalidDedicatedHostId.NotFound"))
    });
    let of_host = of_host.transpose()?;
    let zones = zones.filter(|zone| of_host.is_none_or(|of_host| of_host == zone));
    let zones: Vec<Value> = zones
        .map(|zone| available_zone(context, &zone, wanted, &destination))
        .collect();
    Ok(json!({"AvailableZones": {"AvailableZone": zones}}))
}

fn available_zone(
    context: &Context<'_>,
    zone: &str,
    wanted: Option<&str>,
    destination: &str,
) -> Value {
    let sold_out = |kind: &str| {
        let key = (zone.to_owned(), kind.to_owned());
        context.cloud.out_of_stock.contains(&key)
    };
    let state = |sold_out: bool| {
        if sold_out {
            ("SoldOut", "WithoutStock")
        } else {
            ("Available", "WithStock")
        }
    };
    let types = INSTANCE_TYPES.iter().map(|kind| kind.id);
    let types: Vec<&str> = types.filter(|kind| listed(wanted, kind)).collect();
    let none_left = types.iter().all(|kind| sold_out(kind));
    let (status, category) = state(none_left);
    let resource = |value: &str, sold_out: bool| {
        let (status, category) = state(sold_out);
        json!({"Value": value, "Status": status, "StatusCategory": category})
    };
    let supported: Vec<Value> = match destination {
        "SystemDisk" | "DataDisk" => {
            let disks = DISK_CATEGORIES.iter();
            disks
                .map(|category| {
                    json!({"Value": category, "Status": "Available", "StatusCategory": "WithStock",
                        "Min": 20, "Max": 2048, "Unit": "GiB"})
                })
                .collect()
        }
        "InstanceType" => {
            let types = types.iter();
            types.map(|kind| resource(kind, sold_out(kind))).collect()
        }
        _ => vec![resource(zone, none_left)],
    };
    json!({
        "ZoneId": zone,
        "RegionId": context.region,
        "Status": status,
        "StatusCategory": category,
        "AvailableResources": {"AvailableResource": [{
            "Type": destination,
            "SupportedResources": {"SupportedResource": supported},
        }]},
    })
}

pub(super) fn describe_instance_types(context: &mut Context<'_>) -> Answer {
    let wanted = context.params.list("InstanceTypes");
    let family = context.get("InstanceTypeFamily");
    let matches = |kind: &&InstanceType| {
        (wanted.is_empty() || wanted.iter().any(|id| id == kind.id))
            && family.is_none_or(|family| family_of(kind) == family)
    };
    let types: Vec<Value> = INSTANCE_TYPES
        .iter()
        .filter(matches)
        .map(type_json)
        .collect();
    Ok(json!({"InstanceTypes": {"InstanceType": types}, "NextToken": ""}))
}

fn family_of(kind: &InstanceType) -> &'static str {
    kind.id.rsplit_once('.').map_or("", |parts| parts.0)
}

fn type_json(kind: &InstanceType) -> Value {
    json!({
        "InstanceTypeId": kind.id,
        "InstanceTypeFamily": family_of(kind),
        "CpuCoreCount": kind.cpus,
        "MemorySize": kind.memory_gib,
        "CpuArchitecture": kind.architecture,
        "GPUAmount": 0,
        "GPUSpec": "",
        "InstanceCategory": "General-purpose",
        "NvmeSupport": "unsupported",
        "LocalStorageCategory": "",
        "EniQuantity": 2,
        "DiskQuantity": 17,
        "SupportedBootModes": {"SupportedBootMode": kind.boot_modes()},
    })
}
