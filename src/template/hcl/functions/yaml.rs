//! `yamldecode` and `yamlencode`.
//!
//! Plain scalars mean what they mean in Packer: `yes` and `on` are `true` as
//! in YAML 1.1, and times are written out. Not here: folding long lines when
//! writing, which changes nothing for a reader.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use regex::Regex;

use super::super::value::{Number, Value};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::time::Moment;
use super::{FunctionError, Outcome};

/// How many values a document may have with its aliases followed. Some lines
/// of YAML could otherwise use up the memory.
const VALUES_MAX: usize = 100_000;

/// How deep values may be nested.
const DEPTH_MAX: usize = 100;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("yamldecode", &[Parameter::text("src")], yamldecode),
    Function::new(
        "yamlencode",
        &[Parameter::new("value", Shape::Any).or_null()],
        yamlencode,
    ),
];

fn yamldecode(arguments: &Arguments<'_>) -> Outcome {
    let reader = Reader {
        parser: Parser::new_from_str(arguments.text(0)),
        anchors: HashMap::new(),
        values: 0,
    };
    reader
        .document()
        .map_err(|reason| FunctionError::at(0, format!("The string is no YAML: {reason}")))
}

/// Reads one document.
struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'t> Reader<'t> {
    fn document(mut self) -> Result<Value, String> {
        let first = self.next()?;
        if matches!(first, Event::StreamEnd) {
            return Err("it is empty".to_owned());
        }
        let value = self.node(first, 0)?;
        match self.next()? {
            Event::StreamEnd => Ok(value),
            _ => Err("there is a second document".to_owned()),
        }
    }

    /// The next event that says something about values.
    fn next(&mut self) -> Result<Event<'t>, String> {
        loop {
            let event = self.parser.next_event().ok_or("it ends too early")?;
            let (event, _) = event.map_err(|error| error.to_string())?;
            let is_frame = matches!(
                event,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd
            );
            if !is_frame {
                return Ok(event);
            }
        }
    }

    fn node(&mut self, event: Event<'t>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Alias(id) => return self.alias(id),
            Event::Scalar(text, style, anchor, tag) => (
                anchor,
                scalar(&text, style == ScalarStyle::Plain, tag.as_deref())?,
            ),
            Event::SequenceStart(_, anchor, tag) => {
                untagged(tag.as_deref(), "seq")?;
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                untagged(tag.as_deref(), "map")?;
                (anchor, self.mapping(depth)?)
            }
            _ => return Err("it ends too early".to_owned()),
        };
        // Nodes without an anchor have the id 0.
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize) -> Result<Value, String> {
        let value = self.anchors.get(&id).cloned();
        let value = value.ok_or("an alias stands in what it stands for")?;
        self.count(size(&value))?;
        Ok(value)
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.values += more;
        match self.values > VALUES_MAX {
            true => Err(format!("it has more than {VALUES_MAX} values")),
            false => Ok(()),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut entries = BTreeMap::new();
        let mut merged = BTreeMap::new();
        loop {
            let event = self.next()?;
            let is_merge = match &event {
                Event::MappingEnd => {
                    // What the mapping says itself counts.
                    merged.extend(entries);
                    return Ok(Value::Object(merged));
                }
                Event::Scalar(text, ScalarStyle::Plain, _, None) => text == "<<",
                _ => false,
            };
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            if is_merge {
                merge(value, &mut merged)?;
            } else {
                entries.insert(key_text(&key)?, value);
            }
        }
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn key_text(key: &Value) -> Result<String, String> {
    match key {
        Value::Null => Err("a key is null".to_owned()),
        key => key
            .text()
            .ok_or_else(|| format!("a key is {}", key.shape())),
    }
}

/// Adds the entries that `<<` names; what was there before counts.
fn merge(value: Value, merged: &mut BTreeMap<String, Value>) -> Result<(), String> {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                merged.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| merge(item, merged)),
        other => Err(format!("`<<` is {}, not a mapping", other.shape())),
    }
}

fn untagged(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(unsupported(tag)),
        _ => Ok(()),
    }
}

fn unsupported(tag: &Tag) -> String {
    format!("the tag `{}` is not supported", tag.original())
}

fn scalar(text: &str, is_plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let string = Value::from(text);
    let Some(tag) = tag else {
        return if is_plain { plain(text) } else { Ok(string) };
    };
    match tag.core_suffix() {
        Some("null") => Ok(Value::Null),
        Some("str") => Ok(string),
        Some("int" | "float" | "bool" | "timestamp") if is_plain => plain(text),
        Some("int" | "float" | "bool" | "timestamp") => Ok(string),
        None if matches!(tag.original().as_str(), "!" | "!!binary") => Ok(string),
        _ => Err(unsupported(tag)),
    }
}

