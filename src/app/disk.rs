//! `disk`: looks at disk images on this machine and converts them.

use crate::disk::stream::{self, Control};
use crate::disk::{self, report};
use crate::engine::event::Events;
use crate::error::Result;
use crate::inputs::{DiskAction, DiskArgs};
use crate::report::{ExitStatus, Format, Writers, page};

pub(super) fn run(args: &DiskArgs) -> ExitStatus {
    let events = super::events(&args.report);
    match answer(args, &events) {
        Ok((text, status)) => {
            page::print(Writers::of_process(), &text);
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
                events.say(warning.clone());
            }
            // An unfinished output has no name: the first signal may kill us.
            let control = Control::none();
            let summary = stream::write_file(opened.as_ref(), options, output, control)?;
            let json = serde_json::json!({ "path": output, "summary": summary });
            (report::convert_text(&summary), json, ExitStatus::Success)
        }
    };
    let text = if is_json { json.to_string() } else { text };
    Ok((text, status))
}
