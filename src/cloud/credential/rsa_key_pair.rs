//! Keys for the owner of an RSA key pair (STS GenerateSessionAccessKey). It is
//! deprecated, and only accounts that have one still use it.
//!
//! Facts: the official credentials library for Go, and the Alibaba Cloud CLI,
//! whose profiles hold the key itself or, since version 3, the name of a file.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Credential, Network, Provider, RoleSession, Static};
use crate::cloud::sign::{SignatureAlgorithm, is_rsa_key};
use crate::cloud::sts::GenerateSessionAccessKey;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// An RSA key pair of an account.
#[derive(Debug, Clone)]
pub struct RsaKeyPair {
    /// The id of its public half.
    pub public_key_id: String,
    /// Its private half, which is an RSA key.
    private_key: Secret,
    /// How long keys last, and whose STS is asked.
    session: RoleSession,
}

impl RsaKeyPair {
    /// With a private key or the name of its file.
    ///
    /// # Errors
    /// `Kind::Credentials` when it cannot be read.
    pub(super) fn read(
        public_key_id: String,
        private_key: &str,
        session: RoleSession,
    ) -> Result<Self> {
        let failed = |what| Error::new(Kind::Credentials, what);
        let private_key = match private_key.contains("-----BEGIN ") {
            true => private_key.to_owned(),
            false => {
                let path = Path::new(private_key);
                std::fs::read_to_string(path).map_err(|error| {
                    failed(format!("Cannot read `{}`", path.display())).with_source(error)
                })?
            }
        };
        let private_key = Secret::new(private_key);
        if !is_rsa_key(&private_key) {
            return Err(failed("The private key is no RSA key in PEM format".into())
                .with_hint("A key with a password cannot be used"));
        }
        Ok(Self {
            public_key_id,
            private_key,
            session,
        })
    }

    /// What must not be shown.
    pub(super) fn secret(&self) -> &Secret {
        &self.private_key
    }
}

pub(super) struct RsaKeyPairProvider {
    pub(super) network: Network,
    pub(super) pair: RsaKeyPair,
}

#[async_trait]
impl Provider for RsaKeyPairProvider {
    async fn fetch(&self) -> Result<Credential> {
        let RsaKeyPair {
            public_key_id,
            private_key,
            session,
        } = &self.pair;
        let owner = Static::new(public_key_id.as_str(), private_key.clone(), None);
        let network = Network {
            signature: SignatureAlgorithm::RpcSha256Rsa,
            ..self.network.clone()
        };
        let sts = session.sts(&network, Arc::new(owner))?;
        let request = GenerateSessionAccessKey {
            duration_seconds: session.duration(),
        };
        let region = session.region(&network);
        let answer = sts.call(&region, &request, &network.stop()).await;
        let answer = answer.map_err(|error| {
            let message = format!("Failed to get keys for the RSA key pair `{public_key_id}`");
            error.context(message).with_hint(
                "Alibaba Cloud has deprecated RSA key pairs: use keys, a role or OIDC instead",
            )
        })?;
        let keys = answer.session_access_key;
        Ok(Credential {
            access_key_id: keys.session_access_key_id,
            secret: keys.session_access_key_secret,
            security_token: None,
            expiration: super::plain::expiration(&keys.expiration),
        })
    }
}
