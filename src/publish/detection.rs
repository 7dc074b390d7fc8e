//! What ECS finds when it examines an image (`image_detection_strategy`): told
//! as soon as it is known, and never a reason to fail, as the image is there.
//!
//! Facts: DetectionOptions of DescribeImages in the ECS API reference.

use super::Publisher;
use crate::builder::BuildContext;
use crate::cloud::ecs::{ANY_IMAGE_STATUS, DescribeImages, DetectionItem, DetectionOptions, Image};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Result, one_line};

const FINISHED: &str = "Finished";

impl Publisher<'_> {
    /// Waits for the examination, if one was asked for, and tells its result.
    pub(super) async fn tell_detection(&self, cx: &BuildContext<'_>, image: &Image) {
        if self.options.detection_strategy.is_none() {
            return;
        }
        let id = &image.image_id;
        match self.detected(cx, id).await {
            Ok(items) => tell(cx, id, &items),
            Err(_) if cx.stop.is_stopped() => {}
            Err(error) => cx.events.warn(format!(
                "What ECS found in image {id} is not known: {}",
                one_line(&error)
            )),
        }
    }

    async fn detected(&self, cx: &BuildContext<'_>, id: &str) -> Result<Vec<DetectionItem>> {
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
            Ok(match image.map(|image| image.detection_options) {
                Some(DetectionOptions { status, items }) if status == FINISHED => {
                    Poll::Ready(items)
                }
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
