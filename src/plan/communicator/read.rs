//! Reads `communicator` and the `ssh_*` options.
//!
//! Rules and defaults are Packer's, except where its own default is unsafe or
//! outdated: temporary keys are Ed25519 and files travel by sftp.

use std::path::PathBuf;
use std::time::Duration;

use super::{Bastion, Communicator, FileTransfer, KeyType, Proxy, Ssh, Tunnel, winrm};
use crate::plan::check;
use crate::plan::files::key_problem;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

const SSH_TIMEOUT: Duration = Duration::from_secs(300);
const HANDSHAKE_ATTEMPTS: u32 = 10;
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Reads the options. Problems become diagnostics; then the result is not fit
/// for use.
pub fn read(reader: &mut Reader<'_, '_>) -> Communicator {
    let kind = reader.text_or("communicator", "ssh");
    match kind.as_str() {
        "ssh" => Communicator::Ssh(Box::new(ssh(reader))),
        "none" => Communicator::None,
        "winrm" => Communicator::Winrm(Box::new(winrm::read(reader))),
        other => {
            let what = format!("is `{other}`, which is not one of its values");
            reader.error("communicator", &what, "Write `ssh`, `winrm` or `none`");
            Communicator::None
        }
    }
}

fn ssh(reader: &mut Reader<'_, '_>) -> Ssh {
    let username = username(reader);
    let private_key_file = private_key_file(reader);
    let (timeout, handshake_attempts) = limits(reader);
    let ssh = Ssh {
        host: reader.plain("ssh_host"),
        port: reader.port("ssh_port", 22),
        bastion: bastion(reader, &username.value, private_key_file.as_ref()),
        username,
        password: reader.secret("ssh_password"),
        certificate_file: certificate(reader, private_key_file.is_some()),
        private_key_file,
        agent_auth: reader.flag("ssh_agent_auth"),
        disable_agent_forwarding: agent_forwarding_is_off(reader),
        temporary_key: temporary_key(reader),
        temporary_key_pair_name: temporary_key_pair_name(reader),
        clear_authorized_keys: reader.flag("ssh_clear_authorized_keys"),
        pty: reader.flag("ssh_pty"),
        timeout,
        handshake_attempts,
        pause_before_connecting: reader
            .duration("pause_before_connecting")
            .unwrap_or_default(),
        keep_alive_interval: keep_alive_interval(reader),
        read_write_timeout: positive_duration(reader, "ssh_read_write_timeout"),
        file_transfer_method: file_transfer(reader),
        ciphers: reader.plain_list("ssh_ciphers"),
        key_exchange_algorithms: reader.plain_list("ssh_key_exchange_algorithms"),
        known_hosts_file: reader.existing_file("ssh_known_hosts_file"),
        proxy: proxy(reader),
        remote_tunnels: tunnels(reader, "ssh_remote_tunnels", "remoteport"),
        local_tunnels: tunnels(reader, "ssh_local_tunnels", "localport"),
    };
    check_together(reader, &ssh);
    ssh
}

/// Rules between options.
fn check_together(reader: &mut Reader<'_, '_>, ssh: &Ssh) {
    let own_key = ssh.private_key_file.is_some() || ssh.agent_auth;
    if reader.is_set("ssh_keypair_name") && !own_key {
        let what = "is set without the key that belongs to it";
        let help = "Set `ssh_private_key_file` to the pair's private key, or `ssh_agent_auth` to \
                    `true`";
        reader.error("ssh_keypair_name", what, help);
    }
    if ssh.temporary_key_pair_name.is_some() && own_key {
        let what = "has no effect when a key or the agent is given";
        reader.warning(
            "temporary_key_pair_name",
            what,
            "No temporary key pair is made",
        );
    }
    if reader.is_set("ssh_bastion_host") && ssh.proxy.is_some() {
        reader.conflict("ssh_bastion_host", "ssh_proxy_host", "Keep one of them");
    }
}

fn username(reader: &mut Reader<'_, '_>) -> Spanned<String> {
    reader.text("ssh_username").unwrap_or_else(|| {
        let help = "Set it to the user of the source image, `root` for most of Alibaba Cloud's";
        reader.missing("ssh_username", help);
        Spanned::default_value(String::new())
    })
}

