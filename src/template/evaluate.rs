//! Renders the strings of a block before its options are decoded.
//!
//! Packer renders all strings and map keys of a block once, except fields
//! that need data of the running build; those are only checked. Not here: the
//! language itself (`interpolate`), and the second rendering at run time.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::interpolate::{Context, InterpolateError, check, render, user_variables};
use super::nearest::did_you_mean;
use super::source::{Sources, Span};
use super::value::{Entry, Value, ValueKind};

/// The value with all strings and keys rendered. The top-level fields named in
/// `skip` stay as they are, but their syntax is checked. A string that cannot
/// be rendered is reported and stays as it is.
pub fn render_body(
    value: &Value,
    context: &Context<'_>,
    skip: &[&str],
    diagnostics: &mut Diagnostics,
) -> Value {
    let ValueKind::Object(entries) = &value.kind else {
        return render_value(value, context, diagnostics);
    };
    let mut rendered = Vec::with_capacity(entries.len());
    for entry in entries {
        if skip
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&entry.key))
        {
            check_value(&entry.value, context.sources, diagnostics);
            rendered.push(entry.clone());
        } else {
            rendered.push(render_entry(entry, context, diagnostics));
        }
    }
    Value {
        kind: ValueKind::Object(rendered),
        span: value.span,
    }
}

/// One rendered text, or nothing after reporting why not. `span` is that of
/// the JSON string, with its quotes.
pub fn render_text(
    text: &str,
    span: Option<Span>,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    warn_of_undeclared(text, span, context, diagnostics);
    match render(text, context) {
        Ok(rendered) => Some(rendered),
        Err(error) => {
            diagnostics.push(diagnose(&error, text, span, context.sources));
            None
        }
    }
}

/// The diagnostic for a text that cannot be rendered, pointing into the text
/// where possible.
pub fn diagnose(
    error: &InterpolateError,
    text: &str,
    span: Option<Span>,
    sources: Option<&Sources>,
) -> Diagnostic {
    let place = span.map(|span| locate(text, &(error.offset..error.end), span, sources));
    let mut diagnostic = Diagnostic::error(error.message.clone(), place);
    diagnostic.help.clone_from(&error.hint);
    diagnostic
}

fn render_value(value: &Value, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Value {
    let kind = match &value.kind {
        ValueKind::String(text) => {
            let rendered = render_text(text, Some(value.span), context, diagnostics);
            ValueKind::String(rendered.unwrap_or_else(|| text.clone()))
        }
        ValueKind::List(elements) => ValueKind::List(
            elements
                .iter()
                .map(|element| render_value(element, context, diagnostics))
                .collect(),
        ),
        ValueKind::Object(entries) => ValueKind::Object(
            entries
                .iter()
                .map(|entry| render_entry(entry, context, diagnostics))
                .collect(),
        ),
        plain => plain.clone(),
    };
    Value {
        kind,
        span: value.span,
    }
}

fn render_entry(entry: &Entry, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Entry {
    let key = render_text(&entry.key, Some(entry.key_span), context, diagnostics);
    Entry {
        key: key.unwrap_or_else(|| entry.key.clone()),
        key_span: entry.key_span,
        value: render_value(&entry.value, context, diagnostics),
    }
}

fn check_value(value: &Value, sources: Option<&Sources>, diagnostics: &mut Diagnostics) {
    match &value.kind {
        ValueKind::String(text) => {
            if let Err(error) = check(text) {
                diagnostics.push(diagnose(&error, text, Some(value.span), sources));
            }
        }
        ValueKind::List(elements) => {
            for element in elements {
                check_value(element, sources, diagnostics);
            }
        }
        ValueKind::Object(entries) => {
            for entry in entries {
                check_value(&entry.value, sources, diagnostics);
            }
        }
        ValueKind::Null | ValueKind::Broken | ValueKind::Bool(_) | ValueKind::Number(_) => {}
    }
}

/// Packer renders an undeclared variable as nothing, in silence. That is
/// seldom meant, so it is said.
fn warn_of_undeclared(
    text: &str,
    span: Option<Span>,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) {
    if context.env.is_some() {
        return;
    }
    for (at, name) in user_variables(text) {
        if context.user.contains_key(&name) {
            continue;
        }
        let place = span.map(|span| locate(text, &at, span, context.sources));
        let known = context.user.keys().map(String::as_str);
        let help = did_you_mean(&name, known).unwrap_or_else(|| {
            format!("Declare it in `variables`, or pass it with `-var '{name}=…'`")
        });
        let message = format!("Variable `{name}` is not declared, so it is empty here");
        diagnostics.push(Diagnostic::warning(message, place).help(help));
    }
}

/// The span of a piece of a JSON string's value; of the whole string when the
/// source does not hold that very string.
fn locate(text: &str, piece: &Range<usize>, span: Span, sources: Option<&Sources>) -> Span {
    let within = || {
        let file = sources?.file(span.source)?;
        let raw = file.text.get(span.start..span.end)?;
        let start = raw_offset(raw, text, piece.start);
        let end = raw_offset(raw, text, piece.end);
        let (start, end) = start
            .zip(end)
            .or_else(|| once(raw, text.get(piece.clone())?))?;
        Some(Span {
            source: span.source,
            start: span.start + start,
            end: span.start + end,
        })
    };
    within().unwrap_or(span)
}

/// Where a piece stands that is written once: in texts of HCL2 templates that
/// are no string of JSON.
fn once(raw: &str, piece: &str) -> Option<(usize, usize)> {
    let mut places = raw.match_indices(piece).filter(|_| !piece.is_empty());
    let (start, _) = places.next()?;
    places
        .next()
        .is_none()
        .then_some((start, start + piece.len()))
}

/// Where a byte of the value stands in the written JSON string, counted from
/// its opening quote.
fn raw_offset(raw: &str, text: &str, offset: usize) -> Option<usize> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut raw_at = 0;
    let mut written = inner;
    for (text_at, expected) in text.char_indices() {
        if text_at >= offset {
            return Some(raw_at + 1);
        }
        let (found, len) = written_char(written)?;
        if found != expected {
            return None;
        }
        raw_at += len;
        written = &inner[raw_at..];
    }
    Some(raw_at + 1)
}

/// The first character of a JSON string's inside, and how long it is written.
fn written_char(written: &str) -> Option<(char, usize)> {
    let first = written.chars().next()?;
    if first != '\\' {
        return Some((first, first.len_utf8()));
    }
    let simple = match written.as_bytes().get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(written),
        other => char::from(*other),
    };
    Some((simple, 2))
}

