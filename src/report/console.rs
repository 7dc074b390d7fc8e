//! Links to Alibaba Cloud's console.
//!
//! Facts: Alibaba Cloud's help pages link to the list of a region's images; a
//! page of one image has no address that they document.

use crate::artifact::Image;

/// Where the console lists an image among those of its region; none for one
/// whose region is not fit for an address.
pub(super) fn images(image: &Image) -> Option<String> {
    let region = &image.region;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_fit = !region.is_empty() && region.bytes().all(is_plain);
    is_fit.then(|| format!("https://ecs.console.aliyun.com/image/region/{region}/imageList"))
}
