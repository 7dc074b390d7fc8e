//! NTLMv2: the three messages of a login, and the keys that seal what follows.
//!
//! The client's side only, always with extended session security, 128-bit keys
//! and key exchange, as every Windows since Vista has them. Not here: how
//! messages travel (see `http` and `envelope`). Source of facts: MS-NLMP,
//! sections 2.2.1, 3.1.5, 3.3.2 and 3.4; the tests hold its examples.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::Md4;
use md5::{Digest as _, Md5};
use rc4::{Rc4, StreamCipher as _};

const MAGIC: &[u8; 8] = b"NTLMSSP\0";
const SIGNATURE_VERSION: u32 = 1;
/// Bytes of a signature in front of a sealed message.
pub(super) const SIGNATURE_LENGTH: usize = 16;

/// MS-NLMP 2.2.2.5.
mod flag {
    pub(super) const UNICODE: u32 = 0x0000_0001;
    pub(super) const REQUEST_TARGET: u32 = 0x0000_0004;
    pub(super) const SIGN: u32 = 0x0000_0010;
    pub(super) const SEAL: u32 = 0x0000_0020;
    pub(super) const NTLM: u32 = 0x0000_0200;
    pub(super) const ALWAYS_SIGN: u32 = 0x0000_8000;
    pub(super) const EXTENDED_SECURITY: u32 = 0x0008_0000;
    pub(super) const TARGET_INFO: u32 = 0x0080_0000;
    pub(super) const VERSION: u32 = 0x0200_0000;
    pub(super) const BITS_128: u32 = 0x2000_0000;
    pub(super) const KEY_EXCHANGE: u32 = 0x4000_0000;
    pub(super) const BITS_56: u32 = 0x8000_0000;
    /// What this client cannot do without.
    pub(super) const NEEDED: u32 =
        UNICODE | SIGN | SEAL | NTLM | EXTENDED_SECURITY | BITS_128 | KEY_EXCHANGE;
    pub(super) const WANTED: u32 =
        NEEDED | REQUEST_TARGET | ALWAYS_SIGN | TARGET_INFO | VERSION | BITS_56;
}

/// MS-NLMP 2.2.2.1.
mod attribute {
    pub(super) const END: u16 = 0;
    pub(super) const FLAGS: u16 = 6;
    pub(super) const TIMESTAMP: u16 = 7;
    /// A message integrity code is there.
    pub(super) const HAS_MIC: u32 = 2;
}

/// Where the integrity code is in an authenticate message.
const MIC: std::ops::Range<usize> = 72..88;
const AUTHENTICATE_HEADER: usize = 88;

/// Whom to log in as.
#[derive(Debug, Clone)]
pub(super) struct Login<'a> {
    domain: &'a str,
    user: &'a str,
    password: &'a str,
}

impl<'a> Login<'a> {
    /// `DOMAIN\user` has a domain; `user@domain` is a name as it stands.
    pub(super) fn new(username: &'a str, password: &'a str) -> Self {
        let (domain, user) = username.split_once('\\').unwrap_or(("", username));
        Self {
            domain,
            user,
            password,
        }
    }

    /// MS-NLMP 3.3.2, `NTOWFv2`.
    fn response_key(&self) -> [u8; 16] {
        let hash = Md4::digest(utf16(self.password));
        let name = format!("{}{}", self.user.to_uppercase(), self.domain);
        hmac_md5(&hash, &[&utf16(&name)])
    }
}

/// What must not be guessed; given, so that tests can repeat a login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random {
    pub(super) client_challenge: [u8; 8],
    pub(super) session_key: [u8; 16],
}

impl Random {
    pub(super) fn draw() -> Self {
        Self {
            client_challenge: rand::random(),
            session_key: rand::random(),
        }
    }
}

/// The first message.
pub(super) fn negotiate() -> Vec<u8> {
    let mut message = Vec::with_capacity(40);
    message.extend_from_slice(MAGIC);
    message.extend_from_slice(&1_u32.to_le_bytes());
    message.extend_from_slice(&flag::WANTED.to_le_bytes());
    // Neither domain nor workstation is told.
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(&VERSION);
    message
}

