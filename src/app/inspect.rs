//! `inspect`: what a template consists of, without building it.

use crate::inputs::InspectArgs;
use crate::report::{ExitStatus, Format, Writers, page};
use crate::template::diagnostic::Diagnostics;
use crate::template::model::Template;
use crate::template::source::Sources;
use crate::template::variables::ResolvedVariables;
use crate::template::{self, Loaded};

pub(super) fn run(args: &InspectArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let fetched = match super::remote::fetch_now(&args.template, &events) {
        Ok(fetched) => fetched,
        Err(error) => return super::fail(&events, error),
    };
    let wanted = &fetched.template;
    if let Err(error) = super::template::enter_directory_of(wanted) {
        return super::fail(&events, error);
    }
    let environment = |name: &str| wanted.variables.environment.get(name).cloned();
    let inputs = super::template::variable_inputs(wanted, &environment);
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let opened = template::file::open(&wanted.path, &mut std::io::stdin(), &mut sources);
    let source = match opened {
        Ok(source) => source,
        Err(error) => return super::fail(&events, super::template::missing(error, &wanted.path)),
    };
    let loaded = template::inspect(source, &inputs, &mut sources, &mut diagnostics);
    super::template::start(&events, "inspect", &sources);
    let secrets = loaded.as_ref().map(|loaded| loaded.variables.secrets());
    super::template::hide(&secrets.unwrap_or_default(), &events);
    let findings = diagnostics.into_sorted();
    super::template::report(&findings, &events);
    let errors = super::template::errors_in(&findings);
    let Some(Loaded {
        template,
        variables,
    }) = loaded.filter(|_| errors == 0)
    else {
        return super::fail(&events, super::template::has_errors(errors));
    };
    let text = match args.report.format {
        Format::MachineReadable => machine_readable(&template, &variables),
        Format::Text | Format::Json => for_people(&template, &variables),
    };
    page::print(Writers::of_process(), &text);
    super::succeed(&events)
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

fn shown<'a>(name: &str, variables: &'a ResolvedVariables) -> &'a str {
    if variables.sensitive.contains(name) {
        return "<sensitive>";
    }
    variables.values.get(name).map_or("", String::as_str)
}
