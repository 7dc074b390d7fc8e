//! From what was typed to what it means.

use std::path::PathBuf;
use std::time::Duration;

use super::command::{
    BuildArgs, CleanupArgs, CleanupScope, CloudArgs, Command, DiskAction, DiskArgs, Endpoints,
    ImportArgs, InspectArgs, MatrixArgs, MergeArgs, SandboxArgs, TemplateArgs, ValidateArgs,
    VariableInputs, WhoamiArgs,
};
use super::credentials::AUDIENCE;
use super::{ci, env::Environment, github};
use crate::cli;
use crate::cloud::credential::Profiles;
use crate::disk::{self, stream};
use crate::error::{Error, Kind, Result};
use crate::plan::OnError;
use crate::report::{Format, Settings};

/// The name of the directory for journals, in the home directory.
const JOURNAL_DIR: &str = ".alicloud-image";

/// Keys this short are nobody's real keys; hiding them would make the output
/// unreadable.
const SHORTEST_HIDDEN_KEY_ID: usize = 16;

pub(super) fn command(typed: cli::Command, environment: &Environment) -> Result<Command> {
    Ok(match typed {
        cli::Command::Build(typed) => Command::Build(Box::new(build(typed, environment)?)),
        cli::Command::Validate(typed) => Command::Validate(Box::new(validate(typed, environment)?)),
        cli::Command::Inspect(typed) => Command::Inspect(Box::new(inspect(typed, environment)?)),
        cli::Command::Plan(typed) => Command::Plan(Box::new(policy(typed, environment)?)),
        cli::Command::Policy(typed) => Command::Policy(Box::new(policy(typed, environment)?)),
        cli::Command::Import(typed) => Command::Import(Box::new(import(*typed, environment)?)),
        cli::Command::Matrix(typed) => Command::Matrix(Box::new(matrix(typed, environment)?)),
        cli::Command::Merge(typed) => Command::Merge(Box::new(merge(typed, environment))),
        cli::Command::Cleanup(typed) => Command::Cleanup(Box::new(cleanup(typed, environment)?)),
        cli::Command::Whoami(typed) => Command::Whoami(Box::new(whoami(typed, environment)?)),
        cli::Command::Disk(typed) => Command::Disk(Box::new(disk(typed, environment))),
        cli::Command::Sandbox(typed) => Command::Sandbox(sandbox(typed)),
        cli::Command::Version(typed) => Command::Version {
            machine_readable: typed.machine_readable,
        },
        cli::Command::Completions(typed) => Command::Completions(typed.shell),
        cli::Command::Init(_) => Command::Print(String::new()),
        cli::Command::Docs { page } => Command::Docs(page),
    })
}

fn build(typed: cli::Build, environment: &Environment) -> Result<BuildArgs> {
    let (on_error, ask_warning) = on_error(typed.on_error);
    let mut settings = report(typed.output, environment);
    settings.fail_on_leftovers = typed.fail_on_leftovers;
    settings.manifest = typed.manifest;
    settings.verbose = settings.verbose.max(u8::from(typed.debug));
    let mut cloud = cloud(typed.cloud, environment)?;
    cloud.ambient.profiles.external_disabled |= typed.template.no_local_exec;
    let template = template(typed.template, typed.warn_on_undeclared_var, environment)?;
    let subject = github::of_template(environment, &template);
    let (reviewing, review_warnings) = github::reviewing(environment, &subject, &settings);
    Ok(BuildArgs {
        template,
        cloud,
        report: settings,
        force: typed.force,
        on_error,
        parallel_builds: parallel(typed.parallel_builds, typed.debug),
        deadline: minutes(typed.timeout_minutes),
        resource_ttl: hours(typed.resource_ttl_hours),
        sandbox: typed.sandbox.then_some(typed.sandbox_time_scale),
        agent_socket: environment.path("SSH_AUTH_SOCK"),
        children: environment.for_children(),
        warnings: ask_warning
            .into_iter()
            .chain(environment.incomplete_keys())
            .chain(review_warnings)
            .collect(),
        reviewing,
    })
}