/// Windows 10 with NTLM revision 15; informational only.
const VERSION: [u8; 8] = [10, 0, 0, 0, 0, 0, 0, 15];

/// The server's answer to the first message.
#[derive(Debug)]
struct Challenge<'a> {
    flags: u32,
    server: [u8; 8],
    target_info: &'a [u8],
}

impl<'a> Challenge<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let body = message.strip_prefix(MAGIC)?;
        (u32_at(body, 0)? == 2).then_some(())?;
        let length = usize::from(u16_at(message, 40)?);
        let offset = usize::try_from(u32_at(message, 44)?).ok()?;
        Some(Self {
            flags: u32_at(message, 20)?,
            server: message.get(24..32)?.try_into().ok()?,
            target_info: message.get(offset..offset.checked_add(length)?)?,
        })
    }

    fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.target_info;
        loop {
            let (id, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
            let value = rest.get(4..4 + length)?;
            match id {
                attribute::END => return None,
                id if id == wanted => return Some(value),
                _ => rest = &rest[4 + length..],
            }
        }
    }

    /// The server's attributes with the announcement of an integrity code.
    fn target_info_with_mic(&self) -> Vec<u8> {
        let end = self.target_info.len().saturating_sub(4);
        let mut info = self.target_info[..end].to_vec();
        info.extend_from_slice(&attribute::FLAGS.to_le_bytes());
        info.extend_from_slice(&4_u16.to_le_bytes());
        info.extend_from_slice(&attribute::HAS_MIC.to_le_bytes());
        info.extend_from_slice(&[0; 4]);
        info
    }
}

/// Whether a message is of NTLM at all. Negotiate may also carry SPNEGO, which
/// begins otherwise, when the other side wants another mechanism.
pub(super) fn is_ours(message: &[u8]) -> bool {
    message.starts_with(MAGIC)
}

/// The third message, and the keys for what follows; none when the second one
/// is no challenge, or one of a server that cannot seal.
pub(super) fn authenticate(
    login: &Login<'_>,
    negotiate: &[u8],
    challenge: &[u8],
    random: Random,
) -> Option<(Vec<u8>, Sealing)> {
    let parsed = Challenge::parse(challenge)?;
    (parsed.flags & flag::NEEDED == flag::NEEDED).then_some(())?;
    let key = login.response_key();
    let time = parsed.attribute(attribute::TIMESTAMP);
    let info = match time {
        Some(_) => parsed.target_info_with_mic(),
        None => parsed.target_info.to_vec(),
    };
    let time = time.map_or_else(now, |time| time.try_into().unwrap_or_else(|_| now()));
    let (response, base_key) = respond(&key, &parsed.server, random.client_challenge, time, &info);
    let mut encrypted_key = random.session_key;
    rc4(&base_key).apply_keystream(&mut encrypted_key);
    // With a timestamp the older response must be zero.
    let mut message = authenticate_message(login, &response, &encrypted_key, parsed.flags);
    if parsed.attribute(attribute::TIMESTAMP).is_some() {
        let code = hmac_md5(&random.session_key, &[negotiate, challenge, &message]);
        message[MIC].copy_from_slice(&code);
    }
    Some((message, Sealing::new(&random.session_key, Side::Client)))
}

/// MS-NLMP 3.3.2: the response and the key of the session it opens.
fn respond(
    key: &[u8; 16],
    server_challenge: &[u8; 8],
    client_challenge: [u8; 8],
    time: [u8; 8],
    target_info: &[u8],
) -> (Vec<u8>, [u8; 16]) {
    let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
    blob.extend_from_slice(&time);
    blob.extend_from_slice(&client_challenge);
    blob.extend_from_slice(&[0; 4]);
    blob.extend_from_slice(target_info);
    blob.extend_from_slice(&[0; 4]);
    let proof = hmac_md5(key, &[server_challenge, &blob]);
    let session = hmac_md5(key, &[&proof]);
    ([&proof[..], &blob].concat(), session)
}

