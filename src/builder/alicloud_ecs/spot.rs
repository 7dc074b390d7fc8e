//! Spot instances: that ECS took one back is told as such.
//!
//! What a build sees of it is a connection that breaks, or an instance that is
//! locked or gone. Source of facts: "Spot instance release" and
//! DescribeInstances in the ECS documentation.

use std::sync::PoisonError;

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud::ecs::Instance;
use crate::error::{Error, Kind};

/// The lock of an instance that will be released in minutes.
const RECYCLING: &str = "Recycling";

impl AlicloudEcs<'_> {
    /// Keeps the id of the instance that lives now.
    pub(super) fn note_instance(&self, id: Option<&str>) {
        let mut instance = self.instance.lock().unwrap_or_else(PoisonError::into_inner);
        *instance = id.map(str::to_owned);
    }

    fn noted_instance(&self) -> Option<String> {
        let instance = self.instance.lock();
        instance.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the reason before an error that followed from it.
    pub(super) async fn explain_reclaimed(&self, cx: &BuildContext<'_>, error: Error) -> Error {
        let is_spot = self.options.run.spot.is_some();
        let noted = self.noted_instance().filter(|_| is_spot);
        let Some(id) = noted.filter(|_| error.kind() != Kind::Cancelled) else {
            return error;
        };
        // Without an answer the error is as good as before.
        let Ok(found) = self.describe_instance(cx, &id).await else {
            return error;
        };
        if !is_reclaimed(found.as_ref()) {
            return error;
        }
        error
            .context(format!(
                "ECS took back spot instance {id} in {}",
                self.region()
            ))
            .with_hint(
                "Run the build again; `spot_duration` 1 keeps the instance for an hour, more \
                 `instance_types` find one in less demand, and without `spot_strategy` it stays",
            )
    }
}

fn is_reclaimed(instance: Option<&Instance>) -> bool {
    let locked = |instance: &Instance| {
        let mut locks = instance.operation_locks.iter();
        locks.any(|lock| lock.lock_reason.eq_ignore_ascii_case(RECYCLING))
    };
    instance.is_none_or(locked)
}
