//! The machine while it runs: how it ends, and what it leaves for people to
//! read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http_server::HttpServer;
use super::port::Port;
use super::process::Process;
use super::qmp::Qmp;
use super::text_screen;
use super::vnc::Vnc;
use crate::builder::BuildContext;
use crate::engine::event::Stream;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::secret::Secret;

/// How long a guest may take to heed its power button.
const POWER_BUTTON_LIMIT: Duration = Duration::from_secs(60);

/// How long QEMU may take to end when told to. Its own time.
const QUIT_LIMIT: Duration = Duration::from_secs(20);

/// Lines of the serial console that a failure shows.
const SERIAL_LINES: usize = 15;

/// What lives as long as the machine.
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) tpm: Option<Process>,
    pub(super) vnc: SocketAddr,
    pub(super) vnc_password: Option<Secret>,
    /// The connection that keys went through, if any did. A busy QEMU loses
    /// the last ones when it is closed before they are read.
    pub(super) typed_to: Option<Vnc>,
    /// The control socket; none when the template has its own.
    pub(super) qmp: Option<PathBuf>,
    pub(super) serial: PathBuf,
    pub(super) http: Option<HttpServer>,
    pub(super) ports: Vec<Port>,
    /// The main disk first.
    pub(super) disks: Vec<PathBuf>,
}

impl Running {
    /// Waits until QEMU has ended.
    pub(super) async fn ended(
        &self,
        cx: &BuildContext<'_>,
        limit: Option<Duration>,
        what: &str,
    ) -> Result<()> {
        let ended = self.process.ended();
        let status = match limit {
            Some(limit) => cx
                .stop
                .within(limit, what, ended)
                .await
                .map_err(|error| error.with_hint("Raise `shutdown_timeout`"))?,
            None => cx.stop.race(ended).await?,
        }?;
        if status.success() {
            return Ok(());
        }
        Err(self.process.ended_early(status))
    }

    /// Waits until QEMU has ended though nobody asked it to.
    pub(super) async fn gone(&self) -> Error {
        match self.process.ended().await {
            Ok(status) if status.success() => switched_off(),
            Ok(status) => self.process.ended_early(status),
            Err(error) => error,
        }
    }

    /// Lets the guest shut down, so that what it wrote is on the disk.
    pub(super) async fn press_power_button(
        &self,
        cx: &BuildContext<'_>,
        limit: Option<Duration>,
    ) -> Result<()> {
        if !self.process.is_running() {
            return Ok(());
        }
        let Some(path) = &self.qmp else {
            cx.events.warn(
                "The machine is switched off by force, as `qemuargs` replace QEMU's control \
                 socket; set `shutdown_command`",
            );
            self.process.kill().await;
            return Ok(());
        };
        match self.command(path, "system_powerdown").await {
            // It was just about to end by itself.
            Err(_) if self.process.succeeds_soon().await => return Ok(()),
            outcome => outcome?,
        }
        let limit = limit.unwrap_or(POWER_BUTTON_LIMIT);
        let what = "waiting for the machine to heed its power button";
        match self.ended(cx, Some(limit), what).await {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                cx.events.warn(format!(
                    "The machine did not heed its power button within {limit:?} and is switched \
                     off by force; set `shutdown_command`"
                ));
                self.quit(path).await
            }
            outcome => outcome,
        }
    }

    /// Ends QEMU, which writes out what it holds of the disks first.
    async fn quit(&self, path: &Path) -> Result<()> {
        // An answer may not come any more.
        let _ = self.command(path, "quit").await;
        let ended = tokio::time::timeout(QUIT_LIMIT, self.process.ended()).await;
        if ended.is_err() {
            self.process.kill().await;
        }
        Ok(())
    }

    async fn command(&self, path: &Path, command: &str) -> Result<()> {
        let mut qmp = Qmp::connect(path).await?;
        qmp.execute(command, serde_json::json!({})).await.map(drop)
    }

    /// Shows the end of the serial console.
    pub(super) fn show_serial(&self, cx: &BuildContext<'_>) {
        let serial = std::fs::read(&self.serial).unwrap_or_default();
        let lines = text_screen::tail(&serial, SERIAL_LINES);
        if !lines.is_empty() {
            cx.events.say("The end of the machine's serial console:");
        }
        for line in lines {
            cx.events.output(Stream::Stdout, line);
        }
    }
}

/// The error of a machine that ended though somebody wanted to connect to it.
pub(super) fn switched_off() -> Error {
    let message = "The machine switched itself off before it could be reached";
    Error::new(ErrorKind::Connect, message)
        .with_hint("Let the installation end with a reboot instead of a shutdown")
}
