//! Functions that write and read JSON, CSV, base64 and URLs. YAML has its own
//! file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::Compression;
use flate2::write::GzEncoder;
use jsonc_parser::ast;
use jsonc_parser::{CollectOptions, parse_to_ast};

use super::super::value::{Number, Value};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome, excerpt};
use crate::template::json::STRICT;

const STR: Parameter = Parameter::text("str");
const ENCODING: Parameter = Parameter::text("encoding");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base64decode", &[STR], base64decode),
    Function::new("base64encode", &[STR], base64encode),
    Function::new("base64gzip", &[STR], base64gzip),
    Function::new("csvdecode", &[STR], csvdecode),
    Function::new("jsondecode", &[STR], jsondecode),
    Function::new(
        "jsonencode",
        &[Parameter::new("val", Shape::Any).or_null()],
        jsonencode,
    ),
    Function::new("textdecodebase64", &[STR, ENCODING], textdecodebase64),
    Function::new("textencodebase64", &[STR, ENCODING], textencodebase64),
    Function::new("urlencode", &[STR], urlencode),
];

/// A value as JSON, the way Go writes it: with `<`, `>` and `&` escaped, so
/// that it can stand in HTML. What is not known yet is null.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Unknown(_) => out.push_str("null"),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.text().unwrap_or_default()),
        Value::String(text) => write_json_string(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json_string(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a String does not fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn jsonencode(arguments: &Arguments<'_>) -> Outcome {
    Ok(json(arguments.any(0)).into())
}

fn jsondecode(arguments: &Arguments<'_>) -> Outcome {
    let parsed = parse_to_ast(arguments.text(0), &CollectOptions::default(), &STRICT);
    let parsed =
        parsed.map_err(|error| FunctionError::at(0, format!("The string is no JSON: {error}")))?;
    match &parsed.value {
        Some(value) => from_json(value),
        None => Err(FunctionError::at(0, "The string is no JSON: it is empty")),
    }
}

fn from_json(value: &ast::Value<'_>) -> Outcome {
    Ok(match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => literal.value.into(),
        ast::Value::StringLit(literal) => literal.value.as_ref().into(),
        ast::Value::NumberLit(literal) => {
            let number = Number::parse(literal.value);
            let too_large =
                || FunctionError::at(0, format!("The number `{}` is too large", literal.value));
            number.ok_or_else(too_large)?.into()
        }
        ast::Value::Array(array) => {
            let items = array.elements.iter().map(from_json);
            Value::List(items.collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => {
            let entries = object.properties.iter().map(|property| {
                let key = property.name.as_str().to_owned();
                Ok((key, from_json(&property.value)?))
            });
            Value::Object(entries.collect::<Result<BTreeMap<_, _>, FunctionError>>()?)
        }
    })
}

fn base64encode(arguments: &Arguments<'_>) -> Outcome {
    Ok(STANDARD.encode(arguments.text(0)).into())
}

fn base64decode(arguments: &Arguments<'_>) -> Outcome {
    let bytes = decoded(arguments.text(0))?;
    String::from_utf8(bytes).map(Value::from).map_err(|_| {
        FunctionError::at(0, "What the string decodes to is no text in UTF-8")
            .with_hint("Other texts are read with `textdecodebase64`")
    })
}

fn decoded(text: &str) -> Result<Vec<u8>, FunctionError> {
    // Go skips line ends.
    let text = text.replace(['\r', '\n'], "");
    let decoded = STANDARD.decode(text);
    // Which byte is wrong may be that of a secret.
    decoded.map_err(|_| {
        FunctionError::at(
            0,
            "The string is no base64, as RFC 4648 has it with padding",
        )
    })
}

fn base64gzip(arguments: &Arguments<'_>) -> Outcome {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(arguments.text(0).as_bytes());
    let compressed = written.and_then(|()| encoder.finish());
    let compressed =
        compressed.map_err(|error| FunctionError::new(format!("Cannot compress: {error}")))?;
    Ok(STANDARD.encode(compressed).into())
}

fn textencodebase64(arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0);
    let bytes: Vec<u8> = match encoding(arguments)? {
        encoding if encoding == UTF_16LE => {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        encoding if encoding == UTF_16BE => {
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        }
        encoding => {
            let (bytes, _, has_unmappable) = encoding.encode(text);
            if has_unmappable {
                let message = format!(
                    "The string has characters that `{}` cannot express",
                    arguments.text(1)
                );
                return Err(FunctionError::at(0, message));
            }
            bytes.into_owned()
        }
    };
    Ok(STANDARD.encode(bytes).into())
}

fn textdecodebase64(arguments: &Arguments<'_>) -> Outcome {
    let bytes = decoded(arguments.text(0))?;
    let encoding = encoding(arguments)?;
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
    let text = text.ok_or_else(|| {
        FunctionError::at(
            0,
            format!(
                "What the string decodes to is no text in `{}`",
                arguments.text(1)
            ),
        )
    })?;
    Ok(text.as_ref().into())
}

fn encoding(arguments: &Arguments<'_>) -> Result<&'static Encoding, FunctionError> {
    let name = arguments.text(1);
    let known = Encoding::for_label_no_replacement(name.as_bytes());
    known.ok_or_else(|| {
        FunctionError::at(1, format!("There is no encoding `{}`", excerpt(name))).with_hint(
            format!(
                "Write its name at IANA, as `{}` or `UTF-16LE`",
                UTF_8.name()
            ),
        )
    })
}

fn urlencode(arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0);
    let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // Go leaves `~` and escapes `*`; the web's form encoding does the reverse.
    Ok(escaped.replace('*', "%2A").replace("%7E", "~").into())
}

/// Reads CSV (RFC 4180) whose first line names the columns.
fn csvdecode(arguments: &Arguments<'_>) -> Outcome {
    let mut records = csv_records(arguments.text(0))?.into_iter();
    let Some((_, names)) = records.next() else {
        return Err(FunctionError::at(
            0,
            "The string is no CSV: the line with the names is missing",
        ));
    };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(FunctionError::at(
                0,
                format!("Two columns have the name `{name}`"),
            ));
        }
    }
    let rows = records.map(|(line, fields)| {
        if fields.len() != names.len() {
            let message = format!(
                "Line {line} has {} fields, and the first {}",
                fields.len(),
                names.len()
            );
            return Err(FunctionError::at(0, message));
        }
        let entries = names
            .iter()
            .cloned()
            .zip(fields.into_iter().map(Value::String));
        Ok(Value::Object(entries.collect()))
    });
    Ok(Value::List(rows.collect::<Result<_, _>>()?))
}

/// The records with the lines they begin in. Empty lines are none.
fn csv_records(text: &str) -> Result<Vec<(usize, Vec<String>)>, FunctionError> {
    let text = text.replace("\r\n", "\n");
    let mut records = Vec::new();
    let mut rest = text.as_str();
    let mut line = 1;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n') {
            (rest, line) = (after, line + 1);
            continue;
        }
        let (fields, after) = csv_record(rest).map_err(|reason| {
            FunctionError::at(0, format!("The string is no CSV: {reason} in line {line}"))
        })?;
        let read = &rest[..rest.len() - after.len()];
        records.push((line, fields));
        line += read.matches('\n').count();
        rest = after;
    }
    Ok(records)
}