/// Nobody answers a question in CI, and a build that waits for one leaves its
/// instance running: `ask` becomes the choice that deletes it.
pub(super) fn on_error(typed: cli::OnError) -> (OnError, Option<String>) {
    match typed {
        cli::OnError::Cleanup => (OnError::Cleanup, None),
        cli::OnError::Abort => (OnError::Abort, None),
        cli::OnError::RunCleanupProvisioner => (OnError::RunCleanupProvisioner, None),
        cli::OnError::Ask => (
            OnError::Cleanup,
            Some("`-on-error=ask` is treated as `cleanup`: nobody can be asked".to_owned()),
        ),
    }
}

/// Packer's rule: `-debug` means one at a time, below 1 means all at once.
fn parallel(builds: i64, is_debug: bool) -> Option<usize> {
    if is_debug {
        return Some(1);
    }
    usize::try_from(builds).ok().filter(|builds| *builds > 0)
}

fn minutes(minutes: u32) -> Option<Duration> {
    (minutes > 0).then(|| Duration::from_secs(u64::from(minutes) * 60))
}

fn hours(hours: u32) -> Duration {
    Duration::from_secs(u64::from(hours) * 3600)
}

fn validate(typed: cli::Validate, environment: &Environment) -> Result<ValidateArgs> {
    let profiles = profiles(&typed.template, environment);
    let template = template(typed.template, !typed.no_warn_undeclared_var, environment)?;
    let report = report(typed.output, environment);
    let subject = github::of_template(environment, &template);
    let (reviewing, warnings) = github::reviewing(environment, &subject, &report);
    Ok(ValidateArgs {
        profiles,
        template,
        region: environment.region().map(str::to_owned),
        report,
        syntax_only: typed.syntax_only,
        warnings,
        reviewing,
    })
}

/// A profile may name a program to run, and a template a file with profiles.
fn profiles(typed: &cli::Template, environment: &Environment) -> Profiles {
    let mut profiles = environment.profiles();
    profiles.external_disabled |= typed.no_local_exec;
    profiles
}

fn inspect(typed: cli::Inspect, environment: &Environment) -> Result<InspectArgs> {
    Ok(InspectArgs {
        template: template(typed.template, false, environment)?,
        report: report(typed.output, environment),
    })
}

fn policy(typed: cli::Inspect, environment: &Environment) -> Result<ValidateArgs> {
    Ok(ValidateArgs {
        profiles: profiles(&typed.template, environment),
        template: template(typed.template, false, environment)?,
        region: environment.region().map(str::to_owned),
        report: report(typed.output, environment),
        syntax_only: false,
        warnings: Vec::new(),
        reviewing: None,
    })
}

fn import(typed: cli::Import, environment: &Environment) -> Result<ImportArgs> {
    let options = import_options(&typed);
    let mut settings = report(typed.output, environment);
    settings.fail_on_leftovers = typed.fail_on_leftovers;
    settings.manifest = typed.manifest;
    let subject = github::of_file(environment, &typed.file);
    let (reviewing, review_warnings) = github::reviewing(environment, &subject, &settings);
    let warnings = environment.incomplete_keys().into_iter();
    Ok(ImportArgs {
        file: typed.file,
        data_disks: typed.data_disk,
        options,
        force: typed.force,
        deadline: minutes(typed.timeout_minutes),
        resource_ttl: hours(typed.resource_ttl_hours),
        home: environment.path("HOME"),
        warnings: warnings.chain(review_warnings).collect(),
        cloud: cloud(typed.cloud, environment)?,
        report: settings,
        reviewing,
    })
}

