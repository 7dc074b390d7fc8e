use std::fs;
use std::time::Duration;

use super::*;
use crate::plan::options;
use crate::plan::testing::{Outcome, read_in};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n";

/// Reads options beside a user's name, in a directory with a key, a key with
/// a passphrase and a public key.
fn with(more: &str) -> Outcome<Communicator> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("key", KEY);
    write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    write("key.pub", "ssh-ed25519 AAAA");
    let text = format!(r#"{{"ssh_username":"root"{more}}}"#);
    read_in(
        directory.path(),
        &text,
        &[options::communicator::OPTIONS],
        read,
    )
}

fn ssh(more: &str) -> Ssh {
    let outcome = with(more);
    assert!(
        outcome.findings.is_empty(),
        "{more}: {:?}",
        outcome.findings
    );
    match outcome.read {
        Communicator::Ssh(ssh) => *ssh,
        other => panic!("{more} is not ssh: {other:?}"),
    }
}

#[test]
fn defaults_are_packers_but_for_keys_and_transfer() {
    let ssh = ssh("");
    assert_eq!(ssh.port, 22);
    assert_eq!(ssh.timeout, Some(Duration::from_secs(300)));
    assert_eq!(ssh.handshake_attempts, 10);
    assert_eq!(ssh.keep_alive_interval, Some(Duration::from_secs(5)));
    assert_eq!(ssh.read_write_timeout, None);
    assert_eq!(ssh.temporary_key, KeyType::Ed25519);
    assert_eq!(ssh.file_transfer_method, FileTransfer::Sftp);
    assert!(!ssh.disable_agent_forwarding);
}

