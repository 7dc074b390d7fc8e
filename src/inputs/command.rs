//! The resolved commands: every choice made, nothing left to look up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{ConfigType, Delays, Page, Scheduler, Signature};
use crate::cloud::credential::{Ambient, Profiles};
use crate::github;
use crate::plan::OnError;
use crate::process;
use crate::report::Settings;

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    /// Build the images of a template.
    Build(Box<BuildArgs>),
    /// Check a template.
    Validate(Box<ValidateArgs>),
    /// Print the least RAM policy a template needs.
    Policy(Box<ValidateArgs>),
    /// Print what a template would build.
    Plan(Box<ValidateArgs>),
    /// Show a template.
    Inspect(Box<InspectArgs>),
    /// Leave the journals of other steps to the post step of this one.
    Guard(Box<GuardArgs>),
    /// Import a disk image.
    Import(Box<ImportArgs>),
    /// Print a template's legs.
    Matrix(Box<MatrixArgs>),
    /// Join the results of legs.
    Merge(Box<MergeArgs>),
    /// Delete what an interrupted run left behind.
    Cleanup(Box<CleanupArgs>),
    /// Give a check run that an interrupted run left open its result.
    CloseCheckRun(Box<CloseCheckRunArgs>),
    /// Show whose keys are used.
    Whoami(Box<WhoamiArgs>),
    /// Look at a disk image or convert it.
    Disk(Box<DiskArgs>),
    /// Run the simulated cloud.
    Sandbox(SandboxArgs),
    /// Print the version.
    Version {
        /// As Packer's lines of comma-separated values.
        machine_readable: bool,
    },
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print a generated page of the documentation.
    Docs(Page),
    /// Print this text, if any, and succeed: help, and commands that have
    /// nothing to do.
    Print(String),
}

/// `build`.
#[derive(Debug)]
pub struct BuildArgs {
    /// The template and its variables.
    pub template: TemplateArgs,
    /// How to reach Alibaba Cloud.
    pub cloud: CloudArgs,
    /// How the run is shown.
    pub report: Settings,
    /// Replace an image that has the same name.
    pub force: bool,
    /// What happens to temporary resources after a failed step.
    pub on_error: OnError,
    /// How many builds run at the same time; none for all.
    pub parallel_builds: Option<usize>,
    /// The run's own deadline, nominal.
    pub deadline: Option<Duration>,
    /// When `cleanup --expired` may delete what this run creates.
    pub resource_ttl: Duration,
    /// The simulated cloud to build against instead of the real one: how many
    /// seconds a simulated second takes.
    pub sandbox: Option<f64>,
    /// Socket of the SSH agent.
    pub agent_socket: Option<PathBuf>,
    /// The environment of programs that the template starts.
    pub children: process::Environment,
    /// What the user should know before the run begins.
    pub warnings: Vec<String>,
    /// What GitHub is told about the run.
    pub reviewing: Option<github::Reviewing>,
}

/// The post step of a run that left nothing but a check run.
#[derive(Debug)]
pub struct CloseCheckRunArgs {
    /// The check run.
    pub check_run: github::OpenCheckRun,
    /// How it is shown.
    pub report: Settings,
}

/// `validate`.
#[derive(Debug)]
pub struct ValidateArgs {
    /// The template and its variables.
    pub template: TemplateArgs,
    /// The region for templates that name none.
    pub region: Option<String>,
    /// The profiles of the Alibaba Cloud CLI.
    pub profiles: Profiles,
    /// How the run is shown.
    pub report: Settings,
    /// Only check that the template can be parsed.
    pub syntax_only: bool,
    /// What the user should know first.
    pub warnings: Vec<String>,
    /// What GitHub is told about the check.
    pub reviewing: Option<github::Reviewing>,
}

/// `inspect`.
#[derive(Debug)]
pub struct InspectArgs {
    /// The template and its variables.
    pub template: TemplateArgs,
    /// How the run is shown.
    pub report: Settings,
}

/// `import`.
#[derive(Debug)]
pub struct ImportArgs {
    /// The disk image.
    pub file: PathBuf,
    /// Images of the data disks.
    pub data_disks: Vec<PathBuf>,
    /// The options of `alicloud-import`, as JSON.
    pub options: serde_json::Value,
    /// Replace an image that has the same name.
    pub force: bool,
    /// How long it may take, nominal.
    pub deadline: Option<Duration>,
    /// When `cleanup --expired` may delete what this run creates.
    pub resource_ttl: Duration,
    /// The home directory, for paths.
    pub home: Option<PathBuf>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How to reach Alibaba Cloud.
    pub cloud: CloudArgs,
    /// How the run is shown.
    pub report: Settings,
    /// What GitHub is told about the run.
    pub reviewing: Option<github::Reviewing>,
}

/// `matrix`.
#[derive(Debug)]
pub struct MatrixArgs {
    /// The template, and all that a check of it takes.
    pub validate: ValidateArgs,
    /// Regions that every image is made in; none for the template's own.
    pub regions: Vec<String>,
    /// The template's variable that its region is read from.
    pub region_variable: Option<String>,
    /// The CI system that runs the legs.
    pub scheduler: Scheduler,
    /// The container image of the jobs, if they run in one.
    pub image: Option<String>,
    /// Whom the jobs' OIDC tokens are for.
    pub audience: String,
}

/// `merge`.
#[derive(Debug)]
pub struct MergeArgs {
    /// The directory to change to before anything is read, if any.
    pub directory: Option<PathBuf>,
    /// Files with results, and directories with such files.
    pub files: Vec<PathBuf>,
    /// A matrix, or the path of a file with one.
    pub expect: Option<String>,
    /// The manifest to write.
    pub manifest: Option<PathBuf>,
    /// How the results are shown.
    pub report: Settings,
    /// What the user should know first.
    pub warnings: Vec<String>,
    /// What GitHub is told about the results.
    pub reviewing: Option<github::Reviewing>,
}

