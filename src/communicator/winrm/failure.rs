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

/// How a machine is reached, as far as advice depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    port: u16,
    /// A port of this machine leads to a virtual one's.
    is_forwarded: bool,
}

impl Way {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            port,
            is_forwarded: host == "127.0.0.1",
        }
    }
}

/// What a virtual machine of this host lacks when it does not answer.
const IN_THE_GUEST: &str = "Windows may still be installing or booting; the guest itself must \
    enable WinRM and open winrm_port in its firewall, for example from Autounattend.xml";

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

    /// Nothing came back until the time was up.
    pub(super) fn silence(way: Way) -> Self {
        let seen = Self::no_answer(way);
        let hint = format!("{}; raise winrm_timeout if it needs longer", seen.hint);
        Self::new(seen.text, hint)
    }

    /// Packets seem to get lost.
    fn no_answer(way: Way) -> Self {
        let hint = match way.is_forwarded {
            true => IN_THE_GUEST.to_owned(),
            false => format!(
                "The security group must let this machine reach TCP port {}; Windows may still \
                 be booting, and its firewall may keep WinRM's port closed",
                way.port
            ),
        };
        Self::new("the host did not answer", hint)
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
    pub(super) fn wrong_password() -> Self {
        Self::new(
            "the user name or the password was refused (401)",
            "Check winrm_username and winrm_password; the instance's user data must not change \
             the password",
        )
    }

    /// The server refused a login by Basic.
    pub(super) fn without_basic(offered: &[String]) -> Self {
        if offered.is_empty() || has(offered, "Basic") {
            return Self::wrong_password();
        }
        Self::new(
            format!(
                "the machine does not accept Basic authentication (401), it offers {}",
                offered.join(", ")
            ),
            "Set winrm_use_ntlm, or have the user data run `winrm set winrm/config/service/auth \
             @{Basic=\"true\"}` and, without HTTPS, `winrm set winrm/config/service \
             @{AllowUnencrypted=\"true\"}`",
        )
    }

    /// The server did not answer NTLM's first message with a challenge. Where
    /// NTLM is forbidden, Negotiate is still offered, for Kerberos.
    pub(super) fn without_ntlm(offered: &[String]) -> Self {
        let hint = match has(offered, "Basic") && !has(offered, "Negotiate") {
            true => {
                "Unset winrm_use_ntlm to log in by Basic, or enable Negotiate in the machine's \
                 WinRM service"
            }
            false => {
                "Kerberos is not supported. Let the machine accept NTLM (its policy `Network \
                 security: Restrict NTLM: Incoming NTLM traffic`), or enable Basic, better over \
                 HTTPS, and unset winrm_use_ntlm"
            }
        };
        let offered = match offered {
            [] => "nothing".to_owned(),
            schemes => schemes.join(", "),
        };
        let text = format!("the machine does not let us in by NTLM (401), it offers {offered}");
        Self::new(text, hint)
    }

    /// A forwarded port takes every connection and ends it when the guest does
    /// not take it.
    fn cut_off() -> Self {
        Self::new("the machine closed the connection", IN_THE_GUEST)
    }

    /// A proxy on the way does not connect us.
    fn proxy_refusal(port: u16) -> Self {
        Self::new(
            "the proxy did not connect to the machine",
            format!("Let it reach port {port} there, or set winrm_no_proxy"),
        )
    }

    /// A proxy on the way wants to know who asks.
    pub(super) fn proxy_login() -> Self {
        Self::new(
            "the proxy wants a login (407)",
            "Put user and password into the URL of HTTP_PROXY or HTTPS_PROXY, or set \
             winrm_no_proxy to reach the machine directly",
        )
    }

    /// What is behind an error of the HTTP client.
    fn of_network(error: &reqwest::Error, way: Way) -> Self {
        let port = way.port;
        let chain = Chain(error);
        if error.is_timeout() {
            return Self::no_answer(way);
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
                K::ConnectionReset if way.is_forwarded => return Self::cut_off(),
                K::TimedOut => return Self::no_answer(way),
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
        // The type of this error is nowhere public.
        match last.strip_prefix("tunnel error: ") {
            Some("proxy authorization required") => return Self::proxy_login(),
            Some(_) => return Self::proxy_refusal(port),
            None => {}
        }
        if way.is_forwarded && last.contains("connection closed") {
            return Self::cut_off();
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

/// Whether a way to log in is offered.
fn has(offered: &[String], wanted: &str) -> bool {
    let mut schemes = offered.iter();
    schemes.any(|scheme| scheme.eq_ignore_ascii_case(wanted))
}

/// What an error of the HTTP client means.
pub(super) fn of_network(error: &reqwest::Error, way: Way) -> Failure {
    if let Some(rustls::Error::InvalidCertificate(why)) = Chain(error).find::<rustls::Error>() {
        let message = format!(
            "The certificate of WinRM at port {} is not trusted: {why}",
            way.port
        );
        return Failure::Fatal(Error::new(Kind::Connect, message).with_hint(
            "Windows makes its own certificate; set winrm_insecure to accept any, or name the \
             authority in SSL_CERT_FILE and its host name in winrm_host",
        ));
    }
    Failure::NotReady(Seen::of_network(error, way))
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
        for (offered, expected) in [
            (schemes(&["basic"]), "the password was refused"),
            (schemes(&[]), "the password was refused"),
            (
                schemes(&["Negotiate", "Kerberos"]),
                "does not accept Basic authentication (401), it offers Negotiate, Kerberos",
            ),
        ] {
            let seen = Seen::without_basic(&offered);
            assert!(seen.to_string().contains(expected), "{seen}");
        }
        for (offered, expected, cure) in [
            (
                schemes(&["Basic"]),
                "it offers Basic",
                "Unset winrm_use_ntlm",
            ),
            (
                schemes(&["Kerberos"]),
                "it offers Kerberos",
                "Restrict NTLM",
            ),
            (
                schemes(&["Negotiate"]),
                "it offers Negotiate",
                "Restrict NTLM",
            ),
            (schemes(&[]), "it offers nothing", "Restrict NTLM"),
        ] {
            let seen = Seen::without_ntlm(&offered);
            assert!(seen.text.contains(expected), "{seen}");
            assert!(seen.hint.contains(cure), "{}", seen.hint);
        }
    }
}
