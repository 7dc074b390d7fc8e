//! Reading a template and planning it, with everything there is to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::{EventKind, Events, RunStarted};
use crate::error::{Error, Kind, Result};
use crate::inputs::{TemplateArgs, ValidateArgs};
use crate::plan::Plan;
use crate::plan::alicloud_ecs::ProfileReading;
use crate::plan::build::{self, NoPlan};
use crate::plan::files::Places;
use crate::secret::Secret;
use crate::template::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::template::nearest::did_you_mean;
use crate::template::source::Sources;
use crate::template::variables::VariableInputs;
use crate::template::{self, Loaded};

/// What was read, whether or not it can be built.
pub(super) struct Reading {
    pub(super) sources: Sources,
    pub(super) loaded: Option<Loaded>,
    pub(super) plan: Option<Plan>,
    pub(super) no_match: bool,
    /// Values of the template that must not be shown.
    pub(super) secrets: Vec<Secret>,
    pub(super) findings: Vec<Diagnostic>,
}

/// What a plan needs beside the template.
pub(super) struct Around<'a> {
    pub(super) force: bool,
    pub(super) region: Option<&'a str>,
    pub(super) profiles: Option<ProfileReading<'a>>,
}

impl<'a> Around<'a> {
    /// For a template that is not built: there may be no credentials.
    pub(super) fn unbuilt(args: &'a ValidateArgs) -> Self {
        Self {
            force: false,
            region: args.region.as_deref(),
            profiles: Some(ProfileReading {
                profiles: &args.profiles,
                is_needed: false,
            }),
        }
    }
}

impl Reading {
    /// The plan, or the error that says why there is none; findings are
    /// reported either way.
    pub(super) fn into_plan(self, events: &Events) -> Result<Plan> {
        // First, as findings show lines of the template.
        hide(&self.secrets, events);
        report(&self.findings, events);
        let errors = self.errors();
        if self.no_match {
            return Err(Error::new(Kind::NoMatch, "No builds to run").with_hint(
                "Names for `-only` and `-except` are listed by `alicloud-image inspect`",
            ));
        }
        self.plan
            .filter(|_| errors == 0)
            .ok_or_else(|| has_errors(errors))
    }

    pub(super) fn errors(&self) -> usize {
        errors_in(&self.findings)
    }
}

pub(super) fn errors_in(findings: &[Diagnostic]) -> usize {
    let findings = findings.iter();
    let errors = findings.filter(|finding| finding.severity == Severity::Error);
    errors.count()
}

/// The end of a run that has reported so many errors.
pub(super) fn has_errors(count: usize) -> Error {
    let plural = if count == 1 { "" } else { "s" };
    Error::new(
        Kind::Template,
        format!("The template has {count} error{plural}"),
    )
}

/// Tells reporters the texts that findings point into.
pub(super) fn start(events: &Events, command: &'static str, sources: &Sources) {
    events.emit(EventKind::RunStarted(Arc::new(RunStarted {
        run_id: String::new(),
        command,
        builds: Vec::new(),
        sources: sources.clone(),
        journal: None,
        region: None,
        inputs: Vec::new(),
    })));
}

/// Has values hidden from now on.
pub(super) fn hide(secrets: &[Secret], events: &Events) {
    for secret in secrets {
        events.emit(EventKind::Secret(secret.clone()));
    }
}

/// Reports findings in the order of the template.
pub(super) fn report(findings: &[Diagnostic], events: &Events) {
    for finding in findings {
        events.emit(EventKind::Diagnostic(finding.clone()));
    }
}

