//! Input variables: what is declared, and where values come from.
//!
//! From weak to strong: default, `PKR_VAR_…` in the environment,
//! `*.auto.pkrvars.hcl`, `*.auto.pkrvars.json`, variable files in the order
//! given, `-var`. Not here: reading argv and the environment (`inputs`). Source
//! of facts: Packer's documentation of input variables.

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;

use super::blocks::{Placed, Root, duplicate};
use super::evaluate::{Evaluator, Text};
use super::given::{Given, Worth};
use super::scope::{Names, Place, Scope};
use super::secret::{collect, collect_text};
use super::value::{Mismatch, Type, Value};
use super::world::World;
use crate::secret::Secret;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source::{SourceId, Sources, Span, Spanned};
use crate::template::variables::Unset;

/// A declared variable.
pub(super) struct Variable<'f> {
    /// Its name.
    pub(super) name: Spanned<String>,
    /// Its type; nothing when none was written, or a wrong one.
    pub(super) kind: Option<Type>,
    /// Whether its value must not be shown.
    pub(super) is_sensitive: bool,
    default: Option<DefaultValue<'f>>,
    validations: Vec<Placed<'f>>,
}

struct DefaultValue<'f> {
    span: Span,
    /// Nothing when it is wrong.
    value: Option<Value>,
    expression: &'f Expression,
}

/// What variables depend on, and what comes out beside their values.
pub(super) struct Resolution<'r> {
    pub(super) world: &'r World<'r>,
    pub(super) sources: &'r Sources,
    pub(super) secrets: &'r mut Vec<Secret>,
    pub(super) diagnostics: &'r mut Diagnostics,
}

static NOTHING: Names = Names::new();

/// Where values from the command line stand: findings about them have no
/// place.
const NOWHERE: SourceId = SourceId(u32::MAX);

