//! An image that takes the place of older ones, when that was cut off: it is
//! taken back while an older one is there, and finished otherwise. So there
//! is never none of the name, and never two.

use super::delete::Deleter;
use super::{Journal, Replacement};
use crate::cloud::ecs::{DescribeImages, Image, ModifyImageAttribute};
use crate::error::Result;

/// Gives the image its name when the older ones are gone. Says whether it did;
/// if not, the image is to be deleted.
pub(super) async fn finish(
    journal: &Journal,
    deleter: &Deleter<'_>,
    id: &str,
    replacement: &Replacement,
) -> Result<bool> {
    let Replacement { name, snapshots } = replacement;
    let of_name = own_images(deleter, name).await?;
    if of_name.iter().any(|image| image.image_id != id) {
        return Ok(false);
    }
    let Some(image) = deleter.describe_image(id).await? else {
        return Ok(false);
    };
    if of_name.is_empty() {
        let request = ModifyImageAttribute {
            image_id: id.to_owned(),
            image_name: Some(name.clone()),
            ..Default::default()
        };
        deleter.call(&request).await?;
    }
    for snapshot in snapshots {
        deleter.snapshot(snapshot).await?;
    }
    let parts = image.disk_device_mappings.iter();
    let parts = parts.map(|mapping| mapping.snapshot_id.as_str());
    let kept: Vec<_> = std::iter::once(id).chain(parts).collect();
    journal.keep_all(&kept)?;
    Ok(true)
}

/// Own images with exactly this name.
async fn own_images(deleter: &Deleter<'_>, name: &str) -> Result<Vec<Image>> {
    let mut images = deleter.call(&DescribeImages::own(name)).await?.images;
    images.retain(|image| image.image_name == name);
    Ok(images)
}
