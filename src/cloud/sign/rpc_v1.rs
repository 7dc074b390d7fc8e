//! HMAC-SHA1, "SignatureVersion 1.0" of the RPC style; the documentation
//! calls it "V2" and has discontinued it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{FORM, Signature, Stamp, Unsigned, encode, form, hmac_sha1};
use crate::cloud::credential::Credential;
use crate::cloud::transport::{Method, Signed};
use crate::secret::Secret;

/// Signs a request.
pub(super) fn sign(request: Unsigned<'_>, credential: &Credential, stamp: &Stamp) -> Signature {
    let method = ("SignatureMethod", "HMAC-SHA1".to_owned());
    sign_by(vec![method], request, credential, stamp, |text| {
        signature(text, &credential.secret)
    })
}

/// Signs a request with the private key that is in the place of the secret.
pub(super) fn sign_with_rsa(
    request: Unsigned<'_>,
    credential: &Credential,
    stamp: &Stamp,
) -> Signature {
    let method = vec![
        ("SignatureMethod", "SHA256withRSA".to_owned()),
        ("SignatureType", "PRIVATEKEY".to_owned()),
    ];
    sign_by(method, request, credential, stamp, |text| {
        super::rsa::signature(text, &credential.secret)
            .expect("whoever chose this algorithm has read the key")
    })
}

fn sign_by(
    method: Vec<(&'static str, String)>,
    request: Unsigned<'_>,
    credential: &Credential,
    stamp: &Stamp,
    signature: impl FnOnce(&str) -> String,
) -> Signature {
    let mut common = common(request, credential, stamp);
    common.extend(method);
    let mut all: BTreeMap<&str, &str> = request.parameters.iter().collect();
    all.extend(common.iter().map(|(name, value)| (*name, value.as_str())));
    let string_to_sign = string_to_sign("POST", &all);
    let signature = signature(&string_to_sign);
    all.insert("Signature", &signature);
    Signature {
        request: post(request, form(all)),
        string_to_sign,
    }
}

/// The same request without a signature.
pub(super) fn leave_unsigned(request: Unsigned<'_>, stamp: &Stamp) -> Signature {
    let protocol = protocol(request, stamp);
    let mut all: BTreeMap<&str, &str> = request.parameters.iter().collect();
    all.extend(protocol.iter().map(|(name, value)| (*name, value.as_str())));
    Signature {
        request: post(request, form(all)),
        string_to_sign: String::new(),
    }
}

fn post(request: Unsigned<'_>, form: String) -> Signed {
    Signed {
        method: Method::Post,
        url: request.url.clone(),
        headers: vec![("content-type", FORM.to_owned())],
        body: form.into(),
        read_timeout: request.read_timeout,
    }
}

fn protocol(request: Unsigned<'_>, stamp: &Stamp) -> Vec<(&'static str, String)> {
    vec![
        ("Action", request.action.to_owned()),
        ("Version", request.product.version().to_owned()),
        ("Format", "JSON".to_owned()),
        ("SignatureNonce", stamp.nonce.clone()),
        ("Timestamp", stamp.time_text()),
    ]
}

fn common(
    request: Unsigned<'_>,
    credential: &Credential,
    stamp: &Stamp,
) -> Vec<(&'static str, String)> {
    let mut common = protocol(request, stamp);
    common.extend([
        ("AccessKeyId", credential.access_key_id.clone()),
        ("SignatureVersion", "1.0".to_owned()),
    ]);
    if let Some(token) = &credential.security_token {
        common.push(("SecurityToken", token.expose().to_owned()));
    }
    common
}

/// Parameters are sorted by the bytes of their names: `Tag.10` before `Tag.2`.
fn string_to_sign(method: &str, parameters: &BTreeMap<&str, &str>) -> String {
    let query = form(parameters.iter().map(|(name, value)| (*name, *value)));
    format!("{method}&%2F&{}", encode(&query))
}

fn signature(string_to_sign: &str, secret: &Secret) -> String {
    let key = format!("{}&", secret.expose());
    STANDARD.encode(hmac_sha1(key.as_bytes(), string_to_sign))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::tests::vectors;
    use super::*;
    use crate::cloud::Product;
    use crate::cloud::parameters::Parameters;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        params: BTreeMap<String, String>,
        access_key_secret: String,
        canonical_query: String,
        string_to_sign: String,
        signature: String,
    }

    fn borrowed(parameters: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
        parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    #[test]
    fn all_vectors_are_met() {
        let vectors: Vec<Vector> = vectors("rpc_v1");
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let parameters = borrowed(&vector.params);
            let query = form(parameters.iter().map(|(name, value)| (*name, *value)));
            assert_eq!(query, vector.canonical_query, "{}", vector.name);
            let text = string_to_sign(&vector.method, &parameters);
            assert_eq!(text, vector.string_to_sign, "{}", vector.name);
            let signature = signature(&text, &Secret::new(vector.access_key_secret));
            assert_eq!(signature, vector.signature, "{}", vector.name);
        }
    }

    #[test]
    fn a_whole_request_with_a_token_meets_its_vector() {
        let vectors: Vec<Vector> = vectors("rpc_v1");
        let vector = vectors
            .iter()
            .find(|v| v.name == "sts-token-import-image")
            .unwrap();
        let given = |name: &str| vector.params[name].clone();
        let mut parameters = Parameters::default();
        for (name, value) in &vector.params {
            parameters.add(name, value);
        }
        let credential = Credential {
            access_key_id: given("AccessKeyId"),
            secret: Secret::new(&*vector.access_key_secret),
            security_token: Some(Secret::new(given("SecurityToken"))),
            expiration: None,
        };
        let stamp = Stamp {
            nonce: given("SignatureNonce"),
            time: given("Timestamp").parse().unwrap(),
        };
        let unsigned = Unsigned {
            url: &"https://ecs.cn-beijing.aliyuncs.com".parse().unwrap(),
            product: Product::Ecs,
            action: "ImportImage",
            parameters: &parameters,
            read_timeout: std::time::Duration::from_secs(1),
        };
        let signed = sign(unsigned, &credential, &stamp);
        assert_eq!(signed.string_to_sign, vector.string_to_sign);
        let sent = format!("Signature={}&", encode(&vector.signature));
        let body = String::from_utf8(signed.request.body.to_vec()).unwrap();
        assert!(body.contains(&sent), "{body}");
    }
}
