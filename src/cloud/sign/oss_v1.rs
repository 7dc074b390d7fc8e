//! HMAC-SHA1 of OSS, "V1 signature". New buckets and new accounts refuse it;
//! it serves old private deployments.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::hmac_sha1;
use super::oss::Resource;
use crate::cloud::credential::Credential;
use crate::secret::Secret;

/// Parameters that are part of the resource and are therefore signed.
const SUBRESOURCES: &[&str] = &[
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "continuation-token",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "regionList",
    "resourceGroup",
    "restore",
    "security-token",
    "sequential",
    "stat",
    "symlink",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
];

/// Adds what the signature needs to the headers, and the signature. Gives the
/// string that was signed.
pub(super) fn sign(
    method: &str,
    resource: Resource<'_>,
    headers: &mut BTreeMap<&'static str, String>,
    credential: &Credential,
    time: Timestamp,
) -> String {
    let date = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    headers.insert("date", date.clone());
    if let Some(token) = &credential.security_token {
        headers.insert("x-oss-security-token", token.expose().to_owned());
    }
    let string_to_sign = string_to_sign(method, resource, headers, &date);
    let signature = signature(&credential.secret, &string_to_sign);
    let authorization = format!("OSS {}:{signature}", credential.access_key_id);
    headers.insert("authorization", authorization);
    string_to_sign
}

/// `date` is when it was signed, or when a signed URL ends.
fn string_to_sign(
    method: &str,
    resource: Resource<'_>,
    headers: &BTreeMap<&'static str, String>,
    date: &str,
) -> String {
    let header = |name| headers.get(name).map_or("", String::as_str);
    let (md5, content_type) = (header("content-md5"), header("content-type"));
    let own: String = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-oss-"))
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let resource = canonical_resource(resource);
    format!("{method}\n{md5}\n{content_type}\n{date}\n{own}{resource}")
}

/// Neither path nor values are percent-encoded.
fn canonical_resource(resource: Resource<'_>) -> String {
    let is_signed = |name: &str| {
        SUBRESOURCES.contains(&name) || name.starts_with("response-") || name.starts_with("x-oss-")
    };
    let mut query: Vec<_> = resource
        .query
        .iter()
        .filter(|(name, _)| is_signed(name))
        .map(|(name, value)| match *value {
            "" => (*name).to_owned(),
            value => format!("{name}={value}"),
        })
        .collect();
    query.sort();
    let path = resource.path();
    match query.is_empty() {
        true => path,
        false => format!("{path}?{}", query.join("&")),
    }
}

fn signature(secret: &Secret, string_to_sign: &str) -> String {
    STANDARD.encode(hmac_sha1(secret.expose().as_bytes(), string_to_sign))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::oss::tests::{headers, query};
    use super::super::tests::vectors;
    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        bucket: Option<String>,
        key: Option<String>,
        params: Vec<(String, String)>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        date: Option<String>,
        expires: Option<u64>,
        security_token: Option<String>,
        access_key_id: String,
        access_key_secret: String,
        canonicalized_resource: Option<String>,
        string_to_sign: String,
        signature: String,
        authorization: Option<String>,
    }

    impl Vector {
        fn check(&self, date: &str, query: &[(&str, &str)]) {
            let resource = Resource {
                bucket: self.bucket.as_deref(),
                key: self.key.as_deref(),
                query,
            };
            if let Some(expected) = &self.canonicalized_resource {
                assert_eq!(canonical_resource(resource), *expected, "{}", self.name);
            }
            let headers = headers(&self.headers);
            let string_to_sign = string_to_sign(&self.method, resource, &headers, date);
            assert_eq!(string_to_sign, self.string_to_sign, "{}", self.name);
            let secret = Secret::new(self.access_key_secret.clone());
            let signature = signature(&secret, &string_to_sign);
            assert_eq!(signature, self.signature, "{}", self.name);
        }
    }

    #[test]
    fn all_header_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("oss_v1_header");
        assert_eq!(vectors.len(), 9);
        for vector in vectors {
            let date = vector.date.clone().unwrap();
            vector.check(&date, &query(&vector.params));
        }
    }

    #[test]
    fn all_query_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("oss_v1_query");
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let expires = vector.expires.unwrap().to_string();
            let mut query = query(&vector.params);
            query.extend(
                vector
                    .security_token
                    .as_deref()
                    .map(|token| ("security-token", token)),
            );
            vector.check(&expires, &query);
        }
    }

    #[test]
    fn a_whole_request_meets_a_vector() {
        let vectors: Vec<Vector> = vectors("oss_v1_header");
        let vector = vectors
            .iter()
            .find(|v| v.name == "initiate-multipart")
            .unwrap();
        let mut given = vector.headers.clone();
        let credential = Credential {
            access_key_id: vector.access_key_id.clone(),
            secret: Secret::new(vector.access_key_secret.clone()),
            security_token: given.remove("x-oss-security-token").map(Secret::new),
            expiration: None,
        };
        let resource = Resource {
            bucket: vector.bucket.as_deref(),
            key: vector.key.as_deref(),
            query: &[("uploads", "")],
        };
        let time = jiff::fmt::rfc2822::parse(vector.date.as_deref().unwrap()).unwrap();
        let mut headers = headers(&given);
        let signed = sign(
            "POST",
            resource,
            &mut headers,
            &credential,
            time.timestamp(),
        );
        assert_eq!(signed, vector.string_to_sign);
        assert_eq!(headers.get("authorization"), vector.authorization.as_ref());
    }
}
