//! The inputs of the GitHub action, turned into a command line and an
//! environment, so that both ways in are resolved by the same code.
//!
//! GitHub gives an input as `INPUT_` and its name in capitals; hyphens stay.
//! Every declared input is there, perhaps empty. No input reaches a shell.
//! Facts: GitHub's metadata syntax and the runner's source.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue};

use super::command::{CleanupArgs, Command, GuardArgs, ImportArgs, TemplateArgs};
use super::env::Environment;
use super::{github, resolve};
use crate::cli::Cli;
use crate::error::{Error, Kind, Result};
use crate::report::{Settings, System};

/// The program's name as the action's main entry point.
pub const MAIN_PROGRAM: &str = "alicloud-image-action";
/// The program's name as the action's post entry point.
pub const POST_PROGRAM: &str = "alicloud-image-post";

mod access;
mod trust;

/// GitHub ends a cancelled job after five minutes; the sweep of the post step
/// must be done before.
const POST_DEADLINE: Duration = Duration::from_secs(240);

/// How to give keys.
const ADVICE: &str = "Give the inputs `role-to-assume` and `oidc-provider-arn`, or `access-key-id` and \
     `access-key-secret`; one made of a variable or secret that the repository has not is empty. \
     `sandbox: true` tries a template without an account";

/// An input of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Its name in `action.yml`.
    pub name: &'static str,
    /// Its default there.
    pub default: &'static str,
}

const fn input(name: &'static str, default: &'static str) -> Input {
    Input { name, default }
}

/// All inputs, in the order of `action.yml`.
pub const INPUTS: &[Input] = &[
    input("command", "build"),
    input("template", ""),
    input("working-directory", "."),
    input("vars", ""),
    input("var-files", ""),
    input("only", ""),
    input("except", ""),
    input("file", ""),
    input("data-disks", ""),
    input("image-name", ""),
    input("oss-bucket-name", ""),
    input("options", ""),
    input("region", ""),
    input("access-key-id", ""),
    input("access-key-secret", ""),
    input("security-token", ""),
    input("role-to-assume", ""),
    input("oidc-provider-arn", ""),
    input("audience", "sts.aliyuncs.com"),
    input("role-session-name", ""),
    input("role-session-expiration", "3600"),
    input("role-policy", ""),
    input("ecs-endpoint", ""),
    input("vpc-endpoint", ""),
    input("sts-endpoint", ""),
    input("oss-endpoint", ""),
    input("on-error", "cleanup"),
    input("force", "false"),
    input("parallel", "0"),
    input("timeout-minutes", "0"),
    input("resource-ttl-hours", "6"),
    input("allow-local-exec", "auto"),
    input("manifest", "alicloud-image-manifest.json"),
    input("fail-on-leftovers", "false"),
    input("run-id", ""),
    input("output-files", ""),
    input("regions", ""),
    input("region-variable", ""),
    input("files", ""),
    input("expect", ""),
    input("sandbox", "false"),
    input("summary", "true"),
    input("annotations", "true"),
    input("pr-comment", "never"),
    input("check-run", "false"),
    input("github-token", "${{ github.token }}"),
    input("log-level", "info"),
];

/// What the main step does.
pub(super) fn main(environment: &Environment) -> Result<Command> {
    let inputs = Inputs(environment);
    inputs.check_sandbox()?;
    let environment = inputs.overlay()?;
    let arguments = match inputs.get("command") {
        "build" => inputs.build()?,
        "validate" => inputs.template_command("validate")?,
        "plan" => inputs.template_command("plan")?,
        "inspect" => inputs.template_command("inspect")?,
        "import" => inputs.import()?,
        "matrix" => inputs.matrix()?,
        "merge" => inputs.merge()?,
        "cleanup" => inputs.cleanup()?,
        "guard" => return Ok(inputs.guard(&environment)),
        other => {
            return Err(bad_input("command", other).with_hint(
                "Use `build`, `import`, `validate`, `plan`, `inspect`, `matrix`, `merge`, \
                 `cleanup` or `guard`",
            ));
        }
    };
    let typed = Cli::try_parse_from(arguments).map_err(|error| of_input(&error))?;
    let command = resolve::command(typed.command, &environment)?;
    let directory = inputs.working_directory()?;
    Ok(advised(in_directory(command, &directory)))
}

