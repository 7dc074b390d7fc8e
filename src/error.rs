//! The error of the product: a kind, what we were doing, hints, and a source.
//!
//! ```text
//! Error ─┬─ kind     few, matchable; chooses the exit code
//!        ├─ message  what we did, to which id, in which region
//!        ├─ span     the template value that caused it, when there is one
//!        ├─ hints    each an action the user can take
//!        └─ source   the next error in the chain (for example `ApiFailure`)
//! ```
//!
//! A message starts with a capital, has no final dot and never repeats its
//! source: the chain is printed once, by `report`.

use std::error::Error as StdError;
use std::fmt;

use crate::template::source::Span;

/// Shorthand for results with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is. Chooses the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Bad command line or input; nothing was created.
    Usage,
    /// Bad template; nothing was created.
    Template,
    /// No usable credentials, or a permission is missing.
    Credentials,
    /// `-only`/`-except` left no build.
    NoMatch,
    /// Alibaba Cloud refused or failed a request.
    Cloud,
    /// A resource reached a state from which it cannot recover.
    FailedState,
    /// No connection to the instance could be made, or it was lost.
    Connect,
    /// A provisioner failed.
    Provision,
    /// A post-processor failed.
    PostProcess,
    /// A wait took longer than its limit.
    Timeout,
    /// The run was told to stop.
    Cancelled,
    /// Something on this machine is in use by another process.
    Busy,
    /// A disk image is damaged, or of a variant that cannot be read.
    Disk,
    /// A file or process on this machine failed us.
    Io,
    /// A bug in this program.
    Internal,
}

/// An error with everything a person needs to act on it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    span: Option<Span>,
    hints: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error without hints or source.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            span: None,
            hints: Vec::new(),
            source: None,
        }))
    }

    /// The error of a run that was told to stop.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "Stopped before it was done")
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds an action the user can take, as a sentence without final dot.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Points at the template value that caused the error, unless a deeper
    /// layer already did. No value causes a stop.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        if self.0.kind != Kind::Cancelled {
            self.0.span = self.0.span.or(span.into());
        }
        self
    }

    /// Wraps the error in what the caller was doing; kind and span carry over.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        let (kind, span) = (self.kind(), self.span());
        let mut outer = Self::new(kind, message).at(span);
        outer.0.source = Some(Box::new(self));
        outer
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What we were doing, without the source.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The template value that caused the error.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// The hints of the whole chain, outermost first.
    pub fn hints(&self) -> Vec<&str> {
        self.chain()
            .flat_map(|error| error.0.hints.iter().map(String::as_str))
            .collect()
    }

    /// What Alibaba Cloud answered, if it was a refused request.
    pub fn api_failure(&self) -> Option<&ApiFailure> {
        let mut source = self.source();
        while let Some(error) = source {
            if let Some(failure) = error.downcast_ref::<ApiFailure>() {
                return Some(failure);
            }
            source = error.source();
        }
        None
    }

    fn chain(&self) -> impl Iterator<Item = &Error> {
        std::iter::successors(Some(self), |&error| {
            StdError::source(error)?.downcast_ref::<Error>()
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("span", &self.0.span)
            .field("hints", &self.0.hints)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The one line that says all: messages of the whole chain, joined by `: `.
pub fn one_line(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}

/// A refused or failed request, as Alibaba Cloud answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFailure {
    /// The action, for example `RunInstances`.
    pub action: &'static str,
    /// The region the request went to.
    pub region: String,
    /// The HTTP status.
    pub http_status: u16,
    /// The error code, for example `OperationDenied.NoStock`.
    pub code: String,
    /// The server's own words.
    pub message: String,
    /// The id to give to Alibaba Cloud's support.
    pub request_id: String,
}

impl fmt::Display for ApiFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            region,
            http_status,
            code,
            message,
            request_id,
        } = self;
        write!(
            f,
            "{code}: {message} ({action} in {region}, HTTP {http_status}, RequestId {request_id})"
        )
    }
}

impl StdError for ApiFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_kind_span_and_hints() {
        let inner = Error::new(Kind::Cloud, "Inner")
            .with_hint("Try again")
            .at(Span::default());
        let outer = inner.context("Outer");
        assert_eq!(outer.kind(), Kind::Cloud);
        assert_eq!(outer.span(), Some(Span::default()));
        assert_eq!(outer.hints(), ["Try again"]);
        assert_eq!(one_line(&outer), "Outer: Inner");
    }
}
