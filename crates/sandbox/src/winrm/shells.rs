//! Shells, the commands in them, and their streams.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::computer::Computer;
use super::console::{self, Session};
use super::soap::{self, Action, Envelope, Fault};

/// Most output in one answer; clients allow 150 KiB after encoding.
const MOST_OUTPUT: usize = 64 * 1024;

pub(crate) fn new_id() -> String {
    let id: u128 = rand::random();
    let hex = format!("{id:032X}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// All shells of one machine since it booted.
#[derive(Default)]
pub(crate) struct Shells(Mutex<BTreeMap<String, Shell>>);

#[derive(Default)]
struct Shell {
    variables: Vec<(String, String)>,
    directory: Option<String>,
    commands: BTreeMap<String, Arc<Command>>,
}

/// A command and what it has said that nobody has fetched yet.
struct Command {
    output: Mutex<Output>,
    changes: watch::Sender<()>,
    input: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit_code: Option<i32>,
}

impl Drop for Command {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Command {
    fn abort(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Output)) {
        change(&mut lock(&self.output));
        self.changes.send_replace(());
    }
}

impl Shells {
    /// Ends everything, as when the power goes.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Answers one message.
    pub(crate) async fn answer(
        &self,
        computer: &Arc<Computer>,
        message: &Envelope,
    ) -> Result<String, Fault> {
        let id = message.message_id();
        match message.action()? {
            Action::Create => Ok(soap::created(id, &self.create(message))),
            Action::Command => Ok(soap::command_started(id, &self.command(computer, message)?)),
            Action::Send => self.send(message).map(|()| soap::sent(id)),
            Action::Receive => self.receive(message).await,
            Action::Signal => self.signal(message).map(|()| soap::signalled(id)),
            Action::Delete => {
                let shell = lock(&self.0).remove(message.shell_id()?);
                shell.ok_or(Fault::SELECTORS)?;
                Ok(soap::deleted(id))
            }
        }
    }

    fn create(&self, message: &Envelope) -> String {
        let asked = message.body.shell.as_ref();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let shell = Shell {
            variables: asked.map_or_else(Vec::new, |it| it.variables().map(owned).collect()),
            directory: asked.and_then(|it| it.directory()).map(str::to_owned),
            commands: BTreeMap::new(),
        };
        let id = new_id();
        lock(&self.0).insert(id.clone(), shell);
        id
    }

    fn command(&self, computer: &Arc<Computer>, message: &Envelope) -> Result<String, Fault> {
        let asked = message.body.command_line.as_ref().ok_or(Fault::MALFORMED)?;
        let mut shells = lock(&self.0);
        let shell = shells
            .get_mut(message.shell_id()?)
            .ok_or(Fault::SELECTORS)?;
        let (input, reader) = mpsc::unbounded_channel();
        let command = Arc::new(Command {
            output: Mutex::default(),
            changes: watch::Sender::new(()),
            input: Mutex::new(Some(input)),
            task: Mutex::new(None),
        });
        let session = Session::new(
            computer,
            &shell.variables,
            shell.directory.as_deref(),
            reader,
        );
        let task = tokio::spawn(run(Arc::downgrade(&command), session, asked.line()));
        *lock(&command.task) = Some(task.abort_handle());
        let id = asked.id.clone().unwrap_or_else(new_id);
        shell.commands.insert(id.clone(), command);
        Ok(id)
    }

    fn send(&self, message: &Envelope) -> Result<(), Fault> {
        let send = message.body.send.as_ref().ok_or(Fault::MALFORMED)?;
        for stream in &send.streams {
            let command = self.find(message, stream.command.as_deref())?;
            let data = stream.data()?;
            if lock(&command.output).exit_code.is_some() {
                return Err(Fault::COMMAND);
            }
            let mut input = lock(&command.input);
            // A command that reads nothing has closed its end.
            input
                .as_ref()
                .and_then(|input| input.send(data).ok())
                .ok_or(Fault::COMMAND)?;
            if stream.is_last() {
                *input = None;
            }
        }
        Ok(())
    }

    async fn receive(&self, message: &Envelope) -> Result<String, Fault> {
        let receive = message.body.receive.as_ref().ok_or(Fault::MALFORMED)?;
        let id = receive.stream.command.as_deref();
        let command = self.find(message, id)?;
        let mut changes = command.changes.subscribe();
        let limit = Duration::from_secs_f64(message.timeout().clamp(0.5, 600.0));
        let something = async {
            loop {
                {
                    let output = lock(&command.output);
                    let is_silent = output.stdout.is_empty() && output.stderr.is_empty();
                    if !is_silent || output.exit_code.is_some() {
                        return;
                    }
                }
                // The sender lives as long as the command, which is ours.
                let _ = changes.changed().await;
            }
        };
        let waited = tokio::time::timeout(limit, something).await;
        waited.map_err(|_| Fault::TIMEOUT)?;
        let mut output = lock(&command.output);
        let stdout = take(&mut output.stdout);
        let stderr = take(&mut output.stderr);
        let is_all = output.stdout.is_empty() && output.stderr.is_empty();
        Ok(soap::received(
            message.message_id(),
            id.unwrap_or_default(),
            [&stdout, &stderr],
            output.exit_code.filter(|_| is_all),
        ))
    }

    fn signal(&self, message: &Envelope) -> Result<(), Fault> {
        let signal = message.body.signal.as_ref().ok_or(Fault::MALFORMED)?;
        let command = self.find(message, Some(&signal.command))?;
        command.abort();
        command.change(|output| {
            output.exit_code.get_or_insert(-1_073_741_510);
        });
        Ok(())
    }

    fn find(&self, message: &Envelope, command: Option<&str>) -> Result<Arc<Command>, Fault> {
        let shells = lock(&self.0);
        let shell = shells.get(message.shell_id()?).ok_or(Fault::SELECTORS)?;
        let found = command.and_then(|id| shell.commands.get(id));
        found.cloned().ok_or(Fault::COMMAND)
    }
}

/// Runs a command; what it says arrives while it runs.
async fn run(command: std::sync::Weak<Command>, mut session: Session, line: String) {
    let (said, mut lines) = mpsc::unbounded_channel::<console::Said>();
    session.attach(said);
    let running = async move {
        let code = session.run(&line).await;
        // The channel of what was said closes with the session.
        drop(session);
        code
    };
    let fetching = async {
        while let Some(said) = lines.recv().await {
            let Some(command) = command.upgrade() else {
                return;
            };
            command.change(|output| match said {
                console::Said::Out(bytes) => output.stdout.extend(bytes),
                console::Said::Err(bytes) => output.stderr.extend(bytes),
            });
        }
    };
    let (code, ()) = tokio::join!(running, fetching);
    if let Some(command) = command.upgrade() {
        command.change(|output| output.exit_code = Some(code));
    }
}

fn take(buffer: &mut Vec<u8>) -> Vec<u8> {
    let count = buffer.len().min(MOST_OUTPUT);
    buffer.drain(..count).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
