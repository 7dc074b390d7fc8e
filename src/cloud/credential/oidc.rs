//! A RAM role, assumed with a token of an OpenID Connect provider (STS
//! AssumeRoleWithOIDC): no key is stored anywhere.

use std::sync::Arc;

use async_trait::async_trait;

use super::ambient::OidcRole;
use super::{Credential, Network, Provider, Static};
use crate::cloud::failure::is_code;
use crate::cloud::sts::AssumeRoleWithOidc;
use crate::error::{Error, Result};

pub(super) struct OidcProvider {
    pub(super) network: Network,
    pub(super) role: OidcRole,
}

#[async_trait]
impl Provider for OidcProvider {
    async fn fetch(&self) -> Result<Credential> {
        let OidcRole {
            role_arn,
            provider_arn,
            session,
            token,
        } = &self.role;
        // A fresh one each time: tokens of CI systems live for minutes.
        let token = token.fetch(&self.network).await?;
        self.network.hiding.value(&token);
        let request = AssumeRoleWithOidc {
            role_arn: role_arn.clone(),
            oidc_provider_arn: provider_arn.clone(),
            oidc_token: Some(token),
            role_session_name: session.name(),
            duration_seconds: session.duration(),
            policy: session.policy.clone(),
        };
        let unsigned = self.network.clone().anonymous();
        let sts = session.sts(&unsigned, Arc::new(Static::none()))?;
        let region = session.region(&self.network);
        let answer = sts.call(&region, &request, &self.network.stop()).await;
        let answer = answer.map_err(|error| explained(error, role_arn))?;
        Ok(answer.credentials.into())
    }
}

fn explained(error: Error, arn: &str) -> Error {
    const HINTS: &[(&str, &str)] = &[
        (
            "AuthenticationFail.OIDCToken.Expired",
            "The token has ended: one from a variable or file cannot be renewed by us; give it a \
             longer life, or the role's session",
        ),
        (
            "AuthenticationFail.OIDCToken.AudienceNotMatch",
            "The token's audience must be one of the OIDC provider's client ids in RAM",
        ),
        (
            "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
            "Update the fingerprint of the OIDC provider in RAM",
        ),
        (
            "AuthenticationFail.NoPermission",
            "The role's trust policy must name the OIDC provider, and its conditions on `oidc:iss`, \
             `oidc:aud` and `oidc:sub` must fit the token",
        ),
    ];
    let hint = HINTS.iter().find(|(code, _)| is_code(&error, &[code]));
    let error = error.context(format!("Failed to assume the role `{arn}` with OIDC"));
    match hint {
        Some((_, hint)) => error.with_hint(*hint),
        None => error,
    }
}
