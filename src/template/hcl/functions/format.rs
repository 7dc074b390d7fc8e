//! `format` and `formatlist`: strings made by a pattern with verbs.
//!
//! The verbs are those of cty's `format`, which are close to Go's but look
//! at values of any type.

use super::super::value::{Deferred, Number, Type, Value};
use super::encoding::json;
use super::signature::{Arguments, Function, Parameter, Shape};
use super::strings::characters;
use super::{FunctionError, Outcome};

/// The largest width and precision, so that no template can use up the
/// memory.
const WIDTH_MAX: usize = 1000;

const ARGUMENTS: Parameter = Parameter::new("args", Shape::Any).or_null().or_unknown();

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("format", &[Parameter::text("format")], format_one).and_any_number_of(ARGUMENTS),
    Function::new("formatlist", &[Parameter::text("format")], formatlist)
        .and_any_number_of(ARGUMENTS),
];

fn format_one(arguments: &Arguments<'_>) -> Outcome {
    formatted(arguments.text(0), arguments.from(1))
}

/// Formats once for each element of the lists among the arguments; what is no
/// list is the same each time.
fn formatlist(arguments: &Arguments<'_>) -> Outcome {
    let values = arguments.from(1);
    let mut rows: Option<usize> = None;
    for (index, value) in values.iter().enumerate() {
        if let Value::List(items) = value {
            let expected = *rows.get_or_insert(items.len());
            if items.len() != expected {
                let message = format!("The lists differ in length: {expected} and {}", items.len());
                return Err(FunctionError::at(index + 1, message));
            }
        }
    }
    let row = |index: usize| -> Vec<Value> {
        let cells = values.iter().map(|value| match value {
            Value::List(items) => items[index].clone(),
            other => other.clone(),
        });
        cells.collect()
    };
    let rows = (0..rows.unwrap_or(1)).map(|index| formatted(arguments.text(0), &row(index)));
    Ok(Value::List(rows.collect::<Result<_, _>>()?))
}

fn formatted(pattern: &str, values: &[Value]) -> Outcome {
    let mut out = Output::default();
    let mut rest = pattern;
    let mut next = 0;
    let mut used = 0;
    while let Some(start) = rest.find('%') {
        out.text.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("%%") {
            out.text.push('%');
            rest = after;
            continue;
        }
        let verb = Verb::parse(rest)?;
        let index = verb.argument.unwrap_or(next);
        next = index + 1;
        used = used.max(next);
        out.push(&verb, index, values)?;
        rest = &rest[verb.text.len()..];
    }
    out.text.push_str(rest);
    match values.len() > used {
        true => Err(FunctionError::at(
            used + 1,
            format!(
                "The format `{pattern}` has {used} verbs for {} values",
                values.len()
            ),
        )),
        false => Ok(out.value()),
    }
}

/// What has been formatted so far.
#[derive(Default)]
struct Output {
    text: String,
    /// Whether the text stands for something that is only known later.
    is_deferred: bool,
}

impl Output {
    fn push(
        &mut self,
        verb: &Verb<'_>,
        index: usize,
        values: &[Value],
    ) -> Result<(), FunctionError> {
        let Some(value) = values.get(index) else {
            let message = format!(
                "`{}` needs a value number {}, and there are {}",
                verb.text,
                index + 1,
                values.len()
            );
            return Err(FunctionError::at(0, message));
        };
        match value {
            Value::Unknown(deferred) if matches!(verb.text, "%s" | "%v") => {
                self.is_deferred = true;
                self.text.push_str(&deferred.template);
            }
            value if value.has_unknown() => {
                return Err(FunctionError::unknown("format", index + 1));
            }
            value => {
                let formatted = verb.format(value);
                let formatted = formatted.map_err(|reason| {
                    FunctionError::at(
                        index + 1,
                        format!("`{}` cannot format this: {reason}", verb.text),
                    )
                })?;
                self.text.push_str(&formatted);
            }
        }
        Ok(())
    }

    fn value(self) -> Value {
        match self.is_deferred {
            true => Value::Unknown(Deferred {
                template: self.text,
            }),
            false => self.text.into(),
        }
    }
}

