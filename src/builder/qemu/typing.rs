//! The guest at the other end of the boot command: keys go in by VNC, texts
//! are read from the text screen and the serial console.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::boot_command::{Guest, KeyEvent};
use super::qmp::Qmp;
use super::text_screen;
use super::vnc::Vnc;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// How often the screen is looked at. A guest is not scaled.
const LOOK: Duration = Duration::from_millis(100);

/// Types to a machine and reads its screen.
pub(super) struct Keyboard<'a> {
    /// Where keys go.
    pub(super) vnc: Vnc,
    /// Through which the text screen is read; none when the template has its
    /// own control socket.
    pub(super) qmp: Option<Qmp>,
    /// What came over the serial line.
    pub(super) serial: &'a Path,
    /// Where QEMU puts a copy of the text screen.
    pub(super) copy: PathBuf,
    /// When to stop.
    pub(super) stop: &'a Stop,
}

#[async_trait(?Send)]
impl Guest for Keyboard<'_> {
    async fn key(&mut self, event: KeyEvent) -> Result<()> {
        self.vnc.key(event).await
    }

    async fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<()> {
        let stop = self.stop;
        let what = format!("waiting for `{text}` on the machine's screen or serial console");
        let shown = async {
            while !self.shows(text).await? {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        stop.within(limit, &what, shown).await.map_err(|error| {
            error.with_hint(
                "Texts are read from the text screen and the serial console; graphics cannot be read",
            )
        })?
    }
}

impl Keyboard<'_> {
    async fn shows(&mut self, text: &str) -> Result<bool> {
        let serial = std::fs::read(self.serial).unwrap_or_default();
        if text_screen::was_sent(&serial, text) {
            return Ok(true);
        }
        let Some(qmp) = &mut self.qmp else {
            return Ok(false);
        };
        let request = json!({
            "val": text_screen::ADDRESS,
            "size": text_screen::SIZE,
            "filename": self.copy,
        });
        qmp.execute("pmemsave", request).await?;
        let memory = std::fs::read(&self.copy).map_err(|error| {
            Error::new(Kind::Io, "Cannot read the copy of the text screen").with_source(error)
        })?;
        Ok(text_screen::shows(&text_screen::lines(&memory), text))
    }
}
