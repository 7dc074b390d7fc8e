//! The command line as clap definitions: exactly what was typed, no logic.
//!
//! `inputs` turns Packer's spellings (`-var-file=f`, `-color=false`) into the
//! ones defined here and resolves the result. Facts: Packer's own `-help`
//! texts for every option it has; the rest is ours.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod disk;
mod values;

pub use disk::{Disk, DiskCommand, DiskConvert, DiskFile, DiskFormat, TargetFormat};
pub use values::{
    Ci, ConfigType, Delays, Format, OnError, Signature, go_bool, key_value, scale, spread,
};

/// The exit codes, for `--help` and the documentation.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  all requested images were made, or the template is valid
    1  a build failed
    2  bad command line, input or template; nothing was created
    3  no usable credentials, or a permission is missing; no image was made
    4  -only/-except left no build
    5  some builds succeeded and some failed
    6  resources could not be deleted (only with --fail-on-leftovers)
    7  the deadline of --timeout-minutes was reached; resources were deleted
   70  a bug in this program; the journal was kept
  129  stopped by SIGHUP; resources were deleted
  130  stopped by SIGINT; resources were deleted
  143  stopped by SIGTERM; resources were deleted

Options may be written with one dash or two, as in Packer: -var-file=f is
--var-file f.";

/// Builds Alibaba Cloud ECS images from Packer templates and leaves nothing
/// behind.
#[derive(Debug, Parser)]
#[command(
    name = "alicloud-image",
    bin_name = "alicloud-image",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    infer_subcommands = false,
    max_term_width = 100,
    color = clap::ColorChoice::Never,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the images of a template
    Build(Build),
    /// Check a template without creating anything
    Validate(Validate),
    /// Show what a template contains
    Inspect(Inspect),
    /// Print what a template would build, as JSON
    Plan(Inspect),
    /// Print the least RAM policy that a template needs
    Policy(Inspect),
    /// Import a disk image, without a template
    Import(Box<Import>),
    /// Print one leg per build and region, to spread a template over CI jobs
    Matrix(Matrix),
    /// Join the results of the jobs that a template was spread over
    Merge(Merge),
    /// Delete what an interrupted run left behind
    Cleanup(Cleanup),
    /// Show whose keys are used and where they come from
    Whoami(Whoami),
    /// Look at disk images and convert them
    Disk(Disk),
    /// Run the simulated cloud for tests and demonstrations
    Sandbox(Sandbox),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Accepted for scripts written for Packer; there are no plugins to install
    #[command(hide = true)]
    Init(Init),
    /// Print a generated page of the documentation
    #[command(hide = true)]
    Docs {
        /// Which page
        page: Page,
    },
}

/// The generated pages in `docs/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// Every option of every block: `options.md`
    Options,
    /// Commands, exit codes, variables, inputs and outputs: `reference.md`
    Reference,
    /// Every option Packer ever had, and what becomes of it: `compatibility.md`
    Compatibility,
}

