//! The WinRM communicator.
//!
//! ```text
//! connect ── http (login: Basic, or ntlm + envelope on one_connection)
//!    └─ shell ── soap ── xml
//!         ├─ exec
//!         └─ transfer (files, through powershell)
//! ```
//!
//! It knows the protocol and Packer's `winrm_*` options; it knows nothing of
//! clouds and reads no environment. Source of facts: MS-WSMV, MS-NLMP, and
//! Packer's documentation of the communicator.

mod connect;
mod envelope;
mod failure;
mod http;
mod ntlm;
mod one_connection;
pub(crate) mod powershell;
mod shell;
mod soap;
mod transfer;
mod xml;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use self::connect::Waiting;
use self::failure::Failure;
use self::http::Endpoint;
use self::shell::Shells;
use self::transfer::Upload;
use super::{Communicator, ExitStatus, Output};
use crate::engine::event::Events;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::Winrm as Options;

/// A machine reached by WinRM.
pub struct Winrm {
    shells: Shells,
    stop: Stop,
    is_closed: AtomicBool,
}

impl Winrm {
    /// Waits until the machine lets us in.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `winrm_timeout`, [`Kind::Connect`] when no
    /// attempt can succeed, [`Kind::Cancelled`] when the build is stopped.
    pub async fn connect(
        options: &Options,
        host: &str,
        port: u16,
        events: &Events,
        stop: &Stop,
    ) -> Result<Self> {
        let winrm = Self {
            shells: Shells::new(Endpoint::new(options, host, port)?),
            stop: stop.clone(),
            is_closed: AtomicBool::new(false),
        };
        let waiting = Waiting {
            shells: &winrm.shells,
            host,
            port,
            limit: options.timeout,
            events,
        };
        events.say(format!("Using WinRM communicator to connect: {host}"));
        events.say("Waiting for WinRM to become available...");
        waiting.wait(stop).await?;
        let pause = options.pause_before_connecting;
        if !pause.is_zero() {
            events.say(format!("Pausing {pause:?} before connecting..."));
            stop.sleep(pause).await?;
            waiting.wait(stop).await?;
        }
        events.say("Connected to WinRM!");
        Ok(winrm)
    }

    fn check_open(&self) -> Result<()> {
        match self.is_closed.load(Ordering::Relaxed) {
            true => Err(Error::new(Kind::Connect, "The WinRM connection is closed")),
            false => Ok(()),
        }
    }

    async fn send_tree(&self, source: &Path, destination: &str) -> Result<()> {
        let mut upload = Upload::start(&self.shells).await?;
        let sent = transfer::upload_tree(&mut upload, source, destination).await;
        upload.finish(sent).await
    }
}

#[async_trait]
impl Communicator for Winrm {
    async fn exec(&self, command: &str, output: &mut dyn Output) -> Result<ExitStatus> {
        self.check_open()?;
        let run = async {
            self.shells.end_leftovers().await;
            self.shells.run(command, output).await
        };
        self.stop.race(run).await?.map_err(Failure::into_error)
    }

    /// Windows has no modes, so `mode` is passed over. Directories on the way
    /// to the file are made, as Packer makes them.
    async fn upload(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        _size: u64,
        destination: &str,
        _mode: Option<u32>,
    ) -> Result<()> {
        self.check_open()?;
        let run = async {
            let mut upload = Upload::start(&self.shells).await?;
            let sent = upload.file(destination, source).await;
            upload.finish(sent).await
        };
        let result = self.stop.race(run).await?;
        result.map_err(|error| error.context(format!("Could not upload to {destination}")))
    }

    async fn upload_dir(&self, source: &Path, destination: &str) -> Result<()> {
        self.check_open()?;
        let destination = directory_target(source, destination);
        let result = self.stop.race(self.send_tree(source, &destination)).await?;
        result.map_err(|error| {
            let source = source.display();
            error.context(format!("Could not upload {source} to {destination}"))
        })
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.check_open()?;
        let download = transfer::download(&self.shells, source, destination);
        let result = self.stop.race(download).await?;
        result.map_err(|error| error.context(format!("Could not download {source}")))
    }

    async fn download_dir(&self, source: &str, _: &Path) -> Result<()> {
        let message = format!("Could not download {source}: WinRM cannot download directories");
        Err(Error::new(Kind::Provision, message)
            .with_hint("Download single files, or pack them with a `powershell` provisioner first"))
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.shells.end_leftovers().await;
    }
}

/// A source that ends with `/` means its contents.
fn directory_target(source: &Path, destination: &str) -> String {
    let destination = destination.trim_end_matches(['/', '\\']);
    let is_contents = source.as_os_str().as_encoded_bytes().ends_with(b"/");
    match source.file_name().filter(|_| !is_contents) {
        Some(name) => format!("{destination}/{}", name.to_string_lossy()),
        None => destination.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_into_another_or_becomes_it() {
        for (source, destination, expected) in [
            ("files", "C:\\app", "C:\\app/files"),
            ("a/files", "C:/app/", "C:/app/files"),
            ("files/", "C:/app/", "C:/app"),
            ("files/", "C:\\app\\", "C:\\app"),
        ] {
            assert_eq!(directory_target(Path::new(source), destination), expected);
        }
    }
}