/// What a scalar without quotes and tag means.
fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF"
        | ".nan" | ".NaN" | ".NAN" => return Err(format!("`{text}` is no number here")),
        text => number(text)
            .map(Value::Number)
            .or_else(|| time(text))
            .unwrap_or_else(|| text.into()),
    })
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some(bits) = digits.strip_prefix("0b") {
        let magnitude = Number::from(i64::from_str_radix(&bits.replace('_', ""), 2).ok()?);
        return Some(match text.starts_with('-') {
            true => magnitude.negated(),
            false => magnitude,
        });
    }
    Number::parse(&text.replace('_', ""))
}

/// A date or time, as RFC 3339 has it.
fn time(text: &str) -> Option<Value> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[-+][0-9]{2}:[0-9]{2})?)?$";
        Regex::new(pattern).expect("the pattern is valid")
    });
    let parts = TIME.captures(text)?;
    let part = |index, default| parts.get(index).map_or(default, |part| part.as_str());
    let (date, clock) = (part(1, ""), part(2, "00:00:00"));
    let zone = part(3, "Z").to_ascii_uppercase();
    let time = format!("{date}T{clock}{zone}");
    Moment::parse(&time).map(|_| time.into())
}

fn yamlencode(arguments: &Arguments<'_>) -> Outcome {
    let mut out = String::new();
    let value = arguments.any(0);
    write_block(value, 0, &mut out);
    out.push('\n');
    if matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        // A document of one plain scalar says where it ends.
        out.push_str("...\n");
    }
    Ok(out.into())
}

/// Writes a value at the place it stands: behind `- `, or at the beginning.
/// The last line is left open.
fn write_block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                start_line(index, indent, out);
                out.push_str("- ");
                write_block(item, indent + 2, out);
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                start_line(index, indent, out);
                write_quoted(key, out);
                out.push(':');
                write_entry(value, indent, out);
            }
        }
        Value::List(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::String(text) if is_literal(text) => write_literal(text, indent, out),
        Value::String(text) => write_quoted(text, out),
        Value::Null | Value::Unknown(_) => out.push_str("null"),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.text().unwrap_or_default()),
    }
}

/// Writes the value of a key: on lines of its own if it is a collection, of
/// which lists are not indented.
fn write_entry(value: &Value, indent: usize, out: &mut String) {
    let nested = match value {
        Value::List(items) if !items.is_empty() => indent,
        Value::Object(entries) if !entries.is_empty() => indent + 2,
        Value::String(_) => {
            out.push(' ');
            return write_block(value, indent + 2, out);
        }
        value => {
            out.push(' ');
            return write_block(value, indent, out);
        }
    };
    out.push('\n');
    out.push_str(&" ".repeat(nested));
    write_block(value, nested, out);
}

fn start_line(index: usize, indent: usize, out: &mut String) {
    if index > 0 {
        out.push('\n');
        out.push_str(&" ".repeat(indent));
    }
}

/// Whether a text can stand as it is on lines of its own.
fn is_literal(text: &str) -> bool {
    let is_printable = |c: char| c == '\n' || (c >= ' ' && !is_special(c));
    text.contains('\n')
        && text.chars().all(is_printable)
        && !text.contains(" \n")
        && !text.ends_with(' ')
}

fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{10000}'..
        )
}

