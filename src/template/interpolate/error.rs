//! Why a template text cannot be rendered.

/// A failure, with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InterpolateError {
    /// Byte offset of the offending piece in the template text.
    pub offset: usize,
    /// One past the last byte of the offending piece.
    pub end: usize,
    /// What is wrong, without final dot.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// For callers that treat some failures apart.
    pub cause: Cause,
}

/// What sort of failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The text does not follow the template language.
    Syntax,
    /// There is no function of that name.
    UnknownFunction,
    /// A user variable that has no value yet, where one is needed.
    UnsetVariable(String),
    /// A field that the data does not have.
    UnknownField(String),
    /// A function refused its arguments.
    Failed,
}

impl InterpolateError {
    pub(super) fn new(
        at: &std::ops::Range<usize>,
        cause: Cause,
        message: impl Into<String>,
    ) -> Self {
        Self {
            offset: at.start,
            end: at.end,
            message: message.into(),
            hint: None,
            cause,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
