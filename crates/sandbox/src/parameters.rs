//! Checks the parameters of an action against an extract of the official
//! metadata. Stricter than the real gateway in one point: a parameter that the
//! action does not know is an error, because it is always a client's bug.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::error::ApiError;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/actions.json"))
        .expect("the embedded action table is well formed")
});

#[derive(Deserialize)]
struct Table {
    actions: BTreeMap<String, ActionRule>,
}

/// What the metadata says about an action.
#[derive(Deserialize)]
pub(crate) struct ActionRule {
    pub(crate) version: String,
    params: BTreeMap<String, ParameterRule>,
    /// Status, code and message of the documented errors.
    pub(crate) errors: Vec<(u16, String, String)>,
    /// Code of a passing dry run.
    #[serde(default)]
    pub(crate) dry_run: Option<String>,
    /// Whether repeats with the same ClientToken are recognised.
    #[serde(default)]
    pub(crate) client_token: bool,
}

#[derive(Deserialize)]
struct ParameterRule {
    #[serde(default, rename = "type")]
    kind: Kind,
    #[serde(default)]
    required: bool,
    #[serde(default, rename = "enum")]
    values: Vec<String>,
    min: Option<i64>,
    max: Option<i64>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    String,
    Boolean,
    Int32,
    Int64,
    Float,
    List,
    Object,
}

/// Parameters every action takes; they are no business of the handlers.
const COMMON: &[&str] = &[
    "AccessKeyId",
    "Action",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

const OWNER: &[&str] = &[
    "OwnerId",
    "OwnerAccount",
    "ResourceOwnerId",
    "ResourceOwnerAccount",
];

/// The rule of `Product.Action`, if the sandbox implements it.
pub(crate) fn rule(product: &str, action: &str) -> Option<&'static ActionRule> {
    TABLE.actions.get(&format!("{product}.{action}"))
}

/// All implemented actions, as `Product.Action`.
#[cfg(test)]
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    TABLE.actions.keys().map(String::as_str)
}

/// Checked parameters with the documented spelling. An empty value counts as
/// absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Keeps what an action may read, unchecked.
    pub(crate) fn unchecked(raw: &BTreeMap<String, String>) -> Self {
        let own = raw
            .iter()
            .filter(|(name, _)| !COMMON.contains(&name.as_str()));
        Self(own.map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    /// Checks raw parameters against the rule of an action.
    pub(crate) fn check(
        rule: &ActionRule,
        action: &str,
        raw: &BTreeMap<String, String>,
    ) -> Result<Self, ApiError> {
        let mut checked = BTreeMap::new();
        for (name, value) in &Self::unchecked(raw).0 {
            if OWNER.contains(&name.as_str()) || value.is_empty() {
                continue;
            }
            let (spelled, parameter) =
                rule.find(name).ok_or_else(|| not_supported(name, action))?;
            if let Some(parameter) = parameter {
                parameter.check(name, value)?;
            }
            checked.insert(spelled, value.clone());
        }
        rule.require(&checked)?;
        Ok(Self(checked))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name)
            .ok_or_else(|| ApiError::missing_parameter(name))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Values of a repeated parameter `Name.N`, in the order of N.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let members = self.members(name);
        members
            .filter_map(|(n, v)| (!n.1.contains('.')).then_some((n.0, v)))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    }

    /// Members of a repeated parameter `Name.N.Key`, in the order of N.
    pub(crate) fn objects(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let mut objects: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
        for ((index, key), value) in self.members(name) {
            let key = key.trim_start_matches('.').to_owned();
            objects.entry(index).or_default().insert(key, value);
        }
        objects.into_values().collect()
    }

    fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = ((u32, String), String)> + 'a {
        self.0.iter().filter_map(move |(key, value)| {
            let rest = key.strip_prefix(name)?.strip_prefix('.')?;
            let digits = rest.find('.').unwrap_or(rest.len());
            let index = rest[..digits].parse().ok()?;
            Some(((index, rest[digits..].to_owned()), value.clone()))
        })
    }

    /// A JSON array in a string (`InstanceIds`); `None` when absent.
    pub(crate) fn json_list(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let parse = |text: &str| {
            serde_json::from_str(text)
                .map_err(|_| ApiError::invalid_parameter(name, "it is not a JSON array of strings"))
        };
        self.get(name).map(parse).transpose()
    }

    /// `Tag.N.Key` and `Tag.N.Value` as a map.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        let pair = |mut tag: BTreeMap<String, String>| {
            let value = tag.remove("Value").unwrap_or_default();
            Some((tag.remove("Key")?, value))
        };
        self.objects("Tag").into_iter().filter_map(pair).collect()
    }

    pub(crate) fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl ActionRule {
    /// The documented spelling of a parameter and its rule; the members of
    /// free-form objects have none.
    fn find(&self, name: &str) -> Option<(String, Option<&ParameterRule>)> {
        let pattern = pattern_of(name);
        if let Some(rule) = self.params.get(&pattern) {
            return Some((name.to_owned(), Some(rule)));
        }
        let mut spellings = self.params.iter();
        if let Some((spelling, rule)) = spellings.find(|(n, _)| n.eq_ignore_ascii_case(&pattern)) {
            return Some((spell_like(spelling, name), Some(rule)));
        }
        // SDKs add the region to every call.
        if pattern == "RegionId" {
            return Some((pattern, None));
        }
        let parent = self.params.get(pattern.rsplit_once('.')?.0)?;
        let free_form = parent.kind == Kind::Object && !self.has_members(&pattern);
        free_form.then(|| (name.to_owned(), None))
    }

    fn has_members(&self, pattern: &str) -> bool {
        let Some((parent, _)) = pattern.rsplit_once('.') else {
            return false;
        };
        let prefix = format!("{parent}.");
        self.params.keys().any(|name| name.starts_with(&prefix))
    }

    fn require(&self, checked: &BTreeMap<String, String>) -> Result<(), ApiError> {
        let names: Vec<String> = checked.keys().map(|name| pattern_of(name)).collect();
        for (pattern, _) in self.params.iter().filter(|(_, rule)| rule.required) {
            let absent = |p: &str| {
                let prefix = format!("{p}.");
                !names.iter().any(|n| n == p || n.starts_with(&prefix))
            };
            // A required member is only missing where its list is present.
            let needed = pattern
                .rsplit_once(".N.")
                .is_none_or(|(list, _)| !absent(&format!("{list}.N")));
            if needed && absent(pattern) {
                return Err(ApiError::missing_parameter(&pattern.replace(".N", ".1")));
            }
        }
        Ok(())
    }
}