fn write_literal(text: &str, indent: usize, out: &mut String) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    match text.len() - body.len() {
        0 => out.push('-'),
        1 if !body.is_empty() => {}
        _ => out.push('+'),
    }
    let width = indent.max(2);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(width));
            out.push_str(line);
        }
    }
    // The first line end belongs to the last line.
    for _ in 1..text.len() - body.len() {
        out.push('\n');
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if !is_special(c) => out.push(c),
            c => match u32::from(c) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02X}")),
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04X}")),
                code => out.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, outcome};
    use super::*;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (
                r#"yamldecode("a: yes\nb: 0x1F\nc: 0o17\nd: 017\ne: ~\nf: 1e3\ng: .5\nh: 'x'\ni: 2001-01-01\nj: True\nk: on\nl: 1_000\nm: .inf")"#,
                "! The string is no YAML: `.inf` is no number here",
            ),
            (
                r#"yamldecode("a: yes\nb: 0x1F\nc: 0o17\nd: 017\ne: ~\nf: 1e3\ng: .5\nh: 'x'\nj: True\nk: on\nl: 1_000")"#,
                r#"{"a":true,"b":"0x1F","c":"0o17","d":17,"e":null,"f":1000,"g":0.5,"h":"x","j":true,"k":true,"l":1000}"#,
            ),
            (
                r#"yamldecode("- a\n- b: {c: [1, 2]}\n")"#,
                r#"["a",{"b":{"c":[1,2]}}]"#,
            ),
            (r#"yamldecode("1: a\ntrue: b")"#, r#"{"1":"a","true":"b"}"#),
            (r#"yamldecode("a: &x 1\nb: *x")"#, r#"{"a":1,"b":1}"#),
            (r#"yamldecode("a: 1\na: 2")"#, r#"{"a":2}"#),
            (
                r#"yamldecode("x: &a {k: 1}\ny:\n  <<: *a\n  z: 2")"#,
                r#"{"true":{"k":1,"z":2},"x":{"k":1}}"#,
            ),
            (r#"yamldecode("")"#, "! The string is no YAML: it is empty"),
            (
                r#"yamldecode("--- 1\n--- 2\n")"#,
                "! The string is no YAML: there is a second document",
            ),
            (r#"yamldecode("a: |\n  x\n  y\n")"#, r#"{"a":"x\ny\n"}"#),
            (
                r#"yamldecode("!foo x")"#,
                "! The string is no YAML: the tag `!foo` is not supported",
            ),
            (r#"yamldecode("a: !!binary aGk=")"#, r#"{"a":"aGk="}"#),
            (
                r#"yamldecode("[1, 2")"#,
                "! The string is no YAML: unclosed bracket '[' at char 0 line 1 column 1",
            ),
            (
                r#"yamldecode("? [a]\n: b")"#,
                "! The string is no YAML: a key is a list",
            ),
            (
                r#"yamldecode("a: 1_0.5\nb: 0o7\nc: 08\nd: 1e\ne: 0x\nf: -0x1F\ng: -012\nh: 00")"#,
                r#"{"a":10.5,"b":"0o7","c":8,"d":"1e","e":"0x","f":"-0x1F","g":-12,"h":0}"#,
            ),
            (
                r#"yamldecode("null: 1")"#,
                "! The string is no YAML: a key is null",
            ),
            (
                r#"yamldecode("- !!float 3\n- !!bool yes\n- !!null x")"#,
                "[3,true,null]",
            ),
            (
                r#"yamlencode({"b":1,"a":["x",true,null,1.5],"c":{},"d":[],"e":"multi\nline","f":"yes","g":{"h":[{"i":1,"j":2}]}})"#,
                r#""\"a\":\n- \"x\"\n- true\n- null\n- 1.5\n\"b\": 1\n\"c\": {}\n\"d\": []\n\"e\": |-\n  multi\n  line\n\"f\": \"yes\"\n\"g\":\n  \"h\":\n  - \"i\": 1\n    \"j\": 2\n""#,
            ),
            (r#"yamlencode("x")"#, r#""\"x\"\n""#),
            ("yamlencode([1, [2, 3]])", r#""- 1\n- - 2\n  - 3\n""#),
            ("yamlencode([])", r#""[]\n""#),
            (
                r#"yamlencode({"a b":1,"true":2,"1":3})"#,
                r#""\"1\": 3\n\"a b\": 1\n\"true\": 2\n""#,
            ),
            ("yamlencode([[], {}, [{}]])", r#""- []\n- {}\n- - {}\n""#),
            (
                r#"yamlencode([{"a":1,"b":[1]},{"c":{"d":1}}])"#,
                r#""- \"a\": 1\n  \"b\":\n  - 1\n- \"c\":\n    \"d\": 1\n""#,
            ),
            ("yamlencode(null)", r#""null\n...\n""#),
            ("yamlencode(1000000)", r#""1000000\n...\n""#),
            (r#"yamlencode({"a":null})"#, r#""\"a\": null\n""#),
            (
                r#"yamlencode({"a":{"b":"x\ny"}})"#,
                r#""\"a\":\n  \"b\": |-\n    x\n    y\n""#,
            ),
            (
                r#"yamlencode(["x\ny",["p\nq"]])"#,
                r#""- |-\n  x\n  y\n- - |-\n    p\n    q\n""#,
            ),
            (
                r#"yamlencode({"a":"x\n\ny\n\n"})"#,
                r#""\"a\": |+\n  x\n\n  y\n\n""#,
            ),
            (
                r#"yamlencode({"a":"x \ny\u0007"})"#,
                r#""\"a\": \"x \\ny\\a\"\n""#,
            ),
            ("yamlencode({})", r#""{}\n""#),
        ]);
    }

    #[test]
    fn times_are_written_out() {
        let rows = [
            ("2001-12-14", "2001-12-14T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43-05:00"),
            ("2001-12-14 21:59:43", "2001-12-14T21:59:43Z"),
            ("12:30", "12:30"),
            ("2001-13-14", "2001-13-14"),
        ];
        for (text, time) in rows {
            assert_eq!(plain(text), Ok(time.into()), "{text}");
        }
    }

    #[test]
    fn aliases_cannot_use_up_the_memory() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        let error = outcome("yamldecode", &[bomb.into()]).expect_err("a bomb");
        assert!(
            error.message.contains("more than 100000 values"),
            "{}",
            error.message
        );
        let deep = "[".repeat(200) + &"]".repeat(200);
        outcome("yamldecode", &[deep.into()]).expect_err("too deep");
    }
}
