//! The types that variables and functions ask for, and how values become of
//! them.
//!
//! Source: the conversion rules in the package documentation of go-cty, and
//! the page on type constraints of Packer's documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Number, Value};

/// A type constraint.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::template::hcl) enum Type {
    /// `any`: whatever the value is.
    Any,
    /// `string`
    String,
    /// `number`
    Number,
    /// `bool`
    Bool,
    /// `list(T)`: all elements of one type.
    List(Box<Type>),
    /// `set(T)`: sorted, and nothing twice.
    Set(Box<Type>),
    /// `map(T)`: all values of one type.
    Map(Box<Type>),
    /// `object({…})`: attributes that are not named are dropped.
    Object(BTreeMap<String, Attribute>),
    /// `tuple([…])`
    Tuple(Vec<Type>),
}

/// One attribute of an object type.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::template::hcl) struct Attribute {
    /// Its type.
    pub(in crate::template::hcl) kind: Type,
    /// Whether it may be left out: `optional(T)`.
    pub(in crate::template::hcl) is_optional: bool,
    /// What it is when left out or null; null unless
    /// `optional(T, default)` says otherwise.
    pub(in crate::template::hcl) default: Value,
}

/// A value that cannot become of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::template::hcl) struct Mismatch {
    /// Where in the value: `.disks[0].size`; empty for the value itself.
    pub(in crate::template::hcl) path: String,
    /// What is needed there: `a number`.
    pub(in crate::template::hcl) expected: String,
    /// What stands there: `a string`.
    pub(in crate::template::hcl) found: &'static str,
}

/// Values that cannot all become of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::template::hcl) struct NoCommonType;

impl Type {
    /// `list(any)`
    pub(in crate::template::hcl) fn any_list() -> Self {
        Self::List(Box::new(Self::Any))
    }

    /// `list(string)`
    pub(in crate::template::hcl) fn strings() -> Self {
        Self::List(Box::new(Self::String))
    }

    /// Converts a value. Null is of every type; what is only known while a
    /// build runs is a string.
    ///
    /// # Errors
    /// Names the part of the value that does not fit.
    pub(in crate::template::hcl) fn convert(&self, value: Value) -> Result<Value, Mismatch> {
        if value == Value::Null {
            return Ok(Value::Null);
        }
        match (self, value) {
            (Self::Any, value) => Ok(value),
            (Self::String, value @ (Value::String(_) | Value::Unknown(_))) => Ok(value),
            (Self::String, Value::Bool(value)) => Ok(value.to_string().into()),
            (Self::String, Value::Number(number)) => Ok(number.to_string().into()),
            (Self::Number, value @ Value::Number(_)) => Ok(value),
            (Self::Number, Value::String(text)) => match Number::parse(&text) {
                Some(number) => Ok(number.into()),
                None => Err(self.mismatch(&Value::String(text))),
            },
            (Self::Bool, value @ Value::Bool(_)) => Ok(value),
            (Self::Bool, Value::String(text)) => match text.as_str() {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err(self.mismatch(&Value::String(text))),
            },
            (Self::List(kind), Value::List(items)) => Ok(Value::List(elements(kind, items)?)),
            (Self::Set(kind), Value::List(items)) => Ok(set(elements(kind, items)?)),
            (Self::Map(kind), Value::Object(entries)) => map(kind, entries),
            (Self::Object(attributes), Value::Object(entries)) => object(attributes, entries),
            (Self::Tuple(kinds), Value::List(items)) if kinds.len() == items.len() => {
                tuple(kinds, items)
            }
            (_, value) => Err(self.mismatch(&value)),
        }
    }

    /// The phrase for what a value has to be: `a list of strings`.
    pub(in crate::template::hcl) fn phrase(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::String => "a string".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Bool => "a bool".to_owned(),
            Self::List(kind) => format!("a list{}", kind.plural()),
            Self::Set(kind) => format!("a set{}", kind.plural()),
            Self::Map(kind) => format!("a map{}", kind.plural()),
            Self::Object(_) => "an object".to_owned(),
            Self::Tuple(kinds) => format!("a list of exactly {} values", kinds.len()),
        }
    }

    fn plural(&self) -> &'static str {
        match self {
            Self::Any => "",
            Self::String => " of strings",
            Self::Number => " of numbers",
            Self::Bool => " of bools",
            Self::List(_) | Self::Tuple(_) => " of lists",
            Self::Set(_) => " of sets",
            Self::Map(_) => " of maps",
            Self::Object(_) => " of objects",
        }
    }

    fn mismatch(&self, found: &Value) -> Mismatch {
        Mismatch {
            path: String::new(),
            expected: self.phrase(),
            found: found.shape(),
        }
    }
}

