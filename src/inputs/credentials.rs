//! What the environment says about keys.
//!
//! Facts: the default chain of the official credentials libraries; variables
//! of the Alibaba Cloud CLI, Packer's plugin and the Terraform provider.

use std::path::PathBuf;

use super::env::Environment;
use crate::cloud::credential::{
    Ambient, IdToken, InstanceMetadata, OidcRole, OidcSetting, Profiles, RoleSession,
};
use crate::cloud::endpoint;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

const URIS: &[&str] = &["ALIBABA_CLOUD_CREDENTIALS_URI", "ALICLOUD_CREDENTIALS_URI"];

const ROLES: &[&str] = &["ALICLOUD_ASSUME_ROLE_ARN", "ALIBABA_CLOUD_ASSUME_ROLE_ARN"];

/// The role and the provider of OIDC.
const OIDC: [&str; 2] = ["ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"];

/// The audience that Alibaba Cloud's own action asks for.
pub(super) const AUDIENCE: &str = "sts.aliyuncs.com";

impl Environment {
    /// Where keys come from when a template does not say.
    pub(super) fn ambient(&self) -> Result<Ambient> {
        let session = self.session()?;
        let oidc = self.oidc(&session).map_or_else(
            |what| OidcSetting::Lacks {
                what,
                is_meant: OIDC.iter().all(|name| self.get(name).is_some()),
            },
            |role| OidcSetting::Role(Box::new(role)),
        );
        let role = self.first(ROLES).map(str::to_owned);
        Ok(Ambient {
            keys: self.keys(),
            oidc,
            profiles: self.profiles(),
            profiles_disabled: self.is_on("ALIBABA_CLOUD_CLI_PROFILE_DISABLED")
                || self.is_on("ALIBABA_CLOUD_IGNORE_PROFILE"),
            ini_files: self.ini_files(),
            ini_section: self.sdk_profile(),
            instance: self.instance()?,
            uri: self.first(URIS).map(Secret::new),
            assumed_role: role.map(|role| (role, session)),
            sts_region: self.get("ALIBABA_CLOUD_STS_REGION").map(str::to_owned),
            environment: self.for_children(),
            advice: None,
        })
    }

    /// Where profiles of the Alibaba Cloud CLI are.
    pub(super) fn profiles(&self) -> Profiles {
        let file = self
            .path("ALICLOUD_SHARED_CREDENTIALS_FILE")
            .or_else(|| self.path("ALIBABA_CLOUD_CONFIG_FILE"));
        Profiles {
            file: file
                .map(|file| self.expand_home(file))
                .or_else(|| self.in_home(".aliyun/config.json")),
            chosen: self.get("ALICLOUD_PROFILE").map(str::to_owned),
            name: self.sdk_profile(),
            uri: self.first(URIS).map(Secret::new),
            external_disabled: self.is_on("ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS"),
        }
    }

