//! Tasks. Nothing the sandbox simulates makes one.

use serde_json::json;

use super::{Answer, Context};
use crate::error::ApiError;

pub(super) fn describe_tasks(context: &mut Context<'_>) -> Answer {
    let mut answer = context.page("TaskSet", "Task", Vec::new());
    answer["RegionId"] = json!(context.region);
    Ok(answer)
}

pub(super) fn cancel_task(_context: &mut Context<'_>) -> Answer {
    Err(ApiError::gateway("InvalidTaskId.NotFound"))
}
