//! Values for variables that come from outside of the template.
//!
//! Not here: what of them fits (`variables`).

use std::collections::BTreeMap;
use std::path::Path;

use hcl_edit::structure::Structure;

use super::evaluate::{Evaluator, Text};
use super::scope::{Names, Place, Scope};
use super::syntax;
use super::value::{Number, Value};
use super::world::World;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::file::HclFiles;
use crate::template::json;
use crate::template::nearest::did_you_mean;
use crate::template::source::{Sources, Span};
use crate::template::value as plain;
use crate::template::variables::VariableInputs;

/// A value from outside.
pub(super) struct Given {
    pub(super) worth: Worth,
    /// Where it comes from, for messages: `` `-var` ``.
    pub(super) origin: String,
    /// Where it stands, in a file.
    pub(super) span: Option<Span>,
}

/// What was given.
pub(super) enum Worth {
    /// A text, to be read as the variable's type says.
    Text(String),
    /// A value.
    Value(Value),
}

/// The strongest value for each declared variable.
pub(super) fn gather(
    declared: &[&str],
    files: &HclFiles,
    inputs: &VariableInputs<'_>,
    world: &World<'_>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Given> {
    let mut given = BTreeMap::new();
    for name in declared {
        let variable = format!("PKR_VAR_{name}");
        if let Some(text) = (inputs.env)(&variable) {
            let origin = format!("`{variable}`");
            given.insert((*name).to_owned(), text_of(text, origin));
        }
    }
    for path in files.variable_files.iter().chain(&inputs.var_files) {
        for (name, value) in read(path, world, sources, diagnostics) {
            if !declared.contains(&name.as_str()) {
                warn_of_slip(&name, &value, declared, diagnostics);
            }
            given.insert(name, value);
        }
    }
    for (name, text) in &inputs.vars {
        if !declared.contains(&name.as_str()) {
            diagnostics.push(undeclared(name, declared));
        }
        given.insert(name.clone(), text_of(text.clone(), "`-var`".to_owned()));
    }
    given
}

fn text_of(text: String, origin: String) -> Given {
    Given {
        worth: Worth::Text(text),
        origin,
        span: None,
    }
}

fn undeclared(name: &str, declared: &[&str]) -> Diagnostic {
    let message = format!("Variable `{name}` given by `-var` is not declared in the template");
    let help = did_you_mean(name, declared.iter().copied())
        .unwrap_or_else(|| format!("Declare it: `variable \"{name}\" {{}}`"));
    Diagnostic::error(message, None).help(help)
}

/// Files may serve several templates; one name that looks like a declared one
/// is a slip.
fn warn_of_slip(name: &str, given: &Given, declared: &[&str], diagnostics: &mut Diagnostics) {
    if let Some(help) = did_you_mean(name, declared.iter().copied()) {
        let message = format!(
            "Variable `{name}` given by {} is not declared in the template",
            given.origin
        );
        diagnostics.push(Diagnostic::warning(message, given.span).help(help));
    }
}

fn read(
    path: &Path,
    world: &World<'_>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Given)> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("Cannot read variable file `{shown}`: {error}");
            diagnostics.push(Diagnostic::error(message, None));
            return Vec::new();
        }
    };
    let source = sources.add(path, text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("hcl") => {
            let Some(body) = syntax::parse(source, sources, diagnostics) else {
                return Vec::new();
            };
            let text = Text {
                source,
                text: sources.file(source).map_or("", |file| &file.text),
            };
            values(&body, text, world, diagnostics)
        }
        Some("json") => match json::parse(source, sources, diagnostics) {
            Some(root) => json_values(root, &shown.to_string(), diagnostics),
            None => Vec::new(),
        },
        _ => {
            let message = format!("Variable file `{shown}` is neither HCL nor JSON");
            let help = "Let its name end in `.pkrvars.hcl` or `.pkrvars.json`";
            diagnostics.push(Diagnostic::error(message, None).help(help));
            Vec::new()
        }
    }
}

fn values(
    body: &hcl_edit::structure::Body,
    text: Text<'_>,
    world: &World<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Given)> {
    let nothing = Names::new();
    let scope = Scope {
        place: Place::Given,
        variables: &nothing,
        locals: &nothing,
        world,
    };
    let mut values = Vec::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let mut evaluator = Evaluator::new(scope, text, diagnostics);
                if let Some(value) = evaluator.value(&attribute.value) {
                    let given = Given {
                        worth: Worth::Value(value),
                        origin: "a variable file".to_owned(),
                        span: Some(text.span(&attribute.value)),
                    };
                    values.push((attribute.key.to_string(), given));
                }
            }
            Structure::Block(block) => {
                let message = "A variable file has no blocks";
                let help = "Write `name = value`; variables are declared in the template";
                let span = text.span(&block.ident);
                diagnostics.push(Diagnostic::error(message, span).help(help));
            }
        }
    }
    values
}

fn json_values(
    root: plain::Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Given)> {
    let plain::ValueKind::Object(entries) = root.kind else {
        let message = format!("Variable file `{path}` must hold an object");
        diagnostics.push(Diagnostic::error(message, root.span));
        return Vec::new();
    };
    let given = entries.into_iter().map(|entry| {
        let given = Given {
            span: Some(entry.value.span),
            worth: Worth::Value(from_json(&entry.value)),
            origin: "a variable file".to_owned(),
        };
        (entry.key, given)
    });
    given.collect()
}

fn from_json(value: &plain::Value) -> Value {
    match &value.kind {
        plain::ValueKind::Null | plain::ValueKind::Broken => Value::Null,
        plain::ValueKind::Bool(flag) => Value::Bool(*flag),
        plain::ValueKind::Number(text) => {
            Number::parse(text).map_or_else(|| text.as_str().into(), Value::Number)
        }
        plain::ValueKind::String(text) => text.as_str().into(),
        plain::ValueKind::List(items) => Value::List(items.iter().map(from_json).collect()),
        plain::ValueKind::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|entry| (entry.key.clone(), from_json(&entry.value)));
            Value::Object(entries.collect())
        }
    }
}
