//! Who calls: keys, and everything that can provide them.
//!
//! ```text
//! Source (data: a profile, a role, …)
//!    │  Credentials::of
//!    ▼
//! CredentialProvider ◄── Refreshing (keeps keys, renews them in time) ◄── Provider (fetches)
//! ```
//!
//! The environment is read by `inputs`, templates by `plan`; what they found
//! arrives here as a [`Source`] or as [`Ambient`]. The files of Alibaba
//! Cloud's own tools are read here, because the default chain reads them only
//! when nothing before them serves.
//!
//! Facts: the documentation of the Alibaba Cloud CLI and of the official
//! credentials libraries.

mod ambient;
mod chain;
mod fixed;
mod hiding;
mod id_token;
mod ini;
mod instance;
mod login;
mod oidc;
mod plain;
mod process;
mod profile;
mod refreshing;
mod role;
mod rsa_key_pair;
mod source;
#[cfg(test)]
mod tests;
mod uri;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::parameters::HIDDEN;
use crate::error::Result;
use crate::secret::Secret;

pub use ambient::{Ambient, InstanceMetadata, OidcRole, OidcSetting};
pub use chain::{Found, Nothing, PassedOver};
pub use fixed::{Keys, Static};
pub use hiding::Hiding;
pub use id_token::IdToken;
pub use login::{CloudSso, OAuth, OAuthSite};
pub use profile::{Profile, ProfileFile, Profiles};
pub use role::{AssumedRole, RoleSession};
pub use rsa_key_pair::RsaKeyPair;
pub use source::{Credentials, Network, Source};

/// Keys that can sign requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// AccessKey id; starts with `STS.` when temporary.
    pub access_key_id: String,
    /// AccessKey secret.
    pub secret: Secret,
    /// The token that belongs to temporary keys.
    pub security_token: Option<Secret>,
    /// When temporary keys end, if known.
    pub expiration: Option<Timestamp>,
}

/// Something that can provide keys, perhaps fresh ones later.
#[async_trait]
pub trait CredentialProvider: Send + Sync {
    /// Keys that are good now; called before each request, so an
    /// implementation keeps what it has until it gets old.
    ///
    /// # Errors
    /// `Kind::Credentials` when there are none.
    async fn get(&self) -> Result<Arc<Credential>>;

    /// Keys other than `refused`, which the API no longer takes. Returning
    /// the same ones means that there are no others.
    ///
    /// # Errors
    /// As [`CredentialProvider::get`].
    async fn refresh(&self, refused: &Credential) -> Result<Arc<Credential>> {
        let _ = refused;
        self.get().await
    }
}

/// One way to get keys. It keeps nothing: `Refreshing` does.
#[async_trait]
trait Provider: Send + Sync {
    /// Fresh keys.
    async fn fetch(&self) -> Result<Credential>;
}

impl Credential {
    /// The text without secret and token, for a server that quotes them.
    pub(super) fn scrub(&self, text: &str) -> String {
        let secrets = [Some(&self.secret), self.security_token.as_ref()];
        secrets
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| {
                text.replace(secret.expose(), HIDDEN)
            })
    }
}
