//! Evaluates expressions.
//!
//! An evaluation goes on after an error where it can, so that one run finds
//! them all: what cannot be evaluated is nothing (`None`), and has been
//! reported. Not here: what names stand for (`scope`), and functions. Source
//! of facts: the HCL native syntax specification.

use std::collections::BTreeMap;

use hcl_edit::Span as HasSpan;
use hcl_edit::expr::{Array, Conditional, Expression, Object, ObjectKey};
use hcl_edit::{Formatted, Number as ParsedNumber};

use super::scope::Scope;
use super::value::{Number, Type, Value, unify};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source::{SourceId, Span};

mod call;
mod layout;
mod loops;
mod operator;
mod text;
mod traversal;

#[cfg(test)]
mod tests;

pub(super) use call::render_file;

/// The help for what is known too late.
const TOO_LATE: &str = "It may stand in a string, as in `\"http://${build.Host}/\"`; what computes \
    with it can be a script, which gets it in an environment variable";

/// A text that expressions stand in.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// Its number.
    pub(super) source: SourceId,
    /// The text.
    pub(super) text: &'a str,
}

impl Text<'_> {
    /// Where something stands.
    pub(super) fn span(&self, node: &impl HasSpan) -> Span {
        let range = node.span().unwrap_or_default();
        Span {
            source: self.source,
            start: range.start,
            end: range.end,
        }
    }
}

