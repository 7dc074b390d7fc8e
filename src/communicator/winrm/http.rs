//! Carries messages to one machine's WinRM service, with a login.
//!
//! Basic sends the password with each request. NTLM logs one connection in;
//! over HTTP every message on it is sealed, over HTTPS none is. When the
//! connection is lost, the next message logs in again. Source of facts:
//! MS-WSMV 2.2.9.1, RFC 4559, RFC 7617.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::envelope;
use super::failure::{Failure, Seen, Way, of_network};
use super::ntlm::{self, Login, Random, Sealing};
use super::one_connection::OneConnection;
use super::soap::{Fault, OPERATION_TIMEOUT, Request};
use super::xml::Element;
use crate::cloud::endpoint::is_loopback;
use crate::cloud::http;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::Winrm as Options;

const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// What an answer takes on top of the time the server may wait; a machine that
/// is restarted says nothing, so this is how long that goes unnoticed.
const SLACK: Duration = Duration::from_secs(10);

/// Windows closes idle connections after two minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// No answer is longer; the server was told to send at most 150 KiB.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// A machine's WinRM service.
pub(super) struct Endpoint {
    options: Options,
    url: Url,
    way: Way,
    /// For Basic; connections are chosen freely.
    client: Client,
    session: Mutex<Option<Session>>,
}

/// A connection that is logged in by NTLM.
struct Session {
    client: Client,
    sealing: Option<Sealing>,
}

/// An answer before it is judged.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Endpoint {
    /// The service at an address.
    ///
    /// # Errors
    /// [`Kind::Connect`] when the address is no host, [`Kind::Io`] when TLS
    /// cannot be set up.
    pub(super) fn new(options: &Options, host: &str, port: u16) -> Result<Self> {
        let scheme = if options.use_ssl { "https" } else { "http" };
        let literal = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let url = Url::parse(&format!("{scheme}://{literal}:{port}/wsman")).map_err(|error| {
            Error::new(
                Kind::Connect,
                format!("`{host}` is not a host name or address"),
            )
            .with_source(error)
        })?;
        Ok(Self {
            client: build(builder(options, &url))?,
            options: options.clone(),
            url,
            way: Way::new(host, port),
            session: Mutex::new(None),
        })
    }

    /// Sends a message and gives the answer.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Element, Failure> {
        let message = request.message(self.url.as_str());
        let limit = OPERATION_TIMEOUT + SLACK;
        let post = async {
            match self.options.use_ntlm {
                true => self.post_in_session(&message).await,
                false => self.post_with_password(message).await,
            }
        };
        let answer = tokio::time::timeout(limit, post).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Failure::NotReady(Seen::new(
                "the machine did not answer in time",
                "It may be restarting, or overloaded",
            )))
        })?;
        judge(&answer)
    }

    async fn post_with_password(&self, message: String) -> Result<Answer, Failure> {
        let Options {
            username, password, ..
        } = &self.options;
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, SOAP)
            .basic_auth(&username.value, Some(password.expose()))
            .body(message);
        let answer = self.send(request).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED => {
                Err(Failure::Refused(Seen::without_basic(&answer.offered())))
            }
            _ => Ok(answer),
        }
    }

    /// One message at a time: sealed messages are numbered.
    async fn post_in_session(&self, message: &str) -> Result<Answer, Failure> {
        let mut session = self.session.lock().await;
        // A session that was cut off mid-message is not put back.
        if let Some(mut open) = session.take() {
            match self.post_sealed(&mut open, message).await {
                Ok(Some(answer)) => {
                    *session = Some(open);
                    return Ok(answer);
                }
                // Nothing was done yet with a message nobody could open.
                Ok(None) => {}
                Err(Unsent::Maybe(failure)) => return Err(failure),
                Err(Unsent::Surely) => {}
            }
        }
        let mut open = self.log_in().await?;
        match self.post_sealed(&mut open, message).await {
            Ok(Some(answer)) => {
                *session = Some(open);
                Ok(answer)
            }
            Ok(None) => Err(Failure::NotReady(Seen::new(
                "the machine forgot the login at once",
                "A proxy on the way may spread requests over connections: set winrm_no_proxy",
            ))),
            Err(Unsent::Maybe(failure)) => Err(failure),
            Err(Unsent::Surely) => Err(Failure::NotReady(lost_at_once())),
        }
    }

    /// None when the server does not know the session.
    async fn post_sealed(
        &self,
        session: &mut Session,
        message: &str,
    ) -> Result<Option<Answer>, Unsent> {
        let request = session.client.post(self.url.clone());
        let request = match &mut session.sealing {
            None => request.header(CONTENT_TYPE, SOAP).body(message.to_owned()),
            Some(sealing) => request
                .header(CONTENT_TYPE, envelope::SEALED)
                .body(envelope::seal(sealing, message)),
        };
        let response = request
            .send()
            .await
            .map_err(|error| match error.is_connect() {
                true => Unsent::Surely,
                false => Unsent::Maybe(of_network(&error, self.way)),
            })?;
        let mut answer = self.read(response).await.map_err(Unsent::Maybe)?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        if let Some(sealing) = &mut session.sealing
            && answer.content_type().starts_with("multipart/encrypted")
        {
            answer.body = envelope::open(sealing, &answer.body).ok_or_else(|| {
                let what = "a sealed message that was tampered with";
                Unsent::Maybe(Failure::NotReady(Seen::garbage(what)))
            })?;
        }
        Ok(Some(answer))
    }

    /// Opens a connection and logs it in, with messages that have no content.
    async fn log_in(&self) -> Result<Session, Failure> {
        let builder = builder(&self.options, &self.url)
            .pool_max_idle_per_host(1)
            .connector_layer(OneConnection::default());
        let client = build(builder).map_err(Failure::Fatal)?;
        let negotiate = ntlm::negotiate();
        let challenged = self.post_token(&client, &negotiate).await?;
        let Some(challenge) = challenged.token() else {
            return match challenged.status {
                StatusCode::UNAUTHORIZED => {
                    let offered = challenged.offered();
                    Err(Failure::Refused(Seen::without_ntlm(&offered)))
                }
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    Err(Failure::NotReady(Seen::proxy_login()))
                }
                status => Err(Failure::NotReady(Seen::garbage(&format!(
                    "HTTP {status} instead of a challenge"
                )))),
            };
        };
        if !ntlm::is_ours(&challenge) {
            // The server's side of Negotiate chose for itself.
            let chosen = ["Negotiate for Kerberos".to_owned()];
            return Err(Failure::Refused(Seen::without_ntlm(&chosen)));
        }
        let Options {
            username, password, ..
        } = &self.options;
        let login = Login::new(&username.value, password.expose());
        let made = ntlm::authenticate(&login, &negotiate, &challenge, Random::draw());
        let (authenticate, sealing) = made.ok_or_else(|| {
            Failure::NotReady(Seen::garbage("a challenge of NTLM that cannot be used"))
        })?;
        let answer = self.post_token(&client, &authenticate).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED => Err(Failure::Refused(Seen::wrong_password())),
            // HTTPS protects the messages already.
            _ => Ok(Session {
                client,
                sealing: (!self.options.use_ssl).then_some(sealing),
            }),
        }
    }

    async fn post_token(&self, client: &Client, token: &[u8]) -> Result<Answer, Failure> {
        let token = format!("Negotiate {}", STANDARD.encode(token));
        let request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, SOAP)
            .header(AUTHORIZATION, token)
            // Windows insists on it, and the client leaves it out for no body.
            .header(CONTENT_LENGTH, "0");
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let response = request.send().await;
        let response = response.map_err(|error| of_network(&error, self.way))?;
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, Failure> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let failed = |error: reqwest::Error| of_network(&error, self.way);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(Failure::NotReady(Seen::garbage("it does not end")));
            }
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

