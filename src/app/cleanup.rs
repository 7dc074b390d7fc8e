//! `cleanup`: the sweep in a later process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use buckets::Search;

use super::review;
use crate::clock::Clock;
use crate::cloud::ecs::DescribeRegions;
use crate::cloud::{Cloud, is_forbidden};
use crate::engine::event::{EventKind, Events, Leftover, RunResult, RunStarted};
use crate::engine::signal::Signals;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result, one_line};
use crate::inputs::{CleanupArgs, CleanupScope, GuardArgs};
use crate::journal::resource::Kind as ResourceKind;
use crate::journal::sweep::{self, Found, Scope, Whose};
use crate::journal::{Entry, Journal, path_of};
use crate::report::ExitStatus;
use crate::template::source::Sources;

mod buckets;

/// Where to ask which regions there are.
const REGION_TO_ASK: &str = "cn-hangzhou";

/// How many regions are asked at the same time.
const REGIONS_AT_ONCE: usize = 8;

/// How long the post step waits for a main step that still cleans up itself.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(args: &CleanupArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let work = async {
        let outcome = clean_up(args, &events).await;
        // By now the main step is dead, or has said how it went.
        if let Some(check_run) = &args.check_run {
            let stop = Stop::new(Clock::default());
            review::close(check_run, &events, &stop).await;
        }
        outcome
    };
    let outcome = super::block_on(work).and_then(|outcome| outcome);
    outcome.unwrap_or_else(|error| super::fail(&events, error))
}

/// The main step of `guard`: all it does is to tell the post step where other
/// steps of the job note what they create.
pub(super) fn guard(args: &GuardArgs) -> ExitStatus {
    let events = super::events(&args.report);
    events.emit(EventKind::RunStarted(Arc::new(RunStarted {
        run_id: String::new(),
        command: "guard",
        builds: Vec::new(),
        sources: Sources::default(),
        journal: Some(args.journal_dir.clone()),
        region: None,
        inputs: Vec::new(),
    })));
    events.say(format!(
        "What this job's steps note in {} and do not delete is deleted at its end",
        args.journal_dir.display()
    ));
    ExitStatus::Success
}

async fn clean_up(args: &CleanupArgs, events: &Events) -> Result<ExitStatus> {
    let signals = Signals::install()?;
    let start = Instant::now();
    let stop = Stop::new(Clock::scaled(args.cloud.time_scale));
    let watch = signals.watch("clean-up", &stop, events);
    events.emit(EventKind::RunStarted(Arc::new(started(args))));
    let work = sweep_scope(args, events, &stop);
    let leftovers = match args.deadline {
        Some(limit) => stop.within(limit, "cleaning up", work).await??,
        None => work.await?,
    };
    watch.abort();
    if args.dry_run {
        return Ok(ExitStatus::Success);
    }
    let result = Arc::new(RunResult {
        builds: Vec::new(),
        leftovers,
        elapsed: stop.clock().elapsed(start),
        cancelled: stop.is_stopped(),
        error: None,
    });
    events.emit(EventKind::RunFinished(Arc::clone(&result)));
    let must_be_clean = args.report.fail_on_leftovers || !args.is_post_step;
    let signal = signals
        .first()
        .map(super::super::engine::signal::Signal::number);
    Ok(ExitStatus::of_run(&result, must_be_clean, signal))
}

fn started(args: &CleanupArgs) -> RunStarted {
    RunStarted {
        run_id: match &args.scope {
            CleanupScope::Run(run) => run.clone(),
            CleanupScope::Journal(path) => run_of(path).unwrap_or_default(),
            CleanupScope::Expired => String::new(),
        },
        command: "cleanup",
        builds: Vec::new(),
        sources: Sources::default(),
        journal: None,
        region: None,
        inputs: Vec::new(),
    }
}

/// A journal is named after its run.
fn run_of(journal: &Path) -> Option<String> {
    let is_one = journal.extension()? == "journal";
    is_one.then(|| journal.file_stem()?.to_str().map(str::to_owned))?
}

