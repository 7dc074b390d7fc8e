//! Waiting for a machine to let us in by WinRM.
//!
//! Packer tries every five seconds. Here the next attempt follows a second
//! after the last, unless the login was refused: Windows may lock an account
//! out after some wrong passwords, so then pauses grow. Like Packer, an attempt
//! has succeeded when PowerShell has answered.

use std::time::Duration;

use super::failure::{Failure, Seen, Way};
use super::powershell::encoded;
use super::shell::Shells;
use crate::communicator::{ExitStatus, Output};
use crate::engine::event::{Events, Stream};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

const GREETING: &str = "WinRM connected.";

/// Nominal pauses.
const PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// After so many refusals in a row the user is told.
const REFUSALS_TO_TELL: u32 = 3;

/// What is waited for, for messages.
pub(super) struct Waiting<'a> {
    pub(super) shells: &'a Shells,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) limit: Duration,
    pub(super) events: &'a Events,
}

impl Waiting<'_> {
    /// Tries until the machine lets us in or the limit is reached.
    pub(super) async fn wait(&self, stop: &Stop) -> Result<()> {
        let mut progress = Progress::default();
        let clock = stop.clock();
        let attempts = clock.timeout(self.limit, self.persist(&mut progress, stop));
        match stop.race(attempts).await? {
            Some(result) => result,
            None => Err(self.timed_out(progress)),
        }
    }

    async fn persist(&self, progress: &mut Progress, stop: &Stop) -> Result<()> {
        loop {
            match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(failure) => progress.failed(failure),
            }
            if progress.refusals == REFUSALS_TO_TELL {
                self.tell_refusal(progress);
            }
            stop.clock().sleep(progress.pause()).await;
        }
    }

    async fn attempt(&self) -> Result<(), Failure> {
        let script = format!(
            "if (Test-Path variable:global:ProgressPreference) {{ $global:ProgressPreference = \
             'SilentlyContinue' }}; Write-Output '{GREETING}'"
        );
        let mut greeting = Greeting::default();
        let status = self.shells.run(&encoded(&script), &mut greeting).await?;
        match status {
            ExitStatus::Code(0) if greeting.heard => {
                self.events.message(GREETING);
                Ok(())
            }
            ExitStatus::Code(code) => Err(Failure::NotReady(Seen::new(
                format!("PowerShell did not run (exit code {code})"),
                "The machine needs `powershell` in its PATH",
            ))),
            ExitStatus::Disconnected => Err(Failure::NotReady(Seen::new(
                "the connection was lost",
                "The machine may be restarting",
            ))),
        }
    }

    fn tell_refusal(&self, progress: &Progress) {
        let Some(seen) = &progress.last else { return };
        self.events.message(format!(
            "WinRM does not let us in yet: {seen}. It is tried again until winrm_timeout, as \
             Windows refuses logins while it boots"
        ));
    }

    fn timed_out(&self, progress: Progress) -> Error {
        let Self {
            host, port, limit, ..
        } = self;
        let message = format!("Timeout waiting for WinRM at {host}:{port} after {limit:?}");
        let error = Error::new(Kind::Timeout, message);
        match progress.last {
            Some(last) => error.with_source(Error::from(last)),
            // What was tried never ended.
            None => error.with_source(Error::from(Seen::silence(Way::new(host, *port)))),
        }
    }
}

/// What happened so far.
#[derive(Debug, Default)]
struct Progress {
    /// In a row.
    refusals: u32,
    last: Option<Seen>,
}

impl Progress {
    fn failed(&mut self, failure: Failure) {
        let is_refusal = matches!(failure, Failure::Refused(_));
        self.refusals = if is_refusal { self.refusals + 1 } else { 0 };
        let seen = match failure {
            Failure::NotReady(seen) | Failure::Refused(seen) => seen,
            Failure::Fault(fault) => Seen::new(
                format!("WinRM refused the request: {}", fault.text),
                "The user may lack the right to use remote shells, or WinRM is still starting",
            ),
            Failure::Fatal(_) => return,
        };
        tracing::debug!("WinRM is not ready: {seen}");
        self.last = Some(seen);
    }

    fn pause(&self) -> Duration {
        let doublings = self.refusals.saturating_sub(1).min(5);
        (PAUSE * 2_u32.pow(doublings)).min(LAST_PAUSE_AFTER_REFUSAL)
    }
}

/// Listens for the greeting.
#[derive(Default)]
struct Greeting {
    heard: bool,
}

impl Output for Greeting {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        let is_it = line.trim_ascii() == GREETING.as_bytes();
        self.heard |= stream == Stream::Stdout && is_it;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen::new("no", "hint")
    }

    #[test]
    fn only_refusals_make_pauses_grow() {
        let mut progress = Progress::default();
        let pauses: Vec<_> = (0..7)
            .map(|_| {
                progress.failed(Failure::Refused(seen()));
                progress.pause().as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        progress.failed(Failure::NotReady(seen()));
        assert_eq!(progress.pause(), PAUSE);
    }
}
