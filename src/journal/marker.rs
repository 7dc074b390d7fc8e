//! Markers: small objects in a bucket that say which object a run is about to
//! upload, so that the upload is found when the run's journal is lost.
//!
//! An upload under way carries no tags, its parts are billed, and no console
//! shows them. So a marker is put before an upload begins, under a name that can
//! be listed, and is deleted after what it is about. What is found with it is
//! deleted only when it is surely that run's: an upload that began just after
//! the marker, or an object that names its marker. While a run that may still
//! live has a marker for the same object, nothing of that object is touched.
//! Facts: the OSS API reference; a listing of uploads tells name, id and time.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::find::Found;
use super::resource::Kind;
use super::tags::RunTags;
use super::upload::upload_id;
use crate::cloud::Cloud;
use crate::cloud::ecs::{ANY_IMAGE_STATUS, DescribeImages};
use crate::cloud::oss::Oss;
use crate::cloud::oss::multipart::Upload;
use crate::engine::stop::Stop;
use crate::error::Result;

/// What the names of all markers begin with.
const PREFIX: &str = "alicloud-image-unfinished/";

/// What an object has its marker's name in.
pub const METADATA: &str = "x-oss-meta-alicloud-image-marker";

const OF: &str = " of ";

/// An upload begins right after its marker was put; what begins later has
/// another origin. Repeating a request that fails takes minutes.
const BEGINS_WITHIN: Duration = Duration::from_secs(3600);

/// A marker has less than 1 KiB, whatever else the prefix is used for.
const LARGEST: u64 = 16 << 10;

const ABOUT: &str = "alicloud-image is making an image of this object. When the run was lost, \
    `alicloud-image cleanup --expired --oss-bucket-name=BUCKET` deletes what it left here.";

/// What a marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// For people who find it.
    pub about: String,
    /// The run that uploads the object.
    pub run: String,
    /// When anyone may delete what the run left, RFC 3339 in UTC.
    pub expires_at: String,
    /// The object's name.
    pub key: String,
    /// Whether the object, once it is whole, is the user's to keep.
    pub keep: bool,
    /// The upload's id, where it was known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

impl Marker {
    /// A marker of a run.
    pub fn new(tags: &RunTags, key: &str) -> Self {
        Self {
            about: ABOUT.to_owned(),
            run: tags.run.clone(),
            expires_at: tags.expires_at_text(),
            key: key.to_owned(),
            keep: false,
            upload: None,
        }
    }

    fn expiry(&self) -> Option<Timestamp> {
        self.expires_at.parse().ok()
    }

    /// Its content.
    pub fn to_json(&self) -> Bytes {
        let mut json = serde_json::to_vec_pretty(self).expect("a marker is plain data");
        json.push(b'\n');
        json.into()
    }
}

/// A name for a marker that no other has.
pub fn new_marker_key() -> String {
    format!("{PREFIX}{}.json", uuid::Uuid::new_v4())
}

/// The name of a marker's intent: its id, and whose marker it is.
pub fn marker_name(bucket: &str, marker: &str, key: &str) -> String {
    format!("{bucket}/{marker}{OF}{bucket}/{key}")
}

/// The id in the name of a marker's intent.
pub(super) fn marker_id_of(name: &str) -> Option<&str> {
    Some(name.split_once(OF)?.0)
}

/// The name of the marker whose intent has this name, if it is of the object.
pub(super) fn marker_key_of<'a>(name: &'a str, bucket: &str, key: &str) -> Option<&'a str> {
    let (id, object) = name.split_once(OF)?;
    let (_, marker) = id.split_once('/')?;
    (object.split_once('/')? == (bucket, key)).then_some(marker)
}

/// Whose leftovers are looked for.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// One run's.
    Run(&'a str),
    /// Those of all runs that had expired by then.
    ExpiredBy(Timestamp),
}

impl Whose<'_> {
    /// Whether they are what is looked for.
    pub fn includes(self, run: &str, expires_at: Option<Timestamp>) -> bool {
        match self {
            Self::Run(wanted) => run == wanted,
            Self::ExpiredBy(now) => expires_at.is_some_and(|end| end < now),
        }
    }
}

/// A marker that is in a bucket.
struct Present {
    /// The marker's own name.
    name: String,
    /// By OSS's clock.
    put: Option<Timestamp>,
    marker: Marker,
}

/// What a search by markers came to.
#[derive(Debug, Default)]
pub struct Marked {
    /// What the markers lead to, and the markers themselves.
    pub found: Vec<Found>,
    /// Objects that a run which may still live uploads as well, so that nothing
    /// of them is found.
    pub shared: Vec<String>,
}

/// What runs left in a bucket.
///
/// # Errors
/// When OSS refuses to list or to show.
pub async fn by_markers(
    cloud: &Cloud,
    region: &str,
    bucket: &str,
    whose: Whose<'_>,
    stop: &Stop,
) -> Result<Marked> {
    let oss = cloud.oss(region)?;
    let present = read_markers(&oss, bucket, stop).await?;
    let (wanted, others): (Vec<_>, Vec<_>) = present.into_iter().partition(|one| {
        let marker = &one.marker;
        whose.includes(&marker.run, marker.expiry())
    });
    let expired = Whose::ExpiredBy(cloud.now());
    let mut marked = Marked::default();
    for one in wanted {
        let is_shared = |Present { marker, .. }: &Present| {
            marker.key == one.marker.key && !expired.includes(&marker.run, marker.expiry())
        };
        if others.iter().any(is_shared) {
            marked.shared.push(one.marker.key);
            continue;
        }
        let ids = one.leads_to(&oss, bucket, stop).await?;
        marked.found.extend(ids.into_iter().map(|(kind, id)| Found {
            kind,
            id,
            region: region.to_owned(),
            run: one.marker.run.clone(),
            expires_at: one.marker.expiry(),
        }));
    }
    Ok(marked)
}