/// What became of a sealed message without answer.
enum Unsent {
    /// The connection was gone before.
    Surely,
    /// It may have been received.
    Maybe(Failure),
}

fn lost_at_once() -> Seen {
    Seen::new(
        "the connection was closed right after the login",
        "The machine may be restarting",
    )
}

fn builder(options: &Options, url: &Url) -> ClientBuilder {
    let builder = http::builder()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only()
        .tls_danger_accept_invalid_certs(options.insecure)
        .tls_danger_accept_invalid_hostnames(options.insecure);
    match options.no_proxy || is_loopback(url) {
        true => builder.no_proxy(),
        false => builder,
    }
}

fn build(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|error| {
        Error::new(Kind::Io, "Failed to set up HTTP for WinRM")
            .with_source(error)
            .with_hint("Check SSL_CERT_FILE, HTTPS_PROXY and HTTP_PROXY")
    })
}

impl Answer {
    fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// What follows `Negotiate` in the server's answer.
    fn token(&self) -> Option<Vec<u8>> {
        let mut values = self.headers.get_all(WWW_AUTHENTICATE).iter();
        let token = values.find_map(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Negotiate").then_some(token)
        })?;
        STANDARD.decode(token.trim()).ok()
    }

    /// The ways to log in that the server knows.
    fn offered(&self) -> Vec<String> {
        let values = self.headers.get_all(WWW_AUTHENTICATE).iter();
        values
            .filter_map(|value| value.to_str().ok()?.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }
}

/// The message in an answer, if it is one and no fault.
fn judge(answer: &Answer) -> Result<Element, Failure> {
    let text = String::from_utf8_lossy(&answer.body);
    // Windows 2008 R2 and proxies put a mark in front.
    let root = Element::parse(text.trim_start_matches('\u{feff}'));
    let root = root.filter(|root| root.find("Envelope").is_some());
    match root {
        Some(root) => match Fault::of(&root) {
            Some(fault) => Err(Failure::Fault(fault)),
            None => Ok(root),
        },
        None if answer.status.is_success() => Err(Failure::NotReady(Seen::garbage(
            "HTTP 200 with something else than a message",
        ))),
        None if answer.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(Failure::NotReady(Seen::proxy_login()))
        }
        None => Err(Failure::NotReady(Seen::new(
            format!("the machine answered HTTP {}", answer.status),
            "WinRM may still be starting; if this lasts, check winrm_port and that the user data \
             enables WinRM",
        ))),
    }
}