/// The fields of the record that a text begins with, and what follows it.
fn csv_record(text: &str) -> Result<(Vec<String>, &str), &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = csv_field(rest)?;
        fields.push(field);
        match after.chars().next() {
            Some(',') => rest = &after[1..],
            Some('\n') => return Ok((fields, &after[1..])),
            _ => return Ok((fields, after)),
        }
    }
}

fn csv_field(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (field, after) = text.split_at(end);
        return match field.contains('"') {
            true => Err("a quote stands in a field that begins without one"),
            false => Ok((field.to_owned(), after)),
        };
    };
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or("a quote is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.chars().next() {
            Some('"') => field.push('"'),
            None | Some(',' | '\n') => return Ok((field, rest)),
            Some(_) => return Err("something stands behind a closing quote"),
        }
        rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::tests::{check, outcome};
    use super::*;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"base64decode("aGk=")"#, r#""hi""#),
            (
                r#"base64decode("/w==")"#,
                "! What the string decodes to is no text in UTF-8",
            ),
            (
                r#"base64decode("aGk")"#,
                "! The string is no base64, as RFC 4648 has it with padding",
            ),
            (
                r#"base64decode("!!")"#,
                "! The string is no base64, as RFC 4648 has it with padding",
            ),
            (r#"base64encode("héllo")"#, r#""aMOpbGxv""#),
            ("base64encode(1)", r#""MQ==""#),
            (
                r#"csvdecode("a,b\n1,2\n\"x,y\",\"q\"\"q\"\n")"#,
                r#"[{"a":"1","b":"2"},{"a":"x,y","b":"q\"q"}]"#,
            ),
            (
                r#"csvdecode("a,b\n1\n")"#,
                "! Line 2 has 1 fields, and the first 2",
            ),
            (
                r#"csvdecode("")"#,
                "! The string is no CSV: the line with the names is missing",
            ),
            (
                r#"csvdecode("a,a\n1,2\n")"#,
                "! Two columns have the name `a`",
            ),
            (r#"csvdecode("a,b")"#, "[]"),
            (
                r#"csvdecode("a,b\n\"x\ny\",2\r\n\n3,4")"#,
                r#"[{"a":"x\ny","b":"2"},{"a":"3","b":"4"}]"#,
            ),
            (
                r#"csvdecode("a,b\nx\"y,2")"#,
                "! The string is no CSV: a quote stands in a field that begins without one in line 2",
            ),
            (
                r#"csvdecode("a,b\n\"x\"y,2")"#,
                "! The string is no CSV: something stands behind a closing quote in line 2",
            ),
            (
                r#"csvdecode("a\n\"x")"#,
                "! The string is no CSV: a quote is not closed in line 2",
            ),
            (
                r#"csvdecode(" a , b\n 1 , \"2\"")"#,
                "! The string is no CSV: a quote stands in a field that begins without one in line 2",
            ),
            (
                r#"jsondecode("{\"b\":1,\"a\":[1.5,null,\"x\"]}")"#,
                r#"{"a":[1.5,null,"x"],"b":1}"#,
            ),
            (
                r#"jsondecode("12345678901234567890123")"#,
                "12345678901234567890123",
            ),
            (
                r#"jsondecode("[1,]")"#,
                "! The string is no JSON: Trailing commas are not allowed on line 1 column 3",
            ),
            (r#"jsondecode("")"#, "! The string is no JSON: it is empty"),
            (r#"jsondecode("{\"a\":1,\"a\":2}")"#, r#"{"a":2}"#),
            (
                r#"jsondecode("{\"a\":{\"b\":[{}]}} x")"#,
                "! The string is no JSON: Text cannot contain more than one JSON value on line 1 column 18",
            ),
            (
                r#"jsondecode("nul")"#,
                "! The string is no JSON: Unexpected word on line 1 column 1",
            ),
            (r#"jsondecode("\"\\u00e9\\ud83d\\ude00\"")"#, r#""é😀""#),
            (
                r#"jsondecode("01")"#,
                "! The string is no JSON: Text cannot contain more than one JSON value on line 1 column 2",
            ),
            (r#"jsondecode(" true ")"#, "true"),
            (
                r#"jsonencode("<&>\u2028é\u0007")"#,
                r#""\"\\u003c\\u0026\\u003e\\u2028é\\u0007\"""#,
            ),
            ("jsonencode(null)", r#""null""#),
            (r#"jsonencode({"b":[],"a":{}})"#, r#""{\"a\":{},\"b\":[]}""#),
            ("jsonencode(1000000)", r#""1000000""#),
            (
                r#"jsonencode("a\\b\"\t\r\n\u0008\u000c/\u007f")"#,
                r#""\"a\\\\b\\\"\\t\\r\\n\\u0008\\u000c/\"""#,
            ),
            (
                r#"urlencode("a b&c/é~*+-_.")"#,
                r#""a+b%26c%2F%C3%A9~%2A%2B-_.""#,
            ),
            (
                r#"urlencode("日本 /?=&")"#,
                r#""%E6%97%A5%E6%9C%AC+%2F%3F%3D%26""#,
            ),
            (
                r#"textencodebase64("Hello", "UTF-16LE")"#,
                r#""SABlAGwAbABvAA==""#,
            ),
            (
                r#"textdecodebase64("SABlAGwAbABvAA==", "UTF-16LE")"#,
                r#""Hello""#,
            ),
            (r#"textencodebase64("é", "windows-1252")"#, r#""6Q==""#),
            (
                r#"textencodebase64("日", "windows-1252")"#,
                "! The string has characters that `windows-1252` cannot express",
            ),
            (
                r#"textencodebase64("a", "klingon")"#,
                "! There is no encoding `klingon`",
            ),
        ]);
    }

    #[test]
    fn base64gzip_is_gzip_in_base64() {
        let packed = outcome("base64gzip", &["hello".into()]).expect("a string");
        let bytes = STANDARD.decode(packed.text().expect("a string"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.expect("base64").as_slice())
            .read_to_string(&mut text)
            .expect("gzip");
        assert_eq!(text, "hello");
    }
}