/// What is no marker, or one of a later version, is left alone.
async fn read_markers(oss: &Oss, bucket: &str, stop: &Stop) -> Result<Vec<Present>> {
    let mut present = Vec::new();
    let mut objects = oss.list_objects(bucket, PREFIX, stop).await?;
    objects.retain(|object| object.size <= LARGEST);
    for object in objects {
        let content = oss.get_object(bucket, &object.key, stop).await?;
        match serde_json::from_slice(&content.unwrap_or_default()) {
            Ok(marker) => present.push(Present {
                name: object.key,
                put: object.modified,
                marker,
            }),
            Err(error) => tracing::debug!(%error, object.key, "no marker"),
        }
    }
    Ok(present)
}

impl Present {
    async fn leads_to(&self, oss: &Oss, bucket: &str, stop: &Stop) -> Result<Vec<(Kind, String)>> {
        let key = &self.marker.key;
        let uploads = oss.uploads_of(bucket, key, stop).await?;
        let ours = uploads
            .iter()
            .filter(|(upload, at)| self.is_of(upload, *at));
        let mut ids: Vec<_> = ours
            .map(|(upload, _)| (Kind::OssUpload, upload_id(upload)))
            .collect();
        if self.has_object(oss, bucket, stop).await? {
            ids.push((Kind::OssObject, format!("{bucket}/{key}")));
        }
        ids.push((Kind::OssMarker, format!("{bucket}/{}", self.name)));
        Ok(ids)
    }

    fn is_of(&self, upload: &Upload, initiated: Option<Timestamp>) -> bool {
        if let Some(id) = &self.marker.upload {
            return *id == upload.id;
        }
        let (Some(put), Some(initiated)) = (self.put, initiated) else {
            return false;
        };
        let later = Duration::try_from(initiated.duration_since(put));
        later.is_ok_and(|later| later <= BEGINS_WITHIN)
    }

    /// Whether there is an object that this marker's run made and would delete.
    async fn has_object(&self, oss: &Oss, bucket: &str, stop: &Stop) -> Result<bool> {
        if self.marker.keep {
            return Ok(false);
        }
        let Some(info) = oss.head_object(bucket, &self.marker.key, stop).await? else {
            return Ok(false);
        };
        let is_named = |(name, value): &(String, String)| *name == METADATA && *value == self.name;
        Ok(info.metadata.iter().any(is_named))
    }
}

/// Regions and buckets from which unfinished images are being imported.
///
/// # Errors
/// When a listing fails.
pub async fn buckets_of(
    cloud: &Cloud,
    found: &[Found],
    stop: &Stop,
) -> Result<Vec<(String, String)>> {
    let mut buckets = Vec::new();
    for image in found.iter().filter(|found| found.kind == Kind::Image) {
        let request = DescribeImages {
            image_id: Some(image.id.clone()),
            status: Some(ANY_IMAGE_STATUS.to_owned()),
            ..Default::default()
        };
        let answer = cloud.call(&image.region, &request, stop).await?;
        let mappings = answer
            .images
            .into_iter()
            .flat_map(|it| it.disk_device_mappings);
        let named = mappings.map(|mapping| mapping.import_oss_bucket);
        let named = named.filter(|bucket| !bucket.is_empty());
        buckets.extend(named.map(|bucket| (image.region.clone(), bucket)));
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(upload: Option<&str>) -> Present {
        let put = "2026-11-22T08:00:00Z".parse().unwrap();
        let tags = RunTags::new("r", put, BEGINS_WITHIN, vec![]);
        Present {
            name: "m".into(),
            put: Some(put),
            marker: Marker {
                upload: upload.map(str::to_owned),
                ..Marker::new(&tags, "k")
            },
        }
    }

    #[test]
    fn only_an_upload_that_began_after_its_marker_is_its_own() {
        let upload = |id: &str| Upload {
            bucket: "b".into(),
            key: "k".into(),
            id: id.into(),
        };
        let table = [
            (None, Some("2026-11-22T07:59:59Z"), false),
            (None, Some("2026-11-22T08:00:00Z"), true),
            (None, Some("2026-11-22T08:59:00Z"), true),
            (None, Some("2026-11-22T09:00:01Z"), false),
            (None, None, false),
            (Some("U"), Some("2026-11-20T08:00:00Z"), true),
            (Some("V"), Some("2026-11-22T08:00:00Z"), false),
        ];
        for (known, initiated, expected) in table {
            let initiated = initiated.map(|at| at.parse().unwrap());
            let is_of = present(known).is_of(&upload("U"), initiated);
            assert_eq!(is_of, expected, "{known:?} {initiated:?}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = marker_name("b", "p/m.json", "d/k of x.raw");
        assert_eq!(marker_id_of(&name), Some("b/p/m.json"));
        assert_eq!(marker_key_of(&name, "b", "d/k of x.raw"), Some("p/m.json"));
        assert_eq!(marker_key_of(&name, "b", "d/k"), None);
        assert_eq!(marker_key_of(&name, "c", "d/k of x.raw"), None);
    }

    #[test]
    fn a_marker_is_read_as_it_is_written() {
        let marker = present(Some("U")).marker;
        let read: Marker = serde_json::from_slice(&marker.to_json()).unwrap();
        assert_eq!(read, marker);
    }
}
