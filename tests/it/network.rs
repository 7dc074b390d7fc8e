//! How the program reaches the cloud when nothing is overridden: HTTPS to the
//! regular endpoints, through the proxy and with the certificates of the
//! environment.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::harness::Lab;
use crate::template::silent;

const HOSTS: [&str; 2] = ["ecs.cn-beijing.aliyuncs.com", "vpc.cn-beijing.aliyuncs.com"];

/// A proxy that leads every host to the sandbox, behind TLS of our own.
struct Proxy {
    address: SocketAddr,
    asked_for: Arc<Mutex<BTreeSet<String>>>,
    authority: String,
}

impl Proxy {
    async fn start(sandbox: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, authority) = certificates();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let asked_for: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let hosts = Arc::clone(&asked_for);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, acceptor.clone(), sandbox, Arc::clone(&hosts)));
            }
        });
        Self {
            address,
            asked_for,
            authority,
        }
    }
}

async fn relay(
    mut client: TcpStream,
    acceptor: TlsAcceptor,
    sandbox: SocketAddr,
    hosts: Arc<Mutex<BTreeSet<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    hosts.lock().unwrap().insert(host);
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    let mut plain = acceptor.accept(client).await?;
    let mut upstream = TcpStream::connect(sandbox).await?;
    copy_bidirectional(&mut plain, &mut upstream)
        .await
        .map(drop)
}

/// A server configuration for the cloud's names, and its authority as PEM.
fn certificates() -> (ServerConfig, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let key = KeyPair::generate().unwrap();
    let names = HOSTS.map(str::to_owned).to_vec();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (config, authority_certificate.pem())
}

/// No endpoint is overridden; every connection goes through the proxy.
async fn lab_behind_proxy() -> (Lab, Proxy) {
    let mut lab = Lab::without_machines().await;
    let proxy = Proxy::start(lab.sandbox.address()).await;
    for product in ["ECS", "VPC", "STS"] {
        lab.unset(&format!("ALIBABA_CLOUD_ENDPOINT_{product}"));
    }
    lab.write_template(&silent(json!({})))
        .write("ca.pem", &proxy.authority);
    lab.set("HTTPS_PROXY", &format!("http://{}", proxy.address));
    (lab, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn https_goes_through_the_proxy_and_trusts_ssl_cert_file() {
    let (mut lab, proxy) = lab_behind_proxy().await;
    let authority = lab.path("ca.pem").display().to_string();
    lab.set("SSL_CERT_FILE", &authority);
    let outcome = lab.run(&["build", "template.json"]).await.success();
    assert!(outcome.outputs["image-id"].starts_with("m-"));
    let asked_for = proxy.asked_for.lock().unwrap().clone();
    assert_eq!(asked_for, HOSTS.map(|host| format!("{host}:443")).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused() {
    let (lab, _proxy) = lab_behind_proxy().await;
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    assert!(
        outcome.text().contains("ecs.cn-beijing.aliyuncs.com"),
        "{}",
        outcome.text()
    );
    assert!(outcome.text().contains("certificate"), "{}", outcome.text());
    assert_eq!(lab.sandbox.calls().len(), 0);
}
