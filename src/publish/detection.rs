//! What ECS finds when it examines an image (`image_detection_strategy`): told
//! as soon as it is known, and never a reason to fail, as the image is there.
//!
//! Facts: DetectionOptions of DescribeImages in the ECS API reference.

use std::time::Duration;

use tokio::time::Instant;

use super::Publisher;
use crate::builder::BuildContext;
use crate::cloud::ecs::{ANY_IMAGE_STATUS, DescribeImages, DetectionItem, DetectionOptions};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Result, one_line};

const FINISHED: &str = "Finished";

/// How long to wait for a word about the examination at all (nominal).
const PATIENCE: Duration = Duration::from_secs(180);

impl Publisher<'_> {
    /// Waits for the examination, if one was asked for, and tells its result.
    pub(super) async fn tell_detection(&self, cx: &BuildContext<'_>, id: &str) {
        if self.options.detection_strategy.is_none() {
            return;
        }
        match self.detected(cx, id).await {
            Ok(Some(items)) => tell(cx, id, &items),
            Ok(None) => cx.events.warn(format!(
                "ECS does not say whether it examines image {id}, as \
                 `image_detection_strategy` asks for"
            )),
            Err(_) if cx.stop.is_stopped() => {}
            Err(error) => cx.events.warn(format!(
                "What ECS found in image {id} is not known: {}",
                one_line(&error)
            )),
        }
    }

    /// What was found; none when ECS says nothing about an examination.
    async fn detected(
        &self,
        cx: &BuildContext<'_>,
        id: &str,
    ) -> Result<Option<Vec<DetectionItem>>> {
        let started = Instant::now();
        let request = DescribeImages {
            image_id: Some(id.to_owned()),
            status: Some(ANY_IMAGE_STATUS.to_owned()),
            ..Default::default()
        };
        let what = format!("waiting for ECS to examine image {id}");
        let limit = self.options.ready_timeout;
        wait::until(cx.stop, limit, Pace::IMAGE, &what, async || {
            let answer = self.cloud.call(self.region, &request, cx.stop).await?;
            let image = answer.images.into_iter().next();
            let DetectionOptions { status, items } = image
                .map(|image| image.detection_options)
                .unwrap_or_default();
            let is_silent = status.is_empty() && cx.stop.clock().elapsed(started) > PATIENCE;
            Ok(match status.as_str() {
                FINISHED => Poll::Ready(Some(items)),
                _ if is_silent => Poll::Ready(None),
                _ => Poll::Pending,
            })
        })
        .await
    }
}

fn tell(cx: &BuildContext<'_>, id: &str, items: &[DetectionItem]) {
    let risks: Vec<_> = items
        .iter()
        .filter(|item| !item.risk_level.is_empty())
        .collect();
    if risks.is_empty() {
        cx.events.say(format!(
            "ECS examined image {id} ({} items) and found no risk",
            items.len()
        ));
    }
    for DetectionItem {
        name,
        value,
        risk_level,
        risk_code,
    } in risks
    {
        cx.events.warn(format!(
            "ECS found a risk in image {id} ({risk_level}): {risk_code}: {name} is `{value}`"
        ));
    }
}
