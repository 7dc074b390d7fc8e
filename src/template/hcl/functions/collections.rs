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
        let (keys, values) = (keys.len(), values.len());
        let message = format!("Keys and values differ in number: {keys} and {values}");
        return Err(FunctionError::new(message));
    }
    let keys: Option<Vec<String>> = keys.iter().map(Value::text).collect();
    let keys = keys.ok_or_else(|| FunctionError::at(0, "A key must not be null"))?;
    Ok(Value::Object(
        keys.into_iter().zip(values.iter().cloned()).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            ("chunklist([1, 2, 3], 2)", "[[1,2],[3]]"),
            ("chunklist([1, 2, 3], 0)", "[[1,2,3]]"),
            ("chunklist([], 2)", "[]"),
            (
                "chunklist([1, 2], -1)",
                "! `-1` is not a whole number from 0 up",
            ),
            (r#"chunklist([1,"a"],1)"#, r#"[["1"],["a"]]"#),
            (
                r#"chunklist(["a"],1.5)"#,
                "! `1.5` is not a whole number from 0 up",
            ),
            (r#"coalesce(null,"a")"#, r#""a""#),
            (r#"coalesce("","a")"#, r#""a""#),
            (
                "coalesce(null, null)",
                "! All arguments of `coalesce` are null or empty",
            ),
            (r#"coalesce(null, 1, "x")"#, r#""1""#),
            (r#"coalesce([],["a"])"#, "[]"),
            (r#"coalesce("a", 1, true)"#, r#""a""#),
            (
                "coalesce(1, true)",
                "! The arguments of `coalesce` must have one type",
            ),
            (
                r#"coalesce({"a":1}, "x")"#,
                "! The arguments of `coalesce` must have one type",
            ),
            (r#"coalescelist([],["a"])"#, r#"["a"]"#),
            (r#"coalescelist(["a"],["b"])"#, r#"["a"]"#),
            (
                "coalescelist([], [])",
                "! All arguments of `coalescelist` are empty",
            ),
            (
                r#"coalescelist(null,["a"])"#,
                "! `list` of `coalescelist` must not be null",
            ),
            (r#"compact(["a","","b",null])"#, r#"["a","b"]"#),
            (r#"compact(["a",""," "])"#, r#"["a"," "]"#),
            ("compact([1, 2])", r#"["1","2"]"#),
            (r#"concat(["a"],[],["b",1])"#, r#"["a","b",1]"#),
            ("concat([])", "[]"),
            (
                r#"concat(["a"], "b")"#,
                "! `list` of `concat` must be a list, and is a string",
            ),
            (r#"contains(["a","b"],"a")"#, "true"),
            (r#"contains(["a",1],1)"#, "true"),
            ("contains([], 1)", "false"),
            (
                r#"contains({"a":1},1)"#,
                "! `list` of `contains` must be a list, and is an object",
            ),
            (
                "contains([null], null)",
                "! `value` of `contains` must not be null",
            ),
            (
                r#"contains("abc", "a")"#,
                "! `list` of `contains` must be a list, and is a string",
            ),
            (r#"distinct(["a","b","a"])"#, r#"["a","b"]"#),
            ("distinct([1, 1.0, 2])", "[1,2]"),
            ("distinct([[1], [1]])", "[[1]]"),
            ("distinct([])", "[]"),
            (
                "distinct([1, true])",
                "! `list` of `distinct` must be values of one type, and is a list of several",
            ),
            (r#"distinct([1,"a",true])"#, r#"["1","a","true"]"#),
            (r#"element(["a","b","c"],1)"#, r#""b""#),
            (r#"element(["a","b","c"],4)"#, r#""b""#),
            (
                r#"element(["a","b","c"],-1)"#,
                "! `-1` is not a whole number from 0 up",
            ),
            ("element([], 0)", "! An empty list has no elements"),
            (r#"element(["a",2],1)"#, "2"),
            (
                r#"element({"a":1}, 0)"#,
                "! `list` of `element` must be a list, and is an object",
            ),
            (
                r#"element(["a"], 0.5)"#,
                "! `0.5` is not a whole number from 0 up",
            ),
            (r#"flatten([["a"],[],[["b"],"c"]])"#, r#"["a","b","c"]"#),
            ("flatten([1, [2, [3]]])", "[1,2,3]"),
            (
                r#"flatten("x")"#,
                "! `list` of `flatten` must be a list, and is a string",
            ),
            (
                r#"flatten({"a":1})"#,
                "! `list` of `flatten` must be a list, and is an object",
            ),
            (r#"index(["a","b"],1)"#, "! The value is not in the list"),
            (r#"index(["a","b"],"b")"#, "1"),
            (
                r#"index({"a":1},"a")"#,
                "! `list` of `index` must be a list, and is an object",
            ),
            (r#"keys({"b":1,"a":2})"#, r#"["a","b"]"#),
            ("keys({})", "[]"),
            (
                "keys([1])",
                "! `map` of `keys` must be a map or an object, and is a list",
            ),
            ("keys(null)", "! `map` of `keys` must not be null"),
            ("length([1, 2])", "2"),
            (r#"length("")"#, "0"),
            (r#"length("👨‍👩‍👧")"#, "1"),
            (
                "length(5)",
                "! `value` of `length` must be a string, a list or a map, and is a number",
            ),
            (r#"length({"a":1,"b":2})"#, "2"),
            ("length(null)", "! `value` of `length` must not be null"),
            (r#"lookup({"a":"x"},"a","d")"#, r#""x""#),
            (r#"lookup({"a":"x"},"b","d")"#, r#""d""#),
            (r#"lookup({"a":1},"b","d")"#, r#""d""#),
            (r#"lookup({"a":1,"b":"x"},"a","d")"#, "1"),
            (
                r#"lookup({"a":"x"},"b")"#,
                "! `lookup` takes 3 arguments, and got 2",
            ),
            (r#"lookup({},"a",1)"#, "1"),
            (r#"lookup({"a":null}, "a", "d")"#, "null"),
            (r#"merge({"a":1},{"a":2,"b":3})"#, r#"{"a":2,"b":3}"#),
            ("merge()", "{}"),
            (r#"merge({"a":1},null)"#, r#"{"a":1}"#),
            (r#"merge({"a":{"x":1}},{"a":{"y":2}})"#, r#"{"a":{"y":2}}"#),
            (
                r#"merge([1],{"a":1})"#,
                "! `map` of `merge` must be a map or an object, and is a list",
            ),
            (r#"reverse(["a","b",1])"#, r#"[1,"b","a"]"#),
            ("reverse([])", "[]"),
            (
                r#"reverse("abc")"#,
                "! `list` of `reverse` must be a list, and is a string",
            ),
            (r#"slice(["a","b","c"],1,2)"#, r#"["b"]"#),
            (
                r#"slice(["a","b","c"],1,4)"#,
                "! The end index 4 is beyond the 3 elements of the list",
            ),
            (
                r#"slice(["a","b","c"],2,1)"#,
                "! The start index 2 is beyond the end index 1",
            ),
            ("slice([], 0, 0)", "[]"),
            (
                r#"slice(["a","b"], -1, 1)"#,
                "! `-1` is not a whole number from 0 up",
            ),
            (
                r#"sort(["b","a","B","10","9"])"#,
                r#"["10","9","B","a","b"]"#,
            ),
            ("sort([3, 1])", r#"["1","3"]"#),
            (r#"sort(["b",null])"#, "! Null cannot be sorted"),
            ("sort([])", "[]"),
            (
                r#"sort("x")"#,
                "! `list` of `sort` must be a list of strings, and is a string",
            ),
            (
                "sort([[1]])",
                "! `list[0]` of `sort` must be a string, and is a list",
            ),
            (r#"values({"b":1,"a":"x"})"#, r#"["x",1]"#),
            ("values({})", "[]"),
            (
                "values([1])",
                "! `map` of `values` must be a map or an object, and is a list",
            ),
            (r#"zipmap(["a","b"],[1,"x"])"#, r#"{"a":1,"b":"x"}"#),
            (
                r#"zipmap(["a","b"],[1])"#,
                "! Keys and values differ in number: 2 and 1",
            ),
            (r#"zipmap(["a","a"],[1,2])"#, r#"{"a":2}"#),
            (
                r#"zipmap(["a"], ["x","y"])"#,
                "! Keys and values differ in number: 1 and 2",
            ),
            (r#"alltrue([true, "true"])"#, "true"),
            ("alltrue([true, false])", "false"),
            ("alltrue([])", "true"),
            ("anytrue([false, true])", "true"),
            ("anytrue([])", "false"),
        ]);
    }
}
