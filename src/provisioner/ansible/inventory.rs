//! The inventory: a line with the machine, and the groups it is in.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::access::{Access, Protocol, Winrm};
use super::place::Place;
use super::{Context, late};
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::Inventory;

const SSH_LINE: &str =
    "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n";

/// Packer's line always says `basic`, and Ansible guesses the scheme by the port.
fn winrm_line(winrm: &Winrm) -> String {
    let transport = if winrm.use_ntlm { "ntlm" } else { "basic" };
    let scheme = if winrm.use_ssl { "https" } else { "http" };
    let validation = match winrm.use_ssl && winrm.insecure {
        true => " ansible_winrm_server_cert_validation=ignore",
        false => "",
    };
    format!(
        "{{{{ .HostAlias }}}} ansible_host={{{{ .Host }}}} ansible_connection=winrm \
         ansible_winrm_transport={transport} ansible_winrm_scheme={scheme}{validation} \
         ansible_shell_type=powershell ansible_user={{{{ .User }}}} \
         ansible_port={{{{ .Port }}}}\n"
    )
}

/// An inventory on this machine.
pub(super) enum Written {
    /// The user's, or one that is kept.
    Kept(PathBuf),
    /// One that is gone when this is dropped.
    Temporary(TempPath),
}

impl Written {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(path) => path,
        }
    }
}

/// Gives the user's inventory or writes one.
pub(super) fn write(
    inventory: &Inventory,
    access: &Access,
    place: &Place,
    cx: &Context<'_>,
) -> Result<Written> {
    if let Some(file) = &inventory.file {
        return Ok(Written::Kept(PathBuf::from(file)));
    }
    let content = content(inventory, access, cx)?;
    let temporary = std::env::temp_dir();
    let directory = match (&inventory.directory, inventory.keep) {
        (Some(directory), _) => directory.as_path(),
        (None, true) => &temporary,
        (None, false) => place.path(),
    };
    let written = write_in(directory, &content).map_err(|error| {
        let message = format!("Could not write an inventory in {}", directory.display());
        Error::new(Kind::Io, message).with_source(error)
    })?;
    if !inventory.keep {
        return Ok(Written::Temporary(written));
    }
    let path = written
        .keep()
        .map_err(|error| Error::new(Kind::Io, "Could not keep the inventory").with_source(error))?;
    let shown = path.display();
    cx.events.message(format!("The inventory is {shown}"));
    Ok(Written::Kept(path))
}

fn write_in(directory: &Path, content: &str) -> std::io::Result<TempPath> {
    let mut file = tempfile::Builder::new()
        .prefix("packer-provisioner-ansible")
        .tempfile_in(directory)?;
    file.write_all(content.as_bytes())?;
    Ok(file.into_temp_path())
}

fn content(inventory: &Inventory, access: &Access, cx: &Context<'_>) -> Result<String> {
    let template = match (&inventory.template, &access.protocol) {
        (Some(template), _) => Cow::Borrowed(template.as_str()),
        (None, Protocol::Ssh) => Cow::Borrowed(SSH_LINE),
        (None, Protocol::WinRm(winrm)) => Cow::Owned(winrm_line(winrm)),
    };
    // Ansible takes a line apart like a shell; `DOMAIN\user` would suffer.
    let user = match inventory.template {
        Some(_) => access.user.clone(),
        None => quoted(&access.user),
    };
    let fields = late::fields([
        ("HostAlias", inventory.host_alias.as_str()),
        ("Host", &access.host),
        ("User", &user),
        ("Port", &access.port),
    ]);
    let mut host = late::render(&template, &fields, cx.data)
        .map_err(|error| error.context("Could not render `inventory_file_template`"))?;
    if !host.ends_with('\n') {
        // A group's heading must not join the line.
        host.push('\n');
    }
    let mut content = host.clone();
    for group in &inventory.groups {
        content += &format!("[{group}]\n{host}");
    }
    for group in &inventory.empty_groups {
        content += &format!("[{group}]\n");
    }
    Ok(content)
}

/// A word that a shell reads as this text.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "._-@+".contains(letter);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\"'\"'")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::arguments::tests::ansible;
    use super::*;
    use crate::provisioner::fake::{Fake, World};

    fn access(protocol: Protocol) -> Access {
        Access {
            protocol,
            host: "127.0.0.1".into(),
            port: "2222".into(),
            user: "root".into(),
            key_file: None,
            known_hosts: None,
            variables: None,
        }
    }

    fn inventory() -> Inventory {
        ansible().inventory
    }

    #[test]
    fn the_machine_is_in_its_groups() {
        let world = World::new(Fake::default());
        let in_groups = Inventory {
            groups: vec!["a".into(), "b".into()],
            empty_groups: vec!["none".into()],
            ..inventory()
        };
        let ssh = access(Protocol::Ssh);
        let line = "default ansible_host=127.0.0.1 ansible_user=root ansible_port=2222\n";
        let written = content(&in_groups, &ssh, &world.context()).unwrap();
        assert_eq!(written, format!("{line}[a]\n{line}[b]\n{line}[none]\n"));
        let own = Inventory {
            template: Some("{{.HostAlias}} at={{.Host}} of={{build `ID`}}".into()),
            ..inventory()
        };
        let written = content(&own, &ssh, &world.context()).unwrap();
        assert_eq!(written, "default at=127.0.0.1 of=i-1\n");
    }

    #[test]
    fn winrm_is_used_as_the_build_uses_it() {
        let world = World::new(Fake::default());
        for (use_ntlm, use_ssl, insecure, expected) in [
            (
                false,
                false,
                false,
                "transport=basic ansible_winrm_scheme=http",
            ),
            (
                true,
                false,
                true,
                "transport=ntlm ansible_winrm_scheme=http",
            ),
            (
                false,
                true,
                false,
                "transport=basic ansible_winrm_scheme=https",
            ),
            (
                true,
                true,
                true,
                "transport=ntlm ansible_winrm_scheme=https \
                 ansible_winrm_server_cert_validation=ignore",
            ),
        ] {
            let access = Access {
                user: "DOMAIN\\me".into(),
                ..access(Protocol::WinRm(Winrm {
                    use_ntlm,
                    use_ssl,
                    insecure,
                    no_proxy: false,
                }))
            };
            let written = content(&inventory(), &access, &world.context()).unwrap();
            let expected = format!(
                "default ansible_host=127.0.0.1 ansible_connection=winrm ansible_winrm_{expected} \
                 ansible_shell_type=powershell ansible_user='DOMAIN\\me' ansible_port=2222\n"
            );
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn an_inventory_is_gone_unless_it_is_kept() {
        let world = World::new(Fake::default());
        let place = Place::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let inventory = Inventory {
                directory: Some(directory.path().to_owned()),
                keep,
                ..inventory()
            };
            let ssh = access(Protocol::Ssh);
            let written = write(&inventory, &ssh, &place, &world.context()).unwrap();
            let path = written.path().to_owned();
            assert!(path.starts_with(directory.path()) && path.exists());
            drop(written);
            assert_eq!(path.exists(), keep);
        }
    }
}
