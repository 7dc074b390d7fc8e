//! `validate`: every problem of a template at once, without any call.

use super::template::{self, Around};
use crate::inputs::ValidateArgs;
use crate::plan::alicloud_ecs::ProfileReading;
use crate::report::ExitStatus;

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let around = Around {
        force: false,
        region: args.region.as_deref(),
        // Where a template is only checked, there may be no credentials.
        profiles: Some(ProfileReading {
            profiles: &args.profiles,
            is_needed: false,
        }),
    };
    let reading = match template::read(&args.template, &around) {
        Ok(reading) => reading,
        Err(error) => return super::fail(&events, error),
    };
    template::start(&events, "validate", &reading.sources);
    if args.syntax_only && reading.loaded.is_some() {
        events.message("Syntax-only check passed. Everything looks okay.");
        return ExitStatus::Success;
    }
    match reading.into_plan(&events) {
        Ok(_) => {
            events.message("The configuration is valid.");
            ExitStatus::Success
        }
        Err(error) => super::fail(&events, error),
    }
}
