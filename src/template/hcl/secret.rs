//! What of a sensitive value must not be shown.

use super::value::Value;
use crate::secret::Secret;

/// Adds the strings of a value, which is what Packer hides.
pub(super) fn collect(value: &Value, secrets: &mut Vec<Secret>) {
    match value {
        Value::String(text) => collect_text(text, secrets),
        Value::List(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(entries) => entries.values().for_each(|entry| collect(entry, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown(_) => {}
    }
}

/// Adds a text.
pub(super) fn collect_text(text: &str, secrets: &mut Vec<Secret>) {
    if !text.is_empty() {
        secrets.push(Secret::new(text));
    }
}
