//! The server's side of NTLMv2, as MS-NLMP describes it.
//!
//! Written for the sandbox alone: the product has its own client, and both are
//! checked against clients and examples of others.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::Md4;
use md5::{Digest as _, Md5};
use rc4::{Rc4, StreamCipher as _};

const START: &[u8] = b"NTLMSSP\0";
/// Unicode, target, sign, seal, NTLM, always sign, server target, extended
/// security, target info, version, 128 bits, key exchange, 56 bits.
const FLAGS: u32 = 0xe28a_8235;

/// Which of the three messages a token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Negotiate,
    Authenticate,
}

/// What sort of message a token is, if it is one of a client.
pub(crate) fn sort_of(token: &[u8]) -> Option<Message> {
    match number(token.strip_prefix(START)?, 0)? {
        1 => Some(Message::Negotiate),
        3 => Some(Message::Authenticate),
        _ => None,
    }
}

/// A login that has begun.
#[derive(Debug)]
pub(crate) struct Login {
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    server_challenge: [u8; 8],
}

impl Login {
    /// Answers the first message.
    pub(crate) fn begin(negotiate: &[u8], computer: &str) -> Self {
        let server_challenge = rand::random::<[u8; 8]>();
        let challenge = challenge_message(&server_challenge, computer);
        Self {
            negotiate: negotiate.to_vec(),
            challenge,
            server_challenge,
        }
    }

    pub(crate) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The keys of the session when the third message proves the password of a
    /// user.
    pub(crate) fn verify(&self, message: &[u8], user: &str, password: &str) -> Option<Keys> {
        let response = field(message, 20)?;
        let (domain, name) = (field(message, 28)?, field(message, 36)?);
        let encrypted_key = field(message, 52)?;
        let (proof, blob) = response.split_at_checked(16)?;
        let name = from_utf16(name);
        name.eq_ignore_ascii_case(user).then_some(())?;
        let hash = Md4::digest(to_utf16(password));
        let key = mac(&hash, &[&to_utf16(&name.to_uppercase()), domain]);
        let expected = mac(&key, &[&self.server_challenge, blob]);
        (expected == proof).then_some(())?;
        let mut session: [u8; 16] = encrypted_key.try_into().ok()?;
        cipher(&mac(&key, &[proof])).apply_keystream(&mut session);
        self.check_integrity(message, blob, &session)
            .then(|| Keys::new(&session))
    }

    /// A client that saw our time says whether it sends an integrity code.
    fn check_integrity(&self, message: &[u8], blob: &[u8], session: &[u8; 16]) -> bool {
        const CODE: std::ops::Range<usize> = 72..88;
        let flags = attribute(blob.get(28..).unwrap_or_default(), 6);
        let has_code = flags.is_some_and(|flags| flags.first().is_some_and(|byte| byte & 2 != 0));
        let Some(code) = message.get(CODE).filter(|_| has_code) else {
            return !has_code;
        };
        let mut zeroed = message.to_vec();
        zeroed[CODE].fill(0);
        mac(session, &[&self.negotiate, &self.challenge, &zeroed]) == code
    }
}

fn challenge_message(server_challenge: &[u8; 8], computer: &str) -> Vec<u8> {
    let name = to_utf16(computer);
    let mut info = Vec::new();
    for id in [2_u16, 1, 4, 3] {
        push_attribute(&mut info, id, &name);
    }
    push_attribute(&mut info, 7, &file_time().to_le_bytes());
    push_attribute(&mut info, 0, &[]);
    let mut message = START.to_vec();
    message.extend_from_slice(&2_u32.to_le_bytes());
    push_field(&mut message, name.len(), 56);
    message.extend_from_slice(&FLAGS.to_le_bytes());
    message.extend_from_slice(server_challenge);
    message.extend_from_slice(&[0; 8]);
    push_field(&mut message, info.len(), 56 + name.len());
    // Windows Server 2008 R2.
    message.extend_from_slice(&[6, 1, 0xb1, 0x1d, 0, 0, 0, 15]);
    message.extend_from_slice(&name);
    message.extend_from_slice(&info);
    message
}

fn push_field(message: &mut Vec<u8>, length: usize, offset: usize) {
    let length = (length as u16).to_le_bytes();
    message.extend_from_slice(&length);
    message.extend_from_slice(&length);
    message.extend_from_slice(&(offset as u32).to_le_bytes());
}

fn push_attribute(info: &mut Vec<u8>, id: u16, value: &[u8]) {
    info.extend_from_slice(&id.to_le_bytes());
    info.extend_from_slice(&(value.len() as u16).to_le_bytes());
    info.extend_from_slice(value);
}

fn file_time() -> i64 {
    (jiff::Timestamp::now().as_microsecond() + 11_644_473_600_000_000) * 10
}

/// The keys of a session and how many messages they have protected.
pub(crate) struct Keys {
    receive: Half,
    send: Half,
}

struct Half {
    sign: [u8; 16],
    cipher: Rc4,
    sequence: u32,
}

impl Keys {
    fn new(session: &[u8; 16]) -> Self {
        let half = |way: &str| Half {
            sign: derived(session, way, "signing"),
            cipher: cipher(&derived(session, way, "sealing")),
            sequence: 0,
        };
        Self {
            receive: half("client-to-server"),
            send: half("server-to-client"),
        }
    }

    /// Opens a message of the client.
    pub(crate) fn unseal(&mut self, signature: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = sealed.to_vec();
        self.receive.cipher.apply_keystream(&mut text);
        (self.receive.sign(&text) == signature).then_some(text)
    }

    /// Seals a message to the client.
    pub(crate) fn seal(&mut self, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut sealed = text.to_vec();
        self.send.cipher.apply_keystream(&mut sealed);
        (self.send.sign(text), sealed)
    }
}

impl Half {
    fn sign(&mut self, text: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_le_bytes();
        self.sequence += 1;
        let mut code = mac(&self.sign, &[&sequence, text])[..8].to_vec();
        self.cipher.apply_keystream(&mut code);
        [&1_u32.to_le_bytes()[..], &code, &sequence].concat()
    }
}

fn derived(session: &[u8; 16], way: &str, purpose: &str) -> [u8; 16] {
    let text = format!("session key to {way} {purpose} key magic constant\0");
    Md5::digest([&session[..], text.as_bytes()].concat()).into()
}

fn attribute(mut info: &[u8], wanted: u16) -> Option<&[u8]> {
    while let (Some(id), Some(length)) = (short(info, 0), short(info, 2)) {
        let value = info.get(4..4 + usize::from(length))?;
        if id == wanted {
            return Some(value);
        }
        info = &info[4 + value.len()..];
    }
    None
}

fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(short(message, at)?);
    let offset = number(message, at + 4)? as usize;
    message.get(offset..offset.checked_add(length)?)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("any key will do");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn cipher(key: &[u8; 16]) -> Rc4 {
    Rc4::new_from_slice(key).expect("16 bytes are a key")
}

fn to_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn from_utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    String::from_utf16_lossy(&units)
}
