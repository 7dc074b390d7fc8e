//! Who may come in: signatures, clocks, policies, and whether the bucket is
//! reachable through the endpoint.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::OssCall;
use super::error::OssError;
use super::signature::{
    OssAuthorization, OssRequest, V4Scope, v1_signature, v1_string_to_sign, v4_canonical_request,
    v4_signature, v4_string_to_sign,
};
use super::target::{Endpoint, Operation};
use crate::auth::{Caller, KeyProblem};
use crate::clock::Moment;
use crate::options::OssOptions;
use crate::world::World;

/// How far a time stamp may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

const DEFAULT_REGION: &str = "cn-hangzhou";

/// Checks a request before its body is read. Returns its region.
pub(super) fn admit(
    world: &mut World,
    options: &OssOptions,
    call: &OssCall,
    now: Moment,
) -> Result<String, OssError> {
    let authorization = OssAuthorization::of(&call.headers, &call.query);
    let authorization = authorization
        .ok_or_else(|| {
            OssError::access_denied("Anonymous user has no right to access this bucket.")
        })?
        .map_err(|why| OssError::invalid_argument("Authorization", "", why))?;
    let caller = authenticate(world, options, call, &authorization, now)?;
    if call.target.bucket.is_none() && call.target.key.is_some() {
        let message = "The bucket you are attempting to access must be addressed using OSS third level domain.";
        return Err(
            OssError::new(403, "SecondLevelDomainForbidden", message).with("EC", "0003-00001404")
        );
    }
    let action = call.operation.ram_action();
    if caller.authorize(&action).is_err() {
        let message = "You have no right to access this object because of bucket acl.";
        return Err(OssError::access_denied(message).with("AuthAction", action));
    }
    let region = find_region(world, call, &authorization)?;
    check_endpoint(options, call, &region)?;
    check_scope(&authorization, &region)?;
    check_length(options, call)?;
    Ok(region)
}

/// The access key a request claims to be signed with.
pub(super) fn claimed_key(call: &OssCall) -> Option<String> {
    match OssAuthorization::of(&call.headers, &call.query)?.ok()? {
        OssAuthorization::V1 { access_key_id, .. } | OssAuthorization::V4 { access_key_id, .. } => {
            Some(access_key_id)
        }
    }
}

fn authenticate(
    world: &World,
    options: &OssOptions,
    call: &OssCall,
    authorization: &OssAuthorization,
    now: Moment,
) -> Result<Caller, OssError> {
    let token = ["x-oss-security-token", "security-token"]
        .iter()
        .find_map(|name| call.header(name).or_else(|| call.parameter(name)));
    let request = OssRequest {
        method: &call.method,
        bucket: call.target.bucket.as_deref(),
        key: call.target.key.as_deref(),
        query: &call.query,
        headers: &call.headers,
    };
    let identify = |id: &str| {
        let found = world.authority.identify_key(id, token, now);
        found.map_err(|problem| key_error(problem, id))
    };
    match authorization {
        OssAuthorization::V1 {
            access_key_id,
            signature,
            date,
            expires,
        } => {
            if options.v1_refused {
                let message =
                    "The V1 signature is no longer supported. Please use the V4 signature.";
                return Err(OssError::new(403, "AccessDenied", message).with("EC", "0002-00000080"));
            }
            check_v1_time(date, *expires, world.authority.time())?;
            let (caller, secret) = identify(access_key_id)?;
            let string = v1_string_to_sign(&request, date);
            if v1_signature(&secret, &string) == *signature {
                return Ok(caller);
            }
            Err(mismatch(access_key_id, signature, &string, None))
        }
        OssAuthorization::V4 {
            access_key_id,
            scope,
            time,
            expires,
            additional,
            signature,
        } => {
            check_v4_time(call, scope, time, *expires, world.authority.time())?;
            let (caller, secret) = identify(access_key_id)?;
            let canonical = v4_canonical_request(&request, additional);
            let string = v4_string_to_sign(time, scope, &canonical);
            if v4_signature(&secret, scope, &string) == *signature {
                return Ok(caller);
            }
            Err(mismatch(access_key_id, signature, &string, Some(canonical)))
        }
    }
}

