//! Finding resources by their tags: an intent whose call has an unknown fate,
//! or everything of a run whose journal is lost.

use std::time::Duration;

use jiff::Timestamp;

use super::log::{Entry, Intent};
use super::marker::marker_id_of;
use super::resource::Kind;
use super::tags;
use super::upload::{self, upload_id};
use crate::cloud::ecs::{
    ANY_IMAGE_STATUS, DescribeImages, DescribeInstances, DescribeKeyPairs, DescribeSecurityGroups,
    DescribeSnapshots,
};
use crate::cloud::vpc::{DescribeEipAddresses, DescribeVSwitches, DescribeVpcs};
use crate::cloud::{self, Cloud, Tag};
use crate::engine::stop::Stop;
use crate::error::{Error, Result};

/// A resource with our tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Where it is.
    pub region: String,
    /// The run that made it.
    pub run: String,
    /// When anyone may delete it.
    pub expires_at: Option<Timestamp>,
}

/// What a search by tags came to.
#[derive(Debug, Default)]
pub struct Tagged {
    /// What was found.
    pub found: Vec<Found>,
    /// Kinds that the keys may not list.
    pub refused: Vec<(Kind, Error)>,
}

/// Kinds that carry tags. An EIP association has none: it ends with its EIP.
/// Copies and imported images are found as images.
const TAGGED: [Kind; 8] = [
    Kind::Instance,
    Kind::Image,
    Kind::Eip,
    Kind::KeyPair,
    Kind::SecurityGroup,
    Kind::VSwitch,
    Kind::Snapshot,
    Kind::Vpc,
];

/// How often an unknown fate is looked up: what was just made may take a
/// moment to be listed.
const LOOK_UPS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(3);

/// The id of what an intent made, if it made anything.
pub(super) async fn resolve(
    cloud: &Cloud,
    run: &str,
    entry: &Entry,
    stop: &Stop,
) -> Result<Option<String>> {
    let intent = &entry.intent;
    match intent.kind {
        // Named before they are made, and deleting what is not there is no
        // failure.
        Kind::EipAssociation | Kind::OssObject | Kind::OssBucket => {
            return Ok(Some(intent.name.clone()));
        }
        Kind::OssMarker => return Ok(marker_id_of(&intent.name).map(str::to_owned)),
        Kind::OssUpload => return newest_upload(cloud, intent, stop).await,
        _ => {}
    }
    let tags = vec![
        Tag::new(tags::RUN_ID, run),
        Tag::new(tags::INTENT, entry.number.to_string()),
    ];
    for look_up in 1..=LOOK_UPS {
        let found = list(cloud, &intent.region, intent.kind, &tags, stop).await?;
        if let Some((id, _)) = found.into_iter().next() {
            return Ok(Some(id));
        }
        if look_up < LOOK_UPS && !stop.is_hurried() {
            stop.sleep(PAUSE).await?;
        }
    }
    Ok(None)
}

/// The upload of an object whose name is in the intent.
async fn newest_upload(cloud: &Cloud, intent: &Intent, stop: &Stop) -> Result<Option<String>> {
    let Some((bucket, key)) = upload::target_of(&intent.name) else {
        return Ok(None);
    };
    let oss = cloud.oss(&intent.region)?;
    match oss.newest_upload(bucket, key, stop).await {
        Ok(upload) => Ok(upload.as_ref().map(upload_id)),
        // Its bucket is gone, and so is it.
        Err(error) if cloud::is_code(&error, &["NoSuchBucket"]) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Temporary resources in a region: of one run, or of all. An image and its
/// snapshot are among them until they are finished. Who may import only may not
/// list instances: that is no reason not to find the image.
///
/// # Errors
/// When a listing fails for another reason than that it is not allowed.
pub async fn by_tags(
    cloud: &Cloud,
    region: &str,
    run: Option<&str>,
    stop: &Stop,
) -> Result<Tagged> {
    let of_run = run.map(|run| Tag::new(tags::RUN_ID, run));
    let filter: Vec<_> = std::iter::once(Tag::new(tags::TEMPORARY, "true"))
        .chain(of_run)
        .collect();
    let mut tagged = Tagged::default();
    for kind in TAGGED {
        let listed = match list(cloud, region, kind, &filter, stop).await {
            Err(error) if cloud::is_forbidden(&error) => {
                tagged.refused.push((kind, error));
                continue;
            }
            outcome => outcome?,
        };
        for (id, tags) in listed {
            tagged.found.extend(recognize(kind, id, region, &tags));
        }
    }
    Ok(tagged)
}

fn recognize(kind: Kind, id: String, region: &str, tags: &[Tag]) -> Option<Found> {
    let value = |key: &str| {
        tags.iter()
            .find(|tag| tag.key == key)
            .map(|tag| tag.value.as_str())
    };
    Some(Found {
        kind,
        id,
        region: region.to_owned(),
        run: value(tags::RUN_ID)?.to_owned(),
        expires_at: value(tags::EXPIRES_AT).and_then(|text| text.parse().ok()),
    })
}

/// Ids and tags of all resources of a kind that have all the tags.
async fn list(
    cloud: &Cloud,
    region: &str,
    kind: Kind,
    tags: &[Tag],
    stop: &Stop,
) -> Result<Vec<(String, Vec<Tag>)>> {
    let tag = tags.to_vec();
    /// One listing: the request, and the item's id.
    macro_rules! list {
        ($request:ident { $($field:ident: $value:expr),* }, $id:ident) => {{
            let request = $request { tag, $($field: $value,)* ..Default::default() };
            let items = cloud.list(region, &request, stop).await?;
            items.into_iter().map(|item| (item.$id, item.tags)).collect()
        }};
    }
    Ok(match kind {
        Kind::Instance => list!(DescribeInstances {}, instance_id),
        Kind::Image | Kind::ImageCopy | Kind::ImageImport => list!(
            DescribeImages {
                image_owner_alias: Some("self".into()),
                status: Some(ANY_IMAGE_STATUS.into())
            },
            image_id
        ),
        Kind::Snapshot => list!(DescribeSnapshots {}, snapshot_id),
        Kind::KeyPair => list!(DescribeKeyPairs {}, key_pair_name),
        Kind::SecurityGroup => list!(DescribeSecurityGroups {}, security_group_id),
        Kind::Vpc => list!(DescribeVpcs {}, vpc_id),
        Kind::VSwitch => list!(DescribeVSwitches {}, vswitch_id),
        Kind::Eip => list!(DescribeEipAddresses {}, allocation_id),
        Kind::EipAssociation
        | Kind::OssUpload
        | Kind::OssObject
        | Kind::OssMarker
        | Kind::OssBucket
        | Kind::LocalProcess
        | Kind::LocalDirectory => Vec::new(),
    })
}
