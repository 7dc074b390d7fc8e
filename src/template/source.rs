//! Source texts and places in them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A range of bytes in one of the [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Which text.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The number of a text in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SourceId(pub u32);

/// A value with the place it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands, if it was written by the user.
    pub span: Option<Span>,
}

impl<T> Spanned<T> {
    /// A value the user did not write.
    pub fn default_value(value: T) -> Self {
        Self { value, span: None }
    }

    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self {
            value,
            span: Some(span),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Every text that was read: the template, then variable files.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Arc<SourceFile>>);

/// One text that was read.
#[derive(Debug)]
pub struct SourceFile {
    /// The path as the user gave it; `-` for standard input.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// A place as people say it; line and column count from 1, in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The path as the user gave it.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Column one past the end when the span ends on the same line.
    pub end_column: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

impl Sources {
    /// Adds a text and gives its number.
    pub fn add(&mut self, path: impl AsRef<Path>, text: impl Into<String>) -> SourceId {
        let id = u32::try_from(self.0.len()).expect("fewer than 2^32 files are read");
        self.0.push(Arc::new(SourceFile {
            path: path.as_ref().to_owned(),
            text: text.into(),
        }));
        SourceId(id)
    }

    /// The text of a number given by [`Sources::add`].
    pub fn file(&self, id: SourceId) -> Option<&SourceFile> {
        self.0.get(id.0 as usize).map(|file| &**file)
    }

    /// Where a span begins, as people say it.
    pub fn locate(&self, span: Span) -> Option<Location> {
        let file = self.file(span.source)?;
        let before = file.text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let covered = file.text.get(span.start..span.end).unwrap_or("");
        let column = before[line_start..].chars().count() + 1;
        Some(Location {
            path: file.path.clone(),
            line: before.matches('\n').count() + 1,
            column,
            end_column: (!covered.contains('\n')).then(|| column + covered.chars().count()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_lines_and_columns_in_characters() {
        let mut sources = Sources::default();
        let source = sources.add("t.json", "{\n  \"ä\": 12\n}");
        let text = &sources.file(source).unwrap().text;
        let start = text.find("12").unwrap();
        let location = sources
            .locate(Span {
                source,
                start,
                end: start + 2,
            })
            .unwrap();
        assert_eq!(location.to_string(), "t.json:2:8");
        assert_eq!(location.end_column, Some(10));
    }
}
