//! Reads who calls, and where.

use url::{Host, Url};

use super::{Access, Defaults, ProfileReading};
use crate::cloud::credential::{AssumedRole, Keys, Profile, Profiles, RoleSession, Source};
use crate::error::one_line;
use crate::plan::check::{self, Complaint};
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// Reads the options.
pub(super) fn read(reader: &mut Reader<'_, '_>, defaults: Defaults<'_>) -> Access {
    let named = named_profile(reader, defaults.profiles);
    for secret in named.iter().flat_map(|profile| profile.source.secrets()) {
        reader.keep_secret(&secret);
    }
    Access {
        region: region(reader, &defaults, named.as_ref()),
        custom_endpoint_ecs: endpoint(reader, named.as_ref()),
        credentials: credentials(reader, named),
        skip_region_validation: reader.flag("skip_region_validation"),
    }
}

/// The profile the template names, if it can be used.
fn named_profile(
    reader: &mut Reader<'_, '_>,
    reading: Option<ProfileReading<'_>>,
) -> Option<Profile> {
    let name = reader.plain("profile");
    let file = reader.plain("shared_credentials_file");
    let asked = match (&name, &file) {
        (Some(_), _) => "profile",
        (None, Some(_)) => "shared_credentials_file",
        (None, None) => return None,
    };
    let reading = reading?;
    let profiles = Profiles {
        file: match file {
            Some(file) => Some(reader.places().expand_home(&file)),
            None => reading.profiles.file.clone(),
        },
        ..reading.profiles.clone()
    };
    let profile = match &name {
        Some(name) => profiles.named(name),
        None => profiles.current(),
    };
    match profile {
        Ok(profile) => Some(profile),
        Err(error) => {
            let what = format!("cannot be used: {}", one_line(&error));
            let hint = error.hints().first().copied();
            let help = hint.unwrap_or("Correct the file, or name another profile");
            match reading.is_needed {
                true => reader.error(asked, &what, help),
                false => reader.warning(asked, &what, help),
            }
            None
        }
    }
}

/// The profile's keys, else those of the instance's role, else the template's,
/// else the environment's; with any of them a role may be assumed.
fn credentials(reader: &mut Reader<'_, '_>, profile: Option<Profile>) -> Source {
    let keys = keys(reader, profile.is_some());
    let instance_role = reader.plain("ram_role_name");
    let arn = reader.checked("ram_role_arn", role_arn);
    let session = session(reader, arn.is_some());
    let profile_has_role = profile
        .as_ref()
        .is_some_and(|profile| matches!(profile.source, Source::AssumedRole(_) | Source::Oidc(_)));
    let not_used = "is not used: the profile says something else";
    let base = match (profile, instance_role, keys) {
        (Some(profile), instance_role, keys) => {
            if instance_role.is_some() {
                reader.warning("ram_role_name", not_used, "It can be left out");
            }
            if keys.is_some() {
                reader.warning("access_key", not_used, "The keys can be left out");
            }
            profile.source
        }
        (None, Some(role), keys) => {
            if keys.is_some() {
                reader.warning(
                    "ram_role_name",
                    "is where keys come from, so `access_key` is not used",
                    "The role of the temporary instance is `ecs_ram_role_name`",
                );
            }
            Source::InstanceRole(Some(role))
        }
        (None, None, Some(keys)) => Source::Keys(keys),
        (None, None, None) => Source::Ambient,
    };
    match arn {
        Some(_) if profile_has_role => {
            reader.warning("ram_role_arn", not_used, "It can be left out");
            base
        }
        Some(arn) => Source::AssumedRole(Box::new(AssumedRole {
            base,
            arn: arn.value,
            session,
        })),
        None => base,
    }
}

fn session(reader: &mut Reader<'_, '_>, has_role: bool) -> RoleSession {
    const OPTIONS: &[&str] = &[
        "ram_session_name",
        "ram_session_expiration",
        "ram_session_policy",
        "ram_external_id",
    ];
    for name in OPTIONS {
        if reader.is_set(name) && !has_role {
            let help = "Set `ram_role_arn` too, or leave it out";
            reader.warning(name, "has no effect without `ram_role_arn`", help);
        }
    }
    let text = |text: Option<Spanned<String>>| text.map(|text| text.value);
    RoleSession {
        name: text(reader.checked("ram_session_name", session_name)),
        duration: duration(reader),
        policy: text(reader.checked("ram_session_policy", session_policy)),
        external_id: reader.plain("ram_external_id"),
        ..RoleSession::default()
    }
}

/// STS's limits.
fn duration(reader: &mut Reader<'_, '_>) -> Option<u32> {
    const NAME: &str = "ram_session_expiration";
    let seconds = reader.positive(NAME, 43_200)?;
    if seconds < 900 {
        reader.error(
            NAME,
            &format!("is {seconds}"),
            "A session lives at least 900 seconds",
        );
    }
    Some(seconds)
}

fn complain(what: impl Into<String>, help: &str) -> Result<(), Complaint> {
    Err(Complaint {
        what: what.into(),
        help: help.to_owned(),
    })
}

fn role_arn(arn: &str) -> Result<(), Complaint> {
    let parts = arn.strip_prefix("acs:ram::");
    let parts = parts.and_then(|rest| rest.split_once(":role/"));
    match parts {
        Some((account, name)) if !account.is_empty() && !name.is_empty() => Ok(()),
        _ => complain(
            format!("is `{arn}`, which is not the ARN of a role"),
            "Write `acs:ram::ACCOUNT:role/NAME`, as the RAM console shows it",
        ),
    }
}

