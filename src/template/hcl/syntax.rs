//! From text to a tree, and what is said of texts that are none.
//!
//! `hcl-edit` parses; it gives the first error only, in the words of a
//! grammar. What most errors come from – a quote or a bracket that is never
//! closed – is found in `balance`, as the parser stumbles far behind it.

use hcl_edit::parser::{self, parse_body};
use hcl_edit::structure::Body;

use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source::{SourceId, Sources, Span};

mod balance;

/// The tree of a text; nothing after reporting why there is none.
pub(super) fn parse(
    source: SourceId,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let text = &sources.file(source)?.text;
    // A blank in place of the byte order mark: places stay right.
    let blank = text
        .strip_prefix('\u{feff}')
        .map(|rest| format!("   {rest}"));
    match parse_body(blank.as_deref().unwrap_or(text)) {
        Ok(body) => Some(body),
        Err(error) => {
            diagnostics.push(diagnose(source, text, &error));
            None
        }
    }
}

/// What is said of a text that cannot be parsed.
fn diagnose(source: SourceId, text: &str, error: &parser::Error) -> Diagnostic {
    let span = |start: usize, end: usize| Span { source, start, end };
    if let Some(unbalanced) = balance::check(text) {
        let place = span(unbalanced.at, unbalanced.at + unbalanced.length);
        return Diagnostic::error(format!("Invalid HCL: {}", unbalanced.what), place)
            .help(unbalanced.help);
    }
    let start = floor(text, error.location().offset());
    let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
    let (what, help) = explain(error.message(), &text[start..]);
    let mut diagnostic = Diagnostic::error(format!("Invalid HCL: {what}"), span(start, end));
    diagnostic.help = help.map(str::to_owned);
    diagnostic
}

/// The parser's words in those of a user, who sees `rest` underlined.
fn explain(message: &str, rest: &str) -> (String, Option<&'static str>) {
    let word: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        .take(40)
        .collect();
    let next = match rest.chars().next() {
        None => "the end of the text".to_owned(),
        Some('\n' | '\r') => "the end of the line".to_owned(),
        Some(_) if !word.is_empty() => format!("`{word}`"),
        Some(c) if c.is_control() => format!("`{}`", c.escape_debug()),
        Some(c) => format!("`{c}`"),
    };
    if message.contains("redefined attribute") {
        return (
            format!("{next} is set twice in this block"),
            Some("Keep one of them"),
        );
    }
    if message.contains("redefined object key") {
        return (
            format!("the key {next} stands twice in this object"),
            Some("Keep one of them"),
        );
    }
    if message.starts_with("invalid expression") {
        let help = match rest.chars().next() {
            Some('\'') => "Write strings in double quotes",
            Some('.') => "A number begins with a digit, for example `0.5`",
            _ => "Text goes in double quotes",
        };
        return (format!("a value is expected here, not {next}"), Some(help));
    }
    if message.starts_with("invalid escape") || message.starts_with("invalid unicode") {
        let help = "The escapes are `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\uXXXX` and \
                    `\\UXXXXXXXX`; a backslash is `\\\\`";
        return (
            "a backslash before something that is no escape".to_owned(),
            Some(help),
        );
    }
    if message.starts_with("invalid structure") {
        let help = match rest.chars().next() {
            Some(':') => "An attribute is `name = value`; the colon is JSON's or YAML's",
            _ => "An attribute is `name = value`, a block `name \"label\" { … }`",
        };
        return (
            format!("`=` or `{{` is expected here, not {next}"),
            Some(help),
        );
    }
    if message.starts_with("invalid block body") {
        let help = "A block on one line holds one attribute; more go on lines of their own, \
                    without commas";
        return (format!("{next} is not expected in this block"), Some(help));
    }
    if message.starts_with("expected newline or eof") {
        let help = match rest.chars().next() {
            Some(',') => "Attributes of a block end with the line, without a comma",
            _ => "Every attribute has a line of its own; text goes in double quotes",
        };
        return (
            format!("{next} is not expected behind this value"),
            Some(help),
        );
    }
    if message.starts_with("invalid nesting depth") || message.contains("at most 128") {
        return ("the nesting is too deep".to_owned(), None);
    }
    if message.starts_with("unexpected token") {
        let help = "A template is made of blocks, `name \"label\" { … }`, and attributes, \
                    `name = value`";
        return (format!("{next} is not expected here"), Some(help));
    }
    let expected = message.rsplit("; ").next().unwrap_or(message);
    let help = match message.contains("`]`") || message.contains("`)`") {
        true => Some("Elements are divided by commas"),
        false => None,
    };
    (format!("{expected} here, not {next}"), help)
}

fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(text: &str) -> Option<(String, usize)> {
        let mut sources = Sources::default();
        let source = sources.add("t.pkr.hcl", text);
        let mut diagnostics = Diagnostics::default();
        let parsed = parse(source, &sources, &mut diagnostics);
        let finding = diagnostics.into_sorted().into_iter().next();
        assert_eq!(parsed.is_none(), finding.is_some(), "{text}");
        finding.map(|found| (found.message, found.span.unwrap().start))
    }

    #[test]
    fn a_byte_order_mark_moves_nothing() {
        assert_eq!(finding("\u{feff}a = 1\n"), None);
        assert_eq!(finding("\u{feff}a = ,\n").unwrap().1, 7);
    }

    #[test]
    fn errors_say_what_and_where() {
        let table = [
            ("a = \"x\nb = 1\n", 4, "this string is never closed"),
            ("a = [1, 2\nb = 3\n", 4, "this `[` is never closed"),
            ("a {\n b = 1\n", 2, "this `{` is never closed"),
            ("a = 1\n}\n", 6, "this `}` closes nothing"),
            ("a = [1)\n", 6, "this `)` stands where `]` is expected"),
            ("a = <<EOT\nx\n", 4, "this heredoc is never closed"),
            ("a = \"${x\"\n", 5, "this `${` is never closed"),
            ("a 1\n", 2, "`=` or `{` is expected here, not `1`"),
            ("a: 1\n", 1, "`=` or `{` is expected here, not `:`"),
            ("a = 1 b = 2\n", 6, "`b` is not expected behind this value"),
            ("a = 1,\n", 5, "`,` is not expected behind this value"),
            ("a = 'x'\n", 4, "a value is expected here, not `'`"),
            (
                "a =\n",
                3,
                "a value is expected here, not the end of the line",
            ),
            (
                "a = \"\\q\"\n",
                7,
                "a backslash before something that is no escape",
            ),
            ("a = 1\na = 2\n", 6, "`a` is set twice in this block"),
            (
                "a = {x=1,x=2}\n",
                9,
                "the key `x` stands twice in this object",
            ),
            (
                "a { b = 1, c = 2 }\n",
                9,
                "`,` is not expected in this block",
            ),
            ("a = [1\n 2]\n", 8, "expected `]` here, not `2`"),
            ("\"a\" = 1\n", 0, "`\"` is not expected here"),
        ];
        for (text, at, what) in table {
            let expected = (format!("Invalid HCL: {what}"), at);
            assert_eq!(finding(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        for open in ["[", "{a=", "(", "\"${"] {
            let text = format!("a = {}", open.repeat(100_000));
            assert!(finding(&text).is_some());
        }
        let closed = format!("a = {}{}\n", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(
            finding(&closed).unwrap().0,
            "Invalid HCL: the nesting is too deep"
        );
    }
}
