//! Why one attempt to connect failed, and what the user can do about it.

use std::fmt;
use std::io;

use crate::error::{Error, Kind};

/// How one attempt ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no SSH server to talk to, yet.
    NotReady(Seen),
    /// The server refused the login. Packer counts these.
    Refused(Seen),
    /// Another attempt would end the same way.
    Fatal(Error),
}

/// What was seen, in words that complete "Last attempt: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    text: String,
    hint: String,
}

impl Seen {
    pub(super) fn new(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: hint.into(),
        }
    }

    /// The same, seen at another place.
    #[must_use]
    pub(super) fn at(mut self, place: &str) -> Self {
        self.text = format!("{place}: {}", self.text);
        self
    }

    /// What an error of the TCP connection means.
    pub(super) fn from_io(error: &io::Error, port: u16) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::ConnectionRefused => Self::new(
                format!("the connection was refused ({error})"),
                format!(
                    "Nothing listens on port {port}: check ssh_port and that sshd starts at boot"
                ),
            ),
            K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => Self::new(
                format!("there is no route to the host ({error})"),
                PRIVATE_ADDRESS,
            ),
            K::TimedOut => Self::no_answer(port),
            _ => Self::new(
                format!("the connection failed: {error}"),
                "Check the host name, the network and any proxy on the way",
            ),
        }
    }

    /// Packets seem to get lost.
    pub(super) fn no_answer(port: u16) -> Self {
        Self::new(
            "the host did not answer",
            format!(
                "The security group must let this machine reach TCP port {port}; {PRIVATE_ADDRESS}"
            ),
        )
    }

    /// TCP works, SSH does not.
    pub(super) fn no_banner() -> Self {
        Self::new(
            "the connection was made, but no SSH server answered on it",
            "The machine may still be booting, or something other than sshd has the port",
        )
    }
}

const PRIVATE_ADDRESS: &str = "a private address is only reachable from within the VPC: associate a public IP, or use ssh_bastion_host or ssh_proxy_host";

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Seen> for Error {
    fn from(seen: Seen) -> Self {
        Self::new(Kind::Connect, format!("Last attempt: {}", seen.text)).with_hint(seen.hint)
    }
}
