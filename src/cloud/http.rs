//! The network under the API: one HTTP client for all products.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`,
//! certificates from the system, `SSL_CERT_FILE` and Mozilla's built-in list,
//! so that empty containers work.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{DATE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::endpoint::is_loopback;
use super::transport::{HttpResponse, Method, SendFailure, Signed, Transport};
use crate::error::{Error, Kind, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle connections are dropped before servers do it: a request on a dying
/// connection has an unknown fate.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("alicloud-image/", env!("CARGO_PKG_VERSION"));

/// Where an ECS instance asks for its metadata: a machine's own matter, like
/// its loopback addresses.
const INSTANCE_METADATA: &str = "100.100.100.200";

/// Sends requests over HTTPS, and over HTTP to this machine.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    network: Client,
    direct: Client,
}

impl HttpTransport {
    /// A transport with proxies and certificates of the environment.
    ///
    /// # Errors
    /// `Kind::Io` when TLS cannot be set up or a proxy variable is malformed.
    pub fn new() -> Result<Self> {
        let failed = |error| {
            Error::new(Kind::Io, "Failed to set up HTTPS")
                .with_source(error)
                .with_hint("Check SSL_CERT_FILE, HTTPS_PROXY and HTTP_PROXY")
        };
        Ok(Self {
            network: builder().build().map_err(failed)?,
            // A proxy knows neither this machine's ports nor its metadata.
            direct: builder().no_proxy().build().map_err(failed)?,
        })
    }
}

/// A client for plain downloads of what a template names: it follows
/// redirects, with the proxies and certificates of the environment.
///
/// # Errors
/// As [`HttpTransport::new`].
pub(crate) fn download_client(url: &url::Url) -> Result<Client> {
    let builder = builder().redirect(Policy::default());
    let builder = match is_loopback(url) {
        true => builder.no_proxy(),
        false => builder,
    };
    builder.build().map_err(|error| {
        Error::new(Kind::Io, "Failed to set up HTTPS")
            .with_source(error)
            .with_hint("Check SSL_CERT_FILE, HTTPS_PROXY and HTTP_PROXY")
    })
}

/// What every client of this program has: trusted certificates, limits, and
/// no redirects.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // Whoever installed a provider first is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let built_in = TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok());
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // A redirect would send signed parameters somewhere else.
        .redirect(Policy::none())
        .tls_certs_merge(built_in)
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let client = if is_direct(&request.url) {
            &self.direct
        } else {
            &self.network
        };
        let failed = |error: reqwest::Error| failure(&host, error);
        let mut builder = client
            .request(method(request.method), request.url)
            .timeout(request.read_timeout)
            .body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let response = builder.send().await.map_err(failed)?;
        read(response).await.map_err(failed)
    }
}

/// Whether proxies are passed by.
fn is_direct(url: &url::Url) -> bool {
    is_loopback(url) || url.host_str() == Some(INSTANCE_METADATA)
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}

/// What OSS says in headers; others repeat it in the content.
fn oss_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let wanted =
        |name: &str| name.starts_with("x-oss-") || name == "etag" || name == "content-length";
    let is_oss = headers
        .keys()
        .any(|name| name.as_str().starts_with("x-oss-"));
    let known = headers
        .iter()
        .filter(|(name, _)| is_oss && wanted(name.as_str()));
    let readable = known.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    readable.collect()
}

async fn read(response: Response) -> reqwest::Result<HttpResponse> {
    let text = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let headers = response.headers();
    Ok(HttpResponse {
        status: response.status().as_u16(),
        date: text(headers, DATE.as_str()),
        retry_after_ms: text(headers, "x-acs-retry-after")
            .or_else(|| text(headers, "x-oss-qos-delay-time"))
            .and_then(|value| value.trim().parse().ok())
            .filter(|&milliseconds| milliseconds > 0),
        request_id: text(headers, "x-acs-request-id").or_else(|| text(headers, "x-oss-request-id")),
        headers: oss_headers(headers),
        body: response.bytes().await?,
    })
}

fn failure(host: &str, error: reqwest::Error) -> SendFailure {
    // The URL says nothing new.
    let error = error.without_url();
    SendFailure {
        unsent: error.is_connect() || error.is_builder(),
        host: host.to_owned(),
        source: innermost_words(&error).into(),
    }
}

/// The chain of an HTTP error repeats itself; its last link says what
/// happened, its time-out flag is lost there.
pub(crate) fn innermost_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        let during = if error.is_connect() {
            "connecting"
        } else {
            "waiting"
        };
        return format!("Timed out {during}");
    }
    let mut innermost: &dyn StdError = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn request(port: u16) -> Signed {
        Signed {
            method: Method::Post,
            url: format!("http://127.0.0.1:{port}").parse().unwrap(),
            headers: vec![("x-acs-action", "DescribeRegions".into())],
            body: "RegionId=cn-hangzhou".into(),
            read_timeout: Duration::from_secs(20),
        }
    }

    /// A server that reads one request and answers with these bytes.
    async fn serve(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"cn-hangzhou") {
                stream.read_buf(&mut received).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(received).unwrap()
        });
        (port, served)
    }

    #[tokio::test]
    async fn a_request_is_posted_and_its_answer_read() {
        let (port, served) = serve(
            "HTTP/1.1 400 Bad\r\ndate: Sun, 22 Nov 2026 08:00:00 GMT\r\n\
             x-acs-retry-after: 1500\r\nx-acs-request-id: r1\r\ncontent-length: 2\r\n\r\n{}",
        )
        .await;
        let transport = HttpTransport::new().unwrap();
        let response = transport.send(request(port)).await.unwrap();
        assert_eq!(
            response,
            HttpResponse {
                status: 400,
                date: Some("Sun, 22 Nov 2026 08:00:00 GMT".into()),
                retry_after_ms: Some(1500),
                request_id: Some("r1".into()),
                headers: Vec::new(),
                body: "{}".into(),
            }
        );
        let received = served.await.unwrap().to_lowercase();
        assert!(received.starts_with("post / http/1.1\r\n"), "{received}");
        assert!(
            received.contains("x-acs-action: describeregions\r\n"),
            "{received}"
        );
        assert!(
            received.contains("user-agent: alicloud-image/"),
            "{received}"
        );
        let host = format!("host: 127.0.0.1:{port}\r\n");
        assert!(received.contains(&host), "{received}");
    }

    #[tokio::test]
    async fn a_cut_answer_is_of_unknown_fate_and_a_closed_port_is_not() {
        let transport = HttpTransport::new().unwrap();
        let (port, served) = serve("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
        let failure = transport.send(request(port)).await.unwrap_err();
        assert!(!failure.unsent, "{failure:?}");
        served.await.unwrap();
        // Its listener is gone now.
        let failure = transport.send(request(port)).await.unwrap_err();
        assert!(failure.unsent, "{failure:?}");
        assert_eq!(failure.to_string(), "Cannot connect to 127.0.0.1");
    }
}
