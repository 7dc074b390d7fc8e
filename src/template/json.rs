//! JSON text to [`Value`]s with places.
//!
//! The syntax is strict JSON (RFC 8259), as Packer's legacy templates have it;
//! a byte order mark is skipped. A key written twice in one object is an
//! error, as Packer has it. Not here: what the keys mean (`model`).

use std::collections::HashMap;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind, parse_to_ast};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::{SourceId, Sources, Span};
use super::value::{Entry, Value, ValueKind};

/// JSON as RFC 8259 has it, and nothing more.
pub(super) const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The root value of a text, or nothing after a syntax error. Duplicate keys
/// are reported, and the first of them stays.
pub fn parse(source: SourceId, sources: &Sources, diagnostics: &mut Diagnostics) -> Option<Value> {
    let text = sources.file(source)?.text.as_str();
    let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut converter = Converter {
        source,
        sources,
        text,
        offset: mark,
        diagnostics,
    };
    match parse_to_ast(&text[mark..], &CollectOptions::default(), &STRICT) {
        Ok(result) => {
            let root = result.value.as_ref();
            if root.is_none() {
                converter.report_empty();
            }
            root.map(|root| converter.value(root))
        }
        Err(error) => {
            converter.report_syntax(&error);
            None
        }
    }
}

struct Converter<'a> {
    source: SourceId,
    sources: &'a Sources,
    text: &'a str,
    offset: usize,
    diagnostics: &'a mut Diagnostics,
}

impl Converter<'_> {
    /// Recursion is bounded by the parser's own depth limit.
    fn value(&mut self, node: &ast::Value<'_>) -> Value {
        let span = self.span(node.range());
        let kind = match node {
            ast::Value::NullKeyword(_) => ValueKind::Null,
            ast::Value::BooleanLit(literal) => ValueKind::Bool(literal.value),
            ast::Value::NumberLit(literal) => ValueKind::Number(literal.value.to_owned()),
            ast::Value::StringLit(literal) => {
                self.check_control_characters(span);
                ValueKind::String(literal.value.clone().into_owned())
            }
            ast::Value::Array(array) => {
                ValueKind::List(array.elements.iter().map(|node| self.value(node)).collect())
            }
            ast::Value::Object(object) => ValueKind::Object(self.entries(object)),
        };
        Value { kind, span }
    }

    fn entries(&mut self, object: &ast::Object<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
        let mut first_span: HashMap<String, Span> = HashMap::new();
        for property in &object.properties {
            let key = property.name.as_str().to_owned();
            let key_span = self.span(property.name.range());
            self.check_control_characters(key_span);
            let value = self.value(&property.value);
            if let Some(first) = first_span.get(&key) {
                self.report_duplicate(&key, key_span, *first);
                continue;
            }
            first_span.insert(key.clone(), key_span);
            entries.push(Entry {
                key,
                key_span,
                value,
            });
        }
        entries
    }

    fn report_duplicate(&mut self, key: &str, second: Span, first: Span) {
        let mut diagnostic =
            Diagnostic::error(format!("Duplicate key `{key}`"), second).label("set again here");
        if let Some(location) = self.sources.locate(first) {
            diagnostic = diagnostic.help(format!(
                "It is first set at {location}; remove one of the two"
            ));
        }
        self.diagnostics.push(diagnostic);
    }

    /// The parser takes raw control characters in strings; JSON does not.
    fn check_control_characters(&mut self, span: Span) {
        let raw = &self.text[span.start..span.end];
        let Some(at) = raw.find(|c: char| c < '\u{20}') else {
            return;
        };
        let place = Span {
            source: self.source,
            start: span.start + at,
            end: span.start + at + 1,
        };
        let (what, escape) = match raw.as_bytes()[at] {
            b'\n' | b'\r' => ("line break", "\\n"),
            b'\t' => ("tab", "\\t"),
            _ => ("control character", "\\u00XX"),
        };
        self.diagnostics.push(
            Diagnostic::error(format!("Invalid JSON: a raw {what} inside a string"), place)
                .help(format!("Write `{escape}` instead")),
        );
    }

    fn report_empty(&mut self) {
        let span = Span {
            source: self.source,
            start: 0,
            end: 0,
        };
        self.diagnostics
            .push(Diagnostic::error("Invalid JSON: the text is empty", span));
    }

    fn report_syntax(&mut self, error: &ParseError) {
        let span = self.span(error.range());
        let (what, help) = explain(error.kind(), self.text.get(span.start..).unwrap_or(""));
        let mut diagnostic = Diagnostic::error(format!("Invalid JSON: {what}"), span);
        diagnostic.help = help.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }

    /// A span on character boundaries, whatever the parser reported.
    fn span(&self, range: jsonc_parser::common::Range) -> Span {
        let start = floor(self.text, range.start + self.offset);
        let end = floor(self.text, range.end + self.offset).max(start);
        Span {
            source: self.source,
            start,
            end,
        }
    }
}

fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

const COMMENTS: &str = "JSON has no comments; at the root of a template a key that starts with \
                        `_` holds one: `\"_comment\": \"…\"`";

/// What is wrong, and what to write. `rest` begins at the reported place.
fn explain(kind: &ParseErrorKind, rest: &str) -> (String, Option<&'static str>) {
    use ParseErrorKind as Kind;
    let (what, help) = match kind {
        Kind::CommentsNotAllowed | Kind::UnterminatedCommentBlock => ("a comment", Some(COMMENTS)),
        Kind::TrailingCommasNotAllowed => {
            ("a comma after the last element", Some("Remove the comma"))
        }
        // The parser reads `01` as two numbers.
        Kind::ExpectedComma if rest.starts_with(|c: char| c.is_ascii_digit()) => (
            "a number that JSON does not have",
            Some("Remove the leading zero"),
        ),
        Kind::UnexpectedTokenInObject if rest.starts_with([']', ',']) => return unexpected(rest),
        Kind::ExpectedComma => ("a comma is missing", Some("Add a comma here")),
        Kind::ExpectedColonAfterObjectKey => ("a colon is missing after the key", None),
        Kind::ExpectedObjectValue => ("a value is missing after the colon", None),
        Kind::ExpectedStringObjectProperty | Kind::UnexpectedTokenInObject => {
            ("a key in double quotes is expected here", None)
        }
        Kind::MultipleRootJsonValues => ("more text after the end of the value", None),
        Kind::SingleQuotedStringsNotAllowed => {
            ("single quotes", Some("Write strings in double quotes"))
        }
        Kind::UnterminatedArray => ("this list is never closed", Some("Add the missing `]`")),
        Kind::UnterminatedObject => ("this object is never closed", Some("Add the missing `}`")),
        Kind::NestingDepthExceeded => ("the nesting is too deep", None),
        Kind::String(ParseStringErrorKind::UnterminatedStringLiteral) => (
            "this string is never closed",
            Some("Add the missing double quote"),
        ),
        Kind::String(
            ParseStringErrorKind::ExpectedFourHexDigits
            | ParseStringErrorKind::InvalidUnicodeEscapeSequence(_),
        ) => (
            "a `\\u` escape that is no character",
            Some("Write four hexadecimal digits; a surrogate needs its pair"),
        ),
        Kind::String(_) => (
            "an escape that JSON does not have",
            Some("Write a backslash as `\\\\`"),
        ),
        Kind::UnexpectedWord | Kind::UnexpectedToken => return unexpected(rest),
        Kind::UnexpectedCloseBrace
        | Kind::UnexpectedCloseBracket
        | Kind::UnexpectedComma
        | Kind::UnexpectedColon => return unexpected(rest),
        _ => ("a number that JSON does not have", None),
    };
    (what.to_owned(), help)
}

