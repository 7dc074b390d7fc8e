//! What is said about a template: one structure for the terminal, CI
//! annotations and JSON.

use super::source::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build would still run.
    Warning,
    /// The build cannot run.
    Error,
}

/// One finding about a template, a variable file or an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without final dot, the offending name in backticks.
    pub message: String,
    /// The place; none for problems of the command line.
    pub span: Option<Span>,
    /// A short text beside the underlined place, for example `expected a bool`.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding that stops the build.
    pub fn error(message: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        Self::new(Severity::Error, message.into(), span.into())
    }

    /// A finding that does not stop the build.
    pub fn warning(message: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        Self::new(Severity::Warning, message.into(), span.into())
    }

    fn new(severity: Severity, message: String, span: Option<Span>) -> Self {
        Self {
            severity,
            message,
            span,
            label: None,
            help: None,
        }
    }

    /// Adds the short text beside the underlined place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Findings, collected until all are known.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether a build is impossible.
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All findings in the order of the text, without repetitions.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| d.span.map(|span| (span.source.0, span.start, span.end));
        let mut sorted: Vec<Diagnostic> = Vec::with_capacity(self.0.len());
        // Two builds that share a block repeat its findings as a group.
        for diagnostic in self.0 {
            if !sorted.contains(&diagnostic) {
                sorted.push(diagnostic);
            }
        }
        sorted.sort_by_key(place);
        sorted
    }
}