impl ParameterRule {
    fn check(&self, name: &str, value: &str) -> Result<(), ApiError> {
        let invalid = |why: &str| Err(ApiError::invalid_parameter(name, why));
        match self.kind {
            Kind::Boolean if !is_boolean(value) => return invalid("it is not a boolean"),
            Kind::Int32 | Kind::Int64 => match value.parse::<i64>() {
                Err(_) => return invalid("it is not an integer"),
                Ok(number) if self.min.is_some_and(|min| number < min) => {
                    return invalid("it is too small");
                }
                Ok(number) if self.max.is_some_and(|max| number > max) => {
                    return invalid("it is too large");
                }
                Ok(_) => {}
            },
            Kind::Float if value.parse::<f64>().is_err() => return invalid("it is not a number"),
            _ => {}
        }
        let listed = self.values.iter().any(|v| v.eq_ignore_ascii_case(value));
        if self.values.is_empty() || listed {
            return Ok(());
        }
        invalid(&format!("it must be one of {}", self.values.join(", ")))
    }
}

fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// `Tag.3.Key` → `Tag.N.Key`.
fn pattern_of(name: &str) -> String {
    let generic = |part| {
        if str::parse::<u32>(part).is_ok() {
            "N"
        } else {
            part
        }
    };
    name.split('.').map(generic).collect::<Vec<_>>().join(".")
}

/// Writes `name` with the letters of `spelling`, keeping the numbers.
fn spell_like(spelling: &str, name: &str) -> String {
    let parts = spelling.split('.').zip(name.split('.'));
    let pick = |(spelled, given)| if spelled == "N" { given } else { spelled };
    parts.map(pick).collect::<Vec<&str>>().join(".")
}

fn not_supported(name: &str, action: &str) -> ApiError {
    let message = format!("The specified parameter \"{name}\" is not supported by {action}.");
    ApiError::new(400, "InvalidParameter.NotSupported", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(action: &str, raw: &[(&str, &str)]) -> Result<Params, ApiError> {
        let raw = raw
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Params::check(rule("Ecs", action).unwrap(), action, &raw)
    }

    #[test]
    fn wrong_parameters_have_their_codes() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let table: &[Case<'_>] = &[
            ("CreateImage", &[("InstanceId", "i-1")], "MissingParameter"),
            (
                "CreateImage",
                &[("RegionId", "r"), ("Foo", "1")],
                "InvalidParameter.NotSupported",
            ),
            (
                "CreateImage",
                &[("RegionId", "r"), ("BootMode", "EFI")],
                "InvalidParameter.BootMode",
            ),
            (
                "CreateImage",
                &[("RegionId", "r"), ("DryRun", "yes")],
                "InvalidParameter.DryRun",
            ),
            (
                "RunInstances",
                &[("RegionId", "r"), ("Amount", "x")],
                "InvalidParameter.Amount",
            ),
            (
                "RunInstances",
                &[("RegionId", "r"), ("Amount", "0")],
                "InvalidParameter.Amount",
            ),
        ];
        for (action, raw, code) in table {
            assert_eq!(check(action, raw).unwrap_err().code, *code, "{raw:?}");
        }
    }

    #[test]
    fn both_spellings_of_members_are_one() {
        let params = check(
            "CreateImage",
            &[
                ("RegionId", "cn-hangzhou"),
                ("DryRun", "False"),
                ("OwnerId", "5"),
                ("Tag.1.key", "a"),
                ("Tag.1.value", "1"),
                ("Tag.10.Key", "b"),
                ("Tag.10.Value", ""),
            ],
        )
        .unwrap();
        let tags = params.tags();
        assert_eq!(tags["a"], "1");
        assert_eq!(tags["b"], "");
        assert!(!params.flag("DryRun"));
    }

    #[test]
    fn lists_keep_their_order() {
        let params = check(
            "ModifyImageSharePermission",
            &[
                ("RegionId", "r"),
                ("ImageId", "m"),
                ("AddAccount.2", "b"),
                ("AddAccount.10", "c"),
                ("AddAccount.1", "a"),
            ],
        )
        .unwrap();
        assert_eq!(params.list("AddAccount"), ["a", "b", "c"]);
    }
}
