//! Private keys for CreateKeyPair: RSA with 2048 bits, PEM-encoded PKCS#1, as
//! the real service makes them. Making one takes a while, so it is done before
//! the state is locked.
//!
//! Facts: the answer's `PrivateKeyBody` in the ECS API reference of
//! CreateKeyPair.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, LineEnding};
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::private::RsaKeypair;

const BITS: usize = 2048;

/// A key nobody has yet.
pub(crate) struct NewKey {
    /// The private half.
    pub(crate) pem: String,
    /// The public half.
    pub(crate) public: PublicKey,
}

/// Keys made ahead of the calls that take them.
#[derive(Default)]
pub(crate) struct KeyStock(Mutex<Vec<NewKey>>);

impl KeyStock {
    /// Makes one more key, off the async threads.
    pub(crate) async fn add(&self) {
        // Without a new key `take` says what is wrong.
        if let Ok(Some(key)) = tokio::task::spawn_blocking(new_key).await {
            self.lock().push(key);
        }
    }

    /// A key; made now if there is none, and `None` if that is impossible.
    pub(crate) fn take(&self) -> Option<NewKey> {
        let key = self.lock().pop();
        key.or_else(new_key)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<NewKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_key() -> Option<NewKey> {
    let pair = RsaKeypair::random(&mut rand::rng(), BITS).ok()?;
    let pem = RsaPrivateKey::try_from(&pair).ok()?;
    let pem = pem.to_pkcs1_pem(LineEnding::LF).ok()?;
    Some(NewKey {
        pem: pem.as_str().to_owned(),
        public: PublicKey::from(russh::keys::ssh_key::public::KeyData::Rsa(
            pair.public().clone(),
        )),
    })
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1::DecodeRsaPrivateKey;

    use super::*;

    #[test]
    fn keys_are_what_openssl_calls_rsa_private_keys() {
        let stock = KeyStock::default();
        let (one, other) = (stock.take().unwrap(), stock.take().unwrap());
        assert!(one.pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        let parsed = RsaPrivateKey::from_pkcs1_pem(&one.pem).unwrap();
        let public = RsaKeypair::try_from(parsed).unwrap().public().clone();
        assert_eq!(one.public.key_data().rsa(), Some(&public));
        assert_ne!(one.public, other.public);
    }
}
