//! Pipelines that users copy – from the README, `docs`, `examples` and
//! `templates` – read and run as a CI system would.

use serde_json::Value;

use crate::harness::Lab;

/// A file of the repository.
pub(crate) fn repository(path: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

/// The YAML documents of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The one YAML document of a text.
pub(crate) fn document(text: &str) -> Value {
    let documents = documents(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.into_iter().next().unwrap()
}

/// The code blocks of this language in a section of a Markdown page.
pub(crate) fn blocks(page: &str, section: &str, language: &str) -> Vec<String> {
    let page = repository(page);
    let begin = page
        .find(&format!("\n{section}\n"))
        .expect("the section is there");
    let section = &page[begin + 2..];
    let end = ["\n## ", "\n### "]
        .iter()
        .filter_map(|head| section.find(head))
        .min();
    let parts = section[..end.unwrap_or(section.len())]
        .split("\n```")
        .skip(1)
        .step_by(2);
    let blocks = parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")));
    blocks.map(str::to_owned).collect()
}

/// The value with every text in it changed, keys too.
pub(crate) fn map_texts(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| map_texts(item, change)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (change(key), map_texts(value, change)))
                .collect()
        }
        other => other.clone(),
    }
}

/// The text with `OPEN name CLOSE` replaced by what `value` says.
pub(crate) fn replaced(
    text: &str,
    open: &str,
    close: &str,
    value: impl Fn(&str) -> String,
) -> String {
    let mut parts = text.split(open);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(close).expect("an expression ends");
        out.push_str(&value(name.trim()));
        out.push_str(rest);
    }
    out
}

/// The lines of a script, as a shell takes them.
pub(crate) fn script(lines: &Value) -> String {
    let lines = lines.as_array().expect("a script is a list").iter();
    let lines: Vec<_> = lines.map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

/// Makes the lab a runner of GitLab.
pub(crate) fn on_gitlab(lab: &mut Lab) {
    let root = lab.path("").display().to_string();
    let root = root.trim_end_matches('/').to_owned();
    for variable in [
        "GITHUB_ACTIONS",
        "GITHUB_WORKSPACE",
        "ALICLOUD_IMAGE_JOURNAL_DIR",
    ] {
        lab.unset(variable);
    }
    lab.set("CI", "true")
        .set("GITLAB_CI", "true")
        .set("CI_PROJECT_DIR", &root)
        .set("CI_PROJECT_ID", "7")
        .set("CI_PIPELINE_ID", "4711")
        .set("CI_JOB_ID", "99")
        .set("CI_COMMIT_SHORT_SHA", "0c9d1f2e");
}

/// Sets a job's variables as GitLab does: they may name others.
pub(crate) fn set_variables(lab: &mut Lab, variables: &Value) {
    for (name, value) in variables.as_object().into_iter().flatten() {
        let value = expanded(lab, value.as_str().unwrap());
        lab.set(name, &value);
    }
}

fn expanded(lab: &Lab, text: &str) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = part.find(|letter| !is_name(letter)).unwrap_or(part.len());
        out.push_str(&lab.variable(&part[..end]));
        out.push_str(&part[end..]);
    }
    out
}

/// A component's job, with its inputs filled in: its name and its definition.
/// As GitLab does, they are put into the text before it is read as YAML.
pub(crate) fn component(name: &str, inputs: &Value) -> (String, Value) {
    let text = repository(&format!("templates/{name}.yml"));
    let (spec, jobs) = text
        .split_once("\n---\n")
        .expect("it has a head and a body");
    let spec = document(spec);
    let declared = spec["spec"]["inputs"].as_object().unwrap();
    for given in inputs.as_object().into_iter().flatten() {
        assert!(declared.contains_key(given.0), "unknown input {}", given.0);
    }
    let value = |expression: &str| {
        let input = expression.strip_prefix("inputs.").unwrap();
        let declaration = &declared[input];
        assert!(
            declaration["description"].is_string(),
            "{input} has a description"
        );
        let given = inputs.get(input).or_else(|| declaration.get("default"));
        match given.unwrap_or_else(|| panic!("input {input} is missing")) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    let jobs = document(&replaced(jobs, "$[[", "]]", value));
    let mut jobs = jobs.as_object().unwrap().clone().into_iter();
    jobs.next().unwrap()
}
