//! User variables: where values come from, and how they refer to each other.
//!
//! From weak to strong: default, `-var-file` in the order given, `-var`. All
//! values are interpolated, with the environment and other variables at hand.
//! Not here: reading argv and the environment (`inputs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::evaluate::diagnose;
use super::interpolate::{Cause, Context, Environment, InterpolateError, MissingFields, render};
use super::json;
use super::model::Variable;
use super::nearest::did_you_mean;
use super::source::{Sources, Span, Spanned};
use super::value::{Value, ValueKind};
use crate::secret::Secret;

/// Everything outside the template that variables depend on.
#[derive(Clone)]
pub struct VariableInputs<'a> {
    /// `-var name=value`, in order.
    pub vars: Vec<(String, String)>,
    /// `-var-file path`, in order.
    pub var_files: Vec<PathBuf>,
    /// The environment.
    pub env: Environment<'a>,
    /// The template's directory, absolute; empty for standard input.
    pub template_dir: String,
    /// The working directory.
    pub pwd: String,
    /// When the run began.
    pub start: Timestamp,
    /// What a stranger's template may not read.
    pub fence: Fence<'a>,
}

/// Says why a path may not be read; nothing when it may.
pub type Fence<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// The values of all variables.
#[derive(Debug, Clone, Default)]
pub struct ResolvedVariables {
    /// By name. One that could not be resolved is empty here and reported.
    pub values: BTreeMap<String, String>,
    /// Names of those that must not be shown.
    pub sensitive: BTreeSet<String>,
    /// Further texts that must not be shown.
    pub hidden: Vec<Secret>,
}

impl ResolvedVariables {
    /// The values to mask.
    pub fn secrets(&self) -> Vec<Secret> {
        self.sensitive
            .iter()
            .filter_map(|name| self.values.get(name))
            .filter(|value| !value.is_empty())
            .map(Secret::new)
            .chain(self.hidden.iter().cloned())
            .collect()
    }
}

/// What a required variable without a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// An error.
    Error,
    /// Empty.
    Empty,
}

/// Resolves all variables.
pub(super) fn resolve(
    declared: &[Variable],
    sensitive: &[Spanned<String>],
    inputs: &VariableInputs<'_>,
    unset: Unset,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> ResolvedVariables {
    let given = gather(declared, inputs, sources, diagnostics);
    let mut resolver = Resolver {
        inputs,
        sources,
        diagnostics,
        values: BTreeMap::new(),
    };
    for variable in declared {
        if !given.contains_key(&variable.name) {
            resolver.missing(variable, unset);
        }
    }
    resolver.run(given);
    let values = resolver.values;
    ResolvedVariables {
        sensitive: known_sensitive(sensitive, &values, diagnostics),
        values,
        hidden: Vec::new(),
    }
}

fn known_sensitive(
    names: &[Spanned<String>],
    values: &BTreeMap<String, String>,
    diagnostics: &mut Diagnostics,
) -> BTreeSet<String> {
    for name in names
        .iter()
        .filter(|name| !values.contains_key(&name.value))
    {
        let message = format!("Sensitive variable `{name}` is not declared, so nothing is hidden");
        let mut diagnostic = Diagnostic::warning(message, name.span);
        diagnostic.help = did_you_mean(&name.value, values.keys().map(String::as_str));
        diagnostics.push(diagnostic);
    }
    names.iter().map(|name| name.value.clone()).collect()
}

/// The strongest text of each variable, before interpolation.
fn gather(
    declared: &[Variable],
    inputs: &VariableInputs<'_>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Spanned<String>> {
    let mut given = BTreeMap::new();
    for variable in declared {
        if let Some(default) = &variable.default {
            given.insert(variable.name.clone(), default.clone());
        }
    }
    for path in &inputs.var_files {
        given.extend(read_var_file(path, sources, diagnostics));
    }
    for (name, value) in &inputs.vars {
        warn_of_slip(name, declared, diagnostics);
        given.insert(name.clone(), Spanned::default_value(value.clone()));
    }
    given
}

/// A name that is not declared is fine with Packer; one that looks like a
/// declared one is a slip.
fn warn_of_slip(name: &str, declared: &[Variable], diagnostics: &mut Diagnostics) {
    if declared.iter().any(|variable| variable.name == name) {
        return;
    }
    let known = declared.iter().map(|variable| variable.name.as_str());
    if let Some(help) = did_you_mean(name, known) {
        let message = format!("Variable `{name}` given by `-var` is not declared in the template");
        diagnostics.push(Diagnostic::warning(message, None).help(help));
    }
}

fn read_var_file(
    path: &Path,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Spanned<String>)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("Cannot read variable file `{}`: {error}", path.display());
            diagnostics.push(Diagnostic::error(message, None));
            return Vec::new();
        }
    };
    let source = sources.add(path, text);
    let Some(root) = json::parse(source, sources, diagnostics) else {
        return Vec::new();
    };
    let ValueKind::Object(entries) = root.kind else {
        let message = format!(
            "A variable file must hold an object, but it is {}",
            root.shape()
        );
        diagnostics.push(Diagnostic::error(message, root.span));
        return Vec::new();
    };
    entries
        .into_iter()
        .filter_map(|entry| {
            Some((
                entry.key.clone(),
                file_value(&entry.key, entry.value, diagnostics)?,
            ))
        })
        .collect()
}

