//! Runs a plan: all builds at once, each to its end, then the summary.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::journal::Journal;
use crate::journal::tags::RunTags;
use crate::plan::{OnError, Plan};
use crate::process::Environment;

mod build;
mod connect;
pub mod connections;
mod discard;
pub mod event;
pub mod pulse;
pub mod signal;
pub mod step;
pub mod stop;

pub use connections::Connections;
use event::{EventKind, Events, RunResult};
use stop::Stop;

/// What the command line says about a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What happens to the machine after a failure.
    pub on_error: OnError,
    /// `-force`.
    pub force: bool,
    /// How many builds run at once; all when absent.
    pub parallel: Option<usize>,
    /// Stop and clean up after this time.
    pub deadline: Option<Duration>,
    /// What temporary resources carry.
    pub tags: RunTags,
    /// The SSH agent's socket.
    pub agent_socket: Option<PathBuf>,
    /// The port of sandbox guests, when it is not the usual one.
    pub guest_port: Option<u16>,
    /// What programs started by the build see.
    pub environment: Environment,
}

/// Runs all builds of a plan and reports how each ended.
pub async fn run(
    plan: &Plan,
    settings: &Settings,
    connections: &Connections,
    journal: Journal,
    events: &Events,
    stop: &Stop,
) -> Arc<RunResult> {
    let start = Instant::now();
    let cx = build::RunContext {
        settings,
        connections,
        journal: &journal,
        stop,
        events,
    };
    let builds = run_builds(plan, &cx);
    let (ended, error) = with_deadline(settings.deadline, stop, builds).await;
    let (builds, leftovers): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    let result = Arc::new(RunResult {
        builds,
        leftovers: leftovers.into_iter().flatten().collect(),
        elapsed: stop.clock().elapsed(start),
        cancelled: stop.is_stopped(),
        error,
    });
    events.emit(EventKind::RunFinished(Arc::clone(&result)));
    journal.close();
    result
}

async fn run_builds(
    plan: &Plan,
    cx: &build::RunContext<'_>,
) -> Vec<(Arc<event::BuildResult>, Vec<event::Leftover>)> {
    let at_once = cx.settings.parallel.unwrap_or(plan.builds.len()).max(1);
    let builds = plan.builds.iter().enumerate();
    // A slow build must not hold back those behind it: they end in any order.
    let mut ended: Vec<_> = stream::iter(builds)
        .map(async |(place, build)| (place, build::run(build, cx).await))
        .buffer_unordered(at_once)
        .collect()
        .await;
    ended.sort_by_key(|(place, _)| *place);
    ended.into_iter().map(|(_, end)| end).collect()
}

/// Lets the work end by itself, but tells it to stop at the deadline.
pub(crate) async fn with_deadline<T>(
    deadline: Option<Duration>,
    stop: &Stop,
    work: impl Future<Output = T>,
) -> (T, Option<Error>) {
    tokio::pin!(work);
    let Some(deadline) = deadline else {
        return (work.await, None);
    };
    let clock = stop.clock();
    tokio::select! {
        output = &mut work => (output, None),
        () = clock.sleep(deadline) => {
            stop.stop();
            (work.await, Some(deadline_error(deadline)))
        }
    }
}

fn deadline_error(deadline: Duration) -> Error {
    let minutes = match deadline.as_secs() / 60 {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    Error::new(
        Kind::Timeout,
        format!("The run did not end within {minutes}"),
    )
    .with_hint("Raise `--timeout-minutes`")
}
