//! `matrix`: the legs of a template, for a CI system's scheduler.

use std::path::Path;

use super::remote;
use super::template::{self, Around};
use crate::cli::Scheduler;
use crate::engine::event::{EventKind, Events};
use crate::error::{Error, Kind, Result};
use crate::fanout::legs::legs;
use crate::inputs::{MatrixArgs, TemplateArgs};
use crate::plan::Plan;
use crate::report::matrix::{self, Pipeline};
use crate::report::{ExitStatus, Report, System, Writers, page};
use crate::secret::Secret;
use crate::template::diagnostic::Diagnostic;

pub(super) fn run(args: &MatrixArgs) -> ExitStatus {
    // What is found goes to standard error: the matrix stands alone.
    let writers = Writers {
        stdout: Writers::of_process().stderr,
        ..Writers::of_process()
    };
    let events = Events::new(Report::new(&args.validate.report, writers));
    let written = plans(args, &events).and_then(|plans| {
        let asked: Vec<_> = plans.iter().map(|(region, plan)| (*region, plan)).collect();
        let legs = legs(&asked)?;
        match args.scheduler {
            Scheduler::Github => matrix::github(&legs),
            Scheduler::Gitlab => {
                check_secrets(args, &plans)?;
                matrix::gitlab(&legs, &pipeline(args)?)
            }
        }
    });
    match written {
        Ok(text) => {
            page::print_json(Writers::of_process(), &text);
            let name = "matrix";
            events.emit(EventKind::Answer { name, text });
            super::succeed(&events)
        }
        Err(error) => super::fail(&events, error),
    }
}

/// One plan for each region asked for.
fn plans<'a>(args: &'a MatrixArgs, events: &Events) -> Result<Vec<(Option<&'a str>, Plan)>> {
    let asked: Vec<_> = match args.regions.as_slice() {
        [] => vec![None],
        regions => regions.iter().map(|region| Some(region.as_str())).collect(),
    };
    if asked.len() > 1 && args.validate.template.path == Path::new("-") {
        let message = "A template on standard input can be read for one region only";
        return Err(Error::new(Kind::Usage, message).with_hint("Give the template as a file"));
    }
    // Once for all regions; the jobs of a child pipeline fetch it themselves.
    let fetched = remote::fetch_now(&args.validate.template, events)?;
    let mut said = Vec::new();
    let plans = asked.into_iter().map(|region| {
        let plan = planned(args, &fetched.template, region, events, &mut said)?;
        Ok((region, plan))
    });
    plans.collect()
}

/// The plan for a region. What was said of an earlier one is not repeated.
fn planned(
    args: &MatrixArgs,
    template: &TemplateArgs,
    region: Option<&str>,
    events: &Events,
    said: &mut Vec<Diagnostic>,
) -> Result<Plan> {
    let unbuilt = Around::unbuilt(&args.validate);
    let around = Around {
        region: region.or(unbuilt.region),
        ..unbuilt
    };
    let mut reading = template::read(&of_region(args, template, region), &around)?;
    template::start(events, "matrix", &reading.sources);
    if reading.errors() == 0 {
        reading.findings.retain(|finding| !said.contains(finding));
        said.extend(reading.findings.iter().cloned());
    }
    reading.into_plan(events)
}

fn of_region(args: &MatrixArgs, template: &TemplateArgs, region: Option<&str>) -> TemplateArgs {
    let mut template = template.clone();
    if let (Some(name), Some(region)) = (&args.region_variable, region) {
        template
            .variables
            .vars
            .push((name.clone(), region.to_owned()));
    }
    template
}

/// A child pipeline is an artifact that many can read.
fn check_secrets(args: &MatrixArgs, plans: &[(Option<&str>, Plan)]) -> Result<()> {
    for (name, value) in &args.validate.template.variables.vars {
        let value = Secret::new(value.as_str());
        if plans.iter().any(|(_, plan)| plan.secrets.contains(&value)) {
            let message = format!("A child pipeline would show the secret variable `{name}`");
            return Err(Error::new(Kind::Usage, message).with_hint(format!(
                "Make it a masked CI/CD variable and give `{name}` the default \"{{{{env `NAME`}}}}\" in the template"
            )));
        }
    }
    Ok(())
}

/// What the jobs of a child pipeline are told.
fn pipeline(args: &MatrixArgs) -> Result<Pipeline> {
    let TemplateArgs {
        path,
        variables,
        only,
        except,
        ..
    } = &args.validate.template;
    let path = path.to_str().filter(|path| *path != "-").ok_or_else(|| {
        Error::new(
            Kind::Usage,
            "The jobs of a child pipeline need the template's path",
        )
        .with_hint("Give the template as a file")
    })?;
    let files = variables.files.iter();
    let files = files.map(|file| format!("--var-file={}", file.display()));
    let vars = variables.vars.iter();
    let vars = vars.map(|(name, value)| format!("--var={name}={value}"));
    let select = |option: &str, names: &[String]| {
        let is_any = !names.is_empty();
        is_any.then(|| format!("--{option}={}", names.join(",")))
    };
    let selection = select("only", only)
        .into_iter()
        .chain(select("except", except));
    Ok(Pipeline {
        image: args.image.clone(),
        directory: directory(args),
        template: path.to_owned(),
        options: files.chain(vars).collect(),
        regions: args.regions.clone(),
        region_variable: args
            .region_variable
            .clone()
            .filter(|_| !args.regions.is_empty()),
        selection: selection.collect(),
        audience: args.audience.clone(),
    })
}

/// Where this command runs, as seen from the project's directory.
fn directory(args: &MatrixArgs) -> String {
    match &args.validate.report.ci {
        Some(System::GitLab(gitlab)) => gitlab.workspace.directory.display().to_string(),
        _ => String::new(),
    }
}
