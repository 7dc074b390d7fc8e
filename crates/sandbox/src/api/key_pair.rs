//! Key pairs.

use russh::keys::ssh_key::{HashAlg, PublicKey};
use serde_json::{Value, json};

use super::{Answer, Context, equals};
use crate::error::ApiError;
use crate::state::instance::{InstanceStatus, KeyPair};

pub(super) fn import_key_pair(context: &mut Context<'_>) -> Answer {
    let name = context.require("KeyPairName")?;
    let body = context.require("PublicKeyBody")?;
    let key = PublicKey::from_openssh(body.trim());
    let key = key.map_err(|_| context.error("InvalidPublicKeyBody.Malformed"))?;
    let fingerprint = add(context, &name, &key)?.fingerprint;
    Ok(json!({"KeyPairName": name, "KeyPairFingerPrint": fingerprint}))
}

pub(super) fn create_key_pair(context: &mut Context<'_>) -> Answer {
    let name = context.require("KeyPairName")?;
    let key = context.keys.take();
    let key = key.ok_or_else(|| ApiError::new(500, "InternalError", "Key generation failed."))?;
    let pair = add(context, &name, &key.public)?;
    Ok(json!({
        "KeyPairName": name,
        "KeyPairId": pair.common.id,
        "KeyPairFingerPrint": pair.fingerprint,
        "PrivateKeyBody": key.pem,
    }))
}

fn add(context: &mut Context<'_>, name: &str, key: &PublicKey) -> Result<KeyPair, ApiError> {
    if !is_valid_name(name) {
        return Err(context.error("InvalidKeyPairName.Malformed"));
    }
    let id = (context.region.clone(), name.to_owned());
    if context.cloud.key_pairs.contains_key(&id) {
        return Err(context.error("KeyPair.AlreadyExist"));
    }
    let pairs = context.cloud.key_pairs.keys();
    let count = pairs
        .filter(|(region, _)| *region == context.region)
        .count();
    if count >= context.cloud.quotas.key_pairs {
        return Err(context.error("QuotaExceed.KeyPair"));
    }
    let internal = |_| ApiError::new(500, "InternalError", "Key encoding failed.");
    let line = key.to_openssh().map_err(internal)?;
    let pair = KeyPair {
        common: context.common("ssh", name.to_owned()),
        public_key: line.split(' ').take(2).collect::<Vec<_>>().join(" "),
        fingerprint: fingerprint(key),
    };
    context.cloud.key_pairs.insert(id, pair.clone());
    Ok(pair)
}

/// The service shows 32 hexadecimal digits; which hash is of no consequence.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    let digest = key.fingerprint(HashAlg::Sha256);
    let hex = crate::signature::sha256_hex(digest.as_bytes());
    hex[..32].to_owned()
}

fn is_valid_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || ":_-.".contains(c);
    (2..=128).contains(&name.chars().count())
        && name.starts_with(char::is_alphabetic)
        && name.chars().all(allowed)
}

pub(super) fn describe_key_pairs(context: &mut Context<'_>) -> Answer {
    let with_public_key = context.params.flag("IncludePublicKey");
    let matches = |pair: &&KeyPair| {
        pair.common.region == context.region
            && equals(context.get("KeyPairName"), &pair.common.name)
            && equals(context.get("KeyPairFingerPrint"), &pair.fingerprint)
            && context.has_tags(&pair.common)
    };
    let pairs = context.cloud.key_pairs.values().filter(matches);
    let pairs: Vec<Value> = pairs.map(|pair| pair.to_json(with_public_key)).collect();
    Ok(context.page("KeyPairs", "KeyPair", pairs))
}

pub(super) fn attach_key_pair(context: &mut Context<'_>) -> Answer {
    let name = context.require("KeyPairName")?;
    let id = (context.region.clone(), name.clone());
    if !context.cloud.key_pairs.contains_key(&id) {
        return Err(context.error("InvalidKeyPairName.NotFound"));
    }
    set_key_pair(context, &name, Some(&name))
}

pub(super) fn detach_key_pair(context: &mut Context<'_>) -> Answer {
    let name = context.require("KeyPairName")?;
    set_key_pair(context, &name, None)
}

fn set_key_pair(context: &mut Context<'_>, name: &str, to: Option<&str>) -> Answer {
    let ids = context.params.json_list("InstanceIds")?.unwrap_or_default();
    let mut results = Vec::new();
    for id in &ids {
        let Some(instance) = context.cloud.instances.get_mut(id) else {
            return Err(ApiError::gateway("InvalidInstanceId.NotFound"));
        };
        let code = if instance.status == InstanceStatus::Pending {
            "IncorrectInstanceStatus"
        } else {
            instance.key_pair = to.map(str::to_owned);
            "200"
        };
        results.push(json!({
            "InstanceId": id,
            "Code": code,
            "Message": if code == "200" { "successful" } else { "The instance is initializing." },
            "Success": if code == "200" { "true" } else { "false" },
        }));
    }
    let failed = results.iter().filter(|r| r["Success"] == "false").count();
    Ok(json!({
        "KeyPairName": name,
        "TotalCount": ids.len().to_string(),
        "FailCount": failed.to_string(),
        "Results": {"Result": results},
    }))
}

pub(super) fn delete_key_pairs(context: &mut Context<'_>) -> Answer {
    let names = context
        .params
        .json_list("KeyPairNames")?
        .unwrap_or_default();
    let region = context.region.clone();
    for name in &names {
        let id = (region.clone(), name.clone());
        if !context.cloud.key_pairs.contains_key(&id) {
            return Err(ApiError::gateway("InvalidKeyPair.NotFound"));
        }
        let mut instances = context.cloud.instances.values();
        if instances.any(|i| i.common.region == region && i.key_pair.as_ref() == Some(name)) {
            return Err(context.error("InvalidParameter.KeypairAlreadyAttachedInstance"));
        }
    }
    for name in names {
        context.cloud.key_pairs.remove(&(region.clone(), name));
    }
    Ok(json!({}))
}
