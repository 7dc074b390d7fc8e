//! Joins the results of legs into those of one run.
//!
//! The order is that of the expected legs, then that of the sources, so the
//! same files always give the same result. A leg that ran twice counts once:
//! a success wins over a failure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::legs::Leg;
use super::results::{BuildEnd, Results};
use crate::artifact::{Artifact, Image};
use crate::engine::event::{BuildResult, Leftover, RunResult};
use crate::error::{Error, Kind, Result};

/// A file with something to join.
#[derive(Debug)]
pub struct Source {
    /// Its path, for errors.
    pub path: PathBuf,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// The results of a run.
    Results(Box<Results>),
    /// The entries of a manifest.
    Manifest(Vec<Value>),
}

/// What the legs made together.
#[derive(Debug)]
pub struct Joined {
    /// As if one run had made it.
    pub result: RunResult,
    /// Name and type of each build, once.
    pub builds: Vec<(String, String)>,
    /// The entries of the manifest.
    pub manifest: Vec<Value>,
}

/// What became of a leg.
struct Outcome {
    build: BuildEnd,
    images: Vec<Image>,
    elapsed: Duration,
    run_id: String,
}

/// Joins what the sources hold.
///
/// # Errors
/// [`Kind::Usage`] when two files name different images of one build in one
/// region.
pub fn join(sources: &[Source], expected: &[Leg]) -> Result<Joined> {
    check_conflicts(sources)?;
    let mut outcomes = Vec::new();
    for (path, results) in results(sources) {
        for outcome in outcomes_of(path, results) {
            add(&mut outcomes, outcome);
        }
    }
    let outcomes = in_order(outcomes, expected);
    let elapsed = outcomes.iter().map(|outcome| outcome.elapsed).max();
    let builds = outcomes.iter().map(|outcome| ended(outcome, &outcomes));
    Ok(Joined {
        manifest: manifest(sources, &outcomes),
        builds: names(&outcomes),
        result: RunResult {
            builds: builds.collect(),
            leftovers: leftovers(sources),
            // They ran at the same time.
            elapsed: elapsed.unwrap_or_default(),
            cancelled: false,
            error: None,
        },
    })
}

/// Name and type of each build, once.
fn names(outcomes: &[Outcome]) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    for BuildEnd {
        name, builder_type, ..
    } in outcomes.iter().map(|outcome| &outcome.build)
    {
        if names.iter().all(|(known, _)| known != name) {
            names.push((name.clone(), builder_type.clone()));
        }
    }
    names
}

fn results(sources: &[Source]) -> impl Iterator<Item = (&PathBuf, &Results)> {
    sources.iter().filter_map(|source| match &source.content {
        Content::Results(results) => Some((&source.path, &**results)),
        Content::Manifest(_) => None,
    })
}

/// Two legs that made different images of the same name would be taken for
/// one another.
fn check_conflicts(sources: &[Source]) -> Result<()> {
    let mut known: BTreeMap<(&str, &str), (&str, &PathBuf)> = BTreeMap::new();
    for (path, results) in results(sources) {
        for image in &results.images {
            let key = (&*image.build, &*image.region);
            let (id, first) = *known.entry(key).or_insert((&image.image_id, path));
            if id != image.image_id {
                let message = format!(
                    "Build `{}` has two images in {}: {id} in `{}` and {} in `{}`",
                    image.build,
                    image.region,
                    first.display(),
                    image.image_id,
                    path.display()
                );
                return Err(Error::new(Kind::Usage, message)
                    .with_hint("Join the results of one run of each leg only"));
            }
        }
    }
    Ok(())
}

fn outcomes_of(path: &PathBuf, results: &Results) -> Vec<Outcome> {
    let elapsed = Duration::from_secs(results.duration_seconds.unwrap_or_default());
    let outcome = |build: BuildEnd| Outcome {
        images: of_build(&results.images, &build.name),
        build: BuildEnd {
            error: problem(&build, results),
            ..build
        },
        elapsed,
        run_id: results.build_run_id.clone(),
    };
    if !results.builds.is_empty() {
        return results.builds.iter().cloned().map(outcome).collect();
    }
    // It ended before it knew its builds; its file is all there is of a name.
    let unknown = BuildEnd {
        name: path.display().to_string(),
        builder_type: String::new(),
        region: String::new(),
        status: results.status.clone(),
        error: results.error.clone(),
    };
    vec![outcome(unknown)]
}

fn of_build(images: &[Image], build: &str) -> Vec<Image> {
    let of_build = images.iter().filter(|image| image.build == build);
    of_build.cloned().collect()
}

/// Why a build is no success.
fn problem(build: &BuildEnd, results: &Results) -> Option<String> {
    if build.status == "success" {
        return None;
    }
    let cause = build.error.as_ref().or(results.error.as_ref());
    Some(cause.cloned().unwrap_or_else(|| match &*results.status {
        "" => "Its run was killed before it ended".to_owned(),
        status => format!("Its run ended with the status `{status}`"),
    }))
}