async fn sweep_scope(args: &CleanupArgs, events: &Events, stop: &Stop) -> Result<Vec<Leftover>> {
    match &args.scope {
        CleanupScope::Journal(path) if path.is_dir() => {
            sweep_journals(path, args, events, stop).await
        }
        CleanupScope::Journal(path) => sweep_journal(path, args, events, stop).await,
        CleanupScope::Run(run) => {
            let path = path_of(&args.cloud.journal_dir, run);
            let mut leftovers = Vec::new();
            if path.exists() {
                match sweep_journal(&path, args, events, stop).await {
                    Ok(left) if args.regions.is_empty() && args.buckets.is_empty() => {
                        return Ok(left);
                    }
                    Ok(left) => leftovers = left,
                    Err(error) if error.kind() == Kind::Io => {
                        events.warn(format!("{}; going by tags", one_line(&error)));
                    }
                    Err(error) => return Err(error),
                }
            }
            leftovers.extend(sweep_tagged(Some(run), args, events, stop).await?);
            Ok(leftovers)
        }
        CleanupScope::Expired => sweep_tagged(None, args, events, stop).await,
    }
}

/// All journals in a directory; one that cannot be swept does not stop the
/// others.
async fn sweep_journals(
    directory: &Path,
    args: &CleanupArgs,
    events: &Events,
    stop: &Stop,
) -> Result<Vec<Leftover>> {
    let (mut leftovers, mut failure) = (Vec::new(), None);
    let journals = journals_in(directory)?;
    events.say(format!(
        "Found {} in {}",
        counted(journals.len(), "journal"),
        directory.display()
    ));
    for path in journals {
        match sweep_journal(&path, args, events, stop).await {
            Ok(left) => leftovers.extend(left),
            Err(error) if failure.is_none() => failure = Some(error),
            Err(error) => events.warn(one_line(&error)),
        }
    }
    failure.map_or(Ok(leftovers), Err)
}

fn journals_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| {
        let message = format!("Cannot read the directory `{}`", directory.display());
        Error::new(Kind::Io, message).with_source(error)
    };
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|it| it == "journal");
    let mut journals: Vec<_> = paths.filter(is_journal).collect();
    journals.sort();
    Ok(journals)
}

async fn sweep_journal(
    path: &Path,
    args: &CleanupArgs,
    events: &Events,
    stop: &Stop,
) -> Result<Vec<Leftover>> {
    if !path.exists() {
        // A job may end before any run of it made the directory.
        let is_directory = path.extension().is_none();
        if args.is_post_step || is_directory {
            return Ok(Vec::new());
        }
        let message = format!("There is no journal `{}`", path.display());
        return Err(Error::new(Kind::Usage, message).with_hint(
            "A run that left nothing behind removes its journal; if it was lost, use `--run ID`",
        ));
    }
    let journal = match open(path, args, stop).await {
        // The run that had it has deleted everything itself meanwhile.
        Err(_) if !path.exists() => return Ok(Vec::new()),
        opened => opened?,
    };
    if args.dry_run {
        let unswept = sweep::unswept(&journal, &Scope::all());
        for leftover in &unswept {
            let resource = &leftover.resource;
            events.say(format!(
                "Would delete {} {} in {}",
                resource.kind, resource.id, resource.region
            ));
        }
        return Ok(Vec::new());
    }
    let is_local = |entry: &Entry| entry.intent.kind.is_local();
    let cloud = match journal.entries().iter().all(is_local) {
        true => None,
        false => Some(cloud(args, events)?),
    };
    let leftovers = sweep::sweep(&journal, &Scope::all(), cloud.as_ref(), events, stop).await;
    journal.close();
    Ok(leftovers)
}

/// In the post step, and in a clean-up behind another CI's job, the main step's
/// process may still be deleting.
async fn open(path: &Path, args: &CleanupArgs, stop: &Stop) -> Result<Journal> {
    let is_behind = matches!(&args.scope, CleanupScope::Journal(scope) if scope.is_dir());
    let start = Instant::now();
    loop {
        match Journal::open(path) {
            Err(error) if (args.is_post_step || is_behind) && error.kind() == Kind::Busy => {
                if stop.clock().elapsed(start) > LOCK_LIMIT {
                    return Err(error);
                }
                stop.sleep(Duration::from_secs(1)).await?;
            }
            outcome => return outcome,
        }
    }
}

