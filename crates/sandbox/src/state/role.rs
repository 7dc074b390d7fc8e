//! RAM roles. What is changed is seen by ECS only after a while.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Cloud;
use crate::auth::ACCOUNT_ID;
use crate::clock::{Moment, iso};

/// The role ImportImage takes when the call names none.
pub(crate) const IMPORT_ROLE: &str = "AliyunECSImageImportDefaultRole";

/// Policies with which ECS may read objects.
const READING_POLICIES: &[&str] = &[
    "AliyunECSImageImportRolePolicy",
    "AliyunOSSReadOnlyAccess",
    "AliyunOSSFullAccess",
    "AdministratorAccess",
];

#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) max_session: i64,
    /// Trust policy as it was put.
    pub(crate) trust: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// By type and name, with the time of their attachment.
    pub(crate) policies: BTreeMap<(String, String), Timestamp>,
    /// From when on ECS sees it as it is.
    pub(crate) effective: Moment,
}

impl Cloud {
    /// Whether ECS may read objects through a role.
    pub(crate) fn may_import(&self, role: &str, now: Moment) -> bool {
        let role = self.roles.get(role);
        role.is_some_and(|role| role.trusts_ecs() && role.reads_objects() && now >= role.effective)
    }
}

impl Role {
    fn trusts_ecs(&self) -> bool {
        let Ok(document) = serde_json::from_str::<Value>(&self.trust) else {
            return false;
        };
        let statements = document["Statement"].as_array();
        statements.into_iter().flatten().any(|statement| {
            let services = &statement["Principal"]["Service"];
            let names = |value: &Value| value.as_str() == Some("ecs.aliyuncs.com");
            let listed = services
                .as_array()
                .is_some_and(|list| list.iter().any(names));
            statement["Effect"] == "Allow" && (names(services) || listed)
        })
    }

    fn reads_objects(&self) -> bool {
        let mut policies = self.policies.keys();
        policies.any(|(kind, name)| kind == "System" && READING_POLICIES.contains(&name.as_str()))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "RoleName": self.name,
            "RoleId": self.id,
            "RolePrincipalName": format!("{}@role.{ACCOUNT_ID}.onaliyunservice.com", self.name),
            "Arn": format!("acs:ram::{ACCOUNT_ID}:role/{}", self.name.to_ascii_lowercase()),
            "Description": self.description,
            "MaxSessionDuration": self.max_session,
            "AssumeRolePolicyDocument": self.trust,
            "CreateDate": iso(self.created),
            "UpdateDate": iso(self.updated),
        })
    }
}