/// One verb with all that stands between it and its `%`.
#[derive(Debug)]
struct Verb<'p> {
    /// All of it.
    text: &'p str,
    /// Which value it takes, from 0, if it says so.
    argument: Option<usize>,
    /// Any of ` `, `+`, `-`, `#` and `0`.
    flags: &'p str,
    width: usize,
    precision: Option<usize>,
    mode: char,
}

impl<'p> Verb<'p> {
    /// Reads the verb that a text begins with.
    fn parse(text: &'p str) -> Result<Self, FunctionError> {
        let mut scanner = Scanner { text, at: 1 };
        let mut argument = scanner.index()?;
        let flags = scanner.while_any(" +-#0");
        let width = scanner.number()?.unwrap_or(0);
        let precision = match scanner.take('.') {
            true => Some(scanner.number()?.unwrap_or(0)),
            false => None,
        };
        if argument.is_none() {
            argument = scanner.index()?;
        }
        let mode = scanner.rest().chars().next();
        let mode = mode.filter(|mode| "vtbdoxXeEfgGsq".contains(*mode)).ok_or_else(|| {
            let message = format!("`{}` begins no verb of `format`", scanner.seen());
            FunctionError::at(0, message)
                .with_hint("The verbs are %s, %q, %d, %b, %o, %x, %X, %f, %e, %E, %g, %G, %t and %v; write `%%` for a percent sign")
        })?;
        Ok(Self {
            text: &text[..=scanner.at],
            argument,
            flags,
            width,
            precision,
            mode,
        })
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn format(&self, value: &Value) -> Result<String, String> {
        if *value == Value::Null && self.mode != 'v' {
            return Err("it is null".to_owned());
        }
        match self.mode {
            'v' => Ok(self.padded(self.natural(value))),
            't' => self
                .converted(value, &Type::Bool)
                .map(|value| self.padded(json(&value))),
            's' | 'q' => {
                let text = self.truncated(
                    &self
                        .converted(value, &Type::String)?
                        .text()
                        .unwrap_or_default(),
                );
                Ok(self.padded(match self.mode {
                    'q' => json(&text.into()),
                    _ => text,
                }))
            }
            _ => match self.converted(value, &Type::Number)? {
                Value::Number(number) => self.number(&number),
                _ => Err("it is no number".to_owned()),
            },
        }
    }

    fn converted(&self, value: &Value, kind: &Type) -> Result<Value, String> {
        let converted = kind.convert(value.clone());
        converted.map_err(|mismatch| format!("it is {}, not {}", mismatch.found, mismatch.expected))
    }

    fn natural(&self, value: &Value) -> String {
        match value {
            Value::String(text) if !self.has('#') => text.clone(),
            Value::Number(number) if !self.has('#') => signed(number, &shortest(number, None, 'e')),
            value => json(value),
        }
    }

    fn truncated(&self, text: &str) -> String {
        match self.precision {
            // As in cty, none at all does not count.
            None | Some(0) => text.to_owned(),
            Some(precision) => characters(text).into_iter().take(precision).collect(),
        }
    }

    fn number(&self, number: &Number) -> Result<String, String> {
        let is_integral = matches!(self.mode, 'b' | 'd' | 'o' | 'x' | 'X');
        let digits = match self.mode {
            _ if is_integral => self.integer(number)?,
            'f' => number.fixed(self.precision.unwrap_or(6)),
            'e' | 'E' => {
                let places = self.precision.unwrap_or(6);
                let (digits, point) = number.digits(Some(places + 1));
                exponential(&digits, point, places, self.mode)
            }
            mode => {
                let letter = if mode == 'G' { 'E' } else { 'e' };
                shortest(number, self.precision, letter)
            }
        };
        let sign = match number.is_negative() {
            true => "-",
            false if self.has('+') => "+",
            false if self.has(' ') => " ",
            false => "",
        };
        let is_precise = is_integral && self.precision.is_some();
        Ok(match self.has('0') && !self.has('-') && !is_precise {
            true => {
                let width = self.width.saturating_sub(sign.len());
                format!("{sign}{digits:0>width$}")
            }
            false => self.padded(format!("{sign}{digits}")),
        })
    }

    fn integer(&self, number: &Number) -> Result<String, String> {
        let integer = number.integer().ok_or("it is no whole number")?;
        let magnitude = integer.magnitude();
        let digits = match self.mode {
            'b' => magnitude.to_str_radix(2),
            'o' => magnitude.to_str_radix(8),
            'x' => magnitude.to_str_radix(16),
            'X' => magnitude.to_str_radix(16).to_uppercase(),
            _ => magnitude.to_string(),
        };
        let prefix = match (self.has('#'), self.mode) {
            (true, 'x') => "0x",
            (true, 'X') => "0X",
            (true, 'o') => "0",
            (true, 'b') => "0b",
            _ => "",
        };
        Ok(match self.precision {
            Some(0) if number.is_zero() => String::new(),
            precision => format!("{prefix}{digits:0>width$}", width = precision.unwrap_or(0)),
        })
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(characters(&text).len());
        match (self.has('-'), self.has('0')) {
            (true, _) => text + &" ".repeat(missing),
            (false, true) => "0".repeat(missing) + &text,
            (false, false) => " ".repeat(missing) + &text,
        }
    }
}

/// A place in the text of a verb. All that is scanned is ASCII.
struct Scanner<'p> {
    text: &'p str,
    at: usize,
}