fn key_error(problem: KeyProblem, id: &str) -> OssError {
    let (code, message, detailed) = match problem {
        KeyProblem::Unknown | KeyProblem::TokenMissing => (
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
            "0002-00000902",
        ),
        KeyProblem::TokenWrong => (
            "InvalidSecurityToken",
            "The security token you provided is invalid.",
            "0002-00000909",
        ),
        KeyProblem::TokenExpired => (
            "SecurityTokenExpired",
            "The security token you provided has expired.",
            "0002-00000069",
        ),
        KeyProblem::TokenUnexpected => (
            "AccessKeyIdAndSecurityTokenNotMatch",
            "The access key id and the security token do not match.",
            "0002-00000911",
        ),
    };
    OssError::new(403, code, message)
        .with("OSSAccessKeyId", id)
        .with("EC", detailed)
}

fn mismatch(id: &str, signature: &str, string: &str, canonical: Option<String>) -> OssError {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    let error = OssError::new(403, "SignatureDoesNotMatch", message)
        .with("OSSAccessKeyId", id)
        .with("SignatureProvided", signature)
        .with("StringToSign", string)
        .with("EC", "0002-00000040");
    match canonical {
        Some(canonical) => error.with("CanonicalRequest", canonical),
        None => error,
    }
}

fn check_v1_time(date: &str, expires: bool, server: Timestamp) -> Result<(), OssError> {
    if expires {
        let until = date
            .parse()
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok());
        return match until {
            Some(until) if until > server => Ok(()),
            _ => Err(expired()),
        };
    }
    let given = parse("%a, %d %b %Y %H:%M:%S GMT", date);
    let given = given
        .ok_or_else(|| OssError::access_denied("OSS authentication requires a valid Date."))?;
    check_skew(given, server)
}

fn check_v4_time(
    call: &OssCall,
    scope: &V4Scope,
    time: &str,
    expires: Option<u64>,
    server: Timestamp,
) -> Result<(), OssError> {
    let given = parse("%Y%m%dT%H%M%SZ", time);
    let given = given
        .filter(|_| time.starts_with(&scope.date) && scope.product == "oss")
        .ok_or_else(|| {
            let message = "The x-oss-date header and the credential scope are not consistent.";
            OssError::invalid_argument("x-oss-date", time, message)
        })?;
    let Some(expires) = expires else {
        if call.header("x-oss-content-sha256") != Some("UNSIGNED-PAYLOAD") {
            let message = "The header x-oss-content-sha256 must be UNSIGNED-PAYLOAD.";
            return Err(OssError::invalid_argument(
                "x-oss-content-sha256",
                "",
                message,
            ));
        }
        return check_skew(given, server);
    };
    if !(1..=604_800).contains(&expires) {
        let message = "The validity of a signed URL must be between 1 second and 7 days.";
        return Err(OssError::invalid_argument(
            "x-oss-expires",
            &expires.to_string(),
            message,
        ));
    }
    if server.duration_since(given).as_secs() > expires.cast_signed() {
        return Err(expired());
    }
    Ok(())
}

