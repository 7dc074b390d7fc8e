//! Tags, and reading them back.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::list;
use crate::cloud::{Done, Tag};

/// Adds tags to resources of one type, for example `snapshot`, up to 50 at
/// once. Existing keys get the new value.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResources {
    pub resource_type: String,
    pub resource_id: Vec<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs TagResources -> Done, Always, Call);

/// Takes tags off resources of one type, up to 50 at once. Keys that are not
/// there are none the worse.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResources {
    pub resource_type: String,
    pub resource_id: Vec<String>,
    pub tag_key: Vec<String>,
}
action!(Ecs UntagResources -> Done, Always, Call);

/// Finds tagged resources of one type; all `tag`s must match.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagResources {
    pub resource_type: String,
    pub resource_id: Vec<String>,
    pub tag: Vec<Tag>,
    pub next_token: Option<String>,
}
action!(Ecs ListTagResources -> ListTagResourcesResponse, Always, Call);

/// One page of tags.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagResourcesResponse {
    /// Empty on the last page.
    pub next_token: String,
    #[serde(deserialize_with = "list")]
    pub tag_resources: Vec<TagResource>,
}

/// A tag of a resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResource {
    pub resource_type: String,
    pub resource_id: String,
    pub tag_key: String,
    pub tag_value: String,
}