impl<'p> Scanner<'p> {
    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    /// What was scanned, with the character that could not be.
    fn seen(&self) -> &'p str {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        &self.text[..self.at + next]
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.rest().starts_with(c);
        self.at += usize::from(is_next);
        is_next
    }

    fn while_any(&mut self, characters: &str) -> &'p str {
        let rest = self.rest();
        let length = rest.find(|c| !characters.contains(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn number(&mut self) -> Result<Option<usize>, FunctionError> {
        let digits = self.while_any("0123456789");
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().ok().filter(|number| *number <= WIDTH_MAX);
        number.map(Some).ok_or_else(|| {
            FunctionError::at(
                0,
                format!("`{digits}` is more than the {WIDTH_MAX} characters that a verb formats"),
            )
        })
    }

    /// The index in brackets, from 0.
    fn index(&mut self) -> Result<Option<usize>, FunctionError> {
        if !self.take('[') {
            return Ok(None);
        }
        let number = self.number()?.filter(|number| *number > 0);
        match (number, self.take(']')) {
            (Some(number), true) => Ok(Some(number - 1)),
            _ => Err(FunctionError::at(
                0,
                format!(
                    "`{}` has to go on with the number of a value, from 1, and `]`",
                    self.seen()
                ),
            )),
        }
    }
}

fn signed(number: &Number, magnitude: &str) -> String {
    match number.is_negative() {
        true => format!("-{magnitude}"),
        false => magnitude.to_owned(),
    }
}

/// A number the way `%g` writes it: with an exponent when that is very large
/// or very small. Without sign.
fn shortest(number: &Number, precision: Option<usize>, letter: char) -> String {
    let (digits, point) = number.digits(precision.map(|precision| precision.max(1)));
    let length = digits.len() as i64;
    let limit = match precision {
        None => 6,
        Some(precision) if precision as i64 > length && length >= point => length,
        Some(precision) => precision.max(1) as i64,
    };
    if digits.is_empty() || (point > -4 && point <= limit) {
        return positional(&digits, point);
    }
    exponential(&digits, point, digits.len() - 1, letter)
}

/// `0.digits` times a power of ten, written out.
fn positional(digits: &str, point: i64) -> String {
    let places = point.unsigned_abs() as usize;
    if digits.is_empty() {
        return "0".to_owned();
    }
    if point <= 0 {
        return format!("0.{}{digits}", "0".repeat(places));
    }
    if places >= digits.len() {
        return format!("{digits:0<places$}");
    }
    format!("{}.{}", &digits[..places], &digits[places..])
}

/// `0.digits` times a power of ten, with so many places and an exponent.
fn exponential(digits: &str, point: i64, places: usize, letter: char) -> String {
    let width = places + 1;
    let padded = format!("{digits:0<width$}");
    let exponent = if digits.is_empty() { 0 } else { point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    let dot = if places > 0 { "." } else { "" };
    format!(
        "{}{dot}{}{letter}{sign}{:02}",
        &padded[..1],
        &padded[1..],
        exponent.abs()
    )
}
