//! A RAM role, assumed with a token of an OpenID Connect provider (STS
//! AssumeRoleWithOIDC): no key is stored anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::ambient::OidcRole;
use super::{Credential, Network, Provider, Static};
use crate::cloud::failure::is_code;
use crate::cloud::sts::AssumeRoleWithOidc;
use crate::error::{Error, Result};
use crate::secret::Secret;

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
        let claims = claims(&token);
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
        let answer = answer.map_err(|error| explained(error, role_arn, claims))?;
        Ok(answer.credentials.into())
    }
}

/// What a trust policy can ask of the token: not secret, unlike the rest.
fn claims(token: &Secret) -> Option<String> {
    let payload = token.expose().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    let names = ["iss", "aud", "sub"];
    let known = names.iter().filter_map(|name| {
        let value = payload[name].as_str()?;
        Some(format!("`oidc:{name}` is `{value}`"))
    });
    let known: Vec<_> = known.collect();
    (!known.is_empty()).then(|| format!("In the token, {}", known.join(", ")))
}

fn explained(error: Error, arn: &str, claims: Option<String>) -> Error {
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
        Some((_, hint)) => claims
            .into_iter()
            .fold(error.with_hint(*hint), Error::with_hint),
        None => error,
    }
}
