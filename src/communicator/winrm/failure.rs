//! Why a request did not reach the remote shell, and what the user can do
//! about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::soap::Fault;
use crate::error::{Error, Kind};

/// How a request ended that was not answered.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer, or one that is not from WinRM: perhaps later.
    NotReady(Seen),
    /// The server does not let us in; while Windows boots it says so too.
    Refused(Seen),
    /// The server answered that it cannot do this.
    Fault(Fault),
    /// Another attempt would end the same way.
    Fatal(Error),
}

impl Failure {
    /// The error of a command whose request failed, after a connection once
    /// worked.
    pub(super) fn into_error(self) -> Error {
        let message = "The WinRM connection was lost";
        match self {
            Self::NotReady(seen) | Self::Refused(seen) => {
                Error::new(Kind::Connect, message).with_source(Error::from(seen))
            }
            Self::Fault(fault) => {
                let message = format!("WinRM refused the request: {}", fault.text);
                Error::new(Kind::Connect, message)
            }
            Self::Fatal(error) => error,
        }
    }
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

    /// Packets seem to get lost.
    fn no_answer(port: u16) -> Self {
        Self::new(
            "the host did not answer",
            format!(
                "The security group must let this machine reach TCP port {port}; Windows may \
                 still be booting, and its firewall may keep WinRM's port closed"
            ),
        )
    }

    /// An answer that no WinRM gives.
    pub(super) fn garbage(what: &str) -> Self {
        Self::new(
            format!("the answer is not from WinRM: {what}"),
            "Something else has the port, perhaps a proxy on the way: check winrm_port, \
             winrm_use_ssl and winrm_no_proxy",
        )
    }

    /// The server refused user or password.
    pub(super) fn refused(offered: &[String], used: &str) -> Self {
        let is_offered = offered
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(used));
        if is_offered || offered.is_empty() {
            return Self::new(
                "the user name or the password was refused (401)",
                "Check winrm_username and winrm_password; the instance's user data must not change \
                 the password",
            );
        }
        let text = format!(
            "the machine does not accept {used} authentication (401), it offers {}",
            offered.join(", ")
        );
        let hint = match used {
            "Basic" => {
                "Set winrm_use_ntlm, or have the user data run `winrm set winrm/config/service/auth \
                 @{Basic=\"true\"}` and, without HTTPS, `winrm set winrm/config/service \
                 @{AllowUnencrypted=\"true\"}`"
            }
            _ => "Enable Negotiate authentication in the machine's WinRM service",
        };
        Self::new(text, hint)
    }

    /// What is behind an error of the HTTP client.
    fn of_network(error: &reqwest::Error, port: u16) -> Self {
        let chain = Chain(error);
        if error.is_timeout() {
            return Self::no_answer(port);
        }
        if let Some(error) = chain.find::<io::Error>() {
            use io::ErrorKind as K;
            match error.kind() {
                K::ConnectionRefused => {
                    return Self::new(
                        "the connection was refused",
                        format!(
                            "Nothing listens on port {port}: WinRM is off in Windows images until \
                             the user data enables it; check winrm_port and user_data_file"
                        ),
                    );
                }
                K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => {
                    return Self::new(
                        format!("there is no route to the host ({error})"),
                        "A private address is only reachable from within the VPC: associate a \
                         public IP, or set winrm_host",
                    );
                }
                K::TimedOut => return Self::no_answer(port),
                _ => {}
            }
        }
        let last = chain.last();
        if chain.find::<rustls::Error>().is_some() {
            return Self::new(
                format!("HTTPS failed: {last}"),
                "Check that winrm_port speaks HTTPS",
            );
        }
        if error.is_connect() || error.is_request() && last.contains("connection closed") {
            return Self::new(
                format!("the connection failed: {last}"),
                "Check the host name, the network and any proxy on the way",
            );
        }
        Self::garbage(&last)
    }
}

/// What an error of the HTTP client means.
pub(super) fn of_network(error: &reqwest::Error, port: u16) -> Failure {
    if let Some(rustls::Error::InvalidCertificate(why)) = Chain(error).find::<rustls::Error>() {
        let message = format!("The certificate of WinRM at port {port} is not trusted: {why}");
        return Failure::Fatal(Error::new(Kind::Connect, message).with_hint(
            "Windows makes its own certificate; set winrm_insecure to accept any, or name the \
             authority in SSL_CERT_FILE and its host name in winrm_host",
        ));
    }
    Failure::NotReady(Seen::of_network(error, port))
}

/// An error and its sources. An I/O error hides the error it was made from.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl<'a> Chain<'a> {
    fn links(&self) -> impl Iterator<Item = &'a (dyn StdError + 'static)> + use<'a> {
        std::iter::successors(Some(self.0), |error| behind(*error))
    }

    fn find<T: StdError + 'static>(&self) -> Option<&'a T> {
        self.links().find_map(|link| link.downcast_ref::<T>())
    }

    fn last(&self) -> String {
        self.links()
            .last()
            .map_or_else(String::new, ToString::to_string)
    }
}

fn behind<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let hidden = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match hidden {
        Some(hidden) => Some(hidden),
        None => error.source(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_would_be_accepted() {
        let schemes = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (offered, used, expected) in [
            (schemes(&["Basic"]), "Basic", "the password was refused"),
            (schemes(&[]), "Negotiate", "the password was refused"),
            (
                schemes(&["Negotiate", "Kerberos"]),
                "Basic",
                "does not accept Basic authentication (401), it offers Negotiate, Kerberos",
            ),
            (
                schemes(&["Basic"]),
                "Negotiate",
                "does not accept Negotiate",
            ),
        ] {
            let seen = Seen::refused(&offered, used);
            assert!(seen.to_string().contains(expected), "{seen}");
        }
    }
}
