//! Scripts on the machine: Packer's `shell` provisioner.
//!
//! For each script: upload, start, remove; all scripts use the same path on
//! the machine. Uploading and starting are one step that is tried again while
//! no connection can be made, so that a script may restart the machine.
//! Differences from Packer: inline commands never touch this machine's disk,
//! the mode is set with the upload, and the files are removed after a failure
//! too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{
    Context, Limit, Show, check_exit_code, communicator_of, duration_text, environment,
    inline_script, late,
};
use crate::communicator::{Communicator, ExitStatus, Output};
use crate::engine::event::Stream;
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::Shell;
use crate::template::source::{Span, Spanned};

/// Packer's `execute_command`; it makes the script executable by itself.
const DEFAULT_EXECUTE_COMMANDS: [&str; 2] = [
    "chmod +x {{.Path}}; {{.Vars}} {{.Path}}",
    "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}",
];

/// Time between two tries to upload and start.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Limit for removing files after a failure.
const LAST_CLEANUP: Duration = Duration::from_secs(10);

const SCRIPT_MODE: u32 = 0o755;
const ENV_FILE_MODE: u32 = 0o600;

/// Runs all scripts of a `shell` provisioner.
pub(super) async fn run(shell: &Shell, cx: &Context<'_>, limit: Limit) -> Result<()> {
    let communicator = communicator_of(cx, "shell")?;
    let mut session = Session {
        shell,
        cx,
        communicator,
        script_path: script_path(shell),
        env_file: None,
        leftovers: Vec::new(),
    };
    let work = async { cx.stop.race(session.provision()).await? };
    let result = limit.apply(cx, work).await;
    if let Err(error) = &result {
        session.clean_after(error).await;
    }
    result
}

/// What one run of the provisioner keeps on the machine.
struct Session<'a> {
    shell: &'a Shell,
    cx: &'a Context<'a>,
    communicator: &'a dyn Communicator,
    script_path: String,
    env_file: Option<String>,
    /// Files that may be on the machine.
    leftovers: Vec<String>,
}

/// A script before its upload.
enum Script<'a> {
    Inline(Vec<u8>),
    File(&'a Spanned<PathBuf>),
}

impl Session<'_> {
    async fn provision(&mut self) -> Result<()> {
        let Self { shell, cx, .. } = *self;
        let scripts = scripts(shell, cx)?;
        let variables = environment::flatten(&shell.environment, &shell.env_var_format, cx.data);
        if shell.use_env_var_file {
            self.upload_env_file(&variables).await?;
        }
        let command = self.execute_command(&variables)?;
        for script in &scripts {
            self.run_script(script, &command).await?;
        }
        self.remove_env_file().await?;
        if !shell.pause_after.is_zero() {
            let pause = duration_text(shell.pause_after);
            cx.events
                .say(format!("Pausing {pause} after this provisioner..."));
            cx.stop.sleep(shell.pause_after).await?;
        }
        Ok(())
    }

    fn execute_command(&self, variables: &str) -> Result<String> {
        let env_file = self.env_file.as_deref().unwrap_or_default();
        let fields = late::fields([
            ("Vars", variables),
            ("Path", &self.script_path),
            ("EnvVarFile", env_file),
        ]);
        late::render(&self.shell.execute_command, &fields, self.cx.data)
            .map_err(|error| error.context("Could not render `execute_command`"))
    }

    async fn upload_env_file(&mut self, variables: &str) -> Result<()> {
        let number = rand::random_range(0..9999);
        let path = format!("{}/varfile_{number}.sh", self.shell.remote_folder);
        self.leftovers.push(path.clone());
        let start = Instant::now();
        let bytes = variables.as_bytes();
        loop {
            let uploaded = upload_bytes(self.communicator, bytes, &path, ENV_FILE_MODE)
                .await
                .map_err(|error| error.context("Could not upload the environment"));
            if self.settle(start, uploaded).await?.is_some() {
                break;
            }
        }
        self.env_file = Some(path);
        Ok(())
    }

    async fn run_script(&mut self, script: &Script<'_>, command: &str) -> Result<()> {
        self.cx.events.say(format!(
            "Provisioning with shell script: {}",
            script.display()
        ));
        if !self.leftovers.contains(&self.script_path) {
            self.leftovers.push(self.script_path.clone());
        }
        let start = Instant::now();
        let status = loop {
            let ended = self.upload_and_start(script, command).await;
            if let Some(status) = self.settle(start, ended).await? {
                break status;
            }
        };
        self.check(status)
            .map_err(|error| error.at(script.span()))?;
        if !self.shell.skip_clean {
            let path = self.script_path.clone();
            self.remove(&path).await?;
        }
        Ok(())
    }

    /// One try; the script is uploaded again each time because the machine
    /// may have been restarted and lost it.
    async fn upload_and_start(&self, script: &Script<'_>, command: &str) -> Result<ExitStatus> {
        let Self { shell, cx, .. } = self;
        script
            .upload(self.communicator, &self.script_path, shell.binary)
            .await?;
        if !DEFAULT_EXECUTE_COMMANDS.contains(&shell.execute_command.as_str()) {
            // An upload may be subject to the umask of the machine, and a
            // command of the user may run the script as somebody else.
            let chmod = format!("chmod 0755 {}", self.script_path);
            connected(self.communicator.exec(&chmod, &mut Discard).await?)?;
        }
        self.communicator
            .exec(command, &mut Show::new(cx.events))
            .await
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if status == ExitStatus::Disconnected && self.shell.expect_disconnect {
            return Ok(());
        }
        check_exit_code(status.code(), &self.shell.valid_exit_codes).map_err(|error| match status {
            ExitStatus::Code(_) => error,
            ExitStatus::Disconnected => disconnected(),
        })
    }

    async fn remove_env_file(&mut self) -> Result<()> {
        match self.env_file.take() {
            Some(path) if !self.shell.skip_clean => self.remove(&path).await,
            _ => Ok(()),
        }
    }

    async fn remove(&mut self, path: &str) -> Result<()> {
        let command = format!("rm -f {path}");
        let start = Instant::now();
        let code = loop {
            let status = self.communicator.exec(&command, &mut Discard).await;
            let code = status.and_then(connected).map_err(|error| {
                error.context(format!("Could not remove temporary script at {path}"))
            });
            if let Some(code) = self.settle(start, code).await? {
                break code;
            }
        };
        if code != 0 {
            let message =
                format!("Could not remove temporary script at {path}: exit status {code}");
            return Err(Error::new(Kind::Provision, message));
        }
        self.leftovers.retain(|leftover| leftover != path);
        Ok(())
    }

    /// Removes what is left on the machine, if it can still be reached. The
    /// failure that led here is the one to report, so others are passed over.
    async fn clean_after(&mut self, error: &Error) {
        let unreachable = matches!(error.kind(), Kind::Connect | Kind::Cancelled);
        if unreachable || self.shell.skip_clean || self.leftovers.is_empty() {
            return;
        }
        let command = format!("rm -f {}", self.leftovers.join(" "));
        let mut discard = Discard;
        let removing = self.communicator.exec(&command, &mut discard);
        let _ = self
            .cx
            .stop
            .within(LAST_CLEANUP, "removing files", removing)
            .await;
    }

    /// The value of a step that began at `start`; none when it shall be tried
    /// again, which is while no connection can be made, for
    /// `start_retry_timeout`.
    async fn settle<T>(&self, start: Instant, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let stop = self.cx.stop;
        let time_left = stop.clock().elapsed(start) < self.shell.start_retry_timeout;
        if error.kind() != Kind::Connect || !time_left {
            return Err(error);
        }
        stop.sleep(RETRY_DELAY).await?;
        Ok(None)
    }
}

