//! What both signatures of OSS sign, and which one is used.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{SignatureAlgorithm, oss_v1, oss_v4};
use crate::cloud::credential::Credential;

/// What a request is about. The bucket counts wherever it stands in the URL.
#[derive(Debug, Clone, Copy)]
pub(in crate::cloud) struct Resource<'a> {
    pub(in crate::cloud) bucket: Option<&'a str>,
    pub(in crate::cloud) key: Option<&'a str>,
    /// Not encoded, in any order.
    pub(in crate::cloud) query: &'a [(&'a str, &'a str)],
}

impl Resource<'_> {
    /// `/bucket/key`, not encoded.
    pub(super) fn path(&self) -> String {
        match self.bucket {
            None => "/".to_owned(),
            Some(bucket) => format!("/{bucket}/{}", self.key.unwrap_or_default()),
        }
    }
}

/// Adds the signature to the headers, whose names are in lower case. Gives
/// the string that was signed.
pub(in crate::cloud) fn sign_oss(
    algorithm: SignatureAlgorithm,
    method: &str,
    resource: Resource<'_>,
    region: &str,
    headers: &mut BTreeMap<&'static str, String>,
    credential: &Credential,
    time: Timestamp,
) -> String {
    match algorithm {
        SignatureAlgorithm::Acs3HmacSha256 => {
            oss_v4::sign(method, resource, region, headers, credential, time)
        }
        SignatureAlgorithm::RpcHmacSha1 => {
            oss_v1::sign(method, resource, headers, credential, time)
        }
        SignatureAlgorithm::RpcSha256Rsa | SignatureAlgorithm::Anonymous => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cloud::sign) fn name_of(name: &str) -> &'static str {
        name.to_lowercase().leak()
    }

    pub(in crate::cloud::sign) fn headers(
        given: &BTreeMap<String, String>,
    ) -> BTreeMap<&'static str, String> {
        let named = given
            .iter()
            .map(|(name, value)| (name_of(name), value.clone()));
        named.collect()
    }

    pub(in crate::cloud::sign) fn query(params: &[(String, String)]) -> Vec<(&str, &str)> {
        let pairs = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.collect()
    }

    #[test]
    fn a_path_names_the_bucket_even_without_a_key() {
        let path = |bucket, key| {
            Resource {
                bucket,
                key,
                query: &[],
            }
            .path()
        };
        assert_eq!(path(None, None), "/");
        assert_eq!(path(Some("b"), None), "/b/");
        assert_eq!(path(Some("b"), Some("d/k")), "/b/d/k");
    }
}
