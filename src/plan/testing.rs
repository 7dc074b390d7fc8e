//! What the tests of this module share: a block of JSON in, findings out.

use std::path::PathBuf;

use super::files::Places;
use super::reader::{Desk, Reader};
use crate::secret::Secret;
use crate::template::decode::OptionSpec;
use crate::template::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::template::json;
use crate::template::source::Sources;
use crate::template::value::Value;

/// What reading a block gave.
pub(crate) struct Outcome<T> {
    pub(crate) read: T,
    /// `error: …` and `warning: …`, in the order of the text.
    pub(crate) findings: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
}

/// Parses JSON that is known to be good.
pub(crate) fn value(text: &str) -> Value {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let source = sources.add("test.json", text);
    let value = json::parse(source, &sources, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{text}: {diagnostics:?}");
    value.unwrap()
}

/// Reads a block; relative paths start in `directory`.
pub(crate) fn read_in<T>(
    directory: impl Into<PathBuf>,
    text: &str,
    options: &'static [&'static [OptionSpec]],
    read: impl FnOnce(&mut Reader<'_, '_>) -> T,
) -> Outcome<T> {
    let value = value(text);
    let places = Places {
        working_directory: directory.into(),
        home: None,
        confined_to: None,
    };
    let (mut diagnostics, mut secrets) = (Diagnostics::default(), Vec::new());
    let mut desk = Desk {
        diagnostics: &mut diagnostics,
        secrets: &mut secrets,
        places: &places,
    };
    let mut reader = Reader::new(&value, options, "`it`", &mut desk);
    let read = read(&mut reader);
    reader.finish();
    Outcome {
        read,
        findings: lines(diagnostics),
        secrets,
    }
}

/// Findings as lines, as [`Outcome::findings`].
pub(crate) fn lines(diagnostics: Diagnostics) -> Vec<String> {
    diagnostics.into_sorted().iter().map(line).collect()
}

fn line(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    format!("{severity}: {}", diagnostic.message)
}
