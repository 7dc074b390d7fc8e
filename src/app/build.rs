//! `build`: plan, journal, engine.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::sandbox::{self, Embedded};
use super::template::{self, Around};
use super::{remote, review};
use crate::clock::Clock;
use crate::cloud::Product;
use crate::cloud::SignatureAlgorithm;
use crate::cloud::credential::{Hiding, Network};
use crate::cloud::endpoint::Endpoints;
use crate::cloud::http::HttpTransport;
use crate::engine::event::{EventKind, Events, RunStarted};
use crate::engine::signal::Signals;
use crate::engine::stop::Stop;
use crate::engine::{self, Connections, Settings};
use crate::error::Result;
use crate::inputs::{BuildArgs, CloudArgs};
use crate::journal::Journal;
use crate::journal::tags::{self, RunTags};
use crate::plan::alicloud_ecs::ProfileReading;
use crate::plan::{OnError, Plan, check};
use crate::report::{self, ExitStatus, System};

pub(super) fn run(args: &BuildArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let outcome = super::block_on(told_build(args, &events)).and_then(|outcome| outcome);
    outcome.unwrap_or_else(|error| super::fail(&events, error))
}

/// The build, and what GitHub is told about it.
async fn told_build(args: &BuildArgs, events: &Events) -> Result<ExitStatus> {
    // First of all: a signal that comes now must already be heard.
    let signals = Signals::install()?;
    let scale = args.sandbox.unwrap_or(args.cloud.time_scale);
    let stop = Stop::new(Clock::scaled(scale));
    let watch = signals.watch("build", &stop, events);
    let telling = review::start(args.reviewing.as_ref(), &args.report, events, &stop);
    let outcome = Box::pin(build(args, events, &signals, &stop)).await;
    let status = outcome.unwrap_or_else(|error| super::fail(events, error));
    if let Some(telling) = telling {
        telling.finish(&stop).await;
    }
    watch.abort();
    Ok(status)
}

async fn build(
    args: &BuildArgs,
    events: &Events,
    signals: &Signals,
    stop: &Stop,
) -> Result<ExitStatus> {
    let fetched = remote::fetch(&args.template, events, stop).await?;
    let around = Around {
        force: args.force,
        region: args.cloud.region.as_deref(),
        // The embedded sandbox has keys of its own.
        profiles: args.sandbox.is_none().then_some(ProfileReading {
            profiles: &args.cloud.ambient.profiles,
            is_needed: true,
        }),
    };
    let reading = template::read(&fetched.template, &around)?;
    let run_id = Uuid::new_v4().to_string();
    let started = |journal: Option<&Journal>, plan: Option<&Plan>| RunStarted {
        run_id: run_id.clone(),
        command: "build",
        builds: plan.map(names).unwrap_or_default(),
        sources: reading.sources.clone(),
        journal: journal.map(Journal::path),
        region: plan.and_then(first_region),
        inputs: inputs_of(args),
    };
    if reading.errors() > 0 || reading.plan.is_none() {
        events.emit(EventKind::RunStarted(Arc::new(started(None, None))));
        return Err(reading.into_plan(events).err().unwrap_or_else(unreachable));
    }
    let journal = Journal::start(&args.cloud.journal_dir, &run_id)?;
    let started = started(Some(&journal), reading.plan.as_ref());
    events.emit(EventKind::RunStarted(Arc::new(started)));
    let plan = reading.into_plan(events)?;
    for warning in &args.warnings {
        events.warn(warning.clone());
    }
    let embedded = sandbox::embed(args.sandbox, events).await?;
    let connections = connections(&args.cloud, embedded.as_ref(), stop.clock(), events)?;
    let settings = settings(args, embedded.as_ref(), &run_id);
    let pulse = engine::pulse::start(events);
    let result = engine::run(&plan, &settings, &connections, journal, events, stop).await;
    pulse.abort();
    fetched.bring_back(events);
    let signal = signals.first().map(engine::signal::Signal::number);
    Ok(ExitStatus::of_run(
        &result,
        args.report.fail_on_leftovers,
        signal,
    ))
}

fn unreachable() -> crate::error::Error {
    crate::error::Error::new(
        crate::error::Kind::Internal,
        "A template without plan has no error",
    )
}

fn names(plan: &Plan) -> Vec<(String, String)> {
    let name =
        |build: &crate::plan::Build| (build.name.clone(), build.builder.type_name().to_owned());
    plan.builds.iter().map(name).collect()
}

