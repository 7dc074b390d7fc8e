//! Scripts on this machine: Packer's `shell-local`, as provisioner and as
//! post-processor.
//!
//! Differences from Packer: the processes do not see cloud keys and CI tokens
//! (see `process`), and end with all they started when the run is stopped.

use std::path::Path;

use tempfile::TempPath;

use super::{Context, Show, check_exit_code, environment, inline_script, late};
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::ShellLocal;
use crate::process;

/// Runs all scripts of a `shell-local`.
///
/// # Errors
/// When a script cannot be started or ends with an exit code that does not
/// mean success.
pub(crate) async fn run(local: &ShellLocal, cx: &Context<'_>) -> Result<()> {
    if !runs_here(&local.only_on) {
        cx.events.say("Skipping shell-local due to runtime OS");
        return Ok(());
    }
    let variables = environment::flatten(&local.environment, &local.env_var_format, cx.data);
    for script in &local.scripts {
        run_script(local, &callable(&script.value), &variables, cx)
            .await
            .map_err(|error| error.at(script.span))?;
    }
    if !local.inline.is_empty() {
        let script = write_inline(local, cx)?;
        run_script(local, &script.to_string_lossy(), &variables, cx).await?;
    }
    Ok(())
}

async fn run_script(
    local: &ShellLocal,
    script: &str,
    variables: &str,
    cx: &Context<'_>,
) -> Result<()> {
    let (program, arguments) = execute_command(local, script, variables, cx)?;
    cx.events
        .say(format!("Running local shell script: {script}"));
    let command = process::Command {
        program,
        arguments,
        environment: cx.environment,
        variables: packer_variables(cx),
    };
    let code = process::run(&command, cx.stop, &mut Show::new(cx.events))
        .await
        .map_err(|error| match error.kind() {
            Kind::Cancelled => error,
            _ => error.context(format!("Error executing script: {script}")),
        })?;
    check_exit_code(code, &local.valid_exit_codes).map_err(|error| match code {
        126 => error.with_hint(format!("Make it executable: chmod +x {script}")),
        _ => error,
    })
}

/// The program and its arguments, each rendered by itself.
fn execute_command(
    local: &ShellLocal,
    script: &str,
    variables: &str,
    cx: &Context<'_>,
) -> Result<(String, Vec<String>)> {
    let fields = late::fields([
        ("Vars", variables),
        ("Script", script),
        ("Path", script),
        ("Command", script),
    ]);
    let mut words = local
        .execute_command
        .iter()
        .map(|word| late::render(word, &fields, cx.data))
        .collect::<Result<Vec<_>>>()
        .map_err(|error| error.context("Could not render `execute_command`"))?;
    if words.is_empty() {
        return Err(Error::new(
            Kind::Provision,
            "The `execute_command` is empty",
        ));
    }
    if words.len() == 1 {
        // A single word is a command line, as post-processors once had it.
        words.splice(0..0, ["sh".to_owned(), "-c".to_owned()]);
    }
    let program = words.remove(0);
    Ok((program, words))
}

fn packer_variables(cx: &Context<'_>) -> Vec<(String, String)> {
    let mut variables = environment::of_packer(cx.data);
    variables.push(("PACKER_RUN_UUID".to_owned(), cx.data.run_id.clone()));
    variables
}

fn write_inline(local: &ShellLocal, cx: &Context<'_>) -> Result<TempPath> {
    let script = inline_script(
        &local.inline,
        &local.inline_shebang,
        local.inline_shebang_is_set,
        cx.data,
    )?;
    let suffix = match local.tempfile_extension.trim_start_matches('.') {
        "" => String::new(),
        extension => format!(".{extension}"),
    };
    process::write_script(script.as_bytes(), &suffix).map_err(|error| {
        Error::new(Kind::Io, "Could not write a temporary script").with_source(error)
    })
}

/// A path that a shell runs as it is: a bare name would be looked up in
/// `PATH`.
pub(super) fn callable(script: &Path) -> String {
    let text = script.to_string_lossy();
    match text.contains('/') {
        true => text.into_owned(),
        false => format!("./{text}"),
    }
}

pub(super) fn runs_here(only_on: &[String]) -> bool {
    let here = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    only_on.is_empty() || only_on.iter().any(|name| name == here)
}
