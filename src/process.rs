//! Child processes on this machine: started in a process group of their own,
//! followed line by line, never left behind.
//!
//! The environment comes as data (only `inputs` reads the real one) and is
//! without the keys of the cloud and of the CI runner. Not here: what is run
//! and why; see `provisioner::shell_local`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::Instant;

use crate::communicator::Output;
use crate::engine::event::Stream;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

mod guard;

pub use guard::Guard;

/// Names of variables no child process gets: keys that Alibaba Cloud's tools
/// and Packer read, and tokens of the CI runner.
const DROPPED: &[&str] = &[
    "ACCESS_KEY_ID",
    "ACCESS_KEY_SECRET",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_RUNTIME_TOKEN",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "ALIBABA_CLOUD_OIDC_TOKEN",
    "ALICLOUD_CREDENTIALS_URI",
    "ALICLOUD_IMAGE_GITHUB_TOKEN",
    "CI_JOB_TOKEN",
    "OSS_ACCESS_KEY_ID",
    "OSS_ACCESS_KEY_SECRET",
    "OSS_SESSION_TOKEN",
    "SECURITY_TOKEN",
];

/// The families of names that are Alibaba Cloud's.
const CLOUD_PREFIXES: &[&str] = &["ALIBABA_CLOUD_", "ALIBABACLOUD_", "ALICLOUD_"];

/// What holds a key in each of these families.
const CLOUD_KEYS: &[&str] = &[
    "ACCESS_KEY",
    "ACCESS_KEY_ID",
    "ACCESS_KEY_SECRET",
    "SECRET_KEY",
    "SECURITY_TOKEN",
];

/// A longer line is handed over in pieces of this many bytes.
const MAX_LINE: usize = 64 * 1024;

/// How long a child may take to end after it was asked to.
const TERMINATION_GRACE: Duration = Duration::from_secs(1);

/// How long output is still awaited after the child has ended, because a
/// process it left in the background may hold the pipe open for ever.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// A file that is open for writing while another thread forks cannot be
/// executed ("Text file busy"): whoever writes a script or forks holds this.
static FORK: Mutex<()> = Mutex::new(());

