//! SHA256withRSA, with which STS knows the owner of an RSA key pair: the text
//! of the RPC style's signature, signed with PKCS #1 v1.5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::decode_secret_key;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::RsaKeypair;
use russh::keys::ssh_key::{HashAlg, Signature};

use crate::secret::Secret;

/// Signs a text; none when the key is not an RSA key.
pub(super) fn signature(text: &str, private_key: &Secret) -> Option<String> {
    let signer = (&read(private_key)?, Some(HashAlg::Sha256));
    let signature: Signature = signer.try_sign(text.as_bytes()).ok()?;
    Some(STANDARD.encode(signature.as_bytes()))
}

/// Reads an RSA key: PKCS #1 or PKCS #8 as PEM, or, as some tools of Alibaba
/// Cloud keep it, PKCS #8 without the lines around it.
pub(super) fn read(private_key: &Secret) -> Option<RsaKeypair> {
    let text = private_key.expose().trim();
    let key = if text.starts_with("-----BEGIN ") {
        decode_secret_key(text, None)
    } else {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        decode_secret_key(&pem, None)
    };
    key.ok()?.key_data().rsa().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("test-key.pem");

    /// Made with `openssl dgst -sha256 -sign`, which is what PKCS #1 v1.5 is.
    const TEXT: &str = "POST&%2F&Action%3DGenerateSessionAccessKey";
    const SIGNATURE: &str = "jiToTQ5ybhLOlr2IQKf/q+pqbhblHDXoTynyvN6dFBiHmMBEdqq9DlTopP9sVj/\
        BTKCgS8jFQVhywl5tYNLDv2NpIzf7BmdYAOtSs5rxHX4JR7cL/+SPUIMQF1JZ14K4Nlflvhc7611M92lNZSj4MFU\
        FKr4X2K2tXQycs0aE3F0VGWtCtd/AucUYKyvv3ljwVaK6RqD9vuwMmd0J4uIMQw1N0QI97k9KY772ny/S3HFzlcE\
        UedQXalqgc6aakD3fYyznRvd1+L7+uEnEtfCdWJ18VrsKRslDRfMhn2OLga0N5X4oDPdsZeL88N07/WYwrEXshx9\
        EdX0tXpNUfJmzqQ==";

    #[test]
    fn a_text_is_signed_as_openssl_does() {
        let lines = PEM.lines().filter(|line| !line.starts_with("-----"));
        let bare: String = lines.collect();
        for key in [PEM.to_owned(), format!("\n{PEM}"), bare] {
            let signature = signature(TEXT, &Secret::new(key));
            assert_eq!(signature.as_deref(), Some(SIGNATURE));
        }
    }

    #[test]
    fn what_is_no_rsa_key_signs_nothing() {
        let half: String = PEM.lines().take(9).collect();
        for key in ["", "hunter2", &half] {
            assert_eq!(signature(TEXT, &Secret::new(key)), None);
        }
    }
}
