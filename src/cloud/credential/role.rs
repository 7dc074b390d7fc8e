//! A RAM role, assumed with other keys (STS AssumeRole).

use std::sync::Arc;

use async_trait::async_trait;

use super::{Credential, CredentialProvider, Network, Provider, Source};
use crate::cloud::failure::is_code;
use crate::cloud::sts::{AssumeRole, SessionCredentials};
use crate::cloud::{Cloud, Product};
use crate::error::{Error, Result};

/// The name of sessions that nobody named.
const SESSION_NAME: &str = "alicloud-image";

/// The life of a session nobody asked for, seconds: what every role allows.
pub(super) const DURATION: u32 = 3600;

/// Where STS is asked when nobody says where.
const STS_REGION: &str = "cn-hangzhou";

/// A role and whose keys assume it.
#[derive(Debug, Clone)]
pub struct AssumedRole {
    /// Where the keys that assume it come from.
    pub base: Source,
    /// `acs:ram::ACCOUNT:role/NAME`.
    pub arn: String,
    /// What the session is like.
    pub session: RoleSession,
}

/// What a session of a role is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleSession {
    /// Its name in logs of the cloud.
    pub name: Option<String>,
    /// Its life in seconds.
    pub duration: Option<u32>,
    /// A policy (JSON) that narrows the role's.
    pub policy: Option<String>,
    /// What the role's owner demands from other accounts.
    pub external_id: Option<String>,
    /// Whose STS is asked.
    pub sts_region: Option<String>,
    /// The endpoint of STS.
    pub sts_endpoint: Option<String>,
}

impl RoleSession {
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| SESSION_NAME.to_owned())
    }

    pub(super) fn duration(&self) -> u32 {
        self.duration.unwrap_or(DURATION)
    }

    /// Where STS is asked.
    pub(super) fn region(&self, network: &Network) -> String {
        let region = self.sts_region.as_ref().or(network.sts_region.as_ref());
        region.map_or_else(|| STS_REGION.to_owned(), Clone::clone)
    }

    /// A client of STS.
    pub(super) fn sts(
        &self,
        network: &Network,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Cloud> {
        let mut config = network.config(credentials);
        if let Some(endpoint) = &self.sts_endpoint {
            config.endpoints = config.endpoints.with(Product::Sts, endpoint)?;
        }
        Ok(Cloud::new(config))
    }
}

pub(super) struct RoleProvider {
    pub(super) network: Network,
    pub(super) base: Arc<dyn CredentialProvider>,
    pub(super) arn: String,
    pub(super) session: RoleSession,
}

#[async_trait]
impl Provider for RoleProvider {
    async fn fetch(&self) -> Result<Credential> {
        let request = AssumeRole {
            role_arn: self.arn.clone(),
            role_session_name: self.session.name(),
            duration_seconds: self.session.duration(),
            policy: self.session.policy.clone(),
            external_id: self.session.external_id.clone(),
        };
        let sts = self.session.sts(&self.network, Arc::clone(&self.base))?;
        let region = self.session.region(&self.network);
        let answer = sts.call(&region, &request, &self.network.stop()).await;
        let answer = answer.map_err(|error| explained(error, &self.arn))?;
        Ok(answer.credentials.into())
    }
}

impl From<SessionCredentials> for Credential {
    fn from(answer: SessionCredentials) -> Self {
        Self {
            access_key_id: answer.access_key_id,
            secret: answer.access_key_secret,
            security_token: Some(answer.security_token),
            expiration: super::plain::expiration(&answer.expiration),
        }
    }
}

fn explained(error: Error, arn: &str) -> Error {
    let hint = if is_code(&error, &["NoPermission", "AuthenticationFail.NoPermission"]) {
        Some(
            "The role's trust policy must name the caller, too; an account's root user cannot \
             assume roles",
        )
    } else if is_code(&error, &["EntityNotExist.Role"]) {
        Some("Check account and name in the ARN: `acs:ram::ACCOUNT:role/NAME`")
    } else if is_code(&error, &["InvalidParameter.DurationSeconds"]) {
        Some("A session lives at least 900 s, and no longer than the role's MaxSessionDuration")
    } else {
        None
    };
    let error = error.context(format!("Failed to assume the role `{arn}`"));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
