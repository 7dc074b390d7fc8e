//! Functions of lists and maps.

use std::collections::BTreeMap;

use super::super::value::{NoCommonType, Value, unify};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::strings::characters;
use super::{FunctionError, Outcome};

const ANYTHING: Parameter = Parameter::new("value", Shape::Any).or_unknown();
const LIST: Parameter = Parameter::new("list", Shape::List).or_unknown();
const OBJECT: Parameter = Parameter::new("map", Shape::Object).or_unknown();

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("alltrue", &[Parameter::new("list", Shape::Bools)], alltrue),
    Function::new("anytrue", &[Parameter::new("list", Shape::Bools)], anytrue),
    Function::new(
        "chunklist",
        &[
            Parameter::new("list", Shape::Uniform).or_unknown(),
            Parameter::number("size"),
        ],
        chunklist,
    ),
    Function::new("coalesce", &[], coalesce).and_any_number_of(ANYTHING.or_null()),
    Function::new("coalescelist", &[], coalescelist).and_any_number_of(LIST),
    Function::new("compact", &[Parameter::texts("list")], compact),
    Function::new("concat", &[], concat).and_any_number_of(LIST),
    Function::new(
        "contains",
        &[
            Parameter::new("list", Shape::List),
            Parameter::new("value", Shape::Any),
        ],
        contains,
    ),
    Function::new(
        "distinct",
        &[Parameter::new("list", Shape::Uniform)],
        distinct,
    ),
    Function::new("element", &[LIST, Parameter::number("index")], element),
    Function::new("flatten", &[LIST], flatten),
    Function::new(
        "index",
        &[
            Parameter::new("list", Shape::List),
            Parameter::new("value", Shape::Any),
        ],
        index,
    ),
    Function::new("keys", &[OBJECT], keys),
    Function::new("length", &[ANYTHING], length),
    Function::new(
        "lookup",
        &[OBJECT, Parameter::text("key"), ANYTHING.or_null()],
        lookup,
    ),
    Function::new("merge", &[], merge).and_any_number_of(OBJECT.or_null()),
    Function::new("reverse", &[LIST], reverse),
    Function::new(
        "slice",
        &[
            LIST,
            Parameter::number("start_index"),
            Parameter::number("end_index"),
        ],
        slice,
    ),
    Function::new("sort", &[Parameter::texts("list")], sort),
    Function::new("values", &[OBJECT], values),
    Function::new("zipmap", &[Parameter::texts("keys"), LIST], zipmap),
];

fn alltrue(arguments: &Arguments<'_>) -> Outcome {
    let mut items = arguments.list(0).iter();
    Ok(items.all(|item| *item == Value::Bool(true)).into())
}

fn anytrue(arguments: &Arguments<'_>) -> Outcome {
    let mut items = arguments.list(0).iter();
    Ok(items.any(|item| *item == Value::Bool(true)).into())
}

fn chunklist(arguments: &Arguments<'_>) -> Outcome {
    let items = arguments.list(0);
    // All in one chunk, if there is no size.
    let size = match arguments.natural(1)? {
        0 => items.len().max(1),
        size => size,
    };
    let chunks = items.chunks(size);
    Ok(chunks.map(|chunk| Value::List(chunk.to_vec())).collect())
}

fn coalesce(arguments: &Arguments<'_>) -> Outcome {
    let unified = unify(arguments.from(0).to_vec()).map_err(|NoCommonType| {
        FunctionError::new("The arguments of `coalesce` must have one type")
    })?;
    let is_set = |value: &Value| *value != Value::Null && *value != Value::from("");
    let mut unified = unified.into_iter();
    unified
        .find(is_set)
        .ok_or_else(|| FunctionError::new("All arguments of `coalesce` are null or empty"))
}

fn coalescelist(arguments: &Arguments<'_>) -> Outcome {
    let mut lists = arguments.from(0).iter();
    let found = lists.find(|list| **list != Value::List(Vec::new()));
    found
        .cloned()
        .ok_or_else(|| FunctionError::new("All arguments of `coalescelist` are empty"))
}

fn compact(arguments: &Arguments<'_>) -> Outcome {
    let items = arguments.list(0).iter().cloned();
    Ok(items
        .filter(|item| *item != Value::Null && *item != Value::from(""))
        .collect())
}

