//! Reads `known_hosts` files.
//!
//! Source of facts: `SSH_KNOWN_HOSTS FILE FORMAT` in sshd(8). Lines marked
//! `@cert-authority` are skipped: host certificates are not asked for.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{PublicKey, parse_public_key_base64};
use sha1::Sha1;

use crate::error::{Error, Kind, Result};

/// What a file says.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    line: usize,
    revoked: bool,
    hosts: String,
    key: PublicKey,
}

/// What a file says about a key of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's key.
    Known,
    /// The file has no key for the host.
    Unknown,
    /// The file has another key for the host, in this line.
    Different(usize),
    /// This line revokes the key.
    Revoked(usize),
}

impl KnownHosts {
    /// Reads a file.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Error::new(Kind::Template, format!("Could not read known hosts {path}"))
                .with_source(error)
        })?;
        Ok(Self::parse(&text))
    }

    /// Lines that cannot be read are skipped, as OpenSSH does.
    pub(super) fn parse(text: &str) -> Self {
        let entry = |(index, text)| parse_line(index + 1, text);
        Self {
            entries: text.lines().enumerate().filter_map(entry).collect(),
        }
    }

    /// The keys that are good for a host.
    pub(super) fn keys(&self, host: &str, port: u16) -> Vec<&PublicKey> {
        self.matching(host, port)
            .filter(|entry| !entry.revoked)
            .map(|entry| &entry.key)
            .collect()
    }

    /// Judges a key that a host showed.
    pub(super) fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let same = |entry: &Entry| entry.key.key_data() == key.key_data();
        let mut verdict = Verdict::Unknown;
        for entry in self.matching(host, port) {
            match (entry.revoked, same(entry)) {
                (true, true) => return Verdict::Revoked(entry.line),
                (false, true) => verdict = Verdict::Known,
                (false, false) if verdict == Verdict::Unknown => {
                    verdict = Verdict::Different(entry.line);
                }
                _ => {}
            }
        }
        verdict
    }

    fn matching(&self, host: &str, port: u16) -> impl Iterator<Item = &Entry> {
        let host = host.to_ascii_lowercase();
        let name = match port {
            22 => host,
            port => format!("[{host}]:{port}"),
        };
        self.entries
            .iter()
            .filter(move |entry| hosts_match(&entry.hosts, &name))
    }
}

fn parse_line(line: usize, text: &str) -> Option<Entry> {
    let mut fields = text.split_ascii_whitespace().peekable();
    let marker = fields.next_if(|field| field.starts_with('@'));
    let revoked = match marker {
        None => false,
        Some("@revoked") => true,
        Some(_) => return None,
    };
    let hosts = fields.next().filter(|hosts| !hosts.starts_with('#'))?;
    let key = fields.nth(1)?;
    Some(Entry {
        line,
        revoked,
        hosts: hosts.to_owned(),
        key: parse_public_key_base64(key).ok()?,
    })
}

/// Whether a list of patterns names a host. A negated pattern that matches
/// wins over all others.
fn hosts_match(list: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if glob(negated.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None if pattern.starts_with("|1|") => found |= hash_matches(pattern, name),
            None => found |= glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `|1|salt|hash`: the name's HMAC-SHA-1 under the salt.
fn hash_matches(pattern: &str, name: &str) -> bool {
    let decode = |field: Option<&str>| STANDARD.decode(field?).ok();
    let mut fields = pattern.split('|').skip(2);
    let (Some(salt), Some(hash)) = (decode(fields.next()), decode(fields.next())) else {
        return false;
    };
    Hmac::<Sha1>::new_from_slice(&salt)
        .is_ok_and(|mac| mac.chain_update(name).verify_slice(&hash).is_ok())
}

/// `*` stands for any number of bytes, `?` for one.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_at, matched)) = star else {
                    return false;
                };
                star = Some((star_at, matched + 1));
                p = star_at + 1;
                n = matched + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::communicator::ssh::key::KeyPair;
    use crate::plan::communicator::KeyType;

    fn key() -> (String, PublicKey) {
        let line = KeyPair::generate(KeyType::Ed25519).unwrap().public;
        let key = PublicKey::from_openssh(&line).unwrap();
        (line, key)
    }

    #[test]
    fn a_key_is_judged_by_the_lines_for_its_host() {
        let ((a, key_a), (b, key_b)) = (key(), key());
        let text = format!(
            "# comment\n\nbroken line\nplain {a}\n[other]:2222,10.0.0.? {a} a comment\n\
             *.example.com,!bad.example.com {a}\n@cert-authority * {b}\n@revoked rev {a}\nrev {b}\n"
        );
        let file = KnownHosts::parse(&text);
        let cases = [
            ("plain", 22, &key_a, Verdict::Known),
            ("PLAIN", 22, &key_a, Verdict::Known),
            ("plain", 22, &key_b, Verdict::Different(4)),
            ("plain", 2222, &key_a, Verdict::Unknown),
            ("other", 2222, &key_a, Verdict::Known),
            ("other", 22, &key_a, Verdict::Unknown),
            ("10.0.0.7", 22, &key_a, Verdict::Known),
            ("10.0.0.77", 22, &key_a, Verdict::Unknown),
            ("good.example.com", 22, &key_a, Verdict::Known),
            ("bad.example.com", 22, &key_a, Verdict::Unknown),
            ("rev", 22, &key_a, Verdict::Revoked(8)),
            ("rev", 22, &key_b, Verdict::Known),
        ];
        for (host, port, key, want) in cases {
            assert_eq!(file.check(host, port, key), want, "{host}:{port}");
        }
        assert_eq!(file.keys("rev", 22), [&key_b]);
    }

    #[test]
    fn a_hashed_name_is_found() {
        let (line, key) = key();
        let hashed = hash("example.org");
        let file = KnownHosts::parse(&format!("{hashed} {line}\n"));
        assert_eq!(file.check("example.org", 22, &key), Verdict::Known);
        assert_eq!(file.check("example.com", 22, &key), Verdict::Unknown);
        assert_eq!(file.check("example.org", 23, &key), Verdict::Unknown);
    }

    /// The form that `ssh-keygen -H` writes.
    fn hash(name: &str) -> String {
        let salt = [7_u8; 20];
        let mac = Hmac::<Sha1>::new_from_slice(&salt)
            .unwrap()
            .chain_update(name);
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        format!("|1|{}|{hash}", STANDARD.encode(salt))
    }

    #[test]
    fn globs() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a*b*c", "axbxbc", true),
            ("?", "", false),
            ("", "a", false),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), name.as_bytes()),
                want,
                "{pattern} {name}"
            );
        }
    }
}
