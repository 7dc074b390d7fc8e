//! The SSH communicator against the real OpenSSH server.
//!
//! Each test runs an `sshd` of its own on a loopback port, as the user who
//! runs the test. `script/test` installs it.

// Clippy knows tests by their attribute; everything here is one.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
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
use alicloud_image::error::{Kind, one_line};
use alicloud_image::plan::communicator::{Bastion, FileTransfer, KeyType, Ssh as Options, Tunnel};
use alicloud_image::template::source::Spanned;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SSHD: &str = "/usr/sbin/sshd";
const BIG: usize = 32 * 1024 * 1024;

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

#[tokio::test]
async fn keys_of_every_sort_and_format_log_in() {
    let sshd = Sshd::start();
    let sorts: &[(&str, &[&str])] = &[
        ("ed25519", &["-t", "ed25519"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pkcs1", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa-256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa-384-sec1", &["-t", "ecdsa", "-b", "384", "-m", "PEM"]),
        (
            "ecdsa-521-pkcs8",
            &["-t", "ecdsa", "-b", "521", "-m", "PKCS8"],
        ),
    ];
    for (name, arguments) in sorts {
        let path = sshd.path(name);
        keygen(&path, arguments);
        sshd.authorize(&fs::read_to_string(sshd.path(&format!("{name}.pub"))).unwrap());
        let options = Options {
            private_key_file: Some(Spanned::default_value(path)),
            handshake_attempts: 1,
            ..options()
        };
        let ssh = sshd.connect(&options).await;
        assert_eq!(stdout(&ssh, "echo in").await, "in", "{name}");
        ssh.close().await;
    }
}

#[tokio::test]
async fn generated_keys_log_in() {
    let sshd = Sshd::start();
    for key_type in [KeyType::Ed25519, KeyType::Ecdsa(521), KeyType::Rsa(2048)] {
        let pair = KeyPair::generate(key_type).unwrap();
        sshd.authorize(&pair.public);
        let ssh = sshd.try_connect(&options(), Some(&pair)).await.unwrap();
        assert_eq!(run(&ssh, "true").await.0, code(0));
        ssh.close().await;
    }
}

#[tokio::test]
async fn certificates_log_in() {
    let sshd = Sshd::start();
    for (name, arguments) in [
        ("cert-ed", &["-t", "ed25519"][..]),
        ("cert-rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        keygen(&sshd.path(name), arguments);
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-I", "test", "-n", &user(), "-s"])
            .arg(sshd.path("ca"))
            .arg(sshd.path(&format!("{name}.pub")))
            .status()
            .unwrap();
        assert!(signed.success());
        let options = Options {
            private_key_file: Some(Spanned::default_value(sshd.path(name))),
            certificate_file: Some(Spanned::default_value(
                sshd.path(&format!("{name}-cert.pub")),
            )),
            handshake_attempts: 1,
            ..options()
        };
        let ssh = sshd.connect(&options).await;
        assert_eq!(run(&ssh, "true").await.0, code(0), "{name}");
    }
}

#[tokio::test]
async fn an_encrypted_key_says_so() {
    let sshd = Sshd::start();
    for (name, format) in [("enc", "RFC4716"), ("enc-pem", "PEM"), ("enc-8", "PKCS8")] {
        let path = sshd.path(name);
        let made = Command::new("ssh-keygen")
            .args([
                "-q", "-t", "rsa", "-b", "2048", "-N", "secret", "-m", format, "-f",
            ])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let options = Options {
            private_key_file: Some(Spanned::default_value(path)),
            ..options()
        };
        let error = sshd.try_connect(&options, None).await.err().unwrap();
        assert!(one_line(&error).contains("is encrypted"), "{error:?}");
        assert!(error.hints()[0].contains("not supported"));
    }
}

#[tokio::test]
async fn an_agent_logs_in_and_is_lent() {
    let sshd = Sshd::start();
    let socket = sshd.path("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .expect("install openssh-client");
    // It prints its socket once it listens.
    let mut first = [0; 1];
    std::io::Read::read_exact(agent.stdout.as_mut().unwrap(), &mut first).unwrap();
    keygen(&sshd.path("rsa"), &["-t", "rsa", "-b", "2048"]);
    sshd.authorize(&fs::read_to_string(sshd.path("rsa.pub")).unwrap());
    keygen(&sshd.path("stranger"), &["-t", "ed25519"]);
    for key in ["stranger", "rsa"] {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(sshd.path(key))
            .env("SSH_AUTH_SOCK", &socket)
            .status()
            .unwrap();
        assert!(added.success());
    }
    let mut options = Options {
        agent_auth: true,
        ..options()
    };
    let (events, _) = events();
    let socket = Some(socket);
    let target = sshd.target();
    let ssh = Ssh::connect(&options, target, None, socket.clone(), &events, &stop()).await;
    let listed = run(&ssh.unwrap(), "ssh-add -l").await;
    assert_eq!(listed.0, code(0), "{:?}", listed.1.stderr);
    assert_eq!(listed.1.stdout.len(), 2);
    options.disable_agent_forwarding = true;
    let target = sshd.target();
    let ssh = Ssh::connect(&options, target, None, socket, &events, &stop()).await;
    assert_eq!(run(&ssh.unwrap(), "ssh-add -l").await.0, code(2));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn commands_give_output_and_status() {
    let sshd = Sshd::start();
    let (events, said) = events();
    let ssh = Ssh::connect(&sshd.options(), sshd.target(), None, None, &events, &stop())
        .await
        .unwrap();
    assert_eq!(
        *said.0.lock().unwrap(),
        [
            "Using SSH communicator to connect: 127.0.0.1",
            "Waiting for SSH to become available...",
            "Connected to SSH!"
        ]
    );
    let (status, captured) = run(&ssh, "echo out; echo err >&2; printf last; exit 7").await;
    assert_eq!(status, code(7));
    assert_eq!(captured.stdout, ["out", "last"]);
    assert_eq!(captured.stderr, ["err"]);
    assert_eq!(run(&ssh, "kill -9 $$").await.0, code(137));
    assert_eq!(run(&ssh, "kill -TERM $$").await.0, code(143));
    assert_eq!(run(&ssh, "no-such-command").await.0, code(127));
    // Nothing to read: `cat` ends at once.
    assert_eq!(run(&ssh, "cat").await.0, code(0));
    let (_, captured) = run(&ssh, "seq 1 200000").await;
    assert_eq!(captured.stdout.len(), 200_000);
    assert_eq!(captured.stdout[199_999], "200000");
}

#[tokio::test]
async fn commands_can_have_a_terminal() {
    let sshd = Sshd::start();
    let options = Options {
        pty: true,
        ..sshd.options()
    };
    let ssh = sshd.connect(&options).await;
    let (status, captured) = run(&ssh, "echo $TERM; stty size; echo err >&2; exit 3").await;
    assert_eq!(status, code(3));
    assert_eq!(captured.stdout, ["xterm", "40 80", "err"]);
    assert!(captured.stderr.is_empty());
}

#[tokio::test]
async fn commands_run_side_by_side() {
    let sshd = Sshd::start();
    let ssh = sshd.connect(&sshd.options()).await;
    let fifo = sshd.path("fifo");
    make_fifo(&fifo);
    let reader = format!("cat {}", fifo.display());
    let writer = format!("echo met > {}", fifo.display());
    // Each waits for the other.
    let (read, written) = tokio::join!(stdout(&ssh, &reader), run(&ssh, &writer));
    assert_eq!(read, "met");
    assert_eq!(written.0, code(0));
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let sshd = Sshd::start();
    let ssh = sshd.connect(&sshd.options()).await;
    let (status, _) = run(&ssh, "kill -9 $PPID").await;
    assert_eq!(status, ExitStatus::Disconnected);
    assert_eq!(status.code(), 2_300_218);
    assert_eq!(stdout(&ssh, "echo again").await, "again");
    ssh.close().await;
    let error = ssh
        .exec("true", &mut Captured::default())
        .await
        .unwrap_err();
    assert!(error.message().contains("closed"), "{error:?}");
}

#[tokio::test]
async fn a_stopped_build_closes_the_channel_of_its_command() {
    let sshd = Sshd::start();
    let (events, _) = events();
    let stop = stop();
    let ssh = Ssh::connect(&sshd.options(), sshd.target(), None, None, &events, &stop)
        .await
        .unwrap();
    let (ready, ended) = (sshd.path("ready"), sshd.path("ended"));
    make_fifo(&ready);
    make_fifo(&ended);
    // Only a closed channel ends `yes`.
    let command = format!(
        "echo ready > {}; yes; echo ended > {}",
        ready.display(),
        ended.display()
    );
    let mut captured = Ignored;
    let stopping = async {
        assert_eq!(tokio::fs::read(&ready).await.unwrap(), b"ready\n");
        stop.stop();
    };
    let (result, ()) = tokio::join!(ssh.exec(&command, &mut captured), stopping);
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(tokio::fs::read(&ended).await.unwrap(), b"ended\n");
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| byte()).collect()
}

async fn files_travel(sshd: &Sshd, options: &Options) {
    let ssh = sshd.connect(options).await;
    let there = sshd.path("there");
    fs::create_dir(&there).unwrap();
    for (name, size, mode) in [
        ("big file's", BIG, Some(0o640)),
        ("empty", 0, None),
        ("script", 3, Some(0o755)),
        ("secret", 70_001, Some(0o600)),
    ] {
        let data = noise(size);
        let path = there.join(name);
        let destination = path.to_str().unwrap();
        let mut source = &data[..];
        ssh.upload(&mut source, size as u64, destination, mode)
            .await
            .unwrap_or_else(|error| panic!("{name}: {}", one_line(&error)));
        assert!(fs::read(&path).unwrap() == data, "{name} differs");
        assert_eq!(mode_of(&path), mode.unwrap_or(0o644), "{name}");
        let mut copy = Vec::new();
        ssh.download(destination, &mut copy).await.unwrap();
        assert!(copy == data, "{name} differs on the way back");
    }
    // An existing file is replaced, and becomes shorter.
    let path = there.join("big file's");
    let (destination, mut source) = (path.to_str().unwrap(), &b"new"[..]);
    ssh.upload(&mut source, 3, destination, None).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    failures_say_why(&ssh, &there).await;
    // None of that broke the connection.
    assert_eq!(stdout(&ssh, "echo alive").await, "alive");
}

async fn failures_say_why(ssh: &Ssh, there: &Path) {
    let nowhere = there.join("no/such/place");
    let nowhere = nowhere.to_str().unwrap();
    let mut source = &b"data"[..];
    let error = ssh.upload(&mut source, 4, nowhere, None).await.unwrap_err();
    assert!(error.message().contains(nowhere), "{error:?}");
    assert!(one_line(&error).contains("o such file"), "{error:?}");
    let error = ssh.download(nowhere, &mut Vec::new()).await.unwrap_err();
    assert!(one_line(&error).contains("o such file"), "{error:?}");
}

#[tokio::test]
async fn files_travel_by_sftp() {
    let sshd = Sshd::start();
    files_travel(&sshd, &sshd.options()).await;
}

#[tokio::test]
async fn files_travel_by_scp() {
    let sshd = Sshd::start();
    let options = Options {
        file_transfer_method: FileTransfer::Scp,
        ..sshd.options()
    };
    files_travel(&sshd, &options).await;
}

#[tokio::test]
async fn without_the_subsystem_files_travel_by_scp() {
    for extra in ["", "Subsystem sftp /no/such/program\n"] {
        let sshd = Sshd::with(extra);
        let ssh = sshd.connect(&sshd.options()).await;
        let path = sshd.path("file");
        let destination = path.to_str().unwrap();
        let mut source = &b"data"[..];
        ssh.upload(&mut source, 4, destination, None).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let mut copy = Vec::new();
        ssh.download(destination, &mut copy).await.unwrap();
        assert_eq!(copy, b"data");
    }
}

async fn directories_travel(sshd: &Sshd, options: &Options) {
    let ssh = sshd.connect(options).await;
    let here = sshd.path("here");
    fs::create_dir_all(here.join("sub/empty")).unwrap();
    fs::write(here.join("top file"), "top").unwrap();
    fs::write(here.join("sub/run"), noise(100_000)).unwrap();
    set_mode(&here.join("sub/run"), 0o750);
    set_mode(&here.join("sub"), 0o700);
    symlink("sub/run", here.join("link")).unwrap();
    let there = sshd.path("there/deep");
    let destination = there.to_str().unwrap();

    ssh.upload_dir(&here, destination).await.unwrap();
    let contents = PathBuf::from(format!("{}/", here.display()));
    ssh.upload_dir(&contents, destination).await.unwrap();
    for root in [there.join("here"), there.clone()] {
        same_tree(&here, &root);
    }

    let back = sshd.path("back");
    ssh.download_dir(there.join("here").to_str().unwrap(), &back)
        .await
        .unwrap();
    same_tree(&here, &back);
    let missing = sshd.path("missing");
    let error = ssh
        .download_dir(missing.to_str().unwrap(), &back)
        .await
        .unwrap_err();
    assert!(one_line(&error).contains("o such file"), "{error:?}");
}

fn same_tree(want: &Path, got: &Path) {
    assert_eq!(fs::read(got.join("top file")).unwrap(), b"top");
    let run = fs::read(want.join("sub/run")).unwrap();
    assert!(fs::read(got.join("sub/run")).unwrap() == run);
    assert!(fs::read(got.join("link")).unwrap() == run);
    assert_eq!(mode_of(&got.join("sub/run")), 0o750);
    assert!(got.join("sub/empty").is_dir());
}

#[tokio::test]
async fn directories_travel_by_sftp() {
    let sshd = Sshd::start();
    directories_travel(&sshd, &sshd.options()).await;
    assert_eq!(mode_of(&sshd.path("there/deep/here/sub")), 0o700);
}

#[tokio::test]
async fn directories_travel_by_scp() {
    let sshd = Sshd::start();
    let options = Options {
        file_transfer_method: FileTransfer::Scp,
        ..sshd.options()
    };
    directories_travel(&sshd, &options).await;
    assert_eq!(mode_of(&sshd.path("there/deep/here/sub")), 0o700);
}

#[tokio::test]
async fn a_bastion_is_gone_through() {
    let sshd = Sshd::start();
    let bastion = Sshd::start();
    let mut options = sshd.options();
    options.bastion = Some(Bastion {
        host: Spanned::default_value("127.0.0.1".to_owned()),
        port: bastion.port,
        username: user(),
        password: None,
        private_key_file: Some(Spanned::default_value(bastion.path("user"))),
        certificate_file: None,
        agent_auth: false,
    });
    let ssh = sshd.connect(&options).await;
    assert_eq!(stdout(&ssh, "echo through").await, "through");
    // The connection comes from the bastion's process, not from ours.
    let log = fs::read_to_string(bastion.path("log")).unwrap();
    assert!(log.contains("Accepted publickey"), "{log}");
    run(&ssh, "kill -9 $PPID").await;
    assert_eq!(stdout(&ssh, "echo again").await, "again");
}

#[tokio::test]
async fn tunnels_lead_both_ways() {
    let sshd = Sshd::start();
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service_port = service.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = service.accept().await {
            let mut heard = [0; 4];
            stream.read_exact(&mut heard).await.unwrap();
            heard.reverse();
            stream.write_all(&heard).await.unwrap();
        }
    });
    let tunnel = |listen_port| Tunnel {
        listen_port,
        host: "127.0.0.1".to_owned(),
        port: service_port,
    };
    let (local, remote) = (free_port(), free_port());
    let options = Options {
        local_tunnels: vec![tunnel(local)],
        remote_tunnels: vec![tunnel(remote)],
        ..sshd.options()
    };
    let ssh = sshd.connect(&options).await;
    for port in [local, remote] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        stream.write_all(b"abcd").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"dcba", "port {port}");
    }
    ssh.close().await;
}