async fn sweep_tagged(
    run: Option<&str>,
    args: &CleanupArgs,
    events: &Events,
    stop: &Stop,
) -> Result<Vec<Leftover>> {
    let cloud = cloud(args, events)?;
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let regions = regions(args, &cloud, events, stop).await?;
    let searches = regions
        .iter()
        .map(|region| sweep::by_tags(&cloud, region, run, stop));
    let mut searches = stream::iter(searches).buffered(REGIONS_AT_ONCE);
    while let Some(in_region) = searches.next().await {
        let in_region = in_region?;
        found.extend(in_region.found);
        refused.extend(in_region.refused);
    }
    drop(searches);
    let was_allowed = allowed(refused, run, events);
    // Not by this machine's clock: an hour off, it would let a build that is
    // still running look like one of yesterday.
    let whose = run.map_or_else(|| Whose::ExpiredBy(cloud.now()), Whose::Run);
    found.retain(|one| whose.includes(&one.run, one.expires_at));
    let search = Search {
        cloud: &cloud,
        regions: &regions,
        whose,
        events,
        stop,
    };
    let in_buckets = Box::pin(search.run(&args.buckets, &found)).await;
    found.extend(in_buckets.found);
    let mut places = counted(regions.len(), "region");
    if in_buckets.buckets > 0 {
        places += &format!(" and {}", counted(in_buckets.buckets, "OSS bucket"));
    }
    events.say(format!(
        "Found {} in {places}",
        counted(found.len(), "resource")
    ));
    let was_searched = was_allowed.and(in_buckets.outcome);
    if args.dry_run {
        show(&found, events);
        return was_searched.map(|()| Vec::new());
    }
    let leftovers = sweep::sweep_found(found, &cloud, events, stop).await;
    was_searched.map(|()| leftovers)
}

/// A run has hardly made what its keys may not list, but a janitor must not be
/// content with not having looked.
fn allowed(refused: Vec<(ResourceKind, Error)>, run: Option<&str>, events: &Events) -> Result<()> {
    let mut kinds = Vec::new();
    for (kind, _) in &refused {
        if !kinds.contains(&kind.name()) {
            kinds.push(kind.name());
        }
    }
    let Some((_, error)) = refused.into_iter().next() else {
        return Ok(());
    };
    let message = format!(
        "These keys may not look for resources of some kinds: {}",
        kinds.join(", ")
    );
    if run.is_none() {
        return Err(error.context(message));
    }
    events.warn(message);
    Ok(())
}

fn show(found: &[Found], events: &Events) {
    for one in found {
        events.say(format!(
            "Would delete {} {} in {}",
            one.kind, one.id, one.region
        ));
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Without any named, all that the account has: some regions need an
/// application, some are closed, and those refuse every question. The region of
/// the environment is only where builds begin: copies are elsewhere.
async fn regions(
    args: &CleanupArgs,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Result<Vec<String>> {
    if !args.regions.is_empty() {
        return Ok(args.regions.clone());
    }
    let asked = cloud.call(REGION_TO_ASK, &DescribeRegions {}, stop).await;
    let answer = match (asked, &args.cloud.region) {
        (Err(error), Some(region)) if is_forbidden(&error) => {
            events.warn(format!(
                "These keys may not ask which regions there are: looking in {region} only"
            ));
            return Ok(vec![region.clone()]);
        }
        (asked, _) => asked.map_err(|error| error.with_hint("Name the regions with `--region`"))?,
    };
    let regions = answer.regions.into_iter();
    Ok(regions.map(|region| region.region_id).collect())
}

fn cloud(args: &CleanupArgs, events: &Events) -> Result<Cloud> {
    let clock = Clock::scaled(args.cloud.time_scale);
    let connections = super::build::connections(&args.cloud, None, clock, events)?;
    Ok(connections.from_environment())
}