/// What the post step does: delete what the main step left, if anything.
pub(super) fn post(environment: &Environment) -> Result<Command> {
    let inputs = Inputs(environment);
    let check_run = github::open_check_run(&inputs.overlay()?);
    // What a sandbox inside the main step held is gone with it.
    let journal = match (environment.get("STATE_journal"), inputs.flag("sandbox")?) {
        (Some(journal), false) => journal,
        _ => return Ok(github::close(check_run, environment)),
    };
    // What failed is to be looked at.
    if inputs.get("command") == "build" && inputs.get("on-error") != "cleanup" {
        if check_run.is_some() {
            return Ok(github::close(check_run, environment));
        }
        let run = environment.get("STATE_run").unwrap_or("RUN");
        return Ok(Command::Print(format!(
            "What is left is kept, as `on-error` says. Delete it with: \
             alicloud-image cleanup --run {run}\n"
        )));
    }
    let arguments = vec![
        "alicloud-image".into(),
        "cleanup".into(),
        "--ci=github".into(),
        assigned("--journal", journal),
    ];
    match super::command_line(arguments, &inputs.overlay()?)? {
        Command::Cleanup(args) => Ok(Command::Cleanup(Box::new(CleanupArgs {
            is_post_step: true,
            check_run,
            deadline: Some(POST_DEADLINE),
            regions: environment
                .get("STATE_region")
                .map(str::to_owned)
                .into_iter()
                .collect(),
            ..*args
        }))),
        other => Ok(other),
    }
}

struct Inputs<'a>(&'a Environment);

