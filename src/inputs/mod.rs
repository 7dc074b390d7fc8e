//! What the user asked for: the only place that reads argv and environment.
//!
//! `cli` says what may be typed; this module resolves it, with environment
//! variables, the inputs of the GitHub action and defaults, into the settings
//! that the rest of the program takes. It reads no file but the event that
//! triggered a workflow, and creates nothing.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;

use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::error::{Error, Kind, Result};

pub mod action;
pub mod ci;
mod command;
mod credentials;
pub mod env;
mod github;
pub mod reference;
mod resolve;
mod spelling;
mod variables;

pub use command::{
    BuildArgs, CleanupArgs, CleanupScope, CloseCheckRunArgs, CloudArgs, Command, DiskAction,
    DiskArgs, Endpoints, GuardArgs, ImportArgs, InspectArgs, MatrixArgs, MergeArgs, SandboxArgs,
    TemplateArgs, ValidateArgs, VariableInputs, WhoamiArgs,
};
pub use env::Environment;
pub use resolve::fallback_settings;

/// Reads argv and environment of this process.
pub fn from_process() -> (Vec<OsString>, Environment) {
    let environment = Environment {
        variables: std::env::vars_os().collect(),
        directory: std::env::current_dir().ok(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
    };
    (std::env::args_os().collect(), environment)
}

/// What the user asked for. The first argument is the program's name, which
/// chooses between the command line and the two entry points of the GitHub
/// action.
///
/// # Errors
/// [`Kind::Usage`] when it cannot be understood.
pub fn resolve(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Command> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    match program_name(&arguments).as_str() {
        action::MAIN_PROGRAM => action::main(environment),
        action::POST_PROGRAM => action::post(environment),
        _ => command_line(arguments, environment),
    }
}

fn program_name(arguments: &[OsString]) -> String {
    arguments
        .first()
        .and_then(|program| Path::new(program).file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn command_line(arguments: Vec<OsString>, environment: &Environment) -> Result<Command> {
    match Cli::try_parse_from(spelling::normalize(arguments)) {
        Ok(cli) => resolve::command(cli.command, environment),
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            Ok(Command::Print(error.to_string()))
        }
        Err(error) => Err(usage_error(&error)),
    }
}

/// Clap's message in the form of our errors: its tips become hints.
fn usage_error(error: &clap::Error) -> Error {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::new(Kind::Usage, "No command was given")
            .with_hint("Run `alicloud-image --help` for commands and options");
    }
    let rendered = error.to_string();
    let text = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let message: Vec<_> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let hints = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    let error = hints.fold(
        Error::new(Kind::Usage, capitalized(&message.join(" "))),
        Error::with_hint,
    );
    error.with_hint("Run `alicloud-image --help` for commands and options")
}

fn capitalized(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// The definitions of the command line, for completions and documentation.
pub fn definitions() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
