//! How a run is shown.

use std::path::PathBuf;

use crate::secret::Secret;

/// How a run is shown.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What goes to standard output.
    pub format: Format,
    /// Whether text has colours.
    pub color: bool,
    /// Whether each line of text begins with the time.
    pub timestamps: bool,
    /// 0 for Packer's amount of text; 1 adds steps and resources; from 2 on
    /// the log of API calls is wanted on standard error.
    pub verbose: u8,
    /// What to write for GitHub Actions, if anything.
    pub github: Option<GitHub>,
    /// Where `KEY=VALUE` lines of the results go.
    pub output_file: Option<PathBuf>,
    /// Whether leftovers are a failure.
    pub fail_on_leftovers: bool,
    /// Values that are hidden from the first line on.
    pub secrets: Vec<Secret>,
}

/// What goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// Packer's lines of comma-separated values.
    MachineReadable,
    /// One JSON object per event; text goes to standard error.
    Json,
}

/// What to write for GitHub Actions.
#[derive(Debug, Clone, Default)]
pub struct GitHub {
    /// File of step outputs (`GITHUB_OUTPUT`).
    pub output: Option<PathBuf>,
    /// File of facts for the post step (`GITHUB_STATE`).
    pub state: Option<PathBuf>,
    /// File of the job summary (`GITHUB_STEP_SUMMARY`), unless switched off.
    pub summary: Option<PathBuf>,
    /// Whether findings become annotations.
    pub annotations: bool,
    /// What annotations' paths are relative to.
    pub workspace: Option<PathBuf>,
    /// The directory that the template's path is relative to, as seen from
    /// the workspace.
    pub directory: PathBuf,
    /// The workflow run, for a link to it.
    pub run_id: Option<String>,
    /// The commit.
    pub commit: Option<String>,
}