fn first_region(plan: &Plan) -> Option<String> {
    let mut regions = plan
        .builds
        .iter()
        .filter_map(|build| build.builder.region());
    regions.next().map(str::to_owned)
}

/// How to reach the cloud: the real one, or the embedded one.
pub(super) fn connections(
    args: &CloudArgs,
    embedded: Option<&Embedded>,
    clock: Clock,
    events: &Events,
) -> Result<Connections> {
    let (ambient, endpoints) = match embedded {
        Some(embedded) => (embedded.ambient(), embedded.endpoints()?),
        None => (args.ambient.clone(), endpoints(args)?),
    };
    let network = Network {
        transport: Arc::new(HttpTransport::new()?),
        endpoints,
        signature: signature(args.signature),
        clock,
        sts_region: None,
        hiding: Hiding::with(events),
    };
    Ok(Connections::new(ambient, network, embedded.is_some()))
}

fn endpoints(args: &CloudArgs) -> Result<Endpoints> {
    let named = [
        (Product::Ecs, &args.endpoints.ecs),
        (Product::Vpc, &args.endpoints.vpc),
        (Product::Sts, &args.endpoints.sts),
        (Product::Ram, &args.endpoints.ram),
        (Product::Oss, &args.endpoints.oss),
    ];
    named.into_iter().try_fold(
        Endpoints::default(),
        |endpoints, (product, custom)| match custom {
            Some(custom) => endpoints.with(product, custom),
            None => Ok(endpoints),
        },
    )
}

fn signature(typed: crate::cli::Signature) -> SignatureAlgorithm {
    match typed {
        crate::cli::Signature::Acs3 => SignatureAlgorithm::Acs3HmacSha256,
        crate::cli::Signature::RpcV1 => SignatureAlgorithm::RpcHmacSha1,
    }
}

fn settings(args: &BuildArgs, embedded: Option<&Embedded>, run_id: &str) -> Settings {
    Settings {
        on_error: args.on_error,
        force: args.force,
        parallel: args.parallel_builds,
        deadline: args.deadline,
        tags: run_tags(run_id, args.resource_ttl, &args.report),
        agent_socket: args.agent_socket.clone(),
        guest_port: embedded.map(Embedded::guest_port).or(args.cloud.guest_port),
        environment: args.children.clone(),
    }
}

/// The tags of all that a run creates.
pub(super) fn run_tags(run_id: &str, ttl: Duration, report: &report::Settings) -> RunTags {
    let ci = report.ci.as_ref().map(job_tags).unwrap_or_default();
    RunTags::new(run_id, Timestamp::now(), ttl, ci)
}

/// Tags that say whose job it is. What cannot be the value of a tag, as a path
/// that is too long, is left out.
fn job_tags(system: &System) -> Vec<(String, String)> {
    let facts = [
        (tags::REPOSITORY, system.repository()),
        (tags::WORKFLOW_RUN, system.run()),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    let usable = known.filter(|(_, value)| check::tag_value(value).is_ok());
    usable
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What the summary says of the command line, but for defaults. Values of
/// variables may be secrets that nobody has declared, so only their names are
/// in it.
fn inputs_of(args: &BuildArgs) -> Vec<(&'static str, String)> {
    let template = &args.template;
    let paths = template.variables.files.iter();
    let files: Vec<_> = paths.map(|path| path.display().to_string()).collect();
    let names = template.variables.vars.iter();
    let names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
    let force = if args.force { "true" } else { "" };
    let parallel = args.parallel_builds.map(|builds| builds.to_string());
    let on_error = match args.on_error {
        OnError::Cleanup => "",
        OnError::Abort => "abort",
        OnError::RunCleanupProvisioner => "run-cleanup-provisioner",
    };
    let all = [
        ("template", template.path.display().to_string()),
        ("var-files", files.join(", ")),
        ("vars", names.join(", ")),
        ("only", template.only.join(", ")),
        ("except", template.except.join(", ")),
        ("region", args.cloud.region.clone().unwrap_or_default()),
        ("force", force.to_owned()),
        ("on-error", on_error.to_owned()),
        ("parallel", parallel.unwrap_or_default()),
    ];
    let given = all.into_iter().filter(|(_, value)| !value.is_empty());
    given.collect()
}
