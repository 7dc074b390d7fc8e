//! Verifies OSS signatures: V1 (HMAC-SHA1) and V4 (OSS4-HMAC-SHA256), each as a
//! header and as query parameters. Written against the public documentation,
//! not against any client.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::signature::{encode, hex, sha256_hex};

/// The parts of a request that OSS signatures cover.
pub struct OssRequest<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Bucket; absent when buckets are listed.
    pub bucket: Option<&'a str>,
    /// Key of the object, decoded.
    pub key: Option<&'a str>,
    /// Decoded query parameters.
    pub query: &'a [(String, String)],
    /// Headers with lower-case names.
    pub headers: &'a BTreeMap<String, String>,
}

/// Query parameters that are part of the resource V1 signs.
const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-process",
    "x-oss-request-payer",
    "x-oss-traffic-limit",
];

/// The string V1 signs. `date` is the Date header, or the expiry of a signed
/// URL.
pub fn v1_string_to_sign(request: &OssRequest<'_>, date: &str) -> String {
    let header = |name: &str| request.headers.get(name).map_or("", |value| value.trim());
    let mut signed = format!(
        "{}\n{}\n{}\n{date}\n",
        request.method,
        header("content-md5"),
        header("content-type")
    );
    for (name, value) in request.headers.range("x-oss-".to_owned()..) {
        if !name.starts_with("x-oss-") {
            break;
        }
        signed.push_str(&format!("{name}:{}\n", value.trim()));
    }
    signed + &v1_resource(request)
}

fn v1_resource(request: &OssRequest<'_>) -> String {
    let mut parameters: Vec<&(String, String)> = request
        .query
        .iter()
        .filter(|(name, _)| SUB_RESOURCES.contains(&name.as_str()))
        .collect();
    parameters.sort();
    let parameters: Vec<String> = parameters
        .into_iter()
        .map(|(name, value)| match value.as_str() {
            "" => name.clone(),
            value => format!("{name}={value}"),
        })
        .collect();
    let mut resource = "/".to_owned();
    if let Some(bucket) = request.bucket {
        resource.push_str(&format!("{bucket}/{}", request.key.unwrap_or_default()));
    }
    if !parameters.is_empty() {
        resource.push('?');
        resource.push_str(&parameters.join("&"));
    }
    resource
}

/// The V1 signature of a string, in Base64.
pub fn v1_signature(secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// What V4 scopes a signature to.
#[derive(Clone, Debug, PartialEq)]
pub struct V4Scope {
    /// Day, `YYYYMMDD`.
    pub date: String,
    /// Region id without `oss-`.
    pub region: String,
    /// `oss`.
    pub product: String,
}

impl V4Scope {
    /// Parses `<access key>/<date>/<region>/<product>/aliyun_v4_request`.
    pub fn parse(credential: &str) -> Option<(String, Self)> {
        let mut fields = credential.rsplitn(5, '/');
        if fields.next()? != "aliyun_v4_request" {
            return None;
        }
        let product = fields.next()?.to_owned();
        let region = fields.next()?.to_owned();
        let date = fields.next()?.to_owned();
        let scope = Self {
            date,
            region,
            product,
        };
        Some((fields.next()?.to_owned(), scope))
    }
}

/// The canonical request of V4. `additional` names the headers that are signed
/// beyond the default ones, with lower-case letters.
pub fn v4_canonical_request(request: &OssRequest<'_>, additional: &BTreeSet<String>) -> String {
    let is_default =
        |name: &str| name.starts_with("x-oss-") || name == "content-type" || name == "content-md5";
    let mut headers = String::new();
    for (name, value) in request.headers {
        if is_default(name) || additional.contains(name) {
            headers.push_str(&format!("{name}:{}\n", value.trim()));
        }
    }
    let listed = additional
        .iter()
        .filter(|name| !is_default(name) && request.headers.contains_key(*name));
    let listed: Vec<&str> = listed.map(String::as_str).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\nUNSIGNED-PAYLOAD",
        request.method,
        v4_resource(request),
        v4_query(request.query),
        listed.join(";")
    )
}

fn v4_resource(request: &OssRequest<'_>) -> String {
    let Some(bucket) = request.bucket else {
        return "/".to_owned();
    };
    let key = request.key.unwrap_or_default();
    format!("/{bucket}/{}", encode(key).replace("%2F", "/"))
}

fn v4_query(query: &[(String, String)]) -> String {
    let signed = query.iter().filter(|(name, _)| name != "x-oss-signature");
    let mut pairs: Vec<(String, String)> = signed
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| match value.as_str() {
            "" => name,
            value => format!("{name}={value}"),
        })
        .collect();
    pairs.join("&")
}

