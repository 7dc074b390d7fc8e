//! `plan`: what a template would build, for whoever decides about it.

use super::template::{self, Around};
use crate::engine::event::{EventKind, Events};
use crate::inputs::ValidateArgs;
use crate::plan::alicloud_ecs::ProfileReading;
use crate::plan::outline::outline;
use crate::report::{ExitStatus, Report, Writers, page};

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    // What is found goes to standard error: the plan stands alone.
    let writers = Writers {
        stdout: Writers::of_process().stderr,
        ..Writers::of_process()
    };
    let events = Events::new(Report::new(&args.report, writers));
    let around = Around {
        force: false,
        region: args.region.as_deref(),
        profiles: Some(ProfileReading {
            profiles: &args.profiles,
            is_needed: false,
        }),
    };
    let reading = match template::read(&args.template, &around) {
        Ok(reading) => reading,
        Err(error) => return super::fail(&events, error),
    };
    template::start(&events, "plan", &reading.sources);
    match reading.into_plan(&events) {
        Ok(plan) => {
            let outline = outline(&plan);
            events.emit(EventKind::Answer {
                name: "plan",
                text: outline.to_string(),
            });
            page::print(Writers::of_process(), &format!("{outline:#}\n"));
            ExitStatus::Success
        }
        Err(error) => super::fail(&events, error),
    }
}
