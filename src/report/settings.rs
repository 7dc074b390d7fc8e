//! How a run is shown.

use std::path::PathBuf;

use super::review::Review;
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
    /// The CI system to write for, if any.
    pub ci: Option<System>,
    /// Where the results go: JSON when the name ends with `.json`, else
    /// `KEY=VALUE` lines.
    pub output_files: Vec<PathBuf>,
    /// Where the run's manifest goes.
    pub manifest: Option<PathBuf>,
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

/// A CI system, and what it wants to be told.
#[derive(Debug, Clone)]
pub enum System {
    /// GitHub Actions, and Gitea and Forgejo, which imitate it.
    GitHub(GitHub),
    /// GitLab CI.
    GitLab(GitLab),
    /// Azure Pipelines.
    Azure(Azure),
}

impl System {
    /// The repository the job is for, which its resources are tagged with.
    pub fn repository(&self) -> Option<&str> {
        let repository = match self {
            Self::GitHub(github) => &github.repository,
            Self::GitLab(gitlab) => &gitlab.project,
            Self::Azure(azure) => &azure.repository,
        };
        repository.as_deref()
    }

    /// The system's id of the run, which its resources are tagged with.
    pub fn run(&self) -> Option<&str> {
        let run = match self {
            Self::GitHub(github) => &github.summary.run,
            Self::GitLab(gitlab) => &gitlab.pipeline,
            Self::Azure(azure) => &azure.build,
        };
        run.as_deref()
    }
}

/// What to write for GitHub Actions.
#[derive(Debug, Clone, Default)]
pub struct GitHub {
    /// The repository (`GITHUB_REPOSITORY`).
    pub repository: Option<String>,
    /// File of step outputs (`GITHUB_OUTPUT`).
    pub output: Option<PathBuf>,
    /// File of facts for the post step (`GITHUB_STATE`).
    pub state: Option<PathBuf>,
    /// The job summary (`GITHUB_STEP_SUMMARY`).
    pub summary: Page,
    /// Whether findings become annotations.
    pub annotations: bool,
    /// What annotations' paths are relative to.
    pub workspace: Workspace,
    /// Where a page for GitHub's API is left, if one is wanted.
    pub review: Option<Review>,
}

/// What to write for GitLab CI. Its outputs are those of `--output-file`.
#[derive(Debug, Clone, Default)]
pub struct GitLab {
    /// The project's path (`CI_PROJECT_PATH`).
    pub project: Option<String>,
    /// The pipeline (`CI_PIPELINE_ID`).
    pub pipeline: Option<String>,
    /// File for `artifacts:reports:codequality`, with the findings.
    pub code_quality: Option<PathBuf>,
    /// File for `artifacts:reports:annotations`, with links to the images.
    pub links: Option<PathBuf>,
    /// What the findings' paths are relative to.
    pub workspace: Workspace,
}

/// What to write for Azure Pipelines.
#[derive(Debug, Clone, Default)]
pub struct Azure {
    /// The repository (`BUILD_REPOSITORY_NAME`).
    pub repository: Option<String>,
    /// The build (`BUILD_BUILDID`).
    pub build: Option<String>,
    /// The page that is attached to the run.
    pub summary: Page,
    /// Whether findings become issues of the run.
    pub annotations: bool,
    /// What the findings' paths are relative to.
    pub workspace: Workspace,
}

/// A job summary.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its file, unless there is to be none.
    pub path: Option<PathBuf>,
    /// GitHub's workflow run, for a link to it.
    pub run: Option<String>,
    /// The commit.
    pub commit: Option<String>,
}

/// Where the sources are.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// The directory that the system knows sources from.
    pub root: Option<PathBuf>,
    /// The directory that the template's path is relative to, as seen from
    /// the root.
    pub directory: PathBuf,
}
