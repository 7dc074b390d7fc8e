//! Keys, certificates, agents, algorithms, and whom we trust.

use std::fs;
use std::process::{Command, Stdio};

use alicloud_image::communicator::Communicator;
use alicloud_image::communicator::ssh::Ssh;
use alicloud_image::communicator::ssh::key::KeyPair;
use alicloud_image::error::{Kind, one_line};
use alicloud_image::plan::communicator::{KeyType, Ssh as Options};
use alicloud_image::template::source::Spanned;

use super::{Sshd, code, events, keygen, options, run, stdout, stop, user};

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
