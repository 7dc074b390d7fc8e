//! The commands: from resolved inputs to the modules that do the work.
//!
//! Only wiring: what a command means is decided in `inputs`, what it does in
//! the modules, what is shown in `report`.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::Page;
use crate::engine::event::{EventKind, Events, RunResult};
use crate::error::{Error, Kind, Result};
use crate::init;
use crate::inputs::{self, Command, definitions};
use crate::report::{ExitStatus, Report, Settings, Writers, page};

mod build;
mod cleanup;
mod disk;
mod import;
mod inspect;
mod logging;
mod matrix;
mod merge;
mod plan;
mod policy;
mod remote;
mod review;
mod sandbox;
mod template;
mod validate;
mod whoami;

/// Runs the command that argv and environment ask for; as process 1 of a
/// container, in a child.
pub fn run() -> ExitCode {
    let (arguments, environment) = inputs::from_process();
    if init::is_wanted()
        && let Ok(code) = init::run(&arguments)
    {
        return ExitCode::from(code);
    }
    // As process 1 without /proc we go on: only zombies are not cared for.
    let status = match inputs::resolve(arguments, &environment) {
        Ok(command) => guarded(|| dispatch(command)),
        Err(error) => fail(&events(&inputs::fallback_settings(&environment)), error),
    };
    status.into()
}

/// A bug has an exit code of its own. What was unwound kept its journal: only
/// a run that ends closes it.
fn guarded(work: impl FnOnce() -> ExitStatus) -> ExitStatus {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(ExitStatus::Internal)
}

fn dispatch(command: Command) -> ExitStatus {
    match command {
        Command::Build(args) => build::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Guard(args) => cleanup::guard(&args),
        Command::Import(args) => import::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::CloseCheckRun(args) => review::run(&args),
        Command::Whoami(args) => whoami::run(&args),
        Command::Disk(args) => disk::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Version { machine_readable } => print(&page::version(machine_readable)),
        Command::Completions(shell) => print(&page::completions(shell, definitions())),
        Command::Docs(Page::Options) => print(&crate::plan::docs::options_page()),
        Command::Docs(Page::Reference) => print(&inputs::reference::markdown()),
        Command::Docs(Page::Compatibility) => print(&crate::plan::compatibility::page()),
        Command::Print(text) => print(&text),
    }
}

fn print(text: &str) -> ExitStatus {
    page::print(Writers::of_process(), text);
    ExitStatus::Success
}

/// Shows events as the settings say.
fn events(settings: &Settings) -> Events {
    let report = Report::new(settings, Writers::of_process());
    let log = report.developer_log(Writers::of_process().stderr);
    logging::start(settings, log);
    Events::new(report)
}

/// The same on standard error alone: standard output is for an answer.
fn events_aside(settings: &Settings) -> Events {
    let writers = Writers {
        stdout: Writers::of_process().stderr,
        ..Writers::of_process()
    };
    Events::new(Report::new(settings, writers))
}

/// Reports an error that ended the program before any build.
fn fail(events: &Events, error: Error) -> ExitStatus {
    let status = ExitStatus::of_error(&error);
    events.emit(EventKind::RunFinished(Arc::new(RunResult::failed(error))));
    status
}

/// Reports the good end of a command that builds nothing.
fn succeed(events: &Events) -> ExitStatus {
    let end = Arc::new(RunResult::without_builds());
    events.emit(EventKind::RunFinished(end));
    ExitStatus::Success
}

/// Waits for async work on this thread; connections get threads of their own.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(Kind::Internal, "Cannot start the async runtime").with_source(error)
        })?;
    Ok(runtime.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    #[test]
    fn a_bug_has_its_exit_code_and_keeps_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let status = guarded(|| {
            let _journal = Journal::start(directory.path(), "run").unwrap();
            panic!("a bug");
        });
        assert_eq!(status.code(), 70);
        assert!(crate::journal::path_of(directory.path(), "run").exists());
    }
}
