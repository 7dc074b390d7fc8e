//! `policy`: the least RAM policy a template needs, for whoever writes it.

use super::remote;
use super::template::{self, Around};
use crate::engine::event::Events;
use crate::inputs::ValidateArgs;
use crate::plan::alicloud_ecs::ProfileReading;
use crate::plan::policy;
use crate::report::{ExitStatus, Report, Writers, page};

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    // What is found goes to standard error: the policy stands alone.
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
    let fetched = match remote::fetch_now(&args.template, &events) {
        Ok(fetched) => fetched,
        Err(error) => return super::fail(&events, error),
    };
    let reading = match template::read(&fetched.template, &around) {
        Ok(reading) => reading,
        Err(error) => return super::fail(&events, error),
    };
    template::start(&events, "policy", &reading.sources);
    match reading.into_plan(&events) {
        Ok(plan) => {
            let text = format!("{:#}\n", policy::document(&plan));
            page::print(Writers::of_process(), &text);
            ExitStatus::Success
        }
        Err(error) => super::fail(&events, error),
    }
}