impl Inputs<'_> {
    /// An input, or its default when it is empty.
    fn get(&self, name: &str) -> &str {
        let default = INPUTS
            .iter()
            .find(|input| input.name == name)
            .map_or("", |input| input.default);
        self.0.get(&variable_of(name)).unwrap_or(default)
    }

    fn optional(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(bad_input(name, other).with_hint("Use exactly `true` or `false`")),
        }
    }

    /// The lines of a list without blank ones and comments.
    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name)
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// Nobody who asks for a simulated cloud may get the real one.
    fn check_sandbox(&self) -> Result<()> {
        let command = self.get("command");
        if self.flag("sandbox")? && ["import", "cleanup"].contains(&command) {
            let message = format!("There is no sandbox for the command `{command}`");
            return Err(Error::new(Kind::Usage, message)
                .with_hint("Input `sandbox` is for `build`; leave it out here"));
        }
        Ok(())
    }

    fn build(&self) -> Result<Vec<OsString>> {
        let mut arguments = self.of_template("build")?;
        for (option, name) in [
            ("--on-error", "on-error"),
            ("--parallel-builds", "parallel"),
            ("--timeout-minutes", "timeout-minutes"),
            ("--resource-ttl-hours", "resource-ttl-hours"),
        ] {
            arguments.push(assigned(option, self.get(name).trim()));
        }
        for name in ["force", "fail-on-leftovers", "sandbox"] {
            arguments.extend(self.flag(name)?.then(|| format!("--{name}").into()));
        }
        arguments.extend(self.manifest());
        arguments.extend(self.output_files());
        arguments.extend(self.template()?);
        Ok(arguments)
    }

    fn import(&self) -> Result<Vec<OsString>> {
        let mut arguments = self.start("import")?;
        for name in ["image-name", "oss-bucket-name"] {
            arguments.push(assigned(&format!("--{name}"), self.required(name)?));
        }
        for (option, name) in [("--data-disk", "data-disks"), ("--option", "options")] {
            arguments.extend(self.lines(name).map(|line| assigned(option, line)));
        }
        for name in ["timeout-minutes", "resource-ttl-hours"] {
            arguments.push(assigned(&format!("--{name}"), self.get(name).trim()));
        }
        for name in ["force", "fail-on-leftovers"] {
            arguments.extend(self.flag(name)?.then(|| format!("--{name}").into()));
        }
        arguments.extend(self.manifest());
        arguments.extend(self.output_files());
        arguments.extend(["--".into(), self.required("file")?.into()]);
        Ok(arguments)
    }

    fn guard(&self, environment: &Environment) -> Command {
        Command::Guard(Box::new(GuardArgs {
            journal_dir: resolve::journal_dir(environment),
            report: super::fallback_settings(environment),
        }))
    }

    /// Who writes an empty text wants none.
    fn manifest(&self) -> Option<OsString> {
        let is_unwanted = self.0.is_empty(&variable_of("manifest"));
        (!is_unwanted).then(|| assigned("--manifest", self.get("manifest")))
    }

    fn output_files(&self) -> impl Iterator<Item = OsString> {
        self.lines("output-files")
            .map(|line| assigned("--output-file", line))
    }

    fn matrix(&self) -> Result<Vec<OsString>> {
        let mut arguments = self.of_template("matrix")?;
        let regions = self.lines("regions");
        arguments.extend(regions.map(|line| assigned("--regions", line)));
        let variable = self.optional("region-variable");
        arguments.extend(variable.map(|name| assigned("--region-variable", name)));
        arguments.extend(self.template()?);
        Ok(arguments)
    }

    fn merge(&self) -> Result<Vec<OsString>> {
        let mut arguments = self.start("merge")?;
        let expected = self.optional("expect");
        arguments.extend(expected.map(|file| assigned("--expect", file)));
        arguments.extend(self.manifest());
        arguments.extend(self.output_files());
        arguments.push("--".into());
        let first = arguments.len();
        arguments.extend(self.lines("files").map(OsString::from));
        if arguments.len() == first {
            return Err(Error::new(Kind::Usage, "Input `files` is empty")
                .with_hint("Give the files that the legs wrote, or a directory with them"));
        }
        Ok(arguments)
    }

    fn template_command(&self, command: &str) -> Result<Vec<OsString>> {
        let mut arguments = self.of_template(command)?;
        arguments.extend(self.template()?);
        Ok(arguments)
    }

    fn of_template(&self, command: &str) -> Result<Vec<OsString>> {
        let mut arguments = self.start(command)?;
        for (option, name) in [
            ("--var", "vars"),
            ("--var-file", "var-files"),
            ("--only", "only"),
            ("--except", "except"),
        ] {
            arguments.extend(self.lines(name).map(|line| assigned(option, line)));
        }
        if !self.allows_local_exec()? {
            arguments.push("--no-local-exec".into());
        }
        Ok(arguments)
    }

    fn allows_local_exec(&self) -> Result<bool> {
        match self.get("allow-local-exec") {
            "auto" => Ok(!trust::is_of_stranger(self.0)),
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(bad_input("allow-local-exec", other)
                .with_hint("Use exactly `auto`, `true` or `false`")),
        }
    }

    /// The positional argument, which may begin with a dash.
    fn template(&self) -> Result<[OsString; 2]> {
        Ok(["--".into(), self.required("template")?.into()])
    }

    fn required(&self, name: &str) -> Result<&str> {
        let hint = match name {
            "template" => "Give the path of a Packer template, relative to `working-directory`",
            "file" => "Give the path of a disk image, relative to `working-directory`",
            "image-name" => "Give the image a name",
            _ => "Name the bucket the disk is uploaded to; it is made when there is none",
        };
        self.optional(name).ok_or_else(|| {
            Error::new(Kind::Usage, format!("Input `{name}` is empty")).with_hint(hint)
        })
    }

    fn cleanup(&self) -> Result<Vec<OsString>> {
        let mut arguments = self.start("cleanup")?;
        arguments.push(
            self.optional("run-id")
                .map_or_else(|| "--expired".into(), |run| assigned("--run", run)),
        );
        arguments.extend(self.lines("region").map(|line| assigned("--region", line)));
        let buckets = self.lines("oss-bucket-name");
        arguments.extend(buckets.map(|line| assigned("--oss-bucket-name", line)));
        if self.flag("fail-on-leftovers")? {
            arguments.push("--fail-on-leftovers".into());
        }
        Ok(arguments)
    }

    fn start(&self, command: &str) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = vec![
            "alicloud-image".into(),
            command.into(),
            "--ci=github".into(),
        ];
        match self.get("log-level") {
            "info" => {}
            "debug" => arguments.push("-v".into()),
            "trace" => arguments.push("-vv".into()),
            other => {
                return Err(
                    bad_input("log-level", other).with_hint("Use `info`, `debug` or `trace`")
                );
            }
        }
        Ok(arguments)
    }

    /// The environment with the inputs in it that have a variable of their
    /// own.
    fn overlay(&self) -> Result<Environment> {
        let mut overlay = self.role()?;
        overlay.extend(self.keys()?);
        overlay.extend(self.endpoints()?);
        overlay.extend(self.switches()?);
        overlay.extend(self.for_github()?);
        let region = self.lines("region").next();
        overlay.extend(region.map(|region| ("ALICLOUD_REGION".to_owned(), region.to_owned())));
        let mut environment = self.0.clone();
        let pairs = overlay
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        environment.variables.extend(pairs);
        Ok(environment)
    }

    fn switches(&self) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        for name in ["summary", "annotations"] {
            if !self.flag(name)? {
                let variable = format!("ALICLOUD_IMAGE_{}", name.to_uppercase());
                pairs.push((variable, "false".to_owned()));
            }
        }
        Ok(pairs)
    }

    fn for_github(&self) -> Result<Vec<(String, String)>> {
        let comment = self.get("pr-comment");
        if !github::COMMENT_WORDS.contains(&comment) {
            return Err(
                bad_input("pr-comment", comment).with_hint("Use `never`, `always` or `on-change`")
            );
        }
        let check_run = self.flag("check-run")?.to_string();
        // The default is an expression, which only a runner evaluates.
        let token = self
            .optional("github-token")
            .filter(|token| !token.starts_with("${{"));
        let pairs = [("PR_COMMENT", comment), ("CHECK_RUN", &check_run)];
        let pairs = pairs
            .into_iter()
            .chain(token.map(|token| ("GITHUB_TOKEN", token)));
        let named = |(name, value)| (format!("ALICLOUD_IMAGE_{name}"), String::from(value));
        Ok(pairs.map(named).collect())
    }

    /// The directory to work in, under the workspace.
    fn working_directory(&self) -> Result<WorkingDirectory> {
        let typed = self.get("working-directory");
        let workspace = self.0.path("GITHUB_WORKSPACE").unwrap_or_default();
        let relative = under(Path::new(typed), &workspace).ok_or_else(|| {
            bad_input("working-directory", typed).with_hint("Use a directory inside the workspace")
        })?;
        Ok(WorkingDirectory {
            absolute: workspace.join(&relative),
            relative,
            workspace,
        })
    }
}

