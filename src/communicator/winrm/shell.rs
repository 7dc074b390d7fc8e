//! Remote shells: one for each command, as Packer has it, so that a command
//! sees the environment as the one before has left it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::{Failure, Seen};
use super::http::Endpoint;
use super::powershell::ErrorText;
use super::soap::{self, Request};
use super::xml::Element;
use crate::communicator::lines::Lines;
use crate::communicator::{ExitStatus, Output};
use crate::engine::event::Stream;

/// How long a good-bye may take.
const DELETE_LIMIT: Duration = Duration::from_secs(5);

/// The machine, and the shells on it whose commands were cut off.
pub(super) struct Shells {
    endpoint: Endpoint,
    /// Ids of shells that are open; those of a cut-off call stay here.
    open: Mutex<Vec<String>>,
}

/// Something that runs on the machine.
pub(super) struct Running<'a> {
    shells: &'a Shells,
    shell: String,
    command: String,
}

impl Shells {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            open: Mutex::default(),
        }
    }

    /// Runs a command to its end.
    pub(super) async fn run(
        &self,
        line: &str,
        output: &mut dyn Output,
    ) -> Result<ExitStatus, Failure> {
        let running = self.start(line, false).await?;
        Ok(running.follow(output).await)
    }

    /// Starts a command; with a pipe it reads what [`Running::send`] gives it.
    pub(super) async fn start(&self, line: &str, piped: bool) -> Result<Running<'_>, Failure> {
        let answer = self.endpoint.call(Request::Create).await?;
        let shell = found(soap::shell_id(&answer), "a shell without id")?;
        self.lock().push(shell.clone());
        let request = Request::Command {
            shell: &shell,
            line,
            piped,
        };
        let answer = self.endpoint.call(request).await?;
        let command = found(soap::command_id(&answer), "a command without id")?;
        Ok(Running {
            shells: self,
            shell,
            command,
        })
    }

    /// Ends shells whose commands were cut off, and with them the commands.
    pub(super) async fn end_leftovers(&self) {
        let left = std::mem::take(&mut *self.lock());
        for shell in left {
            self.delete(&shell).await;
        }
    }

    /// A machine that does not answer, or does not know the shell any more, has
    /// none to delete.
    async fn delete(&self, shell: &str) {
        let delete = self.endpoint.call(Request::Delete { shell });
        if let Ok(Err(failure)) = tokio::time::timeout(DELETE_LIMIT, delete).await {
            tracing::debug!("a WinRM shell was not deleted: {failure:?}");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn found(id: Option<String>, what: &str) -> Result<String, Failure> {
    id.ok_or_else(|| Failure::NotReady(Seen::garbage(what)))
}

impl Running<'_> {
    /// Gives bytes to the command's standard input.
    pub(super) async fn send(&self, data: &[u8], end: bool) -> Result<(), Failure> {
        let request = Request::Send {
            shell: &self.shell,
            command: &self.command,
            data,
            end,
        };
        self.shells.endpoint.call(request).await.map(drop)
    }

    /// Hands output over until the command ends.
    pub(super) async fn follow(self, output: &mut dyn Output) -> ExitStatus {
        let mut shown = Shown::default();
        let status = loop {
            if let Some(status) = self.next(&mut shown, output).await {
                break status;
            }
        };
        self.end(status).await;
        status
    }

    /// Waits for output and hands it over; the status once the command has
    /// ended or is lost.
    pub(super) async fn next(
        &self,
        shown: &mut Shown,
        output: &mut dyn Output,
    ) -> Option<ExitStatus> {
        let received = match self.receive().await {
            Ok(Some(answer)) => soap::received(&answer),
            Ok(None) => return None,
            Err(failure) => {
                tracing::debug!("a WinRM command was lost: {failure:?}");
                None
            }
        };
        let Some(received) = received else {
            shown.finish(output);
            return Some(ExitStatus::Disconnected);
        };
        for (stream, data) in received.output {
            shown.push(stream, &data, output);
        }
        let code = received.exit_code?;
        shown.finish(output);
        Some(ExitStatus::Code(code))
    }

    /// None when nothing happened for a while.
    async fn receive(&self) -> Result<Option<Element>, Failure> {
        let request = Request::Receive {
            shell: &self.shell,
            command: &self.command,
        };
        match self.shells.endpoint.call(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Failure::Fault(fault)) if fault.is_operation_timeout() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Ends the shell; one on a machine that is lost has gone with it.
    pub(super) async fn end(self, status: ExitStatus) {
        let is_there = status != ExitStatus::Disconnected;
        if is_there {
            self.shells.delete(&self.shell).await;
        }
        self.shells.lock().retain(|shell| *shell != self.shell);
    }
}

/// Both streams, cut into lines.
#[derive(Default)]
pub(super) struct Shown {
    stdout: Lines,
    stderr: Lines,
    errors: ErrorText,
}

impl Shown {
    fn push(&mut self, stream: Stream, data: &[u8], output: &mut dyn Output) {
        match stream {
            Stream::Stdout => self.stdout.push(data, |piece| piece.show(stream, output)),
            Stream::Stderr => {
                let errors = &mut self.errors;
                self.stderr.push(data, |piece| errors.show(piece, output));
            }
        }
    }

    fn finish(&mut self, output: &mut dyn Output) {
        let errors = &mut self.errors;
        self.stdout
            .finish(|piece| piece.show(Stream::Stdout, output));
        self.stderr.finish(|piece| errors.show(piece, output));
    }
}
