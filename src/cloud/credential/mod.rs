//! Who calls: keys and the things that can provide them.
//!
//! Environment and files are read by `inputs`; what it found arrives here.

mod fixed;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::parameters::HIDDEN;
use crate::error::Result;
use crate::secret::Secret;

pub use fixed::Static;

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
