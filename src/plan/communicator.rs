//! How a machine is reached: Packer's `communicator`, `ssh_*` and
//! `winrm_*` options.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::template::source::Spanned;

mod read;
#[cfg(test)]
mod tests;
mod winrm;

pub use read::read;

/// The communicators there are.
#[derive(Debug, Clone)]
pub enum Communicator {
    /// No connection; only provisioners that need none can run.
    None,
    /// OpenSSH or compatible.
    Ssh(Box<Ssh>),
    /// Windows Remote Management.
    Winrm(Box<Winrm>),
}

impl Communicator {
    /// Replaces the address the builder found.
    pub fn host(&self) -> Option<&String> {
        match self {
            Self::None => None,
            Self::Ssh(ssh) => ssh.host.as_ref(),
            Self::Winrm(winrm) => winrm.host.as_ref(),
        }
    }

    /// The TCP port on the machine; none without a connection.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Ssh(ssh) => Some(ssh.port),
            Self::Winrm(winrm) => Some(winrm.port),
        }
    }

    /// Limit for the first connection, if there is one.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Ssh(ssh) => ssh.timeout,
            Self::Winrm(winrm) => Some(winrm.timeout),
        }
    }
}

/// Options of the `winrm` communicator.
#[derive(Debug, Clone)]
pub struct Winrm {
    /// Replaces the address the builder found.
    pub host: Option<String>,
    /// TCP port; 5985 by default, 5986 over HTTPS.
    pub port: u16,
    /// The user to log in as, perhaps with a domain (`DOMAIN\user`).
    pub username: Spanned<String>,
    /// The user's password; empty when the template has none.
    pub password: Secret,
    /// HTTPS instead of HTTP.
    pub use_ssl: bool,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// NTLM instead of Basic.
    pub use_ntlm: bool,
    /// Whether the environment's proxy is passed over.
    pub no_proxy: bool,
    /// Limit for the first connection.
    pub timeout: Duration,
    /// Wait after the first connection, then connect again.
    pub pause_before_connecting: Duration,
}

impl Ssh {
    /// Whether a temporary key is made, as the template gives no other way in.
    pub fn needs_temporary_key(&self) -> bool {
        self.temporary_key_pair_name.is_some()
            || (self.private_key_file.is_none() && self.password.is_none() && !self.agent_auth)
    }
}

/// Options of the `ssh` communicator.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// Replaces the address the builder found.
    pub host: Option<String>,
    /// TCP port, 22 by default.
    pub port: u16,
    /// The user to log in as.
    pub username: Spanned<String>,
    /// For password and keyboard-interactive authentication.
    pub password: Option<Secret>,
    /// A private key on this machine.
    pub private_key_file: Option<Spanned<PathBuf>>,
    /// A certificate for that key.
    pub certificate_file: Option<Spanned<PathBuf>>,
    /// Use the agent at `SSH_AUTH_SOCK`.
    pub agent_auth: bool,
    /// Whether not to offer the agent to the instance.
    pub disable_agent_forwarding: bool,
    /// The key pair made for this build, when no other way in is given.
    pub temporary_key: KeyType,
    /// A given name for the temporary key pair.
    pub temporary_key_pair_name: Option<String>,
    /// Remove the temporary key from the machine after provisioning.
    pub clear_authorized_keys: bool,
    /// Ask for a terminal for each command.
    pub pty: bool,
    /// Limit for the first connection; none when only attempts count.
    pub timeout: Option<Duration>,
    /// Limit of authentication failures; 0 means none.
    pub handshake_attempts: u32,
    /// Wait after the first connection, then connect again.
    pub pause_before_connecting: Duration,
    /// Time between keep-alive requests; none switches them off.
    pub keep_alive_interval: Option<Duration>,
    /// Limit for a silent connection; none when absent.
    pub read_write_timeout: Option<Duration>,
    /// How files travel.
    pub file_transfer_method: FileTransfer,
    /// Ciphers to offer instead of the default ones.
    pub ciphers: Vec<String>,
    /// Key exchange algorithms to offer instead of the default ones.
    pub key_exchange_algorithms: Vec<String>,
    /// A `known_hosts` file to check against instead of pinning the first key.
    pub known_hosts_file: Option<Spanned<PathBuf>>,
    /// A host to go through.
    pub bastion: Option<Bastion>,
    /// A SOCKS5 proxy to go through.
    pub proxy: Option<Proxy>,
    /// `remoteport:host:port`, listening on the instance.
    pub remote_tunnels: Vec<Tunnel>,
    /// `localport:host:port`, listening on this machine.
    pub local_tunnels: Vec<Tunnel>,
}

/// How files travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileTransfer {
    /// The sftp subsystem; when it is missing, scp.
    #[default]
    Sftp,
    /// The scp program on the instance.
    Scp,
}

/// The sort of temporary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyType {
    /// Ed25519, the default.
    #[default]
    Ed25519,
    /// RSA with this many bits.
    Rsa(u32),
    /// ECDSA on the NIST curve with this many bits (256, 384, 521).
    Ecdsa(u32),
}

/// A host to go through (`ssh_bastion_*`).
#[derive(Debug, Clone)]
pub struct Bastion {
    /// Its address.
    pub host: Spanned<String>,
    /// Its port, 22 by default.
    pub port: u16,
    /// The user there.
    pub username: String,
    /// The password there.
    pub password: Option<Secret>,
    /// The key for it.
    pub private_key_file: Option<Spanned<PathBuf>>,
    /// A certificate for that key.
    pub certificate_file: Option<Spanned<PathBuf>>,
    /// Use the agent.
    pub agent_auth: bool,
}

/// A SOCKS5 proxy (`ssh_proxy_*`).
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its address.
    pub host: Spanned<String>,
    /// Its port, 1080 by default.
    pub port: u16,
    /// The user there.
    pub username: Option<String>,
    /// The password there.
    pub password: Option<Secret>,
}

/// One end listens, the other connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The port that listens.
    pub listen_port: u16,
    /// The host that is connected to.
    pub host: String,
    /// The port that is connected to.
    pub port: u16,
}