fn private_key_file(reader: &mut Reader<'_, '_>) -> Option<Spanned<PathBuf>> {
    let name = renamed(reader, "ssh_private_key_file", "ssh_key_path");
    key_file(reader, name)
}

fn key_file(reader: &mut Reader<'_, '_>, name: &str) -> Option<Spanned<PathBuf>> {
    let file = reader.existing_file(name)?;
    // A file that cannot be read has been reported already.
    if let Ok(bytes) = reader.places().read(&file.value)
        && let Some(problem) = key_problem(&bytes)
    {
        let what = format!("names `{}`, which {problem}", file.value.display());
        let help = "Use an unencrypted private key, for example one made by \
                    `ssh-keygen -t ed25519 -N \"\"`, or `ssh_agent_auth`";
        reader.error(name, &what, help);
    }
    Some(file)
}

fn certificate(reader: &mut Reader<'_, '_>, has_key: bool) -> Option<Spanned<PathBuf>> {
    let certificate = reader.existing_file("ssh_certificate_file")?;
    if !has_key {
        let what = "is set without the key it certifies";
        reader.error(
            "ssh_certificate_file",
            what,
            "Set `ssh_private_key_file` too",
        );
    }
    Some(certificate)
}

/// The spelling in use; both at once are an error.
fn renamed(reader: &mut Reader<'_, '_>, current: &'static str, old: &'static str) -> &'static str {
    match (reader.is_set(current), reader.is_set(old)) {
        (true, true) => reader.conflict(old, current, format!("Keep `{current}`")),
        (false, true) => return old,
        _ => {}
    }
    current
}

fn agent_forwarding_is_off(reader: &mut Reader<'_, '_>) -> bool {
    let current = reader.flag("ssh_disable_agent_forwarding");
    reader.flag("ssh_disable_agent") || current
}

/// Packer's rule: a limit that is written alone is the only one.
fn limits(reader: &mut Reader<'_, '_>) -> (Option<Duration>, u32) {
    let timeout = positive_duration(reader, "ssh_timeout");
    let timeout = positive_duration(reader, "ssh_wait_timeout").or(timeout);
    let attempts = reader.positive("ssh_handshake_attempts", u32::MAX);
    match (timeout, attempts) {
        (None, None) => (Some(SSH_TIMEOUT), HANDSHAKE_ATTEMPTS),
        (timeout, attempts) => (timeout, attempts.unwrap_or(0)),
    }
}

fn positive_duration(reader: &mut Reader<'_, '_>, name: &str) -> Option<Duration> {
    reader.duration(name).filter(|duration| !duration.is_zero())
}

fn keep_alive_interval(reader: &mut Reader<'_, '_>) -> Option<Duration> {
    let Some(interval) = reader.signed_duration("ssh_keep_alive_interval") else {
        return Some(KEEP_ALIVE);
    };
    match interval.non_negative() {
        Some(Duration::ZERO) => Some(KEEP_ALIVE),
        other => other,
    }
}

fn file_transfer(reader: &mut Reader<'_, '_>) -> FileTransfer {
    let methods = [("sftp", FileTransfer::Sftp), ("scp", FileTransfer::Scp)];
    reader
        .one_of("ssh_file_transfer_method", &methods)
        .unwrap_or_default()
}

fn temporary_key_pair_name(reader: &mut Reader<'_, '_>) -> Option<String> {
    let name = renamed(reader, "temporary_key_pair_name", "temporary_keypair_name");
    let name = reader.checked(name, check::resource_name)?;
    Some(name.value)
}

fn temporary_key(reader: &mut Reader<'_, '_>) -> KeyType {
    let bits = reader.positive("temporary_key_pair_bits", 16_384);
    let kind = reader.plain("temporary_key_pair_type");
    match kind.as_deref() {
        Some("ed25519") => {
            warn_bits(reader, bits);
            KeyType::Ed25519
        }
        // Packer's default type is RSA, so bits alone mean RSA bits.
        None if bits.is_none() => KeyType::Ed25519,
        Some("rsa") | None => KeyType::Rsa(rsa_bits(reader, bits)),
        Some("ecdsa") => KeyType::Ecdsa(ecdsa_bits(reader, bits)),
        Some(other) => {
            let (what, help) = match other {
                "dsa" => (
                    "is `dsa`, which servers no longer accept".to_owned(),
                    "Use `ed25519`",
                ),
                _ => (
                    format!("is `{other}`, which is not one of its values"),
                    "Write `ed25519`, `rsa` or `ecdsa`",
                ),
            };
            reader.error("temporary_key_pair_type", &what, help);
            KeyType::default()
        }
    }
}