/// Makes all values of one type, as the branches of a conditional and the
/// elements of a list are.
///
/// # Errors
/// There is no such type.
pub(in crate::template::hcl) fn unify(values: Vec<Value>) -> Result<Vec<Value>, NoCommonType> {
    let known: Vec<&Value> = values
        .iter()
        .filter(|&value| *value != Value::Null)
        .collect();
    if known.windows(2).all(|pair| is_same_type(pair[0], pair[1])) {
        return Ok(values);
    }
    if known.iter().all(|value| matches!(value, Value::List(_))) {
        return unify_lists(values);
    }
    if known.iter().all(|value| matches!(value, Value::Object(_))) {
        return unify_objects(&values);
    }
    if !known.iter().any(|value| is_string(value)) {
        return Err(NoCommonType);
    }
    let strings = values.into_iter().map(|value| Type::String.convert(value));
    strings.collect::<Result<_, _>>().map_err(|_| NoCommonType)
}

impl Mismatch {
    fn within(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::String => f.write_str("string"),
            Self::Number => f.write_str("number"),
            Self::Bool => f.write_str("bool"),
            Self::List(kind) => write!(f, "list({kind})"),
            Self::Set(kind) => write!(f, "set({kind})"),
            Self::Map(kind) => write!(f, "map({kind})"),
            Self::Object(attributes) => {
                let attributes = attributes.iter().map(|(name, attribute)| {
                    let kind = &attribute.kind;
                    match attribute.is_optional {
                        true => format!("{name} = optional({kind})"),
                        false => format!("{name} = {kind}"),
                    }
                });
                write!(f, "object({{{}}})", joined(attributes))
            }
            Self::Tuple(kinds) => {
                write!(f, "tuple([{}])", joined(kinds.iter().map(Self::to_string)))
            }
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn elements(kind: &Type, items: Vec<Value>) -> Result<Vec<Value>, Mismatch> {
    if *kind == Type::Any {
        return unify(items).map_err(|NoCommonType| Mismatch {
            path: String::new(),
            expected: "values of one type".to_owned(),
            found: "a list of several",
        });
    }
    let converted = items.into_iter().enumerate().map(|(index, item)| {
        let converted = kind.convert(item);
        converted.map_err(|mismatch| mismatch.within(&format!("[{index}]")))
    });
    converted.collect()
}

fn set(items: Vec<Value>) -> Value {
    let mut items = items;
    items.sort_by(order);
    items.dedup();
    Value::List(items)
}

fn map(kind: &Type, entries: BTreeMap<String, Value>) -> Result<Value, Mismatch> {
    let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let values = if *kind == Type::Any {
        unify(values).map_err(|NoCommonType| Mismatch {
            path: String::new(),
            expected: "values of one type".to_owned(),
            found: "a map of several",
        })?
    } else {
        let converted = keys.iter().zip(values).map(|(key, value)| {
            let converted = kind.convert(value);
            converted.map_err(|mismatch| mismatch.within(&format!(".{key}")))
        });
        converted.collect::<Result<_, _>>()?
    };
    Ok(Value::Object(keys.into_iter().zip(values).collect()))
}

fn object(
    attributes: &BTreeMap<String, Attribute>,
    mut entries: BTreeMap<String, Value>,
) -> Result<Value, Mismatch> {
    let mut converted = BTreeMap::new();
    for (name, attribute) in attributes {
        let value = match entries.remove(name) {
            Some(value) if value != Value::Null => attribute.kind.convert(value),
            Some(_) => Ok(attribute.default.clone()),
            None if attribute.is_optional => Ok(attribute.default.clone()),
            None => Err(Mismatch {
                path: String::new(),
                expected: attribute.kind.phrase(),
                found: "nothing",
            }),
        };
        let value = value.map_err(|mismatch| mismatch.within(&format!(".{name}")))?;
        converted.insert(name.clone(), value);
    }
    Ok(Value::Object(converted))
}

fn tuple(kinds: &[Type], items: Vec<Value>) -> Result<Value, Mismatch> {
    let converted = kinds
        .iter()
        .zip(items)
        .enumerate()
        .map(|(index, (kind, item))| {
            let converted = kind.convert(item);
            converted.map_err(|mismatch| mismatch.within(&format!("[{index}]")))
        });
    Ok(Value::List(converted.collect::<Result<_, _>>()?))
}

fn is_string(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Unknown(_))
}

fn is_same_type(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Bool(_), Value::Bool(_)) | (Value::Number(_), Value::Number(_)) => true,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| is_same_type(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.keys().eq(right.keys())
                && left
                    .values()
                    .zip(right.values())
                    .all(|(left, right)| is_same_type(left, right))
        }
        (left, right) => is_string(left) && is_string(right),
    }
}

