//! Requests as the flat parameter list of the RPC style: `SystemDisk.Size`,
//! `Tag.1.Key`. Absent options and empty lists send nothing.
//!
//! Facts: "Request syntax" of the ECS API reference and the requests official
//! SDKs send.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::secret::Secret;

/// What a hidden value looks like in logs.
pub(super) const HIDDEN: &str = "[REDACTED]";

/// Name of the only member of an object that stands for a secret. No API
/// parameter can have it.
const SECRET_MARK: &str = "\0secret";

/// A list the API takes as JSON text: `["i-1","i-2"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonList(pub Vec<String>);

impl JsonList {
    /// The list of one.
    pub fn one(value: impl Into<String>) -> Self {
        Self(vec![value.into()])
    }
}

impl Serialize for JsonList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

/// Sends a secret as it is, and hides it from logs.
pub(super) fn secret<S: Serializer>(
    value: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    marked(
        value.as_ref().map(|secret| secret.expose().to_owned()),
        serializer,
    )
}

/// Sends a secret in base64, and hides it from logs.
pub(super) fn secret_base64<S: Serializer>(
    value: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    marked(
        value
            .as_ref()
            .map(|secret| STANDARD.encode(secret.expose())),
        serializer,
    )
}

fn marked<S: Serializer>(value: Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(value) = value else {
        return serializer.serialize_none();
    };
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(SECRET_MARK, &value)?;
    map.end()
}

/// One parameter on the wire.
#[derive(Clone, PartialEq, Eq)]
struct Parameter {
    name: String,
    value: String,
    secret: bool,
}

/// The parameters of a request, in the order of its fields.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Flattens a request.
    pub(super) fn of(request: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut parameters = Self::default();
        parameters.flatten(String::new(), serde_json::to_value(request)?);
        Ok(parameters)
    }

    /// Sets a parameter unless the request already has it.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if self.0.iter().all(|parameter| parameter.name != name) {
            self.push(name.to_owned(), value.to_owned(), false);
        }
    }

    /// Names and values as sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
    }

    /// The text with every secret value hidden, for a server that quotes what
    /// it was sent.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.0
            .iter()
            .filter(|parameter| parameter.secret && !parameter.value.is_empty())
            .fold(text.to_owned(), |text, secret| {
                text.replace(&secret.value, HIDDEN)
            })
    }

    fn push(&mut self, name: String, value: String, secret: bool) {
        self.0.push(Parameter {
            name,
            value,
            secret,
        });
    }

    fn flatten(&mut self, name: String, value: Value) {
        match value {
            Value::Null => {}
            Value::Object(members) => self.flatten_object(&name, members),
            Value::Array(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.flatten(format!("{name}.{}", index + 1), item);
                }
            }
            Value::String(text) => self.push(name, text, false),
            other => self.push(name, other.to_string(), false),
        }
    }

    fn flatten_object(&mut self, name: &str, members: serde_json::Map<String, Value>) {
        for (member, value) in members {
            match value {
                Value::String(text) if member == SECRET_MARK => {
                    self.push(name.to_owned(), text, true);
                }
                value if name.is_empty() => self.flatten(member, value),
                value => self.flatten(format!("{name}.{member}"), value),
            }
        }
    }
}

/// `name=value` pairs without secrets.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, parameter) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            let value = if parameter.secret {
                HIDDEN
            } else {
                &parameter.value
            };
            write!(f, "{separator}{}={value}", parameter.name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameters({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        region_id: Option<String>,
        system_disk: Disk,
        data_disk: Vec<Disk>,
        resource_id: Vec<String>,
        force: Option<bool>,
        instance_ids: JsonList,
        #[serde(serialize_with = "secret")]
        password: Option<Secret>,
        #[serde(serialize_with = "secret_base64")]
        user_data: Option<Secret>,
    }

    #[derive(Serialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Disk {
        size: Option<u32>,
        category: Option<String>,
    }

    fn request() -> Request {
        Request {
            region_id: None,
            system_disk: Disk {
                size: Some(40),
                category: None,
            },
            data_disk: vec![
                Disk::default(),
                Disk {
                    size: Some(20),
                    category: Some("cloud_essd".into()),
                },
            ],
            resource_id: vec!["s-1".into(), "s-2".into()],
            force: Some(true),
            instance_ids: JsonList(vec!["i-1".into(), "i-\"2".into()]),
            password: Some(Secret::new("hunter2!")),
            user_data: Some(Secret::new("#!/bin/sh")),
        }
    }

    #[test]
    fn nested_values_and_lists_are_flattened() {
        let parameters = Parameters::of(&request()).unwrap();
        let pairs: Vec<_> = parameters.iter().collect();
        assert_eq!(
            pairs,
            [
                ("SystemDisk.Size", "40"),
                ("DataDisk.2.Size", "20"),
                ("DataDisk.2.Category", "cloud_essd"),
                ("ResourceId.1", "s-1"),
                ("ResourceId.2", "s-2"),
                ("Force", "true"),
                ("InstanceIds", r#"["i-1","i-\"2"]"#),
                ("Password", "hunter2!"),
                ("UserData", "IyEvYmluL3No"),
            ]
        );
    }

    #[test]
    fn secrets_are_hidden_from_logs_and_quotes() {
        let parameters = Parameters::of(&request()).unwrap();
        let shown = format!("{parameters} {parameters:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("IyEvYmlu"),
            "{shown}"
        );
        assert!(shown.contains("Password=[REDACTED]"), "{shown}");
        assert_eq!(parameters.scrub("bad 'hunter2!'"), "bad '[REDACTED]'");
    }

    #[test]
    fn an_added_parameter_does_not_replace_the_requests_own() {
        let mut parameters = Parameters::of(&serde_json::json!({"RegionId": "a"})).unwrap();
        parameters.add("RegionId", "b");
        parameters.add("ClientToken", "t");
        let pairs: Vec<_> = parameters.iter().collect();
        assert_eq!(pairs, [("RegionId", "a"), ("ClientToken", "t")]);
    }
}
