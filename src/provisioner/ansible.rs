//! Ansible on this machine, against the instance: Packer's `ansible`.
//!
//! ```text
//! ansible-playbook ── ssh ── adapter on 127.0.0.1 ── communicator ── machine
//!        └─ or directly, with `use_proxy: false` and with WinRM
//! ```
//!
//! Differences from Packer: `user` is by default that of the connection; SFTP
//! and newer versions of `scp` work through the adapter without options; the
//! user's `known_hosts` is left alone; passwords never stand in arguments; and
//! with WinRM the connection is direct unless the template says otherwise. Not
//! here: the adapter (`communicator::ssh::adapter`), Ansible in the instance
//! (`ansible_local`).

use std::path::Path;

use self::access::Access;
use self::place::Place;
use super::galaxy;
use super::{Context, Show, communicator_of, late};
use crate::communicator::ssh::adapter::Adapter;
use crate::engine::event::EventKind;
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::{Ansible, Galaxy};
use crate::process::{self, Environment};
use crate::secret::Secret;

mod access;
mod arguments;
mod inventory;
mod place;

/// Exit code of `ansible-playbook` when it could not connect to the machine.
const UNREACHABLE: u32 = 4;

/// Whether Ansible is there.
///
/// # Errors
/// [`Kind::Io`] when it is not.
pub(super) fn preflight(ansible: &Ansible, environment: &Environment) -> Result<()> {
    if ansible.skip_version_check {
        return Ok(());
    }
    let galaxy = ansible.galaxy.as_ref().map(|galaxy| &galaxy.command);
    for program in [&ansible.command].into_iter().chain(galaxy) {
        if process::find(program, environment).is_none() {
            let message = format!("There is no program `{program}`");
            return Err(Error::new(Kind::Io, message)
                .with_hint("Install Ansible, for example with `pip install ansible-core`, or set `command` to its path")
                .with_hint("Set `skip_version_check` if an earlier provisioner installs it"));
        }
    }
    Ok(())
}

/// Runs the playbook.
pub(super) async fn run(ansible: &Ansible, cx: &Context<'_>) -> Result<()> {
    let communicator = communicator_of(cx, "ansible")?;
    cx.events.say("Provisioning with Ansible...");
    let place = Place::new()?;
    if !access::needs_adapter(ansible, cx)? {
        let access = Access::direct(ansible, &place, cx)?;
        return play(ansible, &access, &place, cx).await;
    }
    cx.events
        .message("Setting up proxy adapter for Ansible....");
    let adapter = Adapter::listen(&ansible.adapter).await?;
    let access = Access::through(&adapter, ansible, &place, cx)?;
    tokio::select! {
        biased;
        played = play(ansible, &access, &place, cx) => played,
        error = adapter.serve(communicator) => Err(error),
    }
}

async fn play(ansible: &Ansible, access: &Access, place: &Place, cx: &Context<'_>) -> Result<()> {
    let inventory = inventory::write(&ansible.inventory, access, place, cx)?;
    let variables = arguments::environment(ansible, access, cx)?;
    if let Some(galaxy) = &ansible.galaxy {
        install(galaxy, &variables, cx).await?;
    }
    let arguments = arguments::of_playbook(ansible, access, inventory.path(), cx)?;
    hide_secrets(&arguments, cx);
    let shown = arguments.join(" ");
    cx.events
        .say(format!("Executing Ansible: {} {shown}", ansible.command));
    let code = execute(&ansible.command, arguments, variables, cx).await?;
    check_code("Ansible", code)
}

/// Installs roles and collections.
async fn install(galaxy: &Galaxy, variables: &[(String, String)], cx: &Context<'_>) -> Result<()> {
    let contents = galaxy::contents(&galaxy.file)?;
    for (wanted, arguments) in [
        (contents.roles, arguments::of_roles(galaxy)),
        (contents.collections, arguments::of_collections(galaxy)),
    ] {
        if wanted {
            cx.events.message("Executing Ansible Galaxy");
            let code = execute(&galaxy.command, arguments, variables.to_vec(), cx).await?;
            check_code("Ansible Galaxy", code)?;
        }
    }
    Ok(())
}

async fn execute(
    program: &str,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    cx: &Context<'_>,
) -> Result<u32> {
    let command = process::Command {
        program: program.to_owned(),
        arguments,
        environment: cx.environment,
        variables,
    };
    process::run(&command, cx.stop, &mut Show::new(cx.events)).await
}

fn check_code(what: &str, code: u32) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    let message = format!("Error executing {what}: Non-zero exit status: {code}");
    let error = Error::new(Kind::Provision, message);
    Err(match code {
        UNREACHABLE => error.with_hint(
            "Ansible could not connect; `extra_arguments: [\"-vvvv\"]` shows what its `ssh` said",
        ),
        _ => error,
    })
}

/// Keeps what `password=…` and `secret=…` say out of sight.
fn hide_secrets(arguments: &[String], cx: &Context<'_>) {
    for secret in arguments::secrets(arguments) {
        cx.events.emit(EventKind::Secret(Secret::new(secret)));
    }
}

/// A path as an argument.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
