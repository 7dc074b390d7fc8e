//! What lives in the cloud because of calls: everything that was not seeded.

use serde::Serialize;

use crate::api::all_resources;
use crate::state::{Cloud, Tags};

/// A living resource that was made by a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alive {
    /// `instance`, `image`, `vpc`, … as the tag actions name types.
    pub kind: &'static str,
    /// Id.
    pub id: String,
    /// Region.
    pub region: String,
    /// Name, possibly empty.
    pub name: String,
    /// Tags.
    pub tags: Tags,
}

pub(crate) fn alive(cloud: &Cloud) -> Vec<Alive> {
    let regions = crate::catalogue::regions().keys();
    let all = regions.flat_map(|region| all_resources(cloud, region));
    all.filter(|(_, common)| !common.seeded)
        .map(|(kind, common)| Alive {
            kind,
            id: common.id.clone(),
            region: common.region.clone(),
            name: common.name.clone(),
            tags: common.tags.clone(),
        })
        .collect()
}
