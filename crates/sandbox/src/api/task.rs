//! Tasks: looking at them and cancelling them.

use serde_json::Value;
use serde_json::json;

use super::{Answer, Context, equals, listed};
use crate::error::ApiError;
use crate::state::task::{Task, TaskStatus};

pub(super) fn describe_tasks(context: &mut Context<'_>) -> Answer {
    let resources = context.params.list("ResourceIds");
    let tasks = context.cloud.tasks.values().filter(|task| {
        task.region == context.region
            && listed(context.get("TaskIds"), &task.id)
            && equals(context.get("TaskAction"), "ImportImage")
            && listed(context.get("TaskStatus"), &format!("{:?}", task.status))
            && (resources.is_empty() || resources.contains(&task.image))
    });
    let tasks: Vec<Value> = tasks.map(Task::to_json).collect();
    Ok(context.page("TaskSet", "Task", tasks))
}

pub(super) fn describe_task_attribute(context: &mut Context<'_>) -> Answer {
    Ok(find(context)?.attribute_json(context.now))
}

pub(super) fn cancel_task(context: &mut Context<'_>) -> Answer {
    let task = find(context)?;
    if task.status != TaskStatus::Processing {
        return Err(context.error("InvalidTaskId.IncorrectTaskStatus"));
    }
    let id = task.id.clone();
    let (now, wall) = (context.now, context.wall());
    context.cloud.cancel_import(&id, now, wall);
    Ok(json!({}))
}

fn find<'a>(context: &'a Context<'_>) -> Result<&'a Task, ApiError> {
    let id = context.require("TaskId")?;
    let task = context.cloud.tasks.get(&id);
    task.filter(|task| task.region == context.region)
        .ok_or_else(|| context.error("InvalidTaskId.NotFound"))
}
