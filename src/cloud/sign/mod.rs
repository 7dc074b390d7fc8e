//! Signing: a pure function of request, keys, nonce and time.
//!
//! Requests are `POST /` with all parameters in the form body, so that no
//! proxy or access log sees them in a URL; OSS has a style of its own.

mod acs3;
mod oss;
mod oss_v1;
mod oss_v4;
mod rpc_v1;
mod rsa;

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::Sha256;
use url::Url;

use super::Product;
use super::credential::Credential;
use super::parameters::Parameters;
use super::transport::Signed;
use crate::secret::Secret;

pub(super) use oss::{Resource, sign_oss};

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureAlgorithm {
    /// `ACS3-HMAC-SHA256` and, for OSS, `OSS4-HMAC-SHA256`: the current ones.
    #[default]
    Acs3HmacSha256,
    /// HMAC-SHA1, signature version 1.0 and OSS V1, for old private
    /// deployments.
    RpcHmacSha1,
    /// SHA256withRSA, signature version 1.0: STS for owners of an RSA key pair,
    /// whose private half is in the place of the secret.
    RpcSha256Rsa,
    /// None: the request carries a proof of its own.
    Anonymous,
}

/// What makes each attempt different.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) nonce: String,
    pub(super) time: Timestamp,
}

impl Stamp {
    fn time_text(&self) -> String {
        self.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// A request before it is signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) url: &'a Url,
    pub(super) product: Product,
    pub(super) action: &'a str,
    pub(super) parameters: &'a Parameters,
    pub(super) read_timeout: Duration,
}

/// A signed request and the text its signature is of.
pub(super) struct Signature {
    pub(super) request: Signed,
    pub(super) string_to_sign: String,
}

/// Signs a request.
pub(super) fn sign(
    algorithm: SignatureAlgorithm,
    request: Unsigned<'_>,
    credential: &Credential,
    stamp: &Stamp,
) -> Signature {
    match algorithm {
        SignatureAlgorithm::Acs3HmacSha256 => acs3::sign(request, credential, stamp),
        SignatureAlgorithm::RpcHmacSha1 => rpc_v1::sign(request, credential, stamp),
        SignatureAlgorithm::RpcSha256Rsa => rpc_v1::sign_with_rsa(request, credential, stamp),
        SignatureAlgorithm::Anonymous => rpc_v1::leave_unsigned(request, stamp),
    }
}

/// Whether [`SignatureAlgorithm::RpcSha256Rsa`] can sign with it.
pub(super) fn is_rsa_key(private_key: &Secret) -> bool {
    rsa::read(private_key).is_some()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Percent-encodes as the signature demands: every byte of the UTF-8 text
/// except `A-Za-z0-9-_.~`, in upper case.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    encoded
}

/// `name=value&…`, encoded, in the given order.
fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&encode(name));
        text.push('=');
        text.push_str(&encode(value));
    }
    text
}

/// The host header that will be sent: the port only when it is not usual.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn hmac_sha1(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// The vectors of one group.
    pub(super) fn vectors<T: DeserializeOwned>(group: &str) -> Vec<T> {
        let all: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
        serde_json::from_value(all[group].clone()).unwrap()
    }

    #[test]
    fn encoding_keeps_only_unreserved_characters() {
        assert_eq!(encode("a b*c~d/镜"), "a%20b%2Ac~d%2F%E9%95%9C");
    }

    #[test]
    fn the_host_has_a_port_only_when_it_is_unusual() {
        let table = [
            (
                "https://ecs.cn-hangzhou.aliyuncs.com",
                "ecs.cn-hangzhou.aliyuncs.com",
            ),
            ("https://example.com:443", "example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ];
        for (url, expected) in table {
            assert_eq!(host(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn times_are_whole_seconds_in_utc() {
        let stamp = Stamp {
            nonce: String::new(),
            time: "2026-11-22T16:00:00.9+08:00".parse().unwrap(),
        };
        assert_eq!(stamp.time_text(), "2026-11-22T08:00:00Z");
    }
}
