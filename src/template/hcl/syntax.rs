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

/// What the parser complains of.
#[derive(Clone, Copy)]
enum Fault {
    AttributeTwice,
    KeyTwice,
    Expression,
    Escape,
    Structure,
    BlockBody,
    BehindValue,
    Depth,
    Nothing,
    Expected,
}

impl Fault {
    /// From the parser's words.
    fn of(message: &str) -> Self {
        const WORDS: &[(&str, Fault)] = &[
            ("redefined attribute", Fault::AttributeTwice),
            ("redefined object key", Fault::KeyTwice),
            ("invalid expression", Fault::Expression),
            ("invalid escape", Fault::Escape),
            ("invalid unicode", Fault::Escape),
            ("invalid structure", Fault::Structure),
            ("invalid block body", Fault::BlockBody),
            ("expected newline or eof", Fault::BehindValue),
            ("invalid nesting depth", Fault::Depth),
            ("at most 128", Fault::Depth),
            ("unexpected token", Fault::Nothing),
        ];
        let found = WORDS.iter().find(|(words, _)| message.contains(words));
        found.map_or(Self::Expected, |(_, fault)| *fault)
    }
}

/// The parser's words in those of a user, who sees `rest` underlined.
fn explain(message: &str, rest: &str) -> (String, Option<&'static str>) {
    let fault = Fault::of(message);
    (
        what(fault, message, &next(rest)),
        cure(fault, message, rest),
    )
}

fn next(rest: &str) -> String {
    let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let word: String = rest.chars().take_while(is_word).take(40).collect();
    match rest.chars().next() {
        None => "the end of the text".to_owned(),
        Some('\n' | '\r') => "the end of the line".to_owned(),
        Some(_) if !word.is_empty() => format!("`{word}`"),
        Some(c) if c.is_control() => format!("`{}`", c.escape_debug()),
        Some(c) => format!("`{c}`"),
    }
}

fn what(fault: Fault, message: &str, next: &str) -> String {
    match fault {
        Fault::AttributeTwice => format!("{next} is set twice in this block"),
        Fault::KeyTwice => format!("the key {next} stands twice in this object"),
        Fault::Expression => format!("a value is expected here, not {next}"),
        Fault::Escape => "a backslash before something that is no escape".to_owned(),
        Fault::Structure => format!("`=` or `{{` is expected here, not {next}"),
        Fault::BlockBody => format!("{next} is not expected in this block"),
        Fault::BehindValue => format!("{next} is not expected behind this value"),
        Fault::Depth => "the nesting is too deep".to_owned(),
        Fault::Nothing => format!("{next} is not expected here"),
        Fault::Expected => {
            let expected = message.rsplit("; ").next().unwrap_or(message);
            format!("{expected} here, not {next}")
        }
    }
}

fn cure(fault: Fault, message: &str, rest: &str) -> Option<&'static str> {
    let help = match (fault, rest.chars().next()) {
        (Fault::AttributeTwice | Fault::KeyTwice, _) => "Keep one of them",
        (Fault::Expression, Some('\'')) => "Write strings in double quotes",
        (Fault::Expression, Some('.')) => "A number begins with a digit, for example `0.5`",
        (Fault::Expression, _) => "Text goes in double quotes",
        (Fault::Escape, _) => {
            "The escapes are `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\uXXXX` and `\\UXXXXXXXX`; a \
             backslash is `\\\\`"
        }
        (Fault::Structure, Some(':')) => {
            "An attribute is `name = value`; the colon is JSON's or YAML's"
        }
        (Fault::Structure | Fault::Nothing, _) => {
            "A template is made of blocks, `name \"label\" { … }`, and attributes, `name = value`"
        }
        (Fault::BlockBody, _) => {
            "A block on one line holds one attribute; more go on lines of their own, without commas"
        }
        (Fault::BehindValue, Some(',')) => {
            "Attributes of a block end with the line, without a comma"
        }
        (Fault::BehindValue, _) => {
            "Every attribute has a line of its own; text goes in double quotes"
        }
        (Fault::Expected, _) if message.contains("`]`") || message.contains("`)`") => {
            "Elements are divided by commas"
        }
        (Fault::Depth | Fault::Expected, _) => return None,
    };
    Some(help)
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