/// The block a template would have; what was not typed is not in it.
fn import_options(typed: &cli::Import) -> serde_json::Value {
    let texts = [
        ("image_name", Some(&typed.image_name)),
        ("oss_bucket_name", Some(&typed.oss_bucket_name)),
        ("region", typed.region.as_ref()),
        ("oss_key_name", typed.oss_key_name.as_ref()),
        ("oss_endpoint", typed.oss_endpoint.as_ref()),
        ("image_os_type", typed.image_os_type.as_ref()),
        ("image_platform", typed.image_platform.as_ref()),
        ("image_architecture", typed.image_architecture.as_ref()),
        ("boot_mode", typed.boot_mode.as_ref()),
        ("image_description", typed.image_description.as_ref()),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.clone().into())));
    let more = typed.option.iter().cloned();
    let mut block: serde_json::Map<String, serde_json::Value> = texts
        .chain(more.map(|(name, value)| (name, list_or_text(value))))
        .collect();
    if let Some(size) = typed.image_system_size {
        block.insert("image_system_size".to_owned(), size.into());
    }
    if typed.skip_clean {
        block.insert("skip_clean".to_owned(), true.into());
    }
    if !typed.tag.is_empty() {
        let tags: std::collections::BTreeMap<_, _> = typed.tag.iter().cloned().collect();
        block.insert("tags".to_owned(), serde_json::json!(tags));
    }
    for (name, list) in [
        ("image_copy_regions", &typed.image_copy_regions),
        ("image_share_account", &typed.image_share_account),
    ] {
        if !list.is_empty() {
            block.insert(name.to_owned(), list.clone().into());
        }
    }
    block.into()
}

/// A list or an object in JSON, or else the text as it is.
fn list_or_text(value: String) -> serde_json::Value {
    serde_json::from_str(&value)
        .ok()
        .filter(|value: &serde_json::Value| value.is_array() || value.is_object())
        .unwrap_or_else(|| value.into())
}

fn matrix(typed: cli::Matrix, environment: &Environment) -> Result<MatrixArgs> {
    let audience = environment.get("ALICLOUD_IMAGE_OIDC_AUDIENCE");
    Ok(MatrixArgs {
        validate: ValidateArgs {
            profiles: profiles(&typed.template, environment),
            template: template(typed.template, false, environment)?,
            region: environment.region().map(str::to_owned),
            report: report(plain_output(typed.ci, typed.verbose), environment),
            syntax_only: false,
            warnings: Vec::new(),
            reviewing: None,
        },
        regions: names(typed.regions),
        region_variable: typed.region_variable,
        scheduler: typed.format,
        image: typed.image.or_else(|| environment.text("CI_JOB_IMAGE")),
        audience: audience.unwrap_or(AUDIENCE).to_owned(),
    })
}

fn merge(typed: cli::Merge, environment: &Environment) -> MergeArgs {
    let mut report = report(typed.output, environment);
    report.manifest.clone_from(&typed.manifest);
    let (reviewing, warnings) = github::reviewing(environment, "merge", &report);
    MergeArgs {
        directory: None,
        files: typed.files,
        expect: typed.expect,
        manifest: typed.manifest,
        report,
        warnings,
        reviewing,
    }
}

fn cleanup(typed: cli::Cleanup, environment: &Environment) -> Result<CleanupArgs> {
    let mut settings = report(typed.output, environment);
    settings.fail_on_leftovers = typed.fail_on_leftovers;
    Ok(CleanupArgs {
        scope: match (typed.scope.journal, typed.scope.run) {
            (Some(journal), _) => CleanupScope::Journal(journal),
            (None, Some(run)) => CleanupScope::Run(run),
            (None, None) => CleanupScope::Expired,
        },
        regions: names(typed.region),
        buckets: names(typed.oss_bucket_name),
        dry_run: typed.dry_run,
        deadline: None,
        is_post_step: false,
        check_run: None,
        cloud: cloud(typed.cloud, environment)?,
        report: settings,
    })
}

fn whoami(typed: cli::Whoami, environment: &Environment) -> Result<WhoamiArgs> {
    let mut cloud = cloud(typed.cloud, environment)?;
    if let Some(profile) = typed.profile {
        cloud.ambient.profiles.chosen = Some(profile);
    }
    Ok(WhoamiArgs {
        cloud,
        report: report(typed.output, environment),
    })
}

