//! How Ansible gets to the machine: address, user, key or password.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use super::place::Place;
use crate::communicator::ssh::adapter::Adapter;
use crate::error::Result;
use crate::plan::provisioner::Ansible;

/// What Ansible needs to connect.
#[derive(Debug)]
pub(super) struct Access {
    /// By which protocol.
    pub(super) protocol: Protocol,
    /// Name or address.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: String,
    /// `ansible_user`.
    pub(super) user: String,
    /// The private key to log in with, if it is not left to `ssh`.
    pub(super) key_file: Option<PathBuf>,
    /// The `known_hosts` to use instead of the user's.
    pub(super) known_hosts: Option<PathBuf>,
    /// A file with variables that must not stand in arguments.
    pub(super) variables: Option<PathBuf>,
}

/// A protocol that Ansible connects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Ssh,
    WinRm(Winrm),
}

/// How Ansible is to use WinRM: as the build itself does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Winrm {
    /// NTLM instead of Basic.
    pub(super) use_ntlm: bool,
    /// HTTPS instead of HTTP.
    pub(super) use_ssl: bool,
    /// Any certificate will do.
    pub(super) insecure: bool,
    /// Not through a proxy.
    pub(super) no_proxy: bool,
}

/// Whether Ansible goes through the adapter.
/// An adapter to WinRM is refused with the template.
pub(super) fn needs_adapter(ansible: &Ansible, cx: &Context<'_>) -> bool {
    match (protocol(cx), ansible.use_proxy) {
        (Protocol::WinRm(_), _) => false,
        (Protocol::Ssh, Some(false)) if fact(cx, "Host").is_empty() => {
            cx.events.warn(
                "use_proxy is false, but the machine has no address to give to Ansible; \
                 the proxy is used",
            );
            true
        }
        (Protocol::Ssh, use_proxy) => use_proxy.unwrap_or(true),
    }
}

fn protocol(cx: &Context<'_>) -> Protocol {
    match &cx.data.winrm {
        Some(winrm) => Protocol::WinRm(Winrm {
            use_ntlm: winrm.use_ntlm,
            use_ssl: winrm.use_ssl,
            insecure: winrm.insecure,
            no_proxy: winrm.no_proxy || is_this_machine(fact(cx, "Host")),
        }),
        None => Protocol::Ssh,
    }
}

/// Whether an address leads to this machine, which no proxy can.
fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn fact<'a>(cx: &'a Context<'_>, name: &str) -> &'a str {
    cx.data.values.get(name).map_or("", String::as_str)
}

fn user(ansible: &Ansible, cx: &Context<'_>) -> String {
    let user = ansible.user.clone();
    user.unwrap_or_else(|| fact(cx, "User").to_owned())
}

impl Access {
    /// Through the adapter.
    pub(super) fn through(
        adapter: &Adapter,
        ansible: &Ansible,
        place: &Place,
        cx: &Context<'_>,
    ) -> Result<Self> {
        let key = adapter.client_key();
        let key_file = key.map(|key| place.write("key", key.private.expose()));
        let known_hosts = match ansible.adapter.host_key_file {
            // The user knows this key, and wants it to be checked.
            Some(_) => None,
            None => Some(place.write("known_hosts", &adapter.known_host()?)?),
        };
        Ok(Self {
            protocol: Protocol::Ssh,
            host: "127.0.0.1".to_owned(),
            port: adapter.port().to_string(),
            user: user(ansible, cx),
            key_file: key_file.transpose()?,
            known_hosts,
            variables: None,
        })
    }

    /// Straight to the machine, with what the communicator has.
    pub(super) fn direct(ansible: &Ansible, place: &Place, cx: &Context<'_>) -> Result<Self> {
        let protocol = protocol(cx);
        cx.events.message(match protocol {
            Protocol::Ssh => {
                "Not using Proxy adapter for Ansible run: using ssh keys from the communicator..."
            }
            Protocol::WinRm(_) => {
                "Not using Proxy adapter for Ansible run: using the WinRM password from the communicator..."
            }
        });
        let key_file = match protocol {
            Protocol::Ssh => direct_key(place, cx)?,
            Protocol::WinRm(_) => None,
        };
        let known_hosts = match protocol {
            Protocol::Ssh => Some(place.write("known_hosts", "")?),
            Protocol::WinRm(_) => None,
        };
        let password = fact(cx, "Password");
        let password = (key_file.is_none() && !password.is_empty()).then_some(password);
        let variables = password.map(|password| {
            let variables = json!({"ansible_password": password});
            place.write("variables.json", &variables.to_string())
        });
        Ok(Self {
            protocol,
            host: fact(cx, "Host").to_owned(),
            port: fact(cx, "Port").to_owned(),
            user: user(ansible, cx),
            key_file,
            known_hosts,
            variables: variables.transpose()?,
        })
    }
}

