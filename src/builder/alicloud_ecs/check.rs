//! What can be known before anything is created: the regions exist, the names
//! are free, the source image is there and fits the instance types, and which
//! zones have them.

use super::AlicloudEcs;
use super::zone::Offer;
use crate::builder::BuildContext;
use crate::cloud::ecs::DescribeRegions;
use crate::cloud::{self, endpoint};
use crate::error::{Error, Kind, Result};
use crate::template::source::Spanned;

/// What the checks found out.
pub(super) struct Checked {
    /// The image the instance starts from.
    pub(super) source_image: String,
    /// As what and where the instance can be, the best first; at least one.
    pub(super) offers: Vec<Offer>,
}

impl AlicloudEcs<'_> {
    pub(super) async fn check(&self, cx: &BuildContext<'_>) -> Result<Checked> {
        cx.events
            .say("Checking region, image name and source image...");
        let publisher = self.publisher();
        let (regions, names, source, offers) = tokio::join!(
            self.check_regions(cx),
            publisher.check_names(cx),
            self.source(cx),
            self.offers(cx),
        );
        regions?;
        names?;
        let source = source?;
        let mut offers = offers?;
        if let Some(image) = &source.details {
            self.check_image(image)?;
            let types = self.describe_types(cx, image).await?;
            offers = self.fitting(cx, image, offers, &types)?;
        }
        cx.events.message(source.found());
        Ok(Checked {
            source_image: source.id,
            offers,
        })
    }

    /// Asks only about regions this version does not know: one call less for
    /// everyone else, and new regions work at once.
    async fn check_regions(&self, cx: &BuildContext<'_>) -> Result<()> {
        let copies = self.options.image.copies.iter().map(|copy| &copy.region);
        let unknown: Vec<_> = std::iter::once(&self.options.access.region)
            .chain(copies)
            .filter(|region| !endpoint::is_known_region(&region.value))
            .collect();
        let access = &self.options.access;
        // Whoever has an endpoint of their own knows their region.
        if unknown.is_empty()
            || access.skip_region_validation
            || access.custom_endpoint_ecs.is_some()
        {
            return Ok(());
        }
        let answer = self.cloud.call(REGION_TO_ASK, &DescribeRegions {}, cx.stop);
        let answer = match answer.await {
            Err(error) if cloud::is_forbidden(&error) => {
                cx.events.message(
                    "Regions may not be listed (ecs:DescribeRegions), so they are not checked",
                );
                return Ok(());
            }
            answer => answer?,
        };
        for region in unknown {
            if !answer
                .regions
                .iter()
                .any(|known| known.region_id == region.value)
            {
                return Err(no_such_region(region));
            }
        }
        Ok(())
    }
}

/// Where regions are listed: a region in doubt has no endpoint to ask at.
const REGION_TO_ASK: &str = "cn-hangzhou";

fn no_such_region(region: &Spanned<String>) -> Error {
    let error = Error::new(
        Kind::Cloud,
        format!("Region `{region}` does not exist for this account"),
    )
    .at(region.span);
    match endpoint::nearest_region(&region.value) {
        Some(nearest) => error.with_hint(format!("Did you mean `{nearest}`?")),
        None => error.with_hint("Set `skip_region_validation` if you are sure that it exists"),
    }
}