fn unicode_escape(written: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::from_str_radix(written.get(at + 2..at + 6)?, 16).ok();
    let high = unit(0)?;
    if let Some(c) = char::from_u32(u32::from(high)) {
        return Some((c, 6));
    }
    let pair = [high, unit(6)?];
    char::decode_utf16(pair).next()?.ok().map(|c| (c, 12))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::json;
    use super::*;

    /// Renders a JSON object and gives it with the findings as
    /// `message@text`, the text being what the span covers.
    fn rendered(json: &str, skip: &[&str]) -> (Value, Vec<String>) {
        let mut sources = Sources::default();
        let source = sources.add("t.json", json);
        let mut diagnostics = Diagnostics::default();
        let value = json::parse(source, &sources, &mut diagnostics).unwrap();
        let user = BTreeMap::from([("region".to_owned(), "cn-beijing".to_owned())]);
        let start = jiff::Timestamp::UNIX_EPOCH;
        let context = Context {
            sources: Some(&sources),
            ..Context::new(&user, "/t", "/w", start)
        };
        let value = render_body(&value, &context, skip, &mut diagnostics);
        let findings = diagnostics.into_sorted().into_iter().map(|finding| {
            let span = finding.span.unwrap();
            format!("{}@{}", finding.message, &json[span.start..span.end])
        });
        (value, findings.collect())
    }

    fn text(value: &Value) -> &str {
        match &value.kind {
            ValueKind::String(text) => text,
            _ => panic!("a string was written"),
        }
    }

    #[test]
    fn renders_strings_keys_and_nested_values() {
        let (value, findings) = rendered(
            r#"{"a": "{{user `region`}}", "l": [{"{{user `region`}}": "x{{upper `y`}}"}], "n": 5}"#,
            &[],
        );
        assert_eq!(findings, [""; 0]);
        assert_eq!(text(value.get("a").unwrap()), "cn-beijing");
        let ValueKind::List(list) = &value.get("l").unwrap().kind else {
            panic!("a list was written");
        };
        assert_eq!(text(list[0].get("cn-beijing").unwrap()), "xY");
    }

    #[test]
    fn skipped_fields_are_only_checked() {
        let (value, findings) = rendered(
            r#"{"Execute_Command": "{{.Vars}} {{foo}}", "b": {"execute_command": "{{upper `y`}}"}}"#,
            &["execute_command"],
        );
        assert_eq!(findings, ["There is no template function `foo`@foo"]);
        assert_eq!(
            text(value.get("execute_command").unwrap()),
            "{{.Vars}} {{foo}}"
        );
        let nested = value.get("b").unwrap().get("execute_command").unwrap();
        assert_eq!(text(nested), "Y");
    }

    #[test]
    fn findings_point_into_a_heredoc() {
        let text = "x = <<EOT\n  ab {{foo}}\nEOT\n";
        let mut sources = Sources::default();
        let span = Span {
            source: sources.add("t.pkr.hcl", text),
            start: 4,
            end: text.len() - 1,
        };
        let user = BTreeMap::new();
        let context = Context {
            sources: Some(&sources),
            ..Context::new(&user, "/t", "/w", jiff::Timestamp::UNIX_EPOCH)
        };
        let mut diagnostics = Diagnostics::default();
        render_text("  ab {{foo}}\n", Some(span), &context, &mut diagnostics);
        let finding = diagnostics.into_sorted().remove(0).span.unwrap();
        assert_eq!(&text[finding.start..finding.end], "foo");
    }

    #[test]
    fn findings_point_into_the_string() {
        let table = [
            (
                r#"{"a": "ab {{foo}}"}"#,
                "There is no template function `foo`@foo",
            ),
            (
                r#"{"a": "\u00e4\t\ud83d\ude00\"{{foo}}"}"#,
                "There is no template function `foo`@foo",
            ),
            (
                r#"{"a": "{{env \"HOME\"}}"}"#,
                "`env` is only allowed in the defaults of `variables`@env",
            ),
            (
                r#"{"a": "{{user `regoin`}}"}"#,
                "Variable `regoin` is not declared, so it is empty here@`regoin`",
            ),
            (
                r#"{"{{foo}}": 1}"#,
                "There is no template function `foo`@foo",
            ),
        ];
        for (json, finding) in table {
            assert_eq!(rendered(json, &[]).1, [finding], "{json}");
        }
    }
}
