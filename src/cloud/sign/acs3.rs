//! `ACS3-HMAC-SHA256`, called "V3 request structure and signature" in the
//! documentation.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{FORM, Signature, Stamp, Unsigned, form, hex, hmac_sha256, host};
use crate::cloud::credential::Credential;
use crate::cloud::transport::{Method, Signed};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Signs a request.
pub(super) fn sign(request: Unsigned<'_>, credential: &Credential, stamp: &Stamp) -> Signature {
    let body = form(request.parameters.iter());
    let headers = headers(request, credential, stamp, &body);
    let (string_to_sign, authorization) = Canonical {
        method: "POST",
        uri: "/",
        query: "",
        headers: &headers,
        body: body.as_bytes(),
    }
    .authorize(credential);
    let sent = headers.into_iter().filter(|(name, _)| *name != "host");
    let request = Signed {
        method: Method::Post,
        url: request.url.clone(),
        headers: sent.chain([("authorization", authorization)]).collect(),
        body: body.into(),
        read_timeout: request.read_timeout,
    };
    Signature {
        request,
        string_to_sign,
    }
}

/// The headers that are signed. Not the user agent: proxies change it.
fn headers(
    request: Unsigned<'_>,
    credential: &Credential,
    stamp: &Stamp,
    body: &str,
) -> BTreeMap<&'static str, String> {
    let mut headers = BTreeMap::from([
        ("content-type", FORM.to_owned()),
        ("host", host(request.url)),
        ("x-acs-action", request.action.to_owned()),
        ("x-acs-content-sha256", hex(&Sha256::digest(body))),
        ("x-acs-date", stamp.time_text()),
        ("x-acs-signature-nonce", stamp.nonce.clone()),
        ("x-acs-version", request.product.version().to_owned()),
    ]);
    if let Some(token) = &credential.security_token {
        headers.insert("x-acs-security-token", token.expose().to_owned());
    }
    headers
}

/// What is signed, in parts.
struct Canonical<'a> {
    method: &'a str,
    uri: &'a str,
    query: &'a str,
    headers: &'a BTreeMap<&'a str, String>,
    body: &'a [u8],
}

impl Canonical<'_> {
    fn signed_headers(&self) -> String {
        self.headers.keys().copied().collect::<Vec<_>>().join(";")
    }

    fn request(&self) -> String {
        let Self {
            method, uri, query, ..
        } = self;
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let (signed, hash) = (self.signed_headers(), hex(&Sha256::digest(self.body)));
        format!("{method}\n{uri}\n{query}\n{headers}\n{signed}\n{hash}")
    }

    /// The string to sign and the value of the `authorization` header.
    fn authorize(&self, credential: &Credential) -> (String, String) {
        let hash = hex(&Sha256::digest(self.request()));
        let string_to_sign = format!("{ALGORITHM}\n{hash}");
        let key = credential.secret.expose().as_bytes();
        let signature = hex(&hmac_sha256(key, &string_to_sign));
        let authorization = format!(
            "{ALGORITHM} Credential={},SignedHeaders={},Signature={signature}",
            credential.access_key_id,
            self.signed_headers(),
        );
        (string_to_sign, authorization)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::tests::vectors;
    use super::*;
    use crate::cloud::Product;
    use crate::cloud::parameters::Parameters;
    use crate::secret::Secret;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        canonical_uri: String,
        query: BTreeMap<String, String>,
        headers: BTreeMap<String, String>,
        body: String,
        access_key_id: String,
        access_key_secret: String,
        canonical_query: String,
        canonical_request: String,
        string_to_sign: String,
        authorization: String,
    }

    fn credential(id: &str, secret: &str) -> Credential {
        Credential {
            access_key_id: id.to_owned(),
            secret: Secret::new(secret),
            security_token: None,
            expiration: None,
        }
    }

    #[test]
    fn all_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("acs3");
        assert_eq!(vectors.len(), 7);
        for vector in vectors {
            let query = form(vector.query.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            assert_eq!(query, vector.canonical_query, "{}", vector.name);
            let headers: BTreeMap<&str, String> = vector
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            let canonical = Canonical {
                method: &vector.method,
                uri: &vector.canonical_uri,
                query: &query,
                headers: &headers,
                body: vector.body.as_bytes(),
            };
            assert_eq!(
                canonical.request(),
                vector.canonical_request,
                "{}",
                vector.name
            );
            let credential = credential(&vector.access_key_id, &vector.access_key_secret);
            let (string_to_sign, authorization) = canonical.authorize(&credential);
            assert_eq!(string_to_sign, vector.string_to_sign, "{}", vector.name);
            assert_eq!(authorization, vector.authorization, "{}", vector.name);
        }
    }

    #[test]
    fn a_whole_request_meets_the_form_vector() {
        let vectors: Vec<Vector> = vectors("acs3");
        let vector = vectors
            .iter()
            .find(|v| v.name == "rpc-formdata-body")
            .unwrap();
        let mut parameters = Parameters::default();
        parameters.add("RegionId", "cn-hangzhou");
        parameters.add("CidrBlock", "172.16.0.0/16");
        parameters.add("VpcName", "a b");
        let unsigned = Unsigned {
            url: &"https://vpc.cn-hangzhou.aliyuncs.com".parse().unwrap(),
            product: Product::Vpc,
            action: "CreateVpc",
            parameters: &parameters,
            read_timeout: std::time::Duration::from_secs(1),
        };
        let stamp = Stamp {
            nonce: vector.headers["x-acs-signature-nonce"].clone(),
            time: vector.headers["x-acs-date"].parse().unwrap(),
        };
        let signature = sign(unsigned, &credential("testid", "testsecret"), &stamp);
        assert_eq!(signature.request.body, vector.body);
        assert_eq!(signature.string_to_sign, vector.string_to_sign);
        let authorization = ("authorization", vector.authorization.clone());
        assert!(signature.request.headers.contains(&authorization));
        assert!(
            signature
                .request
                .headers
                .iter()
                .all(|(name, _)| *name != "host")
        );
    }
}
