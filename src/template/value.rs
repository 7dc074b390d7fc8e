//! Evaluated values with their places, independent of the template's syntax.

use super::source::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where it stands.
    pub span: Span,
}

/// The shapes a value can have.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// `null`, which counts as not set.
    Null,
    /// Written, but wrong, which was reported: neither set nor missing.
    Broken,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string, after interpolation.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// An object, in the order it was written.
    Object(Vec<Entry>),
}

/// One `key: value` of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Value,
}

impl Value {
    /// The word for the shape, for messages: `a string`, `a list`, …
    pub fn shape(&self) -> &'static str {
        match self.kind {
            ValueKind::Null => "null",
            ValueKind::Broken => "broken",
            ValueKind::Bool(_) => "a bool",
            ValueKind::Number(_) => "a number",
            ValueKind::String(_) => "a string",
            ValueKind::List(_) => "a list",
            ValueKind::Object(_) => "an object",
        }
    }

    /// Whether it counts as not set: `null`, the empty string, the empty list.
    pub fn is_unset(&self) -> bool {
        match &self.kind {
            ValueKind::Null => true,
            ValueKind::String(text) => text.is_empty(),
            ValueKind::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// The entries of an object; nothing for any other shape.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            ValueKind::Object(entries) => entries,
            _ => &[],
        }
    }

    /// The value of an object's key, matched without regard to case as Packer
    /// does.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries()
            .iter()
            .find(|entry| entry.key.eq_ignore_ascii_case(key))
            .map(|entry| &entry.value)
    }
}
