//! A guest seen from outside: over SSH, as a provisioner sees it, and from
//! the host, which must not notice.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use alicloud_image_sandbox::guest::{BootSpec, Confinement, Guest, Layer, namespaces_available};
use russh::{
    ChannelMsg, Preferred, Sig,
    client::{self, AuthResult, Handle},
    keys::{
        Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
        ssh_key::private::{KeypairData, RsaKeypair},
    },
};
use russh_sftp::client::SftpSession;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

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
    let (mut reader, writer) = channel.split();
    let send = async {
        // A command need not read its input to the end.
        let _ = writer.data(input).await;
        let _ = writer.eof().await;
    };
    let receive = async {
        let mut output = Output::default();
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => output.signal = Some(signal_name),
                _ => {}
            }
        }
        output
    };
    let both = async { tokio::join!(send, receive).1 };
    timeout(PATIENCE, both).await.unwrap()
}

/// Waits for something that is bound to happen.
async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_first_connection_is_noticed_once_and_remembered() {
    let lab = Lab::with(|spec| spec.confinement = Confinement::Scripted).await;
    let early = timeout(Duration::from_millis(20), lab.guest.connected());
    assert!(early.await.is_err());
    let waiting = lab.guest.connected();
    drop(lab.connect().await);
    timeout(PATIENCE, waiting).await.unwrap();
    timeout(PATIENCE, lab.guest.connected()).await.unwrap();
}

/// Packer's own releases use an SSH client of 2020: RSA keys sign with SHA-1,
/// and it knows no cipher here that is newer than CTR.
#[tokio::test]
async fn a_client_of_2020_gets_in_with_an_rsa_key() {
    let pair = RsaKeypair::random(&mut rand::rng(), 2048).unwrap();
    let key = PrivateKey::new(KeypairData::Rsa(pair), "").unwrap();
    let lab = Lab::with(|spec| {
        spec.confinement = Confinement::Scripted;
        spec.authorized_keys = vec![key.public_key().to_openssh().unwrap()];
    })
    .await;
    let preferred = Preferred {
        kex: vec![russh::kex::CURVE25519_PRE_RFC_8731].into(),
        key: vec![Algorithm::Ed25519].into(),
        cipher: vec![russh::cipher::AES_128_CTR].into(),
        mac: vec![russh::mac::HMAC_SHA256].into(),
        ..Preferred::default()
    };
    let config = client::Config {
        preferred,
        ..client::Config::default()
    };
    let mut session = client::connect(Arc::new(config), lab.addr, Client)
        .await
        .unwrap();
    // Without a hash: `ssh-rsa`, that is SHA-1.
    assert!(login(&mut session, &key).await.success());
}

#[tokio::test]
async fn commands_report_output_and_status() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let output = run(&session, "echo out; echo err >&2; exit 7").await;
    assert_eq!(output.text(), "out");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status, Some(7));
    let output = run(&session, "kill -TERM $$; sleep 100").await;
    assert!(matches!(output.signal, Some(Sig::TERM)), "{output:?}");
    let output = run_with(&session, "cat; echo end", b"some input\n").await;
    assert_eq!(output.text(), "some input\nend");
}

#[tokio::test]
async fn commands_run_as_root_at_home() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    for (command, expected) in [
        ("echo $HOME $USER $LOGNAME; pwd", "/root root root\n/root"),
        (
            "id -u; hostname; cat /etc/hostname",
            "0\nguest-under-test\nguest-under-test",
        ),
        (
            "echo $PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("test -n \"$SSH_CONNECTION\" && echo yes", "yes"),
        ("stat -c %a /root/.ssh/authorized_keys /tmp", "600\n1777"),
        ("ls -A /tmp /home", "/home:\n\n/tmp:"),
        ("echo hi >/dev/shm/x && cat /dev/shm/x", "hi"),
    ] {
        let output = run(&session, command).await;
        assert_eq!(output.text(), expected, "{command}: {output:?}");
    }
}

