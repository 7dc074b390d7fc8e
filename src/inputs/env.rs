//! How environment variables are read: an empty one counts as not set, and
//! keys are taken from one family of names as a whole. All names are in
//! `variables`.
//!
//! Facts: Packer's configuration page; the credentials chain of Alibaba
//! Cloud's SDKs; the variables that Alibaba Cloud's GitHub action exports.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::cloud::credential::Keys;
use crate::process;
use crate::secret::Secret;

/// Secrets that are not keys of a family.
const OTHER_SECRETS: &[&str] = &[
    "INPUT_ACCESS-KEY-SECRET",
    "INPUT_SECURITY-TOKEN",
    "INPUT_GITHUB-TOKEN",
    "ALICLOUD_IMAGE_GITHUB_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "ALIBABA_CLOUD_OIDC_TOKEN",
    "ALICLOUD_CREDENTIALS_URI",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

struct Family {
    id: &'static str,
    secret: &'static str,
    tokens: &'static [&'static str],
}

const FAMILIES: &[Family] = &[
    Family {
        id: "ALICLOUD_ACCESS_KEY",
        secret: "ALICLOUD_SECRET_KEY",
        tokens: &["ALICLOUD_SECURITY_TOKEN", "SECURITY_TOKEN"],
    },
    Family {
        id: "ALIBABA_CLOUD_ACCESS_KEY_ID",
        secret: "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        tokens: &["ALIBABA_CLOUD_SECURITY_TOKEN"],
    },
    Family {
        id: "ALIBABACLOUD_ACCESS_KEY_ID",
        secret: "ALIBABACLOUD_ACCESS_KEY_SECRET",
        tokens: &["ALIBABACLOUD_SECURITY_TOKEN"],
    },
];

/// Every variable that holds a part of a key.
pub(super) fn key_variables() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| {
        let tokens = family.tokens.iter().copied();
        tokens.chain([family.id, family.secret])
    })
}

/// Where the region is, in the order of looking.
pub(super) const REGIONS: &[&str] = &[
    "ALICLOUD_REGION",
    "ALIBABA_CLOUD_REGION",
    "ALIBABA_CLOUD_REGION_ID",
    "ALIBABACLOUD_REGION_ID",
];

/// What surrounds the program, as data.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The current directory, when it is known.
    pub directory: Option<PathBuf>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// An environment without a terminal, for tests and for `docs`.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            ..Self::default()
        }
    }

    /// A variable's value; none when it is empty or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether a variable is there without a value.
    pub fn is_empty(&self, name: &str) -> bool {
        self.variables
            .get(OsStr::new(name))
            .is_some_and(|value| value.is_empty())
    }

    /// As [`Self::get`], owned.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A variable that holds a path; none when it is empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// The path as seen from everywhere, where the current directory is known.
    pub(super) fn absolute(&self, path: PathBuf) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path,
        }
    }

    /// Whether a switch such as `NO_COLOR` is on.
    pub fn is_set(&self, name: &str) -> bool {
        self.variables
            .get(OsStr::new(name))
            .is_some_and(|value| !value.is_empty())
    }

    /// Every variable that is text, for `{{env}}`.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.variables
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?.into(), value.to_str()?.into())))
            .collect()
    }

    /// The same for a stranger's template: without keys.
    pub fn texts_without_keys(&self) -> BTreeMap<String, String> {
        let kept = self.for_children();
        let mut texts = self.texts();
        texts.retain(|name, _| kept.get(name).is_some());
        texts
    }

    /// The keys of the first family that is complete.
    pub fn keys(&self) -> Option<Keys> {
        FAMILIES.iter().find_map(|family| {
            Some(Keys {
                access_key: self.get(family.id)?.to_owned(),
                secret_key: Secret::new(self.get(family.secret)?),
                security_token: self.first(family.tokens).map(Secret::new),
            })
        })
    }

    /// Says which half of a family is missing, when no family is complete.
    pub fn incomplete_keys(&self) -> Option<String> {
        if self.keys().is_some() {
            return None;
        }
        FAMILIES.iter().find_map(|family| {
            let (there, missing) = match (self.get(family.id), self.get(family.secret)) {
                (Some(_), None) => (family.id, family.secret),
                (None, Some(_)) => (family.secret, family.id),
                _ => return None,
            };
            Some(format!(
                "`{there}` is set but `{missing}` is not: both are ignored"
            ))
        })
    }

    /// Secret values in the environment, whether they are used or not.
    pub fn secrets(&self) -> Vec<Secret> {
        let names = FAMILIES
            .iter()
            .flat_map(|family| family.tokens.iter().copied().chain([family.secret]));
        names
            .chain(OTHER_SECRETS.iter().copied())
            .filter_map(|name| self.get(name))
            .map(Secret::new)
            .collect()
    }

    /// The region to use when the template names none.
    pub fn region(&self) -> Option<&str> {
        self.first(REGIONS)
    }

    /// The endpoint of a product: `ECS`, `VPC`, `STS`, `RAM` or `OSS`.
    pub fn endpoint(&self, product: &str) -> Option<&str> {
        self.get(&format!("ALIBABA_CLOUD_ENDPOINT_{product}"))
            .or_else(|| self.get(&format!("{product}_ENDPOINT")))
    }

    /// What programs started by a template may see.
    pub fn for_children(&self) -> process::Environment {
        process::Environment::for_children(self.variables.clone())
    }

    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(variables: &[(&str, &str)]) -> Option<(String, String, Option<String>)> {
        let keys = Environment::of(variables.iter().copied()).keys()?;
        Some((
            keys.access_key,
            keys.secret_key.expose().to_owned(),
            keys.security_token.map(|token| token.expose().to_owned()),
        ))
    }

    #[test]
    fn each_family_is_read() {
        for family in FAMILIES {
            for token in family.tokens {
                assert_eq!(
                    keys(&[(family.id, "i"), (family.secret, "s"), (token, "t")]),
                    Some(("i".into(), "s".into(), Some("t".into())))
                );
            }
        }
    }

    #[test]
    fn families_are_never_mixed() {
        let mixed = [
            ("ALICLOUD_ACCESS_KEY", "a"),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "b"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "bs"),
            ("SECURITY_TOKEN", "t"),
        ];
        assert_eq!(keys(&mixed), Some(("b".into(), "bs".into(), None)));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let blank = [
            ("ALICLOUD_ACCESS_KEY", ""),
            ("ALICLOUD_SECRET_KEY", ""),
            ("ALIBABACLOUD_ACCESS_KEY_ID", "c"),
            ("ALIBABACLOUD_ACCESS_KEY_SECRET", "cs"),
        ];
        assert_eq!(keys(&blank), Some(("c".into(), "cs".into(), None)));
    }

    #[test]
    fn half_a_family_is_said() {
        let environment = Environment::of([("ALICLOUD_SECRET_KEY", "s")]);
        assert_eq!(
            environment.incomplete_keys().unwrap(),
            "`ALICLOUD_SECRET_KEY` is set but `ALICLOUD_ACCESS_KEY` is not: both are ignored"
        );
        assert_eq!(Environment::default().incomplete_keys(), None);
    }
}
