//! What can be known before anything is created: the regions exist, the names
//! are free, the source image is there, and which zones have the type.

use super::AlicloudEcs;
use super::zone::Zones;
use crate::builder::BuildContext;
use crate::cloud::ecs::{DescribeImageFromFamily, DescribeImages, DescribeRegions};
use crate::cloud::{self, endpoint};
use crate::error::{Error, Kind, Result};
use crate::plan::alicloud_ecs::Source;
use crate::template::source::Spanned;

/// What the checks found out.
pub(super) struct Checked {
    /// The image the instance starts from.
    pub(super) source_image: String,
    /// Where the instance can be.
    pub(super) zones: Zones,
}

impl AlicloudEcs<'_> {
    pub(super) async fn check(&self, cx: &BuildContext<'_>) -> Result<Checked> {
        cx.events
            .say("Checking region, image name and source image...");
        let publisher = self.publisher();
        let (regions, names, source, zones) = tokio::join!(
            self.check_regions(cx),
            publisher.check_names(cx),
            self.source(cx),
            self.zones(cx)
        );
        regions?;
        names?;
        let checked = Checked {
            source_image: source?,
            zones: zones?,
        };
        cx.events
            .message(format!("Found source image: {}", checked.source_image));
        Ok(checked)
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
        let answer = self
            .cloud
            .call(REGION_TO_ASK, &DescribeRegions {}, cx.stop)
            .await?;
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

    async fn source(&self, cx: &BuildContext<'_>) -> Result<String> {
        match &self.options.run.source {
            Source::Image(id) => self.source_by_id(cx, id).await,
            Source::Family(family) => self.source_by_family(cx, family).await,
        }
    }

    async fn source_by_id(&self, cx: &BuildContext<'_>, id: &Spanned<String>) -> Result<String> {
        // Marketplace images are only listed when asked for.
        for owner in [None, Some("marketplace")] {
            let request = DescribeImages {
                image_id: Some(id.value.clone()),
                image_owner_alias: owner.map(str::to_owned),
                show_expired: self.options.image.skip_validation.then_some(true),
                ..Default::default()
            };
            let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
            if let Some(image) = answer.images.into_iter().next() {
                return Ok(image.image_id);
            }
        }
        Err(self.no_source(
            format!("Source image `{id}` was not found in {}", self.region()),
            id,
        ))
    }

    async fn source_by_family(
        &self,
        cx: &BuildContext<'_>,
        family: &Spanned<String>,
    ) -> Result<String> {
        let request = DescribeImageFromFamily {
            image_family: family.value.clone(),
        };
        let newest = match self.cloud.call(self.region(), &request, cx.stop).await {
            Ok(answer) => answer.image.image_id,
            Err(error) if cloud::is_gone(&error, "DescribeImageFromFamily") => String::new(),
            Err(error) => return Err(error.at(family.span)),
        };
        if !newest.is_empty() {
            return Ok(newest);
        }
        self.newest_in_family(cx, family).await
    }

    /// DescribeImageFromFamily does not resolve every public (`acs:`) family.
    async fn newest_in_family(
        &self,
        cx: &BuildContext<'_>,
        family: &Spanned<String>,
    ) -> Result<String> {
        let request = DescribeImages {
            image_family: Some(family.value.clone()),
            page_size: Some(100),
            ..Default::default()
        };
        let images = self
            .cloud
            .call(self.region(), &request, cx.stop)
            .await?
            .images;
        let newest = images
            .into_iter()
            .max_by(|a, b| a.creation_time.cmp(&b.creation_time));
        newest.map(|image| image.image_id).ok_or_else(|| {
            let message = format!("Image family `{family}` has no image in {}", self.region());
            self.no_source(message, family)
        })
    }

    fn no_source(&self, message: String, wanted: &Spanned<String>) -> Error {
        Error::new(Kind::Cloud, message).at(wanted.span).with_hint(format!(
            "List what there is with `aliyun ecs DescribeImages --RegionId {}`; an expired image is \
             found with `skip_image_validation`; an image of another account must be shared with this one",
            self.region()
        ))
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
