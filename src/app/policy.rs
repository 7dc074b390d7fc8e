//! `policy`: the least RAM policy the builds of a template need.

use super::template::{self, Around};
use crate::engine::event::Events;
use crate::inputs::PolicyArgs;
use crate::policy;
use crate::report::{ExitStatus, Report, Writers, page};

pub(super) fn run(args: &PolicyArgs) -> ExitStatus {
    // The document is for a file or a pipe.
    let events = Events::new(Report::new(&args.report, Writers::beside_data()));
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
