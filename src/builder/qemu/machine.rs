//! From options to a machine that runs and was typed to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::boot_command::{KEY_INTERVAL, type_steps};
use super::command_line::{self, CommandLine, EfiFiles, Facts};
use super::http_server::HttpServer;
use super::port::Port;
use super::process::Process;
use super::program::Program;
use super::qmp::Qmp;
use super::typing::Keyboard;
use super::vnc::Vnc;
use super::{Qemu, Running, accelerator, cd, disk, firmware, floppy, guest_address, iso, place};
use crate::builder::{BuildContext, Machine};
use crate::communicator::ssh::key::KeyPair;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::resource::Kind;
use crate::plan::communicator::Communicator;
use crate::plan::qemu::{Accelerator, HttpContent, QmpSocket, VncPassword, boot_command};
use crate::provisioner::BuildData;
use crate::provisioner::late;
use crate::secret::Secret;

/// This machine, as user-mode networking shows it to the guest.
const HOST_IN_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// How long QEMU may take to open its sockets. Its own time.
const START_LIMIT: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(20);

/// How long QEMU must live without a control socket to count as started.
const ALIVE: Duration = Duration::from_secs(2);

/// How long a guest on a bridge may take to show up when there is no limit.
const BRIDGE_LIMIT: Duration = Duration::from_secs(3600);

/// What was made before QEMU starts.
pub(super) struct Prepared {
    qemu: Program,
    private: PathBuf,
    facts: Facts,
    source: String,
    http: Option<HttpServer>,
    http_address: Option<SocketAddr>,
    ports: Vec<Port>,
    key_pair: Option<KeyPair>,
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
        let disks = disk::paths(&options.disks, &output, options.source.disk_image);
        let making = disk::make(
            cx,
            &qemu_img,
            &options.disks,
            &options.source,
            &source,
            &disks,
        );
        let (made, media) = tokio::join!(
            cx.step("Create disks", making),
            self.media(cx, &source, &private)
        );
        made?;
        let (cds, floppy) = media?;
        let http = HttpServer::start(&options.http, cx.events).await?;
        let http_address = self.http_in_guest(cx, http.as_ref()).await?;
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

