//! A SOCKS5 client: just `CONNECT`, with or without user and password.
//!
//! Source of facts: RFC 1928, RFC 1929. Names are resolved by the proxy.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::secret::Secret;

/// A user of the proxy.
#[derive(Debug, Clone, Copy)]
pub(super) struct User<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a Secret,
}

/// Asks the proxy at the other end of `stream` to connect to a host. After
/// that the stream is the connection.
pub(super) async fn connect<S>(
    stream: &mut S,
    user: Option<User<'_>>,
    host: &str,
    port: u16,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer: &[u8] = match user {
        None => &[5, 1, 0],
        Some(_) => &[5, 2, 0, 2],
    };
    stream.write_all(offer).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    match (choice, user) {
        ([5, 0], _) => {}
        ([5, 2], Some(user)) => log_in(stream, user).await?,
        ([5, 255], _) => return Err(refused("accepts none of our ways to log in")),
        _ => return Err(refused("does not speak SOCKS5")),
    }
    stream.write_all(&request(host, port)?).await?;
    answer(stream).await
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: User<'_>,
) -> io::Result<()> {
    let mut message = vec![1];
    push_text(&mut message, user.name)?;
    push_text(&mut message, user.password.expose())?;
    stream.write_all(&message).await?;
    let mut status = [0; 2];
    stream.read_exact(&mut status).await?;
    match status[1] {
        0 => Ok(()),
        _ => Err(refused("refused user and password")),
    }
}

fn request(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let mut message = vec![5, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(1);
            message.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(4);
            message.extend(address.octets());
        }
        Err(_) => {
            message.push(3);
            push_text(&mut message, host)?;
        }
    }
    message.extend(port.to_be_bytes());
    Ok(message)
}

fn push_text(message: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length =
        u8::try_from(text.len()).map_err(|_| refused("cannot take more than 255 bytes"))?;
    message.push(length);
    message.extend(text.as_bytes());
    Ok(())
}

async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    if head[1] != 0 {
        return Err(refused(reason(head[1])));
    }
    let address = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(refused("gave an answer of an unknown form")),
    };
    // The address the proxy connects from tells us nothing.
    stream.read_exact(&mut vec![0; address + 2]).await?;
    Ok(())
}

fn reason(code: u8) -> &'static str {
    match code {
        1 => "failed",
        2 => "forbids the connection",
        3 => "found the network unreachable",
        4 => "found the host unreachable",
        5 => "found the connection refused",
        6 => "found no answer in time",
        7 => "does not know the command",
        8 => "does not know the sort of address",
        _ => "failed for an unknown reason",
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::other(format!("the SOCKS5 proxy {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a client against a script: what the proxy says after each message,
    /// and what it must have heard.
    async fn run(user: Option<User<'_>>, host: &str, script: &[(&[u8], &[u8])]) -> io::Result<()> {
        let (mut client, mut proxy) = tokio::io::duplex(1024);
        let talk = async {
            for (heard, said) in script {
                let mut got = vec![0; heard.len()];
                proxy.read_exact(&mut got).await.unwrap();
                assert_eq!(&got, heard);
                proxy.write_all(said).await.unwrap();
            }
        };
        let (result, ()) = tokio::join!(connect(&mut client, user, host, 22), talk);
        result
    }

    #[tokio::test]
    async fn addresses_travel_in_their_form() {
        let done: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        run(
            None,
            "10.1.2.3",
            &[
                (&[5, 1, 0], &[5, 0]),
                (&[5, 1, 0, 1, 10, 1, 2, 3, 0, 22], done),
            ],
        )
        .await
        .unwrap();
        run(
            None,
            "ab.c",
            &[
                (&[5, 1, 0], &[5, 0]),
                (b"\x05\x01\x00\x03\x04ab.c\x00\x16", done),
            ],
        )
        .await
        .unwrap();
        let named: &[u8] = &[5, 0, 0, 3, 2, b'p', b'x', 0, 1];
        let v6: &[u8] = &[
            5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 22,
        ];
        run(None, "::1", &[(&[5, 1, 0], &[5, 0]), (v6, named)])
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_user_logs_in_when_asked() {
        let password = Secret::new("pw");
        let user = Some(User {
            name: "u",
            password: &password,
        });
        let request: &[u8] = &[5, 1, 0, 1, 1, 1, 1, 1, 0, 22];
        let done: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        run(
            user,
            "1.1.1.1",
            &[
                (&[5, 2, 0, 2], &[5, 2]),
                (b"\x01\x01u\x02pw", &[1, 0]),
                (request, done),
            ],
        )
        .await
        .unwrap();
        let error = run(
            user,
            "1.1.1.1",
            &[(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x01u\x02pw", &[1, 1])],
        )
        .await
        .unwrap_err();
        assert!(error.to_string().contains("password"));
    }

    #[tokio::test]
    async fn refusals_say_why() {
        for (script, want) in [
            (
                &[(&[5_u8, 1, 0][..], &[5_u8, 255][..])][..],
                "none of our ways",
            ),
            (&[(&[5, 1, 0], b"HT")], "does not speak"),
            (
                &[
                    (&[5, 1, 0], &[5, 0]),
                    (&[5, 1, 0, 1, 1, 1, 1, 1, 0, 22], &[5, 5, 0, 1]),
                ],
                "refused",
            ),
        ] {
            let error = run(None, "1.1.1.1", script).await.unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
        let long = "x".repeat(256);
        assert!(run(None, &long, &[(&[5, 1, 0], &[5, 0])]).await.is_err());
    }
}
