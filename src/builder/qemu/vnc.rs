//! A client of QEMU's VNC server: keys go in, the screen comes out.
//!
//! RFB 3.8 with no or VNC authentication, raw rectangles of 32 bits. Not
//! here: what is typed (`boot_command`) and files (`screenshot`). Source of
//! facts: RFC 6143.

use std::net::SocketAddr;
use std::time::Duration;

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::boot_command::KeyEvent;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

const VERSION: &[u8; 12] = b"RFB 003.008\n";

/// How long QEMU may take to answer: its own time, which no clock scales.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

const NO_AUTHENTICATION: u8 = 1;
const VNC_AUTHENTICATION: u8 = 2;

/// No screen of a virtual machine is wider or higher.
const LARGEST_SIDE: u16 = 8192;

/// Says that the size of the screen changed.
const DESKTOP_SIZE: i32 = -223;

/// A connection that has logged in.
pub(super) struct Vnc {
    stream: TcpStream,
    width: u16,
    height: u16,
}

/// What the screen shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    /// In pixels.
    pub(super) width: u16,
    /// In pixels.
    pub(super) height: u16,
    /// Red, green and blue of each pixel, line by line.
    pub(super) rgb: Vec<u8>,
}

impl Vnc {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When nobody listens, the peer speaks no RFB, or refuses the password.
    pub(super) async fn connect(address: SocketAddr, password: Option<&Secret>) -> Result<Self> {
        let connecting = async {
            let stream = TcpStream::connect(address).await.map_err(lost)?;
            stream.set_nodelay(true).map_err(lost)?;
            let mut vnc = Self {
                stream,
                width: 0,
                height: 0,
            };
            vnc.log_in(password).await?;
            vnc.initialise().await?;
            Ok(vnc)
        };
        limited(connecting)
            .await
            .map_err(|error| error.context(format!("Cannot use VNC at {address}")))
    }

    /// Presses or releases a key.
    pub(super) async fn key(&mut self, event: KeyEvent) -> Result<()> {
        let [a, b, c, d] = event.keysym.to_be_bytes();
        self.write(&[4, u8::from(event.down), 0, 0, a, b, c, d])
            .await
    }

    /// Reads the whole screen.
    pub(super) async fn picture(&mut self) -> Result<Picture> {
        limited(async {
            // A change of size is told before the pixels that need it.
            for _ in 0..8 {
                if let Some(picture) = self.try_picture().await? {
                    return Ok(picture);
                }
            }
            Err(malformed("the screen changes its size all the time"))
        })
        .await
    }

    async fn log_in(&mut self, password: Option<&Secret>) -> Result<()> {
        let greeting: [u8; 12] = self.read().await?;
        if !greeting.starts_with(b"RFB ") {
            return Err(malformed("it speaks another protocol"));
        }
        self.write(VERSION).await?;
        let [count] = self.read().await?;
        let offered = self.read_vec(count.into()).await?;
        match password {
            Some(password) if offered.contains(&VNC_AUTHENTICATION) => {
                self.write(&[VNC_AUTHENTICATION]).await?;
                let challenge: [u8; 16] = self.read().await?;
                let response = respond(challenge, password.expose());
                self.write(&response).await?;
            }
            _ if offered.contains(&NO_AUTHENTICATION) => {
                self.write(&[NO_AUTHENTICATION]).await?;
            }
            _ => return Err(malformed("it wants another sort of login")),
        }
        match self.read::<4>().await? {
            [0, 0, 0, 0] => Ok(()),
            _ => Err(malformed("it refused the login")),
        }
    }

    async fn initialise(&mut self) -> Result<()> {
        // Shared: somebody may be watching.
        self.write(&[1]).await?;
        let [w0, w1, h0, h1] = self.read().await?;
        self.resize([w0, w1], [h0, h1])?;
        let _format: [u8; 16] = self.read().await?;
        let name: [u8; 4] = self.read().await?;
        self.skip(u32::from_be_bytes(name)).await?;
        // 32 bits, depth 24, little endian, true colour, blue first.
        self.write(&[
            0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
        ])
        .await?;
        let mut encodings = vec![2, 0, 0, 2];
        encodings.extend(0_i32.to_be_bytes());
        encodings.extend(DESKTOP_SIZE.to_be_bytes());
        self.write(&encodings).await
    }

