//! From a running machine to a connection, and the facts provisioners get.

use std::collections::BTreeMap;

use super::Settings;
use super::event::{EventKind, Events, Stream};
use crate::builder::{BuildContext, Machine};
use crate::communicator::ssh::{Ssh, Target};
use crate::communicator::winrm::Winrm;
use crate::communicator::{Communicator, Output};
use crate::error::{Error, Kind, Result};
use crate::plan::{self, communicator};
use crate::provisioner::BuildData;
use crate::secret::Secret;

/// Packer's placeholder for builders without an HTTP server.
const NO_HTTP_SERVER: [(&str, &str); 3] = [
    ("PackerHTTPIP", "ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER"),
    ("PackerHTTPPort", "ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER"),
    ("PackerHTTPAddr", "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER"),
];

/// Connects by SSH and waits as long as the template allows.
pub(super) async fn ssh(
    options: &communicator::Ssh,
    machine: &Machine,
    settings: &Settings,
    cx: &BuildContext<'_>,
) -> Result<Ssh> {
    let host = host(options.host.as_ref(), machine)?;
    // The port of sandbox guests says nothing about machines of this host.
    let port = machine.port.or(settings.guest_port).unwrap_or(options.port);
    let target = Target { host, port };
    let key = machine.key_pair.as_ref();
    Ssh::connect(
        options,
        target,
        key,
        settings.agent_socket.clone(),
        cx.events,
        cx.stop,
    )
    .await
}

/// Connects by WinRM and waits as long as the template allows. Guests of the
/// sandbox serve it at its own ports.
pub(super) async fn winrm(
    options: &communicator::Winrm,
    machine: &Machine,
    cx: &BuildContext<'_>,
) -> Result<Winrm> {
    let host = host(options.host.as_ref(), machine)?;
    let port = machine.port.unwrap_or(options.port);
    Winrm::connect(options, &host, port, cx.events, cx.stop).await
}

/// The address to connect to.
fn host(given: Option<&String>, machine: &Machine) -> Result<String> {
    let host = given.unwrap_or(&machine.host);
    if host.is_empty() {
        // Dialling an empty host reaches this machine's own sshd.
        return Err(Error::new(
            Kind::Connect,
            format!("Instance {} has no address", machine.id),
        )
        .with_hint("Set `associate_public_ip_address` or `ssh_private_ip` in the template"));
    }
    Ok(host.clone())
}

/// What `{{ build `ID` }}` and its like give.
pub(super) fn build_data(
    build: &plan::Build,
    machine: &Machine,
    settings: &Settings,
    run_id: &str,
) -> BuildData {
    let text = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let mut values: BTreeMap<_, _> = NO_HTTP_SERVER.iter().map(text).collect();
    let mut set = |name: &str, value: &str| {
        values.insert(name.to_owned(), value.to_owned());
    };
    set("ID", &machine.id);
    set("PackerRunUUID", run_id);
    if let Some(http) = machine.http {
        set("PackerHTTPIP", &http.ip().to_string());
        set("PackerHTTPPort", &http.port().to_string());
        set("PackerHTTPAddr", &http.to_string());
    }
    set("WinRMPassword", "");
    match &build.communicator {
        communicator::Communicator::None => {
            set("ConnType", "none");
            set("Host", &machine.host);
        }
        communicator::Communicator::Ssh(ssh) => set_ssh(ssh, machine, settings, &mut set),
        communicator::Communicator::Winrm(winrm) => set_winrm(winrm, machine, &mut set),
    }
    let winrm = match &build.communicator {
        communicator::Communicator::Winrm(winrm) => Some((**winrm).clone()),
        _ => None,
    };
    BuildData {
        winrm,
        name: build.name.clone(),
        build_name: build.source_name.clone(),
        builder_type: build.builder.type_name().to_owned(),
        run_id: run_id.to_owned(),
        values,
        force: settings.force,
    }
}

