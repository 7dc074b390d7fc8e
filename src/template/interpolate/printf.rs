//! `printf` as Go's `fmt` does it, for strings, numbers and bools.
//!
//! Flags, width and precision work; a verb that does not fit its value prints
//! Go's `%!d(string=hi)`. Not here: `*`, argument indexes and complex numbers.

use super::datum::Datum;

/// A width or precision beyond this is a slip, and memory for nothing.
const WIDTH_LIMIT: usize = 10_000;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// The formatted text, or why the format is refused.
pub(super) fn format(format: &str, values: &[&Datum]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = parse_spec(&mut chars)?;
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match values.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => out.push_str(&one(&spec, verb, value)),
            },
        }
    }
    let extra: Vec<_> = values
        .map(|value| format!("{}={}", value.type_name(), value.plain()))
        .collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

type Chars<'f> = std::iter::Peekable<std::str::Chars<'f>>;

fn parse_spec(chars: &mut Chars<'_>) -> Result<Spec, String> {
    let mut spec = Spec::default();
    while let Some(flag) = chars.peek() {
        match flag {
            '-' => spec.minus = true,
            '+' => spec.plus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            _ => break,
        }
        chars.next();
    }
    spec.width = number(chars)?.unwrap_or(0);
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = Some(number(chars)?.unwrap_or(0));
    }
    Ok(spec)
}

fn number(chars: &mut Chars<'_>) -> Result<Option<usize>, String> {
    let mut value = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        let next = value.unwrap_or(0) * 10 + digit as usize;
        if next > WIDTH_LIMIT {
            return Err(format!("`printf` takes widths up to {WIDTH_LIMIT}"));
        }
        value = Some(next);
        chars.next();
    }
    Ok(value)
}

fn one(spec: &Spec, verb: char, value: &Datum) -> String {
    let text = match (verb, value) {
        ('T', value) => Some(value.type_name().to_owned()),
        ('v', Datum::Int(int)) => Some(integer(spec, *int, 10, false)),
        ('v', Datum::Text(text)) if spec.sharp => Some(quote(text)),
        ('v', value) => Some(cut(spec, &value.plain())),
        ('s', Datum::Text(text)) => Some(cut(spec, text)),
        ('s', value @ Datum::Map(_)) => Some(value.plain()),
        ('q', Datum::Text(text)) => Some(quote(&cut(spec, text))),
        ('t', Datum::Bool(flag)) => Some(flag.to_string()),
        ('d', Datum::Int(int)) => Some(integer(spec, *int, 10, false)),
        ('x', Datum::Int(int)) => Some(integer(spec, *int, 16, false)),
        ('X', Datum::Int(int)) => Some(integer(spec, *int, 16, true)),
        ('o', Datum::Int(int)) => Some(integer(spec, *int, 8, false)),
        ('b', Datum::Int(int)) => Some(integer(spec, *int, 2, false)),
        ('x', Datum::Text(text)) => Some(text.bytes().map(|b| format!("{b:02x}")).collect()),
        ('X', Datum::Text(text)) => Some(text.bytes().map(|b| format!("{b:02X}")).collect()),
        ('c', Datum::Int(int)) => Some(character(*int).to_string()),
        ('U', Datum::Int(int)) => Some(format!("U+{int:04X}")),
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Datum::Float(float)) => {
            Some(floating(spec, verb, *float))
        }
        _ => None,
    };
    match text {
        Some(text) => pad(spec, text, matches!(value, Datum::Int(_) | Datum::Float(_))),
        None if *value == Datum::Nil => format!("%!{verb}(<nil>)"),
        None => format!("%!{verb}({}={})", value.type_name(), value.plain()),
    }
}

fn character(int: i64) -> char {
    u32::try_from(int)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}')
}

fn cut(spec: &Spec, text: &str) -> String {
    text.chars()
        .take(spec.precision.unwrap_or(usize::MAX))
        .collect()
}

/// A Go string literal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn sign(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn integer(spec: &Spec, int: i64, radix: u32, upper: bool) -> String {
    let magnitude = int.unsigned_abs();
    let digits = match (radix, upper) {
        (16, true) => format!("{magnitude:X}"),
        (16, false) => format!("{magnitude:x}"),
        (8, _) => format!("{magnitude:o}"),
        (2, _) => format!("{magnitude:b}"),
        _ => magnitude.to_string(),
    };
    let prefix = match (spec.sharp, radix, upper) {
        (true, 16, true) => "0X",
        (true, 16, false) => "0x",
        (true, 8, _) => "0",
        (true, 2, _) => "0b",
        _ => "",
    };
    let least = spec.precision.unwrap_or(0);
    format!("{}{prefix}{digits:0>least$}", sign(spec, int < 0))
}

fn floating(spec: &Spec, verb: char, float: f64) -> String {
    let magnitude = float.abs();
    let digits = match verb {
        'f' | 'F' => format!("{magnitude:.*}", spec.precision.unwrap_or(6)),
        'e' | 'E' => exponent(&format!("{magnitude:.*e}", spec.precision.unwrap_or(6))),
        _ => Datum::Float(magnitude).plain(),
    };
    let digits = if verb.is_uppercase() {
        digits.to_uppercase()
    } else {
        digits
    };
    format!("{}{digits}", sign(spec, float.is_sign_negative()))
}

/// Rust writes `1e5` where Go writes `1e+05`.
fn exponent(text: &str) -> String {
    let Some((mantissa, power)) = text.split_once('e') else {
        return text.to_owned();
    };
    match power.strip_prefix('-') {
        Some(digits) => format!("{mantissa}e-{digits:0>2}"),
        None => format!("{mantissa}e+{power:0>2}"),
    }
}

fn pad(spec: &Spec, text: String, numeric: bool) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if spec.minus {
        return text + &" ".repeat(missing);
    }
    // As in Go, a precision of digits turns zero padding of integers off.
    if spec.zero && !(numeric && spec.precision.is_some() && !text.contains('.')) {
        let signed = usize::from(numeric && text.starts_with(['+', '-', ' ']));
        return format!(
            "{}{}{}",
            &text[..signed],
            "0".repeat(missing),
            &text[signed..]
        );
    }
    " ".repeat(missing) + &text
}
