//! Security Token Service.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
    let role = role_name(&arn).ok_or_else(|| context.error("InvalidParameter.RoleArn"))?;
    open_session(context, role)
}

/// The token's signature is not verified: whoever makes tokens for tests has
/// no key that a real provider would publish.
pub(super) fn assume_role_with_oidc(context: &mut Context<'_>) -> Answer {
    let arn = context.require("RoleArn")?;
    let provider = context.require("OIDCProviderArn")?;
    let claims = claims(&context.require("OIDCToken")?)
        .ok_or_else(|| refused("OIDCToken.Invalid", "This JsonWebToken is not valid."))?;
    check_claims(context, &provider, &claims)?;
    let role = role_name(&arn).ok_or_else(|| no_permission("Parameter RoleArn is not valid"))?;
    let mut answer = open_session(context, role)?;
    answer["OIDCTokenInfo"] = json!({
        "Subject": claims["sub"],
        "Issuer": claims["iss"],
        "ClientIds": claims["aud"],
        "VerificationInfo": "Success",
    });
    Ok(answer)
}

/// The payload of a JSON web token.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    (parts.next().is_none() && claims["exp"].is_i64()).then_some(claims)
}

fn check_claims(context: &Context<'_>, arn: &str, claims: &Value) -> Result<(), ApiError> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let provider = context.authority.oidc_providers.get(name);
    let provider =
        provider.ok_or_else(|| no_permission("Parameter OIDCProviderArn is not valid"))?;
    if claims["exp"].as_i64() <= Some(context.wall().as_second()) {
        return Err(refused(
            "OIDCToken.Expired",
            "This JsonWebToken is expired.",
        ));
    }
    if claims["iss"] != provider.issuer.as_str() {
        return Err(refused("OIDCToken.Invalid", "The issuer does not match."));
    }
    let is_known = |audience: &&String| claims["aud"] == audience.as_str();
    if !provider.client_ids.iter().any(|id| is_known(&id)) {
        let message = "The audience does not match.";
        return Err(refused("OIDCToken.AudienceNotMatch", message));
    }
    Ok(())
}

fn refused(code: &str, message: &str) -> ApiError {
    ApiError::new(400, format!("AuthenticationFail.{code}"), message)
}

fn no_permission(message: &str) -> ApiError {
    ApiError::new(403, "AuthenticationFail.NoPermission", message)
}

fn open_session(context: &mut Context<'_>, role: &str) -> Answer {
    let session = context.require("RoleSessionName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(allowed) {
        return Err(context.error("InvalidParameter.RoleSessionName"));
    }
    let seconds = context.params.number("DurationSeconds").unwrap_or(3600);
    if !(900..=43200).contains(&seconds) {
        return Err(context.error("InvalidParameter.DurationSeconds"));
    }
    let policy = session_policy(context)?;
    let temporary = Temporary::new(context.cloud);
    let asked = Duration::from_secs(seconds.unsigned_abs());
    let expires = context.now + context.authority.life(asked);
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

/// `acs:ram::1234567890123456:role/name` → `name`. Documents write `x` or `*`
/// for digits of an account.
fn role_name(arn: &str) -> Option<&str> {
    let (account, role) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    let valid = !role.is_empty()
        && account
            .chars()
            .all(|c| c.is_ascii_digit() || "x*".contains(c));
    valid.then_some(role)
}

fn session_policy(context: &Context<'_>) -> Result<Option<Value>, ApiError> {
    let parse = |text: &str| {
        serde_json::from_str(text).map_err(|_| context.error("InvalidParameter.PolicyGrammar"))
    };
    context.get("Policy").map(parse).transpose()
}
