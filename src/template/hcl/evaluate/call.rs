//! Function calls: arguments, and what is no ordinary function.
//!
//! Not here: the functions themselves (`functions`).

use std::collections::BTreeMap;

use hcl_edit::expr::FuncCall;

use super::layout::Writing;
use super::{Evaluator, Text};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::hcl::functions::{self, FunctionError};
use crate::template::hcl::scope::{Names, Place, Scope};
use crate::template::hcl::value::Value;
use crate::template::hcl::world::World;
use crate::template::nearest::did_you_mean;
use crate::template::source::{SourceId, Span};

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &FuncCall) -> Option<Value> {
        let name = call.name.name.as_str();
        let span = self.span(&call.name.name);
        if call.name.is_namespaced() {
            let message = "Functions of plugins are not supported";
            return self.report(Diagnostic::error(message, span));
        }
        match (name, self.scope.place) {
            ("env", Place::Default) => self.env(call),
            (_, Place::Default) => {
                let message = "The default of a variable calls no function but `env`";
                let help = "Make it a local: `locals { … }`";
                self.report(Diagnostic::error(message, span).help(help))
            }
            (_, Place::Given) => {
                let message = "The value of a variable calls no function";
                self.report(Diagnostic::error(message, span).help("Write the value"))
            }
            ("env", _) => {
                let message = "`env` is only allowed in the default of a variable";
                let help = "Declare a variable with `default = env(\"NAME\")`, and use it here";
                self.report(Diagnostic::error(message, span).help(help))
            }
            // It could read itself without end.
            ("templatefile", Place::File) => {
                let message = "A template file cannot call `templatefile`";
                let help = "Render the inner file first, and pass the text as a variable";
                self.report(Diagnostic::error(message, span).help(help))
            }
            ("try", _) => self.attempt(call),
            ("can", _) => self.can(call),
            ("convert", _) => self.conversion(call),
            _ => self.function(call, name, span),
        }
    }

    fn function(&mut self, call: &FuncCall, name: &str, span: Span) -> Option<Value> {
        let is_known = functions::names().any(|known| known == name);
        let arguments = self.arguments(call);
        if !is_known {
            let message = format!("There is no function `{name}`");
            let mut diagnostic = Diagnostic::error(message, span);
            diagnostic.help = did_you_mean(name, functions::names().chain(FORMS.iter().copied()));
            return self.report(diagnostic);
        }
        let arguments = arguments?;
        match functions::call(name, &arguments, self.scope.world) {
            Ok(value) => Some(value),
            Err(error) => self.refused(call, error),
        }
    }

    fn refused(&mut self, call: &FuncCall, error: FunctionError) -> Option<Value> {
        let argument = error.argument.and_then(|index| call.args.get(index));
        let span = argument.map_or_else(|| self.span(call), |argument| self.span(argument));
        let mut diagnostic = Diagnostic::error(error.message, span);
        diagnostic.help = error.hint;
        self.report(diagnostic)
    }

    /// The arguments, the last one spread when it ends in `...`.
    fn arguments(&mut self, call: &FuncCall) -> Option<Vec<Value>> {
        let values: Vec<_> = call
            .args
            .iter()
            .map(|argument| self.value(argument))
            .collect();
        let mut values = values.into_iter().collect::<Option<Vec<_>>>()?;
        if call.args.expand_final() {
            let span = call.args.iter().last().map(|last| self.span(last));
            match values.pop() {
                Some(Value::List(items)) => values.extend(items),
                Some(Value::Unknown(_)) => return self.too_late(span?),
                _ => {
                    let message = "Only a list can be spread by `...`";
                    return self.report(Diagnostic::error(message, span));
                }
            }
        }
        Some(values)
    }

    /// `env("NAME")`: empty when it is not set.
    fn env(&mut self, call: &FuncCall) -> Option<Value> {
        let arguments: Vec<_> = call.args.iter().collect();
        let [name] = arguments.as_slice() else {
            return self.wrong_count(call, "`env` takes one argument, the name of a variable");
        };
        let name = self.string(name)?;
        let value = (self.scope.world.env)(&name);
        Some(value.unwrap_or_default().into())
    }

    /// `try(…)`: the first argument that can be evaluated.
    fn attempt(&mut self, call: &FuncCall) -> Option<Value> {
        let arguments: Vec<_> = call.args.iter().collect();
        let Some((last, others)) = arguments.split_last() else {
            return self.wrong_count(call, "`try` takes at least one argument");
        };
        for argument in others {
            if let Some(value) = self.quietly(|evaluator| evaluator.value(argument)) {
                return Some(value);
            }
        }
        self.value(last)
    }

    /// `can(…)`: whether the argument can be evaluated.
    fn can(&mut self, call: &FuncCall) -> Option<Value> {
        let arguments: Vec<_> = call.args.iter().collect();
        let [argument] = arguments.as_slice() else {
            return self.wrong_count(call, "`can` takes one argument");
        };
        let value = self.quietly(|evaluator| evaluator.value(argument));
        Some(Value::Bool(value.is_some()))
    }

    /// `convert(value, type)`
    fn conversion(&mut self, call: &FuncCall) -> Option<Value> {
        let arguments: Vec<_> = call.args.iter().collect();
        let [value, kind] = arguments.as_slice() else {
            return self.wrong_count(call, "`convert` takes a value and a type");
        };
        let kind = self.constraint(kind)?;
        self.typed(value, &kind)
    }

    fn wrong_count(&mut self, call: &FuncCall, message: &str) -> Option<Value> {
        let span = self.span(call);
        self.report(Diagnostic::error(message, span))
    }
}

/// What looks like functions, but looks at more than values.
const FORMS: &[&str] = &["try", "can", "convert"];

/// A file as the inside of a string, with variables of its own.
///
/// # Errors
/// Why it cannot be rendered.
pub(in crate::template::hcl) fn render_file(
    path: &str,
    content: &str,
    variables: BTreeMap<String, Value>,
    world: &World<'_>,
) -> Result<Value, String> {
    let template = hcl_edit::parser::parse_template(content)
        .map_err(|error| format!("{path}:{}: {}", error.location().line(), error.message()))?;
    let nothing = Names::new();
    let scope = Scope {
        place: Place::File,
        variables: &nothing,
        locals: &nothing,
        world,
    };
    let text = Text {
        source: SourceId(u32::MAX),
        text: content,
    };
    let mut findings = Diagnostics::default();
    let mut evaluator = Evaluator::new(scope, text, &mut findings);
    for (name, value) in variables {
        evaluator.bind(&name, value);
    }
    let value = evaluator.template(&template, Writing::Plain(content));
    value.ok_or_else(|| {
        let Some(finding) = findings.into_sorted().into_iter().next() else {
            return format!("{path} cannot be rendered");
        };
        let before = finding.span.and_then(|span| content.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        format!("{path}:{line}: {}", finding.message)
    })
}
