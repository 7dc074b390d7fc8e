//! What happens to an artifact after its build: Packer's post-processors.
//!
//! ```text
//! builder's artifact ─┬─ sequence 1: pp → artifact → pp → artifact
//!                     └─ sequence 2: pp → artifact
//! ```
//!
//! Differences from Packer: a failing post-processor never destroys an
//! artifact, and an artifact that is passed on unchanged is listed once.
//! Nothing is destroyed here; what is not kept is given back as data.

use crate::artifact::Artifact;
use crate::builder::BuildContext;
use crate::engine::Connections;
use crate::engine::event::Leftover;
use crate::error::{Error, Kind, Result};
use crate::importer;
use crate::journal::Journal;
use crate::journal::tags::RunTags;
use crate::plan::post_processor as plan;
use crate::provisioner::{Context, shell_local};

mod artifice;
mod checksum;
mod compress;
mod import;
pub mod manifest;

/// What post-processing left.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Artifacts that remain, the builder's first.
    pub artifacts: Vec<Artifact>,
    /// Artifacts the template does not keep; the caller destroys them.
    pub discarded: Vec<Artifact>,
    /// Why sequences ended early, at most one for each.
    pub errors: Vec<Error>,
    /// What post-processors made and could not delete.
    pub leftovers: Vec<Leftover>,
}

/// What post-processors that use Alibaba Cloud need.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// How to reach it.
    pub connections: &'a Connections,
    /// The only way to create anything.
    pub journal: &'a Journal,
    /// What temporary resources carry.
    pub tags: &'a RunTags,
}

/// Everything a post-processor may use.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    cx: &'a Context<'a>,
    services: Option<&'a Services<'a>>,
}

impl Outcome {
    /// A stop counts as one error, wherever it was noticed.
    fn note_stop(&mut self, cx: &Context<'_>) {
        if cx.stop.is_stopped() {
            self.errors.retain(|error| error.kind() != Kind::Cancelled);
            self.errors.push(Error::cancelled());
        }
    }
}

/// What a post-processor made of its input.
struct Processed {
    artifact: Artifact,
    /// Whether the input is kept when the template does not say.
    keep_by_default: bool,
    /// Whether the template cannot change that.
    keep_is_forced: bool,
}

impl Processed {
    /// For post-processors that must not lose the artifact they describe.
    fn keeping(artifact: Artifact) -> Self {
        Self {
            artifact,
            keep_by_default: true,
            keep_is_forced: true,
        }
    }

    fn keeps_input(&self, written: Option<bool>) -> bool {
        let forced = self.keep_by_default && self.keep_is_forced;
        forced || written.unwrap_or(self.keep_by_default)
    }
}

/// Looks whether what post-processors will need is there, before hours go into
/// a machine whose disk then cannot be imported. It creates nothing.
///
/// # Errors
/// What the first post-processor would fail with.
pub async fn preflight(
    sequences: &[Vec<plan::PostProcessor>],
    cx: &BuildContext<'_>,
    connections: &Connections,
) -> Result<()> {
    for step in sequences.iter().flatten() {
        let plan::Kind::AlicloudImport(import) = &step.kind else {
            continue;
        };
        let name = &step.name;
        cx.events.say(format!(
            "Checking image name, bucket and role of post-processor {name}..."
        ));
        let cloud = connections.for_import(import)?;
        let checked = importer::preflight(cx, &cloud, import).await;
        checked.map_err(|error| match error.kind() {
            Kind::Cancelled => error,
            _ => error
                .context(format!("Post-processor `{name}` would fail"))
                .at(step.span),
        })?;
    }
    Ok(())
}

