//! The values that HCL2 expressions have, before they become those of a
//! template.
//!
//! They follow the rules of cty, HashiCorp's type system, as far as a result
//! shows them: objects and maps are sorted by key, numbers are exact, and
//! primitives convert into each other. Lists, tuples and sets are one shape:
//! what makes a set sorts it and drops what is there twice. Sensitivity is no
//! part of a value; the evaluator tracks it by variable.
//!
//! Source: the package documentation of go-cty, and what Packer's console
//! prints.

use std::collections::BTreeMap;

pub(super) use self::number::{ArithmeticError, Number};
pub(super) use self::types::{Attribute, Mismatch, NoCommonType, Type, unify};

mod number;
mod types;

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `null`: not set. It counts as of every type.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, exactly.
    Number(Number),
    /// A string, without any markup left that HCL2 knows.
    String(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// An object or map.
    Object(BTreeMap<String, Value>),
    /// What is only known while a build runs.
    Unknown(Deferred),
}

/// A string that is only known while a build runs, for example `build.Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deferred {
    /// The Go template that stands for it, for example ``{{ build `Host` }}``,
    /// with whatever text stands around it.
    pub(super) template: String,
}

impl Value {
    /// The word for the shape, for messages: `a string`, `a list`, …
    pub(super) fn shape(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Unknown(_) => "known only while a build runs",
        }
    }

    /// What stands for the value in the middle of a string. Nothing for what
    /// cannot stand there: null, lists, objects, and what is not known yet.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::String(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Object(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether it, or anything in it, is only known while a build runs.
    pub(super) fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Object(entries) => entries.values().any(Self::has_unknown),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