#[tokio::test]
async fn every_offered_algorithm_works() {
    let sshd = Sshd::start();
    for cipher in [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    ] {
        let options = Options {
            ciphers: vec![cipher.to_owned()],
            ..sshd.options()
        };
        let ssh = sshd.connect(&options).await;
        assert_eq!(run(&ssh, "true").await.0, code(0), "{cipher}");
    }
    for kex in [
        "curve25519-sha256",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
    ] {
        let options = Options {
            key_exchange_algorithms: vec![kex.to_owned()],
            ..sshd.options()
        };
        let ssh = sshd.connect(&options).await;
        assert_eq!(run(&ssh, "true").await.0, code(0), "{kex}");
    }
    let options = Options {
        ciphers: vec!["aes128-cbc".to_owned()],
        ..sshd.options()
    };
    let error = sshd.try_connect(&options, None).await.err().unwrap();
    assert!(error.message().contains("no algorithm"), "{error:?}");
}

#[tokio::test]
async fn a_refused_login_is_counted_and_explained() {
    let sshd = Sshd::start();
    let stranger = KeyPair::generate(KeyType::Ed25519).unwrap();
    let options = Options {
        timeout: None,
        handshake_attempts: 2,
        ..options()
    };
    let error = sshd
        .try_connect(&options, Some(&stranger))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), Kind::Connect);
    let text = one_line(&error);
    assert!(text.contains("refused the login 2 times"), "{text}");
    assert!(text.contains("tried: temporary key"), "{text}");
    assert!(text.contains("takes: publickey"), "{text}");
    assert!(error.hints()[0].contains("ssh_username"));
}

#[tokio::test]
async fn known_hosts_decide() {
    let sshd = Sshd::start();
    let file = sshd.path("known");
    let options = Options {
        known_hosts_file: Some(Spanned::default_value(file.clone())),
        ..sshd.options()
    };
    let entry = |key: &str| {
        let key = fs::read_to_string(sshd.path(key)).unwrap();
        fs::write(&file, format!("[127.0.0.1]:{} {key}", sshd.port)).unwrap();
    };
    entry("host.pub");
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(hashed.success());
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    let ssh = sshd.connect(&options).await;
    assert_eq!(run(&ssh, "true").await.0, code(0));
    entry("user.pub");
    let error = sshd.try_connect(&options, None).await.err().unwrap();
    assert!(error.message().contains("line 1"), "{error:?}");
}