/// How the run is shown.
#[derive(Debug, Args)]
pub struct Output {
    /// Colours: `true` on a terminal unless switched off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool)]
    pub color: Option<bool>,
    /// Lines of comma-separated values, as Packer writes them
    #[arg(long)]
    pub machine_readable: bool,
    /// Begin each line with the time
    #[arg(long)]
    pub timestamp_ui: bool,
    /// What to write to standard output; with `json`, text goes to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// The CI system to write outputs, annotations and a summary for
    #[arg(long, value_name = "SYSTEM", default_value = "auto")]
    pub ci: Ci,
    /// Write the results to a file, as JSON if its name ends with `.json`, else as `KEY=VALUE`
    /// lines; may be repeated
    #[arg(long, value_name = "FILE")]
    pub output_file: Vec<PathBuf>,
    /// Show steps and resources; twice: also the API calls on standard error
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The template and its variables.
#[derive(Debug, Args)]
pub struct Template {
    /// The template: a file, a directory of `.pkr.hcl` files, or `-`
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,
    /// Set a variable; may be repeated and wins over files
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    pub var: Vec<(String, String)>,
    /// Read variables from a file; may be repeated, later ones win
    #[arg(long, value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    /// Only the builds with these names
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub only: Vec<String>,
    /// All builds but those with these names
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub except: Vec<String>,
    /// The template's language, when its name does not tell
    #[arg(long, value_name = "LANGUAGE")]
    pub config_type: Option<ConfigType>,
    /// Refuse what starts programs on this machine or reads files outside the
    /// working directory, for templates of strangers
    #[arg(long)]
    pub no_local_exec: bool,
}

/// How to reach Alibaba Cloud.
#[derive(Debug, Args)]
pub struct Cloud {
    /// Sign requests in this way
    #[arg(long, value_name = "VERSION", default_value = "acs3")]
    pub signature: Signature,
    /// Where runs note what they create
    #[arg(long, value_name = "DIR")]
    pub journal_dir: Option<PathBuf>,
}

/// `build`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Build {
    /// The template and its variables.
    #[command(flatten)]
    pub template: Template,
    /// Replace an image that has the same name
    #[arg(long)]
    pub force: bool,
    /// What to do with temporary resources after a failed step
    #[arg(long, value_name = "ACTION", default_value = "cleanup")]
    pub on_error: OnError,
    /// How many builds run at the same time; below 1 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub parallel_builds: i64,
    /// One build at a time, with details
    #[arg(long)]
    pub debug: bool,
    /// Warn about variables in files that the template does not declare
    #[arg(long)]
    pub warn_on_undeclared_var: bool,
    /// Stop and clean up after this time; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub timeout_minutes: u32,
    /// When `cleanup --expired` may delete what this run creates
    #[arg(long, value_name = "N", default_value_t = 6,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub resource_ttl_hours: u32,
    /// Exit with 6 when a temporary resource could not be deleted
    #[arg(long)]
    pub fail_on_leftovers: bool,
    /// Write this run's results to a file of the form of Packer's manifest
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Build against a simulated cloud inside this program
    #[arg(long)]
    pub sandbox: bool,
    /// With `--sandbox`: how many seconds a simulated second takes
    #[arg(long, value_name = "F", default_value = "0.01", value_parser = scale)]
    pub sandbox_time_scale: f64,
    /// How to reach Alibaba Cloud.
    #[command(flatten)]
    pub cloud: Cloud,
    /// How the run is shown.
    #[command(flatten)]
    pub output: Output,
    /// Options without effect.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// Options of Packer that need nothing from us; scripts may pass them.
#[derive(Debug, Args)]
pub struct WithoutEffect {
    /// Accepted: there are no plugins
    #[arg(long, hide = true)]
    pub ignore_prerelease_plugins: bool,
    /// Accepted: evaluation has no order one could see
    #[arg(long, hide = true)]
    pub use_sequential_evaluation: bool,
    /// Accepted: there is no registry
    #[arg(long, hide = true)]
    pub skip_enforcement: bool,
}

/// `validate`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Validate {
    /// The template and its variables.
    #[command(flatten)]
    pub template: Template,
    /// Only check that the template can be parsed
    #[arg(long)]
    pub syntax_only: bool,
    /// Do not warn about variables in files that the template does not declare
    #[arg(long)]
    pub no_warn_undeclared_var: bool,
    /// Accepted: there are no data sources
    #[arg(long, hide = true)]
    pub evaluate_datasources: bool,
    /// How the run is shown.
    #[command(flatten)]
    pub output: Output,
    /// Options without effect.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// `inspect`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Inspect {
    /// The template and its variables.
    #[command(flatten)]
    pub template: Template,
    /// How the run is shown.
    #[command(flatten)]
    pub output: Output,
    /// Options without effect.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
}

/// `import`. Options are those of the post-processor `alicloud-import`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Import {
    /// The disk image: QCOW2, VHD, VMDK or raw
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Image of a data disk; may be repeated
    #[arg(long, value_name = "FILE")]
    pub data_disk: Vec<PathBuf>,
    /// Name of the image
    #[arg(long, value_name = "NAME")]
    pub image_name: String,
    /// Bucket the disk is uploaded to; a private one is made when there is none
    #[arg(long, value_name = "BUCKET")]
    pub oss_bucket_name: String,
    /// Region of the image and the bucket
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Name of the object; by default one no other run uses
    #[arg(long, value_name = "KEY")]
    pub oss_key_name: Option<String>,
    /// `internal`, `accelerate`, or a host
    #[arg(long, value_name = "ENDPOINT")]
    pub oss_endpoint: Option<String>,
    /// Keep the object after the import
    #[arg(long)]
    pub skip_clean: bool,
    /// `linux` or `windows`
    #[arg(long, value_name = "TYPE")]
    pub image_os_type: Option<String>,
    /// Distribution, for example `Ubuntu`
    #[arg(long, value_name = "NAME")]
    pub image_platform: Option<String>,
    /// `x86_64`, `arm64` or `i386`
    #[arg(long, value_name = "NAME")]
    pub image_architecture: Option<String>,
    /// Size of the system disk; by default the disk's own
    #[arg(long, value_name = "GIB")]
    pub image_system_size: Option<u32>,
    /// `BIOS` or `UEFI`
    #[arg(long, value_name = "MODE")]
    pub boot_mode: Option<String>,
    /// Description of the image
    #[arg(long, value_name = "TEXT")]
    pub image_description: Option<String>,
    /// Tag of the image and its snapshots; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub tag: Vec<(String, String)>,
    /// Regions the image is copied to
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    pub image_copy_regions: Vec<String>,
    /// Accounts the image is shared with
    #[arg(long, value_name = "ACCOUNT,…", value_delimiter = ',')]
    pub image_share_account: Vec<String>,
    /// Any other option of `alicloud-import`; may be repeated. Lists and
    /// objects are written as JSON
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value)]
    pub option: Vec<(String, String)>,
    /// Replace an image that has the same name
    #[arg(long)]
    pub force: bool,
    /// Stop and clean up after this time; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub timeout_minutes: u32,
    /// When `cleanup --expired` may delete what this run creates
    #[arg(long, value_name = "N", default_value_t = 6,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub resource_ttl_hours: u32,
    /// Exit with 6 when something temporary could not be deleted
    #[arg(long)]
    pub fail_on_leftovers: bool,
    /// Write this run's results to a file of the form of Packer's manifest
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// How to reach Alibaba Cloud.
    #[command(flatten)]
    pub cloud: Cloud,
    /// How the run is shown.
    #[command(flatten)]
    pub output: Output,
}

