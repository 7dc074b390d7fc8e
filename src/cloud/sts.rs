//! Typed requests and answers of Security Token Service, 2015-04-01.
#![expect(
    missing_docs,
    reason = "fields are documented in the API's own reference"
)]

use serde::{Deserialize, Serialize};

use crate::cloud::answer::text;

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
