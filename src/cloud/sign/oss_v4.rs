//! `OSS4-HMAC-SHA256`, "V4 signature" of the OSS documentation.
//!
//! The payload is not signed; integrity is TLS's and the CRC-64's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::oss::Resource;
use super::{encode, hex, hmac_sha256};
use crate::cloud::credential::Credential;
use crate::secret::Secret;

const ALGORITHM: &str = "OSS4-HMAC-SHA256";
const PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const TERMINATOR: &str = "aliyun_v4_request";

/// The product in the scope: CloudBox has another one, which is not served.
const PRODUCT: &str = "oss";

/// Adds what the signature needs to the headers, and the signature. Gives the
/// string that was signed.
pub(super) fn sign(
    method: &str,
    resource: Resource<'_>,
    region: &str,
    headers: &mut BTreeMap<&'static str, String>,
    credential: &Credential,
    time: Timestamp,
) -> String {
    let stamp = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    headers.insert("x-oss-date", stamp.clone());
    headers.insert("x-oss-content-sha256", PAYLOAD.to_owned());
    if let Some(token) = &credential.security_token {
        headers.insert("x-oss-security-token", token.expose().to_owned());
    }
    let canonical = Canonical {
        method,
        resource,
        headers,
        additional: &[],
    };
    let scope = Scope {
        stamp: &stamp,
        region,
        product: PRODUCT,
    };
    let string_to_sign = scope.string_to_sign(&canonical.request());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{},Signature={}",
        credential.access_key_id,
        scope.text(),
        scope.signature(&credential.secret, &string_to_sign)
    );
    headers.insert("authorization", authorization);
    string_to_sign
}

/// What is signed, in parts.
struct Canonical<'a> {
    method: &'a str,
    resource: Resource<'a>,
    headers: &'a BTreeMap<&'static str, String>,
    /// Further headers that are signed. None are: a proxy may change them.
    additional: &'a [&'a str],
}

impl Canonical<'_> {
    fn request(&self) -> String {
        let uri = encode(&self.resource.path()).replace("%2F", "/");
        let headers: String = self
            .headers
            .iter()
            .filter(|(name, _)| is_signed(name) || self.additional.contains(name))
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let Self { method, .. } = self;
        let (query, additional) = (self.query(), self.additional_names());
        format!("{method}\n{uri}\n{query}\n{headers}\n{additional}\n{PAYLOAD}")
    }

    /// Sorted by the encoded names; a parameter without value has no `=`.
    fn query(&self) -> String {
        let mut pairs: Vec<_> = self
            .resource
            .query
            .iter()
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        let pairs = pairs.iter().map(|(name, value)| match value.as_str() {
            "" => name.clone(),
            value => format!("{name}={value}"),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Those that are there and not signed anyway.
    fn additional_names(&self) -> String {
        let mut names: Vec<_> = self
            .additional
            .iter()
            .copied()
            .filter(|name| !is_signed(name) && self.headers.contains_key(name))
            .collect();
        names.sort_unstable();
        names.join(";")
    }
}

fn is_signed(name: &str) -> bool {
    name.starts_with("x-oss-") || matches!(name, "content-type" | "content-md5")
}

/// Where and when a signature is good.
#[derive(Clone, Copy)]
struct Scope<'a> {
    stamp: &'a str,
    region: &'a str,
    product: &'a str,
}

impl Scope<'_> {
    fn date(&self) -> &str {
        self.stamp.split('T').next().unwrap_or_default()
    }

    fn text(&self) -> String {
        let Self {
            region, product, ..
        } = self;
        format!("{}/{region}/{product}/{TERMINATOR}", self.date())
    }

    fn string_to_sign(&self, request: &str) -> String {
        let hash = hex(&Sha256::digest(request));
        format!("{ALGORITHM}\n{}\n{}\n{hash}", self.stamp, self.text())
    }

    fn key(&self, secret: &Secret) -> Vec<u8> {
        let first = format!("aliyun_v4{}", secret.expose()).into_bytes();
        [self.date(), self.region, self.product, TERMINATOR]
            .into_iter()
            .fold(first, |key, text| hmac_sha256(&key, text))
    }

    fn signature(&self, secret: &Secret, string_to_sign: &str) -> String {
        hex(&hmac_sha256(&self.key(secret), string_to_sign))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::oss::tests::{headers, name_of, query};
    use super::super::tests::vectors;
    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        bucket: Option<String>,
        key: Option<String>,
        params: Vec<(String, String)>,
        #[serde(alias = "headers_before")]
        headers: BTreeMap<String, String>,
        security_token: Option<String>,
        additional_headers: Vec<String>,
        timestamp: String,
        region: String,
        product: String,
        access_key_id: String,
        access_key_secret: String,
        canonical_request: String,
        string_to_sign: String,
        signature: String,
        signing_key_hex: Option<String>,
        authorization: Option<String>,
        #[serde(default)]
        query_added: BTreeMap<String, String>,
    }

    fn time(stamp: &str) -> Timestamp {
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
            .unwrap()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .unwrap()
            .timestamp()
    }

    fn check(vector: &Vector, headers: &BTreeMap<&'static str, String>, query: &[(&str, &str)]) {
        let additional: Vec<_> = vector
            .additional_headers
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        let additional: Vec<_> = additional.iter().map(String::as_str).collect();
        let canonical = Canonical {
            method: &vector.method,
            resource: Resource {
                bucket: vector.bucket.as_deref(),
                key: vector.key.as_deref(),
                query,
            },
            headers,
            additional: &additional,
        };
        let Vector { name, .. } = vector;
        assert_eq!(canonical.request(), vector.canonical_request, "{name}");
        let scope = Scope {
            stamp: &vector.timestamp,
            region: &vector.region,
            product: &vector.product,
        };
        let string_to_sign = scope.string_to_sign(&canonical.request());
        assert_eq!(string_to_sign, vector.string_to_sign, "{name}");
        let secret = Secret::new(vector.access_key_secret.clone());
        if let Some(key) = &vector.signing_key_hex {
            assert_eq!(hex(&scope.key(&secret)), *key, "{name}");
        }
        assert_eq!(
            scope.signature(&secret, &string_to_sign),
            vector.signature,
            "{name}"
        );
    }

    #[test]
    fn all_header_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("oss_v4_header");
        assert_eq!(vectors.len(), 17);
        for vector in vectors {
            let query = query(&vector.params);
            let mut signed = headers(&vector.headers);
            let credential = Credential {
                access_key_id: vector.access_key_id.clone(),
                secret: Secret::new(vector.access_key_secret.clone()),
                security_token: vector.security_token.clone().map(Secret::new),
                expiration: None,
            };
            let resource = Resource {
                bucket: vector.bucket.as_deref(),
                key: vector.key.as_deref(),
                query: &query,
            };
            sign(
                &vector.method,
                resource,
                &vector.region,
                &mut signed,
                &credential,
                time(&vector.timestamp),
            );
            let authorization = signed.remove("authorization");
            check(&vector, &signed, &query);
            if vector.additional_headers.is_empty() && vector.product == PRODUCT {
                assert_eq!(authorization, vector.authorization, "{}", vector.name);
            }
        }
    }

    #[test]
    fn all_query_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("oss_v4_query");
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let added = vector
                .query_added
                .iter()
                .filter(|(name, _)| *name != "x-oss-signature")
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let query: Vec<_> = query(&vector.params).into_iter().chain(added).collect();
            check(&vector, &headers(&vector.headers), &query);
        }
    }

    #[test]
    fn names_of_headers_are_compared_in_lower_case() {
        assert_eq!(name_of("X-OSS-Date"), "x-oss-date");
    }
}