/// Lets the artifact flow through every sequence. A failure ends its
/// sequence; the next one still runs. When the run is stopped nothing more
/// runs and everything made so far remains. Without `services` nothing can be
/// made in Alibaba Cloud.
pub async fn run_sequences(
    sequences: &[Vec<plan::PostProcessor>],
    artifact: Artifact,
    cx: &Context<'_>,
    services: Option<&Services<'_>>,
) -> Outcome {
    let around = Surroundings { cx, services };
    let mut outcome = Outcome::default();
    let mut keep_original = sequences.is_empty();
    for sequence in sequences {
        if cx.stop.is_stopped() {
            break;
        }
        keep_original |= run_sequence(sequence, &artifact, around, &mut outcome).await;
    }
    outcome.note_stop(cx);
    let keep_original = keep_original || !outcome.errors.is_empty();
    outcome.artifacts.retain(|made| *made != artifact);
    if keep_original {
        outcome.artifacts.insert(0, artifact);
    } else {
        outcome.discarded.insert(0, artifact);
    }
    outcome
}

/// Gives whether the sequence keeps the builder's artifact.
async fn run_sequence(
    sequence: &[plan::PostProcessor],
    original: &Artifact,
    around: Surroundings<'_>,
    outcome: &mut Outcome,
) -> bool {
    let mut keep_original = false;
    let mut current = original.clone();
    for (index, step) in sequence.iter().enumerate() {
        let processed = match process(step, &current, around, &mut outcome.leftovers).await {
            Ok(processed) => processed,
            Err(error) => {
                outcome.errors.push(error);
                keep_original = true;
                break;
            }
        };
        let keep = processed.keeps_input(step.keep_input_artifact);
        let input = std::mem::replace(&mut current, processed.artifact);
        match (index, keep) {
            (0, keep) => keep_original |= keep,
            (_, true) => add(&mut outcome.artifacts, input),
            (_, false) => outcome.discarded.push(input),
        }
    }
    add(&mut outcome.artifacts, current);
    keep_original
}

fn add(artifacts: &mut Vec<Artifact>, artifact: Artifact) {
    if !artifacts.contains(&artifact) {
        artifacts.push(artifact);
    }
}

async fn process(
    step: &plan::PostProcessor,
    input: &Artifact,
    around: Surroundings<'_>,
    leftovers: &mut Vec<Leftover>,
) -> Result<Processed> {
    let type_name = step.kind.type_name();
    around.cx.events.say(if step.name == type_name {
        format!("Running post-processor: {type_name}")
    } else {
        format!("Running post-processor: {} (type {type_name})", step.name)
    });
    dispatch(&step.kind, input, around, leftovers)
        .await
        .map_err(|error| failed(error, &step.name).at(step.span))
}

/// The failure as one of a post-processor; being stopped stays that.
fn failed(error: Error, name: &str) -> Error {
    match error.kind() {
        Kind::Cancelled => error,
        _ => {
            let span = error.span();
            Error::new(Kind::PostProcess, format!("Post-processor `{name}` failed"))
                .at(span)
                .with_source(error)
        }
    }
}

async fn dispatch(
    kind: &plan::Kind,
    input: &Artifact,
    around: Surroundings<'_>,
    leftovers: &mut Vec<Leftover>,
) -> Result<Processed> {
    let cx = around.cx;
    match kind {
        plan::Kind::Manifest(manifest) => {
            manifest::run(manifest, input, cx).await?;
            Ok(Processed::keeping(input.clone()))
        }
        plan::Kind::Checksum(checksum) => {
            let artifact = checksum::run(checksum, input, cx).await?;
            Ok(Processed::keeping(artifact))
        }
        plan::Kind::ShellLocal(local) => {
            shell_local::run(local, cx).await?;
            Ok(Processed::keeping(input.clone()))
        }
        plan::Kind::AlicloudImport(import) => {
            let services = around.services.ok_or_else(|| {
                Error::new(Kind::Internal, "There is no way to reach Alibaba Cloud")
            })?;
            let artifact = import::run(import, input, cx, services, leftovers).await?;
            Ok(Processed {
                artifact,
                keep_by_default: false,
                keep_is_forced: false,
            })
        }
        plan::Kind::Compress(compress) => Ok(Processed {
            artifact: compress::run(compress, input, cx).await?,
            keep_by_default: false,
            keep_is_forced: false,
        }),
        plan::Kind::Artifice(artifice) => Ok(Processed {
            artifact: artifice::run(artifice, input, cx)?,
            keep_by_default: true,
            keep_is_forced: false,
        }),
    }
}

#[cfg(test)]
mod tests;
