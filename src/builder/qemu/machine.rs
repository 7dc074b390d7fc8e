//! Everything a machine needs before it starts: ISO, disks, media, ports, keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::command_line::{EfiFiles, Facts};
use super::http_server::HttpServer;
use super::port::Port;
use super::program::Program;
use super::{Qemu, accelerator, cd, disk, firmware, floppy, guest_address, iso, place};
use crate::builder::BuildContext;
use crate::communicator::ssh::key::KeyPair;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::communicator::Communicator;
use crate::plan::qemu::{HttpAddress, QmpSocket};

/// This machine, as user-mode networking shows it to the guest.
pub(super) const HOST_IN_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What was made before QEMU starts.
pub(super) struct Prepared {
    pub(super) qemu: Program,
    pub(super) private: PathBuf,
    pub(super) facts: Facts,
    pub(super) source: String,
    pub(super) http: Option<HttpServer>,
    pub(super) http_address: Option<SocketAddr>,
    pub(super) ports: Vec<Port>,
    pub(super) key_pair: Option<KeyPair>,
}

impl Qemu<'_> {
    /// Everything up to the command line.
    pub(super) async fn prepare_machine(&self, cx: &BuildContext<'_>) -> Result<Prepared> {
        let options = self.options;
        let binary = &options.machine.binary;
        let qemu = Program::find(&binary.value, cx.environment);
        let qemu = qemu.map_err(|error| error.at(binary.span))?;
        let qemu_img = Program::find("qemu-img", cx.environment)?;
        let private = place::private(cx).await?;
        let (source, accelerator) = tokio::join!(
            cx.step("Get ISO", iso::fetch(cx, &options.source)),
            accelerator::choose(cx, &options.machine, &qemu, &private),
        );
        let (source, accelerator) = (source?, accelerator?);
        let output = place::output(cx, options).await?;
        let (disks, media) = tokio::join!(
            self.disks(cx, &qemu_img, &source, &output),
            self.media(cx, &source, &private)
        );
        let (disks, (cds, floppy)) = (disks?, media?);
        let (http, http_address) = self.http(cx).await?;
        let efi = self.efi(&output)?;
        let mut ports = Vec::new();
        let forwarding = self.forwarding(cx, &mut ports)?;
        let vnc = self.vnc(&mut ports)?;
        let facts = Facts {
            accelerator,
            disks,
            cds,
            floppy,
            efi,
            forwarding,
            vnc,
            qmp: self.qmp_path(&private, &output),
            serial: private.join("serial"),
            tpm: options
                .firmware
                .tpm
                .as_ref()
                .map(|_| private.join("tpm.sock")),
            pid: private.join("pid"),
            has_display: has_display(cx),
        };
        Ok(Prepared {
            qemu,
            private,
            facts,
            source,
            http,
            http_address,
            ports,
            key_pair: self.key_pair(cx).await?,
        })
    }

    /// The disks, the main one first.
    async fn disks(
        &self,
        cx: &BuildContext<'_>,
        qemu_img: &Program,
        source: &str,
        output: &Path,
    ) -> Result<Vec<PathBuf>> {
        let options = &self.options.disks;
        let paths = disk::paths(options, output);
        let making = disk::make(cx, qemu_img, options, &self.options.source, source, &paths);
        cx.step("Create disks", making).await?;
        Ok(paths)
    }

    /// The CDs and the floppy.
    async fn media(
        &self,
        cx: &BuildContext<'_>,
        source: &str,
        private: &Path,
    ) -> Result<(Vec<String>, Option<PathBuf>)> {
        let options = self.options;
        let mut cds = Vec::new();
        if !options.source.disk_image {
            cds.push(source.to_owned());
        }
        if options.cd.is_wanted() {
            let path = cd::write(cx, &options.cd, private).await?;
            cds.push(path.display().to_string());
        }
        let floppy = match options.floppy.is_wanted() {
            true => {
                cx.events.say("Creating floppy disk...");
                Some(floppy::write(&options.floppy, private)?)
            }
            false => None,
        };
        Ok((cds, floppy))
    }

    fn efi(&self, output: &Path) -> Result<Option<EfiFiles>> {
        let binary = &self.options.machine.binary.value;
        let vars = output.join(place::EFI_VARS);
        let efi = self.options.firmware.efi.as_ref();
        efi.map(|efi| firmware::prepare(efi, binary, &vars))
            .transpose()
    }

    /// A port of this machine and the guest's port it leads to.
    fn forwarding(
        &self,
        cx: &BuildContext<'_>,
        ports: &mut Vec<Port>,
    ) -> Result<Option<(u16, u16)>> {
        let network = &self.options.network;
        let Some(guest_port) = self.communicator.port() else {
            cx.events
                .say("No communicator is set; skipping port forwarding setup.");
            return Ok(None);
        };
        if network.bridge.is_some() || network.skip_nat_mapping {
            return Ok(None);
        }
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = Port::find(localhost, network.host_ports, "host_port")?;
        let number = port.number();
        ports.push(port);
        cx.events.say(format!(
            "Found port for communicator (SSH, WinRM, etc): {number}."
        ));
        Ok(Some((number, guest_port)))
    }

    fn vnc(&self, ports: &mut Vec<Port>) -> Result<SocketAddr> {
        let screen = &self.options.screen;
        let port = Port::find(screen.vnc_address, screen.vnc_ports, "vnc_port")?;
        let address = SocketAddr::new(screen.vnc_address, port.number());
        ports.push(port);
        Ok(address)
    }

    fn qmp_path(&self, private: &Path, output: &Path) -> PathBuf {
        match &self.options.screen.qmp_socket {
            None => private.join("qmp"),
            Some(QmpSocket::At(path)) => path.clone(),
            Some(QmpSocket::InOutputDirectory) => {
                output.join(format!("{}.monitor", self.options.disks.vm_name))
            }
        }
    }

    /// The server, and where the guest finds it.
    async fn http(
        &self,
        cx: &BuildContext<'_>,
    ) -> Result<(Option<HttpServer>, Option<SocketAddr>)> {
        let options = &self.options.http;
        let Some(content) = &options.content else {
            return Ok((None, None));
        };
        let listening = match &options.address {
            HttpAddress::Given(address) => *address,
            HttpAddress::Interface(name) => {
                let address = guest_address::of_interface(cx, &name.value).await;
                address.map_err(|error| error.at(name.span))?.into()
            }
        };
        let server = HttpServer::start(content, listening, options.ports, cx.events).await?;
        let reached = match &self.options.network.bridge {
            _ if !listening.is_loopback() && !listening.is_unspecified() => listening,
            None => HOST_IN_GUEST.into(),
            Some(bridge) => guest_address::of_interface(cx, &bridge.value).await?.into(),
        };
        let port = server.address().port();
        Ok((Some(server), Some(SocketAddr::new(reached, port))))
    }

    /// A temporary key is made unless the template has one; its public half
    /// may be in the boot command.
    async fn key_pair(&self, cx: &BuildContext<'_>) -> Result<Option<KeyPair>> {
        let Communicator::Ssh(ssh) = self.communicator else {
            return Ok(None);
        };
        if ssh.private_key_file.is_some() || ssh.agent_auth {
            cx.events.say("Using existing SSH private key");
            return Ok(None);
        }
        cx.events.say("Creating temporary SSH key for instance...");
        let kind = ssh.temporary_key;
        let made = tokio::task::spawn_blocking(move || KeyPair::generate(kind)).await;
        let made = made.map_err(|error| {
            Error::new(ErrorKind::Internal, "Generating a key pair was cut off").with_source(error)
        })?;
        made.map(Some)
    }
}

/// Whether a window could be shown.
fn has_display(cx: &BuildContext<'_>) -> bool {
    let names = ["DISPLAY", "WAYLAND_DISPLAY"];
    let mut values = names.iter().filter_map(|name| cx.environment.get(name));
    values.any(|value| !value.is_empty())
}
