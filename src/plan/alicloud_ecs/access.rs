//! Reads who calls, and where.

use url::{Host, Url};

use super::{Access, Keys};
use crate::plan::check;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// Reads the options; `default_region` is the environment's.
pub(super) fn read(reader: &mut Reader<'_, '_>, default_region: Option<&str>) -> Access {
    Access {
        keys: keys(reader),
        region: region(reader, default_region),
        custom_endpoint_ecs: endpoint(reader),
        skip_region_validation: reader.flag("skip_region_validation"),
    }
}

fn keys(reader: &mut Reader<'_, '_>) -> Option<Keys> {
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

fn region(reader: &mut Reader<'_, '_>, default: Option<&str>) -> Spanned<String> {
    if let Some(region) = reader.checked("region", check::region) {
        return region;
    }
    let Some(default) = default.filter(|region| !region.is_empty()) else {
        let help = "Set it, for example to `cn-hangzhou`, or set the environment variable \
                    ALICLOUD_REGION";
        reader.missing("region", help);
        return Spanned::default_value(String::new());
    };
    let region = Spanned::default_value(default.to_owned());
    reader.check("region", &region, check::region);
    region
}

fn endpoint(reader: &mut Reader<'_, '_>) -> Option<Spanned<String>> {
    let endpoint = reader.text("custom_endpoint_ecs")?;
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
