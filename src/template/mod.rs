//! Templates: text to an evaluated model in which every value keeps its place
//! in the source.
//!
//! ```text
//! file ─┬→ json → legacy ─┬→ variables ─┐
//!       └→ hcl            └─────────────┴→ model → evaluate → decode → (plan)
//! ```
//!
//! `source` holds texts and spans, `value` the syntax-independent values,
//! `diagnostic` what is said about them. `legacy` reads Packer's JSON
//! templates into `model`, `hcl` its HCL2 templates, `meta` the keys that blocks
//! of both have, `interpolate` is the language inside strings, and
//! `decode` turns evaluated values into typed options for `plan`. [`load`]
//! does everything up to the model.

use self::diagnostic::Diagnostics;
use self::file::Text;
use self::interpolate::Context;
use self::legacy::Root;
use self::model::Template;
use self::source::Sources;
use self::variables::{ResolvedVariables, Unset, VariableInputs};

pub mod decode;
pub mod diagnostic;
pub mod evaluate;
pub mod file;
pub mod go_duration;
pub mod go_time;
mod hcl;
pub mod interpolate;
pub mod json;
mod legacy;
mod meta;
pub mod model;
pub mod nearest;
pub mod selection;
pub mod source;
pub mod value;
pub mod variables;
mod version;

/// The version of Packer that templates are told they run under.
pub const PACKER_VERSION: &str = "1.15.0";

/// A template with the values of its variables.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The template; strings in bodies are not rendered yet.
    pub template: Template,
    /// The variables.
    pub variables: ResolvedVariables,
}

/// Reads a template for a build. Gives what could be read even when there are
/// errors, so that later stages can find theirs; nothing when the text is no
/// object. Ask [`Diagnostics::has_errors`] before building.
pub fn load(
    text: impl Into<Text>,
    inputs: &VariableInputs<'_>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    read(text.into(), inputs, Unset::Error, sources, diagnostics)
}

/// Reads a template to look at it: required variables need no value.
pub fn inspect(
    text: impl Into<Text>,
    inputs: &VariableInputs<'_>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    read(text.into(), inputs, Unset::Empty, sources, diagnostics)
}

fn read(
    text: Text,
    inputs: &VariableInputs<'_>,
    unset: Unset,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    let source = match text {
        Text::Json(source) => source,
        Text::Hcl(files) => return hcl::read(&files, inputs, unset, sources, diagnostics),
    };
    let value = json::parse(source, sources, diagnostics)?;
    let root = Root::new(&value, diagnostics)?;
    let (declared, sensitive) = root.variables(diagnostics);
    let variables = variables::resolve(&declared, &sensitive, inputs, unset, sources, diagnostics);
    let context = Context {
        sources: Some(sources),
        ..Context::new(
            &variables.values,
            &inputs.template_dir,
            &inputs.pwd,
            inputs.start,
        )
    };
    let template = Template {
        variables: declared,
        sensitive_variables: sensitive,
        ..root.template(&context, diagnostics)
    };
    Some(Loaded {
        template,
        variables,
    })
}

#[cfg(test)]
mod tests;
