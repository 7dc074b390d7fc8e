//! `plan`: what a template would build, for whoever decides about it.

use super::template;
use crate::engine::event::EventKind;
use crate::inputs::ValidateArgs;
use crate::plan::outline::outline;
use crate::report::{ExitStatus, Writers, page};

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    let events = super::events_aside(&args.report);
    match template::plan_for_show(args, "plan", &events) {
        Ok(plan) => {
            let outline = outline(&plan);
            events.emit(EventKind::Answer {
                name: "plan",
                text: outline.to_string(),
            });
            page::print_json(Writers::of_process(), &format!("{outline:#}\n"));
            super::succeed(&events)
        }
        Err(error) => super::fail(&events, error),
    }
}