/// MS-NLMP 2.2.1.3, its integrity code still zero.
fn authenticate_message(
    login: &Login<'_>,
    response: &[u8],
    encrypted_key: &[u8],
    server_flags: u32,
) -> Vec<u8> {
    let (domain, user) = (utf16(login.domain), utf16(login.user));
    let zero_response = [0; 24];
    let parts: [&[u8]; 6] = [&zero_response, response, &domain, &user, &[], encrypted_key];
    let mut message = MAGIC.to_vec();
    message.extend_from_slice(&3_u32.to_le_bytes());
    let mut offset = AUTHENTICATE_HEADER;
    for part in parts {
        // Lengths are those of names, passwords' hashes and one challenge.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
        message.extend_from_slice(&length);
        message.extend_from_slice(&length);
        message.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
        offset += part.len();
    }
    message.extend_from_slice(&(flag::WANTED & (server_flags | flag::NEEDED)).to_le_bytes());
    message.extend_from_slice(&VERSION);
    message.extend_from_slice(&[0; MIC.end - MIC.start]);
    parts
        .iter()
        .for_each(|part| message.extend_from_slice(part));
    message
}

/// Seals and opens the messages of one connection; they are numbered, so each
/// must be opened in the order it was sealed.
pub(super) struct Sealing {
    outgoing: Direction,
    incoming: Direction,
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

/// Which end of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    #[cfg(test)]
    Server,
}

struct Direction {
    sign: [u8; 16],
    seal: Rc4,
    number: u32,
}

impl Sealing {
    fn new(session_key: &[u8; 16], side: Side) -> Self {
        let to_server = Direction::new(session_key, "client-to-server");
        let to_client = Direction::new(session_key, "server-to-client");
        match side {
            Side::Client => Self {
                outgoing: to_server,
                incoming: to_client,
            },
            #[cfg(test)]
            Side::Server => Self {
                outgoing: to_client,
                incoming: to_server,
            },
        }
    }

    /// The signature and the sealed text.
    pub(super) fn seal(&mut self, text: &[u8]) -> ([u8; SIGNATURE_LENGTH], Vec<u8>) {
        let mut sealed = text.to_vec();
        self.outgoing.seal.apply_keystream(&mut sealed);
        (self.outgoing.signature(text), sealed)
    }

    /// The text, unless it was tampered with.
    pub(super) fn open(&mut self, signature: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = sealed.to_vec();
        self.incoming.seal.apply_keystream(&mut text);
        (self.incoming.signature(&text) == signature).then_some(text)
    }
}

impl Direction {
    /// MS-NLMP 3.4.5.2 and 3.4.5.3.
    fn new(session_key: &[u8; 16], way: &str) -> Self {
        let key = |sort: &str| -> [u8; 16] {
            let magic = format!("session key to {way} {sort} key magic constant\0");
            Md5::new()
                .chain_update(session_key)
                .chain_update(magic)
                .finalize()
                .into()
        };
        Self {
            sign: key("signing"),
            seal: rc4(&key("sealing")),
            number: 0,
        }
    }

