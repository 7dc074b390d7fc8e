//! QEMU (or swtpm) while a build runs: it outlives neither the build nor this
//! process, and what it says on standard error is kept for the error.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::program::Program;
use crate::error::{Error, Kind, Result};
use crate::process::Environment;
use crate::process::Guard;

/// How many lines are kept.
const LINES: usize = 30;

/// How long its last words may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long it may take to end after it has closed its sockets.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A program in the background, killed when it is dropped.
pub(super) struct Process {
    name: String,
    child: tokio::sync::Mutex<Child>,
    /// Let go once the child has ended.
    guard: Mutex<Option<Guard>>,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Process {
    /// Starts it, in a process group of its own, so that a Ctrl-C at the
    /// terminal reaches only us.
    pub(super) fn start(
        program: &Program,
        arguments: &[String],
        environment: &Environment,
    ) -> Result<Self> {
        let mut child = program
            .command(environment)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| program.cannot_start(error))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take().map(BufReader::new);
        let listener = stderr.map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&said))));
        Ok(Self {
            name: program.name(),
            guard: Mutex::new(Guard::over(&child)),
            child: tokio::sync::Mutex::new(child),
            said,
            listener: tokio::sync::Mutex::new(listener),
        })
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) -> Result<ExitStatus> {
        let status = self.child.lock().await.wait().await.map_err(|error| {
            Error::new(Kind::Io, format!("Lost track of `{}`", self.name)).with_source(error)
        })?;
        self.let_guard_go();
        if let Some(listener) = self.listener.lock().await.take() {
            // A child of its own may hold the pipe open.
            let _ = tokio::time::timeout(LAST_WORDS, listener).await;
        }
        Ok(status)
    }

    /// Whether it still runs.
    pub(super) fn is_running(&self) -> bool {
        match self.child.try_lock() {
            Ok(mut child) => self.look(&mut child).is_none(),
            // Somebody waits for its end.
            Err(_) => true,
        }
    }

    /// Ends it at once.
    pub(super) async fn kill(&self) {
        // The only failure is that it has ended already.
        let _ = self.child.lock().await.kill().await;
        self.let_guard_go();
    }

    /// The error of a program that ended too early, with its last words.
    pub(super) fn ended_early(&self, status: ExitStatus) -> Error {
        let said = self.said();
        let message = match said.lines().rfind(|line| !line.is_empty()) {
            None => format!("`{}` ended with {status} and said nothing", self.name),
            Some(last) => format!("`{}` ended with {status}: {last}", self.name),
        };
        Error::new(Kind::Io, message)
    }

    /// What it said last on standard error.
    pub(super) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Whether it ends as it should within a moment: its sockets go first.
    pub(super) async fn succeeds_soon(&self) -> bool {
        let ended = tokio::time::timeout(END_LIMIT, self.ended()).await;
        matches!(ended, Ok(Ok(status)) if status.success())
    }

    /// The future's output, unless the program ends first.
    pub(super) async fn while_running<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            output = work => output,
            status = self.ended() => Err(self.ended_early(status?)),
        }
    }

    /// How it ended, if it has.
    fn look(&self, child: &mut Child) -> Option<ExitStatus> {
        let status = child.try_wait().ok().flatten()?;
        self.let_guard_go();
        Some(status)
    }

    fn let_guard_go(&self) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        drop(guard.take());
    }
}

async fn listen(stderr: impl tokio::io::AsyncBufRead + Unpin, said: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = stderr.split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.pop_front();
        }
        said.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Process {
        let environment = Environment::for_children([("PATH", "/usr/bin:/bin")]);
        let program = Program::find("sh", &environment).unwrap();
        Process::start(&program, &["-c".into(), script.into()], &environment).unwrap()
    }

    #[tokio::test]
    async fn an_early_end_comes_with_its_last_words() {
        let process = sh("for i in $(seq 40); do echo line $i >&2; done; exit 3");
        let never = std::future::pending::<Result<()>>();
        let error = process.while_running(never).await.unwrap_err();
        let message = error.message();
        assert_eq!(message, "`sh` ended with exit status: 3: line 40");
        let said = process.said();
        assert!(
            said.starts_with("line 11\n") && said.ends_with("line 40"),
            "{said}"
        );
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn a_running_program_can_be_ended() {
        let process = sh("exec sleep 3600");
        assert!(process.is_running());
        let ready = std::future::ready(Ok(5));
        assert_eq!(process.while_running(ready).await.unwrap(), 5);
        process.kill().await;
        assert!(!process.is_running());
        assert!(!process.ended().await.unwrap().success());
    }
}