#[tokio::test]
async fn a_terminal_is_one() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    let terminal = channel.request_pty(true, "xterm", 132, 43, 0, 0, &[]);
    terminal.await.unwrap();
    let command = "tty; stty size; echo err >&2; exit 3";
    channel.exec(true, command).await.unwrap();
    let (mut reader, _writer) = channel.split();
    let (mut text, mut status) = (String::new(), None);
    while let Some(message) = timeout(PATIENCE, reader.wait()).await.unwrap() {
        match message {
            ChannelMsg::Data { data } => text += std::str::from_utf8(&data).unwrap(),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!(text, "/dev/pts/0\r\n43 132\r\nerr\r\n");
    assert_eq!(status, Some(3));
}

#[tokio::test]
async fn a_shell_takes_commands_from_its_input() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    channel.request_shell(true).await.unwrap();
    channel
        .data(&b"echo in a shell\nexit 4\n"[..])
        .await
        .unwrap();
    let (mut reader, _writer) = channel.split();
    let (mut text, mut status) = (String::new(), None);
    while let Some(message) = timeout(PATIENCE, reader.wait()).await.unwrap() {
        match message {
            ChannelMsg::Data { data } => text += std::str::from_utf8(&data).unwrap(),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!((text.as_str(), status), ("in a shell\n", Some(4)));
}

#[tokio::test]
async fn the_disk_persists_and_the_host_does_not_change() {
    let lab = Lab::new().await;
    let host = fs::read("/etc/hostname").unwrap();
    let mark = "/etc/sandbox-guest-mark";
    let change = format!("echo kept >{mark}; rm -rf /etc/hostname /usr/bin/env");
    let output = lab.run(&change).await;
    assert_eq!(output.status, Some(0), "{output:?}");
    let check = format!("cat {mark}; ls /etc/hostname /usr/bin/env");
    let output = lab.run(&check).await;
    assert_eq!(output.text(), "kept");
    assert_eq!(output.status, Some(2));
    assert!(!Path::new(mark).exists());
    assert_eq!(fs::read("/etc/hostname").unwrap(), host);
    assert!(Path::new("/usr/bin/env").exists());
}

#[tokio::test]
async fn the_host_is_out_of_reach() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let own = std::process::id();
    let disks = std::env::temp_dir().join("sandbox-guest-*");
    for command in [
        format!("grep -q . /proc/{own}/cmdline"),
        "mount -t tmpfs none /mnt".into(),
        "mount -o remount,bind,rw /proc/sys".into(),
        "echo x >/proc/sys/kernel/core_pattern".into(),
        "echo h >/proc/sysrq-trigger".into(),
        "unshare --user true".into(),
        "nsenter --target 1 --mount true".into(),
        "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk".into(),
        "ls -d /run/systemd || ls -d /run/dbus || ls -d /run/docker.sock".into(),
        format!("ls -d {}", disks.display()),
        format!("ls -d {}", env!("CARGO_MANIFEST_DIR")),
        "grep -v lo: /proc/net/dev | grep :".into(),
    ] {
        let output = run(&session, &command).await;
        assert_ne!(output.status, Some(0), "{command}: {output:?}");
    }
    // All processes die but process 1, which is the machine.
    run(&session, "kill -9 -1").await;
    assert_eq!(lab.run("echo alive").await.text(), "alive");
}

#[tokio::test]
async fn only_the_right_secrets_open_it() {
    let lab = Lab::new().await;
    let mut session = dial(lab.addr).await.unwrap();
    assert!(!login(&mut session, &new_key()).await.success());
    for (user, password, expected) in [
        ("root", "wrong", false),
        ("nobody", "Secret-1", false),
        ("root", "Secret-1", true),
    ] {
        let reply = session.authenticate_password(user, password).await.unwrap();
        assert_eq!(reply.success(), expected, "{user} {password}");
    }

    let mut session = dial(lab.addr).await.unwrap();
    let start = session.authenticate_keyboard_interactive_start("ecs-user", None);
    start.await.unwrap();
    let answers = vec!["Secret-1".to_owned()];
    let reply = session.authenticate_keyboard_interactive_respond(answers);
    let reply = reply.await.unwrap();
    let success = client::KeyboardInteractiveAuthResponse::Success;
    assert_eq!(format!("{reply:?}"), format!("{success:?}"));
}

#[tokio::test]
async fn without_a_password_there_is_no_password() {
    let lab = Lab::with(|spec| spec.password = None).await;
    let mut session = dial(lab.addr).await.unwrap();
    let reply = session.authenticate_password("root", "").await.unwrap();
    assert!(!reply.success());
}

#[tokio::test]
async fn a_removed_key_locks_out() {
    let lab = Lab::new().await;
    let output = lab.run("rm -f ~/.ssh/authorized_keys").await;
    assert_eq!(output.status, Some(0));
    let mut session = dial(lab.addr).await.unwrap();
    assert!(!login(&mut session, &lab.key).await.success());
}

#[tokio::test]
async fn sftp_copies_both_ways() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let sftp = sftp(&session).await;
    let byte = |index: u32| index.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    let content: Vec<u8> = (0..32 << 20).map(byte).collect();
    let mut file = sftp.create("/tmp/big").await.unwrap();
    file.write_all(&content).await.unwrap();
    file.shutdown().await.unwrap();
    let mut back = Vec::new();
    let mut file = sftp.open("/tmp/big").await.unwrap();
    file.read_to_end(&mut back).await.unwrap();
    assert!(back == content, "{} bytes came back", back.len());
    let output = run(&session, "stat -c %s /tmp/big").await;
    assert_eq!(output.text(), "33554432");
}

