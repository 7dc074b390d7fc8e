//! What runs on and beside the machine, and what becomes of its output.

use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::template::{provisioned, web};

mod ansible;
mod breakpoint;
mod meta;
mod output;
mod post_process;
mod shell;
mod transfer;

/// Builds `web` with these provisioners.
async fn provision(lab: &Lab, provisioners: Value) -> Outcome {
    lab.build(&provisioned(web(json!({})), provisioners)).await
}

/// Asserts that the machine, or a script beside it, said these lines.
#[track_caller]
fn assert_said(outcome: &Outcome, lines: &[&str]) {
    for line in lines {
        let shown = format!("    web: {line}\n");
        assert!(
            outcome.stdout.contains(&shown),
            "{line:?} is not in:\n{}",
            outcome.text()
        );
    }
}
