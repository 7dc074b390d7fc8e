//! Running what the template says on and beside the machine.
//!
//! ```text
//! run ── retries, continue_on_error
//!  └─ attempt ── pause_before
//!      └─ shell │ file │ powershell │ … ── each within its Limit
//! ```
//!
//! Behaviour: Packer's provisioners and their meta keys. One difference:
//! `timeout` also counts when `pause_before` is set (Packer ignores it then).
//! Not here: which provisioners run and with what options; `plan` knows.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::communicator::{Communicator, Show};
use crate::engine::event::Events;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result, one_line};
use crate::plan::provisioner as plan;
use crate::process::Environment;

mod ansible;
mod ansible_local;
mod breakpoint;
mod environment;
mod file;
mod galaxy;
pub(crate) mod late;
mod powershell;
mod shell;
pub(crate) mod shell_local;
mod windows_restart;
mod windows_script;
mod windows_shell;

/// What every provisioner and post-processor may use.
#[derive(Clone)]
pub struct Context<'a> {
    /// Where output goes.
    pub events: &'a Events,
    /// When to stop.
    pub stop: &'a Stop,
    /// The machine; none with `communicator: none`.
    pub communicator: Option<&'a dyn Communicator>,
    /// Facts for `{{ build `ID` }}`, `{{.Host}}` and the environment.
    pub data: &'a BuildData,
    /// What processes on this machine find in their environment.
    pub environment: &'a Environment,
}

/// Facts about a running build, Packer's names to values.
#[derive(Debug, Clone, Default)]
pub struct BuildData {
    /// The build's name, of which there is one in a run.
    pub name: String,
    /// The name that templates and scripts see; several builds may share it.
    pub build_name: String,
    /// The builder's type.
    pub builder_type: String,
    /// The run's id.
    pub run_id: String,
    /// `ID`, `Host`, `Port`, `User`, `Password`, `ConnType`, `SSHPublicKey`,
    /// `SSHPrivateKey`, `PackerRunUUID`, …
    pub values: BTreeMap<String, String>,
    /// How WinRM is used, if it is.
    pub winrm: Option<crate::plan::communicator::Winrm>,
    /// Whether the user forced (`-force`), for the manifest.
    pub force: bool,
}

/// Looks for what provisioners need on this machine, before a build makes
/// anything.
///
/// # Errors
/// [`Kind::Io`] when a program is missing.
pub fn preflight<'a>(
    provisioners: impl IntoIterator<Item = &'a plan::Provisioner>,
    environment: &Environment,
) -> Result<()> {
    for provisioner in provisioners {
        if let plan::Kind::Ansible(ansible) = &provisioner.kind {
            ansible::preflight(ansible, environment).map_err(|error| error.at(provisioner.span))?;
        }
    }
    Ok(())
}

/// Runs a provisioner as its meta keys say: after a pause, within its limit,
/// again after a failure.
///
/// # Errors
/// The failure of the last try, unless the template says to continue. Being
/// stopped is never tried again nor passed over.
pub async fn run(provisioner: &plan::Provisioner, cx: &Context<'_>) -> Result<()> {
    let error = match run_with_retries(provisioner, cx).await {
        Ok(()) => return Ok(()),
        Err(error) => error.at(provisioner.span),
    };
    if !provisioner.meta.continue_on_error || is_stopped(&error, cx) {
        return Err(error);
    }
    cx.events.warn(format!(
        "Provisioner failed with {:?}, but continue_on_error is set; continuing the build.",
        one_line(&error)
    ));
    Ok(())
}

async fn run_with_retries(provisioner: &plan::Provisioner, cx: &Context<'_>) -> Result<()> {
    let mut left = provisioner.meta.max_retries;
    loop {
        let error = match attempt(provisioner, cx).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if is_stopped(&error, cx) {
            return Err(error);
        }
        if left == 0 {
            if provisioner.meta.max_retries > 0 {
                cx.events.say("retry limit reached.");
            }
            return Err(error);
        }
        cx.events.say(format!(
            "Provisioner failed with {:?}, retrying with {left} trie(s) left",
            one_line(&error)
        ));
        left -= 1;
    }
}

async fn attempt(provisioner: &plan::Provisioner, cx: &Context<'_>) -> Result<()> {
    let plan::Provisioner { meta, kind, .. } = provisioner;
    if !meta.pause_before.is_zero() {
        let pause = duration_text(meta.pause_before);
        cx.events
            .say(format!("Pausing {pause} before the next provisioner..."));
        cx.stop.sleep(meta.pause_before).await?;
    }
    let limit = Limit::new(meta.timeout, kind.type_name());
    if let Some(timeout) = limit.duration {
        let timeout = duration_text(timeout);
        cx.events.say(format!(
            "Setting a {timeout} timeout for the next provisioner..."
        ));
    }
    dispatch(kind, cx, limit).await
}

