//! The functions that Go's `text/template` itself has.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::datum::Datum;
use super::error::InterpolateError;
use super::functions::{Argument, Call};
use super::printf::format;

type Outcome = Result<Datum, InterpolateError>;

pub(super) fn not(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(!call.arguments[0].value.is_true()))
}

/// Whether the first argument equals any of the others.
pub(super) fn eq(call: &Call<'_>) -> Outcome {
    for index in 1..call.arguments.len() {
        if equal(call, index)? {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

pub(super) fn ne(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(!equal(call, 1)?))
}

pub(super) fn lt(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(order(call)? == Ordering::Less))
}

pub(super) fn le(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(order(call)? != Ordering::Greater))
}

pub(super) fn gt(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(order(call)? == Ordering::Greater))
}

pub(super) fn ge(call: &Call<'_>) -> Outcome {
    Ok(Datum::Bool(order(call)? != Ordering::Less))
}

fn equal(call: &Call<'_>, index: usize) -> Result<bool, InterpolateError> {
    let (left, right) = (&call.arguments[0].value, &call.arguments[index].value);
    match (left, right) {
        (Datum::Nil, _) | (_, Datum::Nil) => Ok(left == right),
        (Datum::Map(_), _) | (_, Datum::Map(_)) => Err(incomparable(call, left, right)),
        _ if left.type_name() == right.type_name() => Ok(left == right),
        _ => Err(incomparable(call, left, right)),
    }
}

fn order(call: &Call<'_>) -> Result<Ordering, InterpolateError> {
    let (left, right) = (&call.arguments[0].value, &call.arguments[1].value);
    let order = match (left, right) {
        (Datum::Int(left), Datum::Int(right)) => Some(left.cmp(right)),
        (Datum::Float(left), Datum::Float(right)) => left.partial_cmp(right),
        (Datum::Text(left), Datum::Text(right)) => Some(left.cmp(right)),
        _ => None,
    };
    order.ok_or_else(|| incomparable(call, left, right))
}

fn incomparable(call: &Call<'_>, left: &Datum, right: &Datum) -> InterpolateError {
    call.refuse(format!(
        "`{}` cannot compare a {} with a {}",
        call.name,
        left.type_name(),
        right.type_name()
    ))
}

/// Bytes of a string, elements of a map.
pub(super) fn len(call: &Call<'_>) -> Outcome {
    let length = match &call.arguments[0].value {
        Datum::Text(text) => text.len(),
        Datum::Map(map) => map.len(),
        other => return Err(call.refuse(format!("A {} has no length", other.type_name()))),
    };
    Ok(Datum::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

pub(super) fn index(call: &Call<'_>) -> Outcome {
    let mut value = call.arguments[0].value.clone();
    for position in 1..call.arguments.len() {
        value = element(call, &value, position)?;
    }
    Ok(value)
}

fn element(call: &Call<'_>, value: &Datum, position: usize) -> Outcome {
    match value {
        Datum::Map(map) => Ok(map.get(call.text(position)?).cloned().unwrap_or(Datum::Nil)),
        Datum::Text(text) => pick(call, position, |index| {
            let byte = text.as_bytes().get(index)?;
            Some(Datum::Int(i64::from(*byte)))
        }),
        other => Err(call.refuse(format!("A {} cannot be indexed", other.type_name()))),
    }
}

fn pick(call: &Call<'_>, position: usize, get: impl FnOnce(usize) -> Option<Datum>) -> Outcome {
    let index = call.int(position)?;
    usize::try_from(index)
        .ok()
        .and_then(get)
        .ok_or_else(|| call.refuse(format!("Index out of range: {index}")))
}

pub(super) fn slice(call: &Call<'_>) -> Outcome {
    let Datum::Text(text) = &call.arguments[0].value else {
        let type_name = call.arguments[0].value.type_name();
        return Err(call.refuse(format!("A {type_name} cannot be sliced")));
    };
    let bound = |position: usize, default: usize| match call.arguments.get(position) {
        None => Ok(default),
        Some(_) => pick_bound(call, position, text.len()),
    };
    let (start, end) = (bound(1, 0)?, bound(2, text.len())?);
    text.get(start..end)
        .map(|part| Datum::Text(part.to_owned()))
        .ok_or_else(|| call.refuse(format!("Invalid slice bounds: {start} to {end}")))
}

fn pick_bound(call: &Call<'_>, position: usize, length: usize) -> Result<usize, InterpolateError> {
    let bound = call.int(position)?;
    usize::try_from(bound)
        .ok()
        .filter(|bound| *bound <= length)
        .ok_or_else(|| call.refuse(format!("Index out of range: {bound}")))
}

pub(super) fn print(call: &Call<'_>) -> Outcome {
    Ok(Datum::Text(joined(call.arguments)))
}

pub(super) fn println(call: &Call<'_>) -> Outcome {
    let words: Vec<_> = call.arguments.iter().map(|a| a.value.plain()).collect();
    Ok(Datum::Text(words.join(" ") + "\n"))
}

pub(super) fn printf(call: &Call<'_>) -> Outcome {
    let values: Vec<&Datum> = call.arguments[1..].iter().map(|a| &a.value).collect();
    format(call.text(0)?, &values)
        .map(Datum::Text)
        .map_err(|message| call.refuse(message))
}

/// Go's `Sprint`: blanks between neighbours of which neither is a string.
fn joined(arguments: &[Argument]) -> String {
    let mut out = String::new();
    let mut previous_is_text = true;
    for argument in arguments {
        let is_text = matches!(argument.value, Datum::Text(_));
        if !previous_is_text && !is_text {
            out.push(' ');
        }
        out.push_str(&argument.value.plain());
        previous_is_text = is_text;
    }
    out
}

pub(super) fn html(call: &Call<'_>) -> Outcome {
    let mut out = String::new();
    for c in joined(call.arguments).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            '\0' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    Ok(Datum::Text(out))
}

pub(super) fn js(call: &Call<'_>) -> Outcome {
    let mut out = String::new();
    for c in joined(call.arguments).chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => push_code(&mut out, c),
            control if control < ' ' => push_code(&mut out, control),
            other => out.push(other),
        }
    }
    Ok(Datum::Text(out))
}

fn push_code(out: &mut String, c: char) {
    write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a String does not fail");
}

pub(super) fn urlquery(call: &Call<'_>) -> Outcome {
    let text = joined(call.arguments);
    let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // Go leaves `~` and escapes `*`; the web's form encoding does the reverse.
    Ok(Datum::Text(escaped.replace('*', "%2A").replace("%7E", "~")))
}
