//! What the provisioners of Windows have in common: the user's scripts, trying
//! again while no connection can be made, and how a script may end.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, check_exit_code, late};
use crate::communicator::{Communicator, ExitStatus, Output};
use crate::engine::event::Stream;
use crate::error::{Error, Kind, Result};
use crate::template::source::{Span, Spanned};

/// Time between two tries to upload and start.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// What Packer's WinRM says for a lost connection; its `shell` says
/// [`ExitStatus::DISCONNECTED_CODE`]. Templates allow either.
const WINRM_DISCONNECTED_CODE: u32 = 16_001;

/// A script before its upload.
pub(super) enum Script<'a> {
    Inline(String),
    File(&'a Spanned<PathBuf>),
}

impl Script<'_> {
    pub(super) fn display(&self) -> String {
        match self {
            Self::Inline(_) => "inline".to_owned(),
            Self::File(path) => path.value.display().to_string(),
        }
    }

    pub(super) fn span(&self) -> Option<Span> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => path.span,
        }
    }

    pub(super) async fn content(&self) -> Result<Vec<u8>> {
        let path = match self {
            Self::Inline(text) => return Ok(text.clone().into_bytes()),
            Self::File(path) => &path.value,
        };
        tokio::fs::read(path).await.map_err(|error| {
            Error::new(Kind::Io, format!("Could not read {}", path.display())).with_source(error)
        })
    }
}

/// The inline lines as one script, or the files.
pub(super) fn scripts<'a>(
    inline: &[String],
    files: &'a [Spanned<PathBuf>],
    cx: &Context<'_>,
) -> Result<Vec<Script<'a>>> {
    let mut scripts: Vec<_> = files.iter().map(Script::File).collect();
    if !inline.is_empty() {
        let mut script = String::new();
        for (number, line) in (1..).zip(inline) {
            let line = late::render(line, &late::Fields::new(), cx.data);
            script += &line.map_err(|error| {
                error.context(format!("Could not render inline command {number}"))
            })?;
            script += "\r\n";
        }
        scripts.push(Script::Inline(script));
    }
    Ok(scripts)
}

pub(super) async fn upload(
    communicator: &dyn Communicator,
    mut content: &[u8],
    to: &str,
) -> Result<()> {
    let size = content.len() as u64;
    let uploaded = communicator.upload(&mut content, size, to, None).await;
    uploaded.map_err(|error| error.context(format!("Could not upload script to {to}")))
}

/// A step that is tried again while no connection can be made, so that a
/// script may restart the machine.
pub(super) struct Retry {
    start: Instant,
    limit: Duration,
}

impl Retry {
    /// Begins the time in which the step is tried again.
    pub(super) fn within(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    /// The value of the step; none when it shall be tried again.
    pub(super) async fn settle<T>(&self, cx: &Context<'_>, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let time_left = cx.stop.clock().elapsed(self.start) < self.limit;
        if error.kind() != Kind::Connect || !time_left {
            return Err(error);
        }
        cx.stop.sleep(RETRY_DELAY).await?;
        Ok(None)
    }
}

/// Fails unless a script ended as the template allows.
pub(super) fn check_end(status: ExitStatus, valid: &[u32]) -> Result<()> {
    match status {
        ExitStatus::Code(code) => check_exit_code(code, valid),
        ExitStatus::Disconnected => {
            let lost = [ExitStatus::DISCONNECTED_CODE, WINRM_DISCONNECTED_CODE];
            if lost.iter().any(|code| valid.contains(code)) {
                return Ok(());
            }
            let message = "The connection was lost while the script ran";
            Err(Error::new(Kind::Connect, message).with_hint(
                "If the script restarts the machine, add 2300218 to `valid_exit_codes`, or better \
                 restart it with `windows-restart`",
            ))
        }
    }
}

/// Output of commands that are ours, not the user's.
pub(super) struct Discard;

impl Output for Discard {
    fn line(&mut self, _: Stream, _: &[u8]) {}
}