/// Makes the elements of all lists of one type.
fn unify_lists(values: Vec<Value>) -> Result<Vec<Value>, NoCommonType> {
    let items = values.iter().flat_map(|value| match value {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    });
    let mut items = unify(items.collect())?.into_iter();
    let lists = values.into_iter().map(|value| match value {
        Value::List(old) => Value::List(items.by_ref().take(old.len()).collect()),
        other => other,
    });
    Ok(lists.collect())
}

/// Makes each attribute of one type if all objects have the same, and all
/// values of one type if not.
fn unify_objects(values: &[Value]) -> Result<Vec<Value>, NoCommonType> {
    let objects: Vec<&BTreeMap<String, Value>> = values
        .iter()
        .filter_map(|value| match value {
            Value::Object(entries) => Some(entries),
            _ => None,
        })
        .collect();
    let is_alike = objects
        .windows(2)
        .all(|pair| pair[0].keys().eq(pair[1].keys()));
    let names: BTreeSet<&String> = objects.iter().flat_map(|entries| entries.keys()).collect();
    let columns: Vec<BTreeSet<&String>> = match is_alike {
        true => names.iter().map(|name| BTreeSet::from([*name])).collect(),
        false => vec![names],
    };
    let mut unified: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new(); objects.len()];
    for column in &columns {
        unify_column(&objects, column, &mut unified)?;
    }
    let mut unified = unified.into_iter().map(Value::Object);
    Ok(values
        .iter()
        .map(|value| match value {
            Value::Object(_) => unified.next().unwrap_or(Value::Null),
            other => other.clone(),
        })
        .collect())
}

/// Makes the values of some keys of all objects of one type.
fn unify_column(
    objects: &[&BTreeMap<String, Value>],
    keys: &BTreeSet<&String>,
    unified: &mut [BTreeMap<String, Value>],
) -> Result<(), NoCommonType> {
    let cells: Vec<(usize, &String, &Value)> = objects
        .iter()
        .enumerate()
        .flat_map(|(row, object)| object.iter().map(move |(key, value)| (row, key, value)))
        .filter(|(_, key, _)| keys.contains(key))
        .collect();
    let values = unify(cells.iter().map(|(_, _, value)| (*value).clone()).collect())?;
    for ((row, key, _), value) in cells.into_iter().zip(values) {
        unified[row].insert(key.clone(), value);
    }
    Ok(())
}

