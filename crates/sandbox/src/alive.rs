//! What lives in the cloud because of calls: everything that was not seeded.

use serde::Serialize;

use crate::api::all_resources;
use crate::state::bucket::Bucket;
use crate::state::{Cloud, Common, Tags};

/// A living resource that was made by a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alive {
    /// `instance`, `image`, `vpc`, … as the tag actions name types, and
    /// `bucket`, `object`, `upload`.
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

/// A bucket and what is in it.
fn stored(bucket: &Bucket) -> impl Iterator<Item = (&'static str, &Common)> {
    let objects = bucket.objects.values().map(|o| ("object", &o.common));
    let uploads = bucket.uploads.values().map(|u| ("upload", &u.common));
    let itself = std::iter::once(("bucket", &bucket.common));
    itself.chain(objects).chain(uploads)
}

pub(crate) fn alive(cloud: &Cloud) -> Vec<Alive> {
    let regions = crate::catalogue::regions().keys();
    let all = regions.flat_map(|region| all_resources(cloud, region));
    let all = all.chain(cloud.buckets.values().flat_map(stored));
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