/// The key file the template names, or else the key of this build.
fn direct_key(place: &Place, cx: &Context<'_>) -> Result<Option<PathBuf>> {
    match (fact(cx, "SSHPrivateKeyFile"), fact(cx, "SSHPrivateKey")) {
        ("", "") => Ok(None),
        ("", key) => {
            // `ssh` wants the line end that templates tend to lose.
            let key = format!("{}\n", key.trim_end());
            place.write("key", &key).map(Some)
        }
        (path, _) => Ok(Some(Path::new(path).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::arguments::tests::ansible;
    use super::*;
    use crate::provisioner::fake::{Fake, World};
    use crate::secret::Secret;
    use crate::template::source::Spanned;

    fn world(facts: &[(&str, &str)]) -> World {
        let mut world = World::new(Fake::default());
        for (name, value) in facts {
            world.data.values.insert((*name).into(), (*value).into());
        }
        world
    }

    fn options() -> crate::plan::communicator::Winrm {
        crate::plan::communicator::Winrm {
            host: None,
            port: 5985,
            username: Spanned::default_value("Administrator".to_owned()),
            password: Secret::new(""),
            use_ssl: false,
            insecure: false,
            use_ntlm: true,
            no_proxy: false,
            timeout: Duration::ZERO,
            pause_before_connecting: Duration::ZERO,
        }
    }

    #[test]
    fn the_adapter_is_for_ssh() {
        for (protocol, host, use_proxy, expected) in [
            ("ssh", "10.0.0.1", None, true),
            ("ssh", "10.0.0.1", Some(true), true),
            ("ssh", "10.0.0.1", Some(false), false),
            ("ssh", "", Some(false), true),
            ("winrm", "10.0.0.1", None, false),
            ("winrm", "10.0.0.1", Some(false), false),
        ] {
            let mut world = world(&[("Host", host)]);
            world.data.winrm = (protocol == "winrm").then(options);
            let ansible = Ansible {
                use_proxy,
                ..ansible()
            };
            let found = needs_adapter(&ansible, &world.context());
            assert_eq!(found, expected, "{protocol} {host} {use_proxy:?}");
        }
    }

    #[test]
    fn a_direct_connection_has_the_key_or_the_password() {
        let place = || Place::new().unwrap();
        let direct = |facts: &[(&str, &str)], place: &Place| {
            Access::direct(&ansible(), place, &world(facts).context()).unwrap()
        };
        let read = |path: Option<PathBuf>| std::fs::read_to_string(path.unwrap()).unwrap();
        let made = place();
        let facts = [("SSHPrivateKey", "KEY"), ("Password", "")];
        assert_eq!(read(direct(&facts, &made).key_file), "KEY\n");
        let facts = [
            ("SSHPrivateKey", "KEY"),
            ("SSHPrivateKeyFile", "/k"),
            ("Password", "p"),
        ];
        let access = direct(&facts, &place());
        assert_eq!(access.key_file.as_deref(), Some(Path::new("/k")));
        assert!(access.variables.is_none());
        let made = place();
        let mut world = world(&[("Password", "it's \"p\""), ("Host", "127.0.0.1")]);
        world.data.winrm = Some(options());
        let access = Access::direct(&ansible(), &made, &world.context()).unwrap();
        let expected = Winrm {
            use_ntlm: true,
            use_ssl: false,
            insecure: false,
            no_proxy: true,
        };
        assert_eq!(access.protocol, Protocol::WinRm(expected));
        assert!(access.key_file.is_none() && access.known_hosts.is_none());
        let variables = r#"{"ansible_password":"it's \"p\""}"#;
        assert_eq!(read(access.variables), variables);
    }
}
