//! `format` and `formatlist`: strings made by a pattern with verbs.
//!
//! The verbs are those of cty's `format`, which are close to Go's but look
//! at values of any type.

use super::super::value::{Deferred, Number, Type, Value};
use super::encoding::json;
use super::signature::{Arguments, Function, Parameter, Shape};
use super::strings::characters;
use super::{FunctionError, Outcome, excerpt};

/// The largest width and precision, so that a slip does not use up the
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
                "`{}` has verbs for {used} values, and got {}",
                excerpt(pattern),
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

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"format("%v", 1000000)"#, r#""1e+06""#),
            (r#"format("%v", 10000000000000000000000)"#, r#""1e+22""#),
            (r#"format("%v", 0.00001)"#, r#""1e-05""#),
            (r#"format("%v|%v", true, null)"#, r#""true|null""#),
            (r#"format("%v", [1,"a"])"#, r#""[1,\"a\"]""#),
            (r#"format("%#v", "a<b")"#, r#""\"a\\u003cb\"""#),
            (
                r#"format("%d", 3.7)"#,
                "! `%d` cannot format this: it is no whole number",
            ),
            (
                r#"format("%05d|%-5d|%+d|% d|%x|%X|%o|%b", 3, 3, 3, 3, 255, 255, 8, 5)"#,
                r#""00003|3    |+3| 3|ff|FF|10|101""#,
            ),
            (
                r#"format("%f|%.2f|%e|%g|%8.3f|%-8.2f|", 1.5, 1.005, 12345.678, 1e21, 3.14159, 2)"#,
                r#""1.500000|1.00|1.234568e+04|1e+21|   3.142|2.00    |""#,
            ),
            (
                r#"format("%g|%G|%E", 0.00001, 1e-10, 1)"#,
                r#""1e-05|1E-10|1.000000E+00""#,
            ),
            (
                r#"format("%s|%10s|%-10s|%.2s|%q", "héé", "abc", "abc", "abc", "a\"b<")"#,
                r#""héé|       abc|abc       |ab|\"a\\\"b\\u003c\"""#,
            ),
            (r#"format("%s", 5)"#, r#""5""#),
            (r#"format("%s", true)"#, r#""true""#),
            (
                r#"format("%s", [1])"#,
                "! `%s` cannot format this: it is a list, not a string",
            ),
            (
                r#"format("%s", null)"#,
                "! `%s` cannot format this: it is null",
            ),
            (r#"format("%t", "true")"#, r#""true""#),
            (r#"format("%t|%5t", true, false)"#, r#""true|false""#),
            (r#"format("%d", "12")"#, r#""12""#),
            (r#"format("%[2]s %[1]s", "a", "b")"#, r#""b a""#),
            (r#"format("%[1]s %s", "a", "b")"#, r#""a b""#),
            (
                r#"format("%s")"#,
                "! `%s` needs a value number 1, and there are 0",
            ),
            (
                r#"format("x", 1)"#,
                "! `x` has verbs for 0 values, and got 1",
            ),
            (
                r#"format("%s", "a", "b")"#,
                "! `%s` has verbs for 1 values, and got 2",
            ),
            (r#"format("%z", 1)"#, "! `%z` begins no verb of `format`"),
            (r#"format("%%")"#, r#""%""#),
            (r#"format("%")"#, "! `%` begins no verb of `format`"),
            (r#"format("%5%")"#, "! `%5%` begins no verb of `format`"),
            (r#"format("%#x|%#o", 255, 8)"#, r#""0xff|010""#),
            (r#"format("%x", "255")"#, r#""ff""#),
            (
                r#"format("%x", "abc")"#,
                "! `%x` cannot format this: it is a string, not a number",
            ),
            (
                r#"format("%08.3f|%+.1f", 3.14159, 2)"#,
                r#""0003.142|+2.0""#,
            ),
            (
                r#"format("%.0f|%.0f|%.1f", 0.5, 1.5, 0.25)"#,
                r#""0|2|0.2""#,
            ),
            (r#"format("%g", 100000)"#, r#""100000""#),
            (r#"format("%g", 1000000)"#, r#""1e+06""#),
            (r#"format("%.3g", 1234567)"#, r#""1.23e+06""#),
            (r#"format("%6.2e", 1234567)"#, r#""1.23e+06""#),
            (
                r#"format("%*d", 5, 1)"#,
                "! `%*` begins no verb of `format`",
            ),
            (r#"format("%03s", "a")"#, r#""00a""#),
            (r#"format("%+q", "é")"#, r#""\"é\"""#),
            (r#"format("%.10d", 5)"#, r#""0000000005""#),
            (r#"format("%v", {"a":1})"#, r#""{\"a\":1}""#),
            (r#"format("%5v|%-5v|", 1, "a")"#, r#""    1|a    |""#),
            (r#"format("%v", 123456)"#, r#""123456""#),
            (r#"format("%v", 1234567.5)"#, r#""1.2345675e+06""#),
            (r#"format("%v", 0.0001)"#, r#""0.0001""#),
            (r#"format("%v", 21000000)"#, r#""2.1e+07""#),
            (r#"format("%v", 12345678)"#, r#""1.2345678e+07""#),
            (r#"format("%5.1d", 3)"#, r#""    3""#),
            (
                r#"format("%x", 3.5)"#,
                "! `%x` cannot format this: it is no whole number",
            ),
            (r#"format("%d", -5)"#, r#""-5""#),
            (r#"format("%x", -255)"#, r#""-ff""#),
            (r#"format("%q", "é\t")"#, r#""\"é\\t\"""#),
            (r#"format("%.1s", "👨‍👩‍👧x")"#, r#""👨‍👩‍👧""#),
            (r#"format("%5s|", "é")"#, r#""    é|""#),
            (r#"format("%-05d|", 3)"#, r#""3    |""#),
            (r#"format("%+s", "a")"#, r#""a""#),
            (r#"format("%.0s|", "abc")"#, r#""abc|""#),
            (r#"format("%e", 0)"#, r#""0.000000e+00""#),
            (r#"format("%g", 0)"#, r#""0""#),
            (r#"format("%g", 123456789)"#, r#""1.23456789e+08""#),
            (r#"format("%#g", 1.5)"#, r#""1.5""#),
            (
                r#"format("%[3]s", "a")"#,
                "! `%[3]s` needs a value number 3, and there are 1",
            ),
            (
                r#"format("%[x]s", "a")"#,
                "! `%[x` has to go on with the number of a value, from 1, and `]`",
            ),
            (
                r#"format("%t", 1)"#,
                "! `%t` cannot format this: it is a number, not a bool",
            ),
            (r#"format("%05s", "-1")"#, r#""000-1""#),
            (r#"format("%+05d", 3)"#, r#""+0003""#),
            (r#"format("% x", 255)"#, r#"" ff""#),
            (r#"format("%.3d|%.0d|", 5, 0)"#, r#""005||""#),
            (
                r#"format("%+.2e|%08.2e|%-12.2e|", 12.5, 12.5, 12.5)"#,
                r#""+1.25e+01|1.25e+01|1.25e+01    |""#,
            ),
            (r#"format("%G", 1e30)"#, r#""1E+30""#),
            (
                r#"format("%v %s", "a")"#,
                "! `%s` needs a value number 2, and there are 1",
            ),
            (r#"formatlist("%s-%s", ["a","b"], "x")"#, r#"["a-x","b-x"]"#),
            (
                r#"formatlist("%s-%s", ["a","b"], ["x"])"#,
                "! The lists differ in length: 2 and 1",
            ),
            (r#"formatlist("%s", [])"#, "[]"),
            (r#"formatlist("x")"#, r#"["x"]"#),
            (r#"formatlist("%s-%d", "a", 1)"#, r#"["a-1"]"#),
        ]);
    }
}
