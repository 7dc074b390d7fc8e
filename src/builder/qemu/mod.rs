//! The `qemu` builder: a virtual machine on this machine becomes a disk image.
//!
//! Order: ISO and accelerator at the same time; output directory, CD, floppy,
//! disks; HTTP server and ports; QEMU; typing; (provisioners); shutdown;
//! compaction. What it makes is in the journal, which deletes it: the process
//! by its pid file, the two directories by their paths. Source of facts: the
//! documentation of Packer's QEMU plugin and of QEMU.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{BuildContext, Builder, Machine};
use crate::artifact::Artifact;
use crate::communicator::{Communicator as Connection, Show};
use crate::engine::event::{EventKind, Stream};
use crate::error::{Error, Kind as ErrorKind, Result, one_line};
use crate::plan::communicator::Communicator;
use crate::plan::qemu as plan;

mod accelerator;
mod boot;
mod boot_command;
mod cd;
mod command_line;
mod disk;
mod files;
mod firmware;
mod floppy;
mod guest_address;
mod http_server;
mod iso;
mod launch;
mod machine;
mod place;
mod port;
mod process;
mod program;
mod qmp;
mod running;
mod screenshot;
#[cfg(test)]
mod tests_support;
mod text_screen;
mod typing;
mod vnc;

use program::Program;
use running::Running;
use vnc::Vnc;

/// Packer's id of this builder, in manifests.
pub const BUILDER_ID: &str = "transcend.qemu";

/// The type as templates write it.
pub const TYPE: &str = "qemu";

/// The artifact's id, as Packer has it.
const ARTIFACT_ID: &str = "VM";

/// How long a guest may take to be off after a `shutdown_command`, by default.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(300);

/// One build with this builder.
pub struct Qemu<'a> {
    options: &'a plan::Qemu,
    communicator: &'a Communicator,
    running: Mutex<Option<Running>>,
}

/// The finished disks.
#[derive(Debug)]
pub struct Captured {
    files: Vec<PathBuf>,
}

impl<'a> Qemu<'a> {
    /// A build with these options.
    pub fn new(options: &'a plan::Qemu, communicator: &'a Communicator) -> Self {
        Self {
            options,
            communicator,
            running: Mutex::new(None),
        }
    }

    fn output_directory(&self) -> &Path {
        &self.options.disks.output_directory.value
    }

    /// Waits until the machine is off, the way the options say.
    async fn switch_off(&self, cx: &BuildContext<'_>, running: &Running) -> Result<()> {
        let shutdown = &self.options.shutdown;
        let limit = shutdown.timeout.unwrap_or(SHUTDOWN_LIMIT);
        match (self.communicator, &shutdown.command) {
            (Communicator::None, _) => {
                cx.events.say("Waiting for shutdown...");
                let what = "waiting for the machine to switch itself off";
                running.ended(cx, shutdown.timeout, what).await
            }
            (_, Some(_)) => {
                let what = "waiting for the machine to be off after `shutdown_command`";
                running.ended(cx, Some(limit), what).await
            }
            (_, None) => {
                cx.events.say("Halting the virtual machine...");
                running.press_power_button(cx, shutdown.timeout).await
            }
        }
    }