fn file_value(name: &str, value: Value, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    match value.kind {
        ValueKind::String(text) => Some(Spanned::new(text, value.span)),
        ValueKind::Null => Some(Spanned::new(String::new(), value.span)),
        _ => {
            diagnostics.push(not_a_string(
                &format!("Variable `{name}`"),
                &value,
                "a string",
            ));
            None
        }
    }
}

/// The finding for a variable's value of another type.
pub(super) fn not_a_string(what: &str, value: &Value, expected: &str) -> Diagnostic {
    let message = format!("{what} must be {expected}, but it is {}", value.shape());
    let diagnostic = Diagnostic::error(message, value.span).label(format!("expected {expected}"));
    match &value.kind {
        ValueKind::Number(text) => diagnostic.help(format!("Write `\"{text}\"`")),
        ValueKind::Bool(flag) => diagnostic.help(format!("Write `\"{flag}\"`")),
        ValueKind::List(_) => diagnostic.help("Write one string with commas between the elements"),
        _ => diagnostic,
    }
}

struct Resolver<'r, 'a> {
    inputs: &'r VariableInputs<'a>,
    sources: &'r Sources,
    diagnostics: &'r mut Diagnostics,
    values: BTreeMap<String, String>,
}

type Pending = BTreeMap<String, Spanned<String>>;

impl Resolver<'_, '_> {
    fn missing(&mut self, variable: &Variable, unset: Unset) {
        let name = &variable.name;
        self.values.insert(name.clone(), String::new());
        if unset == Unset::Error {
            self.diagnostics.push(
                Diagnostic::error(
                    format!("Required variable `{name}` is not set"),
                    variable.name_span,
                )
                .help(format!(
                    "Pass it with `-var '{name}=…'` or in a `-var-file`"
                )),
            );
        }
    }

    /// Rounds over what is left, until a round resolves nothing.
    fn run(&mut self, mut pending: Pending) {
        loop {
            let before = pending.len();
            let mut deferred = Pending::new();
            let names: BTreeSet<String> = pending.keys().cloned().collect();
            for (name, text) in pending {
                if self.try_one(&name, &text, &names) == Outcome::Deferred {
                    deferred.insert(name, text);
                }
            }
            pending = deferred;
            if pending.is_empty() {
                return;
            }
            if pending.len() == before {
                return self.report_circle(&pending);
            }
        }
    }

    fn try_one(&mut self, name: &str, text: &Spanned<String>, open: &BTreeSet<String>) -> Outcome {
        let value = match self.render(&text.value) {
            Ok(value) => value,
            Err(error) => {
                if let Cause::UnsetVariable(other) = &error.cause
                    && open.contains(other)
                {
                    return Outcome::Deferred;
                }
                self.report(name, text, error);
                String::new()
            }
        };
        self.values.insert(name.to_owned(), value);
        Outcome::Done
    }

    fn render(&self, text: &str) -> Result<String, InterpolateError> {
        let inputs = self.inputs;
        let context = Context {
            env: Some(inputs.env),
            missing_fields: MissingFields::Keep,
            ..Context::new(
                &self.values,
                &inputs.template_dir,
                &inputs.pwd,
                inputs.start,
            )
        };
        render(text, &context)
    }

    fn report(&mut self, name: &str, text: &Spanned<String>, mut error: InterpolateError) {
        if let Cause::UnsetVariable(other) = &error.cause {
            error.message = format!("Variable `{name}` refers to `{other}`, which is not declared");
            let known = self.values.keys().map(String::as_str);
            error.hint = did_you_mean(other, known)
                .or_else(|| Some(format!("Declare `{other}` in `variables`")));
        }
        let mut diagnostic = diagnose(&error, &text.value, text.span, Some(self.sources));
        if text.span.is_none() {
            diagnostic.message =
                format!("Variable `{name}` given by `-var`: {}", diagnostic.message);
        }
        self.diagnostics.push(diagnostic);
    }

    fn report_circle(&mut self, pending: &Pending) {
        let names: Vec<_> = pending.keys().map(|name| format!("`{name}`")).collect();
        let span: Option<Span> = pending.values().find_map(|text| text.span);
        self.diagnostics.push(
            Diagnostic::error(
                format!(
                    "Variables refer to themselves or each other: {}",
                    names.join(", ")
                ),
                span,
            )
            .help("Give one of them a value of its own"),
        );
        for name in pending.keys() {
            self.values.insert(name.clone(), String::new());
        }
    }
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Done,
    /// It waits for another variable.
    Deferred,
}
