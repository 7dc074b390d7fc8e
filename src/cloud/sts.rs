//! Typed requests and answers of Security Token Service, 2015-04-01.
#![expect(
    missing_docs,
    reason = "fields are documented in the API's own reference"
)]

use serde::{Deserialize, Deserializer, Serialize};

use crate::cloud::answer::text;
use crate::cloud::parameters::secret;
use crate::secret::Secret;

/// Who is calling? Needs no permission.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCallerIdentity {}
action!(Sts GetCallerIdentity -> GetCallerIdentityResponse, Always, Call);

/// The caller.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetCallerIdentityResponse {
    #[serde(deserialize_with = "text")]
    pub account_id: String,
    pub arn: String,
    /// `Account`, `RAMUser` or `AssumedRoleUser`.
    pub identity_type: String,
    #[serde(deserialize_with = "text")]
    pub principal_id: String,
}

/// Opens a session of a role, which ends by itself.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRole {
    pub role_arn: String,
    pub role_session_name: String,
    /// 900 to the role's MaxSessionDuration.
    pub duration_seconds: u32,
    pub policy: Option<String>,
    pub external_id: Option<String>,
}
action!(Sts AssumeRole -> AssumeRoleResponse, Always, Call);

/// The same with a token of an OpenID Connect provider; it is not signed.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRoleWithOidc {
    pub role_arn: String,
    #[serde(rename = "OIDCProviderArn")]
    pub oidc_provider_arn: String,
    #[serde(rename = "OIDCToken", serialize_with = "secret")]
    pub oidc_token: Option<Secret>,
    pub role_session_name: String,
    pub duration_seconds: u32,
    pub policy: Option<String>,
}

impl super::Action for AssumeRoleWithOidc {
    type Response = AssumeRoleResponse;
    const PRODUCT: super::Product = super::Product::Sts;
    const NAME: &'static str = "AssumeRoleWithOIDC";
    const REPEAT: super::Repeat = super::Repeat::Always;
}

impl super::Call for AssumeRoleWithOidc {}

/// Makes temporary keys for the owner of an RSA key pair, who signs with it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateSessionAccessKey {
    /// 900 to 3600.
    pub duration_seconds: u32,
}
action!(Sts GenerateSessionAccessKey -> GenerateSessionAccessKeyResponse, Always, Call);

/// Keys without a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateSessionAccessKeyResponse {
    pub session_access_key: SessionAccessKey,
}

/// The keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionAccessKey {
    pub session_access_key_id: String,
    #[serde(deserialize_with = "hidden")]
    pub session_access_key_secret: Secret,
    /// `2026-01-02T03:04:05Z`
    pub expiration: String,
}

/// A session of a role.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRoleResponse {
    pub credentials: SessionCredentials,
}

/// The keys of a session.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionCredentials {
    pub access_key_id: String,
    #[serde(deserialize_with = "hidden")]
    pub access_key_secret: Secret,
    #[serde(deserialize_with = "hidden")]
    pub security_token: Secret,
    /// `2026-01-02T03:04:05Z`
    pub expiration: String,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}