#[tokio::test]
async fn sftp_manages_files() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let sftp = sftp(&session).await;
    sftp.create_dir("work").await.unwrap();
    assert!(sftp.open("work/a").await.is_err());
    let mut file = sftp.create("work/a").await.unwrap();
    file.write_all(b"content").await.unwrap();
    file.shutdown().await.unwrap();
    sftp.rename("work/a", "work/b").await.unwrap();
    assert_eq!(sftp.canonicalize(".").await.unwrap(), "/root");
    let metadata = sftp.metadata("work/b").await.unwrap();
    assert_eq!(metadata.size, Some(7));
    run(&session, "ln -s /etc/../root/work/b work/link").await;
    assert_eq!(sftp.read("work/link").await.unwrap(), b"content");
    let entries = sftp.read_dir("work").await.unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "link"]);
    sftp.remove_file("work/link").await.unwrap();
    sftp.remove_file("work/b").await.unwrap();
    sftp.remove_dir("work").await.unwrap();
    assert_eq!(run(&session, "test -e work").await.status, Some(1));
}

#[tokio::test]
async fn large_streams_pass_beside_small_ones() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let big = run(&session, "head -c 100M /dev/zero");
    let small = run(&session, "echo small");
    let (big, small) = tokio::join!(big, small);
    assert_eq!(big.stdout.len(), 100 << 20);
    assert_eq!(small.text(), "small");
    // More than all buffers on the way together, so nobody may wait.
    let input = vec![b'x'; 48 << 20];
    let echoed = run_with(&session, "cat", &input).await;
    assert_eq!(echoed.stdout.len(), input.len());
}

/// Runs one of OpenSSH's clients without a user's files.
fn openssh(program: &str, key: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(program)
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
        .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(key)
        .args(arguments)
        .output()
        .unwrap()
}