fn warn_bits(reader: &mut Reader<'_, '_>, bits: Option<u32>) {
    if bits.is_some() {
        let what = "has no effect on `ed25519` keys";
        reader.warning("temporary_key_pair_bits", what, "Remove it");
    }
}

fn rsa_bits(reader: &mut Reader<'_, '_>, bits: Option<u32>) -> u32 {
    let bits = bits.unwrap_or(4096);
    if bits < 1024 {
        let what = format!("is {bits}, too few for RSA");
        reader.error(
            "temporary_key_pair_bits",
            &what,
            "Use 1024 or more, better 4096",
        );
    }
    bits
}

fn ecdsa_bits(reader: &mut Reader<'_, '_>, bits: Option<u32>) -> u32 {
    let bits = bits.unwrap_or(521);
    if ![256, 384, 521].contains(&bits) {
        let what = format!("is {bits}, which is no size of an ECDSA key");
        reader.error("temporary_key_pair_bits", &what, "Write 256, 384 or 521");
    }
    bits
}

fn bastion(
    reader: &mut Reader<'_, '_>,
    username: &str,
    private_key_file: Option<&Spanned<PathBuf>>,
) -> Option<Bastion> {
    let host = reader.text("ssh_bastion_host");
    let own_key = key_file(reader, "ssh_bastion_private_key_file");
    let bastion = Bastion {
        host: host?,
        port: reader.port("ssh_bastion_port", 22),
        username: reader.text_or("ssh_bastion_username", username),
        password: reader.secret("ssh_bastion_password"),
        private_key_file: own_key.or_else(|| private_key_file.cloned()),
        certificate_file: reader.existing_file("ssh_bastion_certificate_file"),
        agent_auth: reader.flag("ssh_bastion_agent_auth"),
    };
    let way_in = bastion.password.is_some() || bastion.private_key_file.is_some();
    if !way_in && !bastion.agent_auth {
        let what = "is set without a way to log in";
        let help = "Set `ssh_bastion_password`, `ssh_bastion_private_key_file` or \
                    `ssh_bastion_agent_auth`";
        reader.error("ssh_bastion_host", what, help);
    }
    Some(bastion)
}

fn proxy(reader: &mut Reader<'_, '_>) -> Option<Proxy> {
    Some(Proxy {
        host: reader.text("ssh_proxy_host")?,
        port: reader.port("ssh_proxy_port", 1080),
        username: reader.plain("ssh_proxy_username"),
        password: reader.secret("ssh_proxy_password"),
    })
}

fn tunnels(reader: &mut Reader<'_, '_>, name: &str, listens: &str) -> Vec<Tunnel> {
    let mut tunnels = Vec::new();
    for text in reader.texts(name) {
        match parse_tunnel(&text.value) {
            Some(tunnel) => tunnels.push(tunnel),
            None => {
                let what = format!("contains `{}`, which is not a tunnel", text.value);
                let help = format!("Write `{listens}:host:port`, for example `8080:localhost:80`");
                reader.error_at(text.span, name, &what, help);
            }
        }
    }
    tunnels
}

/// `port:host:port`; an IPv6 address may stand in brackets.
fn parse_tunnel(text: &str) -> Option<Tunnel> {
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    let (listen_port, rest) = text.split_once(':')?;
    let (host, connect_port) = rest.rsplit_once(':')?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let plain = bracketed.is_some() || !host.contains(':');
    (plain && !host.is_empty()).then_some(())?;
    Some(Tunnel {
        listen_port: port(listen_port)?,
        host: host.to_owned(),
        port: port(connect_port)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_tunnels() {
        let tunnel = |listen_port, host: &str, port| {
            Some(Tunnel {
                listen_port,
                host: host.to_owned(),
                port,
            })
        };
        let table = [
            ("8080:localhost:80", tunnel(8080, "localhost", 80)),
            ("1:[::1]:2", tunnel(1, "::1", 2)),
            ("1:::1:2", None),
            ("0:host:2", None),
            ("1::2", None),
            ("host:2", None),
            ("1:host:70000", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_tunnel(text), expected, "{text}");
        }
    }
}
