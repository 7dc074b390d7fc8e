//! The results of a run as JSON: what `--output-file NAME.json` holds, and
//! what `merge` reads.
//!
//! The schema is stable: fields are added, never renamed or removed. While a
//! run goes on `status` is empty; it stays so when the run is killed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::artifact::Image;
use crate::engine::event::Leftover;

/// The results of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// `success`, `failure`, `partial`, `cancelled` or `nothing`; empty while
    /// the run goes on.
    #[serde(default)]
    pub status: String,
    /// Id in the tags of everything the run created.
    pub build_run_id: String,
    /// How long it took.
    #[serde(default)]
    pub duration_seconds: Option<u64>,
    /// What ended the run as a whole.
    #[serde(default)]
    pub error: Option<String>,
    /// The builds, in the order of the template.
    #[serde(default)]
    pub builds: Vec<BuildEnd>,
    /// The images, in the order of the builds.
    pub images: Vec<Image>,
    /// The first image's id.
    #[serde(default)]
    pub image_id: Option<String>,
    /// The first build's images, region to id.
    #[serde(default)]
    pub image_ids: Map<String, Value>,
    /// The first image's name.
    #[serde(default)]
    pub image_name: Option<String>,
    /// The first image's region.
    #[serde(default)]
    pub region: Option<String>,
    /// The snapshots of all images.
    #[serde(default)]
    pub snapshot_ids: Vec<String>,
    /// What could not be deleted.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
    /// Pictures of what failed machines showed.
    #[serde(default)]
    pub screenshots: Vec<String>,
}

/// A build of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEnd {
    /// Its name.
    pub name: String,
    /// The builder's type.
    #[serde(rename = "type")]
    pub builder_type: String,
    /// Its main region; empty when it is not known.
    #[serde(default)]
    pub region: String,
    /// `success` or `failure`; empty while it goes on.
    #[serde(default)]
    pub status: String,
    /// Why it failed, with all causes.
    #[serde(default)]
    pub error: Option<String>,
}