/// Evaluates the expressions of one text.
pub(super) struct Evaluator<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) text: Text<'a>,
    pub(super) diagnostics: &'a mut Diagnostics,
    /// The names of `for` expressions and of `dynamic` blocks, inner ones last.
    bindings: Vec<(String, Value)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(scope: Scope<'a>, text: Text<'a>, diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            scope,
            text,
            diagnostics,
            bindings: Vec::new(),
        }
    }

    /// Where something stands.
    pub(super) fn span(&self, node: &impl HasSpan) -> Span {
        self.text.span(node)
    }

    /// Reports an error; gives nothing, as what it is reported of is.
    pub(super) fn report<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.diagnostics.push(diagnostic);
        None
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &Expression) -> Option<Value> {
        match expression {
            Expression::Null(_) => Some(Value::Null),
            Expression::Bool(flag) => Some(Value::Bool(*flag.value())),
            Expression::Number(number) => Some(exact(number)),
            Expression::String(text) => self.plain(expression, text.value()),
            Expression::Array(array) => self.array(array),
            Expression::Object(object) => self.object(object),
            Expression::StringTemplate(template) => self.quoted(template),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc),
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::Variable(name) => self.variable(name.value(), self.span(name)),
            Expression::Conditional(conditional) => self.conditional(conditional),
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(operation) => self.unary(operation),
            Expression::BinaryOp(operation) => self.binary(operation),
            Expression::ForExpr(each) => self.for_expression(each),
        }
    }

    /// The value as a type.
    pub(super) fn typed(&mut self, expression: &Expression, kind: &Type) -> Option<Value> {
        let value = self.value(expression)?;
        let span = self.span(expression);
        self.convert(value, kind, span)
    }

    /// The value as text; nothing for null.
    pub(super) fn string(&mut self, expression: &Expression) -> Option<String> {
        match self.typed(expression, &Type::String)? {
            Value::String(text) => Some(text),
            Value::Unknown(_) => self.too_late(self.span(expression)),
            _ => None,
        }
    }

    /// The value as a bool, for a decision.
    pub(super) fn decision(&mut self, expression: &Expression, what: &str) -> Option<bool> {
        match self.typed(expression, &Type::Bool)? {
            Value::Bool(flag) => Some(flag),
            _ => {
                let message = format!("{what} is null");
                let span = self.span(expression);
                self.report(Diagnostic::error(message, span).label("expected a bool"))
            }
        }
    }

    /// Has a name stand for a value from now on.
    pub(super) fn bind(&mut self, name: &str, value: Value) {
        self.bindings.push((name.to_owned(), value));
    }

    /// Forgets the last names.
    pub(super) fn unbind(&mut self, count: usize) {
        self.bindings
            .truncate(self.bindings.len().saturating_sub(count));
    }

    pub(super) fn convert(&mut self, value: Value, kind: &Type, span: Span) -> Option<Value> {
        if matches!(value, Value::Unknown(_)) && !matches!(kind, Type::Any | Type::String) {
            return self.too_late(span);
        }
        match kind.convert(value) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let part = match mismatch.path.as_str() {
                    "" => "This".to_owned(),
                    path => format!("`{path}` of this"),
                };
                let message = format!(
                    "{part} must be {}, but it is {}",
                    mismatch.expected, mismatch.found
                );
                let label = format!("expected {}", mismatch.expected);
                self.report(Diagnostic::error(message, span).label(label))
            }
        }
    }

    /// Reports that something is only known when the machine runs.
    pub(super) fn too_late<T>(&mut self, span: Span) -> Option<T> {
        let message = "This is known only while a build runs, so nothing can be computed with it";
        self.report(Diagnostic::error(message, span).help(TOO_LATE))
    }

    fn array(&mut self, array: &Array) -> Option<Value> {
        let items: Vec<_> = array.iter().map(|item| self.value(item)).collect();
        items.into_iter().collect::<Option<_>>().map(Value::List)
    }

    fn object(&mut self, object: &Object) -> Option<Value> {
        let entries: Vec<_> = object
            .iter()
            .map(|(key, value)| self.key(key).zip(self.value(value.expr())))
            .collect();
        let entries = entries.into_iter().collect::<Option<BTreeMap<_, _>>>()?;
        Some(Value::Object(entries))
    }

    /// The key of an object's element. A bare word is itself.
    pub(super) fn key(&mut self, key: &ObjectKey) -> Option<String> {
        let expression = match key {
            ObjectKey::Ident(name) => return Some(name.as_str().to_owned()),
            ObjectKey::Expression(expression) => expression,
        };
        let span = self.span(expression);
        match self.typed(expression, &Type::String)? {
            Value::String(key) => Some(key),
            Value::Unknown(_) => self.too_late(span),
            _ => self.report(Diagnostic::error("A key must not be null", span)),
        }
    }

    /// Only the branch that is taken need be right, but both have a type.
    fn conditional(&mut self, conditional: &Conditional) -> Option<Value> {
        let condition = self.decision(&conditional.cond_expr, "The condition")?;
        let (taken, other) = match condition {
            true => (&conditional.true_expr, &conditional.false_expr),
            false => (&conditional.false_expr, &conditional.true_expr),
        };
        let value = self.value(taken)?;
        let Some(other) = self.quietly(|evaluator| evaluator.value(other)) else {
            return Some(value);
        };
        match unify(vec![value, other]) {
            Ok(mut values) => Some(values.swap_remove(0)),
            Err(_) => {
                let message = "The two results of this condition are of different types";
                let span = self.span(conditional);
                let help = "Make both of the same type, for example both lists or both strings";
                self.report(Diagnostic::error(message, span).help(help))
            }
        }
    }

    /// Evaluates something whose errors do not count.
    fn quietly<T>(&mut self, evaluate: impl FnOnce(&mut Evaluator<'_>) -> Option<T>) -> Option<T> {
        let mut unheard = Diagnostics::default();
        let mut evaluator = Evaluator {
            scope: self.scope,
            text: self.text,
            diagnostics: &mut unheard,
            bindings: std::mem::take(&mut self.bindings),
        };
        let value = evaluate(&mut evaluator);
        self.bindings = evaluator.bindings;
        value
    }
}

/// A number as it was written: the parser's own is binary.
fn exact(number: &Formatted<ParsedNumber>) -> Value {
    let written = number.as_repr().map_or("", |written| written);
    let digits = written.trim_start_matches('-').trim();
    let exact = Number::parse(digits).or_else(|| Number::parse(&number.value().to_string()));
    let exact = exact.unwrap_or_else(|| Number::from(0_i64));
    Value::Number(match written.starts_with('-') {
        true => exact.negated(),
        false => exact,
    })
}