/// What ran again replaces what failed.
fn add(outcomes: &mut Vec<Outcome>, new: Outcome) {
    let key = |outcome: &Outcome| (outcome.build.name.clone(), outcome.build.region.clone());
    let same = outcomes.iter().position(|old| key(old) == key(&new));
    match same {
        None => outcomes.push(new),
        Some(index) if outcomes[index].build.error.is_some() => outcomes[index] = new,
        Some(_) => {}
    }
}

fn in_order(mut outcomes: Vec<Outcome>, expected: &[Leg]) -> Vec<Outcome> {
    let mut ordered = Vec::new();
    for leg in expected {
        let fits = |outcome: &Outcome| {
            let region = &outcome.build.region;
            outcome.build.name == leg.build && (region.is_empty() || *region == leg.region)
        };
        ordered.push(match outcomes.iter().position(fits) {
            Some(index) => outcomes.remove(index),
            None => missing(leg),
        });
    }
    ordered.extend(outcomes);
    ordered
}

fn missing(leg: &Leg) -> Outcome {
    Outcome {
        build: BuildEnd {
            name: leg.build.clone(),
            builder_type: leg.builder_type.clone(),
            region: leg.region.clone(),
            status: String::new(),
            error: Some("There is no result: its job was cancelled, or failed early".to_owned()),
        },
        images: Vec::new(),
        elapsed: Duration::ZERO,
        run_id: String::new(),
    }
}

fn ended(outcome: &Outcome, all: &[Outcome]) -> Arc<BuildResult> {
    let BuildEnd { name, region, .. } = &outcome.build;
    let same_name = all.iter().filter(|other| other.build.name == *name);
    let artifact = || Artifact::of_images(builder_id(outcome), outcome.images.clone());
    Arc::new(BuildResult {
        name: match same_name.count() {
            2.. if !region.is_empty() => format!("{name} ({region})"),
            _ => name.clone(),
        },
        builder_type: builder_type(&outcome.build.builder_type),
        elapsed: outcome.elapsed,
        artifacts: (!outcome.images.is_empty())
            .then(artifact)
            .into_iter()
            .collect(),
        error: outcome
            .build
            .error
            .as_ref()
            .map(|error| Error::new(Kind::Cloud, error.clone())),
    })
}

/// Packer's id of what made the images.
fn builder_id(outcome: &Outcome) -> &'static str {
    match builder_type(&outcome.build.builder_type) {
        "qemu" => "packer.post-processor.alicloud-import",
        _ => "alibaba.alicloud",
    }
}

fn builder_type(name: &str) -> &'static str {
    let known = ["alicloud-ecs", "alicloud-import", "qemu"];
    known
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("unknown")
}

/// Each with its run: that is what deletes it.
fn leftovers(sources: &[Source]) -> Vec<Leftover> {
    let of_run = |results: &Results| {
        let run = results.build_run_id.clone();
        let named = move |leftover: Leftover| Leftover {
            reason: format!("{} (run {run})", leftover.reason),
            ..leftover
        };
        results
            .leftovers
            .clone()
            .into_iter()
            .map(named)
            .collect::<Vec<_>>()
    };
    results(sources)
        .flat_map(|(_, results)| of_run(results))
        .collect()
}

/// The entries of the manifests, and entries of the same form for images that
/// are in none.
fn manifest(sources: &[Source], outcomes: &[Outcome]) -> Vec<Value> {
    let mut entries: Vec<Value> = Vec::new();
    let written = sources.iter().flat_map(|source| match &source.content {
        Content::Manifest(builds) => builds.as_slice(),
        Content::Results(_) => &[],
    });
    for entry in written {
        if !entries.contains(entry) {
            entries.push(entry.clone());
        }
    }
    let made = outcomes.iter().filter(|outcome| !outcome.images.is_empty());
    for outcome in made {
        let entry = entry(outcome);
        let key = |entry: &Value| (entry["name"].clone(), entry["packer_run_uuid"].clone());
        if entries.iter().all(|known| key(known) != key(&entry)) {
            entries.push(entry);
        }
    }
    let place = |entry: &Value| {
        let fits = |outcome: &Outcome| {
            entry["name"] == *outcome.build.name && entry["packer_run_uuid"] == *outcome.run_id
        };
        outcomes.iter().position(fits).unwrap_or(usize::MAX)
    };
    entries.sort_by_key(place);
    entries
}

fn entry(outcome: &Outcome) -> Value {
    let artifact = Artifact::of_images(builder_id(outcome), outcome.images.clone());
    let created = outcome
        .images
        .iter()
        .filter_map(|image| image.created.parse().ok());
    let created = created.map(jiff::Timestamp::as_second).max();
    json!({
        "name": outcome.build.name,
        "builder_type": outcome.build.builder_type,
        "build_time": created.unwrap_or_default(),
        "files": null,
        "artifact_id": artifact.id,
        "packer_run_uuid": outcome.run_id,
        "custom_data": null,
    })
}

#[cfg(test)]
mod tests;
