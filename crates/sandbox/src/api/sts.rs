//! Security Token Service.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::auth::{ACCOUNT_ID, Temporary};
use crate::clock::iso;
use crate::error::ApiError;

pub(super) fn get_caller_identity(context: &mut Context<'_>) -> Answer {
    Ok(json!({
        "IdentityType": context.caller.identity_type,
        "AccountId": ACCOUNT_ID,
        "PrincipalId": ACCOUNT_ID,
        "UserId": ACCOUNT_ID,
        "Arn": context.caller.arn,
    }))
}

pub(super) fn assume_role(context: &mut Context<'_>) -> Answer {
    let arn = context.require("RoleArn")?;
    let session = context.require("RoleSessionName")?;
    let role = role_name(&arn).ok_or_else(|| context.error("InvalidParameter.RoleArn"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
        return Err(context.error("InvalidParameter.RoleSessionName"));
    }
    let seconds = context.params.number("DurationSeconds").unwrap_or(3600);
    if !(900..=43200).contains(&seconds) {
        return Err(context.error("InvalidParameter.DurationSeconds"));
    }
    let policy = session_policy(context)?;
    let temporary = Temporary {
        access_key_id: format!("STS.{}", context.cloud.new_secret(24)),
        access_key_secret: context.cloud.new_secret(44),
        security_token: format!("CAIS{}", context.cloud.new_secret(200)),
    };
    let expires = context.now + Duration::from_secs(seconds.unsigned_abs());
    context
        .authority
        .open_session(&temporary, role, &session, expires, policy);
    Ok(json!({
        "AssumedRoleUser": {
            "AssumedRoleId": format!("391578752573972854:{session}"),
            "Arn": format!("acs:ram::{ACCOUNT_ID}:role/{role}/{session}"),
        },
        "Credentials": {
            "AccessKeyId": temporary.access_key_id,
            "AccessKeySecret": temporary.access_key_secret,
            "SecurityToken": temporary.security_token,
            "Expiration": iso(context.clock.wall(expires)),
        },
    }))
}

/// `acs:ram::1234567890123456:role/name` → `name`.
fn role_name(arn: &str) -> Option<&str> {
    let (account, role) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    let valid = !role.is_empty() && account.chars().all(|c| c.is_ascii_digit());
    valid.then_some(role)
}

fn session_policy(context: &Context<'_>) -> Result<Option<Value>, ApiError> {
    let parse = |text: &str| {
        serde_json::from_str(text).map_err(|_| context.error("InvalidParameter.PolicyGrammar"))
    };
    context.get("Policy").map(parse).transpose()
}
