//! Resource Access Management: roles and the policies attached to them.

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::clock::iso;
use crate::error::ApiError;
use crate::state::role::Role;

pub(super) fn get_role(context: &mut Context<'_>) -> Answer {
    let role = find(context)?;
    Ok(json!({"Role": role.to_json()}))
}

pub(super) fn create_role(context: &mut Context<'_>) -> Answer {
    let name = context.require("RoleName")?;
    let trust = document(context, "AssumeRolePolicyDocument")?.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if name.len() > 64 || !name.chars().all(allowed) {
        return Err(context.error("InvalidParameter.RoleName.InvalidChars"));
    }
    if context.cloud.roles.contains_key(&name) {
        return Err(context.error("EntityAlreadyExists.Role"));
    }
    let role = Role {
        id: format!(
            "3{}",
            context.wall().as_nanosecond() % 1_000_000_000_000_000_000
        ),
        name: name.clone(),
        description: context.text("Description"),
        max_session: context.params.number("MaxSessionDuration").unwrap_or(3600),
        trust,
        created: context.wall(),
        updated: context.wall(),
        policies: Default::default(),
        effective: context.now,
    };
    context.cloud.roles.insert(name, role);
    let role = change(context)?;
    Ok(json!({"Role": role.to_json()}))
}

pub(super) fn update_role(context: &mut Context<'_>) -> Answer {
    let trust = document(context, "NewAssumeRolePolicyDocument")?;
    let description = context.get("NewDescription").map(str::to_owned);
    let session = context.params.number("NewMaxSessionDuration");
    let role = change(context)?;
    role.trust = trust.unwrap_or(std::mem::take(&mut role.trust));
    role.description = description.unwrap_or(std::mem::take(&mut role.description));
    role.max_session = session.unwrap_or(role.max_session);
    Ok(json!({"Role": role.to_json()}))
}

pub(super) fn delete_role(context: &mut Context<'_>) -> Answer {
    if !find(context)?.policies.is_empty() {
        return Err(context.error("DeleteConflict.Role.Policy"));
    }
    let name = context.require("RoleName")?;
    context.cloud.roles.remove(&name);
    Ok(json!({}))
}

pub(super) fn list_roles(context: &mut Context<'_>) -> Answer {
    let limit = context
        .params
        .number("MaxItems")
        .unwrap_or(100)
        .clamp(1, 1000) as usize;
    let marker = context.text("Marker");
    let mut after = context
        .cloud
        .roles
        .values()
        .filter(|role| role.name > marker);
    let shown: Vec<&Role> = after.by_ref().take(limit).collect();
    let truncated = after.next().is_some();
    let next = shown
        .last()
        .filter(|_| truncated)
        .map(|role| role.name.clone());
    let roles: Vec<Value> = shown.iter().map(|role| role.to_json()).collect();
    let mut answer = json!({"Roles": {"Role": roles}, "IsTruncated": truncated});
    if let Some(next) = next {
        answer["Marker"] = json!(next);
    }
    Ok(answer)
}

pub(super) fn attach_policy(context: &mut Context<'_>) -> Answer {
    let policy = policy(context)?;
    let wall = context.wall();
    if find(context)?.policies.contains_key(&policy) {
        return Err(context.error("EntityAlreadyExists.Role.Policy"));
    }
    change(context)?.policies.insert(policy, wall);
    Ok(json!({}))
}

pub(super) fn detach_policy(context: &mut Context<'_>) -> Answer {
    let policy = policy(context)?;
    if !find(context)?.policies.contains_key(&policy) {
        return Err(context.error("EntityNotExist.Role.Policy"));
    }
    change(context)?.policies.remove(&policy);
    Ok(json!({}))
}

pub(super) fn list_policies(context: &mut Context<'_>) -> Answer {
    let policies = find(context)?.policies.iter();
    let policies: Vec<Value> = policies
        .map(|((kind, name), attached)| {
            json!({
                "PolicyType": kind,
                "PolicyName": name,
                "DefaultVersion": "v1",
                "Description": "",
                "AttachDate": iso(*attached),
            })
        })
        .collect();
    Ok(json!({"Policies": {"Policy": policies}}))
}

pub(super) fn get_policy(context: &mut Context<'_>) -> Answer {
    let (kind, name) = policy(context)?;
    let statement = json!({
        "Version": "1",
        "Statement": [{
            "Action": ["oss:GetObject", "oss:GetBucketLocation", "oss:GetBucketInfo"],
            "Effect": "Allow",
            "Resource": "*",
        }],
    });
    let version = json!({
        "VersionId": "v1",
        "IsDefaultVersion": true,
        "PolicyDocument": statement.to_string(),
    });
    Ok(json!({
        "Policy": {"PolicyType": kind, "PolicyName": name, "DefaultVersion": "v1"},
        "DefaultPolicyVersion": version,
    }))
}

fn find<'a>(context: &'a Context<'_>) -> Result<&'a Role, ApiError> {
    let name = context.require("RoleName")?;
    let role = context.cloud.roles.get(&name);
    role.ok_or_else(|| context.error("EntityNotExist.Role"))
}

/// The role, about to be changed: ECS sees the change later.
fn change<'a>(context: &'a mut Context<'_>) -> Result<&'a mut Role, ApiError> {
    let name = context.require("RoleName")?;
    let delay = context.cloud.delays.role;
    let effective = context.now + context.cloud.draw("ram_role", delay);
    let missing = context.error("EntityNotExist.Role");
    let wall = context.wall();
    let role = context.cloud.roles.get_mut(&name).ok_or(missing)?;
    role.effective = effective;
    role.updated = wall;
    Ok(role)
}

/// Type and name of a policy that exists: the system's all begin alike, and
/// nobody has made a custom one.
fn policy(context: &Context<'_>) -> Result<(String, String), ApiError> {
    let (kind, name) = (
        context.require("PolicyType")?,
        context.require("PolicyName")?,
    );
    let broad = ["AdministratorAccess", "ReadOnlyAccess"];
    if kind == "System" && (name.starts_with("Aliyun") || broad.contains(&name.as_str())) {
        return Ok((kind, name));
    }
    Err(context.error("EntityNotExist.Policy"))
}

fn document(context: &Context<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = context.get(name) else {
        return Ok(None);
    };
    let parsed: Result<Value, _> = serde_json::from_str(text);
    if parsed.is_ok_and(|document| document["Statement"].is_array()) {
        return Ok(Some(text.to_owned()));
    }
    Err(context.error("MalformedPolicyDocument"))
}