    /// Asks for everything; nothing when the size changed meanwhile.
    async fn try_picture(&mut self) -> Result<Option<Picture>> {
        let [w0, w1] = self.width.to_be_bytes();
        let [h0, h1] = self.height.to_be_bytes();
        self.write(&[3, 0, 0, 0, 0, 0, w0, w1, h0, h1]).await?;
        let mut picture = Picture {
            width: self.width,
            height: self.height,
            rgb: vec![0; usize::from(self.width) * usize::from(self.height) * 3],
        };
        self.update(&mut picture).await?;
        let unchanged = (self.width, self.height) == (picture.width, picture.height);
        Ok(unchanged.then_some(picture))
    }

    /// Reads messages up to the end of one update.
    async fn update(&mut self, picture: &mut Picture) -> Result<()> {
        loop {
            match self.read::<1>().await? {
                [0] => break,
                // A bell, and text somebody cut.
                [2] => {}
                [3] => {
                    let [_, _, _, length @ ..] = self.read::<7>().await?;
                    self.skip(u32::from_be_bytes(length)).await?;
                }
                _ => return Err(malformed("it sent an unknown message")),
            }
        }
        let [_, n0, n1] = self.read().await?;
        for _ in 0..u16::from_be_bytes([n0, n1]) {
            self.rectangle(picture).await?;
        }
        Ok(())
    }

    async fn rectangle(&mut self, picture: &mut Picture) -> Result<()> {
        let [x0, x1, y0, y1, w0, w1, h0, h1, encoding @ ..] = self.read::<12>().await?;
        match i32::from_be_bytes(encoding) {
            DESKTOP_SIZE => return self.resize([w0, w1], [h0, h1]),
            0 => {}
            _ => return Err(malformed("it sent pixels in an unknown encoding")),
        }
        let number = |bytes| usize::from(u16::from_be_bytes(bytes));
        let (x, y) = (number([x0, x1]), number([y0, y1]));
        let (width, height) = (number([w0, w1]), number([h0, h1]));
        let fits = x + width <= picture.width.into() && y + height <= picture.height.into();
        if !fits {
            return Err(malformed("it sent pixels beside the screen"));
        }
        for line in y..y + height {
            let pixels = self.read_vec(width * 4).await?;
            let start = (line * usize::from(picture.width) + x) * 3;
            let target = picture.rgb[start..start + width * 3].chunks_exact_mut(3);
            for (rgb, pixel) in target.zip(pixels.chunks_exact(4)) {
                rgb.copy_from_slice(&[pixel[2], pixel[1], pixel[0]]);
            }
        }
        Ok(())
    }

    fn resize(&mut self, width: [u8; 2], height: [u8; 2]) -> Result<()> {
        let (width, height) = (u16::from_be_bytes(width), u16::from_be_bytes(height));
        if width > LARGEST_SIDE || height > LARGEST_SIDE {
            return Err(malformed("its screen is too large"));
        }
        (self.width, self.height) = (width, height);
        Ok(())
    }

    async fn skip(&mut self, length: u32) -> Result<()> {
        let mut rest = (&mut self.stream).take(length.into());
        let copied = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        copied.map(drop).map_err(lost)
    }

    async fn read<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).await.map_err(lost)?;
        Ok(bytes)
    }

    async fn read_vec(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.map_err(lost)?;
        Ok(bytes)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.map_err(lost)
    }
}

/// The answer to a challenge: DES with the password, the bits of each byte
/// reversed, as the key.
fn respond(challenge: [u8; 16], password: &str) -> [u8; 16] {
    let mut key = [0; 8];
    for (target, byte) in key.iter_mut().zip(password.bytes()) {
        *target = byte.reverse_bits();
    }
    let cipher = Des::new(&key.into());
    let mut response = challenge;
    for block in response.chunks_exact_mut(8) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(block);
        let mut bytes = bytes.into();
        cipher.encrypt_block(&mut bytes);
        block.copy_from_slice(&bytes);
    }
    response
}

async fn limited<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(ANSWER_LIMIT, work)
        .await
        .unwrap_or_else(|_| {
            let message = format!("QEMU's VNC server did not answer within {ANSWER_LIMIT:?}");
            Err(Error::new(Kind::Timeout, message))
        })
}

