//! How Ansible gets to the machine: address, user, key or password.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use super::place::Place;
use crate::communicator::ssh::adapter::Adapter;
use crate::error::{Error, Kind, Result};
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
    WinRm,
}

/// Whether Ansible goes through the adapter.
///
/// # Errors
/// [`Kind::Provision`] when the template wants that of a connection that
/// cannot do it.
pub(super) fn needs_adapter(ansible: &Ansible, cx: &Context<'_>) -> Result<bool> {
    match (protocol(cx), ansible.use_proxy) {
        (Protocol::WinRm, Some(true)) => Err(Error::new(
            Kind::Provision,
            "Ansible cannot go through a connection by WinRM",
        )
        .with_hint("Set `use_proxy` to false: Ansible then connects by WinRM itself")),
        (Protocol::WinRm, _) => Ok(false),
        (Protocol::Ssh, Some(false)) if fact(cx, "Host").is_empty() => {
            cx.events.warn(
                "use_proxy is false, but the machine has no address to give to Ansible; \
                 the proxy is used",
            );
            Ok(true)
        }
        (Protocol::Ssh, use_proxy) => Ok(use_proxy.unwrap_or(true)),
    }
}

fn protocol(cx: &Context<'_>) -> Protocol {
    match fact(cx, "ConnType") {
        "winrm" => Protocol::WinRm,
        _ => Protocol::Ssh,
    }
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
            Protocol::WinRm => {
                "Not using Proxy adapter for Ansible run: using the WinRM password from the communicator..."
            }
        });
        let key_file = match protocol {
            Protocol::Ssh => direct_key(place, cx)?,
            Protocol::WinRm => None,
        };
        let known_hosts = match protocol {
            Protocol::Ssh => Some(place.write("known_hosts", "")?),
            Protocol::WinRm => None,
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
    use super::super::arguments::tests::ansible;
    use super::*;
    use crate::provisioner::fake::{Fake, World};

    fn world(facts: &[(&str, &str)]) -> World {
        let mut world = World::new(Fake::default());
        for (name, value) in facts {
            world.data.values.insert((*name).into(), (*value).into());
        }
        world
    }

    #[test]
    fn the_adapter_is_for_ssh() {
        for (protocol, host, use_proxy, expected) in [
            ("ssh", "10.0.0.1", None, Some(true)),
            ("ssh", "10.0.0.1", Some(true), Some(true)),
            ("ssh", "10.0.0.1", Some(false), Some(false)),
            ("ssh", "", Some(false), Some(true)),
            ("winrm", "10.0.0.1", None, Some(false)),
            ("winrm", "10.0.0.1", Some(false), Some(false)),
            ("winrm", "10.0.0.1", Some(true), None),
        ] {
            let world = world(&[("ConnType", protocol), ("Host", host)]);
            let ansible = Ansible {
                use_proxy,
                ..ansible()
            };
            let found = needs_adapter(&ansible, &world.context()).ok();
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
        let facts = [
            ("ConnType", "ssh"),
            ("SSHPrivateKey", "KEY"),
            ("Password", ""),
        ];
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
        let access = direct(&[("ConnType", "winrm"), ("Password", "it's \"p\"")], &made);
        assert!(access.key_file.is_none() && access.known_hosts.is_none());
        let variables = r#"{"ansible_password":"it's \"p\""}"#;
        assert_eq!(read(access.variables), variables);
    }
}