fn disk(typed: cli::Disk, environment: &Environment) -> DiskArgs {
    let (source, action) = match typed.command {
        cli::DiskCommand::Info(source) => (source, DiskAction::Info),
        cli::DiskCommand::Check(source) => (source, DiskAction::Check),
        cli::DiskCommand::Convert(typed) => {
            let options = conversion(&typed);
            let output = typed.target;
            (typed.source, DiskAction::Convert { output, options })
        }
    };
    let format = source.source_format.map(|format| match format {
        cli::DiskFormat::Qcow2 => disk::Format::Qcow2,
        cli::DiskFormat::Raw => disk::Format::Raw,
        cli::DiskFormat::Vhd => disk::Format::Vhd,
        cli::DiskFormat::Vmdk => disk::Format::Vmdk,
    });
    DiskArgs {
        file: source.file,
        format,
        action,
        report: report(source.output, environment),
    }
}

fn conversion(typed: &cli::DiskConvert) -> stream::Options {
    let mut options = stream::Options::new(match typed.target_format {
        cli::TargetFormat::Qcow2 => stream::Output::Qcow2,
        cli::TargetFormat::Raw => stream::Output::Raw,
        cli::TargetFormat::Vhd => stream::Output::VhdDynamic,
        cli::TargetFormat::VhdFixed => stream::Output::VhdFixed,
    });
    options.level = stream::Level::Fixed(typed.level);
    if typed.strict_window {
        options.window = stream::Window::Strict;
    }
    // A conversion keeps every byte unless it is asked not to.
    options.free_space = match typed.drop_free_blocks {
        true => stream::FreeSpace::Drop,
        false => stream::FreeSpace::Keep,
    };
    options
}

fn sandbox(typed: cli::Sandbox) -> SandboxArgs {
    SandboxArgs {
        port: typed.port,
        time_scale: typed.time_scale,
        delays: typed.delays,
        guest_port: typed.guest_port.filter(|port| *port != 0),
        scripted_guests: typed.scripted_guests,
        policy: typed.policy,
        latency: Duration::from_millis(typed.latency),
        jitter: typed.jitter,
        seed: typed.seed,
    }
}

fn template(
    typed: cli::Template,
    warn_on_undeclared: bool,
    environment: &Environment,
) -> Result<TemplateArgs> {
    if !typed.only.is_empty() && !typed.except.is_empty() {
        return Err(
            Error::new(Kind::Usage, "Both `-only` and `-except` were given")
                .with_hint("Use one of them"),
        );
    }
    Ok(TemplateArgs {
        directory: None,
        github: github::access(environment),
        path: typed.template,
        config_type: typed.config_type,
        variables: VariableInputs {
            environment: match typed.no_local_exec {
                true => environment.texts_without_keys(),
                false => environment.texts(),
            },
            files: typed.var_file,
            vars: typed.var,
            warn_on_undeclared,
        },
        only: names(typed.only),
        except: names(typed.except),
        confined_to: typed
            .no_local_exec
            .then(|| environment.directory.clone().unwrap_or_default()),
    })
}

/// `-only=` selects nothing special in Packer: empty names are dropped.
fn names(typed: Vec<String>) -> Vec<String> {
    typed.into_iter().filter(|name| !name.is_empty()).collect()
}

pub(super) fn cloud(typed: cli::Cloud, environment: &Environment) -> Result<CloudArgs> {
    let endpoint = |product| environment.endpoint(product).map(str::to_owned);
    Ok(CloudArgs {
        ambient: environment.ambient()?,
        region: environment.region().map(str::to_owned),
        endpoints: Endpoints {
            ecs: endpoint("ECS"),
            vpc: endpoint("VPC"),
            sts: endpoint("STS").or_else(|| environment.sts_in_vpc()),
            ram: endpoint("RAM"),
            oss: endpoint("OSS"),
        },
        signature: typed.signature,
        // The working directory may change before it is used.
        journal_dir: environment.absolute(
            typed
                .journal_dir
                .unwrap_or_else(|| journal_dir(environment)),
        ),
        time_scale: time_scale(environment)?,
        guest_port: guest_port(environment)?,
    })
}

