//! `policy`: the least RAM policy the builds of a template need.

use super::template::{self, Around};
use crate::inputs::PolicyArgs;
use crate::policy;
use crate::report::{ExitStatus, Writers, page};

pub(super) fn run(args: &PolicyArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let around = Around {
        force: args.force,
        region: args.region.as_deref(),
    };
    let plan = template::read(&args.template, &around).and_then(|reading| {
        template::start(&events, "policy", &reading.sources);
        reading.into_plan(&events)
    });
    match plan {
        Ok(plan) => {
            let document = policy::document(&policy::of_plan(&plan), args.with_useful);
            page::print(Writers::of_process(), &format!("{document:#}"));
            ExitStatus::Success
        }
        Err(error) => super::fail(&events, error),
    }
}
