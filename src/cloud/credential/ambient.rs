//! What the environment says about keys, as data: `inputs` fills it.

use std::path::PathBuf;

use url::Url;

use super::{IdToken, Keys, Profiles, RoleSession};
use crate::process::Environment;
use crate::secret::Secret;

/// What surrounds the program. The default has nothing but the metadata of
/// an instance.
#[derive(Debug, Clone, Default)]
pub struct Ambient {
    /// Keys in variables.
    pub keys: Option<Keys>,
    /// The role for a token.
    pub oidc: OidcSetting,
    /// The profiles of the Alibaba Cloud CLI.
    pub profiles: Profiles,
    /// Whether the chain passes over them.
    pub profiles_disabled: bool,
    /// Files of the SDKs with profiles, in the order of trying.
    pub ini_files: Vec<PathBuf>,
    /// The section in them, `default` when absent.
    pub ini_section: Option<String>,
    /// The metadata of the instance this program may run on.
    pub instance: InstanceMetadata,
    /// A service that hands out keys.
    pub uri: Option<Secret>,
    /// A role that is assumed with whatever the chain finds.
    pub assumed_role: Option<(String, RoleSession)>,
    /// Whose STS is asked.
    pub sts_region: Option<String>,
    /// What external processes see.
    pub environment: Environment,
    /// How to give keys, for whoever started the program in another way than
    /// by its command line.
    pub advice: Option<&'static str>,
}

impl From<Keys> for Ambient {
    /// Nothing but these.
    fn from(keys: Keys) -> Self {
        Self {
            keys: Some(keys),
            ..Self::default()
        }
    }
}

/// Whether a role is to be assumed with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OidcSetting {
    /// This one.
    Role(Box<OidcRole>),
    /// Something is missing.
    Lacks {
        /// What, as a sentence.
        what: String,
        /// Whether somebody wants it, as role and provider are named.
        is_meant: bool,
    },
}

impl Default for OidcSetting {
    fn default() -> Self {
        Self::Lacks {
            what: "no role is named".to_owned(),
            is_meant: false,
        }
    }
}

/// A role that is assumed with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcRole {
    /// `acs:ram::ACCOUNT:role/NAME`.
    pub role_arn: String,
    /// `acs:ram::ACCOUNT:oidc-provider/NAME`.
    pub provider_arn: String,
    /// What the session is like.
    pub session: RoleSession,
    /// Where the token comes from.
    pub token: IdToken,
}

/// Where and how the instance metadata is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// Its base URL.
    pub address: Url,
    /// Whether the chain passes over it.
    pub disabled: bool,
    /// The name of the role the chain expects.
    pub role: Option<String>,
    /// Never ask without a token.
    pub only_with_token: bool,
}

impl Default for InstanceMetadata {
    fn default() -> Self {
        let address = "http://100.100.100.200/";
        Self {
            address: Url::parse(address).expect("it is written as a URL"),
            disabled: false,
            role: None,
            only_with_token: false,
        }
    }
}