struct WorkingDirectory {
    absolute: PathBuf,
    relative: PathBuf,
    workspace: PathBuf,
}

fn in_directory(mut command: Command, directory: &WorkingDirectory) -> Command {
    let settle = |template: Option<&mut TemplateArgs>, report: &mut Settings| {
        if let Some(template) = template {
            template.directory = Some(directory.absolute.clone());
            if let Some(limit) = &mut template.confined_to {
                limit.clone_from(&directory.workspace);
            }
        }
        let files = report.output_files.iter_mut();
        for file in files.chain(&mut report.manifest) {
            *file = directory.absolute.join(&file);
        }
        if let Some(System::GitHub(github)) = &mut report.ci {
            let seen = &mut github.workspace.directory;
            seen.clone_from(&directory.relative);
        }
    };
    match &mut command {
        Command::Build(args) => settle(Some(&mut args.template), &mut args.report),
        Command::Validate(args) => settle(Some(&mut args.template), &mut args.report),
        Command::Inspect(args) => settle(Some(&mut args.template), &mut args.report),
        Command::Plan(args) => settle(Some(&mut args.template), &mut args.report),
        Command::Policy(args) => settle(Some(&mut args.template), &mut args.report),
        Command::Matrix(args) => {
            let args = &mut args.validate;
            settle(Some(&mut args.template), &mut args.report);
        }
        Command::Merge(args) => {
            args.directory = Some(directory.absolute.clone());
            settle(None, &mut args.report);
        }
        Command::Cleanup(args) => settle(None, &mut args.report),
        Command::Import(args) => {
            settle(None, &mut args.report);
            in_directory_of(directory, args);
        }
        _ => {}
    }
    command
}

fn in_directory_of(directory: &WorkingDirectory, args: &mut ImportArgs) {
    let disks = args.data_disks.iter_mut();
    for file in disks.chain([&mut args.file]) {
        *file = directory.absolute.join(&file);
    }
}

/// The path relative to the workspace, without `..`; none when it leaves it.
fn under(path: &Path, workspace: &Path) -> Option<PathBuf> {
    let relative = if path.is_absolute() {
        path.strip_prefix(workspace).ok()?
    } else {
        path
    };
    let mut clean = PathBuf::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            _ => return None,
        }
    }
    Some(clean)
}

fn variable_of(name: &str) -> String {
    format!("INPUT_{}", name.to_uppercase())
}

fn assigned(option: &str, value: &str) -> OsString {
    format!("{option}={value}").into()
}

/// What is wrong with an option, said of the input that it was made from.
fn of_input(error: &clap::Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let named = text(ContextKind::InvalidArg).zip(text(ContextKind::InvalidValue));
    let Some((option, value)) = named else {
        return super::usage_error(error);
    };
    let option = option.trim_start_matches('-');
    let name = match option.split(' ').next().unwrap_or_default() {
        "parallel-builds" => "parallel",
        "run" => "run-id",
        "var" => "vars",
        "option" => "options",
        same => same,
    };
    let bad = bad_input(name, value);
    match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(words)), _) if !words.is_empty() => {
            bad.with_hint(format!("Use one of `{}`", words.join("`, `")))
        }
        (_, Some(reason)) => bad.with_source(reason.to_string()),
        _ => bad,
    }
}

/// The command with what helps whoever has no keys in a workflow.
fn advised(mut command: Command) -> Command {
    let cloud = match &mut command {
        Command::Build(args) => &mut args.cloud,
        Command::Import(args) => &mut args.cloud,
        Command::Cleanup(args) => &mut args.cloud,
        _ => return command,
    };
    cloud.ambient.advice = Some(ADVICE);
    command
}

fn bad_input(name: &str, value: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("Bad value of input `{name}`: `{value}`"),
    )
}

#[cfg(test)]
mod tests;