async fn dispatch(kind: &plan::Kind, cx: &Context<'_>, limit: Limit) -> Result<()> {
    match kind {
        plan::Kind::Shell(shell) => shell::run(shell, cx, limit).await,
        plan::Kind::File(file) => limit.apply(cx, file::run(file, cx)).await,
        plan::Kind::ShellLocal(local) => limit.apply(cx, shell_local::run(local, cx)).await,
        plan::Kind::PowerShell(script) => powershell::run(script, cx, limit).await,
        plan::Kind::WindowsShell(batch) => windows_shell::run(batch, cx, limit).await,
        plan::Kind::WindowsRestart(restart) => windows_restart::run(restart, cx, limit).await,
        plan::Kind::Sleep(duration) => limit.apply(cx, cx.stop.sleep(*duration)).await,
        plan::Kind::Ansible(it) => limit.apply(cx, ansible::run(it, cx)).await,
        plan::Kind::AnsibleLocal(it) => limit.apply(cx, ansible_local::run(it, cx)).await,
        plan::Kind::Breakpoint(it) => limit.apply(cx, breakpoint::run(it, cx)).await,
    }
}

/// Whether the failure comes from being told to stop.
fn is_stopped(error: &Error, cx: &Context<'_>) -> bool {
    error.kind() == Kind::Cancelled || cx.stop.is_stopped()
}

/// How long one try of a provisioner may take.
#[derive(Debug, Clone, Copy)]
struct Limit {
    duration: Option<Duration>,
    type_name: &'static str,
}

impl Limit {
    /// No limit when the duration is zero.
    fn new(duration: Duration, type_name: &'static str) -> Self {
        Self {
            duration: (!duration.is_zero()).then_some(duration),
            type_name,
        }
    }

    /// The future's result, or [`Kind::Timeout`] when the limit passed first.
    async fn apply<T>(
        self,
        cx: &Context<'_>,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(duration) = self.duration else {
            return future.await;
        };
        if let Some(result) = cx.stop.clock().timeout(duration, future).await {
            return result;
        }
        cx.events.warn("Cancelling provisioner after a timeout...");
        let Self { type_name, .. } = self;
        let limit = duration_text(duration);
        Err(Error::new(
            Kind::Timeout,
            format!("Provisioner {type_name} was not done after its timeout of {limit}"),
        )
        .with_hint("Raise `timeout` of the provisioner if it needs longer"))
    }
}

/// The machine, or why there is none.
fn communicator_of<'a>(cx: &Context<'a>, type_name: &str) -> Result<&'a dyn Communicator> {
    cx.communicator.ok_or_else(|| {
        Error::new(
            Kind::Provision,
            format!("Provisioner {type_name} needs a connection, but `communicator` is \"none\""),
        )
        .with_hint("Set `communicator` to \"ssh\", or use `shell-local`, which needs no connection")
    })
}

/// Fails unless the exit code is among those that mean success.
fn check_exit_code(code: u32, valid: &[u32]) -> Result<()> {
    let valid = if valid.is_empty() { &[0] } else { valid };
    if valid.contains(&code) {
        return Ok(());
    }
    let valid: Vec<_> = valid.iter().map(u32::to_string).collect();
    Err(Error::new(
        Kind::Provision,
        format!(
            "Script exited with non-zero exit status: {code}. Allowed exit codes are: [{}]",
            valid.join(" ")
        ),
    ))
}

/// One script of all inline commands, each rendered with the build's facts.
/// It has no shebang when the first command brings one and the user did not
/// ask for another.
fn inline_script(
    commands: &[String],
    shebang: &str,
    shebang_is_set: bool,
    data: &BuildData,
) -> Result<String> {
    let brings_own = commands.first().is_some_and(|line| line.starts_with("#!"));
    let mut script = String::new();
    if !shebang.is_empty() && (shebang_is_set || !brings_own) {
        script = format!("#!{shebang}\n");
    }
    for (number, command) in (1..).zip(commands) {
        let command = late::render(command, &late::Fields::new(), data)
            .map_err(|error| error.context(format!("Could not render inline command {number}")))?;
        script.push_str(&command);
        script.push('\n');
    }
    Ok(script)
}

/// A duration as Go writes it: `1h15m0s`, `5s`, `1.5s`, `300ms`.
fn duration_text(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{duration:?}");
    }
    let minutes = duration.as_secs() / 60;
    let seconds = duration - Duration::from_secs(minutes * 60);
    let seconds = seconds.as_secs_f64();
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests;
