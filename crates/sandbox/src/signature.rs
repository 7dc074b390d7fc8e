//! Verifies request signatures: the RPC style HMAC-SHA1 of signature version
//! 1.0 and ACS3-HMAC-SHA256. Written against the public documentation of both,
//! not against any client.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Percent-encodes as both signature versions want it: everything but
/// `A-Za-z0-9-_.~`.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => push_hex(&mut out, byte, true),
        }
    }
    out
}

fn push_hex(out: &mut String, byte: u8, escape: bool) {
    let written = if escape {
        write!(out, "%{byte:02X}")
    } else {
        write!(out, "{byte:02x}")
    };
    written.expect("writing to a string does not fail");
}

fn canonical_query(params: &BTreeMap<String, String>) -> String {
    let pairs = params
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The string to sign of signature version 1.0. `Signature` is left out.
pub fn rpc_string_to_sign(method: &str, params: &BTreeMap<String, String>) -> String {
    let mut signed = params.clone();
    signed.remove("Signature");
    format!("{method}&%2F&{}", encode(&canonical_query(&signed)))
}

/// The `Signature` of signature version 1.0.
pub fn rpc_signature(secret: &str, string_to_sign: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The parts of a request that ACS3-HMAC-SHA256 covers.
pub struct Acs3Request<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path, `/` for RPC.
    pub path: &'a str,
    /// Decoded query parameters; those of a form body do not belong here.
    pub query: &'a BTreeMap<String, String>,
    /// Headers with lower-case names.
    pub headers: &'a BTreeMap<String, String>,
    /// The `SignedHeaders` list of the Authorization header.
    pub signed_headers: &'a str,
    /// Body as sent.
    pub body: &'a [u8],
}

/// The canonical request of ACS3-HMAC-SHA256.
pub fn acs3_canonical_request(request: &Acs3Request<'_>) -> String {
    let mut headers = String::new();
    for name in request.signed_headers.split(';') {
        let value = request.headers.get(name).map_or("", |v| v.trim());
        headers.push_str(&format!("{name}:{value}\n"));
    }
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        request.path,
        canonical_query(request.query),
        request.signed_headers,
        sha256_hex(request.body)
    )
}

/// The string to sign of ACS3-HMAC-SHA256.
pub fn acs3_string_to_sign(canonical_request: &str) -> String {
    format!(
        "ACS3-HMAC-SHA256\n{}",
        sha256_hex(canonical_request.as_bytes())
    )
}

/// The signature of ACS3-HMAC-SHA256, in hexadecimal.
pub fn acs3_signature(secret: &str, string_to_sign: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(string_to_sign.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    bytes
        .iter()
        .for_each(|byte| push_hex(&mut out, *byte, false));
    out
}

/// The Authorization header of ACS3-HMAC-SHA256, taken apart.
pub struct Acs3Authorization {
    /// AccessKeyId.
    pub access_key_id: String,
    /// Names of the signed headers, joined by `;`.
    pub signed_headers: String,
    /// Signature in hexadecimal.
    pub signature: String,
}

impl Acs3Authorization {
    /// Parses `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
    pub fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("ACS3-HMAC-SHA256")?.trim();
        let field = |name: &str| {
            let mut found = fields.split(',').filter_map(|f| f.trim().split_once('='));
            found.find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
        };
        Some(Self {
            access_key_id: field("Credential")?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}
