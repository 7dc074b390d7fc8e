//! `disk`: looks at disk images on this machine and converts them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::disk::stream::{self, Control, Options, Summary};
use crate::disk::{self, Disk, report};
use crate::engine::event::{EventKind, Events, RunResult};
use crate::engine::signal::{Signal, Signals};
use crate::engine::stop::Stop;
use crate::error::{Kind, Result};
use crate::inputs::{DiskAction, DiskArgs};
use crate::report::{ExitStatus, Format, Writers, page};

/// How often a long conversion says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

pub(super) fn run(args: &DiskArgs) -> ExitStatus {
    let events = super::events(&args.report);
    match answer(args, &events) {
        Ok((text, status)) => {
            let print = match args.report.format {
                Format::Json => page::print_json,
                Format::Text | Format::MachineReadable => page::print_text,
            };
            print(Writers::of_process(), &text);
            status
        }
        Err(error) => super::fail(&events, error),
    }
}

fn answer(args: &DiskArgs, events: &Events) -> Result<(String, ExitStatus)> {
    let is_json = args.report.format == Format::Json;
    let opened = match args.format {
        Some(format) => disk::open_as(&args.file, format)?,
        None => disk::open(&args.file)?,
    };
    let info = opened.info();
    let (text, json, status) = match &args.action {
        DiskAction::Info => {
            let usage = report::usage(opened.as_ref())?;
            let json = report::info_json(info, usage);
            (report::info_text(info, usage), json, ExitStatus::Success)
        }
        DiskAction::Check => {
            let check = opened.check()?;
            let status = if check.is_clean() {
                ExitStatus::Success
            } else {
                ExitStatus::Failure
            };
            let json = report::check_json(info, &check);
            (report::check_text(info, &check), json, status)
        }
        DiskAction::Convert { output, options } => {
            for warning in &info.warnings {
                events.warn(warning.clone());
            }
            let summary = match convert(opened.as_ref(), options, output, events)? {
                Ok(summary) => summary,
                Err(status) => return Ok((String::new(), status)),
            };
            let json = serde_json::json!({ "path": output, "summary": summary });
            (report::convert_text(&summary), json, ExitStatus::Success)
        }
    };
    let text = if is_json { json.to_string() } else { text };
    Ok((text, status))
}

/// Converts until a signal comes; the unfinished file is then removed and the
/// status tells the signal.
fn convert(
    disk: &dyn Disk,
    options: &Options,
    output: &Path,
    events: &Events,
) -> Result<Result<Summary, ExitStatus>> {
    let stop = Stop::new(Clock::scaled(1.0));
    let progress = Progress::new(disk.virtual_size(), events);
    let control = Control {
        is_stopped: &|| stop.is_stopped(),
        progress: &|done| progress.show(done),
        ..Control::none()
    };
    let outcome = super::block_on(async {
        let signals = Signals::install()?;
        let watch = signals.watch("conversion", &stop, events);
        let write = || stream::write_file(disk, options, output, control);
        let outcome = tokio::task::block_in_place(write);
        watch.abort();
        match outcome {
            Err(error) if error.kind() == Kind::Cancelled => {
                let mut result = RunResult::failed(error);
                result.cancelled = true;
                let signal = signals.first().map(Signal::number);
                let status = ExitStatus::of_run(&result, false, signal);
                events.emit(EventKind::RunFinished(Arc::new(result)));
                Ok(Err(status))
            }
            outcome => outcome.map(Ok),
        }
    });
    outcome.and_then(|outcome| outcome)
}

/// Says how far a conversion is, but nothing when it is a short one.
struct Progress<'a> {
    size: u64,
    events: &'a Events,
    shown: Mutex<Instant>,
}

impl<'a> Progress<'a> {
    fn new(size: u64, events: &'a Events) -> Self {
        Self {
            size,
            events,
            shown: Mutex::new(Instant::now()),
        }
    }

    fn show(&self, done: u64) {
        const MIB: u64 = 1 << 20;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() < PROGRESS_EVERY {
            return;
        }
        *shown = Instant::now();
        let percent = (done / (self.size / 100).max(1)).min(100);
        let (done, size) = (done / MIB, self.size / MIB);
        self.events
            .message(format!("Converted {percent} % ({done} of {size} MiB)"));
    }
}
