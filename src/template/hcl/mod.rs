//! Packer's HCL2 templates, as far as they are of use without plugins.
//!
//! ```text
//! files → syntax → blocks ─┬→ given → variables → locals ─┐
//!                          └→ requirements                ├→ build → model
//!                             evaluate (scope, world) ────┘
//! ```
//!
//! The result is the same model that JSON templates become: one builder for
//! each source of each build, with the provisioners and post-processors that
//! were evaluated for it. What is only known while a build runs stands in it
//! as the Go template that JSON templates write. Values are those of cty
//! (`value`), options are decoded later (`plan`). Source of facts: Packer's
//! documentation of HCL2 templates, and Packer itself.

use std::collections::BTreeSet;

use self::blocks::{File, Root};
use self::build::Builds;
use self::given::gather;
use self::variables::{Resolution, Variable};
use self::world::World;
use super::Loaded;
use super::diagnostic::Diagnostics;
use super::file::HclFiles;
use super::source::Sources;
use super::variables::{ResolvedVariables, Unset, VariableInputs};

mod blocks;
mod body;
mod build;
mod constraint;
mod evaluate;
mod functions;
mod given;
mod locals;
mod requirements;
mod scope;
mod secret;
mod show;
mod syntax;
mod value;
mod variables;
mod world;

#[cfg(test)]
mod tests;

/// Reads a template. Nothing when one of its files cannot be parsed: all that
/// it declares would be missing.
pub(super) fn read(
    files: &HclFiles,
    inputs: &VariableInputs<'_>,
    unset: Unset,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    let bodies = parse(files, sources, diagnostics)?;
    let world = World::new(files, inputs);
    let mut secrets = Vec::new();
    // Variable files are added while blocks point into these.
    let texts = sources.clone();
    let root = Root::new(&bodies, &texts, diagnostics);
    let mut resolution = Resolution {
        world: &world,
        sources: &texts,
        secrets: &mut secrets,
        diagnostics,
    };
    let declared = resolution.declared(&root);
    let given = gather(
        &names(&declared),
        files,
        inputs,
        &world,
        sources,
        resolution.diagnostics,
    );
    let variables = resolution.values(&declared, given, unset);
    let locals = resolution.locals(&root, &variables);
    for placed in &root.packer {
        requirements::check(*placed, &world, diagnostics);
    }
    let builds = Builds {
        root: &root,
        variables: &variables,
        locals: &locals,
        world: &world,
        sources,
        diagnostics,
    };
    Some(Loaded {
        template: builds.read(),
        variables: ResolvedVariables {
            sensitive: sensitive(&declared),
            hidden: secrets,
            ..ResolvedVariables::default()
        },
    })
}

/// The trees of all files, after reporting the first error of each that has
/// none.
fn parse(files: &HclFiles, sources: &Sources, diagnostics: &mut Diagnostics) -> Option<Vec<File>> {
    let parsed: Vec<_> = files
        .sources
        .iter()
        .map(|source| {
            let body = syntax::parse(*source, sources, diagnostics)?;
            Some(File {
                source: *source,
                body,
            })
        })
        .collect();
    parsed.into_iter().collect()
}

fn names<'v>(declared: &'v [Variable<'_>]) -> Vec<&'v str> {
    let names = declared.iter().map(|variable| variable.name.value.as_str());
    names.collect()
}

fn sensitive(declared: &[Variable<'_>]) -> BTreeSet<String> {
    let sensitive = declared.iter().filter(|variable| variable.is_sensitive);
    sensitive
        .map(|variable| variable.name.value.clone())
        .collect()
}