fn set_ssh(
    ssh: &communicator::Ssh,
    machine: &Machine,
    settings: &Settings,
    set: &mut impl FnMut(&str, &str),
) {
    set("ConnType", "ssh");
    set("Host", ssh.host.as_ref().unwrap_or(&machine.host));
    let port = machine.port.or(settings.guest_port).unwrap_or(ssh.port);
    set("Port", &port.to_string());
    let key_file = ssh.private_key_file.as_ref();
    let key_file = key_file.map(|file| file.value.display().to_string());
    set("SSHPrivateKeyFile", &key_file.unwrap_or_default());
    set("User", &ssh.username.value);
    set("Password", ssh.password.as_ref().map_or("", Secret::expose));
    let key = machine.key_pair.as_ref();
    set("SSHPublicKey", key.map_or("", |key| key.public.as_str()));
    set("SSHPrivateKey", key.map_or("", |key| key.private.expose()));
}

fn set_winrm(winrm: &communicator::Winrm, machine: &Machine, set: &mut impl FnMut(&str, &str)) {
    set("ConnType", "winrm");
    set("Host", winrm.host.as_ref().unwrap_or(&machine.host));
    set("Port", &machine.port.unwrap_or(winrm.port).to_string());
    set("User", &winrm.username.value);
    set("Password", winrm.password.expose());
    set("WinRMPassword", winrm.password.expose());
}

/// Hides what the build's data holds in secret.
pub(super) fn add_secrets(data: &mut BuildData, events: &Events) {
    for name in ["Password", "SSHPrivateKey"] {
        if let Some(value) = data.values.get(name).filter(|value| !value.is_empty()) {
            events.emit(EventKind::Secret(Secret::new(value.clone())));
        }
    }
}

/// Takes the temporary key out of the machine's `authorized_keys`, so that the
/// image does not let its builder in. Matched by the key itself: whether its
/// comment survives is up to the guest's cloud-init.
pub(super) async fn remove_temporary_key(
    ssh: &dyn Communicator,
    machine: &Machine,
    cx: &BuildContext<'_>,
) {
    let Some(key) = &machine.key_pair else { return };
    let Some(blob) = key.public.split_whitespace().nth(1) else {
        return;
    };
    let command = remove_command(blob);
    cx.events
        .say("Removing the temporary key from authorized_keys...");
    match ssh.exec(&command, &mut Discard).await {
        Ok(status) if status.code() == 0 => {}
        Ok(status) => cx.events.warn(format!(
            "The temporary key may still be in the image: removing it ended with {}",
            status.code()
        )),
        Err(error) => cx.events.warn(format!(
            "The temporary key may still be in the image: {}",
            crate::error::one_line(&error)
        )),
    }
}

/// Deletes the line with a key wherever it may have been put; in root's file
/// with `sudo`, if that asks for nothing.
fn remove_command(blob: &str) -> String {
    format!(
        "s=; [ \"$(id -u)\" = 0 ] || s='sudo -n'; \
         for f in \"$HOME/.ssh/authorized_keys\" /root/.ssh/authorized_keys; do \
         if [ -w \"$f\" ]; then sed -i '\\|{blob}|d' \"$f\"; \
         elif [ -n \"$s\" ]; then $s sed -i '\\|{blob}|d' \"$f\" 2>/dev/null; fi; done; true"
    )
}

struct Discard;

impl Output for Discard {
    fn line(&mut self, _: Stream, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_line_with_the_key_goes() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        let others = "ssh-rsa AAAAB3+/other== me\n";
        std::fs::write(&file, format!("{others}ssh-ed25519 AAAAC3/+x0 temporary\n")).unwrap();
        // The second path must not lead to the real root's keys.
        let command = remove_command("AAAAC3/+x0").replace("/root/", "/nonexistent/");
        let status = Command::new("sh")
            .arg("-c")
            .arg(command)
            .env("HOME", home.path())
            .status();
        assert!(status.unwrap().success());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), others);
    }
}