pub(super) fn journal_dir(environment: &Environment) -> PathBuf {
    // Containers and plain steps of a GitHub job have different homes, but
    // share this directory, which is emptied when the job ends.
    // Some runners name one that their containers do not have.
    let of_job = || {
        let shared = environment.path("RUNNER_TEMP");
        shared.filter(|path| environment.is_set("GITHUB_ACTIONS") && path.is_dir())
    };
    environment
        .path("ALICLOUD_IMAGE_JOURNAL_DIR")
        .or_else(|| Some(of_job()?.join(JOURNAL_DIR)))
        .or_else(|| Some(environment.path("HOME")?.join(JOURNAL_DIR)))
        .or_else(|| Some(environment.path("TMPDIR")?.join(JOURNAL_DIR)))
        .unwrap_or_else(|| PathBuf::from("/tmp").join(JOURNAL_DIR))
}

pub(super) fn time_scale(environment: &Environment) -> Result<f64> {
    let Some(text) = environment.get("ALICLOUD_IMAGE_TIME_SCALE") else {
        return Ok(1.0);
    };
    cli::scale(text).map_err(|reason| {
        Error::new(
            Kind::Usage,
            format!("Bad value of `ALICLOUD_IMAGE_TIME_SCALE`: {reason}"),
        )
    })
}

fn guest_port(environment: &Environment) -> Result<Option<u16>> {
    let Some(text) = environment.get("ALICLOUD_IMAGE_GUEST_PORT") else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Error::new(
            Kind::Usage,
            format!("Bad value of `ALICLOUD_IMAGE_GUEST_PORT`: `{text}` is not a port"),
        )
    })
}

pub(super) fn report(typed: cli::Output, environment: &Environment) -> Settings {
    let format = match typed.format {
        cli::Format::Json => Format::Json,
        cli::Format::Text if typed.machine_readable => Format::MachineReadable,
        cli::Format::Text => Format::Text,
    };
    Settings {
        format,
        color: color(typed.color, format, environment),
        timestamps: typed.timestamp_ui,
        verbose: typed.verbose.max(verbose(environment)),
        ci: ci::system(typed.ci, environment),
        output_files: typed.output_file,
        manifest: None,
        fail_on_leftovers: false,
        secrets: secrets(environment),
    }
}

/// How a run is shown when the command line could not be understood.
pub fn fallback_settings(environment: &Environment) -> Settings {
    report(plain_output(cli::Ci::Auto, 0), environment)
}

/// What is typed where only the CI system and the amount of text matter.
fn plain_output(ci: cli::Ci, verbose: u8) -> cli::Output {
    cli::Output {
        color: None,
        machine_readable: false,
        timestamp_ui: false,
        format: cli::Format::Text,
        ci,
        output_file: Vec::new(),
        verbose,
    }
}

/// Switched off wins; then what asks for colours; then whether people look at
/// it.
fn color(typed: Option<bool>, format: Format, environment: &Environment) -> bool {
    let is_off = typed == Some(false)
        || ["NO_COLOR", "PACKER_NO_COLOR"]
            .iter()
            .any(|name| environment.is_set(name));
    let is_forced = typed == Some(true)
        || environment
            .get("FORCE_COLOR")
            .is_some_and(|value| value != "0");
    let is_terminal = match format {
        Format::Json => environment.stderr_is_terminal,
        Format::Text | Format::MachineReadable => environment.stdout_is_terminal,
    };
    !is_off && format != Format::MachineReadable && (is_forced || is_terminal)
}

fn verbose(environment: &Environment) -> u8 {
    let is_logging = environment
        .get("PACKER_LOG")
        .is_some_and(|value| value != "0");
    if is_logging {
        return 2;
    }
    u8::from(environment.get("RUNNER_DEBUG") == Some("1"))
}

fn secrets(environment: &Environment) -> Vec<crate::secret::Secret> {
    let mut secrets = environment.secrets();
    let key_id = environment.keys().map(|keys| keys.access_key);
    secrets.extend(
        key_id
            .filter(|id| id.len() >= SHORTEST_HIDDEN_KEY_ID)
            .map(crate::secret::Secret::new),
    );
    secrets
}
