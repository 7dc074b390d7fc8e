//! Other files as the artifact: Packer's `artifice`.
//!
//! Differences from Packer: a pattern that fits nothing is warned of, and an
//! artifact without any file is an error.

use std::path::PathBuf;

use crate::artifact::Artifact;
use crate::error::{Error, Kind, Result};
use crate::glob;
use crate::plan::post_processor::Artifice;
use crate::provisioner::{Context, late};

/// Packer's id for artifacts made here.
const BUILDER_ID: &str = "packer.post-processor.artifice";

/// Gives an artifact of the files that are there now.
pub(super) fn run(artifice: &Artifice, input: &Artifact, cx: &Context<'_>) -> Result<Artifact> {
    if !input.files.is_empty() {
        let names = names(&input.files);
        cx.events
            .say(format!("Discarding files from artifact: {names}"));
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in &artifice.files {
        let rendered = late::render(&pattern.value, &late::Fields::new(), cx.data)
            .map_err(|error| error.context("Could not render `files`").at(pattern.span))?;
        let mut found = glob::expand(&rendered);
        found.retain(|path| path.is_file() && !files.contains(path));
        if found.is_empty() && !files.contains(&PathBuf::from(&rendered)) {
            cx.events.warn(format!("There is no file `{rendered}`"));
        }
        files.extend(found);
    }
    if files.is_empty() {
        let message = "None of the files for the artifact is there";
        return Err(Error::new(Kind::Io, message)
            .with_hint("Relative paths start at the working directory"));
    }
    let names = names(&files);
    cx.events
        .say(format!("Using these artifact files: {names}"));
    Ok(Artifact {
        builder_id: BUILDER_ID.to_owned(),
        id: String::new(),
        description: format!("Created artifact from files: {names}"),
        files,
        images: Vec::new(),
    })
}

fn names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    names.join(", ")
}
