//! What several test modules need.

use std::time::Duration;

use crate::plan::communicator::{FileTransfer, KeyType, Ssh};
use crate::template::source::Spanned;

/// The default options with a user.
pub(super) fn options(user: &str) -> Ssh {
    Ssh {
        host: None,
        port: 22,
        username: Spanned::default_value(user.to_owned()),
        password: None,
        private_key_file: None,
        certificate_file: None,
        agent_auth: false,
        disable_agent_forwarding: false,
        temporary_key: KeyType::Ed25519,
        temporary_key_pair_name: None,
        clear_authorized_keys: false,
        pty: false,
        timeout: Some(Duration::from_secs(60)),
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