/// The order of the elements of a set. That of strings and numbers shows; any
/// other only has to be one.
fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::List(_) => 3,
        Value::Object(_) => 4,
        Value::Unknown(_) => 5,
        Value::Null => 6,
    };
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Unknown(left), Value::Unknown(right)) => left.template.cmp(&right.template),
        (Value::List(left), Value::List(right)) => ordered(left, right),
        (Value::Object(left), Value::Object(right)) => left
            .keys()
            .cmp(right.keys())
            .then_with(|| ordered(left.values(), right.values())),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn ordered<'a>(
    left: impl IntoIterator<Item = &'a Value>,
    right: impl IntoIterator<Item = &'a Value>,
) -> std::cmp::Ordering {
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    loop {
        match (left.next(), right.next()) {
            (Some(one), Some(other)) => match order(one, other) {
                std::cmp::Ordering::Equal => {}
                different => return different,
            },
            (one, other) => return one.is_some().cmp(&other.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn object_of(entries: &[(&str, Value)]) -> Value {
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        Value::Object(entries.collect())
    }

    fn mismatch(path: &str, expected: &str, found: &'static str) -> Mismatch {
        Mismatch {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        }
    }

    #[test]
    fn primitives_convert_into_each_other() {
        let number = |text| Value::Number(Number::parse(text).expect("a number"));
        let rows = [
            (Type::String, number("1.50"), Some(Value::from("1.5"))),
            (Type::String, true.into(), Some("true".into())),
            (Type::Number, "20".into(), Some(number("20"))),
            (Type::Number, "twenty".into(), None),
            (Type::Number, true.into(), None),
            (Type::Bool, "true".into(), Some(true.into())),
            (Type::Bool, "0".into(), Some(false.into())),
            (Type::Bool, "yes".into(), None),
            (Type::Bool, "True".into(), None),
            (Type::Bool, number("1"), None),
            (Type::Any, number("1"), Some(number("1"))),
            (Type::Bool, Value::Null, Some(Value::Null)),
        ];
        for (kind, value, expected) in rows {
            let converted = kind.convert(value.clone()).ok();
            assert_eq!(converted, expected, "{value:?} to {kind}");
        }
    }

    #[test]
    fn collections_convert_their_elements() {
        let mixed = Value::List(vec!["b".into(), 1i64.into(), "1".into()]);
        assert_eq!(
            Type::strings().convert(mixed.clone()),
            Ok(vec!["b", "1", "1"].into())
        );
        assert_eq!(
            Type::any_list().convert(mixed.clone()),
            Ok(vec!["b", "1", "1"].into())
        );
        let set = Type::Set(Box::new(Type::String));
        assert_eq!(set.convert(mixed.clone()), Ok(vec!["1", "b"].into()));
        let numbers = Type::List(Box::new(Type::Number));
        assert_eq!(
            numbers.convert(mixed),
            Err(mismatch("[0]", "a number", "a string"))
        );
        let map = Type::Map(Box::new(Type::String));
        let entries = object_of(&[("a", 1i64.into()), ("b", true.into())]);
        let strings = object_of(&[("a", "1".into()), ("b", "true".into())]);
        assert_eq!(map.convert(entries), Ok(strings));
        assert_eq!(
            map.convert("a".into()),
            Err(mismatch("", "a map of strings", "a string"))
        );
    }

    #[test]
    fn objects_take_their_attributes_and_defaults() {
        let attribute = |kind, is_optional, default| Attribute {
            kind,
            is_optional,
            default,
        };
        let kind = Type::List(Box::new(Type::Object(BTreeMap::from([
            (
                "size".to_owned(),
                attribute(Type::Number, false, Value::Null),
            ),
            (
                "type".to_owned(),
                attribute(Type::String, true, "cloud_essd".into()),
            ),
        ]))));
        let disk = object_of(&[("size", "20".into()), ("other", true.into())]);
        let converted = object_of(&[("size", 20i64.into()), ("type", "cloud_essd".into())]);
        assert_eq!(
            kind.convert(Value::List(vec![disk])),
            Ok(Value::List(vec![converted]))
        );
        let bare = Value::List(vec![object_of(&[])]);
        assert_eq!(
            kind.convert(bare),
            Err(mismatch("[0].size", "a number", "nothing"))
        );
        assert_eq!(
            kind.to_string(),
            "list(object({size = number, type = optional(string)}))"
        );
        let pair = Type::Tuple(vec![Type::String, Type::Number]);
        let converted = Value::List(vec!["1".into(), 2i64.into()]);
        assert_eq!(pair.convert(vec!["1", "2"].into()), Ok(converted));
        assert!(pair.convert(vec!["1"].into()).is_err());
    }

    #[test]
    fn values_are_made_of_one_type() {
        let list = |items: &[Value]| Value::List(items.to_vec());
        let (one, text) = (Value::from(1i64), Value::from("a"));
        let rows = [
            (
                vec![one.clone(), text.clone()],
                Some(vec!["1".into(), text.clone()]),
            ),
            (
                vec![one.clone(), Value::Null],
                Some(vec![one.clone(), Value::Null]),
            ),
            (vec![one.clone(), true.into()], None),
            (vec![one.clone(), list(&[])], None),
            (
                vec![list(slice::from_ref(&one)), list(slice::from_ref(&text))],
                Some(vec![list(&["1".into()]), list(slice::from_ref(&text))]),
            ),
            (
                vec![
                    list(&[one.clone(), text.clone()]),
                    list(&[one.clone(), text.clone()]),
                ],
                Some(vec![
                    list(&[one.clone(), text.clone()]),
                    list(&[one.clone(), text.clone()]),
                ]),
            ),
            (
                vec![
                    object_of(&[("a", one.clone())]),
                    object_of(&[("b", text.clone())]),
                ],
                Some(vec![
                    object_of(&[("a", "1".into())]),
                    object_of(&[("b", text.clone())]),
                ]),
            ),
        ];
        for (values, unified) in rows {
            assert_eq!(unify(values.clone()).ok(), unified, "{values:?}");
        }
    }
}
