//! The RAM role by which ECS reads the object.
//!
//! It is made when it is missing and completed when it lacks the policy. A
//! trust policy that someone wrote is never changed: it may serve others.
//! Facts: "Import images" of the ECS documentation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::builder::BuildContext;
use crate::cloud::ram::{
    AttachPolicyToRole, CreateRole, GetPolicy, GetRole, ListPoliciesForRole, Role,
};
use crate::cloud::{Cloud, is_code};
use crate::error::{Error, Kind, Result};
use crate::plan::import::DEFAULT_ROLE;

const POLICY: &str = "AliyunECSImageImportRolePolicy";
const SERVICE: &str = "ecs.aliyuncs.com";

/// How long a role that was just made may take to work.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// How the role is when the import begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleState {
    /// It is there, with everything.
    Ready,
    /// It was made or completed; ECS may need a moment to see it.
    Changed,
    /// We may not look: ECS will say.
    Unknown,
}

/// What a look at the role found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there, with everything.
    Ready,
    /// The default role does not exist.
    Missing,
    /// The default role has no policy.
    Incomplete,
    /// We may not look, or it is someone's own: ECS will say.
    Unknown,
}

/// Looks at the role; nothing is changed.
pub(super) async fn look(
    cx: &BuildContext<'_>,
    cloud: &Cloud,
    region: &str,
    name: &str,
) -> Result<Found> {
    let request = GetRole {
        role_name: name.to_owned(),
    };
    match cloud.call(region, &request, cx.stop).await {
        Ok(found) => look_inside(cx, cloud, region, name, &found.role).await,
        Err(error) if is_code(&error, &["EntityNotExist.Role"]) => missing(name),
        Err(error) if error.kind() == Kind::Credentials && is_code(&error, DENIED) => {
            let why = "these keys may not look at RAM roles (ram:GetRole)";
            cx.events
                .message(format!("Role {name} was not checked: {why}"));
            Ok(Found::Unknown)
        }
        Err(error) => Err(error.context(format!("Cannot look at role {name}"))),
    }
}

/// Makes or completes the default role, as it was found to need.
pub(super) async fn put_right(
    cx: &BuildContext<'_>,
    cloud: &Cloud,
    region: &str,
    name: &str,
    found: Found,
) -> Result<RoleState> {
    match found {
        Found::Ready => return Ok(RoleState::Ready),
        Found::Unknown => return Ok(RoleState::Unknown),
        Found::Missing => create(cx, cloud, region, name).await?,
        Found::Incomplete => {}
    }
    attach(cx, cloud, region, name).await?;
    Ok(RoleState::Changed)
}

const DENIED: &[&str] = &["NoPermission", "Forbidden.RAM", "Forbidden.SubUser"];

fn missing(name: &str) -> Result<Found> {
    if name == DEFAULT_ROLE {
        return Ok(Found::Missing);
    }
    let message = format!("Role {name} does not exist");
    Err(Error::new(Kind::Cloud, message).with_hint(format!(
        "Create it with a trust policy for {SERVICE} and the policy {POLICY}, or leave \
         `image_import_role_name` out"
    )))
}

async fn create(cx: &BuildContext<'_>, cloud: &Cloud, region: &str, name: &str) -> Result<()> {
    cx.events.say(format!(
        "Creating role {name}, by which ECS reads the object..."
    ));
    let request = CreateRole {
        role_name: name.to_owned(),
        description: Some("Lets ECS import images from OSS".to_owned()),
        assume_role_policy_document: trust_policy().to_string(),
    };
    match cloud.call(region, &request, cx.stop).await {
        Ok(_) => Ok(()),
        // A run beside this one was faster.
        Err(error) if is_code(&error, &["EntityAlreadyExists.Role"]) => Ok(()),
        Err(error) => Err(error.context(format!("Cannot create role {name}"))),
    }
}

