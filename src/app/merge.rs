//! `merge`: reads what legs wrote, joins it, and reports it as one run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::review;
use crate::clock::Clock;
use crate::engine::event::{EventKind, Events, RunStarted};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::fanout::join::{Content, Joined, Source, join};
use crate::fanout::legs::{Leg, Matrix};
use crate::inputs::MergeArgs;
use crate::postprocessor::manifest;
use crate::report::ExitStatus;
use crate::template::source::Sources;

pub(super) fn run(args: &MergeArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let told = super::block_on(told_merge(args, &events));
    told.unwrap_or_else(|error| super::fail(&events, error))
}

/// The merge, and what GitHub is told about it: the legs are one run.
async fn told_merge(args: &MergeArgs, events: &Events) -> ExitStatus {
    let stop = Stop::new(Clock::default());
    for warning in &args.warnings {
        events.warn(warning.clone());
    }
    let telling = review::start(args.reviewing.as_ref(), &args.report, events, &stop);
    let outcome = merge(args, events);
    let status = outcome.unwrap_or_else(|error| super::fail(events, error));
    if let Some(telling) = telling {
        telling.finish(&stop).await;
    }
    status
}

fn merge(args: &MergeArgs, events: &Events) -> Result<ExitStatus> {
    if let Some(directory) = &args.directory {
        super::template::enter(directory)?;
    }
    let expected = args.expect.as_deref().map(expected).transpose()?;
    let mut sources = Vec::new();
    for path in &args.files {
        read(path, &mut sources)?;
    }
    let joined = join(&sources, &expected.unwrap_or_default())?;
    if let Some(path) = &args.manifest {
        manifest::write(path, joined.manifest.clone())?;
    }
    Ok(report(joined, args.report.fail_on_leftovers, events))
}

fn report(joined: Joined, fail_on_leftovers: bool, events: &Events) -> ExitStatus {
    events.emit(EventKind::RunStarted(Arc::new(RunStarted {
        run_id: String::new(),
        command: "merge",
        builds: joined.builds,
        sources: Sources::default(),
        journal: None,
        region: None,
        inputs: Vec::new(),
    })));
    let status = ExitStatus::of_run(&joined.result, fail_on_leftovers, None);
    events.emit(EventKind::RunFinished(Arc::new(joined.result)));
    status
}

/// The legs of a matrix, given as JSON or as a file with it.
fn expected(matrix: &str) -> Result<Vec<Leg>> {
    let (what, text) = match matrix.trim_start().starts_with('{') {
        true => ("`--expect`".to_owned(), matrix.to_owned()),
        false => (format!("`{matrix}`"), text(Path::new(matrix))?),
    };
    let matrix: Matrix = serde_json::from_str(&text).map_err(|error| {
        Error::new(Kind::Usage, format!("{what} holds no matrix"))
            .with_source(error)
            .with_hint("Give what `alicloud-image matrix` prints")
    })?;
    Ok(matrix.include)
}

/// Reads a file, or all JSON files below a directory in the order of their
/// paths: every CI system unpacks artifacts in its own way.
fn read(path: &Path, sources: &mut Vec<Source>) -> Result<()> {
    if !path.is_dir() {
        sources.extend(source(path)?);
        return Ok(());
    }
    for entry in entries(path)? {
        let is_json = entry.extension().is_some_and(|end| end == "json");
        let is_directory = entry.is_dir() && !entry.is_symlink();
        if is_directory || is_json {
            read(&entry, sources)?;
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    let mut entries = entries.map_err(|error| unreadable(directory, error))?;
    entries.sort();
    Ok(entries)
}

/// None for a matrix: it may lie beside the results.
fn source(path: &Path) -> Result<Option<Source>> {
    let value: Value = serde_json::from_str(&text(path)?).map_err(|error| foreign(path, error))?;
    let has = |field: &str| value.get(field).is_some();
    let content = if has("build_run_id") && has("images") {
        let results = serde_json::from_value(value).map_err(|error| foreign(path, error))?;
        Content::Results(Box::new(results))
    } else if has("last_run_uuid") {
        Content::Manifest(value["builds"].as_array().cloned().unwrap_or_default())
    } else if has("include") {
        return Ok(None);
    } else {
        return Err(foreign(
            path,
            "it has neither `build_run_id` nor `last_run_uuid`",
        ));
    };
    let path = path.to_owned();
    Ok(Some(Source { path, content }))
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let message = format!("Cannot read `{}`", path.display());
    Error::new(Kind::Usage, message).with_source(error)
}

fn foreign(path: &Path, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = format!("`{}` is neither a result nor a manifest", path.display());
    Error::new(Kind::Usage, message)
        .with_source(why)
        .with_hint("Give what `--output-file NAME.json` or the post-processor `manifest` writes")
}
