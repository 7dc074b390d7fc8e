//! A stop until somebody presses Enter: Packer's `breakpoint`.
//!
//! Difference from Packer: where nobody can press it – standard input is no
//! terminal, or `CI` is set – the build goes on with a warning, instead of
//! failing or waiting for ever.

use std::io::{self, IsTerminal as _};
use std::sync::LazyLock;
use std::thread;

use tokio::sync::{Mutex, watch};

use super::{Context, late};
use crate::error::Result;
use crate::plan::provisioner::Breakpoint;
use crate::process::Environment;

/// Held by the build that asks, so that each question gets its own answer.
static QUESTION: Mutex<()> = Mutex::const_new(());

/// What was typed so far. Reading a terminal cannot be stopped, so one thread
/// does it for the whole run; it ends with the program, which does not wait
/// for it.
static TYPED: LazyLock<watch::Sender<Typed>> = LazyLock::new(|| {
    thread::spawn(read_lines);
    watch::Sender::default()
});

#[derive(Default)]
struct Typed {
    lines: u64,
    has_ended: bool,
}

fn read_lines() {
    let lines = io::stdin().lines();
    for _ in lines.map_while(io::Result::ok) {
        TYPED.send_modify(|typed| typed.lines += 1);
    }
    TYPED.send_modify(|typed| typed.has_ended = true);
}

/// Waits for Enter, if somebody is there.
pub(super) async fn run(breakpoint: &Breakpoint, cx: &Context<'_>) -> Result<()> {
    if breakpoint.disable {
        cx.events
            .say("Breakpoint provisioner disabled; continuing...");
        return Ok(());
    }
    let note = shown(breakpoint, cx)?;
    if !has_audience(io::stdin().is_terminal(), cx.environment) {
        cx.events.warn(format!(
            "Not pausing at breakpoint provisioner{note}: nobody can press Enter here"
        ));
        return Ok(());
    }
    cx.stop.race(ask(&note, cx)).await
}

/// The note; it may say where the machine is (``{{ build `Host` }}``).
fn shown(breakpoint: &Breakpoint, cx: &Context<'_>) -> Result<String> {
    let Some(note) = &breakpoint.note else {
        return Ok(String::new());
    };
    late::render(note, &late::Fields::new(), cx.data)
        .map(|note| format!(" with note {note:?}"))
        .map_err(|error| error.context("Could not render `note`"))
}

/// Whether somebody watches: there is a terminal, and it is not one that a CI
/// system gives to its jobs.
fn has_audience(is_terminal: bool, environment: &Environment) -> bool {
    let ci = environment.get("CI").unwrap_or_default();
    is_terminal && (ci.is_empty() || ci == "false" || ci == "0")
}

async fn ask(note: &str, cx: &Context<'_>) {
    let _alone = QUESTION.lock().await;
    let mut typed = TYPED.subscribe();
    let before = typed.borrow_and_update().lines;
    cx.events
        .say(format!("Pausing at breakpoint provisioner{note}."));
    cx.events.say("Press enter to continue.");
    // The sender is never dropped. A terminal that is gone is an answer too.
    let _ = typed
        .wait_for(|typed| typed.has_ended || typed.lines > before)
        .await;
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, World};
    use super::*;

    #[test]
    fn a_terminal_in_ci_is_nobody() {
        for (terminal, ci, expected) in [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("false"), true),
            (true, Some("true"), false),
            (true, Some("1"), false),
            (false, None, false),
        ] {
            let environment = Environment::for_children(ci.map(|value| ("CI", value)));
            assert_eq!(has_audience(terminal, &environment), expected, "{ci:?}");
        }
    }

    #[test]
    fn a_note_may_name_the_machine() {
        let world = World::new(Fake::default());
        for (note, expected) in [
            (None, ""),
            (Some("look at {{build `ID`}}"), " with note \"look at i-1\""),
        ] {
            let breakpoint = Breakpoint {
                note: note.map(str::to_owned),
                disable: false,
            };
            assert_eq!(shown(&breakpoint, &world.context()).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_disabled_breakpoint_says_so() {
        let world = World::new(Fake::default());
        let breakpoint = Breakpoint {
            note: None,
            disable: true,
        };
        run(&breakpoint, &world.context()).await.unwrap();
        let said = "say Breakpoint provisioner disabled; continuing...";
        assert_eq!(world.events(), [said]);
    }
}
