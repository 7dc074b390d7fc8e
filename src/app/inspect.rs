//! `inspect`: what a template consists of, without building it.

use std::path::Path;

use crate::engine::event::Events;
use crate::error::Result;
use crate::inputs::InspectArgs;
use crate::report::{ExitStatus, Format, Writers, page};
use crate::secret::Secret;
use crate::template::diagnostic::Diagnostics;
use crate::template::model::{BuildOutline, Hcl, Template};
use crate::template::source::Sources;
use crate::template::variables::ResolvedVariables;
use crate::template::{self, Loaded};

pub(super) fn run(args: &InspectArgs) -> ExitStatus {
    let events = super::events(&args.report);
    inspect(args, &events).unwrap_or_else(|error| super::fail(&events, error))
}

fn inspect(args: &InspectArgs, events: &Events) -> Result<ExitStatus> {
    let fetched = super::remote::fetch_now(&args.template, events)?;
    let wanted = &fetched.template;
    super::template::enter_directory_of(wanted)?;
    let environment = |name: &str| wanted.variables.environment.get(name).cloned();
    let places = super::template::places(wanted);
    let fence = |path: &Path| places.outside(path);
    let inputs = super::template::variable_inputs(wanted, &environment, &fence);
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let text = super::template::open(wanted, &fence, &mut sources)?;
    let loaded = template::inspect(text, &inputs, &mut sources, &mut diagnostics);
    super::template::start(events, "inspect", &sources);
    let secrets = loaded.as_ref().map(|loaded| loaded.variables.secrets());
    super::template::hide(&secrets.unwrap_or_default(), events);
    let findings = diagnostics.into_sorted();
    super::template::report(&findings, events);
    let errors = super::template::errors_in(&findings);
    let Loaded {
        template,
        variables,
    } = loaded
        .filter(|_| errors == 0)
        .ok_or_else(|| super::template::has_errors(errors))?;
    let text = match (&template.hcl, args.report.format) {
        (Some(hcl), format) => hcl_page(hcl, &variables, format),
        (None, Format::MachineReadable) => machine_readable(&template, &variables),
        (None, Format::Text | Format::Json) => for_people(&template, &variables),
    };
    page::print_text(Writers::of_process(), &text);
    Ok(super::succeed(events))
}

fn for_people(template: &Template, variables: &ResolvedVariables) -> String {
    let mut lines = vec!["Packer Inspect: JSON mode".to_owned()];
    lines.extend(
        template
            .description
            .iter()
            .flat_map(|text| ["Description:".to_owned(), format!("  {text}")]),
    );
    section(
        &mut lines,
        "Variables",
        template.variables.iter().map(|variable| {
            let value = shown(&variable.name, variables);
            let value = if variable.required() {
                "<required>"
            } else {
                value
            };
            format!("{} = {value}", variable.name)
        }),
    );
    section(
        &mut lines,
        "Builders",
        template
            .builders
            .iter()
            .map(|builder| format!("{} ({})", builder.build_name, builder.type_name)),
    );
    section(
        &mut lines,
        "Provisioners",
        template
            .provisioners
            .iter()
            .map(|block| block.type_name.to_string()),
    );
    section(
        &mut lines,
        "Post-processors",
        template.post_processors.iter().map(|sequence| {
            let names: Vec<_> = sequence.iter().map(|block| block.name.as_str()).collect();
            names.join(", ")
        }),
    );
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, items: impl Iterator<Item = String>) {
    lines.push(String::new());
    lines.push(format!("{title}:"));
    let before = lines.len();
    lines.extend(items.map(|item| format!("  {item}")));
    if lines.len() == before {
        lines.push("  <none>".to_owned());
    }
}

/// Packer's lines: `template-variable,NAME,DEFAULT,REQUIRED` and so on.
fn machine_readable(template: &Template, variables: &ResolvedVariables) -> String {
    let now = jiff::Timestamp::now().as_second();
    let field = page::machine_readable_field;
    let variables = template.variables.iter().map(|variable| {
        let value = field(shown(&variable.name, variables));
        let required = u8::from(variable.required());
        format!(
            "{now},,template-variable,{},{value},{required}",
            field(&variable.name)
        )
    });
    let builders = template.builders.iter().map(|builder| {
        format!(
            "{now},,template-builder,{},{}",
            field(&builder.build_name),
            builder.type_name
        )
    });
    let provisioners = template
        .provisioners
        .iter()
        .map(|block| format!("{now},,template-provisioner,{}", block.type_name));
    variables
        .chain(builders)
        .chain(provisioners)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What Packer prints of an HCL2 template.
fn hcl_page(hcl: &Hcl, variables: &ResolvedVariables, format: Format) -> String {
    let mut parts = vec!["Packer Inspect: HCL2 mode\n".to_owned()];
    let secrets = variables.secrets();
    let mut section = |title: &str, prefix: &str, values: &[(String, Option<String>)]| {
        let line = |(name, value): &(String, Option<String>)| {
            let value = match value {
                _ if prefix == "var" && variables.sensitive.contains(name) => hidden(),
                Some(value) => without(&secrets, value),
                None => "<unknown>".to_owned(),
            };
            format!("{prefix}.{name}: {value:?}\n")
        };
        let lines: Vec<_> = values.iter().map(line).collect();
        parts.push(format!("> {title}:\n\n{}", lines.concat()));
    };
    section("input-variables", "var", &hcl.variables);
    section("local-variables", "local", &hcl.locals);
    let builds = hcl.builds.iter().enumerate();
    let builds: Vec<_> = builds
        .map(|(index, build)| hcl_build(index, build))
        .collect();
    parts.push(format!("> builds:\n\n{}", builds.concat()));
    match format {
        Format::MachineReadable => {
            let now = jiff::Timestamp::now().as_second();
            let line =
                |part: &String| format!("{now},,ui,say,{}", page::machine_readable_field(part));
            parts.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Format::Text | Format::Json => parts.join("\n"),
    }
}

fn hidden() -> String {
    "<sensitive>".to_owned()
}

/// What a local is made of may be secret, too.
fn without(secrets: &[Secret], value: &str) -> String {
    let mut value = value.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        value = value.replace(secret.expose(), &hidden());
    }
    value
}

fn hcl_build(index: usize, build: &BuildOutline) -> String {
    let name = match &build.name {
        Some(name) => name.clone(),
        None => format!("<unnamed build {index}>"),
    };
    let mut text = format!("  > {name}:\n\n");
    if let Some(description) = &build.description {
        text.push_str(&format!("  > Description: {description}\n\n"));
    }
    let listed = |title: &str, items: &[String], nothing: &str| {
        let items: Vec<_> = match items {
            [] => vec![format!("      <no {nothing}>\n\n")],
            items => items
                .iter()
                .map(|item| format!("      {item}\n\n"))
                .collect(),
        };
        format!("    {title}:\n\n{}", items.concat())
    };
    text.push_str(&listed("sources", &build.sources, "source"));
    text.push_str(&listed("provisioners", &build.provisioners, "provisioner"));
    let sequences = build.post_processors.iter().enumerate();
    let sequences: Vec<_> = sequences
        .map(|(number, names)| format!("{number}:\n        {}", names.join("\n        ")))
        .collect();
    text.push_str(&listed("post-processors", &sequences, "post-processor"));
    text
}

fn shown<'a>(name: &str, variables: &'a ResolvedVariables) -> &'a str {
    if variables.sensitive.contains(name) {
        return "<sensitive>";
    }
    variables.values.get(name).map_or("", String::as_str)
}
