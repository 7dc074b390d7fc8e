//! `whoami`: whose keys are used, and where they come from; never the keys.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::cloud::credential::{Found, Nothing};
use crate::cloud::sts::{GetCallerIdentity, GetCallerIdentityResponse};
use crate::engine::event::Events;
use crate::engine::signal::Signals;
use crate::engine::stop::Stop;
use crate::error::{Error, Result};
use crate::inputs::WhoamiArgs;
use crate::report::page::{self, Caller};
use crate::report::{ExitStatus, Format, Writers};

/// Where STS is asked when the environment names no region.
const REGION_TO_ASK: &str = "cn-hangzhou";

pub(super) fn run(args: &WhoamiArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let is_json = args.report.format == Format::Json;
    match super::block_on(ask(args, &events)) {
        Ok(Ok(caller)) => {
            page::print(Writers::of_process(), &page::caller(&caller, is_json));
            ExitStatus::Success
        }
        Ok(Err(nothing)) => {
            if !is_json {
                let text = page::passed_over(&nothing.passed_over);
                page::print(Writers::of_process(), &text);
            }
            super::fail(&events, nothing.error)
        }
        Err(error) => super::fail(&events, error),
    }
}

async fn ask(args: &WhoamiArgs, events: &Events) -> Result<Caller, Nothing> {
    let clock = Clock::scaled(args.cloud.time_scale);
    let connections =
        super::build::connections(&args.cloud, None, clock, events).map_err(nothing)?;
    let signals = Signals::install().map_err(nothing)?;
    let stop = Stop::new(clock);
    tokio::select! {
        caller = caller(args, &connections, &stop) => caller,
        () = signals.wait() => Err(nothing(Error::cancelled())),
    }
}

async fn caller(
    args: &WhoamiArgs,
    connections: &crate::engine::Connections,
    stop: &Stop,
) -> Result<Caller, Nothing> {
    let found = connections.found().await?;
    let region = args.cloud.region.as_deref().unwrap_or(REGION_TO_ASK);
    let cloud = connections.from_environment();
    let asked = cloud
        .call(region, &GetCallerIdentity::default(), stop)
        .await;
    let expiration = connections.expiration().await;
    match (asked, expiration) {
        (Ok(identity), Ok(expiration)) => Ok(of(found, identity, expiration)),
        (Err(error), _) | (_, Err(error)) => Err(Nothing {
            error: error.context(format!("The keys of {} do not work", found.provider)),
            passed_over: found.passed_over,
        }),
    }
}

fn of(found: Found, identity: GetCallerIdentityResponse, expiration: Option<Timestamp>) -> Caller {
    Caller {
        found,
        account: identity.account_id,
        arn: identity.arn,
        identity_type: identity.identity_type,
        expiration,
    }
}

fn nothing(error: Error) -> Nothing {
    Nothing {
        error,
        passed_over: Vec::new(),
    }
}
