//! What carries a sealed SOAP message: a MIME body of two parts.
//!
//! Windows wants tabs, this boundary and no blank lines, unlike any MIME
//! writer, so the text is put together here. Source of facts: MS-WSMV 2.2.9.1.

use super::ntlm::{SIGNATURE_LENGTH, Sealing};

const BOUNDARY: &str = "--Encrypted Boundary";

/// The `Content-Type` of a sealed message.
pub(super) const SEALED: &str = "multipart/encrypted;\
    protocol=\"application/HTTP-SPNEGO-session-encrypted\";\
    boundary=\"Encrypted Boundary\"";

/// The body that carries a message.
pub(super) fn seal(sealing: &mut Sealing, message: &str) -> Vec<u8> {
    let (signature, sealed) = sealing.seal(message.as_bytes());
    let mut body = format!(
        "{BOUNDARY}\r\n\
         \tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
         \tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={}\r\n\
         {BOUNDARY}\r\n\
         \tContent-Type: application/octet-stream\r\n",
        message.len()
    )
    .into_bytes();
    body.extend_from_slice(&16_u32.to_le_bytes());
    body.extend_from_slice(&signature);
    body.extend_from_slice(&sealed);
    body.extend_from_slice(format!("{BOUNDARY}--\r\n").as_bytes());
    body
}

/// The message a body carries; none when it is malformed or was tampered with.
pub(super) fn open(sealing: &mut Sealing, body: &[u8]) -> Option<Vec<u8>> {
    // The sealed text is as long as the text, so its end needs no search.
    let (_, rest) = split(body, b";Length=")?;
    let (length, rest) = split(rest, b"\r\n")?;
    let length: usize = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
    let (_, rest) = split(rest, b"application/octet-stream\r\n")?;
    let (of_signature, rest) = rest.split_at_checked(4)?;
    let of_signature = u32::from_le_bytes(of_signature.try_into().ok()?);
    (usize::try_from(of_signature).ok()? == SIGNATURE_LENGTH).then_some(())?;
    let (signature, rest) = rest.split_at_checked(SIGNATURE_LENGTH)?;
    sealing.open(signature, rest.get(..length)?)
}

/// What is before and after the first occurrence.
fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = text.windows(at.len()).position(|part| part == at)?;
    Some((&text[..found], &text[found + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::super::ntlm::testing::both_sides;
    use super::*;

    #[test]
    fn a_sealed_message_arrives() {
        let (mut client, mut server) = both_sides();
        for message in ["<s:Envelope/>", "", "ä\r\n--Encrypted Boundary--\r\n"] {
            let body = seal(&mut client, message);
            let text = String::from_utf8_lossy(&body);
            assert!(text.starts_with("--Encrypted Boundary\r\n\tContent-Type: "));
            assert!(text.ends_with("--Encrypted Boundary--\r\n"));
            let opened = open(&mut server, &body);
            assert_eq!(opened.as_deref(), Some(message.as_bytes()));
        }
    }

    #[test]
    fn garbage_does_not() {
        let (mut client, mut server) = both_sides();
        let body = seal(&mut client, "message");
        let cut = &body[..body.len() - 30];
        let huge = String::from_utf8_lossy(&body).replace("Length=7", "Length=999999999999");
        for bad in [b"".as_slice(), b"no body", cut, huge.as_bytes()] {
            assert_eq!(open(&mut server, bad), None);
        }
    }
}
