//! Batch files on the machine: Packer's `windows-shell` provisioner.
//!
//! For each script: upload and start; all use the same path on the machine,
//! and the last one stays there. Difference from Packer: inline commands never
//! touch this machine's disk, and have the line ends that `cmd` needs.

use super::windows_script::{self, Retry, Script};
use super::{Context, Limit, Show, communicator_of, environment, late};
use crate::communicator::{Communicator, ExitStatus};
use crate::error::Result;
use crate::plan::provisioner::WindowsShell;

/// Runs all scripts of a `windows-shell` provisioner.
pub(super) async fn run(options: &WindowsShell, cx: &Context<'_>, limit: Limit) -> Result<()> {
    let communicator = communicator_of(cx, "windows-shell")?;
    let work = async {
        let work = run_scripts(options, communicator, cx);
        cx.stop.race(work).await?
    };
    limit.apply(cx, work).await
}

async fn run_scripts(
    options: &WindowsShell,
    communicator: &dyn Communicator,
    cx: &Context<'_>,
) -> Result<()> {
    let scripts = windows_script::scripts(&options.inline, &options.scripts, cx)?;
    let variables = environment::flatten_quoted(
        &options.environment,
        &options.env_var_format,
        cx.data,
        str::to_owned,
    );
    let fields = late::fields([("Vars", &variables), ("Path", &options.remote_path)]);
    let command = late::render(&options.execute_command, &fields, cx.data)
        .map_err(|error| error.context("Could not render `execute_command`"))?;
    cx.events.say("Provisioning with windows-shell...");
    for script in &scripts {
        run_script(options, communicator, cx, script, &command)
            .await
            .map_err(|error| error.at(script.span()))?;
    }
    Ok(())
}

async fn run_script(
    options: &WindowsShell,
    communicator: &dyn Communicator,
    cx: &Context<'_>,
    script: &Script<'_>,
    command: &str,
) -> Result<()> {
    cx.events.say(format!(
        "Provisioning with shell script: {}",
        script.display()
    ));
    let content = script.content().await?;
    let retry = Retry::within(options.start_retry_timeout);
    let status = loop {
        let ended = upload_and_start(options, communicator, cx, &content, command).await;
        if let Some(status) = retry.settle(cx, ended).await? {
            break status;
        }
    };
    windows_script::check_end(status, &options.valid_exit_codes)
}

async fn upload_and_start(
    options: &WindowsShell,
    communicator: &dyn Communicator,
    cx: &Context<'_>,
    content: &[u8],
    command: &str,
) -> Result<ExitStatus> {
    windows_script::upload(communicator, content, &options.remote_path).await?;
    communicator.exec(command, &mut Show::new(cx.events)).await
}