    /// MS-NLMP 3.4.4.2; comes after the sealing of the text.
    fn signature(&mut self, text: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        let number = self.number.to_le_bytes();
        self.number = self.number.wrapping_add(1);
        let code = hmac_md5(&self.sign, &[&number, text]);
        let mut signature = [0; SIGNATURE_LENGTH];
        signature[..4].copy_from_slice(&SIGNATURE_VERSION.to_le_bytes());
        signature[4..12].copy_from_slice(&code[..8]);
        self.seal.apply_keystream(&mut signature[4..12]);
        signature[12..].copy_from_slice(&number);
        signature
    }
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn rc4(key: &[u8; 16]) -> Rc4 {
    Rc4::new_from_slice(key).expect("RC4 takes keys of 16 bytes")
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Now as Windows counts: tenths of microseconds since 1601.
fn now() -> [u8; 8] {
    const SECONDS_BEFORE_1970: i64 = 11_644_473_600;
    let microseconds = jiff::Timestamp::now().as_microsecond();
    ((microseconds + SECONDS_BEFORE_1970 * 1_000_000) * 10).to_le_bytes()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod testing {
    use super::{Sealing, Side};

    /// The two ends of a connection.
    pub(in super::super) fn both_sides() -> (Sealing, Sealing) {
        let key = [0x55; 16];
        (
            Sealing::new(&key, Side::Client),
            Sealing::new(&key, Side::Server),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of MS-NLMP 4.2.1.
    const SERVER_CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    const RANDOM: Random = Random {
        client_challenge: [0xaa; 8],
        session_key: [0x55; 16],
    };
    /// MS-NLMP 4.2.4: names of domain and server, and the end.
    const TARGET_INFO: &str = "02000c0044006f006d00610069006e0001000c005300650072007600650072000000\
                               0000";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn example() -> Login<'static> {
        Login::new("Domain\\User", "Password")
    }

    #[test]
    fn the_examples_of_the_specification() {
        let key = example().response_key();
        assert_eq!(key[..], hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let (response, session) = respond(
            &key,
            &SERVER_CHALLENGE,
            RANDOM.client_challenge,
            [0; 8],
            &hex(TARGET_INFO),
        );
        assert_eq!(response[..16], hex("68cd0ab851e51c96aabc927bebef6a1c"));
        assert_eq!(session[..], hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
        let mut encrypted = RANDOM.session_key;
        rc4(&session).apply_keystream(&mut encrypted);
        assert_eq!(encrypted[..], hex("c5dad2544fc9799094ce1ce90bc9d03e"));
        let mut sealing = Sealing::new(&RANDOM.session_key, Side::Client);
        assert_eq!(
            sealing.outgoing.sign[..],
            hex("4788dc861b4782f35d43fd98fe1a2d39")
        );
        let (signature, sealed) = sealing.seal(&utf16("Plaintext"));
        assert_eq!(sealed, hex("54e50165bf1936dc996020c1811b0f06fb5f"));
        assert_eq!(signature[..], hex("010000007fb38ec5c55d497600000000"));
    }

    #[test]
    fn what_one_side_seals_the_other_opens_in_order() {
        let (mut client, mut server) = testing::both_sides();
        for text in [&b"one"[..], b"", b"three"] {
            let (signature, sealed) = client.seal(text);
            assert_eq!(server.open(&signature, &sealed).as_deref(), Some(text));
            let (signature, sealed) = server.seal(text);
            assert_eq!(client.open(&signature, &sealed).as_deref(), Some(text));
        }
        let (signature, mut sealed) = client.seal(b"four");
        sealed[0] ^= 1;
        assert_eq!(server.open(&signature, &sealed), None);
    }

    fn challenge(flags: u32, info: &[u8]) -> Vec<u8> {
        let length = u16::try_from(info.len()).unwrap().to_le_bytes();
        let mut message = MAGIC.to_vec();
        message.extend_from_slice(&2_u32.to_le_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&flags.to_le_bytes());
        message.extend_from_slice(&SERVER_CHALLENGE);
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&[length, length].concat());
        message.extend_from_slice(&48_u32.to_le_bytes());
        message.extend_from_slice(info);
        message
    }

    #[test]
    fn a_timestamp_asks_for_an_integrity_code() {
        let stamped = hex("07000800010203040506070800000000");
        for (info, has_code) in [(hex(TARGET_INFO), false), (stamped, true)] {
            let challenge = challenge(flag::WANTED, &info);
            let made = authenticate(&example(), &negotiate(), &challenge, RANDOM);
            let (message, _) = made.unwrap();
            assert_eq!(message[MIC] != [0; 16], has_code);
            assert_eq!(message[..12], [&MAGIC[..], &[3, 0, 0, 0]].concat());
        }
    }

    #[test]
    fn what_is_no_usable_challenge_is_refused() {
        let good = challenge(flag::WANTED, &hex(TARGET_INFO));
        let without_sealing = challenge(flag::WANTED & !flag::SEAL, &hex(TARGET_INFO));
        for bad in [
            &b""[..],
            b"NTLMSSP\0",
            &good[..40],
            &good[..50],
            &without_sealing,
        ] {
            assert!(authenticate(&example(), &negotiate(), bad, RANDOM).is_none());
        }
    }
}