/// `matrix`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Matrix {
    /// The template and its variables.
    #[command(flatten)]
    pub template: Template,
    /// Make every image in each of these regions
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    pub regions: Vec<String>,
    /// The template's variable that its `region` is read from
    #[arg(long, value_name = "NAME")]
    pub region_variable: Option<String>,
    /// The CI system that runs the legs
    #[arg(long, value_name = "SYSTEM", default_value = "github")]
    pub format: Scheduler,
    /// With `--format=gitlab`: the image of the jobs; that of this job if it has one
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The CI system to write outputs and annotations for
    #[arg(long, value_name = "SYSTEM", default_value = "auto")]
    pub ci: Ci,
    /// Show more on standard error
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The values of `matrix --format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    /// A JSON object for `strategy.matrix`; also Gitea and Forgejo
    Github,
    /// A child pipeline with `parallel:matrix` and a job that merges
    Gitlab,
}

/// `merge`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Merge {
    /// Files of `--output-file` (JSON) and manifests, or directories with them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What `matrix` printed, or a file with it: each leg must have a result
    #[arg(long, value_name = "MATRIX")]
    pub expect: Option<String>,
    /// Write a manifest of all builds, in the form of Packer's
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// How the results are shown.
    #[command(flatten)]
    pub output: Output,
}

/// `cleanup`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Cleanup {
    /// What is deleted.
    #[command(flatten)]
    pub scope: CleanupScope,
    /// Where to look for tagged resources, if not in all regions; may be repeated
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    pub region: Vec<String>,
    /// A bucket in which imports may have left something; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub oss_bucket_name: Vec<String>,
    /// Show what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Exit with 6 when something could not be deleted
    #[arg(long)]
    pub fail_on_leftovers: bool,
    /// How to reach Alibaba Cloud.
    #[command(flatten)]
    pub cloud: Cloud,
    /// How the run is shown.
    #[command(flatten)]
    pub output: Output,
}

/// `whoami`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, args_override_self = true)]
pub struct Whoami {
    /// Ask as this profile of the Alibaba Cloud CLI
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// How to reach Alibaba Cloud.
    #[command(flatten)]
    pub cloud: Cloud,
    /// How the answer is shown.
    #[command(flatten)]
    pub output: Output,
}

/// What `cleanup` deletes: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct CleanupScope {
    /// What the run with this journal created; all journals in a directory
    #[arg(long, value_name = "PATH")]
    pub journal: Option<PathBuf>,
    /// What the run with this id created
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// What any run created whose time to live has passed
    #[arg(long)]
    pub expired: bool,
}

/// `sandbox`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Sandbox {
    /// The port on 127.0.0.1; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// How many seconds a simulated second takes
    #[arg(long, value_name = "F", default_value = "1", value_parser = scale)]
    pub time_scale: f64,
    /// How long resources take to become ready
    #[arg(long, value_name = "KIND", default_value = "realistic")]
    pub delays: Delays,
    /// The SSH port of every simulated instance; 22 if it may be used, else any
    #[arg(long, value_name = "PORT")]
    pub guest_port: Option<u16>,
    /// Answer commands from a script instead of running them in a shell
    #[arg(long)]
    pub scripted_guests: bool,
    /// A RAM policy (JSON) that every request must satisfy
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Milliseconds that every answer takes
    #[arg(long, value_name = "MS", default_value_t = 120)]
    pub latency: u64,
    /// How much delays vary: 0.3 is 30 % up and down
    #[arg(long, value_name = "F", default_value = "0.3", value_parser = spread)]
    pub jitter: f64,
    /// Seed of ids and jitter, for repeatable runs
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `version`.
#[derive(Debug, Args)]
pub struct Version {
    /// Lines of comma-separated values, as Packer writes them
    #[arg(long)]
    pub machine_readable: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Accepted: there are no plugins
    #[arg(long)]
    pub upgrade: bool,
    /// Accepted: there are no plugins
    #[arg(long)]
    pub force: bool,
    /// The template
    pub template: Option<PathBuf>,
}