async fn look_inside(
    cx: &BuildContext<'_>,
    cloud: &Cloud,
    region: &str,
    name: &str,
    role: &Role,
) -> Result<Found> {
    if !trusts_ecs(&role.assume_role_policy_document) {
        let message = format!("Role {name} does not let ECS use it");
        return Err(Error::new(Kind::Cloud, message).with_hint(format!(
            "Add `{SERVICE}` to the services of its trust policy; it was written by someone, so \
             it is not changed here. Or name another role with `image_import_role_name`"
        )));
    }
    let request = ListPoliciesForRole {
        role_name: name.to_owned(),
    };
    let policies = match cloud.call(region, &request, cx.stop).await {
        Ok(answer) => answer.policies,
        Err(error) if is_code(&error, DENIED) => return Ok(Found::Unknown),
        Err(error) => return Err(error.context(format!("Cannot look at role {name}"))),
    };
    let is_complete = policies.iter().any(|policy| policy.policy_name == POLICY)
        || reads_oss(cx, cloud, region, &policies).await;
    if is_complete {
        return Ok(Found::Ready);
    }
    if name == DEFAULT_ROLE {
        return Ok(Found::Incomplete);
    }
    // What a role of someone's own may do is theirs to say.
    cx.events.warn(format!(
        "Role {name} has neither {POLICY} nor another policy that lets it read OSS"
    ));
    Ok(Found::Unknown)
}

async fn attach(cx: &BuildContext<'_>, cloud: &Cloud, region: &str, name: &str) -> Result<()> {
    cx.events
        .say(format!("Attaching policy {POLICY} to role {name}..."));
    let request = AttachPolicyToRole {
        policy_type: "System".to_owned(),
        policy_name: POLICY.to_owned(),
        role_name: name.to_owned(),
    };
    match cloud.call(region, &request, cx.stop).await {
        Ok(_) => Ok(()),
        Err(error) if is_code(&error, &["EntityAlreadyExists.Role.Policy"]) => Ok(()),
        Err(error) => Err(error.context(format!("Cannot attach policy {POLICY} to role {name}"))),
    }
}

/// Whether one of the policies that someone attached allows to read objects.
async fn reads_oss(
    cx: &BuildContext<'_>,
    cloud: &Cloud,
    region: &str,
    policies: &[crate::cloud::ram::AttachedPolicy],
) -> bool {
    for policy in policies {
        let request = GetPolicy {
            policy_type: policy.policy_type.clone(),
            policy_name: policy.policy_name.clone(),
        };
        let Ok(answer) = cloud.call(region, &request, cx.stop).await else {
            continue;
        };
        if allows_reading(&answer.default_policy_version.policy_document) {
            return true;
        }
    }
    false
}

fn trust_policy() -> Value {
    json!({
        "Statement": [{
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": [SERVICE]},
        }],
        "Version": "1",
    })
}

fn trusts_ecs(document: &str) -> bool {
    allowing(document, |statement| {
        texts(&statement["Principal"]["Service"]).any(|service| service == SERVICE)
    })
}

fn allows_reading(document: &str) -> bool {
    const READING: &[&str] = &["*", "oss:*", "oss:Get*", "oss:GetObject"];
    allowing(document, |statement| {
        texts(&statement["Action"]).any(|action| READING.contains(&action))
    })
}

/// Whether a statement that allows something is like this.
fn allowing(document: &str, is_it: impl Fn(&Value) -> bool) -> bool {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let statements = document["Statement"].as_array();
    statements
        .into_iter()
        .flatten()
        .any(|statement| statement["Effect"] == "Allow" && is_it(statement))
}

/// One text or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let many = value.as_array().into_iter().flatten();
    one.into_iter().chain(many.filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_found_however_it_is_written() {
        let one = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ecs.aliyuncs.com"}}],"Version":"1"}"#;
        let several = r#"{"Statement":[{"Effect":"Allow","Principal":{"RAM":"acs:ram::1:root"}},{"Effect":"Allow","Principal":{"Service":["oss.aliyuncs.com","ecs.aliyuncs.com"]}}]}"#;
        let denied =
            r#"{"Statement":[{"Effect":"Deny","Principal":{"Service":["ecs.aliyuncs.com"]}}]}"#;
        assert!(trusts_ecs(one) && trusts_ecs(several));
        assert!(trusts_ecs(&trust_policy().to_string()));
        assert!(!trusts_ecs(denied) && !trusts_ecs("{}") && !trusts_ecs("not JSON"));
    }

    #[test]
    fn a_policy_of_ones_own_may_do() {
        assert!(allows_reading(
            r#"{"Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:GetBucketInfo"]}]}"#
        ));
        assert!(allows_reading(
            r#"{"Statement":[{"Effect":"Allow","Action":"*"}]}"#
        ));
        assert!(!allows_reading(
            r#"{"Statement":[{"Effect":"Deny","Action":"oss:*"},{"Effect":"Allow","Action":"ecs:*"}]}"#
        ));
    }
}