/// The string V4 signs. `time` is `YYYYMMDDThhmmssZ`.
pub fn v4_string_to_sign(time: &str, scope: &V4Scope, canonical_request: &str) -> String {
    format!(
        "OSS4-HMAC-SHA256\n{time}\n{}/{}/{}/aliyun_v4_request\n{}",
        scope.date,
        scope.region,
        scope.product,
        sha256_hex(canonical_request.as_bytes())
    )
}

/// The V4 signature of a string, in hexadecimal.
pub fn v4_signature(secret: &str, scope: &V4Scope, string_to_sign: &str) -> String {
    let mut key = format!("aliyun_v4{secret}").into_bytes();
    for part in [
        scope.date.as_str(),
        &scope.region,
        &scope.product,
        "aliyun_v4_request",
    ] {
        key = hmac_sha256(&key, part);
    }
    hex(&hmac_sha256(&key, string_to_sign))
}

fn hmac_sha256(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// How a request says who signed it.
#[derive(Clone, Debug, PartialEq)]
pub enum OssAuthorization {
    /// `OSS <access key>:<signature>`, or the query form of it.
    V1 {
        /// AccessKeyId.
        access_key_id: String,
        /// Base64.
        signature: String,
        /// Date header, or the expiry of a signed URL in seconds.
        date: String,
        /// Whether `date` is an expiry.
        expires: bool,
    },
    /// OSS4-HMAC-SHA256.
    V4 {
        /// AccessKeyId.
        access_key_id: String,
        /// Scope of the signature.
        scope: V4Scope,
        /// `YYYYMMDDThhmmssZ`.
        time: String,
        /// Validity of a signed URL in seconds.
        expires: Option<u64>,
        /// Lower-case names of additionally signed headers.
        additional: BTreeSet<String>,
        /// Hexadecimal.
        signature: String,
    },
}

impl OssAuthorization {
    /// The claim of a request: `None` when it is anonymous, `Some(Err)` when it
    /// makes no sense.
    pub fn of(
        headers: &BTreeMap<String, String>,
        query: &[(String, String)],
    ) -> Option<Result<Self, &'static str>> {
        let parameter = |name: &str| {
            query
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        if let Some(header) = headers.get("authorization") {
            let parsed = v4_header(header, headers).or_else(|| v1_header(header, headers));
            return Some(parsed.ok_or("The Authorization header is not well formed."));
        }
        if parameter("x-oss-signature").is_some() {
            let parsed = v4_parameters(&parameter);
            return Some(parsed.ok_or("The signature in the query is not well formed."));
        }
        let signature = parameter("Signature")?;
        Some(Ok(Self::V1 {
            access_key_id: parameter("OSSAccessKeyId")?,
            signature,
            date: parameter("Expires")?,
            expires: true,
        }))
    }
}

fn v1_header(header: &str, headers: &BTreeMap<String, String>) -> Option<OssAuthorization> {
    let (id, signature) = header.strip_prefix("OSS ")?.trim().split_once(':')?;
    let date = headers.get("date").or_else(|| headers.get("x-oss-date"));
    Some(OssAuthorization::V1 {
        access_key_id: id.to_owned(),
        signature: signature.to_owned(),
        date: date.cloned().unwrap_or_default(),
        expires: false,
    })
}

/// The fields come in any order, with or without spaces after the commas.
fn v4_header(header: &str, headers: &BTreeMap<String, String>) -> Option<OssAuthorization> {
    let fields = header.strip_prefix("OSS4-HMAC-SHA256")?;
    let field = |name: &str| {
        let mut found = fields.split(',').filter_map(|f| f.trim().split_once('='));
        found.find(|(n, _)| *n == name).map(|(_, v)| v)
    };
    let (access_key_id, scope) = V4Scope::parse(field("Credential")?)?;
    let listed = field("AdditionalHeaders").unwrap_or_default();
    Some(OssAuthorization::V4 {
        access_key_id,
        scope,
        time: headers.get("x-oss-date").cloned().unwrap_or_default(),
        expires: None,
        additional: names(listed),
        signature: field("Signature")?.to_owned(),
    })
}

fn v4_parameters(parameter: &dyn Fn(&str) -> Option<String>) -> Option<OssAuthorization> {
    if parameter("x-oss-signature-version")? != "OSS4-HMAC-SHA256" {
        return None;
    }
    let (access_key_id, scope) = V4Scope::parse(&parameter("x-oss-credential")?)?;
    let listed = parameter("x-oss-additional-headers").unwrap_or_default();
    Some(OssAuthorization::V4 {
        access_key_id,
        scope,
        time: parameter("x-oss-date")?,
        expires: Some(parameter("x-oss-expires")?.parse().ok()?),
        additional: names(&listed),
        signature: parameter("x-oss-signature")?,
    })
}

fn names(list: &str) -> BTreeSet<String> {
    let names = list.split(';').filter(|name| !name.is_empty());
    names.map(str::to_ascii_lowercase).collect()
}
