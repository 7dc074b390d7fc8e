//! Reading a template and planning it, with everything there is to say.

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;

use crate::engine::event::{EventKind, Events};
use crate::error::{Error, Kind, Result};
use crate::inputs::TemplateArgs;
use crate::plan::{self, Plan};
use crate::template::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::template::source::Sources;
use crate::template::{Loaded, VariableInputs};

/// What was read, whether or not it can be built.
pub(super) struct Reading {
    pub(super) sources: Sources,
    pub(super) loaded: Option<Loaded>,
    pub(super) plan: Option<Plan>,
    pub(super) findings: Vec<Diagnostic>,
}

/// What a plan needs beside the template.
pub(super) struct Around<'a> {
    pub(super) force: bool,
    pub(super) region: Option<&'a str>,
    pub(super) has_keys: bool,
}

impl Reading {
    /// The plan, or the error that says why there is none; findings are
    /// reported either way.
    pub(super) fn into_plan(self, events: &Events) -> Result<Plan> {
        report(&self.findings, events);
        let errors = self.errors();
        if errors > 0 {
            let plural = if errors == 1 { "an error" } else { "errors" };
            return Err(Error::new(Kind::Template, format!("The template has {plural}")));
        }
        self.plan.ok_or_else(|| {
            Error::new(Kind::NoMatch, "No builds to run")
                .with_hint("Names for `-only` and `-except` are listed by `alicloud-image inspect`")
        })
    }

    pub(super) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
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
    if let Some(directory) = &args.directory {
        std::env::set_current_dir(directory).map_err(|error| cannot_read(directory, error))?;
    }
    let text = read_text(&args.path)?;
    let start = Timestamp::now();
    let environment = |name: &str| args.variables.environment.get(name).cloned();
    let pwd = current_directory();
    let inputs = VariableInputs {
        vars: args.variables.vars.clone(),
        var_files: args.variables.files.clone(),
        env: &environment,
        template_dir: directory_of(&args.path, &pwd),
        pwd: pwd.clone(),
        start,
    };
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let source = sources.add(&args.path, text);
    let loaded = crate::template::load(source, &inputs, &mut sources, &mut diagnostics);
    let plan = loaded.as_ref().and_then(|loaded| {
        let settings = plan::Settings {
            template_path: args.path.clone(),
            only: args.only.clone(),
            except: args.except.clone(),
            force: around.force,
            region: around.region.map(str::to_owned),
            has_keys: around.has_keys,
            template_dir: inputs.template_dir.clone(),
            pwd,
            start,
        };
        plan::plan(loaded, &settings, &sources, &mut diagnostics)
    });
    Ok(Reading { sources, loaded, plan, findings: diagnostics.into_sorted() })
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| cannot_read(path, error))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::new(Kind::Template, format!("`{}` is not UTF-8 text", path.display()))
            .with_source(error)
            .with_hint("Save it as UTF-8")
    })
}

fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Template, format!("Cannot read `{}`", path.display())).with_source(error)
}

fn current_directory() -> String {
    std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default()
}

fn directory_of(path: &Path, pwd: &str) -> String {
    if path == Path::new("-") {
        return String::new();
    }
    let directory = Path::new(pwd).join(path);
    directory.parent().map(|parent| parent.display().to_string()).unwrap_or_default()
}