/// `cleanup`.
#[derive(Debug)]
pub struct CleanupArgs {
    /// What is deleted.
    pub scope: CleanupScope,
    /// Where to look for tagged resources; empty for the known regions.
    pub regions: Vec<String>,
    /// Buckets to look into; those of unfinished images are without saying.
    pub buckets: Vec<String>,
    /// Only show it.
    pub dry_run: bool,
    /// How long it may take, nominal.
    pub deadline: Option<Duration>,
    /// Whether it runs as the post step of the GitHub action, where leftovers
    /// are no failure and a missing journal means there is nothing to do.
    pub is_post_step: bool,
    /// A check run that the main step may have left open.
    pub check_run: Option<github::OpenCheckRun>,
    /// How to reach Alibaba Cloud.
    pub cloud: CloudArgs,
    /// How the run is shown.
    pub report: Settings,
}

/// The main step of the GitHub action's command `guard`.
#[derive(Debug)]
pub struct GuardArgs {
    /// Where the job's other steps note what they create.
    pub journal_dir: PathBuf,
    /// How the run is shown.
    pub report: Settings,
}

/// What `cleanup` deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanupScope {
    /// What the run with this journal created; with a directory, what the
    /// runs with journals in it created.
    Journal(PathBuf),
    /// What the run with this id created.
    Run(String),
    /// What any run created whose time to live has passed.
    Expired,
}

/// `whoami`.
#[derive(Debug)]
pub struct WhoamiArgs {
    /// How to reach Alibaba Cloud.
    pub cloud: CloudArgs,
    /// How the answer is shown.
    pub report: Settings,
}

/// `disk`.
#[derive(Debug)]
pub struct DiskArgs {
    /// The image.
    pub file: PathBuf,
    /// Its format, when the content is not to tell.
    pub format: Option<crate::disk::Format>,
    /// What is done with it.
    pub action: DiskAction,
    /// How the answer is shown.
    pub report: Settings,
}

/// What is done with a disk image.
#[derive(Debug)]
pub enum DiskAction {
    /// Show what it is.
    Info,
    /// Check its tables.
    Check,
    /// Write it in another format.
    Convert {
        /// The file to write.
        output: PathBuf,
        /// How.
        options: crate::disk::stream::Options,
    },
}

/// `sandbox`.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxArgs {
    /// The port on 127.0.0.1; 0 for any.
    pub port: u16,
    /// How many seconds a simulated second takes.
    pub time_scale: f64,
    /// How long resources take to become ready.
    pub delays: Delays,
    /// The SSH port of every simulated instance; none for 22 if it may be
    /// used, else any.
    pub guest_port: Option<u16>,
    /// Answer commands from a script instead of running them in a shell.
    pub scripted_guests: bool,
    /// A RAM policy (JSON) that every request must satisfy.
    pub policy: Option<PathBuf>,
    /// How long every answer takes, nominal.
    pub latency: Duration,
    /// How much delays vary, as a part of the whole.
    pub jitter: f64,
    /// Seed of ids and jitter.
    pub seed: Option<u64>,
}

/// The template and its variables.
#[derive(Debug, Clone)]
pub struct TemplateArgs {
    /// The directory to change to before anything is read, if any; all paths
    /// are relative to it.
    pub directory: Option<PathBuf>,
    /// The template as the user gave it; `-` for standard input.
    pub path: PathBuf,
    /// How to fetch what is in other repositories, as `path` and variable
    /// files may be; or why that is impossible.
    pub github: Result<github::Access, String>,
    /// Its language, when its name does not tell.
    pub config_type: Option<ConfigType>,
    /// Values for its variables.
    pub variables: VariableInputs,
    /// Only these builds, when there are any.
    pub only: Vec<String>,
    /// Not these builds.
    pub except: Vec<String>,
    /// When the template is a stranger's: the directory outside of which it
    /// reads nothing. It also starts no program then.
    pub confined_to: Option<PathBuf>,
}

/// Values for a template's variables, weakest first: environment, files,
/// `vars`.
#[derive(Debug, Clone, Default)]
pub struct VariableInputs {
    /// The environment, for `{{env}}`.
    pub environment: BTreeMap<String, String>,
    /// Variable files, later ones win.
    pub files: Vec<PathBuf>,
    /// `-var`, later ones win.
    pub vars: Vec<(String, String)>,
    /// Warn about variables in files that the template does not declare.
    pub warn_on_undeclared: bool,
}

/// How to reach Alibaba Cloud.
#[derive(Debug, Clone)]
pub struct CloudArgs {
    /// Where keys come from when the template does not say.
    pub ambient: Ambient,
    /// The region for templates that name none.
    pub region: Option<String>,
    /// Endpoints instead of the usual ones.
    pub endpoints: Endpoints,
    /// How requests are signed.
    pub signature: Signature,
    /// Where runs note what they create.
    pub journal_dir: PathBuf,
    /// How many seconds a second of waiting takes.
    pub time_scale: f64,
    /// The SSH port of a sandbox's instances, when it is not the template's.
    pub guest_port: Option<u16>,
}

/// Endpoints: hosts with optional scheme and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Elastic Compute Service.
    pub ecs: Option<String>,
    /// Virtual Private Cloud.
    pub vpc: Option<String>,
    /// Security Token Service.
    pub sts: Option<String>,
    /// Resource Access Management.
    pub ram: Option<String>,
    /// Object Storage Service.
    pub oss: Option<String>,
}