#[test]
fn a_limit_written_alone_is_the_only_one() {
    let minute = Some(Duration::from_secs(60));
    let table = [
        (r#","ssh_timeout":"1m""#, minute, 0),
        (r#","ssh_handshake_attempts":"3""#, None, 3),
        (
            r#","ssh_timeout":"1m","ssh_handshake_attempts":3"#,
            minute,
            3,
        ),
    ];
    for (more, timeout, attempts) in table {
        let ssh = ssh(more);
        assert_eq!(
            (ssh.timeout, ssh.handshake_attempts),
            (timeout, attempts),
            "{more}"
        );
    }
    let old = with(r#","ssh_timeout":"5m","ssh_wait_timeout":"1m""#);
    assert_eq!(
        old.findings,
        ["warning: Option `ssh_wait_timeout` of `it` is deprecated"]
    );
    assert!(matches!(old.read, Communicator::Ssh(ssh) if ssh.timeout == minute));
}

#[test]
fn temporary_keys() {
    let table = [
        (r#","temporary_key_pair_type":"rsa""#, KeyType::Rsa(4096)),
        (r#","temporary_key_pair_bits":2048"#, KeyType::Rsa(2048)),
        (r#","temporary_key_pair_type":"ecdsa""#, KeyType::Ecdsa(521)),
        (
            r#","temporary_key_pair_type":"ecdsa","temporary_key_pair_bits":256"#,
            KeyType::Ecdsa(256),
        ),
        (r#","temporary_key_pair_type":"ed25519""#, KeyType::Ed25519),
    ];
    for (more, expected) in table {
        assert_eq!(ssh(more).temporary_key, expected, "{more}");
    }
}

#[test]
fn keep_alive_may_be_negative() {
    assert_eq!(
        ssh(r#","ssh_keep_alive_interval":"-1s""#).keep_alive_interval,
        None
    );
}

#[test]
fn a_bastion_inherits_user_and_key() {
    let bastion = ssh(r#","ssh_private_key_file":"key","ssh_bastion_host":"b""#)
        .bastion
        .unwrap();
    assert_eq!(bastion.username, "root");
    assert_eq!(bastion.port, 22);
    assert!(bastion.private_key_file.unwrap().value.ends_with("key"));
}

#[test]
fn winrm_has_packers_defaults() {
    let read = |more: &str| {
        let text = format!(
            r#","communicator":"winrm","winrm_username":"Administrator","winrm_password":"p"{more}"#
        );
        match with(&text).read {
            Communicator::Winrm(winrm) => *winrm,
            other => panic!("{other:?}"),
        }
    };
    let winrm = read("");
    assert_eq!(
        (winrm.port, winrm.timeout),
        (5985, Duration::from_secs(1800))
    );
    assert!(!winrm.use_ssl && !winrm.use_ntlm && !winrm.insecure && !winrm.no_proxy);
    assert_eq!(read(r#","winrm_use_ssl":true"#).port, 5986);
    assert_eq!(read(r#","winrm_use_ssl":true,"winrm_port":443"#).port, 443);
}

#[test]
fn every_rule_has_its_words() {
    let table: &[(&str, &[&str])] = &[
        (r#","communicator":"none""#, &[]),
        (
            r#","communicator":"winrm""#,
            &[
                "error: Option `winrm_username` is missing",
                "error: Option `winrm_password` is missing",
            ],
        ),
        (
            r#","communicator":"winrm","winrm_username":"a","winrm_password":"b","winrm_port":0,
                "winrm_insecure":true"#,
            &["warning: Option `winrm_insecure` has no effect without `winrm_use_ssl`"],
        ),
        (
            r#","communicator":"winrm","winrm_username":"a","winrm_password":"b",
                "winrm_use_ssl":true,"winrm_port":5985"#,
            &["warning: Option `winrm_port` is 5985, which normally speaks HTTP"],
        ),
        (
            r#","communicator":"winrm","winrm_username":"a","winrm_password":"b",
                "winrm_port":5986,"winrm_timeout":"-1s""#,
            &[
                "warning: Option `winrm_port` is 5986, which normally speaks HTTPS",
                "error: Option `winrm_timeout` must not be negative",
            ],
        ),
        (
            r#","communicator":"telnet""#,
            &["error: Option `communicator` is `telnet`, which is not one of its values"],
        ),
        // The options of the other communicator are passed over.
        (r#","winrm_password":"x""#, &[]),
        (
            r#","ssh_port":70000"#,
            &["error: Option `ssh_port` is 70000"],
        ),
        (r#","ssh_port":"""#, &[]),
        (
            r#","ssh_timeout":"-5m""#,
            &["error: Option `ssh_timeout` must not be negative"],
        ),
        (
            r#","ssh_timeout":"5""#,
            &[
                "error: Option `ssh_timeout` must be a duration such as `5m`, but it is the string `\"5\"`",
            ],
        ),
        (
            r#","ssh_private_key_file":"absent""#,
            &["error: Option `ssh_private_key_file` names `absent`, which does not exist"],
        ),
        (
            r#","ssh_private_key_file":"locked""#,
            &[
                "error: Option `ssh_private_key_file` names `locked`, which is protected by a passphrase",
            ],
        ),
        (
            r#","ssh_private_key_file":"key.pub""#,
            &[
                "error: Option `ssh_private_key_file` names `key.pub`, which is not a private key in PEM or OpenSSH format",
            ],
        ),
        (
            r#","ssh_private_key_file":".""#,
            &["error: Option `ssh_private_key_file` names `.`, which is a directory"],
        ),
        (
            r#","ssh_key_path":"key""#,
            &["warning: Option `ssh_key_path` is deprecated"],
        ),
        (
            r#","ssh_private_key_file":"key","ssh_key_path":"key""#,
            &[
                "warning: Option `ssh_key_path` is deprecated",
                "error: Option `ssh_key_path` cannot be used with `ssh_private_key_file`",
            ],
        ),
        (
            r#","ssh_certificate_file":"key.pub""#,
            &["error: Option `ssh_certificate_file` is set without the key it certifies"],
        ),
        (
            r#","ssh_certificate_file":"key.pub","ssh_private_key_file":"key""#,
            &[],
        ),
        (
            r#","ssh_keypair_name":"pair""#,
            &["error: Option `ssh_keypair_name` is set without the key that belongs to it"],
        ),
        (
            r#","ssh_keypair_name":"pair","ssh_private_key_file":"key""#,
            &[],
        ),
        (r#","ssh_keypair_name":"pair","ssh_agent_auth":true"#, &[]),
        (
            r#","temporary_key_pair_name":"pair","ssh_agent_auth":true"#,
            &[
                "warning: Option `temporary_key_pair_name` has no effect when a key or the agent is given",
            ],
        ),
        (
            r#","temporary_keypair_name":"pair""#,
            &["warning: Option `temporary_keypair_name` is deprecated"],
        ),
        (
            r#","temporary_key_pair_name":"1pair""#,
            &["error: Option `temporary_key_pair_name` does not begin with a letter: `1pair`"],
        ),
        (
            r#","temporary_key_pair_type":"dsa""#,
            &["error: Option `temporary_key_pair_type` is `dsa`, which servers no longer accept"],
        ),
        (
            r#","temporary_key_pair_type":"RSA""#,
            &["error: Option `temporary_key_pair_type` is `RSA`, which is not one of its values"],
        ),
        (
            r#","temporary_key_pair_type":"rsa","temporary_key_pair_bits":512"#,
            &["error: Option `temporary_key_pair_bits` is 512, too few for RSA"],
        ),
        (
            r#","temporary_key_pair_type":"ecdsa","temporary_key_pair_bits":2048"#,
            &["error: Option `temporary_key_pair_bits` is 2048, which is no size of an ECDSA key"],
        ),
        (
            r#","temporary_key_pair_type":"ed25519","temporary_key_pair_bits":2048"#,
            &["warning: Option `temporary_key_pair_bits` has no effect on `ed25519` keys"],
        ),
        (
            r#","ssh_file_transfer_method":"ftp""#,
            &["error: Option `ssh_file_transfer_method` is `ftp`, which is not one of its values"],
        ),
        (
            r#","ssh_bastion_host":"b""#,
            &["error: Option `ssh_bastion_host` is set without a way to log in"],
        ),
        (
            r#","ssh_bastion_host":"b","ssh_bastion_agent_auth":true"#,
            &[],
        ),
        (
            r#","ssh_bastion_host":"b","ssh_bastion_agent_auth":true,"ssh_proxy_host":"p""#,
            &["error: Option `ssh_bastion_host` cannot be used with `ssh_proxy_host`"],
        ),
        (
            r#","ssh_bastion_interactive":true"#,
            &["error: Option `ssh_bastion_interactive` is not supported yet"],
        ),
        (
            r#","ssh_local_tunnels":["80:h"]"#,
            &["error: Option `ssh_local_tunnels` contains `80:h`, which is not a tunnel"],
        ),
        (r#","ssh_remote_tunnels":["8080:localhost:80"]"#, &[]),
        (
            r#","ssh_known_hosts_file":"absent""#,
            &["error: Option `ssh_known_hosts_file` names `absent`, which does not exist"],
        ),
        (
            r#","ssh_disable_agent":true"#,
            &["warning: Option `ssh_disable_agent` is deprecated"],
        ),
    ];
    for (more, expected) in table {
        let found: Vec<_> = with(more)
            .findings
            .iter()
            .map(|line| line.replace(" of `it`", ""))
            .collect();
        assert_eq!(found, *expected, "{more}");
    }
}

#[test]
fn a_user_is_required_only_for_ssh() {
    let find = |text: &str| read_in(".", text, &[options::communicator::OPTIONS], read).findings;
    assert_eq!(
        find("{}"),
        ["error: Option `ssh_username` of `it` is missing"]
    );
    assert!(find(r#"{"communicator":"none"}"#).is_empty());
}
