//! The grammar of `iso_checksum`.
//!
//! Source of facts: Packer's documentation of `iso_checksum` and the checksum
//! files that distributions publish. Not here: computing digests and fetching
//! checksum files.

use std::fmt;

/// What a download must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// Anything goes.
    None,
    /// This digest.
    Digest(Digest),
    /// The digest is in a file at this URL or path.
    File(String),
}

/// A digest and how it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Lower-case digits.
    pub hex: String,
}

/// The digests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, 32 digits.
    Md5,
    /// SHA-1, 40 digits.
    Sha1,
    /// SHA-256, 64 digits.
    Sha256,
    /// SHA-512, 128 digits.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// As `iso_checksum` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits it has.
    pub fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The algorithm of a name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

impl Digest {
    /// A digest whose algorithm its length tells.
    pub fn by_length(hex: &str) -> Option<Self> {
        let mut all = Algorithm::ALL.into_iter();
        Self::new(all.find(|algorithm| algorithm.digits() == hex.len())?, hex)
    }

    /// A digest of an algorithm; nothing when the digits do not fit.
    pub fn new(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let fits = hex.len() == algorithm.digits() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self {
            algorithm,
            hex: hex.to_ascii_lowercase(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Parses a checksum.
///
/// # Errors
/// What is wrong, completing the sentence "Option `iso_checksum` …".
pub fn parse(text: &str) -> Result<Checksum, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Checksum::None);
    }
    match text.split_once(':') {
        None => match Digest::by_length(text) {
            Some(digest) => Ok(Checksum::Digest(digest)),
            None if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Err(format!(
                "has {} digits, which no known digest has",
                text.len()
            )),
            None => Err(format!("is `{text}`, which is not a digest")),
        },
        Some(("file", "")) => Err("names no file".to_owned()),
        Some(("file", place)) => Ok(Checksum::File(place.to_owned())),
        Some((name, hex)) => {
            let algorithm = Algorithm::by_name(name)
                .ok_or_else(|| format!("is of type `{name}`, which is not known"))?;
            let digest = Digest::new(algorithm, hex).ok_or_else(|| {
                let (name, digits) = (algorithm.name(), algorithm.digits());
                format!("is not {digits} hexadecimal digits after `{name}:`")
            })?;
            Ok(Checksum::Digest(digest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_whole_grammar() {
        let digest = |algorithm, hex: &str| {
            let hex = hex.to_owned();
            Ok(Checksum::Digest(Digest { algorithm, hex }))
        };
        let (md5, sha256) = ("a".repeat(32), "b".repeat(64));
        let table = [
            ("none".to_owned(), Ok(Checksum::None)),
            (md5.clone(), digest(Algorithm::Md5, &md5)),
            (sha256.to_uppercase(), digest(Algorithm::Sha256, &sha256)),
            (
                format!("SHA256:{sha256}"),
                digest(Algorithm::Sha256, &sha256),
            ),
            (
                "file:./SUMS".to_owned(),
                Ok(Checksum::File("./SUMS".to_owned())),
            ),
            (
                "file:https://h/x".to_owned(),
                Ok(Checksum::File("https://h/x".to_owned())),
            ),
            ("file:".to_owned(), Err("names no file".to_owned())),
            (
                "abc".to_owned(),
                Err("has 3 digits, which no known digest has".to_owned()),
            ),
            (
                "sums.txt".to_owned(),
                Err("is `sums.txt`, which is not a digest".to_owned()),
            ),
            (
                "crc:1".to_owned(),
                Err("is of type `crc`, which is not known".to_owned()),
            ),
            (
                "md5:12".to_owned(),
                Err("is not 32 hexadecimal digits after `md5:`".to_owned()),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse(&text), expected, "{text}");
        }
    }
}
