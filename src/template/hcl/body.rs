//! From the body of a source, provisioner or post-processor to the values
//! that options are decoded from, whatever the template's syntax.
//!
//! A block inside becomes an object, several of one name a list of objects,
//! and `dynamic` blocks what they stand for. Not here: which options there are
//! (`plan`).

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body, Structure};

use super::evaluate::Evaluator;
use super::value::Value;
use crate::template::diagnostic::Diagnostic;
use crate::template::interpolate::user_variables;
use crate::template::source::{Sources, Span};
use crate::template::value::{self as plain, Entry, ValueKind};

/// How many blocks one `dynamic` may make: an end to a slip.
const MOST_BLOCKS: usize = 1000;

/// Attributes and blocks of one or more bodies.
#[derive(Default)]
pub(super) struct Members(Vec<Member>);

struct Member {
    entry: Entry,
    is_block: bool,
}

impl Members {
    /// All of them, as an object. `span` stands for it in messages about what
    /// is missing.
    pub(super) fn into_object(self, span: Span) -> plain::Value {
        let entries = self.0.into_iter().map(|member| member.entry);
        plain::Value {
            kind: ValueKind::Object(entries.collect()),
            span,
        }
    }

    fn get(&mut self, key: &str) -> Option<&mut Member> {
        self.0.iter_mut().find(|member| member.entry.key == key)
    }

    fn push(&mut self, key: &str, key_span: Span, value: plain::Value, is_block: bool) {
        let entry = Entry {
            key: key.to_owned(),
            key_span,
            value,
        };
        self.0.push(Member { entry, is_block });
    }
}

/// Evaluates bodies.
pub(super) struct Bodies<'e, 'a> {
    pub(super) evaluator: &'e mut Evaluator<'a>,
    /// For messages about two places.
    pub(super) sources: &'e Sources,
}

impl Bodies<'_, '_> {
    /// The body as an object.
    pub(super) fn object(&mut self, body: &Body, span: Span) -> plain::Value {
        let mut members = Members::default();
        self.read(body, &mut members);
        members.into_object(span)
    }