fn write_key(lab: &Lab, directory: &Path) -> PathBuf {
    let path = directory.join("key");
    let text = lab.key.to_openssh(Default::default()).unwrap();
    fs::write(&path, text.as_bytes()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_clients_work() {
    Command::new("ssh")
        .arg("-V")
        .output()
        .expect("install openssh-client");
    let lab = Lab::new().await;
    let directory = tempfile::tempdir().unwrap();
    let key = write_key(&lab, directory.path());
    let port = lab.addr.port().to_string();
    let command = "echo over ssh; exit 5";
    let output = openssh("ssh", &key, &["-p", &port, "root@127.0.0.1", command]);
    assert_eq!(output.stdout, b"over ssh\n", "{output:?}");
    assert_eq!(output.status.code(), Some(5));

    let source = directory.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), vec![7; 3 << 20]).unwrap();
    // The old protocol and the one over SFTP.
    for protocol in ["-O", "-s"] {
        let back = directory.path().join(format!("back{protocol}"));
        let remote = format!("root@127.0.0.1:/srv/copy{protocol}");
        let copy = |from: &str, to: &str| {
            let output = openssh("scp", &key, &["-P", &port, protocol, "-rp", from, to]);
            assert!(output.status.success(), "{protocol} {output:?}");
        };
        copy(source.to_str().unwrap(), &remote);
        copy(&remote, back.to_str().unwrap());
        assert_eq!(fs::read(back.join("file")).unwrap(), vec![7; 3 << 20]);
    }
}

#[tokio::test]
async fn shutdown_powers_off() {
    let lab = Lab::new().await;
    let off = lab.guest.powered_off();
    assert_eq!(lab.run("shutdown -h now").await.status, Some(0));
    timeout(PATIENCE, off).await.unwrap();
    eventually("refused", async || dial(lab.addr).await.is_err()).await;
    lab.guest.capture().await.unwrap();
}

#[tokio::test]
async fn reboot_comes_back() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let change =
        "echo disk >stays; echo memory >/run/goes; (setsid /bin/sleep 1d >/dev/null 2>&1 &)";
    assert_eq!(run(&session, change).await.status, Some(0));
    assert_eq!(run(&session, "reboot").await.status, Some(0));
    eventually("disconnected", async || session.is_closed()).await;
    eventually("back", async || dial(lab.addr).await.is_ok()).await;
    let check = "cat stays; ls /run/goes; pgrep sleep; cloud-init status --wait";
    assert_eq!(lab.run(check).await.text(), "disk\nstatus: done");
}

#[tokio::test]
async fn a_command_cut_off_by_a_restart_has_no_exit_status() {
    let lab = Lab::new().await;
    let output = lab.run("reboot; /bin/sleep 1d").await;
    assert_eq!(output.status, None, "{output:?}");
    assert!(output.signal.is_none(), "{output:?}");
}

#[tokio::test]
async fn an_image_keeps_files_and_deletions() {
    let lab = Lab::new().await;
    let change = "mkdir -p /opt/app && echo v1 >/opt/app/version && rm /etc/passwd && \
        rm -r /usr/share/doc && mkdir /usr/share/doc && touch /usr/share/doc/only /tmp/gone && \
        yum install -y nginx && echo odd >/root/odd && chmod 000 /root/odd";
    let output = lab.run(change).await;
    assert_eq!(output.status, Some(0), "{output:?}");
    let first = lab.guest.capture().await.unwrap();
    drop(lab);
    let expected = "/tmp:\n\n/usr/share/doc:\nonly\nnginx\n0";
    let layers = [first];
    let second = inherit(
        &layers,
        &format!("v1\n{expected}"),
        "echo v2 >/opt/app/version",
    )
    .await;
    let [first] = layers;
    inherit(&[first, second], &format!("v2\n{expected}"), "true").await;
}

async fn inherit(layers: &[Layer], expected: &str, change: &str) -> Layer {
    let lab = Lab::with(|spec| spec.layers = layers.to_vec()).await;
    let check = "cat /opt/app/version; ls /etc/passwd /usr/share/doc /tmp; \
        cat /var/lib/sandbox/packages; stat -c %a /root/odd";
    let output = lab.run(check).await;
    assert_eq!(output.text(), expected, "{output:?}");
    assert_eq!(lab.run(change).await.status, Some(0));
    lab.guest.capture().await.unwrap()
}

#[tokio::test]
async fn user_data_runs_once() {
    let script = b"#!/bin/sh\necho ran as $(id -u)\nsleep 60\ntouch /root/done\n";
    let lab = Lab::with(|spec| spec.user_data = Some(script.to_vec())).await;
    let check = "cloud-init status --wait; ls /root; cat /var/log/cloud-init-output.log";
    let output = lab.run(check).await;
    assert_eq!(output.text(), "status: done\ndone\nran as 0", "{output:?}");
}

