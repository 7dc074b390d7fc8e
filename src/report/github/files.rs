//! Step outputs and state, written as each fact becomes known: the runner
//! reads the files also after a cancelled step.

use std::path::PathBuf;

use super::super::Renderer;
use super::super::entry::{Entry, EntryKind, Start};
use super::super::outputs::{Outputs, append};
use super::super::settings::GitHub;

/// Writes `GITHUB_OUTPUT` and `GITHUB_STATE`.
pub(super) struct Files {
    output: Option<PathBuf>,
    state: Option<PathBuf>,
    outputs: Outputs,
}

impl Files {
    pub(super) fn new(settings: &GitHub, manifest: Option<PathBuf>) -> Self {
        Self {
            output: settings.output.clone(),
            state: settings.state.clone(),
            outputs: Outputs::relative_to(settings.workspace.root.clone()).with_manifest(manifest),
        }
    }

    /// The post step finds these as `STATE_journal` and so on.
    fn write_state(&self, start: &Start) {
        let facts = [
            ("journal", start.journal.as_deref()),
            ("run", Some(start.run_id.as_str())),
            ("region", start.region.as_deref()),
        ];
        let known = facts
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let text: String = known.map(|(key, value)| assignment(key, value)).collect();
        append(self.state.as_deref(), &text);
    }

    /// The later value wins: the post step has nothing to do for a check run
    /// that has its result.
    fn write_check_run(&self, state: &str) {
        append(self.state.as_deref(), &assignment("check_run", state));
    }

    fn write_outputs(&self, is_last: bool) {
        let fields = self.outputs.fields().into_iter();
        let known = fields.filter(|(_, value)| is_last || !value.is_empty());
        let text: String = known
            .map(|(name, value)| assignment(name, &value))
            .collect();
        append(self.output.as_deref(), &text);
    }
}

impl Renderer for Files {
    fn render(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.write_state(start),
            EntryKind::CheckRun { state, .. } => self.write_check_run(state),
            _ => {}
        }
        if self.outputs.take(entry) {
            self.write_outputs(matches!(entry.kind, EntryKind::RunFinished(_)));
        }
    }
}

/// The form for any value. The delimiter is random so that no value can end
/// its own assignment and begin another.
fn assignment(name: &str, value: &str) -> String {
    let delimiter = format!("ghadelimiter_{}", uuid::Uuid::new_v4());
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}
