//! Which images somebody may have meant who named one that is not there.
//!
//! Pure, but for the listing: the order is by likeness of the name, then by
//! age. It only feeds hints, so a listing that fails says nothing.

use std::cmp::Reverse;

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud::ecs::{DescribeImages, Image};

/// More would be a catalogue.
const SHOWN: usize = 5;

impl AlicloudEcs<'_> {
    /// The sentence about images like the one that was asked for; nothing when
    /// there are none, or they may not be listed.
    pub(super) async fn hint_at_candidates(
        &self,
        cx: &BuildContext<'_>,
        wanted: &str,
    ) -> Option<String> {
        // Ids of images that people made say nothing about what is in them.
        let owner = wanted.starts_with("m-").then(|| "self".to_owned());
        let request = DescribeImages {
            image_owner_alias: owner,
            ..Default::default()
        };
        let images = self.cloud.list(self.region(), &request, cx.stop).await;
        nearest(wanted, images.unwrap_or_default())
    }
}

/// The sentence about the images most like `wanted`.
pub(super) fn nearest(wanted: &str, mut images: Vec<Image>) -> Option<String> {
    sort_by_age(&mut images);
    // Stable, so the newest comes first among the equally like.
    images.sort_by_key(|image| distance(wanted, image));
    let listed = list(&images);
    (!images.is_empty()).then(|| format!("The nearest are {listed}"))
}

/// The newest first; the id decides between images of the same second.
pub(super) fn sort_by_age(images: &mut [Image]) {
    images.sort_by_key(|image| Reverse((image.creation_time.clone(), image.image_id.clone())));
}

/// The first of the images, each with its id, name and age.
pub(super) fn list(images: &[Image]) -> String {
    let shown: Vec<_> = images.iter().take(SHOWN).map(describe).collect();
    match images.len().saturating_sub(SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn describe(image: &Image) -> String {
    let Image {
        image_id,
        image_name,
        creation_time,
        ..
    } = image;
    // Public images have their id as their name.
    if image_name == image_id || image_name.is_empty() {
        return format!("{image_id} ({creation_time})");
    }
    format!("{image_id} ({image_name}, {creation_time})")
}

/// Stands for "as far apart as can be" where the names say nothing.
const UNLIKE: usize = usize::MAX;

fn distance(wanted: &str, image: &Image) -> usize {
    if wanted.starts_with("m-") {
        return UNLIKE;
    }
    let names = [&image.image_name, &image.image_family, &image.image_id];
    let known = names.into_iter().filter(|name| !name.is_empty());
    known
        .map(|name| strsim::osa_distance(wanted, name))
        .min()
        .unwrap_or(UNLIKE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, name: &str, created: &str) -> Image {
        Image {
            image_id: id.into(),
            image_name: name.into(),
            creation_time: created.into(),
            ..Default::default()
        }
    }

    #[test]
    fn names_decide_and_then_age() {
        let images = vec![
            image("m-1", "db", "2026-01-03T00:00:00Z"),
            image("m-2", "web-1", "2026-01-01T00:00:00Z"),
            image("m-3", "web-2", "2026-01-02T00:00:00Z"),
            image("ubuntu.vhd", "ubuntu.vhd", "2025-01-02T00:00:00Z"),
        ];
        assert_eq!(
            nearest("web-9", images.clone()).unwrap(),
            "The nearest are m-3 (web-2, 2026-01-02T00:00:00Z); m-2 (web-1, 2026-01-01T00:00:00Z); \
             m-1 (db, 2026-01-03T00:00:00Z); ubuntu.vhd (2025-01-02T00:00:00Z)"
        );
        assert!(
            nearest("m-9", images)
                .unwrap()
                .starts_with("The nearest are m-1 ")
        );
        assert_eq!(nearest("web", Vec::new()), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let images: Vec<_> = (0..7).map(|n| image(&format!("m-{n}"), "", "T")).collect();
        assert!(list(&images).ends_with("m-4 (T); and 2 more"));
    }
}
