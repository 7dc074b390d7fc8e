//! Starting the emulated machine: swtpm if it has a TPM, then QEMU, until it
//! can be talked to.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::command_line::{self, CommandLine, Facts};
use super::machine::Prepared;
use super::process::Process;
use super::program::Program;
use super::qmp::Qmp;
use super::running::Running;
use super::{Qemu, boot, place};
use crate::builder::BuildContext;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::resource::Kind;
use crate::plan::qemu::{Accelerator, VncPassword};
use crate::secret::Secret;

/// How long QEMU may take to open its sockets. Its own time.
const START_LIMIT: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(20);

/// How long QEMU must live without a control socket to count as started.
const ALIVE: Duration = Duration::from_secs(2);

impl Qemu<'_> {
    /// Starts QEMU and waits until it can be talked to.
    pub(super) async fn start(
        &self,
        cx: &BuildContext<'_>,
        prepared: &Prepared,
    ) -> Result<Running> {
        let facts = &prepared.facts;
        let fields = self.fields(prepared);
        let render = |lists: &[Vec<String>]| -> Result<Vec<Vec<String>>> {
            let list = |list: &Vec<String>| {
                list.iter()
                    .map(|text| boot::render(text, &fields))
                    .collect()
            };
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
            typed_to: None,
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
            // It ends with QEMU.
            "--terminate".to_owned(),
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
        let ready = process.while_running(socket_of_tpm(socket));
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

/// Waits until swtpm listens, in the machine's own time.
async fn socket_of_tpm(socket: &Path) -> Result<()> {
    let start = Instant::now();
    while !socket.exists() {
        if start.elapsed() > START_LIMIT {
            let seconds = START_LIMIT.as_secs();
            let message = format!("swtpm did not listen within {seconds} seconds");
            return Err(Error::new(ErrorKind::Timeout, message).with_hint(
                "Is this machine overloaded? Without `vtpm` there is no TPM to wait for",
            ));
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Ok(())
}