fn parse(format: &str, text: &str) -> Option<Timestamp> {
    let time = civil::DateTime::strptime(format, text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn expired() -> OssError {
    OssError::new(403, "AccessDenied", "Request has expired.").with("EC", "0002-00000069")
}

fn check_skew(given: Timestamp, server: Timestamp) -> Result<(), OssError> {
    if given.duration_since(server).unsigned_abs() <= CLOCK_SKEW {
        return Ok(());
    }
    let message = "The difference between the request time and the current time is too large.";
    Err(OssError::new(403, "RequestTimeTooSkewed", message)
        .with(
            "MaxAllowedSkewMilliseconds",
            CLOCK_SKEW.as_millis().to_string(),
        )
        .with("RequestTime", given.to_string())
        .with("ServerTime", server.to_string())
        .with("EC", "0002-00000504"))
}

/// The region a request is for: that of its bucket, otherwise that of the
/// endpoint, otherwise the one it is signed for.
fn find_region(
    world: &World,
    call: &OssCall,
    authorization: &OssAuthorization,
) -> Result<String, OssError> {
    let needed = !matches!(
        call.operation,
        Operation::PutBucket | Operation::ListBuckets | Operation::NotImplemented
    );
    if needed {
        let bucket = world.cloud.buckets.get(call.bucket());
        let bucket = bucket.ok_or_else(|| OssError::no_such_bucket(call.bucket()))?;
        if bucket.foreign {
            return Err(OssError::access_denied(
                "The bucket you access does not belong to you.",
            ));
        }
        return Ok(bucket.common.region.clone());
    }
    Ok(match (&call.target.endpoint, authorization) {
        (Endpoint::Public { region } | Endpoint::Internal { region }, _) => region.clone(),
        (_, OssAuthorization::V4 { scope, .. }) => scope.region.clone(),
        _ => DEFAULT_REGION.to_owned(),
    })
}

fn check_scope(authorization: &OssAuthorization, region: &str) -> Result<(), OssError> {
    match authorization {
        OssAuthorization::V4 { scope, .. } if scope.region != region => {
            let message = "Invalid signing region in Authorization header.";
            Err(OssError::invalid_argument("Region", &scope.region, message)
                .with("Region", region)
                .with("EC", "0002-00000226"))
        }
        _ => Ok(()),
    }
}

fn check_endpoint(options: &OssOptions, call: &OssCall, region: &str) -> Result<(), OssError> {
    let endpoint = &call.target.endpoint;
    if let Endpoint::Public { region: asked } | Endpoint::Internal { region: asked } = endpoint
        && asked != region
    {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
        return Err(OssError::new(403, "AccessDenied", message)
            .with("Bucket", call.bucket())
            .with("Endpoint", format!("oss-{region}.aliyuncs.com"))
            .with("EC", "0003-00001403"));
    }
    let public = matches!(endpoint, Endpoint::Public { .. } | Endpoint::Address);
    let mainland = region.starts_with("cn-") && region != "cn-hongkong";
    if options.public_endpoint_forbidden && public && mainland && call.operation.is_data() {
        let message = "Not allowed using the OSS public endpoint, please use CNAME instead.";
        return Err(
            OssError::new(400, "PublicEndpointForbidden", message).with("EC", "0048-00000401")
        );
    }
    Ok(())
}

fn check_length(options: &OssOptions, call: &OssCall) -> Result<(), OssError> {
    if !call.operation.stores_body() {
        return Ok(());
    }
    let chunked = call.header("transfer-encoding").is_some();
    let Some(length) = call.content_length() else {
        if chunked {
            return Ok(());
        }
        let message = "You must provide the Content-Length HTTP header.";
        return Err(OssError::new(411, "MissingContentLength", message));
    };
    if length > options.max_put_size {
        let message = "Your proposed upload exceeds the maximum allowed object size.";
        return Err(OssError::new(400, "EntityTooLarge", message)
            .with("MaxSizeAllowed", options.max_put_size.to_string())
            .with("ProposedSize", length.to_string()));
    }
    Ok(())
}

/// Compares the Content-MD5 header, if there is one, with what arrived.
pub(super) fn check_digest(call: &OssCall, md5: &[u8; 16]) -> Result<(), OssError> {
    let Some(given) = call.header("content-md5") else {
        return Ok(());
    };
    let actual = STANDARD.encode(md5);
    if given == actual {
        return Ok(());
    }
    let message = "The Content-MD5 you specified was invalid.";
    Err(OssError::new(400, "InvalidDigest", message)
        .with("ExpectedDigest", given)
        .with("CalculatedDigest", actual)
        .with("EC", "0017-00000503"))
}
