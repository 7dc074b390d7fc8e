//! The template language inside strings: `{{user `x`}}` and the like.
//!
//! A subset of Go's `text/template` with the functions that Packer adds:
//! everything that one string can use. Not here: which strings are rendered
//! and when (`evaluate` and the callers of [`render`] at run time).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::source::Sources;

mod builtins;
mod datum;
mod error;
mod eval;
mod functions;
mod lexer;
mod parser;
mod printf;
mod syntax;

pub use error::{Cause, InterpolateError};
pub use functions::BUILD_FIELDS;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a text may refer to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Values for `user`.
    pub user: &'a BTreeMap<String, String>,
    /// The environment for `env`; only where variables are defined. With it,
    /// `user` of a variable without value is an error, else it is empty.
    pub env: Option<Environment<'a>>,
    /// The name of the build, once there is one.
    pub build_name: Option<&'a str>,
    /// The type of the builder, once there is one.
    pub build_type: Option<&'a str>,
    /// The template's directory, absolute; empty when there is none.
    pub template_dir: &'a str,
    /// The working directory.
    pub pwd: &'a str,
    /// When the run began: the time of `timestamp`, `isotime`, `strftime`.
    pub start: Timestamp,
    /// Values for `{{.Name}}`.
    pub fields: &'a BTreeMap<String, String>,
    /// Values for `build`.
    pub build: BuildAccess<'a>,
    /// What becomes of `{{.Name}}` without a value.
    pub missing_fields: MissingFields,
    /// The texts that values come from, for exact places in diagnostics.
    pub sources: Option<&'a Sources>,
}

/// What `build` gives.
#[derive(Debug, Clone, Copy)]
pub enum BuildAccess<'a> {
    /// An error: there is no build here.
    Unavailable,
    /// A `{{.Name}}` that is rendered again when the build runs.
    Deferred,
    /// The values of the running build. `{{.Name}}` finds them too.
    Known(&'a BTreeMap<String, String>),
}

/// What becomes of `{{.Name}}` without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFields {
    /// The action stays in the text untouched, for a later rendering.
    Keep,
    /// An error.
    Error,
}

static NO_FIELDS: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Context<'a> {
    /// A context in which only `user`, the time and the directories are known
    /// and unknown fields are errors.
    pub fn new(
        user: &'a BTreeMap<String, String>,
        template_dir: &'a str,
        pwd: &'a str,
        start: Timestamp,
    ) -> Self {
        Self {
            user,
            env: None,
            build_name: None,
            build_type: None,
            template_dir,
            pwd,
            start,
            fields: &NO_FIELDS,
            build: BuildAccess::Unavailable,
            missing_fields: MissingFields::Error,
            sources: None,
        }
    }

    /// The same within a build.
    #[must_use]
    pub fn for_build(self, name: &'a str, builder_type: &'a str) -> Self {
        Self {
            build_name: Some(name),
            build_type: Some(builder_type),
            ..self
        }
    }
}

/// The text with every action replaced by its value.
///
/// # Errors
///
/// The first failure: bad syntax, an unknown function, or a function that
/// refused its arguments.
pub fn render(text: &str, context: &Context<'_>) -> Result<String, InterpolateError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let nodes = parser::parse(text)?;
    eval::Evaluator::new(text, context).render(&nodes)
}

/// Checks the syntax, and that all functions exist, without rendering.
///
/// # Errors
///
/// The first failure.
pub fn check(text: &str) -> Result<(), InterpolateError> {
    if text.contains("{{") {
        parser::parse(text)?;
    }
    Ok(())
}

/// The user variables that a text names, each with its place. Nothing for a
/// text with bad syntax.
pub fn user_variables(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    if !text.contains("{{") {
        return Vec::new();
    }
    parser::parse(text).map_or_else(|_| Vec::new(), |nodes| eval::user_variables(&nodes))
}

#[cfg(test)]
mod tests;