/// Reads and plans a template.
///
/// # Errors
/// When the template cannot be read at all; what is wrong inside of it is
/// among the findings.
pub(super) fn read(args: &TemplateArgs, around: &Around<'_>) -> Result<Reading> {
    enter_directory_of(args)?;
    let environment = |name: &str| args.variables.environment.get(name).cloned();
    let inputs = variable_inputs(args, &environment);
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let source = template::file::open(&args.path, &mut std::io::stdin(), &mut sources)
        .map_err(|error| missing(error, &args.path))?;
    let loaded = template::load(source, &inputs, &mut sources, &mut diagnostics);
    let plan = loaded.as_ref().map(|loaded| {
        let settings = build::Settings {
            template_path: args.path.clone(),
            template_dir: inputs.template_dir.clone(),
            sources: &sources,
            only: args.only.clone(),
            except: args.except.clone(),
            force: around.force,
            region: around.region.map(str::to_owned),
            profiles: around.profiles,
            places: places(args, &inputs),
            start: inputs.start,
        };
        build::plan(loaded, &settings, &mut diagnostics)
    });
    let no_match = matches!(plan, Some(Err(NoPlan::NoMatch)));
    let secrets = match (&plan, &loaded) {
        (Some(Ok(plan)), _) => plan.secrets.clone(),
        (Some(Err(NoPlan::Invalid { secrets })), _) => secrets.clone(),
        (_, Some(loaded)) => loaded.variables.secrets(),
        (_, None) => Vec::new(),
    };
    let plan = plan.and_then(Result::ok);
    Ok(Reading {
        sources,
        loaded,
        plan,
        no_match,
        secrets,
        findings: diagnostics.into_sorted(),
    })
}

/// Why a template cannot be opened. Whoever named one that is not there is told
/// what is.
pub(super) fn missing(error: Error, path: &Path) -> Error {
    match error.kind() {
        Kind::Usage => error.with_hint(what_is_beside(path)),
        _ => error,
    }
}

/// What helps to find a file that is not there.
pub(super) fn what_is_beside(path: &Path) -> String {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = parent.unwrap_or(Path::new("."));
    let here = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let here = here.display();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return format!("There is no directory {here}");
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    if names.is_empty() {
        return format!("{here} is empty; in a workflow, `actions/checkout` comes first");
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let known = names.iter().map(String::as_str);
    did_you_mean(&name, known).unwrap_or_else(|| format!("It is looked for in {here}"))
}

/// The plan of a template that is not built.
///
/// # Errors
/// When it cannot be read or planned; what is wrong inside of it is reported.
pub(super) fn plan_for_show(
    args: &ValidateArgs,
    command: &'static str,
    events: &Events,
) -> Result<Plan> {
    let fetched = super::remote::fetch_now(&args.template, events)?;
    let reading = read(&fetched.template, &Around::unbuilt(args))?;
    start(events, command, &reading.sources);
    reading.into_plan(events)
}

/// Makes all paths relative to the directory that the user named, if any.
pub(super) fn enter_directory_of(args: &TemplateArgs) -> Result<()> {
    args.directory.as_deref().map_or(Ok(()), enter)
}

/// Makes all paths relative to a directory.
pub(super) fn enter(directory: &Path) -> Result<()> {
    std::env::set_current_dir(directory).map_err(|error| {
        let message = format!("Cannot change to the directory `{}`", directory.display());
        Error::new(Kind::Usage, message).with_source(error)
    })
}

/// Everything outside the template that its variables depend on.
pub(super) fn variable_inputs<'a>(
    args: &TemplateArgs,
    environment: &'a dyn Fn(&str) -> Option<String>,
) -> VariableInputs<'a> {
    let pwd = std::env::current_dir().unwrap_or_default();
    VariableInputs {
        vars: args.variables.vars.clone(),
        var_files: args.variables.files.clone(),
        env: environment,
        template_dir: directory_of(&args.path, &pwd),
        pwd: pwd.display().to_string(),
        start: Timestamp::now(),
    }
}

fn places(args: &TemplateArgs, inputs: &VariableInputs<'_>) -> Places {
    Places {
        working_directory: PathBuf::from(&inputs.pwd),
        home: args.variables.environment.get("HOME").map(PathBuf::from),
        confined_to: args.confined_to.clone(),
    }
}

fn directory_of(path: &Path, pwd: &Path) -> String {
    if path == Path::new("-") {
        return String::new();
    }
    let path = pwd.join(path);
    path.parent()
        .map(|parent| parent.display().to_string())
        .unwrap_or_default()
}
