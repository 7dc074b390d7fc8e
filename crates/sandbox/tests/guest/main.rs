//! A guest seen from outside: over SSH, as a provisioner sees it, and from
//! the host, which must not notice.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod command;
mod files;
mod life;
mod login;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alicloud_image_sandbox::guest::{BootSpec, Confinement, Guest, namespaces_available};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, Sig};
use russh_sftp::client::SftpSession;
use tokio::time::timeout;

/// No step of a test takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A guest with the key that opens it.
struct Lab {
    guest: Guest,
    key: PrivateKey,
    addr: SocketAddr,
}

#[derive(Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<u32>,
    signal: Option<Sig>,
}

/// As text, and not more than a screen of it.
impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        f.debug_struct("Output")
            .field("stdout", &text(&self.stdout))
            .field("stderr", &text(&self.stderr))
            .field("status", &self.status)
            .field("signal", &self.signal)
            .finish()
    }
}

impl Output {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap().trim_end()
    }
}

fn new_key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
}

fn spec(key: &PrivateKey) -> BootSpec {
    BootSpec {
        instance_id: "i-test".into(),
        hostname: "guest-under-test".into(),
        layers: Vec::new(),
        authorized_keys: vec![key.public_key().to_openssh().unwrap()],
        password: Some("Secret-1".into()),
        rpm_family: true,
        time_scale: 0.001,
        user_data: None,
        confinement: Confinement::Namespaces,
    }
}

/// A port nobody listens at, as a guest's port 22 is before it boots.
fn free_addr() -> SocketAddr {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    probe.local_addr().unwrap()
}

impl Lab {
    async fn new() -> Lab {
        Lab::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut BootSpec)) -> Lab {
        let key = new_key();
        let mut spec = spec(&key);
        change(&mut spec);
        if spec.confinement == Confinement::Namespaces {
            namespaces_available().expect("these tests need user namespaces");
        }
        let guest = Guest::boot(spec).await.unwrap();
        let addr = free_addr();
        guest.listen(addr).await.unwrap();
        Lab { guest, key, addr }
    }

    async fn connect(&self) -> Handle<Client> {
        let mut session = dial(self.addr).await.unwrap();
        assert!(login(&mut session, &self.key).await.success());
        session
    }

    async fn run(&self, command: &str) -> Output {
        run(&self.connect().await, command).await
    }
}

async fn sftp(session: &Handle<Client>) -> SftpSession {
    let channel = session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    SftpSession::new(channel.into_stream()).await.unwrap()
}

async fn dial(addr: SocketAddr) -> Result<Handle<Client>, russh::Error> {
    let config = Arc::new(client::Config {
        nodelay: true,
        ..client::Config::default()
    });
    let connect = client::connect(config, addr, Client);
    timeout(PATIENCE, connect).await.unwrap()
}

async fn login(session: &mut Handle<Client>, key: &PrivateKey) -> AuthResult {
    let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
    session.authenticate_publickey("root", key).await.unwrap()
}

async fn run(session: &Handle<Client>, command: &str) -> Output {
    run_with(session, command, b"").await
}

async fn run_with(session: &Handle<Client>, command: &str, input: &[u8]) -> Output {
    let channel = session.channel_open_session().await.unwrap();
    channel.exec(true, command).await.unwrap();
    let (reader, writer) = channel.split();
    let send = async {
        // A command need not read its input to the end.
        let _ = writer.data(input).await;
        let _ = writer.eof().await;
    };
    tokio::join!(send, output_of(reader)).1
}

/// All that comes out of a channel.
async fn output_of(mut reader: ChannelReadHalf) -> Output {
    let mut output = Output::default();
    while let Some(message) = timeout(PATIENCE, reader.wait()).await.unwrap() {
        match message {
            ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => output.signal = Some(signal_name),
            _ => {}
        }
    }
    output
}

/// Waits for something that is bound to happen.
async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
