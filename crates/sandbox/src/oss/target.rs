//! What an OSS request is about: the endpoint it came to, the bucket, the key
//! and the operation. Bucket and key are in the host name and the path
//! (`bucket.oss-cn-hangzhou.aliyuncs.com/key`), in the path alone when the host
//! is an IP address, and behind a custom domain the bucket is in neither.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::request::Parts;

use crate::catalogue::regions;

/// Query parameters as sent, decoded.
pub(crate) type Query = Vec<(String, String)>;

/// Kind of the host name a request came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Endpoint {
    /// `oss-<region>.aliyuncs.com`.
    Public { region: String },
    /// `oss-<region>-internal.aliyuncs.com`.
    Internal { region: String },
    /// `oss-accelerate.aliyuncs.com`: any region.
    Accelerate,
    /// An IP address or `localhost`: any region.
    Address,
    /// A domain bound to a bucket.
    Custom,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

impl Target {
    /// Takes host and path apart. `domains` are the bound custom domains.
    pub(crate) fn of(host: &str, path: &str, domains: &BTreeMap<String, String>) -> Self {
        let host = without_port(host);
        let path = decode_path(path.strip_prefix('/').unwrap_or(path));
        let (endpoint, bucket) = place_of(host, domains);
        if endpoint != Endpoint::Address {
            return Self {
                endpoint,
                bucket,
                key: Some(path).filter(|key| !key.is_empty()),
            };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            endpoint,
            bucket: given(bucket),
            key: given(key),
        }
    }
}

/// Whether a request is for OSS and not for an RPC product.
pub(crate) fn is_oss(parts: &Parts, domains: &BTreeMap<String, String>) -> bool {
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    if header("x-acs-action").is_some() {
        return false;
    }
    if let Some(authorization) = header("authorization") {
        return authorization.starts_with("OSS");
    }
    let query = parts.uri.query().unwrap_or_default();
    if query.contains("x-oss-signature") || query.contains("OSSAccessKeyId=") {
        return true;
    }
    if query.contains("Action=") || query.contains("Version=") {
        return false;
    }
    let host = parts.uri.host().or_else(|| header("host"));
    let (endpoint, _) = place_of(without_port(host.unwrap_or_default()), domains);
    match endpoint {
        Endpoint::Address => {
            parts.uri.path() != "/" || !["GET", "POST"].contains(&parts.method.as_str())
        }
        Endpoint::Custom => domains.contains_key(without_port(host.unwrap_or_default())),
        _ => true,
    }
}

fn without_port(host: &str) -> &str {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if is_port { name } else { host }
}

fn place_of(host: &str, domains: &BTreeMap<String, String>) -> (Endpoint, Option<String>) {
    if let Some(bucket) = domains.get(host) {
        return (Endpoint::Custom, Some(bucket.clone()));
    }
    let bare = host.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() || host == "localhost" {
        return (Endpoint::Address, None);
    }
    let Some(name) = host.strip_suffix(".aliyuncs.com") else {
        return (Endpoint::Custom, None);
    };
    if let Some(dual_stack) = name.strip_suffix(".oss") {
        let (bucket, region) = split_bucket(dual_stack);
        let region = region.to_owned();
        return (Endpoint::Public { region }, bucket);
    }
    let (bucket, service) = split_bucket(name);
    let endpoint = match service.strip_prefix("oss-") {
        Some("accelerate" | "accelerate-overseas") => Endpoint::Accelerate,
        Some(region) => match region.strip_suffix("-internal") {
            Some(region) => Endpoint::Internal {
                region: region.to_owned(),
            },
            None => Endpoint::Public {
                region: region.to_owned(),
            },
        },
        None if service == "oss" => Endpoint::Public {
            region: "cn-hangzhou".to_owned(),
        },
        None => return (Endpoint::Custom, None),
    };
    let known = match &endpoint {
        Endpoint::Public { region } | Endpoint::Internal { region } => {
            regions().contains_key(region)
        }
        _ => true,
    };
    if known {
        (endpoint, bucket)
    } else {
        (Endpoint::Custom, None)
    }
}

/// `bucket.oss-cn-hangzhou` → (`bucket`, `oss-cn-hangzhou`).
fn split_bucket(name: &str) -> (Option<String>, &str) {
    match name.rsplit_once('.') {
        Some((bucket, service)) => (Some(bucket.to_owned()), service),
        None => (None, name),
    }
}

