//! The values that template actions compute with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A value. There are no lists: nothing that one string can use makes one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Map(BTreeMap<String, Datum>),
}

impl Datum {
    /// The word for the type, as Go's messages have it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Map(_) => "map",
        }
    }

    /// Go's truth: anything but the type's zero value.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// As an action prints it.
    pub(super) fn output(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            other => other.plain(),
        }
    }

    /// As Go's `%v` prints it.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float_text(*float),
            Self::Text(text) => text.clone(),
            Self::Map(map) => {
                let items: Vec<_> = map
                    .iter()
                    .map(|(k, v)| format!("{k}:{}", v.plain()))
                    .collect();
                format!("map[{}]", items.join(" "))
            }
        }
    }
}

/// A float as Go's `%v`: shortest digits, exponent below 1e-4 and from 1e21.
fn float_text(float: f64) -> String {
    if !float.is_finite() {
        let sign = if float.is_nan() {
            ""
        } else if float > 0.0 {
            "+"
        } else {
            "-"
        };
        return format!("{sign}{}", if float.is_nan() { "NaN" } else { "Inf" });
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific
        .split_once('e')
        .expect("`{:e}` always writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    if float == 0.0 || (-4..21).contains(&exponent) {
        return float.to_string();
    }
    let mut out = mantissa.to_owned();
    write!(
        out,
        "e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
    .expect("writing to a String does not fail");
    out
}
