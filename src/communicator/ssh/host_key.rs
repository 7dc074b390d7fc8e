//! Whom we talk to: the host's key is pinned or checked against a file.
//!
//! Packer takes any key. Here the first key that led to a successful login is
//! the only one for the rest of the build; with `known_hosts` a key must be
//! listed. Keys seen before a login succeeded are not pinned: on its first
//! boot a machine may start sshd with the image's keys and then make its own.

use std::sync::{Mutex, PoisonError};

use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::known_hosts::{KnownHosts, Verdict};
use crate::error::{Error, Kind, Result};

/// Judges the keys of one host.
#[derive(Debug)]
pub(super) struct HostKey {
    host: String,
    port: u16,
    policy: Policy,
}

#[derive(Debug)]
enum Policy {
    Pin(Mutex<Option<PublicKey>>),
    File(KnownHosts),
}

impl HostKey {
    /// Pins the first key, or goes by a file.
    pub(super) fn new(host: &str, port: u16, file: Option<KnownHosts>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            policy: file.map_or_else(|| Policy::Pin(Mutex::default()), Policy::File),
        }
    }

    /// The sorts of key that are expected, to be offered first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.policy {
            Policy::Pin(pin) => lock(pin).iter().map(PublicKey::algorithm).collect(),
            Policy::File(file) => {
                let keys = file.keys(&self.host, self.port);
                keys.into_iter().map(PublicKey::algorithm).collect()
            }
        }
    }

    /// Fails when the key is not the host's.
    pub(super) fn check(&self, key: &PublicKey) -> Result<()> {
        match &self.policy {
            Policy::Pin(pin) => match &*lock(pin) {
                Some(pinned) if pinned.key_data() != key.key_data() => {
                    Err(self.changed(pinned, key))
                }
                _ => Ok(()),
            },
            Policy::File(file) => self.judge(file.check(&self.host, self.port, key), key),
        }
    }

    /// From now on only this key will do: a login with it succeeded.
    pub(super) fn pin(&self, key: PublicKey) {
        if let Policy::Pin(pin) = &self.policy {
            lock(pin).get_or_insert(key);
        }
    }

    fn changed(&self, pinned: &PublicKey, key: &PublicKey) -> Error {
        let (was, is) = (fingerprint(pinned), fingerprint(key));
        Error::new(
            Kind::Connect,
            format!(
                "The SSH host key of {} changed within this build: it was {was}, now it is {is}",
                self.host
            ),
        )
        .with_hint("Something else may answer at this address; if a provisioner replaces the host keys, let it do so as the last step")
    }

    fn judge(&self, verdict: Verdict, key: &PublicKey) -> Result<()> {
        let (host, is) = (&self.host, fingerprint(key));
        let message = match verdict {
            Verdict::Known => return Ok(()),
            Verdict::Unknown => format!("The known hosts file has no key for {host} ({is})"),
            Verdict::Different(line) => {
                format!(
                    "The SSH host key of {host} ({is}) is not the one in line {line} of the known hosts file"
                )
            }
            Verdict::Revoked(line) => {
                format!(
                    "The SSH host key of {host} ({is}) is revoked in line {line} of the known hosts file"
                )
            }
        };
        Err(Error::new(Kind::Connect, message)
            .with_hint("Put the host's real key into the file, or leave the option out to pin the first key of the build"))
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn lock(pin: &Mutex<Option<PublicKey>>) -> std::sync::MutexGuard<'_, Option<PublicKey>> {
    pin.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::communicator::ssh::key::KeyPair;
    use crate::plan::communicator::KeyType;

    fn key() -> PublicKey {
        let line = KeyPair::generate(KeyType::Ed25519).unwrap().public;
        PublicKey::from_openssh(&line).unwrap()
    }

    #[test]
    fn any_key_will_do_until_one_is_pinned() {
        let (first, second) = (key(), key());
        let host = HostKey::new("h", 22, None);
        host.check(&first).unwrap();
        host.check(&second).unwrap();
        host.pin(second.clone());
        host.pin(first.clone());
        host.check(&second).unwrap();
        let error = host.check(&first).unwrap_err();
        assert_eq!(error.kind(), Kind::Connect);
        assert!(error.message().contains("changed"), "{error:?}");
        assert_eq!(host.algorithms(), [Algorithm::Ed25519]);
    }

    #[test]
    fn a_file_must_know_the_key() {
        let (listed, other) = (key(), key());
        let text = format!("h {}\n", listed.to_openssh().unwrap());
        let host = HostKey::new("h", 22, Some(KnownHosts::parse(&text)));
        host.check(&listed).unwrap();
        assert!(host.check(&other).unwrap_err().message().contains("line 1"));
        let stranger = HostKey::new("i", 22, Some(KnownHosts::parse(&text)));
        assert!(stranger.check(&listed).is_err());
    }
}