fn decode_path(path: &str) -> String {
    let bytes: Vec<u8> = percent_decode(path.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Decodes a query; `+` is a space, as in forms.
pub(crate) fn decode_query(query: &str) -> Query {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    out
}

/// What a request asks for. The names are those of the API reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    ListBuckets,
    PutBucket,
    DeleteBucket,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketAcl,
    GetBucketStat,
    GetBucketEncryption,
    GetBucketLifecycle,
    PutBucketLifecycle,
    DeleteBucketLifecycle,
    HeadBucket,
    ListObjects,
    ListObjectsV2,
    ListMultipartUploads,
    PutObject,
    GetObject,
    HeadObject,
    GetObjectMeta,
    DeleteObject,
    GetObjectAcl,
    PutObjectAcl,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    InitiateMultipartUpload,
    UploadPart,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    NotImplemented,
}

impl Operation {
    pub(crate) fn of(method: &str, target: &Target, query: &Query) -> Self {
        let has = |name: &str| query.iter().any(|(n, _)| n == name);
        match (&target.bucket, &target.key) {
            (None, _) if method == "GET" => Self::ListBuckets,
            (None, _) => Self::NotImplemented,
            (Some(_), None) => Self::of_bucket(method, &has, query),
            (Some(_), Some(_)) => Self::of_object(method, &has),
        }
    }

    fn of_bucket(method: &str, has: &dyn Fn(&str) -> bool, query: &Query) -> Self {
        match method {
            "GET" if has("bucketInfo") => Self::GetBucketInfo,
            "GET" if has("location") => Self::GetBucketLocation,
            "GET" if has("acl") => Self::GetBucketAcl,
            "GET" if has("stat") => Self::GetBucketStat,
            "GET" if has("encryption") => Self::GetBucketEncryption,
            "GET" if has("lifecycle") => Self::GetBucketLifecycle,
            "GET" if has("uploads") => Self::ListMultipartUploads,
            "PUT" if has("lifecycle") => Self::PutBucketLifecycle,
            "DELETE" if has("lifecycle") => Self::DeleteBucketLifecycle,
            "PUT" if is_plain(query) => Self::PutBucket,
            "DELETE" if is_plain(query) => Self::DeleteBucket,
            "HEAD" => Self::HeadBucket,
            "GET" if query.iter().any(|p| p.0 == "list-type" && p.1 == "2") => Self::ListObjectsV2,
            "GET" => Self::ListObjects,
            _ => Self::NotImplemented,
        }
    }

    fn of_object(method: &str, has: &dyn Fn(&str) -> bool) -> Self {
        match method {
            "GET" if has("acl") => Self::GetObjectAcl,
            "PUT" if has("acl") => Self::PutObjectAcl,
            "GET" if has("tagging") => Self::GetObjectTagging,
            "PUT" if has("tagging") => Self::PutObjectTagging,
            "DELETE" if has("tagging") => Self::DeleteObjectTagging,
            "POST" if has("uploads") => Self::InitiateMultipartUpload,
            "PUT" if has("partNumber") && has("uploadId") => Self::UploadPart,
            "GET" if has("uploadId") => Self::ListParts,
            "POST" if has("uploadId") => Self::CompleteMultipartUpload,
            "DELETE" if has("uploadId") => Self::AbortMultipartUpload,
            "GET" | "HEAD" if has("objectMeta") => Self::GetObjectMeta,
            "PUT" => Self::PutObject,
            "GET" => Self::GetObject,
            "HEAD" => Self::HeadObject,
            "DELETE" => Self::DeleteObject,
            _ => Self::NotImplemented,
        }
    }

    /// The action a RAM policy has to allow.
    pub(crate) fn ram_action(self) -> String {
        let action = match self {
            Self::HeadBucket => "GetBucketInfo",
            Self::ListObjectsV2 => "ListObjects",
            Self::HeadObject | Self::GetObjectMeta => "GetObject",
            Self::InitiateMultipartUpload | Self::UploadPart | Self::CompleteMultipartUpload => {
                "PutObject"
            }
            Self::DeleteBucketLifecycle => "PutBucketLifecycle",
            other => return format!("oss:{other:?}"),
        };
        format!("oss:{action}")
    }

    /// Whether the body is content to be stored.
    pub(crate) fn stores_body(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart)
    }

    /// Whether it moves data rather than settings: what the public endpoints
    /// of mainland China refuse to new accounts.
    pub(crate) fn is_data(self) -> bool {
        matches!(
            self,
            Self::ListObjects
                | Self::ListObjectsV2
                | Self::ListMultipartUploads
                | Self::PutObject
                | Self::GetObject
                | Self::HeadObject
                | Self::GetObjectMeta
                | Self::DeleteObject
                | Self::InitiateMultipartUpload
                | Self::UploadPart
                | Self::ListParts
                | Self::CompleteMultipartUpload
                | Self::AbortMultipartUpload
        )
    }
}

