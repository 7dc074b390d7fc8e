//! `validate`: every problem of a template at once, without any call.

use std::sync::Arc;

use super::template::{self, Around};
use crate::engine::event::{EventKind, RunStarted};
use crate::inputs::ValidateArgs;
use crate::report::ExitStatus;

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let around = Around { force: false, region: args.region.as_deref(), has_keys: args.has_keys };
    let reading = match template::read(&args.template, &around) {
        Ok(reading) => reading,
        Err(error) => return super::fail(&events, error),
    };
    events.emit(EventKind::RunStarted(Arc::new(RunStarted {
        run_id: String::new(),
        command: "validate",
        builds: Vec::new(),
        sources: reading.sources.clone(),
        journal: None,
        region: None,
    })));
    if args.syntax_only && reading.loaded.is_some() {
        events.say("Syntax-only check passed. Everything looks okay.");
        return ExitStatus::Success;
    }
    match reading.into_plan(&events) {
        Ok(_) => {
            events.say("The configuration is valid.");
            ExitStatus::Success
        }
        Err(error) => super::fail(&events, error),
    }
}
