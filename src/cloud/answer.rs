//! Reading answers tolerantly: the API's lists come in a wrapper object, its
//! numbers and booleans sometimes as strings, its percentages as `"32%"`.
//!
//! Facts: response examples of the ECS and VPC API reference.

use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A list with or without its wrapper: `{"Image": […]}` or `[…]`.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items = match Value::deserialize(deserializer)? {
        Value::Object(wrapper) => wrapper
            .into_iter()
            .map(|(_, items)| items)
            .find(Value::is_array)
            .unwrap_or_default(),
        other => other,
    };
    match items {
        Value::Array(items) => items
            .into_iter()
            .map(|item| serde_json::from_value(item).map_err(D::Error::custom))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

/// A text that may come as a number or a boolean.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// A number that may come as a string; the default when it is neither.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr + Default,
{
    Ok(text(deserializer)?.trim().parse().unwrap_or_default())
}

/// A boolean that may come as a string of any case.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(text(deserializer)?.trim().eq_ignore_ascii_case("true"))
}

/// A percentage such as `"32%"`, `"100"` or `7`.
pub(super) fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let text = text(deserializer)?;
    let digits = text.trim().trim_end_matches('%');
    Ok(digits
        .parse::<f64>()
        .ok()
        .map(|value| value.clamp(0.0, 100.0) as u8))
}

/// Removes `null` members, which mean the same as absent ones.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "list")]
        items: Vec<String>,
        #[serde(deserialize_with = "text")]
        owner: String,
        #[serde(deserialize_with = "number")]
        size: u32,
        #[serde(deserialize_with = "flag")]
        shared: bool,
        #[serde(deserialize_with = "percent")]
        progress: Option<u8>,
    }

    #[test]
    fn both_spellings_read_the_same() {
        let expected = Sample {
            items: vec!["a".into()],
            owner: "12".into(),
            size: 40,
            shared: true,
            progress: Some(32),
        };
        for value in [
            json!({"items": {"Item": ["a"]}, "owner": 12, "size": "40", "shared": "True", "progress": "32%"}),
            json!({"items": ["a"], "owner": "12", "size": 40, "shared": true, "progress": 32}),
        ] {
            assert_eq!(serde_json::from_value::<Sample>(value).unwrap(), expected);
        }
    }

    #[test]
    fn absent_null_and_odd_values_are_defaults() {
        let odd = json!({"items": {}, "owner": null, "size": "?", "shared": "", "progress": ""});
        for value in [
            json!({}),
            without_nulls(json!({"items": null, "size": null})),
            odd,
        ] {
            assert_eq!(
                serde_json::from_value::<Sample>(value).unwrap(),
                Sample::default()
            );
        }
    }
}