#[tokio::test]
async fn simulated_commands_succeed() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    for command in [
        "yum -y update && yum clean all && yum makecache",
        "dnf install -y redis jq && grep -x jq /var/lib/sandbox/packages",
        "yum remove -y redis && ! grep -x redis /var/lib/sandbox/packages",
        "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y curl",
        "systemctl enable --now nginx && systemctl is-active nginx && service nginx restart",
        "sudo -E sh -c 'test $(id -u) = 0'",
        "sleep 30 1m",
    ] {
        let output = run(&session, command).await;
        assert_eq!(output.status, Some(0), "{command}: {output:?}");
    }
}

#[tokio::test]
async fn unlisten_closes_listener_and_connections() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    lab.guest.unlisten(lab.addr.ip()).await;
    eventually("disconnected", async || session.is_closed()).await;
    assert!(dial(lab.addr).await.is_err());
    lab.guest.listen(lab.addr).await.unwrap();
    assert_eq!(lab.run("echo again").await.text(), "again");
}

#[tokio::test]
async fn a_lost_connection_ends_its_processes() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    let command = "exec /bin/sleep 987654";
    channel.exec(true, command).await.unwrap();
    let observer = lab.connect().await;
    let check = "pgrep -xf '/bin/sleep 987654'";
    let running = async || run(&observer, check).await.status == Some(0);
    eventually("started", running).await;
    drop((channel, session));
    eventually("ended", async || !running().await).await;
}

/// The host's processes whose command line mentions the text.
fn processes(text: &str) -> usize {
    let mentions = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter(mentions).count()
}

/// The guests' directories on the host that have a file.
fn directories(file: &str) -> usize {
    let bases = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
    let entries = bases
        .into_iter()
        .flat_map(|base| fs::read_dir(base).unwrap().flatten());
    entries
        .filter(|entry| entry.path().join(file).exists())
        .count()
}

#[tokio::test]
async fn drop_leaves_nothing() {
    let mark = format!("1{:09}", std::process::id());
    let lab = Lab::new().await;
    let change = format!(
        "mkdir -p /srv/a/b && touch /srv/{mark} /srv/a/b/c && chmod 000 /srv/a/b /srv/a; \
         chown 1234:1234 /srv/a 2>/dev/null; (setsid /bin/sleep {mark} >/dev/null 2>&1 &)"
    );
    assert_eq!(lab.run(&change).await.status, Some(0));
    eventually("started", async || processes(&mark) > 0).await;
    let disk = format!("upper/root/srv/{mark}");
    let image = format!("root/srv/{mark}");
    let layer = lab.guest.capture().await.unwrap();
    assert_eq!((directories(&disk), directories(&image)), (1, 1));
    drop(lab);
    assert_eq!(processes(&mark), 0);
    drop(layer);
    assert_eq!((directories(&disk), directories(&image)), (0, 0));
}

#[tokio::test]
async fn scripted_guests_run_nothing_and_keep_uploads() {
    let lab = Lab::with(|spec| spec.confinement = Confinement::Scripted).await;
    let session = lab.connect().await;
    let output = run(&session, "exit 9").await;
    assert_eq!((output.status, output.stdout.len()), (Some(0), 0));
    let sftp = sftp(&session).await;
    let mut file = sftp.create("/tmp/upload").await.unwrap();
    file.write_all(b"uploaded").await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(sftp.read("/tmp/upload").await.unwrap(), b"uploaded");
    let output = run_with(&session, "scp -t /tmp", b"C0600 3 other\nabc\0").await;
    assert_eq!(output.stdout, b"\0\0\0", "{output:?}");
    assert_eq!(output.status, Some(0));
    let output = run_with(&session, "scp -f /tmp/other", b"\0\0\0").await;
    assert_eq!(output.stdout, b"C0600 3 other\nabc\0");
    let off = lab.guest.powered_off();
    lab.guest.power_off().await;
    timeout(PATIENCE, off).await.unwrap();
}
