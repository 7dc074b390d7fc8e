//! `import`: a disk image becomes an ECS image, without a template.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{review, template};
use crate::builder::BuildContext;
use crate::clock::Clock;
use crate::engine::event::{BuildResult, EventKind, Events, RunResult, RunStarted};
use crate::engine::signal::{Signal, Signals};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::importer::source::DiskSource;
use crate::importer::{self, TYPE};
use crate::inputs::ImportArgs;
use crate::journal::Journal;
use crate::plan::alicloud_ecs::{Defaults, ProfileReading};
use crate::plan::files::Places;
use crate::plan::import::{self as plan, Import};
use crate::process::Environment;
use crate::report::ExitStatus;
use crate::template::diagnostic::Diagnostics;
use crate::template::json;
use crate::template::source::Sources;

/// The name of the one build there is.
const BUILD: &str = "import";

pub(super) fn run(args: &ImportArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let outcome = super::block_on(told_import(args, &events)).and_then(|outcome| outcome);
    outcome.unwrap_or_else(|error| super::fail(&events, error))
}

/// The import, and what GitHub is told about it.
async fn told_import(args: &ImportArgs, events: &Events) -> Result<ExitStatus> {
    let signals = Signals::install()?;
    let stop = Stop::new(Clock::scaled(args.cloud.time_scale));
    let watch = signals.watch("import", &stop, events);
    let telling = review::start(args.reviewing.as_ref(), &args.report, events, &stop);
    let outcome = Box::pin(import(args, events, &signals, &stop)).await;
    let status = outcome.unwrap_or_else(|error| super::fail(events, error));
    if let Some(telling) = telling {
        telling.finish(&stop).await;
    }
    watch.abort();
    Ok(status)
}

async fn import(
    args: &ImportArgs,
    events: &Events,
    signals: &Signals,
    stop: &Stop,
) -> Result<ExitStatus> {
    let start = Instant::now();
    let (sources, options, findings) = read(args);
    let run_id = Uuid::new_v4().to_string();
    let started = |journal: Option<&Journal>| {
        EventKind::RunStarted(Arc::new(RunStarted {
            run_id: run_id.clone(),
            command: "import",
            builds: vec![(BUILD.to_owned(), TYPE.to_owned())],
            sources: sources.clone(),
            journal: journal.map(Journal::path),
            region: Some(options.access.region.value.clone()),
            inputs: inputs_of(args),
        }))
    };
    if findings.has_errors() {
        events.emit(started(None));
        template::report(&findings.into_sorted(), events);
        return Err(Error::new(Kind::Usage, "The options cannot be used"));
    }
    // Nothing is noted before it is known that the file can be imported.
    let files = [&args.file].into_iter().chain(&args.data_disks);
    let disks: Vec<_> = files
        .map(|file| {
            check_there(file)?;
            DiskSource::open(file, &options)
        })
        .collect::<Result<_>>()?;
    let journal = Journal::start(&args.cloud.journal_dir, &run_id)?;
    events.emit(started(Some(&journal)));
    template::report(&findings.into_sorted(), events);
    for warning in &args.warnings {
        events.warn(warning.clone());
    }
    let pulse = crate::engine::pulse::start(events);
    let work = import_disks(args, &options, &disks, &journal, events, stop);
    let (build, leftovers, deadline) = within(args.deadline, stop, Box::pin(work)).await?;
    pulse.abort();
    let result = Arc::new(RunResult {
        builds: vec![build],
        leftovers,
        elapsed: stop.clock().elapsed(start),
        cancelled: stop.is_stopped(),
        error: deadline,
    });
    events.emit(EventKind::RunFinished(Arc::clone(&result)));
    journal.close();
    let must_be_clean = args.report.fail_on_leftovers;
    let signal = signals.first().map(Signal::number);
    Ok(ExitStatus::of_run(&result, must_be_clean, signal))
}

/// A file that is not there is a mistake of whoever named it.
fn check_there(file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let message = format!("There is no disk image `{}`", file.display());
    Err(Error::new(Kind::Usage, message).with_hint(template::what_is_beside(file)))
}

/// What the summary says of the command line: the disks, and which options were
/// set; their values may be secret.
fn inputs_of(args: &ImportArgs) -> Vec<(&'static str, String)> {
    let disks = std::iter::once(&args.file).chain(&args.data_disks);
    let disks: Vec<_> = disks.map(|disk| disk.display().to_string()).collect();
    let options = args.options.as_object().into_iter().flatten();
    let options: Vec<_> = options.map(|(name, _)| name.clone()).collect();
    vec![("disks", disks.join(", ")), ("options", options.join(", "))]
}

type Ended = (Arc<BuildResult>, Vec<crate::engine::event::Leftover>);

/// Tells the work to stop at the deadline, and lets it clean up.
async fn within(
    deadline: Option<Duration>,
    stop: &Stop,
    work: impl Future<Output = Result<Ended>>,
) -> Result<(
    Arc<BuildResult>,
    Vec<crate::engine::event::Leftover>,
    Option<Error>,
)> {
    let (ended, deadline_error) = crate::engine::with_deadline(deadline, stop, work).await;
    let (build, leftovers) = ended?;
    Ok((build, leftovers, deadline_error))
}

async fn import_disks(
    args: &ImportArgs,
    options: &Import,
    disks: &[DiskSource],
    journal: &Journal,
    events: &Events,
    stop: &Stop,
) -> Result<Ended> {
    let start = Instant::now();
    let connections = super::build::connections(&args.cloud, None, stop.clock(), events)?;
    let cloud = connections.for_import(options)?;
    let events = events.for_build(BUILD);
    let tags = super::build::run_tags(journal.run(), args.resource_ttl, &args.report);
    let cx = BuildContext {
        build: BUILD,
        events: &events,
        stop,
        journal,
        tags: &tags,
        // No program is run.
        environment: &Environment::default(),
    };
    let key = options.key.as_ref().map(|key| key.value.as_str());
    let outcome = importer::run(&cx, &cloud, options, disks, key).await;
    let (artifacts, error) = match outcome.artifact {
        Ok(artifact) => (vec![artifact], None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let build = Arc::new(BuildResult {
        name: BUILD.to_owned(),
        builder_type: TYPE,
        elapsed: stop.clock().elapsed(start),
        artifacts,
        error,
    });
    events.emit(EventKind::BuildFinished(Arc::clone(&build)));
    Ok((build, outcome.leftovers))
}

/// The options that were typed, read as a template's block would be.
fn read(args: &ImportArgs) -> (Sources, Import, Diagnostics) {
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let text = format!("{:#}\n", args.options);
    let source = sources.add("command line", text);
    let block = json::parse(source, &sources, &mut diagnostics).expect("it was written as JSON");
    let defaults = Defaults {
        region: args.cloud.region.as_deref(),
        force: args.force,
        profiles: Some(ProfileReading {
            profiles: &args.cloud.ambient.profiles,
            is_needed: true,
        }),
    };
    let places = Places {
        working_directory: PathBuf::from("."),
        home: args.home.clone(),
        confined_to: None,
    };
    let import = plan::read_alone(&block, defaults, &places, &mut diagnostics);
    (sources, import, diagnostics)
}
