//! Laying one block over another, as Packer's `override` does it.
//!
//! Packer decodes both objects into the same structure, one after the other.
//! So scalars are replaced, objects merged by key, and **lists overwritten
//! index by index**: `["a","b"]` with `["c"]` over it gives `["c","b"]`.

use super::super::value::{Entry, Value, ValueKind};

/// `over` laid over `base`; spans are those of the value that remains.
/// The top level's keys are options, whose case does not matter.
#[must_use]
pub fn merge(base: &Value, over: &Value) -> Value {
    merge_with(base, over, str::eq_ignore_ascii_case)
}

fn merge_with(base: &Value, over: &Value, same_key: fn(&str, &str) -> bool) -> Value {
    let kind = match (&base.kind, &over.kind) {
        // Decoding `null` sets nothing.
        (_, ValueKind::Null) => return base.clone(),
        (ValueKind::Object(base), ValueKind::Object(over)) => {
            ValueKind::Object(merge_entries(base, over, same_key))
        }
        (ValueKind::List(low), ValueKind::List(high)) => ValueKind::List(merge_lists(low, high)),
        (ValueKind::List(low), _) => ValueKind::List(merge_lists(low, &as_list(over))),
        (ValueKind::Null, _) => return over.clone(),
        (_, ValueKind::List(high)) => ValueKind::List(merge_lists(&as_list(base), high)),
        _ => return over.clone(),
    };
    Value {
        kind,
        span: over.span,
    }
}

fn merge_entries(base: &[Entry], over: &[Entry], same_key: fn(&str, &str) -> bool) -> Vec<Entry> {
    let mut merged = base.to_vec();
    for entry in over {
        match merged.iter_mut().find(|old| same_key(&old.key, &entry.key)) {
            Some(old) => old.value = merge_with(&old.value, &entry.value, str::eq),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

fn merge_lists(base: &[Value], over: &[Value]) -> Vec<Value> {
    let mut merged = base.to_vec();
    for (index, element) in over.iter().enumerate() {
        match merged.get_mut(index) {
            Some(old) => *old = merge_with(old, element, str::eq),
            None => merged.push(element.clone()),
        }
    }
    merged
}

/// What a single value becomes where a list is wanted.
fn as_list(value: &Value) -> Vec<Value> {
    let ValueKind::String(text) = &value.kind else {
        return vec![value.clone()];
    };
    text.split(',')
        .map(|piece| Value {
            kind: ValueKind::String(piece.to_owned()),
            span: value.span,
        })
        .collect()
}
