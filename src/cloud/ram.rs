//! Typed requests and answers of Resource Access Management, 2015-05-01.
#![expect(
    missing_docs,
    reason = "fields are documented in the API's own reference"
)]

use serde::{Deserialize, Serialize};

use crate::cloud::Done;
use crate::cloud::answer::list;

/// Looks at a role.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRole {
    pub role_name: String,
}
action!(Ram GetRole -> GetRoleResponse, Always, Call);

/// The role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetRoleResponse {
    pub role: Role,
}

/// A role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Role {
    pub role_name: String,
    pub arn: String,
    /// JSON: who may assume it.
    pub assume_role_policy_document: String,
}

/// Makes a role. It belongs to the account's set-up and stays, so no run owns
/// it and no journal lists it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRole {
    pub role_name: String,
    pub description: Option<String>,
    pub assume_role_policy_document: String,
}
action!(Ram CreateRole -> GetRoleResponse, Always, Call);

/// The policies a role has.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPoliciesForRole {
    pub role_name: String,
}
action!(Ram ListPoliciesForRole -> ListPoliciesForRoleResponse, Always, Call);

/// The policies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListPoliciesForRoleResponse {
    #[serde(deserialize_with = "list")]
    pub policies: Vec<AttachedPolicy>,
}

/// A policy of a role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AttachedPolicy {
    pub policy_name: String,
    /// `System` or `Custom`.
    pub policy_type: String,
}

/// Gives a role a policy.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachPolicyToRole {
    pub policy_type: String,
    pub policy_name: String,
    pub role_name: String,
}
action!(Ram AttachPolicyToRole -> Done, Always, Call);

/// Looks at a policy.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPolicy {
    pub policy_type: String,
    pub policy_name: String,
}
action!(Ram GetPolicy -> GetPolicyResponse, Always, Call);

/// The policy and the document in force.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetPolicyResponse {
    pub default_policy_version: PolicyVersion,
}

/// A version of a policy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyVersion {
    /// JSON: what it allows.
    pub policy_document: String,
}