fn session_name(name: &str) -> Result<(), Complaint> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".@-_".contains(letter);
    if (2..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    complain(
        format!("is `{name}`, which STS does not take"),
        "Write 2 to 64 letters, digits and `.@_-`",
    )
}

fn session_policy(policy: &str) -> Result<(), Complaint> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(policy) {
        let help = "Write a RAM policy as a text of JSON";
        return complain(format!("is not JSON: {error}"), help);
    }
    if policy.len() > 2048 {
        let what = format!("has {} characters", policy.len());
        return complain(what, "STS takes at most 2048");
    }
    Ok(())
}

fn keys(reader: &mut Reader<'_, '_>, has_profile: bool) -> Option<Keys> {
    const TOGETHER: &str = "Set both in the template, or neither: then the environment variables \
        ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY serve";
    let access_key = reader.plain("access_key");
    let secret_key = reader.secret("secret_key");
    let security_token = reader.secret("security_token");
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => {
            return Some(Keys {
                access_key,
                secret_key,
                security_token,
            });
        }
        _ if has_profile => {}
        (Some(_), None) => reader.error("access_key", "is set without `secret_key`", TOGETHER),
        (None, Some(_)) => reader.error("secret_key", "is set without `access_key`", TOGETHER),
        (None, None) if security_token.is_some() => reader.error(
            "security_token",
            "is set without the keys it belongs to",
            "Set `access_key` and `secret_key` too, or give all three by the environment",
        ),
        (None, None) => {}
    }
    None
}

/// The named profile's region wins over the template's; a profile that only
/// the environment names comes after it.
fn region(
    reader: &mut Reader<'_, '_>,
    defaults: &Defaults<'_>,
    named: Option<&Profile>,
) -> Spanned<String> {
    let written = reader.checked("region", check::region);
    if let Some(region) = named.and_then(|profile| profile.region.clone()) {
        if written
            .as_ref()
            .is_some_and(|written| written.value != region)
        {
            let what = format!("is not used: the profile says `{region}`");
            reader.warning(
                "region",
                &what,
                "What the profile says wins over the template",
            );
        }
        let region = Spanned::default_value(region);
        reader.check("region", &region, check::region);
        return region;
    }
    if let Some(region) = written {
        return region;
    }
    let default = chosen_region(defaults).or_else(|| defaults.region.map(str::to_owned));
    let Some(default) = default.filter(|region| !region.is_empty()) else {
        let help = "Set it, for example to `cn-hangzhou`, or set the environment variable \
                    ALICLOUD_REGION";
        reader.missing("region", help);
        return Spanned::default_value(String::new());
    };
    let region = Spanned::default_value(default);
    reader.check("region", &region, check::region);
    region
}

/// The region of the profile that the environment names. Its problems are
/// told when its keys are needed.
fn chosen_region(defaults: &Defaults<'_>) -> Option<String> {
    let profiles = defaults.profiles?.profiles;
    let name = profiles.chosen.as_ref()?;
    profiles.named(name).ok()?.region
}

fn endpoint(reader: &mut Reader<'_, '_>, profile: Option<&Profile>) -> Option<Spanned<String>> {
    let written = reader.text("custom_endpoint_ecs");
    let written = with_protocol(reader, written);
    let of_profile = profile.and_then(|profile| profile.endpoint.clone());
    let endpoint = of_profile.map(Spanned::default_value).or(written)?;
    let with_scheme = match endpoint.value.contains("://") {
        true => endpoint.value.clone(),
        false => format!("https://{}", endpoint.value),
    };
    match Url::parse(&with_scheme).ok().filter(is_endpoint) {
        None => reader.error(
            "custom_endpoint_ecs",
            &format!("is not an endpoint: `{}`", endpoint.value),
            "Write a host with optional scheme and port, for example `ecs.cn-hangzhou.aliyuncs.com`",
        ),
        Some(url) if url.scheme() == "http" && !is_loopback(&url) => reader.warning(
            "custom_endpoint_ecs",
            "is not encrypted",
            "Passwords and user data travel in the clear; use `https://`",
        ),
        Some(_) => {}
    }
    Some(endpoint)
}

/// Packer's `protocol` is that of all requests; here it is HTTPS unless the
/// endpoint is the user's own.
fn with_protocol(
    reader: &mut Reader<'_, '_>,
    endpoint: Option<Spanned<String>>,
) -> Option<Spanned<String>> {
    const NAME: &str = "protocol";
    let protocol = reader.plain(NAME).map(|word| word.to_ascii_lowercase());
    match (protocol.as_deref(), endpoint) {
        (Some("http"), Some(endpoint)) if !endpoint.value.contains("://") => Some(Spanned {
            value: format!("http://{}", endpoint.value),
            ..endpoint
        }),
        (Some("http"), endpoint) => {
            let help = "Keys, passwords and user data must not travel in the clear";
            reader.warning(NAME, "is `http`, and HTTPS is used all the same", help);
            endpoint
        }
        (None | Some("https"), endpoint) => endpoint,
        (Some(other), endpoint) => {
            let what = format!("is `{other}`, which is not one of its values");
            reader.error(NAME, &what, "Write `https` or `http`");
            endpoint
        }
    }
}

fn is_endpoint(url: &Url) -> bool {
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let scheme = matches!(url.scheme(), "http" | "https");
    scheme && bare && url.has_host() && url.username().is_empty()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
