//! Keys that never change.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Credential, CredentialProvider};
use crate::error::Result;
use crate::secret::Secret;

/// Keys as somebody wrote them down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// AccessKey id.
    pub access_key: String,
    /// AccessKey secret.
    pub secret_key: Secret,
    /// STS token that belongs to them.
    pub security_token: Option<Secret>,
}

/// Keys that were given as they are. Temporary ones end some time and cannot
/// be renewed.
#[derive(Debug, Clone)]
pub struct Static(Arc<Credential>);

impl Static {
    /// Wraps keys. An empty token, as some CI steps export, is none.
    pub fn new(
        access_key_id: impl Into<String>,
        secret: Secret,
        security_token: Option<Secret>,
    ) -> Self {
        Self(Arc::new(Credential {
            access_key_id: access_key_id.into(),
            secret,
            security_token: security_token.filter(|token| !token.is_empty()),
            expiration: None,
        }))
    }

    /// No keys, for the calls that carry a proof of their own.
    pub(super) fn none() -> Self {
        Self::new("", Secret::new(""), None)
    }
}

impl From<&Keys> for Static {
    fn from(keys: &Keys) -> Self {
        Self::new(
            keys.access_key.clone(),
            keys.secret_key.clone(),
            keys.security_token.clone(),
        )
    }
}

#[async_trait]
impl CredentialProvider for Static {
    async fn get(&self) -> Result<Arc<Credential>> {
        Ok(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_token_is_none() {
        let keys = Static::new("id", Secret::new("s"), Some(Secret::new("")));
        assert_eq!(keys.get().await.unwrap().security_token, None);
    }
}
