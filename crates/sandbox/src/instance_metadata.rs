//! The metadata of the instance that clients run on, at `/latest/`: tokens of
//! the hardened mode, and keys of the instance's RAM role.
//!
//! Facts: "Instance metadata" of the ECS documentation. Not here: the metadata
//! of simulated instances, which have no network to ask on.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::auth::Temporary;
use crate::clock::iso;
use crate::request::headers_of;
use crate::world::Shared;

/// What its paths begin with.
pub(crate) const PREFIX: &str = "/latest/";

const ROLES: &str = "meta-data/ram/security-credentials/";

/// The one token; who has it is allowed to ask.
const TOKEN: &str = "c2FuZGJveC1tZXRhZGF0YS10b2tlbg==";

/// The life of the role's keys, unless all sessions have another one.
const LIFE: Duration = Duration::from_secs(6 * 3600);

/// Answers a request.
pub(crate) async fn answer(shared: &Shared, parts: &Parts) -> Response {
    if shared.metadata.hangs {
        std::future::pending::<()>().await;
    }
    let headers = headers_of(parts);
    let path = parts.uri.path().trim_start_matches(PREFIX);
    let (status, text) = if headers.contains_key("x-forwarded-for") {
        (403, "forwarded requests are refused".to_owned())
    } else if path == "api/token" {
        token(shared, &parts.method, &headers)
    } else if !may_ask(shared, &headers) {
        (403, "a token is needed".to_owned())
    } else {
        get(shared, path)
    };
    record(shared, &parts.method, path, status);
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("the statuses are written here");
    response
}

fn token(shared: &Shared, method: &Method, headers: &BTreeMap<String, String>) -> (u16, String) {
    let life = headers.get("x-aliyun-ecs-metadata-token-ttl-seconds");
    let life: Option<u32> = life.and_then(|life| life.parse().ok());
    match life {
        _ if shared.metadata.has_no_tokens => (404, "not found".to_owned()),
        Some(1..=21_600) if method == Method::PUT => (200, TOKEN.to_owned()),
        _ => (400, "bad request".to_owned()),
    }
}

fn may_ask(shared: &Shared, headers: &BTreeMap<String, String>) -> bool {
    match headers.get("x-aliyun-ecs-metadata-token") {
        Some(token) => token == TOKEN,
        None => !shared.metadata.requires_token,
    }
}

fn get(shared: &Shared, path: &str) -> (u16, String) {
    let attached = shared.metadata.role.as_deref();
    match (path.strip_prefix(ROLES), attached) {
        (Some(""), Some(role)) => (200, role.to_owned()),
        (Some(asked), Some(role)) if asked == role => (200, keys(shared, role)),
        _ if path == "meta-data/region-id" => (200, "cn-hangzhou".to_owned()),
        _ => (404, "not found".to_owned()),
    }
}

fn keys(shared: &Shared, role: &str) -> String {
    let (mut world, now) = shared.world();
    let temporary = Temporary::new(&mut world.cloud);
    let expires = now + world.authority.life(LIFE);
    let session = "i-sandbox";
    let authority = &mut world.authority;
    authority.open_session(&temporary, role, session, expires, None);
    let keys = json!({
        "Code": "Success",
        "AccessKeyId": temporary.access_key_id,
        "AccessKeySecret": temporary.access_key_secret,
        "SecurityToken": temporary.security_token,
        "LastUpdated": iso(shared.clock.wall(now)),
        "Expiration": iso(shared.clock.wall(expires)),
    });
    keys.to_string()
}

fn record(shared: &Shared, method: &Method, path: &str, status: u16) {
    let request = format!("{method} {path} {status}");
    shared.world().0.metadata_requests.push(request);
}