fn unexpected(rest: &str) -> (String, Option<&'static str>) {
    let word: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .take(30)
        .collect();
    if word.is_empty() {
        let found = rest.chars().next();
        let what = found.map_or("the text ends too early".to_owned(), |c| {
            format!("`{}` is not expected here", c.escape_debug())
        });
        return (what, None);
    }
    let help = match word.to_ascii_lowercase().as_str() {
        "true" | "false" | "null" => "JSON spells it in lower case",
        _ => "Write strings in double quotes",
    };
    (format!("`{word}` is not a value"), Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> (Option<Value>, Vec<Diagnostic>) {
        let mut sources = Sources::default();
        let source = sources.add("t.json", text);
        let mut diagnostics = Diagnostics::default();
        let value = parse(source, &sources, &mut diagnostics);
        (value, diagnostics.into_sorted())
    }

    #[test]
    fn keeps_values_order_and_places() {
        let (value, findings) = parse_text("\u{feff}{\"b\": [1.50, null], \"a\": \"x\\n\"}");
        assert_eq!(findings, []);
        let value = value.unwrap();
        let keys: Vec<_> = value.entries().iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["b", "a"]);
        let a = &value.entries()[1];
        assert_eq!(a.value.kind, ValueKind::String("x\n".to_owned()));
        assert_eq!((a.key_span.start, a.key_span.end), (23, 26));
        let ValueKind::List(list) = &value.entries()[0].value.kind else {
            panic!("a list was written");
        };
        assert_eq!(list[0].kind, ValueKind::Number("1.50".to_owned()));
    }

    #[test]
    fn duplicates_name_both_places_at_any_level() {
        let (_, findings) = parse_text("{\"a\": {\"x\": 1,\n\"x\": 2}}");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].message, "Duplicate key `x`");
        assert_eq!(findings[0].span.unwrap().start, 15);
        assert!(findings[0].help.as_ref().unwrap().contains("t.json:1:8"));
    }

    #[test]
    fn syntax_errors_say_what_and_where() {
        let table = [
            ("", 0, "the text is empty"),
            ("{\"a\": 1,}", 7, "a comma after the last element"),
            ("{\"a\": 1 \"b\": 2}", 7, "a comma is missing"),
            ("{\"a\" 1}", 5, "a colon is missing after the key"),
            ("{\"a\":", 5, "a value is missing after the colon"),
            ("{a: 1}", 1, "a key in double quotes is expected here"),
            ("{} {}", 3, "more text after the end of the value"),
            ("['a']", 1, "single quotes"),
            ("[1", 0, "this list is never closed"),
            ("{", 0, "this object is never closed"),
            ("[\"a]", 1, "this string is never closed"),
            ("[\"\\q\"]", 2, "an escape that JSON does not have"),
            ("[True]", 1, "`True` is not a value"),
            ("[1]]", 3, "more text after the end of the value"),
            ("[,]", 1, "`,` is not expected here"),
            ("[01]", 2, "a number that JSON does not have"),
            ("{\"a\": 1]", 7, "`]` is not expected here"),
            ("{\"a\": 1,,}", 8, "`,` is not expected here"),
            ("[\"\\ud800\"]", 2, "a `\\u` escape that is no character"),
            ("[.5]", 1, "a number that JSON does not have"),
            ("// x\n{}", 0, "a comment"),
            ("{} /* x */", 3, "a comment"),
            ("[\"a\nb\"]", 3, "a raw line break inside a string"),
        ];
        for (text, at, what) in table {
            let (_, findings) = parse_text(text);
            assert_eq!(findings.len(), 1, "{text}: {findings:?}");
            assert_eq!(
                findings[0].message,
                format!("Invalid JSON: {what}"),
                "{text}"
            );
            assert_eq!(findings[0].span.unwrap().start, at, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        for open in ["[", "{\"a\":"] {
            let (value, findings) = parse_text(&open.repeat(100_000));
            assert!(value.is_none());
            assert_eq!(findings[0].message, "Invalid JSON: the nesting is too deep");
        }
    }
}