    /// Keeps what the screen shows, and says where.
    async fn keep_screenshot(&self, running: &Running) -> Result<PathBuf> {
        let mut vnc = Vnc::connect(running.vnc, running.vnc_password.as_ref()).await?;
        let png = screenshot::png(&vnc.picture().await?);
        let name = format!("{}-screen.png", self.output_directory().display());
        let path = std::path::absolute(&name).unwrap_or_else(|_| name.into());
        std::fs::write(&path, png).map_err(|error| {
            let message = format!("Cannot write `{}`", path.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        Ok(path)
    }
}

#[async_trait(?Send)]
impl Builder for Qemu<'_> {
    type Captured = Captured;

    async fn prepare(&self, cx: &BuildContext<'_>) -> Result<Machine> {
        let prepared = self.prepare_machine(cx).await?;
        let started = cx.step("Start machine", self.start(cx, &prepared)).await?;
        let mut place = self.running.lock().await;
        let running = place.insert(started);
        cx.step("Type boot command", self.boot(cx, running, &prepared))
            .await?;
        self.reachable(cx, running, prepared).await
    }

    async fn part(&self, cx: &BuildContext<'_>, connection: &dyn Connection) -> Result<()> {
        let Some(command) = &self.options.shutdown.command else {
            return Ok(());
        };
        let running = self.running.lock().await;
        let Some(running) = running.as_ref() else {
            return Ok(());
        };
        cx.events.say("Gracefully halting virtual machine...");
        let mut show = Show::new(cx.events);
        let limit = self.options.shutdown.timeout.unwrap_or(SHUTDOWN_LIMIT);
        let run = async {
            tokio::select! {
                biased;
                status = running.process.ended() => status.map(drop),
                outcome = connection.exec(&command.value, &mut show) => outcome.map(drop),
            }
        };
        match cx
            .stop
            .within(limit, "running `shutdown_command`", run)
            .await?
        {
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            // A machine that goes away takes the connection along.
            _ => Ok(()),
        }
    }

    async fn gone(&self) -> Error {
        let running = self.running.lock().await;
        match running.as_ref() {
            Some(running) => running.gone().await,
            None => std::future::pending().await,
        }
    }

    async fn halt(&self, cx: &BuildContext<'_>, _: &Machine) -> Result<()> {
        let running = self.running.lock().await;
        match running.as_ref() {
            Some(running) => self.switch_off(cx, running).await,
            None => Ok(()),
        }
    }

    async fn capture(&self, cx: &BuildContext<'_>, _: &Machine) -> Result<Option<Captured>> {
        // Locks on the disks, and ports, end here.
        let Some(running) = self.running.lock().await.take() else {
            return Ok(None);
        };
        let Running {
            process,
            tpm,
            disks,
            http,
            ports,
            qmp,
            ..
        } = running;
        process.kill().await;
        drop((process, tpm, http, ports));
        place::tidy(self.options, qmp.as_deref())?;
        let main = disks.first().cloned().unwrap_or_default();
        let qemu_img = Program::find("qemu-img", cx.environment)?;
        let compacting = disk::compact(cx, &qemu_img, &self.options.disks, &main);
        cx.step("Compact disk", compacting).await?;
        let files = place::artifact_files(self.options, &main)?;
        let kept = std::path::absolute(self.output_directory());
        let kept = kept.unwrap_or_else(|_| self.output_directory().to_owned());
        cx.journal.keep(&kept.display().to_string())?;
        Ok(Some(Captured { files }))
    }

    async fn finish(&self, _: &BuildContext<'_>, captured: Captured) -> Result<Artifact> {
        let directory = self.output_directory().display();
        Ok(Artifact {
            builder_id: BUILDER_ID.to_owned(),
            id: ARTIFACT_ID.to_owned(),
            description: format!("VM files in directory: {directory}"),
            files: captured.files,
            images: Vec::new(),
        })
    }

    async fn explain(&self, cx: &BuildContext<'_>, error: Error) -> Error {
        let running = self.running.lock().await;
        let Some(running) = running
            .as_ref()
            .filter(|_| error.kind() != ErrorKind::Cancelled)
        else {
            return error;
        };
        running.show_serial(cx);
        if !running.process.is_running() {
            let said = running.process.said();
            for line in said.lines() {
                cx.events.output(Stream::Stderr, line);
            }
            return error;
        }
        match self.keep_screenshot(running).await {
            Ok(path) => {
                let hint = format!("See what the machine's screen showed: {}", path.display());
                cx.events.emit(EventKind::Screenshot(path));
                error.with_hint(hint)
            }
            Err(trouble) => {
                let reason = one_line(&trouble);
                cx.events
                    .message(format!("There is no screenshot: {reason}"));
                error
            }
        }
    }
}
