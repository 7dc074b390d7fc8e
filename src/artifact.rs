//! What a build leaves behind on purpose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The result of a builder or post-processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Packer's id of what made it, for example `alibaba.alicloud`.
    pub builder_id: String,
    /// `region:image-id` pairs sorted and joined by `,` for cloud images.
    pub id: String,
    /// The text shown to people at the end.
    pub description: String,
    /// Local files, if any.
    pub files: Vec<PathBuf>,
    /// Cloud images, one per region, the main region first.
    pub images: Vec<Image>,
}

/// A cloud image that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The build that made it.
    pub build: String,
    /// The builder type, for example `alicloud-ecs`.
    #[serde(rename = "type")]
    pub builder_type: String,
    /// The region it is in.
    pub region: String,
    /// Its id, `m-…`.
    pub image_id: String,
    /// Its name.
    pub image_name: String,
    /// The image it was made from.
    pub source_image: String,
    /// The snapshots it consists of.
    pub snapshot_ids: Vec<String>,
    /// Size of the system disk in GiB, 0 when unknown.
    pub size_gib: u64,
    /// When it became available, RFC 3339, UTC.
    pub created: String,
    /// The object it was imported from, `oss://bucket/key`, when that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss_object: Option<String>,
}

impl Artifact {
    /// The artifact of a builder that makes cloud images.
    pub fn of_images(builder_id: &str, images: Vec<Image>) -> Self {
        let by_region: BTreeMap<_, _> = images
            .iter()
            .map(|image| (&image.region, &image.image_id))
            .collect();
        let id: Vec<_> = by_region
            .iter()
            .map(|(region, id)| format!("{region}:{id}"))
            .collect();
        let lines: Vec<_> = by_region
            .iter()
            .map(|(region, id)| format!("{region}: {id}"))
            .collect();
        Self {
            builder_id: builder_id.to_owned(),
            id: id.join(","),
            description: format!("Alicloud images were created:\n\n{}", lines.join("\n")),
            files: Vec::new(),
            images,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(region: &str, id: &str) -> Image {
        Image {
            build: "web".into(),
            builder_type: "alicloud-ecs".into(),
            region: region.into(),
            image_id: id.into(),
            image_name: "n".into(),
            source_image: "s".into(),
            snapshot_ids: vec![],
            size_gib: 40,
            created: String::new(),
            oss_object: None,
        }
    }

    #[test]
    fn id_and_description_are_sorted_by_region() {
        let artifact = Artifact::of_images(
            "alibaba.alicloud",
            vec![image("cn-hangzhou", "m-1"), image("cn-beijing", "m-2")],
        );
        assert_eq!(artifact.id, "cn-beijing:m-2,cn-hangzhou:m-1");
        assert_eq!(
            artifact.description,
            "Alicloud images were created:\n\ncn-beijing: m-2\ncn-hangzhou: m-1"
        );
    }
}
