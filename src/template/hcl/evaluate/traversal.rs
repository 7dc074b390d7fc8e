//! Names, and what is inside of their values: `var.disks[0].size`, `list[*].id`.

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::{Decorated, Ident};

use super::Evaluator;
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::scope::{Found, Scope, suggest};
use crate::template::hcl::value::{Type, Value};
use crate::template::nearest::did_you_mean;
use crate::template::source::Span;

type Operators<'e> = &'e [Decorated<TraversalOperator>];

impl Evaluator<'_> {
    /// A name that stands alone.
    pub(super) fn variable(&mut self, name: &Ident, span: Span) -> Option<Value> {
        if let Some(value) = self.bound(name) {
            return Some(value);
        }
        if Scope::is_root(name) {
            let found = self.scope.object(name);
            return self.found(found, span);
        }
        let message = format!("There is nothing called `{name}` here");
        let help = suggest(name, &self.scope);
        self.report(Diagnostic::error(message, span).help(help))
    }

    pub(super) fn traversal(&mut self, traversal: &Traversal) -> Option<Value> {
        let operators = traversal.operators.as_slice();
        let (value, rest) = match self.rooted(traversal) {
            Some(found) => (self.found(found, self.span(traversal))?, &operators[1..]),
            None => (self.value(&traversal.expr)?, operators),
        };
        self.walk(value, rest)
    }

    /// What `var.NAME` and the like stand for; nothing when it is not one.
    fn rooted(&mut self, traversal: &Traversal) -> Option<Found> {
        let Expression::Variable(root) = &traversal.expr else {
            return None;
        };
        if self.bound(root).is_some() || !Scope::is_root(root) {
            return None;
        }
        let name = match traversal.operators.first()?.value() {
            TraversalOperator::GetAttr(name) => name.as_str().to_owned(),
            TraversalOperator::Index(Expression::String(name)) => name.value().clone(),
            _ => return None,
        };
        Some(self.scope.attribute(root, &name))
    }

    fn bound(&self, name: &str) -> Option<Value> {
        let mut inner_first = self.bindings.iter().rev();
        let (_, value) = inner_first.find(|(bound, _)| bound == name)?;
        Some(value.clone())
    }

    fn found(&mut self, found: Found, span: Span) -> Option<Value> {
        match found {
            Ok(value) => value,
            Err(unknown) => {
                let mut diagnostic = Diagnostic::error(unknown.message, span);
                diagnostic.help = unknown.help;
                self.report(diagnostic)
            }
        }
    }

    fn walk(&mut self, mut value: Value, mut operators: Operators<'_>) -> Option<Value> {
        while let Some((operator, rest)) = operators.split_first() {
            let span = self.span(operator);
            operators = rest;
            value = match operator.value() {
                TraversalOperator::GetAttr(name) => self.attribute(&value, name, span)?,
                TraversalOperator::LegacyIndex(at) => {
                    let at = usize::try_from(*at.value()).unwrap_or(usize::MAX);
                    self.element(&value, at, span)?
                }
                TraversalOperator::Index(index) => self.index(&value, index)?,
                TraversalOperator::AttrSplat(_) => {
                    let is_attribute = |operator: &&Decorated<TraversalOperator>| {
                        matches!(
                            operator.value(),
                            TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_)
                        )
                    };
                    let count = rest.iter().take_while(is_attribute).count();
                    operators = &rest[count..];
                    self.splat(value, &rest[..count])?
                }
                TraversalOperator::FullSplat(_) => {
                    operators = &[];
                    self.splat(value, rest)?
                }
            };
        }
        Some(value)
    }

    /// The operators applied to every element. A single value is a list of
    /// one, null an empty one.
    fn splat(&mut self, value: Value, operators: Operators<'_>) -> Option<Value> {
        let items = match value {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            single => vec![single],
        };
        let walked: Vec<_> = items
            .into_iter()
            .map(|item| self.walk(item, operators))
            .collect();
        walked.into_iter().collect::<Option<_>>().map(Value::List)
    }

    fn attribute(&mut self, value: &Value, name: &Ident, span: Span) -> Option<Value> {
        match value {
            Value::Object(entries) => match entries.get(name.as_str()) {
                Some(value) => Some(value.clone()),
                None => {
                    let message = format!("This object has no attribute `{name}`");
                    let mut diagnostic = Diagnostic::error(message, span);
                    diagnostic.help = did_you_mean(name, entries.keys().map(String::as_str));
                    self.report(diagnostic)
                }
            },
            Value::List(_) => {
                let message = format!("A list has no attribute `{name}`, but its elements may");
                let help = format!("Write `[0].{name}` for the first, `[*].{name}` for all");
                self.report(Diagnostic::error(message, span).help(help))
            }
            Value::Unknown(_) => self.too_late(span),
            other => {
                let message = format!("There is no attribute `{name}`: this is {}", other.shape());
                self.report(Diagnostic::error(message, span))
            }
        }
    }

    fn index(&mut self, value: &Value, index: &Expression) -> Option<Value> {
        let span = self.span(index);
        match value {
            Value::List(_) => {
                let number = self.number(index)?;
                match number.to_usize() {
                    Some(at) => self.element(value, at, span),
                    None => {
                        let message = format!("`{number}` is no index of a list");
                        let help = "Indexes are whole numbers and start with 0";
                        self.report(Diagnostic::error(message, span).help(help))
                    }
                }
            }
            Value::Object(entries) => {
                let Value::String(key) = self.typed(index, &Type::String)? else {
                    return self.too_late(span);
                };
                match entries.get(&key) {
                    Some(value) => Some(value.clone()),
                    None => {
                        let message = format!("This object has no element `{key}`");
                        let mut diagnostic = Diagnostic::error(message, span);
                        diagnostic.help = did_you_mean(&key, entries.keys().map(String::as_str));
                        self.report(diagnostic)
                    }
                }
            }
            Value::Unknown(_) => self.too_late(span),
            other => {
                let message = format!("This is {}, which has no elements", other.shape());
                self.report(Diagnostic::error(message, span))
            }
        }
    }

    fn element(&mut self, value: &Value, at: usize, span: Span) -> Option<Value> {
        let items = match value {
            Value::List(items) => items.as_slice(),
            Value::Unknown(_) => return self.too_late(span),
            other => {
                let message = format!("This is {}, which has no elements", other.shape());
                return self.report(Diagnostic::error(message, span));
            }
        };
        if let Some(item) = items.get(at) {
            return Some(item.clone());
        }
        let has = match items.len() {
            0 => "the list is empty".to_owned(),
            1 => "the list has one element".to_owned(),
            count => format!("the list has {count} elements"),
        };
        self.report(Diagnostic::error(
            format!("There is no element {at}: {has}"),
            span,
        ))
    }
}
