//! SSH keys on this side: the pair made for one build, and private keys the
//! user names.
//!
//! It neither stores keys nor sends them anywhere. Formats: OpenSSH's
//! `PROTOCOL.key` and RFC 4716's cousins (PKCS#1, PKCS#8, SEC1 in PEM).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::{
    Algorithm, Certificate, EcdsaCurve, HashAlg, PrivateKey, decode_secret_key,
    load_openssh_certificate,
};

use crate::error::{Error, Kind, Result};
use crate::plan::communicator::KeyType;
use crate::secret::Secret;

/// A key pair in the forms that others want it in.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key in OpenSSH's format, unencrypted.
    pub private: Secret,
    /// The line for `authorized_keys`, without comment and line end.
    pub public: String,
    key: Arc<PrivateKey>,
}

impl KeyPair {
    /// Makes a new pair. RSA takes a good part of a second; call it where
    /// blocking is allowed.
    pub fn generate(key_type: KeyType) -> Result<Self> {
        let random = &mut rand::rng();
        let key = match key_type {
            KeyType::Ed25519 => PrivateKey::random(random, Algorithm::Ed25519),
            KeyType::Ecdsa(bits) => PrivateKey::random(
                random,
                Algorithm::Ecdsa {
                    curve: curve(bits)?,
                },
            ),
            KeyType::Rsa(bits) => RsaKeypair::random(random, bits as usize)
                .and_then(|pair| PrivateKey::new(KeypairData::Rsa(pair), "")),
        };
        let key = key.map_err(|error| {
            Error::new(Kind::Internal, "Could not generate an SSH key pair").with_source(error)
        })?;
        Self::from_key(key)
    }

    /// Reads an unencrypted private key: OpenSSH, PKCS#1, PKCS#8 or SEC1.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_key(parse_private_key(text)?)
    }

    /// The fingerprint as OpenSSH prints it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    pub(super) fn key(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.key)
    }

    fn from_key(mut key: PrivateKey) -> Result<Self> {
        key.set_comment("");
        let encode = || -> Result<_, russh::keys::ssh_key::Error> {
            Ok((
                key.to_openssh(LineEnding::LF)?,
                key.public_key().to_openssh()?,
            ))
        };
        let (private, public) = encode().map_err(|error| {
            Error::new(Kind::Internal, "Could not encode an SSH key").with_source(error)
        })?;
        Ok(Self {
            private: Secret::new(private.as_str()),
            public: public.trim_end().to_owned(),
            key: Arc::new(key),
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}

fn curve(bits: u32) -> Result<EcdsaCurve> {
    match bits {
        256 => Ok(EcdsaCurve::NistP256),
        384 => Ok(EcdsaCurve::NistP384),
        521 => Ok(EcdsaCurve::NistP521),
        _ => Err(Error::new(
            Kind::Template,
            format!("There is no NIST curve with {bits} bits"),
        )
        .with_hint("Use 256, 384 or 521 bits for an ECDSA key")),
    }
}

fn parse_private_key(text: &str) -> Result<PrivateKey> {
    if is_encrypted_pem(text) {
        return Err(encrypted());
    }
    let key = decode_secret_key(text, None).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => encrypted(),
        other => Error::new(Kind::Template, "The private key could not be read")
            .with_source(other)
            .with_hint("Give a private key in OpenSSH or PEM format, not the public half"),
    })?;
    if key.is_encrypted() {
        return Err(encrypted());
    }
    Ok(key)
}

/// Reads a private key file.
pub fn load_private_key(path: &Path) -> Result<PrivateKey> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            Kind::Template,
            format!("Could not read the private key {}", path.display()),
        )
        .with_source(error)
    })?;
    parse_private_key(&text)
        .map_err(|error| error.context(format!("Could not use the key {}", path.display())))
}

/// Reads a certificate file (`*-cert.pub`).
pub fn load_certificate(path: &Path) -> Result<Certificate> {
    load_openssh_certificate(path).map_err(|error| {
        Error::new(
            Kind::Template,
            format!("Could not read the certificate {}", path.display()),
        )
        .with_source(error)
        .with_hint("Give the `-cert.pub` file that `ssh-keygen -s` wrote")
    })
}

/// PEM that says so itself: `Proc-Type: 4,ENCRYPTED`, `ENCRYPTED PRIVATE KEY`.
fn is_encrypted_pem(text: &str) -> bool {
    text.lines()
        .take_while(|line| !line.starts_with("-----END "))
        .any(|line| line.contains("ENCRYPTED"))
}

fn encrypted() -> Error {
    Error::new(Kind::Template, "The private key is encrypted").with_hint(
        "Password protected keys are not supported: decrypt it (`ssh-keygen -p -N ''`) or use ssh_agent_auth",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_parse_to_themselves() {
        // RSA in an unoptimised build takes long; the sshd tests cover it.
        for (key_type, algorithm) in [
            (KeyType::Ed25519, "ssh-ed25519"),
            (KeyType::Ecdsa(256), "ecdsa-sha2-nistp256"),
            (KeyType::Ecdsa(384), "ecdsa-sha2-nistp384"),
            (KeyType::Ecdsa(521), "ecdsa-sha2-nistp521"),
        ] {
            let pair = KeyPair::generate(key_type).unwrap();
            assert_eq!(pair.public.split(' ').count(), 2, "{}", pair.public);
            assert!(pair.public.starts_with(algorithm));
            assert!(
                pair.private
                    .expose()
                    .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n")
            );
            let again = KeyPair::parse(pair.private.expose()).unwrap();
            assert_eq!(again.public, pair.public);
            assert_eq!(again.fingerprint(), pair.fingerprint());
            assert!(!format!("{pair:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn two_pairs_differ() {
        let one = KeyPair::generate(KeyType::Ed25519).unwrap();
        let other = KeyPair::generate(KeyType::Ed25519).unwrap();
        assert_ne!(one.public, other.public);
    }

    #[test]
    fn an_unknown_curve_is_refused() {
        let error = KeyPair::generate(KeyType::Ecdsa(512)).unwrap_err();
        assert!(error.hints()[0].contains("521"));
    }

    #[test]
    fn bad_keys_say_why() {
        for (text, want) in [
            ("", "could not be read"),
            ("ssh-ed25519 AAAAC3Nz", "could not be read"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "is encrypted",
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "is encrypted",
            ),
        ] {
            let error = parse_private_key(text).unwrap_err();
            assert!(error.message().contains(want), "{text:?}: {error:?}");
        }
    }
}
