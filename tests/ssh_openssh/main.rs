//! The SSH communicator against the real OpenSSH server.
//!
//! Each test runs an `sshd` of its own on a loopback port, as the user who
//! runs the test. `script/test` installs it.

// Clippy knows tests by their attribute; everything here is one.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod command;
mod login;
mod transfer;
mod tunnel;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alicloud_image::clock::Clock;
use alicloud_image::communicator::ssh::key::KeyPair;
use alicloud_image::communicator::ssh::{Ssh, Target};
use alicloud_image::communicator::{Communicator, ExitStatus, Output};
use alicloud_image::engine::event::{Event, EventKind, Events, Reporter, Stream};
use alicloud_image::engine::stop::Stop;
use alicloud_image::error::one_line;
use alicloud_image::plan::communicator::{FileTransfer, KeyType, Ssh as Options};
use alicloud_image::template::source::Spanned;
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

/// A server with its keys, gone when dropped.
struct Sshd {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Sshd {
    fn start() -> Self {
        Self::with("Subsystem sftp internal-sftp\n")
    }

    fn with(extra: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "install openssh-server");
        let dir = tempfile::tempdir().unwrap();
        for (name, arguments) in [
            ("host", &["-t", "ed25519"][..]),
            ("user", &["-t", "ed25519"]),
            ("ca", &["-t", "ed25519"]),
        ] {
            keygen(&dir.path().join(name), arguments);
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).unwrap();
        let port = free_port();
        let root = dir.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nPidFile none\n\
             AuthorizedKeysFile {root}/authorized\nTrustedUserCAKeys {root}/ca.pub\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             PubkeyAcceptedAlgorithms -ssh-rsa,ssh-rsa-cert-v01@openssh.com\n{extra}"
        );
        fs::write(dir.path().join("config"), config).unwrap();
        // Only root's server wants this; it fails harmlessly for others.
        let _ = fs::create_dir_all("/run/sshd");
        let child = Command::new(SSHD)
            .args(["-D", "-E"])
            .arg(dir.path().join("log"))
            .arg("-f")
            .arg(dir.path().join("config"))
            .spawn()
            .unwrap();
        Self { child, port, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn target(&self) -> Target {
        Target {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }

    fn authorize(&self, public: &str) {
        let path = self.path("authorized");
        let known = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{known}{public}\n")).unwrap();
    }

    /// Options that log in with the user's key file.
    fn options(&self) -> Options {
        Options {
            private_key_file: Some(Spanned::default_value(self.path("user"))),
            ..options()
        }
    }

    async fn connect(&self, options: &Options) -> Ssh {
        self.try_connect(options, None)
            .await
            .unwrap_or_else(|error| {
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                panic!("{}\n{log}", one_line(&error))
            })
    }

    async fn try_connect(
        &self,
        options: &Options,
        key: Option<&KeyPair>,
    ) -> alicloud_image::error::Result<Ssh> {
        let (events, _) = events();
        Ssh::connect(options, self.target(), key, None, &events, &stop()).await
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path, arguments: &[&str]) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn options() -> Options {
    Options {
        host: None,
        port: 22,
        username: Spanned::default_value(user()),
        password: None,
        private_key_file: None,
        certificate_file: None,
        agent_auth: false,
        disable_agent_forwarding: false,
        temporary_key: KeyType::Ed25519,
        temporary_key_pair_name: None,
        clear_authorized_keys: false,
        pty: false,
        timeout: Some(Duration::from_secs(120)),
        handshake_attempts: 0,
        pause_before_connecting: Duration::ZERO,
        keep_alive_interval: Some(Duration::from_secs(5)),
        read_write_timeout: None,
        file_transfer_method: FileTransfer::Sftp,
        ciphers: Vec::new(),
        key_exchange_algorithms: Vec::new(),
        known_hosts_file: None,
        bastion: None,
        proxy: None,
        remote_tunnels: Vec::new(),
        local_tunnels: Vec::new(),
    }
}

fn stop() -> Stop {
    Stop::new(Clock::default())
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Reporter for Said {
    fn on(&mut self, event: &Event) {
        if let EventKind::Say(text) = &event.kind {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

fn events() -> (Events, Said) {
    let said = Said::default();
    (Events::new(said.clone()), said)
}

#[derive(Default)]
struct Captured {
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Output for Captured {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        match stream {
            Stream::Stdout => self.stdout.push(line),
            Stream::Stderr => self.stderr.push(line),
        }
    }
}

/// Forgets the output.
struct Ignored;

impl Output for Ignored {
    fn line(&mut self, _stream: Stream, _line: &[u8]) {}
}

async fn run(ssh: &Ssh, command: &str) -> (ExitStatus, Captured) {
    let mut captured = Captured::default();
    let status = ssh.exec(command, &mut captured).await.unwrap();
    (status, captured)
}

async fn stdout(ssh: &Ssh, command: &str) -> String {
    run(ssh, command).await.1.stdout.join("\n")
}

fn code(number: u32) -> ExitStatus {
    ExitStatus::Code(number)
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
