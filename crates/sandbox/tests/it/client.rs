//! A bare client: signs and sends one request per connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alicloud_image_sandbox::signature::{
    Acs3Request, acs3_canonical_request, acs3_signature, acs3_string_to_sign, encode,
    rpc_signature, rpc_string_to_sign, sha256_hex,
};
use alicloud_image_sandbox::{Sandbox, SandboxOptions};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const ECS: &str = "2014-05-26";
pub(crate) const VPC: &str = "2016-04-28";
pub(crate) const STS: &str = "2015-04-01";

static NONCE: AtomicU64 = AtomicU64::new(0);

/// Credentials and where to use them.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) http: u16,
    pub(crate) headers: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        let json = self.json();
        json["Code"].as_str().unwrap_or("OK").to_owned()
    }
}

pub(crate) async fn fast_sandbox() -> Sandbox {
    start(SandboxOptions::default()).await
}

/// Starts with a thousandth of the real delays.
pub(crate) async fn start(options: SandboxOptions) -> Sandbox {
    Sandbox::start(SandboxOptions {
        time_scale: 0.001,
        seed: options.seed.or(Some(7)),
        ..options
    })
    .await
    .unwrap()
}

pub(crate) fn now() -> String {
    stamp(Timestamp::now())
}

pub(crate) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn nonce() -> String {
    format!("nonce-{}", NONCE.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    own.collect()
}

fn form(params: &BTreeMap<String, String>) -> String {
    let pairs = params
        .iter()
        .map(|(n, v)| format!("{}={}", encode(n), encode(v)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Client {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        Self {
            address: sandbox.address(),
            id: sandbox.access_key_id().to_owned(),
            secret: sandbox.access_key_secret().to_owned(),
            token: None,
        }
    }

    /// Parameters of an RPC call without the signature.
    pub(crate) fn unsigned(
        &self,
        version: &str,
        action: &str,
        own: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        let mut params = map(own);
        params.extend(map(&[
            ("Action", action),
            ("Version", version),
            ("Format", "JSON"),
            ("AccessKeyId", &self.id),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", &nonce()),
            ("Timestamp", &now()),
        ]));
        params.extend(
            self.token
                .clone()
                .map(|token| ("SecurityToken".to_owned(), token)),
        );
        params
    }

    pub(crate) fn signed(
        &self,
        method: &str,
        mut params: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let signature = rpc_signature(&self.secret, &rpc_string_to_sign(method, &params));
        params.insert("Signature".to_owned(), signature);
        params
    }

    /// A call in the RPC style, parameters in the body.
    pub(crate) async fn call(&self, version: &str, action: &str, own: &[(&str, &str)]) -> Reply {
        let params = self.signed("POST", self.unsigned(version, action, own));
        self.post(&params).await
    }

    pub(crate) async fn post(&self, params: &BTreeMap<String, String>) -> Reply {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST / HTTP/1.1", headers, &form(params))
            .await
            .unwrap()
    }

    /// A call as an old client behind a proxy sends it: absolute form, all
    /// parameters in the query.
    pub(crate) async fn call_through_proxy(&self, action: &str, own: &[(&str, &str)]) -> Reply {
        let params = self.signed("POST", self.unsigned(ECS, action, own));
        let line = format!(
            "POST http://ecs-cn-hangzhou.aliyuncs.com/?{} HTTP/1.1",
            form(&params)
        );
        self.send(&line, "", "").await.unwrap()
    }

    /// A call signed with ACS3-HMAC-SHA256.
    pub(crate) async fn call_acs3(
        &self,
        version: &str,
        action: &str,
        own: &[(&str, &str)],
    ) -> Reply {
        let query = map(own);
        let host = self.address.to_string();
        let mut headers = map(&[
            ("host", &host),
            ("x-acs-action", action),
            ("x-acs-version", version),
            ("x-acs-date", &now()),
            ("x-acs-signature-nonce", &nonce()),
            ("x-acs-content-sha256", &sha256_hex(b"")),
        ]);
        headers.extend(
            self.token
                .clone()
                .map(|token| ("x-acs-security-token".to_owned(), token)),
        );
        let signed_headers = headers.keys().cloned().collect::<Vec<_>>().join(";");
        let canonical = acs3_canonical_request(&Acs3Request {
            method: "POST",
            path: "/",
            query: &query,
            headers: &headers,
            signed_headers: &signed_headers,
            body: b"",
        });
        let signature = acs3_signature(&self.secret, &acs3_string_to_sign(&canonical));
        headers.insert(
            "Authorization".to_owned(),
            format!(
                "ACS3-HMAC-SHA256 Credential={},SignedHeaders={signed_headers},Signature={signature}",
                self.id
            ),
        );
        headers.remove("host");
        let lines = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n"));
        let line = format!("POST /?{} HTTP/1.1", form(&query));
        self.send(&line, &lines.collect::<String>(), "")
            .await
            .unwrap()
    }

    /// Sends a raw request; an error is a broken connection.
    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect(self.address).await?;
        let host = if headers.contains("host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let request = format!(
            "{line}\r\n{host}Connection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, text) = answer
            .split_once("\r\n\r\n")
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let http = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Reply {
            http,
            headers: head.to_owned(),
            text: text.to_owned(),
        })
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, version: &str, action: &str, own: &[(&str, &str)]) -> Value {
        let reply = self.call(version, action, own).await;
        assert_eq!(reply.http, 200, "{action}: {}", reply.text);
        reply.json()
    }

    /// The error code of a call, `OK` for none.
    pub(crate) async fn code(&self, version: &str, action: &str, own: &[(&str, &str)]) -> String {
        self.call(version, action, own).await.code()
    }

    /// Repeats a call until `pointer` of the answer is `value`.
    pub(crate) async fn until(
        &self,
        (version, action): (&str, &str),
        own: &[(&str, &str)],
        (pointer, value): (&str, &str),
    ) -> Value {
        let poll = async {
            loop {
                let answer = self.ok(version, action, own).await;
                if answer.pointer(pointer).and_then(Value::as_str) == Some(value) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, poll)
            .await
            .expect("the state is reached")
    }
}
