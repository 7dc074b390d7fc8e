//! The HTTP side of WinRM: connections, logins, sealed messages.
//!
//! A login by NTLM is one of the connection, so this reads HTTP/1.1 itself
//! instead of handing requests to a framework that hides connections. Facts:
//! MS-WSMV 2.2.9.1, RFC 4559, RFC 9112.

use std::io;
use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::computer::{Computer, USER};
use super::ntlm::{self, Keys, Login, Message};
use super::soap::{Envelope, Fault};

const LONGEST_HEAD: usize = 64 * 1024;

/// What WinRM 2.0 takes at most (`MaxEnvelopeSizekb`).
const LONGEST_MESSAGE: usize = 150 * 1024;

/// Bodies above this are not even read.
const LONGEST_BODY: usize = 1024 * 1024;

const SEALED: &str = "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";\
                      boundary=\"Encrypted Boundary\"";

/// A certificate nobody trusts, as Windows makes it.
pub(crate) fn self_signed(hostname: &str) -> io::Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed([hostname.to_owned()]);
    let made = made.map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let certificates = vec![made.cert.der().clone()];
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        });
    Ok(TlsAcceptor::from(Arc::new(
        config.map_err(io::Error::other)?,
    )))
}

/// Serves a port until it is stopped.
pub(crate) async fn accept(
    computer: Weak<Computer>,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Some(computer) = computer.upgrade() else {
            return;
        };
        match accepted {
            Ok((stream, _)) => {
                computer.note_connection();
                let serving = connection(computer, stream, tls.clone());
                let stop = stop.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        ended = serving => if let Err(error) = ended {
                            tracing::debug!(%error, "a WinRM connection ended");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection(
    computer: Arc<Computer>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => {
            let stream = tls.accept(stream).await?;
            Connection::new(&computer, true).serve(stream).await
        }
        None => Connection::new(&computer, false).serve(stream).await,
    }
}

/// Who is at the other end.
enum Peer {
    Unknown,
    Challenged(Login),
    LoggedIn(Box<Keys>),
}

struct Connection {
    computer: Arc<Computer>,
    is_https: bool,
    peer: Peer,
}

struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; none at its end.
    async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            if buffer.len() > LONGEST_HEAD {
                return Err(io::Error::other("the head does not end"));
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = match length {
            Some((_, value)) => value.parse().map_err(io::Error::other)?,
            None => 0,
        };
        if length > LONGEST_BODY {
            return Err(io::Error::other("the body is too long"));
        }
        while buffer.len() < length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let body = buffer.drain(..length).collect();
        Ok(Some(Self {
            line,
            headers,
            body,
        }))
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Reply {
    fn new(status: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {}\r\nServer: Microsoft-HTTPAPI/2.0\r\nContent-Length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        [head.as_bytes(), &self.body].concat()
    }
}

impl Connection {
    fn new(computer: &Arc<Computer>, is_https: bool) -> Self {
        Self {
            computer: Arc::clone(computer),
            is_https,
            peer: Peer::Unknown,
        }
    }

    async fn serve(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(request) = Request::read(&mut stream, &mut buffer).await? {
            let reply = self.reply(&request).await;
            stream.write_all(&reply.bytes()).await?;
            stream.flush().await?;
            if request.header("connection").eq_ignore_ascii_case("close") {
                break;
            }
        }
        Ok(())
    }

    async fn reply(&mut self, request: &Request) -> Reply {
        let mut words = request.line.split_whitespace();
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        if !path.eq_ignore_ascii_case("/wsman") {
            return Reply::new("404 Not Found");
        }
        if method != Some("POST") {
            return Reply::new("405 Method Not Allowed");
        }
        if request.header("content-length").is_empty() {
            return Reply::new("411 Length Required");
        }
        if let Err(refusal) = self.log_in(request) {
            return refusal;
        }
        // A message without content only logs in.
        if request.body.is_empty() {
            return Reply::new("200 OK");
        }
        self.message(request).await
    }

    /// Checks who sends a request, or answers with what is missing.
    fn log_in(&mut self, request: &Request) -> Result<(), Reply> {
        let authorization = request.header("authorization");
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        match scheme.to_lowercase().as_str() {
            "basic" if self.takes_basic() && self.is_password(token) => Ok(()),
            "negotiate" | "ntlm" if self.computer.settings().negotiate => {
                let token = STANDARD.decode(token.trim()).unwrap_or_default();
                self.negotiate(&token)
            }
            "" if matches!(self.peer, Peer::LoggedIn(_)) => Ok(()),
            _ => Err(self.unauthorized(None)),
        }
    }

    fn negotiate(&mut self, token: &[u8]) -> Result<(), Reply> {
        match ntlm::sort_of(token) {
            Some(Message::Negotiate) => {
                let login = Login::begin(token, self.computer.hostname());
                let refusal = self.unauthorized(Some(login.challenge()));
                self.peer = Peer::Challenged(login);
                Err(refusal)
            }
            Some(Message::Authenticate) => {
                let peer = std::mem::replace(&mut self.peer, Peer::Unknown);
                let keys = match (peer, self.computer.password()) {
                    (Peer::Challenged(login), Some(password)) => {
                        login.verify(token, USER, password)
                    }
                    _ => None,
                };
                let keys = keys.ok_or_else(|| self.unauthorized(None))?;
                self.peer = Peer::LoggedIn(Box::new(keys));
                Ok(())
            }
            None => Err(self.unauthorized(None)),
        }
    }

    fn takes_basic(&self) -> bool {
        let settings = self.computer.settings();
        settings.basic && (self.is_https || settings.allow_unencrypted)
    }

    fn is_password(&self, token: &str) -> bool {
        let decoded = STANDARD.decode(token.trim()).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded).into_owned();
        let (user, password) = decoded.split_once(':').unwrap_or_default();
        user.eq_ignore_ascii_case(USER) && self.computer.password() == Some(password)
    }

    fn unauthorized(&self, challenge: Option<&[u8]>) -> Reply {
        let mut reply = Reply::new("401 Unauthorized");
        if let Some(challenge) = challenge {
            let value = format!("Negotiate {}", STANDARD.encode(challenge));
            reply.headers.push(("WWW-Authenticate", value));
            return reply;
        }
        let offers = [
            (self.computer.settings().negotiate, "Negotiate"),
            (self.takes_basic(), "Basic realm=\"WSMAN\""),
        ];
        for (_, scheme) in offers.iter().filter(|(offered, _)| *offered) {
            reply
                .headers
                .push(("WWW-Authenticate", (*scheme).to_owned()));
        }
        reply
    }

    async fn message(&mut self, request: &Request) -> Reply {
        let is_sealed = request
            .header("content-type")
            .starts_with("multipart/encrypted");
        let is_safe = is_sealed || self.is_https || self.computer.settings().allow_unencrypted;
        if !is_safe {
            // What Windows says when unencrypted messages are not allowed.
            return Reply::new("500 Internal Server Error");
        }
        let message = match is_sealed {
            false => request.body.clone(),
            true => match self.unsealed(&request.body) {
                Some(message) => message,
                None => return self.unauthorized(None),
            },
        };
        let (status, text) = match self.answered(&message).await {
            Ok(text) => ("200 OK", text),
            Err((fault, relates_to)) => ("500 Internal Server Error", fault.message(&relates_to)),
        };
        let mut reply = Reply::new(status);
        let content_type = match is_sealed {
            true => SEALED,
            false => "application/soap+xml;charset=UTF-8",
        };
        reply
            .headers
            .push(("Content-Type", content_type.to_owned()));
        reply.body = match (&mut self.peer, is_sealed) {
            (Peer::LoggedIn(keys), true) => sealed(keys, text.as_bytes()),
            _ => text.into_bytes(),
        };
        reply
    }

    async fn answered(&self, message: &[u8]) -> Result<String, (Fault, String)> {
        if message.len() > LONGEST_MESSAGE {
            return Err((Fault::TOO_LARGE, String::new()));
        }
        let envelope = Envelope::parse(message).map_err(|fault| (fault, String::new()))?;
        let answer = self.computer.shells.answer(&self.computer, &envelope).await;
        answer.map_err(|fault| (fault, envelope.message_id().to_owned()))
    }

    fn unsealed(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        const TYPE: &[u8] = b"Content-Type: application/octet-stream\r\n";
        const END: &[u8] = b"--Encrypted Boundary--\r\n";
        let Peer::LoggedIn(keys) = &mut self.peer else {
            return None;
        };
        let at = body.windows(TYPE.len()).position(|bytes| bytes == TYPE)?;
        let content = body.strip_suffix(END)?.get(at + TYPE.len()..)?;
        let (length, rest) = content.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (signature, text) = rest.split_at_checked(length)?;
        keys.unseal(signature, text)
    }
}

fn sealed(keys: &mut Keys, text: &[u8]) -> Vec<u8> {
    let (signature, sealed) = keys.seal(text);
    let head = format!(
        "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
         \tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={}\r\n\
         --Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n",
        text.len()
    );
    let length = (signature.len() as u32).to_le_bytes();
    let end = b"--Encrypted Boundary--\r\n";
    [head.as_bytes(), &length, &signature, &sealed, end].concat()
}