impl Script<'_> {
    fn display(&self) -> String {
        match self {
            Self::Inline(_) => "inline".to_owned(),
            Self::File(path) => path.value.display().to_string(),
        }
    }

    fn span(&self) -> Option<Span> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => path.span,
        }
    }

    async fn upload(&self, communicator: &dyn Communicator, to: &str, binary: bool) -> Result<()> {
        let uploaded = match self {
            Self::Inline(script) if binary => {
                upload_bytes(communicator, script, to, SCRIPT_MODE).await
            }
            Self::Inline(script) => {
                upload_bytes(communicator, &unix_lines(script), to, SCRIPT_MODE).await
            }
            Self::File(path) if binary => upload_file(communicator, &path.value, to).await,
            Self::File(path) => {
                let script = tokio::fs::read(&path.value)
                    .await
                    .map_err(|error| unreadable(&path.value, error))?;
                upload_bytes(communicator, &unix_lines(&script), to, SCRIPT_MODE).await
            }
        };
        uploaded.map_err(|error| error.context(format!("Could not upload script to {to}")))
    }
}

fn scripts<'a>(shell: &'a Shell, cx: &Context<'_>) -> Result<Vec<Script<'a>>> {
    let mut scripts: Vec<_> = shell.scripts.iter().map(Script::File).collect();
    if !shell.inline.is_empty() {
        let script = inline_script(
            &shell.inline,
            &shell.inline_shebang,
            shell.inline_shebang_is_set,
            cx.data,
        )?;
        scripts.push(Script::Inline(script.into_bytes()));
    }
    Ok(scripts)
}

fn script_path(shell: &Shell) -> String {
    if let Some(path) = &shell.remote_path {
        return path.clone();
    }
    let generated = || format!("script_{}.sh", rand::random_range(0..9999));
    let file = shell.remote_file.clone().unwrap_or_else(generated);
    format!("{}/{file}", shell.remote_folder)
}

async fn upload_bytes(
    communicator: &dyn Communicator,
    mut bytes: &[u8],
    to: &str,
    mode: u32,
) -> Result<()> {
    let size = bytes.len() as u64;
    communicator.upload(&mut bytes, size, to, Some(mode)).await
}

async fn upload_file(communicator: &dyn Communicator, path: &Path, to: &str) -> Result<()> {
    let mut file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(path, error))?;
    let metadata = file
        .metadata()
        .await
        .map_err(|error| unreadable(path, error))?;
    communicator
        .upload(&mut file, metadata.len(), to, Some(SCRIPT_MODE))
        .await
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not read {}", path.display())).with_source(error)
}

/// CRLF becomes LF.
fn unix_lines(text: &[u8]) -> Vec<u8> {
    let next = text.iter().skip(1).map(Some).chain([None]);
    text.iter()
        .zip(next)
        .filter(|pair| *pair != (&b'\r', Some(&b'\n')))
        .map(|(byte, _)| *byte)
        .collect()
}

/// The exit code of a step of ours, which is tried again after a disconnect.
fn connected(status: ExitStatus) -> Result<u32> {
    match status {
        ExitStatus::Code(code) => Ok(code),
        ExitStatus::Disconnected => Err(Error::new(Kind::Connect, "The connection was lost")),
    }
}

fn disconnected() -> Error {
    let message = "Script disconnected unexpectedly. If you expected your script to disconnect, \
         i.e. from a restart, you can try adding \"expect_disconnect\": true or \
         \"valid_exit_codes\": [0, 2300218] to the shell provisioner parameters.";
    Error::new(Kind::Connect, message)
}

/// Output of commands that are ours, not the user's.
struct Discard;

impl Output for Discard {
    fn line(&mut self, _: Stream, _: &[u8]) {}
}