    /// The name of STS inside the VPC, when that is wanted.
    pub(super) fn sts_in_vpc(&self) -> Option<String> {
        let is_wanted = self.is_on("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
        let region = self.get("ALIBABA_CLOUD_STS_REGION").filter(|_| is_wanted)?;
        Some(format!("sts-vpc.{region}.aliyuncs.com"))
    }

    fn session(&self) -> Result<RoleSession> {
        const LIFE: &str = "ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION";
        let duration = self.get(LIFE).map(|text| {
            let seconds = text.parse().ok();
            seconds
                .filter(|seconds| (900..=43_200).contains(seconds))
                .ok_or_else(|| {
                    let message = format!("Bad value of `{LIFE}`: `{text}`");
                    Error::new(Kind::Usage, message)
                        .with_hint("Write a number of seconds between 900 and 43200")
                })
        });
        Ok(RoleSession {
            name: self
                .get("ALIBABA_CLOUD_ROLE_SESSION_NAME")
                .map(str::to_owned),
            duration: duration.transpose()?,
            policy: self.get("ALICLOUD_IMAGE_ROLE_POLICY").map(str::to_owned),
            ..RoleSession::default()
        })
    }

    /// The role for a token, or what is missing.
    fn oidc(&self, session: &RoleSession) -> Result<OidcRole, String> {
        let needed = |name: &str| {
            let value = self.get(name).map(str::to_owned);
            value.ok_or_else(|| format!("{name} is not set"))
        };
        Ok(OidcRole {
            role_arn: needed(OIDC[0])?,
            provider_arn: needed(OIDC[1])?,
            session: session.clone(),
            token: self.id_token()?,
        })
    }

    fn id_token(&self) -> Result<IdToken, String> {
        if let Some(file) = self.path("ALIBABA_CLOUD_OIDC_TOKEN_FILE") {
            return Ok(IdToken::File(file));
        }
        if let Some(token) = self.get("ALIBABA_CLOUD_OIDC_TOKEN") {
            return Ok(IdToken::Value(Secret::new(token)));
        }
        let url = self.get("ACTIONS_ID_TOKEN_REQUEST_URL");
        let token = self.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        match (url, token) {
            (Some(url), Some(token)) => Ok(IdToken::Github {
                url: url.to_owned(),
                token: Secret::new(token),
                audience: self
                    .get("ALICLOUD_IMAGE_OIDC_AUDIENCE")
                    .unwrap_or(AUDIENCE)
                    .to_owned(),
            }),
            _ if self.get("GITHUB_ACTIONS") == Some("true") => Err(
                "GitHub gives this job no token: it needs `permissions: id-token: write`, and \
                 pull requests of forks never get one"
                    .to_owned(),
            ),
            _ => Err(
                "neither ALIBABA_CLOUD_OIDC_TOKEN_FILE nor ALIBABA_CLOUD_OIDC_TOKEN is set"
                    .to_owned(),
            ),
        }
    }

    fn instance(&self) -> Result<InstanceMetadata> {
        let mut instance = InstanceMetadata {
            disabled: self.is_on("ALIBABA_CLOUD_ECS_METADATA_DISABLED"),
            role: self.get("ALIBABA_CLOUD_ECS_METADATA").map(str::to_owned),
            only_with_token: self.is_on("ALIBABA_CLOUD_IMDSV1_DISABLED"),
            ..InstanceMetadata::default()
        };
        if let Some(address) = self.get("ALICLOUD_IMAGE_METADATA_ENDPOINT") {
            instance.address = endpoint::parse(address)?;
        }
        Ok(instance)
    }

    fn ini_files(&self) -> Vec<PathBuf> {
        match self.path("ALIBABA_CLOUD_CREDENTIALS_FILE") {
            Some(file) => vec![file],
            None => [".alibabacloud/credentials", ".alibabacloud/credentials.ini"]
                .into_iter()
                .filter_map(|file| self.in_home(file))
                .collect(),
        }
    }

    fn sdk_profile(&self) -> Option<String> {
        let names = ["ALIBABA_CLOUD_PROFILE", "ALIBABACLOUD_PROFILE"];
        self.first(&names).map(str::to_owned)
    }

    fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(self.path("HOME")?.join(path))
    }

    fn expand_home(&self, path: PathBuf) -> PathBuf {
        let rest = path.strip_prefix("~").ok().map(ToOwned::to_owned);
        match (rest, self.path("HOME")) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => path,
        }
    }

    fn is_on(&self, name: &str) -> bool {
        let value = self.get(name);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_half_of_oidc_is_named() {
        let role = ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r");
        let provider = ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p");
        let table: [(&[(&str, &str)], &str); 4] = [
            (&[], "ALIBABA_CLOUD_ROLE_ARN is not set"),
            (&[role], "ALIBABA_CLOUD_OIDC_PROVIDER_ARN is not set"),
            (&[role, provider], "neither ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
            (
                &[role, provider, ("GITHUB_ACTIONS", "true")],
                "GitHub gives this job no token",
            ),
        ];
        for (variables, lacks) in table {
            let ambient = Environment::of(variables.iter().copied()).ambient();
            let OidcSetting::Lacks { what, is_meant } = ambient.unwrap().oidc else {
                panic!("{lacks}");
            };
            assert!(what.starts_with(lacks), "{what}");
            assert_eq!(is_meant, variables.len() >= 2);
        }
    }

    #[test]
    fn tokens_come_from_a_file_a_variable_or_github() {
        let all = [
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github"),
            ("ALIBABA_CLOUD_OIDC_TOKEN", "jwt"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
        ];
        let token = |count| Environment::of(all[..count].iter().copied()).id_token();
        assert!(token(1).is_err());
        assert!(matches!(token(2), Ok(IdToken::Github { audience, .. }) if audience == AUDIENCE));
        assert!(matches!(token(3), Ok(IdToken::Value(_))));
        assert_eq!(token(4), Ok(IdToken::File("/token".into())));
    }

    #[test]
    fn files_are_in_the_home_directory_unless_named() {
        let home = Environment::of([("HOME", "/home/me")]);
        let file = home.profiles().file.unwrap();
        assert_eq!(file, PathBuf::from("/home/me/.aliyun/config.json"));
        let named = Environment::of([
            ("HOME", "/home/me"),
            ("ALICLOUD_SHARED_CREDENTIALS_FILE", "~/keys.json"),
        ]);
        assert_eq!(
            named.profiles().file.unwrap(),
            PathBuf::from("/home/me/keys.json")
        );
        assert!(Environment::default().profiles().file.is_none());
    }

    #[test]
    fn a_session_that_sts_would_refuse_is_refused() {
        let life = ("ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION", "60");
        let error = Environment::of([life]).ambient().unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
    }
}
