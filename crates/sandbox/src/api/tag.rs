//! Tags.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Context, check_tags};
use crate::error::ApiError;
use crate::state::{Cloud, Common};

/// Tags a resource may have.
const LIMIT: usize = 20;

pub(super) fn tag_resources(context: &mut Context<'_>) -> Answer {
    let kind = context.require("ResourceType")?.to_ascii_lowercase();
    let ids = context.params.list("ResourceId");
    set_tags(context, &kind, &ids)
}

/// The older action for one resource.
pub(super) fn add_tags(context: &mut Context<'_>) -> Answer {
    let kind = context.require("ResourceType")?.to_ascii_lowercase();
    let id = context.require("ResourceId")?;
    set_tags(context, &kind, &[id])
}

fn set_tags(context: &mut Context<'_>, kind: &str, ids: &[String]) -> Answer {
    check_tags(context)?;
    let tags = context.params.tags();
    let region = context.region.clone();
    for id in ids {
        let Some(common) = find(context.cloud, &region, kind, id) else {
            return Err(not_found(context));
        };
        let new = tags.keys().filter(|key| !common.tags.contains_key(*key));
        if common.tags.len() + new.count() > LIMIT {
            return Err(context.error("QuotaExceed.Tags"));
        }
    }
    for id in ids {
        if let Some(common) = find(context.cloud, &region, kind, id) {
            common.tags.extend(tags.clone());
        }
    }
    Ok(json!({}))
}

fn not_found(context: &Context<'_>) -> ApiError {
    let error = context.error("InvalidResourceId.NotFound");
    let message = "The specified ResourceIds are not found in our records.";
    ApiError::new(404, error.code, message)
}

pub(super) fn untag_resources(context: &mut Context<'_>) -> Answer {
    let kind = context.require("ResourceType")?.to_ascii_lowercase();
    let keys = context.params.list("TagKey");
    let all = context.params.flag("All");
    let region = context.region.clone();
    for id in context.params.list("ResourceId") {
        let Some(common) = find(context.cloud, &region, &kind, &id) else {
            return Err(not_found(context));
        };
        common
            .tags
            .retain(|key, _| !all && !keys.iter().any(|removed| removed == key));
    }
    Ok(json!({}))
}

pub(super) fn list_tag_resources(context: &mut Context<'_>) -> Answer {
    let kind = context.require("ResourceType")?.to_ascii_lowercase();
    let ids = context.params.list("ResourceId");
    let wanted = context.params.objects("Tag");
    let matches = |key: &str, value: &str| {
        wanted.is_empty()
            || wanted.iter().any(|tag| {
                tag.get("Key").is_none_or(|k| k == key)
                    && tag.get("Value").is_none_or(|v| v == value)
            })
    };
    let mut found = Vec::new();
    for (resource, common) in all(context.cloud, &context.region) {
        if resource != kind || !(ids.is_empty() || ids.contains(&common.id)) {
            continue;
        }
        for (key, value) in common.tags.iter().filter(|(k, v)| matches(k, v)) {
            found.push(json!({
                "ResourceType": kind,
                "ResourceId": common.id,
                "TagKey": key,
                "TagValue": value,
            }));
        }
    }
    Ok(json!({"TagResources": {"TagResource": found}, "NextToken": ""}))
}

pub(super) fn describe_tags(context: &mut Context<'_>) -> Answer {
    let kind = context.get("ResourceType").map(str::to_ascii_lowercase);
    let id = context.get("ResourceId");
    let mut counts: BTreeMap<(String, String), BTreeMap<String, usize>> = BTreeMap::new();
    for (resource, common) in all(context.cloud, &context.region) {
        let wanted = kind.as_ref().is_none_or(|kind| kind == resource)
            && id.is_none_or(|id| id == common.id);
        for (key, value) in common.tags.iter().filter(|_| wanted) {
            let types = counts.entry((key.clone(), value.clone())).or_default();
            *types.entry(capitalised(resource)).or_default() += 1;
        }
    }
    let tags: Vec<Value> = counts
        .into_iter()
        .map(|((key, value), types)| {
            json!({"TagKey": key, "TagValue": value, "ResourceTypeCount": types})
        })
        .collect();
    Ok(context.page("Tags", "Tag", tags))
}

fn capitalised(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A resource of a type as the tag actions name it.
fn find<'a>(cloud: &'a mut Cloud, region: &str, kind: &str, id: &str) -> Option<&'a mut Common> {
    let regional = (region.to_owned(), id.to_owned());
    match kind {
        "image" => cloud.images.get_mut(&regional).map(|r| &mut r.common),
        "keypair" => cloud.key_pairs.get_mut(&regional).map(|r| &mut r.common),
        "snapshot" => cloud.snapshots.get_mut(id).map(|r| &mut r.common),
        "instance" => cloud.instances.get_mut(id).map(|r| &mut r.common),
        "disk" => cloud.disks.get_mut(id).map(|r| &mut r.common),
        "securitygroup" => cloud.security_groups.get_mut(id).map(|r| &mut r.common),
        "vpc" => cloud.vpcs.get_mut(id).map(|r| &mut r.common),
        "vswitch" => cloud.vswitches.get_mut(id).map(|r| &mut r.common),
        "eip" => cloud.eips.get_mut(id).map(|r| &mut r.common),
        _ => None,
    }
}

/// Everything with tags in a region, with its type.
pub(crate) fn all<'a>(
    cloud: &'a Cloud,
    region: &'a str,
) -> impl Iterator<Item = (&'static str, &'a Common)> {
    let of = |kind: &'static str| move |common: &'a Common| (kind, common);
    let images = cloud.images.values().map(|r| &r.common).map(of("image"));
    let keys = cloud
        .key_pairs
        .values()
        .map(|r| &r.common)
        .map(of("keypair"));
    let snapshots = cloud.snapshots.values().map(|r| &r.common);
    let instances = cloud.instances.values().map(|r| &r.common);
    let disks = cloud.disks.values().map(|r| &r.common).map(of("disk"));
    let groups = cloud.security_groups.values().map(|r| &r.common);
    let vpcs = cloud.vpcs.values().map(|r| &r.common).map(of("vpc"));
    let vswitches = cloud.vswitches.values().map(|r| &r.common);
    let eips = cloud.eips.values().map(|r| &r.common).map(of("eip"));
    images
        .chain(keys)
        .chain(snapshots.map(of("snapshot")))
        .chain(instances.map(of("instance")))
        .chain(disks)
        .chain(groups.map(of("securitygroup")))
        .chain(vpcs)
        .chain(vswitches.map(of("vswitch")))
        .chain(eips)
        .filter(move |(_, common)| common.region == region)
}