fn lost(error: std::io::Error) -> Error {
    Error::new(Kind::Io, "The connection to QEMU's VNC server failed").with_source(error)
}

fn malformed(what: &str) -> Error {
    Error::new(
        Kind::Io,
        format!("QEMU's VNC server cannot be used: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says and hears exactly these bytes.
    async fn serve(listener: TcpListener, script: &[(&[u8], usize)]) -> Vec<u8> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for (say, hear) in script {
            stream.write_all(say).await.unwrap();
            let mut bytes = vec![0; *hear];
            stream.read_exact(&mut bytes).await.unwrap();
            heard.extend(bytes);
        }
        heard
    }

    /// ServerInit of a screen of 2×1 pixels named `vm`.
    const INIT: &[u8] = b"\x00\x02\x00\x01................\x00\x00\x00\x02vm";

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn keys_and_pictures() {
        let (listener, address) = listener().await;
        let resized = b"\x00\x00\x00\x01\0\0\0\0\x00\x01\x00\x01\xff\xff\xff\x21";
        // A bell, an update of one rectangle, and its one pixel.
        let pixels = [
            &b"\x02\0\0\0\x01\0\0\0\0\0\x01\0\x01\0\0\0\0"[..],
            &[11, 22, 33, 0],
        ]
        .concat();
        let script: &[(&[u8], usize)] = &[
            (VERSION, 12),
            (b"\x01\x01", 1),
            (b"\0\0\0\0", 1),
            (INIT, 20 + 12),
            (b"", 8),
            (b"", 10),
            (resized, 10),
            (&pixels, 0),
        ];
        let client = async {
            let mut vnc = Vnc::connect(address, None).await.unwrap();
            let event = KeyEvent {
                keysym: 0xff0d,
                down: true,
            };
            vnc.key(event).await.unwrap();
            vnc.picture().await.unwrap()
        };
        let (picture, heard) = tokio::join!(client, serve(listener, script));
        let rgb = vec![33, 22, 11];
        let (width, height) = (1, 1);
        assert_eq!(picture, Picture { width, height, rgb });
        let key = b"\x04\x01\0\0\0\0\xff\x0d";
        assert!(heard.windows(8).any(|window| window == key), "{heard:?}");
    }

    #[tokio::test]
    async fn a_password_is_used_and_may_be_refused() {
        let (listener, address) = listener().await;
        let script: &[(&[u8], usize)] = &[
            (VERSION, 12),
            (b"\x01\x02", 1),
            (b"0123456789abcdef", 16),
            (b"\0\0\0\x01", 0),
        ];
        let password = Secret::new("secret12");
        let client = Vnc::connect(address, Some(&password));
        let (outcome, heard) = tokio::join!(client, serve(listener, script));
        let error = crate::error::one_line(&outcome.err().unwrap());
        assert!(error.ends_with("it refused the login"), "{error}");
        assert_eq!(heard[12], VNC_AUTHENTICATION);
        assert_eq!(heard[13..], respond(*b"0123456789abcdef", "secret12"));
    }

    #[test]
    fn the_response_is_des_with_reversed_bits() {
        // DES of zeros with the zero key, a published vector.
        let expected = [0x8c, 0xa6, 0x4d, 0xe9, 0xc1, 0xb1, 0x23, 0xa7];
        assert_eq!(respond([0; 16], "")[..8], expected);
        // `a` is 0x61; reversed it is 0x86, as DES sees it.
        assert_ne!(respond([0; 16], "a"), respond([0; 16], ""));
    }

    #[tokio::test]
    async fn lies_about_sizes_are_refused() {
        let (listener, address) = listener().await;
        let outside = b"\0\0\0\x01\x00\x05\0\0\x00\x02\x00\x01\0\0\0\0";
        let script: &[(&[u8], usize)] = &[
            (VERSION, 12),
            (b"\x01\x01", 1),
            (b"\0\0\0\0", 1),
            (INIT, 20 + 12 + 10),
            (outside, 0),
        ];
        let client = async {
            let mut vnc = Vnc::connect(address, None).await.unwrap();
            vnc.picture().await
        };
        let (outcome, _) = tokio::join!(client, serve(listener, script));
        assert!(outcome.unwrap_err().message().contains("beside the screen"));
    }
}
