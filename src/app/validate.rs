//! `validate`: every problem of a template at once, without any call.

use super::template::{self, Around};
use super::{remote, review};
use crate::clock::Clock;
use crate::engine::event::Events;
use crate::engine::stop::Stop;
use crate::inputs::{TemplateArgs, ValidateArgs};
use crate::report::ExitStatus;

pub(super) fn run(args: &ValidateArgs) -> ExitStatus {
    let events = super::events(&args.report);
    super::block_on(told_check(args, &events)).unwrap_or_else(|error| super::fail(&events, error))
}

/// The check, and what GitHub is told about it.
async fn told_check(args: &ValidateArgs, events: &Events) -> ExitStatus {
    let stop = Stop::new(Clock::default());
    let telling = review::start(args.reviewing.as_ref(), &args.report, events, &stop);
    let status = match remote::fetch(&args.template, events, &stop).await {
        Ok(fetched) => check(args, &fetched.template, events),
        Err(error) => super::fail(events, error),
    };
    if let Some(telling) = telling {
        telling.finish(&stop).await;
    }
    status
}

fn check(args: &ValidateArgs, template: &TemplateArgs, events: &Events) -> ExitStatus {
    let reading = match template::read(template, &Around::unbuilt(args)) {
        Ok(reading) => reading,
        Err(error) => return super::fail(events, error),
    };
    template::start(events, "validate", &reading.sources);
    for warning in &args.warnings {
        events.warn(warning.clone());
    }
    if args.syntax_only && reading.loaded.is_some() {
        return succeed(events, "Syntax-only check passed. Everything looks okay.");
    }
    match reading.into_plan(events) {
        Ok(_) => succeed(events, "The configuration is valid."),
        Err(error) => super::fail(events, error),
    }
}

fn succeed(events: &Events, text: &str) -> ExitStatus {
    events.message(text);
    super::succeed(events)
}