/// Whether a query names no sub-resource, only signature or listing parameters.
fn is_plain(query: &Query) -> bool {
    let mut names = query.iter().map(|(name, _)| name.as_str());
    names.all(|name| {
        name.starts_with("x-oss-")
            || ["OSSAccessKeyId", "Expires", "Signature", "security-token"].contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = axum::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn bucket_and_key_are_found_in_host_and_path() {
        let domains = BTreeMap::from([("images.example.com".to_owned(), "b".to_owned())]);
        let region = || "cn-beijing".to_owned();
        let public = Endpoint::Public { region: region() };
        let internal = Endpoint::Internal { region: region() };
        let table = [
            ("b.oss-cn-beijing.aliyuncs.com", "/", &public, "b", ""),
            (
                "b.oss-cn-beijing.aliyuncs.com",
                "/a%20b/c",
                &public,
                "b",
                "a b/c",
            ),
            (
                "b.oss-cn-beijing.aliyuncs.com:80",
                "/a+b",
                &public,
                "b",
                "a+b",
            ),
            ("oss-cn-beijing.aliyuncs.com", "/", &public, "", ""),
            ("b.cn-beijing.oss.aliyuncs.com", "/k", &public, "b", "k"),
            (
                "b.oss-cn-beijing-internal.aliyuncs.com",
                "/k",
                &internal,
                "b",
                "k",
            ),
            (
                "b.oss-accelerate.aliyuncs.com",
                "/k",
                &Endpoint::Accelerate,
                "b",
                "k",
            ),
            (
                "127.0.0.1:8080",
                "/b/%E9%95%9C",
                &Endpoint::Address,
                "b",
                "镜",
            ),
            ("127.0.0.1:8080", "/b", &Endpoint::Address, "b", ""),
            ("127.0.0.1:8080", "/b/", &Endpoint::Address, "b", ""),
            ("[::1]:80", "/", &Endpoint::Address, "", ""),
            ("images.example.com", "/k", &Endpoint::Custom, "b", "k"),
        ];
        for (host, path, endpoint, bucket, key) in table {
            let target = Target::of(host, path, &domains);
            assert_eq!(target.endpoint, *endpoint, "{host}");
            assert_eq!(target.bucket.unwrap_or_default(), bucket, "{host}{path}");
            assert_eq!(target.key.unwrap_or_default(), key, "{host}{path}");
        }
    }

    #[test]
    fn rpc_and_oss_are_told_apart() {
        let v4 = ("authorization", "OSS4-HMAC-SHA256 Credential=x");
        let ip = ("host", "127.0.0.1:1");
        let table = [
            (parts("GET", "/", &[ip, v4]), true),
            (parts("GET", "/b/k?x-oss-signature=1", &[ip]), true),
            (parts("PUT", "/b", &[ip]), true),
            (parts("GET", "/b/k", &[ip]), true),
            (
                parts("POST", "/", &[ip, ("x-acs-action", "GetRole")]),
                false,
            ),
            (parts("POST", "/", &[ip]), false),
            (parts("GET", "/?Action=DescribeZones", &[ip]), false),
            (
                parts("POST", "/", &[("host", "ecs.cn-beijing.aliyuncs.com")]),
                false,
            ),
            (
                parts("GET", "/", &[("host", "oss-cn-beijing.aliyuncs.com")]),
                true,
            ),
            (
                parts("GET", "http://b.oss-cn-beijing.aliyuncs.com/k", &[]),
                true,
            ),
        ];
        for (parts, oss) in table {
            assert_eq!(
                is_oss(&parts, &BTreeMap::new()),
                oss,
                "{} {}",
                parts.method,
                parts.uri
            );
        }
    }
}
