//! The conversions of Packer's weak decoding, one value at a time.
//!
//! They follow the `mapstructure` rules that Packer's plugins decode with.
//! Not here: looking options up and reporting (the `Decoder`).

use std::collections::BTreeMap;

use super::super::go_duration::{DurationError, GoDuration};
use super::super::source::{Span, Spanned};
use super::super::value::{Value, ValueKind};

/// A value that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The offending value, perhaps inside a list or an object.
    pub span: Span,
    /// What is needed, with article: `an integer`.
    pub expected: &'static str,
    /// What is there; may show the value.
    pub found: String,
    /// What is there, without the value.
    pub shape: &'static str,
    /// What to write.
    pub help: Option<String>,
}

impl Mismatch {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A mismatch that shows the value when it is short and simple.
pub(super) fn mismatch(value: &Value, expected: &'static str) -> Mismatch {
    let found = match &value.kind {
        ValueKind::Bool(flag) => format!("`{flag}`"),
        ValueKind::Number(digits) if digits.len() <= 40 => format!("`{digits}`"),
        ValueKind::String(text) if text.len() <= 40 => format!("the string `{text:?}`"),
        _ => value.shape().to_owned(),
    };
    Mismatch {
        span: value.span,
        expected,
        found,
        shape: value.shape(),
        help: None,
    }
}

pub(super) fn string(value: &Value) -> Result<String, Mismatch> {
    match &value.kind {
        ValueKind::Null => Ok(String::new()),
        ValueKind::Bool(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
        ValueKind::Number(digits) => Ok(decimal_text(digits)),
        ValueKind::String(text) => Ok(text.clone()),
        ValueKind::Broken | ValueKind::List(_) | ValueKind::Object(_) => {
            Err(mismatch(value, "a string"))
        }
    }
}

/// A number without exponent. Integers stay as written, so that a long
/// account id loses no digit.
fn decimal_text(digits: &str) -> String {
    if digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return digits.to_owned();
    }
    digits
        .parse::<f64>()
        .map_or_else(|_| digits.to_owned(), |number| number.to_string())
}

pub(super) fn int(value: &Value) -> Result<i64, Mismatch> {
    let wrong = || mismatch(value, "an integer");
    match &value.kind {
        ValueKind::Bool(flag) => Ok(i64::from(*flag)),
        ValueKind::Number(digits) => cut_number(digits).ok_or_else(wrong),
        ValueKind::String(text) => parse_int(text).ok_or_else(|| {
            let trimmed = text.trim();
            if trimmed != text && parse_int(trimmed).is_some() {
                return wrong().help(format!("Remove the blanks: `{trimmed:?}`"));
            }
            wrong()
        }),
        ValueKind::Null | ValueKind::Broken | ValueKind::List(_) | ValueKind::Object(_) => {
            Err(wrong())
        }
    }
}

fn cut_number(digits: &str) -> Option<i64> {
    if let Ok(integer) = digits.parse() {
        return Some(integer);
    }
    let number = digits.parse::<f64>().ok()?.trunc();
    // Both bounds are exact as f64; the upper one is one past the largest.
    let fits = number >= -(2f64.powi(63)) && number < 2f64.powi(63);
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    fits.then_some(number as i64)
}

/// Go's `ParseInt` with base 0: `0x`, `0o`, `0b` and a leading zero choose the
/// base, `_` may separate digits. Empty text counts as zero.
pub(in crate::template) fn parse_int(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = split_base(magnitude);
    if !underscores_separate(digits, radix != 10) {
        return None;
    }
    let digits = digits.replace('_', "");
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn split_base(magnitude: &str) -> (&str, u32) {
    let lower = magnitude.to_ascii_lowercase();
    match lower.get(..2) {
        Some("0x") => (&magnitude[2..], 16),
        Some("0o") => (&magnitude[2..], 8),
        Some("0b") => (&magnitude[2..], 2),
        _ if magnitude.len() > 1 && magnitude.starts_with('0') => (&magnitude[1..], 8),
        _ => (magnitude, 10),
    }
}

/// `_` may stand between digits, and after a base prefix.
fn underscores_separate(digits: &str, prefixed: bool) -> bool {
    !(digits.contains("__") || digits.ends_with('_') || (digits.starts_with('_') && !prefixed))
}

pub(super) fn bool(value: &Value) -> Result<bool, Mismatch> {
    match &value.kind {
        ValueKind::Bool(flag) => Ok(*flag),
        ValueKind::Number(digits) => Ok(digits.parse::<f64>().is_ok_and(|number| number != 0.0)),
        ValueKind::String(text) if text.is_empty() => Ok(false),
        ValueKind::String(text) => parse_bool(text).ok_or_else(|| not_a_bool(value, text)),
        ValueKind::Null | ValueKind::Broken | ValueKind::List(_) | ValueKind::Object(_) => {
            Err(mismatch(value, "a bool"))
        }
    }
}

/// As [`bool`], but empty text is "not set" and only the numbers 0 and 1 are
/// taken: Packer would read 2 as `false`, which nobody means.
pub(super) fn tri(value: &Value) -> Result<Option<bool>, Mismatch> {
    match &value.kind {
        ValueKind::String(text) if text.is_empty() => Ok(None),
        ValueKind::Number(digits) if digits != "0" && digits != "1" => {
            Err(mismatch(value, "a bool"))
        }
        _ => bool(value).map(Some),
    }
}

fn not_a_bool(value: &Value, text: &str) -> Mismatch {
    let wrong = mismatch(value, "a bool");
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "enable" | "enabled" | "true" => wrong.help("Write `true`"),
        "no" | "n" | "off" | "disable" | "disabled" | "false" => wrong.help("Write `false`"),
        _ => wrong.help("Write `true` or `false`"),
    }
}

/// Go's `ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

pub(super) fn duration(value: &Value) -> Result<GoDuration, Mismatch> {
    let wrong = || mismatch(value, "a duration such as `5m`");
    match &value.kind {
        ValueKind::Number(digits) => cut_number(digits).map(GoDuration).ok_or_else(wrong),
        ValueKind::String(text) => text.parse().map_err(|error| match error {
            DurationError::MissingUnit(_) => wrong().help(format!(
                "The unit is missing: write `\"{text}s\"` for seconds"
            )),
            DurationError::UnknownUnit { unit, .. } => wrong().help(format!(
                "There is no unit `{}`; the units are `h`, `m`, `s`, `ms`, `us` and `ns`",
                unit.trim()
            )),
            DurationError::Invalid(_) => wrong().help("Write for example `\"1h30m\"` or `\"90s\"`"),
        }),
        _ => Err(wrong()),
    }
}

pub(super) fn string_list(value: &Value) -> Result<Vec<Spanned<String>>, Mismatch> {
    let element = |value: &Value| Ok(Spanned::new(string(value)?, value.span));
    match &value.kind {
        ValueKind::List(elements) => elements.iter().map(element).collect(),
        ValueKind::String(text) if text.is_empty() => Ok(Vec::new()),
        ValueKind::String(text) => Ok(text
            .split(',')
            .map(|piece| Spanned::new(piece.to_owned(), value.span))
            .collect()),
        ValueKind::Object(_) => Err(mismatch(value, "a list of strings")),
        _ => Ok(vec![element(value)?]),
    }
}

pub(super) fn string_lists(value: &Value) -> Result<Vec<Vec<Spanned<String>>>, Mismatch> {
    let ValueKind::List(elements) = &value.kind else {
        return Err(mismatch(value, "a list of lists of strings"));
    };
    let whole = |element: &Value| match &element.kind {
        // Commas are part of QEMU's arguments: a text is never split here.
        ValueKind::String(text) => Ok(vec![Spanned::new(text.clone(), element.span)]),
        _ => string_list(element),
    };
    elements.iter().map(whole).collect()
}

pub(super) fn string_map(value: &Value) -> Result<BTreeMap<String, String>, Mismatch> {
    let objects = match &value.kind {
        ValueKind::List(elements) => elements.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let mut map = BTreeMap::new();
    for object in objects {
        let ValueKind::Object(entries) = &object.kind else {
            return Err(mismatch(object, "an object with string values"));
        };
        for entry in entries {
            if entry.value.kind != ValueKind::Null {
                map.insert(entry.key.clone(), string(&entry.value)?);
            }
        }
    }
    Ok(map)
}
