//! The tree of a template text.
//!
//! Every node keeps the byte range it was written in, for messages and for
//! leaving text untouched.

use std::ops::Range;

/// A range of bytes in the template text.
pub(super) type Bytes = Range<usize>;

/// Something between two pieces of text, or a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Bytes,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeKind {
    /// Text, after trimming by the neighbours' markers.
    Text(Bytes),
    /// `{{ pipeline }}`.
    Action(Pipeline),
    /// `{{ if }} … {{ else }} … {{ end }}`.
    If(Branch),
    /// `{{ with }}`: as `if`, with the dot set to the value.
    With(Branch),
    /// `{{ range }}`.
    Range(Branch),
    /// `{{ break }}`.
    Break,
    /// `{{ continue }}`.
    Continue,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) condition: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$x := command | command`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) at: Bytes,
    /// Variables that take the value; two for `range $i, $e := …`.
    pub(super) targets: Vec<String>,
    /// Whether the variables are new (`:=`) or changed (`=`).
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// Operands in a row: a function with arguments, or one value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) at: Bytes,
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) at: Bytes,
    pub(super) kind: OperandKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum OperandKind {
    /// `.`
    Dot,
    /// `.Name.Other`; never empty.
    Field(Vec<String>),
    /// `$name.Field`; the name without `$`, empty for `$` itself.
    Variable(String, Vec<String>),
    /// The name of a function.
    Function(String),
    /// A string, quoted either way.
    Text(String),
    /// A whole number, or a character constant.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `nil`
    Nil,
    /// `( pipeline ).Field`
    Nested(Box<Pipeline>, Vec<String>),
}