    /// Where the guest finds our server.
    async fn http_in_guest(
        &self,
        cx: &BuildContext<'_>,
        http: Option<&HttpServer>,
    ) -> Result<Option<SocketAddr>> {
        let Some(http) = http else { return Ok(None) };
        let address = match &self.options.network.bridge {
            None => HOST_IN_GUEST,
            Some(bridge) => guest_address::of_bridge(cx, &bridge.value).await?,
        };
        Ok(Some(SocketAddr::new(address.into(), http.address().port())))
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

    /// Starts QEMU and waits until it can be talked to.
    pub(super) async fn start(
        &self,
        cx: &BuildContext<'_>,
        prepared: &Prepared,
    ) -> Result<Running> {
        let facts = &prepared.facts;
        let fields = self.fields(prepared);
        let render = |lists: &[Vec<String>]| -> Result<Vec<Vec<String>>> {
            let list = |list: &Vec<String>| list.iter().map(|text| render(text, &fields)).collect();
            lists.iter().map(list).collect()
        };
        let machine = &self.options.machine;
        let own = render(&machine.arguments)?;
        let appended = render(&machine.appended_arguments)?;
        let has_own_socket = own
            .iter()
            .any(|list| list.first().is_some_and(|s| s == "-qmp"));
        let command_line = command_line::build(self.options, facts, &own, &appended);
        warn_of_dropped(cx, &command_line);
        let tpm = self.start_tpm(cx, prepared).await?;
        self.announce(cx, facts);
        let process = self.launch(cx, prepared, &command_line).await?;
        let running = Running {
            process,
            tpm,
            vnc: facts.vnc,
            vnc_password: self.vnc_password(),
            qmp: (!has_own_socket).then(|| facts.qmp.clone()),
            serial: facts.serial.clone(),
            http: None,
            ports: Vec::new(),
            disks: facts.disks.clone(),
        };
        self.wait_until_up(cx, &running).await?;
        Ok(running)
    }

    fn announce(&self, cx: &BuildContext<'_>, facts: &Facts) {
        cx.events.say(match self.options.source.disk_image {
            true => "Starting VM, booting disk image",
            false => "Starting VM, booting from CD-ROM",
        });
        if facts.accelerator == Accelerator::None {
            cx.events
                .warn("`accelerator` is `none`: QEMU's own default is used");
        }
        let secured = match self.options.screen.vnc_password {
            Some(_) => "with",
            None => "without",
        };
        cx.events.message(format!(
            "To see its screen, connect via VNC {secured} a password to vnc://{}",
            facts.vnc
        ));
    }

    async fn launch(
        &self,
        cx: &BuildContext<'_>,
        prepared: &Prepared,
        command_line: &CommandLine,
    ) -> Result<Process> {
        let pid = prepared.facts.pid.display().to_string();
        let intent = place::intent(cx, Kind::LocalProcess, &pid);
        let words = command_line.arguments.join(" ");
        tracing::debug!("qemu {words}");
        let start = async |_: &_| {
            let arguments = &command_line.arguments;
            let process = Process::start(&prepared.qemu, arguments, cx.environment)?;
            Ok((pid.clone(), process))
        };
        cx.journal.create(cx.events, intent, start).await
    }

    async fn start_tpm(
        &self,
        cx: &BuildContext<'_>,
        prepared: &Prepared,
    ) -> Result<Option<Process>> {
        let (Some(tpm), Some(socket)) = (&self.options.firmware.tpm, &prepared.facts.tpm) else {
            return Ok(None);
        };
        let program = Program::find("swtpm", cx.environment)?;
        let state = prepared.private.join("tpm");
        std::fs::create_dir_all(&state).map_err(|error| {
            Error::new(ErrorKind::Io, "Cannot make a directory for the TPM").with_source(error)
        })?;
        let pid = format!("{}-tpm", prepared.facts.pid.display());
        let mut arguments = vec![
            "socket".to_owned(),
            "--tpmstate".to_owned(),
            format!("dir={}", state.display()),
            "--ctrl".to_owned(),
            format!("type=unixio,path={}", socket.display()),
            "--pid".to_owned(),
            format!("file={pid}"),
        ];
        if !tpm.version_1 {
            arguments.push("--tpm2".to_owned());
        }
        let intent = place::intent(cx, Kind::LocalProcess, &pid);
        let start = async |_: &_| {
            let process = Process::start(&program, &arguments, cx.environment)?;
            Ok((pid.clone(), process))
        };
        let process = cx.journal.create(cx.events, intent, start).await?;
        let ready = process.while_running(wait_for(|| socket.exists()));
        cx.stop.race(ready).await??;
        Ok(Some(process))
    }

    fn vnc_password(&self) -> Option<Secret> {
        let password = self.options.screen.vnc_password.as_ref()?;
        Some(match password {
            VncPassword::Given(given) => given.clone(),
            VncPassword::Random => {
                let random = uuid::Uuid::new_v4().simple().to_string();
                Secret::new(&random[..8])
            }
        })
    }

    /// QEMU answers at its control socket, or lives for a while without one.
    async fn wait_until_up(&self, cx: &BuildContext<'_>, running: &Running) -> Result<()> {
        let up = async {
            let Some(path) = &running.qmp else {
                tokio::time::sleep(ALIVE).await;
                return Ok(());
            };
            let mut qmp = connect(path).await?;
            if let Some(password) = &running.vnc_password {
                let request = json!({"protocol": "vnc", "password": password.expose()});
                qmp.execute("set_password", request).await?;
            }
            Ok(())
        };
        let started = cx.stop.race(running.process.while_running(up)).await?;
        started.map_err(|error| error.context("QEMU did not start"))
    }

    /// Waits and types.
    pub(super) async fn boot(
        &self,
        cx: &BuildContext<'_>,
        running: &mut Running,
        prepared: &Prepared,
    ) -> Result<()> {
        let boot = &self.options.boot;
        if boot.steps.is_empty() || self.options.screen.disable_vnc {
            return Ok(());
        }
        let typing = async {
            if !boot.wait.is_zero() {
                cx.events
                    .say(format!("Waiting {:?} for boot...", boot.wait));
                cx.stop.sleep(boot.wait).await?;
            }
            cx.events
                .say(format!("Connecting to VM via VNC ({})", running.vnc));
            let mut keyboard = Keyboard {
                vnc: Vnc::connect(running.vnc, running.vnc_password.as_ref()).await?,
                qmp: match &running.qmp {
                    Some(path) => Some(Qmp::connect(path).await?),
                    None => None,
                },
                serial: &running.serial,
                copy: prepared.private.join("screen"),
                stop: cx.stop,
            };
            self.type_all(cx, &mut keyboard, prepared).await
        };
        let outcome = cx.stop.race(running.process.while_running(typing)).await?;
        let may_end = matches!(self.communicator, Communicator::None);
        match outcome {
            // The last key may have been what switches the machine off.
            Err(_) if may_end && running.process.has_succeeded().await => Ok(()),
            outcome => outcome,
        }
    }

    async fn type_all(
        &self,
        cx: &BuildContext<'_>,
        keyboard: &mut Keyboard<'_>,
        prepared: &Prepared,
    ) -> Result<()> {
        let boot = &self.options.boot;
        let fields = self.fields(prepared);
        let interval = boot.key_interval.unwrap_or(KEY_INTERVAL);
        cx.events.say("Typing the boot commands over VNC...");
        for step in &boot.steps {
            if let Some(description) = &step.description {
                cx.events
                    .message(format!("Typing boot command for: {description}"));
            }
            let command = render(&step.command.value, &fields)
                .map_err(|error| error.at(step.command.span))?;
            let steps = boot_command::parse(&command).map_err(|error| {
                Error::new(ErrorKind::Template, format!("The boot command {error}"))
                    .at(step.command.span)
            })?;
            type_steps(&steps, interval, keyboard, cx.stop).await?;
        }
        Ok(())
    }

    /// The machine as the engine sees it.
    pub(super) async fn reachable(
        &self,
        cx: &BuildContext<'_>,
        running: &mut Running,
        prepared: Prepared,
    ) -> Result<Machine> {
        running.http = prepared.http;
        running.ports = prepared.ports;
        let (host, port) = self.address(cx, running, prepared.facts.forwarding).await?;
        Ok(Machine {
            id: self.options.disks.vm_name.clone(),
            host,
            port,
            http: prepared.http_address,
            source_image: prepared.source,
            key_pair: prepared.key_pair,
        })
    }

    async fn address(
        &self,
        cx: &BuildContext<'_>,
        running: &Running,
        forwarding: Option<(u16, u16)>,
    ) -> Result<(String, Option<u16>)> {
        let localhost = Ipv4Addr::LOCALHOST.to_string();
        let Some(port) = self.communicator.port() else {
            return Ok((localhost, None));
        };
        if let Some((host_port, _)) = forwarding {
            return Ok((localhost, Some(host_port)));
        }
        match (
            &self.options.network.bridge,
            self.communicator.host(),
            &running.qmp,
        ) {
            (None, _, _) => Ok((localhost, Some(port))),
            (Some(_), Some(host), _) => Ok((host.clone(), Some(port))),
            (Some(_), None, Some(qmp)) => {
                let finding = guest_address::of_guest(cx, qmp, self.connect_limit());
                let host = running.process.while_running(finding).await?;
                Ok((host, Some(port)))
            }
            (Some(_), None, None) => {
                let message = "The guest's address cannot be found without QEMU's control socket";
                Err(Error::new(ErrorKind::Connect, message).with_hint("Set `ssh_host`"))
            }
        }
    }

    fn connect_limit(&self) -> Duration {
        self.communicator.timeout().unwrap_or(BRIDGE_LIMIT)
    }

    /// What templates in the boot command and in `qemuargs` may name.
    fn fields(&self, prepared: &Prepared) -> BTreeMap<String, String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let address = prepared.http_address;
        let directory = match &self.options.http.content {
            Some(HttpContent::Directory(path)) => path.display().to_string(),
            _ => String::new(),
        };
        let public = prepared.key_pair.as_ref().map(|key| key.public.clone());
        let output = &self.options.disks.output_directory.value;
        let forwarding = prepared.facts.forwarding;
        let ip = address.map_or(HOST_IN_GUEST.into(), |address| address.ip());
        [
            ("HTTPIP", ip.to_string()),
            (
                "HTTPPort",
                address.map_or(0, |address| address.port()).to_string(),
            ),
            ("HTTPDir", directory),
            ("Name", self.options.disks.vm_name.clone()),
            ("OutputDir", output.display().to_string()),
            (
                "SSHHostPort",
                forwarding.map_or(0, |(host, _)| host).to_string(),
            ),
            ("SSHPublicKey", text(public)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn render(text: &str, fields: &BTreeMap<String, String>) -> Result<String> {
    late::render(text, fields, &BuildData::default())
}

/// Whether a window could be shown.
fn has_display(cx: &BuildContext<'_>) -> bool {
    let names = ["DISPLAY", "WAYLAND_DISPLAY"];
    let mut values = names.iter().filter_map(|name| cx.environment.get(name));
    values.any(|value| !value.is_empty())
}

fn warn_of_dropped(cx: &BuildContext<'_>, command_line: &CommandLine) {
    if command_line.dropped.is_empty() {
        return;
    }
    cx.events
        .say("Overriding default Qemu arguments with qemuargs template option...");
    cx.events.warn(format!(
        "`qemuargs` replace these defaults: {}. List what you need of them in `qemuargs`, or use \
         `qemuargs_append`, which replaces nothing",
        command_line.dropped.join("; ")
    ));
}

/// Connects as soon as QEMU listens.
async fn connect(path: &Path) -> Result<Qmp> {
    let start = Instant::now();
    loop {
        match Qmp::connect(path).await {
            Err(error) if start.elapsed() > START_LIMIT => return Err(error),
            Err(_) => tokio::time::sleep(START_PAUSE).await,
            connected => return connected,
        }
    }
}

/// Waits until something is so, in the machine's own time.
async fn wait_for(is_so: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > START_LIMIT {
            return Err(Error::new(
                ErrorKind::Timeout,
                "A program did not get ready",
            ));
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Ok(())
}
