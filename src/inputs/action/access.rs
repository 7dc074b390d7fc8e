//! The inputs that say whose keys are used, and where the cloud is: each
//! becomes the environment variable that means the same.
//!
//! Facts: RAM's and STS's pages on AssumeRole and AssumeRoleWithOIDC.

use std::net::IpAddr;

use super::{Inputs, bad_input};
use crate::error::{Error, Kind, Result};
use crate::inputs::env;
use crate::plan::policy::{self, Preset};

/// What STS takes as the policy of a session.
pub(super) const LONGEST_POLICY: usize = 2048;

impl Inputs<'_> {
    /// A role, assumed with a token of GitHub when its OIDC provider is named,
    /// else with whatever keys there are.
    pub(super) fn role(&self) -> Result<Vec<(String, String)>> {
        let role = self.optional("role-to-assume");
        let provider = self.optional("oidc-provider-arn");
        let policy = self.role_policy()?;
        for (name, kind) in [
            ("role-to-assume", "role"),
            ("oidc-provider-arn", "oidc-provider"),
        ] {
            self.check_arn(name, kind)?;
        }
        let (mut pairs, names) = match (role, provider) {
            (None, None) if policy.is_some() => {
                let message = "Input `role-policy` is set without `role-to-assume`";
                return Err(Error::new(Kind::Usage, message)
                    .with_hint("A policy narrows the session of a role; set both"));
            }
            (None, None) => return Ok(Vec::new()),
            (None, Some(_)) => {
                let message = "Input `oidc-provider-arn` is set without `role-to-assume`";
                return Err(Error::new(Kind::Usage, message)
                    .with_hint("Set both: the role is assumed with a token of the job"));
            }
            (Some(role), None) => (Vec::new(), vec![("ALICLOUD_ASSUME_ROLE_ARN", role)]),
            (Some(role), Some(provider)) => {
                // What an earlier step exported must not come first.
                let others = env::key_variables().chain(["ALICLOUD_PROFILE"]);
                let none = others.map(|name| (name.to_owned(), String::new()));
                let names = vec![
                    ("ALIBABA_CLOUD_ROLE_ARN", role),
                    ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", provider),
                    ("ALICLOUD_IMAGE_OIDC_AUDIENCE", self.get("audience")),
                ];
                (none.collect(), names)
            }
        };
        let name = self.session_name()?;
        let session = [
            ("ALIBABA_CLOUD_ROLE_SESSION_NAME", name.as_str()),
            (
                "ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION",
                self.session_expiration()?,
            ),
        ];
        let named = names.into_iter().chain(session);
        pairs.extend(named.map(|(name, value)| (name.to_owned(), value.to_owned())));
        pairs.extend(policy.map(|policy| ("ALICLOUD_IMAGE_ROLE_POLICY".to_owned(), policy)));
        Ok(pairs)
    }

    /// Before anybody is asked: ARNs of other clouds look much the same.
    fn check_arn(&self, name: &str, kind: &str) -> Result<()> {
        let Some(arn) = self.optional(name) else {
            return Ok(());
        };
        let account_and_name = arn.strip_prefix("acs:ram::");
        let parts = account_and_name.and_then(|rest| rest.split_once(&format!(":{kind}/")));
        let is_arn = parts.is_some_and(|(account, name)| {
            account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty()
        });
        if is_arn {
            return Ok(());
        }
        let hint = format!("Use an ARN of the form `acs:ram::ACCOUNT:{kind}/NAME`");
        Err(bad_input(name, arn).with_hint(hint))
    }

    fn session_expiration(&self) -> Result<&str> {
        const NAME: &str = "role-session-expiration";
        let seconds = self.get(NAME);
        let is_usable = |seconds| (900..=43_200_u32).contains(&seconds);
        if seconds.parse().is_ok_and(is_usable) {
            return Ok(seconds);
        }
        Err(bad_input(NAME, seconds).with_hint("Use a number of seconds between 900 and 43200"))
    }

    /// By default one that leads from the cloud's logs to the run.
    fn session_name(&self) -> Result<String> {
        let Some(name) = self.optional("role-session-name") else {
            let run = ["GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"];
            let run = run.iter().filter_map(|part| self.0.get(part));
            let parts: Vec<_> = ["alicloud-image"].into_iter().chain(run).collect();
            return Ok(parts.join("-"));
        };
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || ".@_-".contains(letter);
        if (2..=64).contains(&name.len()) && name.chars().all(is_allowed) {
            return Ok(name.to_owned());
        }
        Err(bad_input("role-session-name", name)
            .with_hint("Use 2 to 64 letters, digits, `.`, `@`, `_` or `-`"))
    }

    /// A policy of ours, or the user's as it is.
    fn role_policy(&self) -> Result<Option<String>> {
        let Some(written) = self.optional("role-policy") else {
            return Ok(None);
        };
        let bad = |hint| Err(bad_input("role-policy", written).with_hint(hint));
        let policy = match written.trim() {
            "preset:build" => policy::preset(Preset::Build).to_string(),
            "preset:import" => policy::preset(Preset::Import).to_string(),
            preset if preset.starts_with("preset:") => {
                return bad("Use `preset:build`, `preset:import` or a policy in JSON");
            }
            policy => policy.to_owned(),
        };
        let json: Result<serde_json::Map<_, _>, _> = serde_json::from_str(&policy);
        if json.is_err() {
            return bad("Write a policy in JSON, `preset:build` or `preset:import`");
        }
        if policy.chars().count() > LONGEST_POLICY {
            return bad("STS takes policies of at most 2048 characters");
        }
        Ok(Some(policy))
    }

    /// Keys replace the first family as a whole.
    pub(super) fn keys(&self) -> Result<Vec<(String, String)>> {
        let id = self.optional("access-key-id");
        let secret = self.optional("access-key-secret");
        let pairs = match (id, secret) {
            (Some(id), Some(secret)) => [
                ("ALICLOUD_ACCESS_KEY", id),
                ("ALICLOUD_SECRET_KEY", secret),
                ("ALICLOUD_SECURITY_TOKEN", self.get("security-token")),
                ("SECURITY_TOKEN", ""),
            ],
            (None, None) => return Ok(Vec::new()),
            _ => {
                return Err(Error::new(
                    Kind::Usage,
                    "Only one of the inputs `access-key-id` and `access-key-secret` is set",
                )
                .with_hint("Set both, or neither and use the environment")
                .with_hint(
                    "A secret that the repository has not is empty, and so is every one for a fork",
                ));
            }
        };
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(pairs.map(owned).into())
    }

    pub(super) fn endpoints(&self) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        for product in ["ECS", "VPC", "STS", "OSS"] {
            let name = format!("{}-endpoint", product.to_lowercase());
            if let Some(endpoint) = self.optional(&name) {
                check_endpoint(&name, endpoint)?;
                let variable = format!("ALIBABA_CLOUD_ENDPOINT_{product}");
                pairs.push((variable, endpoint.to_owned()));
            }
        }
        Ok(pairs)
    }
}

/// Requests carry a token: in clear only to this machine.
fn check_endpoint(name: &str, endpoint: &str) -> Result<()> {
    let Some(rest) = endpoint.strip_prefix("http://") else {
        return Ok(());
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    let is_loopback = host.is_some_and(|host| {
        host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    });
    if is_loopback {
        return Ok(());
    }
    Err(bad_input(name, endpoint).with_hint("Use https, or http on a loopback address"))
}