impl Resolution<'_> {
    /// Reads the declarations.
    pub(super) fn declared<'f>(&mut self, root: &Root<'f>) -> Vec<Variable<'f>> {
        let long = root
            .variables
            .iter()
            .filter_map(|placed| self.long(*placed));
        let mut all: Vec<_> = long.collect();
        for definition in &root.short_variables {
            let expression = &definition.attribute.value;
            let default = self.default(definition.text, expression);
            all.push(Variable {
                name: definition.name(),
                kind: None,
                is_sensitive: false,
                default: Some(default),
                validations: Vec::new(),
            });
        }
        let mut unique: Vec<Variable<'f>> = Vec::with_capacity(all.len());
        for variable in all {
            let same = |other: &&Variable<'f>| other.name.value == variable.name.value;
            match unique.iter().find(same) {
                Some(first) => self.diagnostics.push(duplicate(
                    "variable",
                    &variable.name,
                    first.name.span,
                    self.sources,
                )),
                None => unique.push(variable),
            }
        }
        unique
    }

    fn long<'f>(&mut self, placed: Placed<'f>) -> Option<Variable<'f>> {
        let attributes = ["type", "default", "description", "sensitive"];
        placed.check_contents(&attributes, &["validation"], self.diagnostics);
        let mut evaluator = self.evaluator(placed.text, Place::Default);
        let sensitive = placed.attribute("sensitive");
        // In doubt it is.
        let is_sensitive =
            sensitive.is_some_and(|flag| evaluator.decision(flag, "`sensitive`") != Some(false));
        let kind = placed.attribute("type");
        let kind = kind.and_then(|written| evaluator.constraint(written));
        let default = placed
            .attribute("default")
            .map(|written| self.default(placed.text, written));
        Some(Variable {
            name: placed.label(0)?,
            default: default.map(|default| self.fitting(default, kind.as_ref(), is_sensitive)),
            kind,
            is_sensitive,
            validations: placed.blocks("validation").collect(),
        })
    }

    fn default<'f>(&mut self, text: Text<'_>, expression: &'f Expression) -> DefaultValue<'f> {
        DefaultValue {
            span: text.span(expression),
            value: self.evaluator(text, Place::Default).value(expression),
            expression,
        }
    }

    fn fitting<'f>(
        &mut self,
        mut default: DefaultValue<'f>,
        kind: Option<&Type>,
        is_sensitive: bool,
    ) -> DefaultValue<'f> {
        if let (true, Some(value)) = (is_sensitive, &default.value) {
            collect(value, self.secrets);
        }
        let Some(kind) = kind else {
            return default;
        };
        let Some(value) = default.value.take() else {
            return default;
        };
        match kind.convert(value) {
            Ok(value) => default.value = Some(value),
            Err(mismatch) => {
                let finding = misfit("The default", &mismatch, Some(default.span));
                self.diagnostics.push(finding);
            }
        }
        default
    }

    /// The value of every variable: the strongest that was given, converted
    /// to its type and validated.
    pub(super) fn values(
        &mut self,
        variables: &[Variable<'_>],
        mut given: BTreeMap<String, Given>,
        unset: Unset,
    ) -> Names {
        let mut names = Names::new();
        for variable in variables {
            let value = match given.remove(&variable.name.value) {
                Some(given) => self.given(variable, given),
                None => self.defaulted(variable, unset).map(|value| (value, None)),
            };
            let value = value.and_then(|(value, span)| self.validated(variable, value, span));
            names.insert(variable.name.value.clone(), value);
        }
        names
    }

    fn defaulted(&mut self, variable: &Variable<'_>, unset: Unset) -> Option<Value> {
        if let Some(default) = &variable.default {
            return default.value.clone();
        }
        if unset == Unset::Error {
            let name = &variable.name.value;
            let message = format!("Required variable `{name}` is not set");
            let help = format!(
                "Pass it with `-var '{name}=…'`, in a variable file, or as `PKR_VAR_{name}`"
            );
            let finding = Diagnostic::error(message, variable.name.span).help(help);
            self.diagnostics.push(finding);
        }
        None
    }

    fn given(&mut self, variable: &Variable<'_>, given: Given) -> Option<(Value, Option<Span>)> {
        let what = format!("Variable `{}` given by {}", variable.name, given.origin);
        if variable.is_sensitive {
            match &given.worth {
                Worth::Text(text) => collect_text(text, self.secrets),
                Worth::Value(value) => collect(value, self.secrets),
            }
        }
        let value = match given.worth {
            Worth::Value(value) => value,
            Worth::Text(text) if is_text(variable) => Value::String(text),
            Worth::Text(text) => match self.parsed(&text) {
                Ok(value) => value,
                Err(reason) => {
                    let kind = variable.kind.as_ref();
                    let expected = kind.map_or("a value like its default".to_owned(), Type::phrase);
                    let message = format!("{what} must be {expected}: {reason}");
                    let help =
                        "Write it as in a template, for example `[\"a\", \"b\"]` or `{a = 1}`";
                    let finding = Diagnostic::error(message, variable.name.span).help(help);
                    self.diagnostics.push(finding);
                    return None;
                }
            },
        };
        if variable.is_sensitive {
            collect(&value, self.secrets);
        }
        let Some(kind) = variable.kind.as_ref() else {
            return Some((value, given.span));
        };
        match kind.convert(value) {
            Ok(value) => Some((value, given.span)),
            Err(mismatch) => {
                let span = given.span.or(variable.name.span);
                self.diagnostics.push(misfit(&what, &mismatch, span));
                None
            }
        }
    }

    /// The value of a text that is written as in a template.
    fn parsed(&mut self, text: &str) -> Result<Value, String> {
        let expression = hcl_edit::parser::parse_expr(text.trim())
            .map_err(|error| format!("it cannot be read: {}", error.message()))?;
        let mut findings = Diagnostics::default();
        let scope = scope(Place::Given, &NOTHING, self.world);
        let text = Text {
            source: NOWHERE,
            text,
        };
        let value = Evaluator::new(scope, text, &mut findings).value(&expression);
        value.ok_or_else(|| {
            let first = findings.into_sorted().into_iter().next();
            first.map_or(String::new(), |finding| finding.message)
        })
    }

    fn validated(
        &mut self,
        variable: &Variable<'_>,
        value: Value,
        span: Option<Span>,
    ) -> Option<Value> {
        let own = &variable.name.value;
        let names = Names::from([(own.clone(), Some(value.clone()))]);
        let mut is_valid = true;
        for rule in &variable.validations {
            rule.check_contents(&["condition", "error_message"], &[], self.diagnostics);
            let message = self.rule_message(rule);
            let Some(condition) = rule.attribute("condition") else {
                let finding = Diagnostic::error("A validation needs a `condition`", rule.header());
                self.diagnostics.push(finding);
                continue;
            };
            let scope = scope(Place::Validation(own), &names, self.world);
            let mut evaluator = Evaluator::new(scope, rule.text, self.diagnostics);
            if evaluator.decision(condition, "The condition") == Some(false) {
                is_valid = false;
                let place = span.or_else(|| variable.default.as_ref().map(|it| it.span));
                let message = message.unwrap_or_default();
                let message = format!("Invalid value for variable `{own}`: {message}");
                let message = message.trim_end_matches('.').to_owned();
                let mut finding =
                    Diagnostic::error(message, place.unwrap_or(rule.text.span(condition)));
                let rule_place = self.sources.locate(rule.text.span(condition));
                finding.help = rule_place.map(|place| format!("The condition is at {place}"));
                self.diagnostics.push(finding);
            }
        }
        is_valid.then_some(value)
    }

    /// What a rule says when it is broken: a sentence, as Packer demands.
    fn rule_message(&mut self, rule: &Placed<'_>) -> Option<String> {
        let Some(written) = rule.attribute("error_message") else {
            let finding = Diagnostic::error("A validation needs an `error_message`", rule.header());
            self.diagnostics.push(finding);
            return None;
        };
        let mut evaluator = self.evaluator(rule.text, Place::Default);
        let message = evaluator.string(written)?;
        let is_sentence = message.starts_with(char::is_uppercase) && message.ends_with(['.', '?']);
        if !is_sentence {
            let finding = Diagnostic::error(
                "`error_message` must be a sentence",
                rule.text.span(written),
            );
            let help = "Begin with an upper-case letter, and end with a full stop or question mark";
            self.diagnostics.push(finding.help(help));
        }
        Some(message)
    }

    fn evaluator<'s>(&'s mut self, text: Text<'s>, place: Place<'s>) -> Evaluator<'s> {
        let scope = scope(place, &NOTHING, self.world);
        Evaluator::new(scope, text, self.diagnostics)
    }
}

fn scope<'s>(place: Place<'s>, variables: &'s Names, world: &'s World<'s>) -> Scope<'s> {
    Scope {
        place,
        variables,
        locals: &NOTHING,
        world,
    }
}

/// Whether a text given outside of the template is the value itself: where
/// text, a number or a bool is wanted.
fn is_text(variable: &Variable<'_>) -> bool {
    match (&variable.kind, &variable.default) {
        (Some(kind), _) => matches!(kind, Type::String | Type::Number | Type::Bool),
        (None, Some(default)) => !matches!(
            default.expression,
            Expression::Array(_) | Expression::Object(_) | Expression::ForExpr(_)
        ),
        (None, None) => true,
    }
}

fn misfit(what: &str, mismatch: &Mismatch, span: Option<Span>) -> Diagnostic {
    let place = match mismatch.path.as_str() {
        "" => String::new(),
        path => format!(" in `{path}`"),
    };
    let message = format!(
        "{what} must be {}{place}, but it is {}",
        mismatch.expected, mismatch.found
    );
    Diagnostic::error(message, span).label(format!("expected {}", mismatch.expected))
}