fn concat(arguments: &Arguments<'_>) -> Outcome {
    if arguments.count() == 0 {
        return Err(FunctionError::new("At least one list is needed"));
    }
    let lists = (0..arguments.count()).map(|index| arguments.list(index));
    Ok(lists.flatten().cloned().collect())
}

fn contains(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.list(0).contains(arguments.any(1)).into())
}

fn distinct(arguments: &Arguments<'_>) -> Outcome {
    let mut seen = Vec::new();
    for item in arguments.list(0) {
        if !seen.contains(item) {
            seen.push(item.clone());
        }
    }
    Ok(Value::List(seen))
}

fn element(arguments: &Arguments<'_>) -> Outcome {
    let (items, index) = (arguments.list(0), arguments.natural(1)?);
    if items.is_empty() {
        return Err(FunctionError::at(0, "An empty list has no elements"));
    }
    Ok(items[index % items.len()].clone())
}

fn flatten(arguments: &Arguments<'_>) -> Outcome {
    let mut flat = Vec::new();
    flatten_into(arguments.list(0), &mut flat);
    Ok(Value::List(flat))
}

fn flatten_into(items: &[Value], flat: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::List(inner) => flatten_into(inner, flat),
            other => flat.push(other.clone()),
        }
    }
}

fn index(arguments: &Arguments<'_>) -> Outcome {
    let mut items = arguments.list(0).iter();
    let found = items.position(|item| item == arguments.any(1));
    found.map(Value::from).ok_or_else(|| {
        FunctionError::at(1, "The value is not in the list")
            .with_hint("Take the element at an index with `list[index]`")
    })
}

fn keys(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.object(0).keys().cloned().collect())
}

fn length(arguments: &Arguments<'_>) -> Outcome {
    match arguments.any(0) {
        Value::String(text) => Ok(characters(text).len().into()),
        Value::List(items) => Ok(items.len().into()),
        Value::Object(entries) => Ok(entries.len().into()),
        Value::Unknown(_) => Err(FunctionError::unknown("length", 0)),
        other => Err(FunctionError::at(
            0,
            format!(
                "`value` of `length` must be a string, a list or a map, and is {}",
                other.shape()
            ),
        )),
    }
}

fn lookup(arguments: &Arguments<'_>) -> Outcome {
    let found = arguments.object(0).get(arguments.text(1));
    Ok(found.unwrap_or_else(|| arguments.any(2)).clone())
}

fn merge(arguments: &Arguments<'_>) -> Outcome {
    let mut merged = BTreeMap::new();
    for argument in arguments.from(0) {
        if let Value::Object(entries) = argument {
            merged.extend(entries.clone());
        }
    }
    Ok(Value::Object(merged))
}

fn reverse(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.list(0).iter().rev().cloned().collect())
}

fn slice(arguments: &Arguments<'_>) -> Outcome {
    let items = arguments.list(0);
    let (start, end) = (arguments.natural(1)?, arguments.natural(2)?);
    if end > items.len() {
        let message = format!(
            "The end index {end} is beyond the {} elements of the list",
            items.len()
        );
        return Err(FunctionError::at(2, message));
    }
    if start > end {
        let message = format!("The start index {start} is beyond the end index {end}");
        return Err(FunctionError::at(1, message));
    }
    Ok(Value::List(items[start..end].to_vec()))
}

fn sort(arguments: &Arguments<'_>) -> Outcome {
    let texts: Option<Vec<String>> = arguments.list(0).iter().map(Value::text).collect();
    let Some(mut texts) = texts else {
        return Err(FunctionError::at(0, "Null cannot be sorted"));
    };
    texts.sort();
    Ok(texts.into())
}

fn values(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.object(0).values().cloned().collect())
}

fn zipmap(arguments: &Arguments<'_>) -> Outcome {
    let (keys, values) = (arguments.list(0), arguments.list(1));
    if keys.len() != values.len() {
        let message = format!("There are {} keys and {} values", keys.len(), values.len());
        return Err(FunctionError::new(message));
    }
    let keys: Option<Vec<String>> = keys.iter().map(Value::text).collect();
    let keys = keys.ok_or_else(|| FunctionError::at(0, "A key must not be null"))?;
    Ok(Value::Object(
        keys.into_iter().zip(values.iter().cloned()).collect(),
    ))
}
