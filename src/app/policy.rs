//! `policy`: the least RAM policy a template needs, for whoever writes it.

use super::template;
use crate::inputs::ValidateArgs;
use crate::plan::policy;
use crate::report::{ExitStatus, Writers, page};

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    let events = super::events_aside(&args.report);
    match template::plan_for_show(args, "policy", &events) {
        Ok(plan) => {
            let text = format!("{:#}\n", policy::document(&plan));
            page::print_json(Writers::of_process(), &text);
            super::succeed(&events)
        }
        Err(error) => super::fail(&events, error),
    }
}
