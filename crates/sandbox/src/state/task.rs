//! Tasks: the long work of ImportImage.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::image::{Image, ImageStatus};
use super::{Cloud, Regional, Transition};
use crate::clock::{Moment, iso_minutes};

#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) region: String,
    /// The image it makes.
    pub(crate) image: String,
    pub(crate) status: TaskStatus,
    pub(crate) transition: Transition,
    /// Why it is going to fail: code and message.
    pub(crate) error: Option<(String, String)>,
    /// Buckets and keys it reads.
    pub(crate) sources: Vec<(String, String)>,
    pub(crate) created: Timestamp,
    /// When it is over, once it is.
    pub(crate) finished: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TaskStatus {
    Processing,
    Finished,
    Failed,
    Deleted,
}

impl Cloud {
    pub(crate) fn settle_tasks(&mut self, now: Moment) {
        for task in self.tasks.values_mut() {
            if task.status == TaskStatus::Processing && task.transition.is_over(now) {
                task.status = match task.error {
                    Some(_) => TaskStatus::Failed,
                    None => TaskStatus::Finished,
                };
            }
        }
    }

    /// The import an image comes from, while it runs.
    fn running_import(&self, region: &str, image: &str) -> Option<&Task> {
        let mut tasks = self.tasks.values();
        tasks.find(|task| {
            task.region == region && task.image == image && task.status == TaskStatus::Processing
        })
    }

    /// An object is gone: imports that still read it fail in the end.
    pub(crate) fn fail_imports_of(&mut self, bucket: &str, key: &str) {
        let reads = |task: &Task| task.sources.iter().any(|s| s.0 == bucket && s.1 == key);
        let running = self.tasks.values_mut();
        let running = running.filter(|t| t.status == TaskStatus::Processing && reads(t));
        let mut images = Vec::new();
        for task in running {
            let why = "The specified OSS object does not exist in this region.";
            task.error = Some(("InvalidOSSObject.NotFound".to_owned(), why.to_owned()));
            images.push((task.region.clone(), task.image.clone()));
        }
        images.iter().for_each(|image| self.doom_image(image));
    }

    /// Lets an image and its snapshots fail when their time is over.
    pub(crate) fn doom_image(&mut self, key: &Regional) {
        let Some(image) = self.images.get_mut(key) else {
            return;
        };
        image.fails = true;
        for mapping in &image.mappings {
            if let Some(snapshot) = self.snapshots.get_mut(&mapping.snapshot) {
                snapshot.fails = true;
            }
        }
    }

    /// Ends a running import at once; its image has failed.
    pub(crate) fn cancel_import(&mut self, id: &str, now: Moment, wall: Timestamp) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.status = TaskStatus::Deleted;
        task.finished = wall;
        let over = Transition {
            began: now,
            ready: now,
        };
        let key = (task.region.clone(), task.image.clone());
        self.doom_image(&key);
        let Some(image) = self.images.get_mut(&key) else {
            return;
        };
        image.transition = None;
        image.status = ImageStatus::CreateFailed;
        for mapping in &image.mappings {
            if let Some(snapshot) = self.snapshots.get_mut(&mapping.snapshot) {
                snapshot.transition = Some(over);
            }
        }
        self.settle_images(now);
    }

    /// Whether an image came from an import that is still running.
    pub(crate) fn is_importing(&self, image: &Image) -> bool {
        self.running_import(&image.common.region, &image.common.id)
            .is_some()
    }
}

impl Task {
    fn finished_text(&self) -> String {
        match self.status {
            TaskStatus::Processing => String::new(),
            _ => iso_minutes(self.finished),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "TaskId": self.id,
            "TaskAction": "ImportImage",
            "TaskStatus": format!("{:?}", self.status),
            "ResourceId": self.image,
            "SupportCancel": "true",
            "CreationTime": iso_minutes(self.created),
            "FinishedTime": self.finished_text(),
        })
    }

    /// With progress and the reason of a failure.
    pub(crate) fn attribute_json(&self, now: Moment) -> Value {
        let failed = self.status == TaskStatus::Failed;
        let mut shown = self.to_json();
        let error = self.error.as_ref().filter(|_| failed);
        let progress = error.map(|(code, message)| {
            json!({
                "OperationStatus": "Failed",
                "ErrorCode": code,
                "ErrorMsg": message,
                "RelatedItemSet": {"RelatedItem": [{"Name": "ImageId", "Value": self.image}]},
            })
        });
        let progress: Vec<Value> = progress.into_iter().collect();
        shown["RegionId"] = json!(self.region);
        shown["TaskProcess"] = json!(format!("{}%", self.transition.percent(now)));
        shown["TotalCount"] = json!(1);
        shown["SuccessCount"] = json!(u8::from(self.status == TaskStatus::Finished));
        shown["FailedCount"] = json!(u8::from(failed));
        shown["OperationProgressSet"] = json!({"OperationProgress": progress});
        shown
    }
}
