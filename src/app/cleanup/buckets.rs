//! What imports have left in OSS buckets: in those that are named, and in those
//! that unfinished images are imported from. No listing of tags finds it.

use crate::cloud::Cloud;
use crate::engine::event::Events;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result, one_line};
use crate::journal::sweep::{Found, Whose, buckets_of, by_markers};

/// What a search came to.
pub(super) struct Searched {
    pub(super) found: Vec<Found>,
    /// How many buckets were looked into.
    pub(super) buckets: usize,
    /// Why one that was named could not be.
    pub(super) outcome: Result<()>,
}

/// Where to look, and for what.
pub(super) struct Search<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) regions: &'a [String],
    pub(super) whose: Whose<'a>,
    pub(super) events: &'a Events,
    pub(super) stop: &'a Stop,
}

impl Search<'_> {
    /// Looks into buckets; one that cannot be searched does not stop the others.
    pub(super) async fn run(&self, named: &[String], images: &[Found]) -> Searched {
        let (mut found, mut outcome) = (Vec::new(), Ok(()));
        let mut buckets = Vec::new();
        for bucket in named {
            match self.named(bucket).await {
                Ok(in_bucket) => found.extend(in_bucket),
                Err(error) if outcome.is_ok() => outcome = Err(error),
                Err(error) => self.events.warn(one_line(&error)),
            }
            buckets.push(bucket.clone());
        }
        match self.of_images(images, &mut buckets).await {
            Ok(in_buckets) => found.extend(in_buckets),
            Err(error) => self.events.warn(one_line(&error)),
        }
        Searched {
            found,
            buckets: buckets.len(),
            outcome,
        }
    }

    async fn named(&self, bucket: &str) -> Result<Vec<Found>> {
        let Some(region) = self.region_of(bucket).await? else {
            self.events.warn(format!("There is no OSS bucket {bucket}"));
            return Ok(Vec::new());
        };
        self.bucket(&region, bucket).await
    }

    /// Each region only tells of its own buckets.
    async fn region_of(&self, bucket: &str) -> Result<Option<String>> {
        let mut refusal = None;
        for region in self.regions {
            let oss = self.cloud.oss(region)?;
            match oss.bucket_info(bucket, self.stop).await {
                Ok(info) => return Ok(info.map(|info| info.region)),
                Err(error) if error.kind() == Kind::Cancelled => return Err(error),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    async fn of_images(&self, images: &[Found], searched: &mut Vec<String>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for (region, bucket) in buckets_of(self.cloud, images, self.stop).await? {
            if !searched.contains(&bucket) {
                found.extend(self.bucket(&region, &bucket).await?);
                searched.push(bucket);
            }
        }
        Ok(found)
    }

    async fn bucket(&self, region: &str, bucket: &str) -> Result<Vec<Found>> {
        let marked = by_markers(self.cloud, region, bucket, self.whose, self.stop)
            .await
            .map_err(|error: Error| {
                error.context(format!(
                    "Cannot look for what imports left in OSS bucket {bucket}"
                ))
            })?;
        for key in marked.shared {
            self.events.warn(format!(
                "What was left of OSS object {bucket}/{key} stays for now: another run is uploading it"
            ));
        }
        Ok(marked.found)
    }
}