/// The variables that child processes get.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The given variables without those that hold keys: cloud credentials,
    /// tokens of the CI runner, and `INPUT_*`, the inputs of an action.
    pub fn for_children<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let all = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(all.filter(|(name, _)| !is_dropped(name)).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.0.iter();
        variables.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl fmt::Debug for Environment {
    /// Names only: any value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn is_dropped(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let is_cloud_key = CLOUD_PREFIXES
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .any(|rest| CLOUD_KEYS.contains(&rest));
    // What the action was given, and what its main step left for the post step.
    let is_of_action = ["INPUT_", "STATE_"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    is_cloud_key || is_of_action || DROPPED.contains(&name)
}

/// A program to run, with its arguments and variables.
#[derive(Debug)]
pub struct Command<'a> {
    /// The program, looked up in `PATH` when it has no slash.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: &'a Environment,
    /// Further variables, which replace those of the environment.
    pub variables: Vec<(String, String)>,
}

/// Where a program is that [`run`] would start, if it is anywhere.
pub fn find(program: &str, environment: &Environment) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    let path = environment.get("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(path).map(|directory| directory.join(program));
    candidates.find(is_program)
}

/// Runs a program to its end and hands its output over while it runs. Its
/// standard input is empty and its directory is ours.
///
/// Gives the exit code, 128 + n when signal n killed it. When the run is
/// stopped, the program and everything it started are ended first; when the
/// future is dropped, or this process is killed, they are killed at once.
///
/// # Errors
/// [`Kind::Io`] when it cannot be started or followed, [`Kind::Cancelled`]
/// when the run was stopped.
pub async fn run(command: &Command<'_>, stop: &Stop, output: &mut dyn Output) -> Result<u32> {
    let mut child = spawn(command)
        .map_err(|error| io_error(format!("Could not start `{}`", command.program), error))?;
    let mut group = Group::of(&child);
    let _guard = Guard::over_group(&child);
    let followed = tokio::select! {
        biased;
        () = stop.stopped() => {
            group.end(&mut child, stop).await;
            return Err(Error::cancelled());
        }
        followed = follow(&mut child, output) => followed,
    };
    let status = followed
        .map_err(|error| io_error(format!("Lost track of `{}`", command.program), error))?;
    group.leave();
    Ok(exit_code(status))
}

/// Writes a script that only we may read and execute into the directory for
/// temporary files. It is deleted when the result is dropped.
///
/// # Errors
/// When the file cannot be written.
pub fn write_script(content: &[u8], suffix: &str) -> io::Result<TempPath> {
    let _fork = FORK.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = tempfile::Builder::new()
        .prefix("packer-shell")
        .suffix(suffix)
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempfile()?;
    file.write_all(content)?;
    Ok(file.into_temp_path())
}

fn spawn(command: &Command<'_>) -> io::Result<Child> {
    let _fork = FORK.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::process::Command::new(Path::new(&command.program))
        .args(&command.arguments)
        .env_clear()
        .envs(&command.environment.0)
        .envs(command.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn io_error(message: String, source: io::Error) -> Error {
    Error::new(Kind::Io, message).with_source(source)
}

fn exit_code(status: ExitStatus) -> u32 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u32::try_from(code).unwrap_or(u32::MAX)
}

/// The process group of a child; killed on drop unless it was left alone.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        // The child leads its group, so the group has its number.
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Asks the group to end, then kills what remains.
    async fn end(&mut self, child: &mut Child, stop: &Stop) {
        self.signal(Signal::TERM);
        stop.clock().timeout(TERMINATION_GRACE, child.wait()).await;
        self.signal(Signal::KILL);
        self.leave();
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The only failure is that nobody is left to get it.
            let _ = kill_process_group(group, signal);
        }
    }

    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Reads both pipes until the child has ended and they are empty.
async fn follow(child: &mut Child, output: &mut dyn Output) -> io::Result<ExitStatus> {
    let mut stdout = Pipe::new(child.stdout.take(), Stream::Stdout);
    let mut stderr = Pipe::new(child.stderr.take(), Stream::Stderr);
    let mut ended = None;
    let mut until = None;
    while ended.is_none() || stdout.is_open() || stderr.is_open() {
        tokio::select! {
            // In this order, so that what is there is read before we give up.
            biased;
            read = stderr.read(), if stderr.is_open() => stderr.take(&read, output),
            read = stdout.read(), if stdout.is_open() => stdout.take(&read, output),
            status = child.wait(), if ended.is_none() => {
                ended = Some(status?);
                // Real time: what the kernel does is not scaled.
                until = Some(Instant::now() + DRAIN_GRACE);
            }
            () = sleep_until(until), if until.is_some() => break,
        }
    }
    stdout.finish(output);
    stderr.finish(output);
    ended.ok_or_else(|| io::Error::other("it did not end"))
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// One output stream of a child.
struct Pipe<R> {
    reader: Option<R>,
    buffer: Vec<u8>,
    lines: Lines,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(reader: Option<R>, stream: Stream) -> Self {
        Self {
            reader,
            buffer: vec![0; 16 * 1024],
            lines: Lines::new(stream),
        }
    }

    fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    async fn read(&mut self) -> io::Result<usize> {
        match &mut self.reader {
            Some(reader) => reader.read(&mut self.buffer).await,
            None => Ok(0),
        }
    }

    /// Takes what [`Pipe::read`] gave; its end or an error closes the pipe.
    fn take(&mut self, read: &io::Result<usize>, output: &mut dyn Output) {
        match read {
            Ok(count) if *count > 0 => self.lines.push(&self.buffer[..*count], output),
            _ => self.reader = None,
        }
    }

    fn finish(&mut self, output: &mut dyn Output) {
        self.lines.finish(output);
    }
}

/// Cuts bytes into lines at `\n`, `\r\n` and `\r` (progress displays), with a
/// limit to what is kept of a line without end.
struct Lines {
    stream: Stream,
    pending: Vec<u8>,
    /// The beginning of the line was handed over.
    is_rest: bool,
    after_return: bool,
}

impl Lines {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            pending: Vec::new(),
            is_rest: false,
            after_return: false,
        }
    }

    fn push(&mut self, mut bytes: &[u8], output: &mut dyn Output) {
        while let Some(&first) = bytes.first() {
            if self.after_return && first == b'\n' {
                bytes = &bytes[1..];
            }
            self.after_return = false;
            bytes = self.push_line(bytes, output);
        }
    }

    /// Takes bytes up to the next end of a line or the limit; gives the rest.
    fn push_line<'b>(&mut self, bytes: &'b [u8], output: &mut dyn Output) -> &'b [u8] {
        let room = MAX_LINE - self.pending.len();
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        match end {
            Some(end) if end <= room => {
                self.pending.extend_from_slice(&bytes[..end]);
                self.after_return = bytes[end] == b'\r';
                self.emit(output);
                self.is_rest = false;
                &bytes[end + 1..]
            }
            _ => {
                let taken = bytes.len().min(room);
                self.pending.extend_from_slice(&bytes[..taken]);
                if taken == room {
                    self.emit(output);
                    self.is_rest = true;
                }
                &bytes[taken..]
            }
        }
    }

    fn finish(&mut self, output: &mut dyn Output) {
        if !self.pending.is_empty() {
            self.emit(output);
        }
    }

    fn emit(&mut self, output: &mut dyn Output) {
        match self.is_rest {
            true => output.rest_of_line(self.stream, &self.pending),
            false => output.line(self.stream, &self.pending),
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    /// Collects lines; may stop the run at a given line.
    #[derive(Default)]
    struct Collect {
        lines: Vec<(Stream, String)>,
        stop_at: Option<(&'static str, Stop)>,
    }

    impl Output for Collect {
        fn line(&mut self, stream: Stream, line: &[u8]) {
            let line = String::from_utf8_lossy(line).into_owned();
            if let Some((text, stop)) = &self.stop_at
                && *text == line
            {
                stop.stop();
            }
            self.lines.push((stream, line));
        }
    }

    impl Collect {
        fn texts(&self) -> Vec<&str> {
            self.lines.iter().map(|(_, line)| line.as_str()).collect()
        }
    }

    fn sh<'a>(script: &str, environment: &'a Environment) -> Command<'a> {
        Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment,
            variables: vec![("ADDED".into(), "yes".into())],
        }
    }

    #[test]
    fn keys_and_tokens_are_dropped() {
        for (name, kept) in [
            ("PATH", true),
            ("ALICLOUD_REGION", true),
            ("ALIBABA_CLOUD_REGION_ID", true),
            ("INPUTRC", true),
            ("GITHUB_OUTPUT", true),
            ("ALICLOUD_ACCESS_KEY", false),
            ("ALICLOUD_SECRET_KEY", false),
            ("ALICLOUD_SECURITY_TOKEN", false),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", false),
            ("ALIBABACLOUD_ACCESS_KEY_SECRET", false),
            ("SECURITY_TOKEN", false),
            ("ACCESS_KEY_SECRET", false),
            ("ALIBABA_CLOUD_OIDC_TOKEN", false),
            ("OSS_SESSION_TOKEN", false),
            ("INPUT_ACCESS-KEY", false),
            ("ACTIONS_RUNTIME_TOKEN", false),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", false),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", false),
            ("ALIBABA_CLOUD_CREDENTIALS_URI", false),
            ("STATE_journal", false),
            ("ALICLOUD_IMAGE_GITHUB_TOKEN", false),
            ("GITHUB_TOKEN", true),
        ] {
            let environment = Environment::for_children([(name, "v")]);
            assert_eq!(environment.get(name).is_some(), kept, "{name}");
        }
    }

    #[test]
    fn debug_hides_values() {
        let environment = Environment::for_children([("NAME", "hunter2")]);
        assert_eq!(format!("{environment:?}"), "{\"NAME\"}");
    }

    #[test]
    fn lines_are_cut_and_bounded() {
        let long = "x".repeat(MAX_LINE + 3);
        for (pieces, expected) in [
            (vec!["a\nb"], vec!["a", "b"]),
            (vec!["a\r", "\nb\r\n"], vec!["a", "b"]),
            (vec!["1%\r2%\r"], vec!["1%", "2%"]),
            (vec!["\n\n"], vec!["", ""]),
            (vec!["", "a", "b\n"], vec!["ab"]),
            (vec![&long, "\n"], vec![&long[..MAX_LINE], "xxx"]),
        ] {
            let mut output = Collect::default();
            let mut lines = Lines::new(Stream::Stdout);
            for piece in &pieces {
                lines.push(piece.as_bytes(), &mut output);
            }
            lines.finish(&mut output);
            assert_eq!(output.texts(), expected);
        }
    }

    #[tokio::test]
    async fn output_environment_and_exit_code_arrive() {
        let stop = Stop::new(Clock::default());
        let environment = Environment::for_children([("GIVEN", "g"), ("SECURITY_TOKEN", "t")]);
        let mut output = Collect::default();
        let script = "echo \"$GIVEN $ADDED $SECURITY_TOKEN.\"; printf part >&2; exit 7";
        let code = run(&sh(script, &environment), &stop, &mut output).await;
        assert_eq!(code.unwrap(), 7);
        output.lines.sort_by_key(|(_, line)| line.clone());
        assert_eq!(
            output.lines,
            [
                (Stream::Stdout, "g yes .".to_owned()),
                (Stream::Stderr, "part".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn a_signal_is_128_and_more() {
        let stop = Stop::new(Clock::default());
        let environment = Environment::default();
        let code = run(
            &sh("kill -9 $$", &environment),
            &stop,
            &mut Collect::default(),
        )
        .await;
        assert_eq!(code.unwrap(), 137);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let environment = Environment::default();
        let mut command = sh("", &environment);
        command.program = "/nonexistent/program".into();
        let stop = Stop::new(Clock::default());
        let error = run(&command, &stop, &mut Collect::default()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert_eq!(error.to_string(), "Could not start `/nonexistent/program`");
    }

    #[tokio::test]
    async fn a_stop_ends_the_whole_group() {
        let stop = Stop::new(Clock::default());
        let environment = Environment::for_children([("PATH", "/usr/bin:/bin")]);
        let mut output = Collect {
            stop_at: Some(("ready", stop.clone())),
            ..Collect::default()
        };
        // The group's grandchild would hold the pipe open for an hour.
        let script = "sleep 3600 & echo $!; echo ready; wait";
        let error = run(&sh(script, &environment), &stop, &mut output).await;
        assert_eq!(error.unwrap_err().kind(), Kind::Cancelled);
        let grandchild: i32 = output.lines[0].1.parse().unwrap();
        assert_ends(grandchild).await;
    }

    #[tokio::test]
    async fn a_dropped_run_kills_the_whole_group() {
        let stop = Stop::new(Clock::default());
        let environment = Environment::for_children([("PATH", "/usr/bin:/bin")]);
        let mut output = Collect {
            stop_at: Some(("ready", stop.clone())),
            ..Collect::default()
        };
        let script = "sleep 3600 & echo $!; echo ready; wait";
        let cleanup = stop.for_cleanup();
        let command = sh(script, &environment);
        let outcome = stop.race(run(&command, &cleanup, &mut output));
        assert_eq!(outcome.await.unwrap_err().kind(), Kind::Cancelled);
        let grandchild: i32 = output.lines[0].1.parse().unwrap();
        assert_ends(grandchild).await;
    }

    #[tokio::test]
    async fn a_background_process_does_not_hold_us() {
        let stop = Stop::new(Clock::default());
        let environment = Environment::for_children([("PATH", "/usr/bin:/bin")]);
        let mut output = Collect::default();
        let script = "sleep 3600 & echo $!";
        let code = run(&sh(script, &environment), &stop, &mut output).await;
        assert_eq!(code.unwrap(), 0);
        let background = Pid::from_raw(output.lines[0].1.parse().unwrap()).unwrap();
        rustix::process::kill_process(background, Signal::KILL).unwrap();
    }

    /// Waits until a process is gone or only waits to be collected.
    async fn assert_ends(id: i32) {
        let stat = format!("/proc/{id}/stat");
        let ended = async {
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, ended).await.unwrap();
    }
}
