//! Which algorithms are offered, and the connection's settings that follow
//! from the options.
//!
//! Names are those of the SSH registries (IANA) and OpenSSH, which Packer uses
//! too.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, client, kex};

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::Ssh;

/// AES-128-GCM first: the fastest one wherever the processor knows AES.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// Ciphers that are only used when the template asks for them.
const WEAK_CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_CBC,
    cipher::AES_192_CBC,
    cipher::AES_256_CBC,
];

/// The NIST curves are for servers in FIPS mode, which know no other curve.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];

/// Key exchanges that are only used when the template asks for them.
const WEAK_KEY_EXCHANGES: &[kex::Name] = &[kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];

/// Protocol extensions that travel in the same list. Strict key exchange is
/// the answer to the Terrapin attack, so it stays whatever the template says.
const EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// A dead peer is noticed after about this much silence. Shorter limits would
/// end builds whose machine only stalls.
const SILENCE: Duration = Duration::from_secs(60);

/// Timers of a live connection never go below this in real time: a scaled
/// clock does not make networks and processors faster.
const SHORTEST_TIMER: Duration = Duration::from_secs(1);

/// The ciphers for `ssh_ciphers`; the default ones for an empty list.
pub fn ciphers(names: &[String]) -> Result<Vec<cipher::Name>> {
    choose("cipher", "ssh_ciphers", names, CIPHERS, WEAK_CIPHERS)
}

/// The algorithms for `ssh_key_exchange_algorithms`; the default ones for an
/// empty list.
fn key_exchanges(names: &[String]) -> Result<Vec<kex::Name>> {
    choose(
        "key exchange algorithm",
        "ssh_key_exchange_algorithms",
        names,
        KEY_EXCHANGES,
        WEAK_KEY_EXCHANGES,
    )
}

fn choose<N: AsRef<str> + Copy>(
    what: &str,
    option: &str,
    names: &[String],
    default: &[N],
    weak: &[N],
) -> Result<Vec<N>> {
    if names.is_empty() {
        return Ok(default.to_vec());
    }
    let known = || default.iter().chain(weak);
    let find = |name: &String| {
        known()
            .find(|known| known.as_ref() == name)
            .copied()
            .ok_or_else(|| {
                let list: Vec<_> = known().map(AsRef::as_ref).collect();
                Error::new(Kind::Template, format!("Unknown SSH {what} `{name}`"))
                    .with_hint(format!("Use in {option}: {}", list.join(", ")))
            })
    };
    names.iter().map(find).collect()
}

/// The settings of a connection. `host_key_algorithms` go first in the offer,
/// so that the server shows the sort of key that is known.
pub(super) fn client_config(
    options: &Ssh,
    host_key_algorithms: &[Algorithm],
    clock: Clock,
) -> Result<client::Config> {
    let real = |nominal| clock.real(nominal).max(SHORTEST_TIMER);
    let interval = options.keep_alive_interval.filter(|it| !it.is_zero());
    Ok(client::Config {
        preferred: preferred(options, host_key_algorithms)?,
        window_size: 4 * 1024 * 1024,
        nodelay: true,
        inactivity_timeout: options.read_write_timeout.map(real),
        keepalive_interval: interval.map(real),
        keepalive_max: interval.map_or(0, unanswered),
        ..client::Config::default()
    })
}

fn unanswered(interval: Duration) -> usize {
    let count = SILENCE.as_millis() / interval.as_millis().max(1);
    usize::try_from(count).unwrap_or(usize::MAX).max(3)
}

fn preferred(options: &Ssh, host_key_algorithms: &[Algorithm]) -> Result<Preferred> {
    let mut kex = key_exchanges(&options.key_exchange_algorithms)?;
    kex.extend_from_slice(EXTENSIONS);
    let mut key = Preferred::DEFAULT.key.into_owned();
    // A stable sort: within both groups the order of preference stays.
    key.sort_by_key(|algorithm| !is_listed(host_key_algorithms, algorithm));
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        cipher: Cow::Owned(ciphers(&options.ciphers)?),
        ..Preferred::DEFAULT
    })
}

/// RSA keys are one sort of key whatever hash they sign with.
fn is_listed(list: &[Algorithm], algorithm: &Algorithm) -> bool {
    let rsa = |it: &Algorithm| matches!(it, Algorithm::Rsa { .. });
    list.iter()
        .any(|it| it == algorithm || (rsa(it) && rsa(algorithm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<N: AsRef<str>>(list: &[N]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn the_fast_cipher_is_offered_first() {
        assert_eq!(names(&ciphers(&[]).unwrap())[0], "aes128-gcm@openssh.com");
    }

    #[test]
    fn a_given_list_replaces_the_offer() {
        let list = ["aes256-ctr".to_owned(), "aes128-cbc".to_owned()];
        assert_eq!(
            names(&ciphers(&list).unwrap()),
            ["aes256-ctr", "aes128-cbc"]
        );
        let list = ["diffie-hellman-group14-sha1".to_owned()];
        assert_eq!(names(&key_exchanges(&list).unwrap()), [&list[0]]);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = ciphers(&["arcfour256".to_owned()]).unwrap_err();
        assert!(error.message().contains("arcfour256"));
        assert!(error.hints()[0].contains("aes128-gcm@openssh.com"));
        let error = key_exchanges(&["rot13".to_owned()]).unwrap_err();
        assert!(error.hints()[0].contains("curve25519-sha256"));
    }

    #[test]
    fn known_host_keys_come_first_in_the_offer() {
        let rsa = [Algorithm::Rsa { hash: None }];
        let options = super::super::tests_support::options("user");
        let key = preferred(&options, &rsa).unwrap().key;
        assert!(key[0].clone().is_rsa() && key[1].clone().is_rsa());
        assert_eq!(
            key.last(),
            Some(&Algorithm::Ecdsa {
                curve: russh::keys::EcdsaCurve::NistP521
            })
        );
    }

    #[test]
    fn silence_is_tolerated_for_about_a_minute() {
        assert_eq!(unanswered(Duration::from_secs(5)), 12);
        assert_eq!(unanswered(Duration::from_secs(120)), 3);
    }
}