    /// Adds what is in a body.
    pub(super) fn read(&mut self, body: &Body, members: &mut Members) {
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => self.attribute(attribute, members),
                Structure::Block(block) if block.has_ident("dynamic") => {
                    self.dynamic(block, members);
                }
                Structure::Block(block) => {
                    let span = self.evaluator.span(&block.ident);
                    if let Some(label) = block.labels.first() {
                        let message =
                            format!("The block `{}` takes no label", block.ident.as_str());
                        let place = self.evaluator.span(label);
                        self.push(Diagnostic::error(message, place).help("Remove the label"));
                    }
                    let object = self.object(&block.body, span);
                    self.add_block(block.ident.as_str(), span, object, members);
                }
            }
        }
    }

    fn attribute(&mut self, attribute: &Attribute, members: &mut Members) {
        let key = attribute.key.as_str();
        let span = self.evaluator.span(&attribute.key);
        let value = self.evaluator.value(&attribute.value);
        if let Some(first) = members.get(key) {
            let first = first.entry.key_span;
            return self.duplicate(key, span, first);
        }
        let value = match value {
            // Null is not set.
            Some(Value::Null) => return,
            Some(value) => self.plain(value, &attribute.value),
            None => plain::Value {
                kind: ValueKind::Broken,
                span: self.evaluator.span(&attribute.value),
            },
        };
        members.push(key, span, value, false);
    }

    fn add_block(&mut self, key: &str, span: Span, object: plain::Value, members: &mut Members) {
        let Some(member) = members.get(key) else {
            return members.push(key, span, object, true);
        };
        if !member.is_block {
            let first = member.entry.key_span;
            return self.duplicate(key, span, first);
        }
        let value = &mut member.entry.value;
        match &mut value.kind {
            ValueKind::List(objects) => objects.push(object),
            _ => {
                let first = value.clone();
                value.kind = ValueKind::List(vec![first, object]);
            }
        }
    }

    fn duplicate(&mut self, key: &str, span: Span, first: Span) {
        let message = format!("The attribute `{key}` is already set");
        let help = match self.sources.locate(first) {
            Some(place) => format!(
                "The first is at {place}; a `source` block in a build adds to the source, it \
                 replaces nothing"
            ),
            None => "Keep one of them".to_owned(),
        };
        self.push(Diagnostic::error(message, span).help(help));
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.evaluator.diagnostics.push(diagnostic);
    }

    /// `dynamic "tag" { for_each = …, content { … } }`: a block for every
    /// element.
    fn dynamic(&mut self, block: &Block, members: &mut Members) {
        let keyword = self.evaluator.span(&block.ident);
        let [label] = block.labels.as_slice() else {
            let message = "A `dynamic` block has one label: the block that it makes";
            return self.push(Diagnostic::error(message, keyword));
        };
        let name = label.as_str();
        let iterator = match block.body.get_attribute("iterator").map(|it| &it.value) {
            None => name,
            Some(Expression::Variable(iterator)) => iterator.as_str(),
            Some(other) => {
                let span = self.evaluator.span(other);
                let message = "`iterator` is a bare word, the name of each element";
                return self.push(Diagnostic::error(message, span));
            }
        };
        let each = block.body.get_attribute("for_each");
        let content = block.body.blocks().find(|inner| inner.has_ident("content"));
        let (Some(each), Some(content)) = (each, content) else {
            let message = "A `dynamic` block needs `for_each = …` and `content { … }`";
            return self.push(Diagnostic::error(message, keyword));
        };
        let Some(items) = self.evaluator.items(&each.value) else {
            return;
        };
        if items.len() > MOST_BLOCKS {
            let message = format!("`for_each` has {} elements", items.len());
            let span = self.evaluator.span(&each.value);
            let help = format!("At most {MOST_BLOCKS} blocks are made");
            return self.push(Diagnostic::error(message, span).help(help));
        }
        let span = self.evaluator.span(label);
        for (key, value) in items {
            let element = [("key".to_owned(), key), ("value".to_owned(), value)];
            let element = Value::Object(element.into_iter().collect());
            self.evaluator.bind(iterator, element);
            let object = self.object(&content.body, span);
            self.evaluator.unbind(1);
            self.add_block(name, span, object, members);
        }
    }

    /// The value with the places that its expression gives it.
    fn plain(&mut self, value: Value, expression: &Expression) -> plain::Value {
        let span = self.evaluator.span(expression);
        let kind = match (value, expression) {
            (Value::List(items), Expression::Array(array)) if array.len() == items.len() => {
                let pairs = items.into_iter().zip(array.iter());
                ValueKind::List(pairs.map(|(item, place)| self.plain(item, place)).collect())
            }
            (Value::Object(mut entries), Expression::Object(object)) => {
                let mut written = Vec::with_capacity(entries.len());
                for (key, place) in object {
                    let key_span = self.evaluator.span(key);
                    // It was evaluated before, so nothing new is reported.
                    let Some(name) = self.evaluator.key(key) else {
                        continue;
                    };
                    if let Some(value) = entries.remove(&name) {
                        let value = self.plain(value, place.expr());
                        written.push(Entry {
                            key: name,
                            key_span,
                            value,
                        });
                    }
                }
                // A key may be another one each time, as of `uuidv4()`.
                written.extend(self.flat_entries(entries, span));
                ValueKind::Object(written)
            }
            (value, _) => self.flat(value, span).kind,
        };
        plain::Value { kind, span }
    }

    /// The value, all of it at one place.
    fn flat(&mut self, value: Value, span: Span) -> plain::Value {
        let kind = match value {
            Value::Null => ValueKind::Null,
            // In text a bool is a word here, other than in JSON templates;
            // where a bool is wanted, the word will do.
            Value::Bool(flag) => ValueKind::String(flag.to_string()),
            Value::Number(number) => ValueKind::Number(number.to_string()),
            Value::String(text) => ValueKind::String(self.without_user(text, span)),
            Value::Unknown(deferred) => {
                ValueKind::String(self.without_user(deferred.template, span))
            }
            Value::List(items) => ValueKind::List(
                items
                    .into_iter()
                    .map(|item| self.flat(item, span))
                    .collect(),
            ),
            Value::Object(entries) => ValueKind::Object(self.flat_entries(entries, span)),
        };
        plain::Value { kind, span }
    }

    fn flat_entries(&mut self, entries: BTreeMap<String, Value>, span: Span) -> Vec<Entry> {
        let entries = entries.into_iter().map(|(key, value)| Entry {
            key,
            key_span: span,
            value: self.flat(value, span),
        });
        entries.collect()
    }

    /// Variables of HCL2 templates are not for `{{user}}`.
    fn without_user(&mut self, text: String, span: Span) -> String {
        if let Some((_, name)) = user_variables(&text).first() {
            let message = "`{{user}}` is of JSON templates, and means nothing here";
            let help = format!("Write `${{var.{name}}}`");
            self.push(Diagnostic::error(message, span).help(help));
        }
        text
    }
}
