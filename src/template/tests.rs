//! Whole templates: variables, selection, and texts that are damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::decode::{Decoder, OptionKind, OptionSpec, Status};
use super::diagnostic::{Diagnostic, Severity};
use super::evaluate::render_body;
use super::*;

const SAMPLE: &str = r#"{
  "_comment": "a sample",
  "min_packer_version": "1.6.0",
  "variables": {
    "access_key": "{{env `ALICLOUD_ACCESS_KEY`}}",
    "secret_key": "{{env `ALICLOUD_SECRET_KEY`}}",
    "region": "cn-beijing",
    "name": "img-{{user `region`}}-{{isotime \"2006-01-02\"}}",
    "boot": "ip={{.HTTPIP}} {{user `region`}}"
  },
  "sensitive-variables": ["secret_key"],
  "builders": [{
    "type": "alicloud-ecs",
    "access_key": "{{user `access_key`}}",
    "secret_key": "{{user `secret_key`}}",
    "region": "{{user `region`}}",
    "image_name": "{{user `name` | upper}}",
    "io_optimized": "true",
    "tags": {"version": "v1.0.0", "caf\u00e9": "{{build_type}}"}
  }],
  "provisioners": [{"type": "shell", "inline": ["sleep 30"], "override": {"alicloud-ecs": {"inline": ["x"]}}}],
  "post-processors": [["manifest", {"type": "checksum", "keep_input_artifact": true}]]
}"#;

/// What is outside of a template under test.
#[derive(Default)]
struct World {
    vars: Vec<(&'static str, &'static str)>,
    var_files: Vec<PathBuf>,
}

fn load_in(world: &World, text: &str) -> (Option<Loaded>, Sources, Vec<Diagnostic>) {
    let environment = |name: &str| match name {
        "ALICLOUD_ACCESS_KEY" => Some("LTAI".to_owned()),
        "ALICLOUD_SECRET_KEY" => Some("s3cret".to_owned()),
        _ => None,
    };
    let inputs = VariableInputs {
        vars: world
            .vars
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        var_files: world.var_files.clone(),
        env: &environment,
        template_dir: "/templates".to_owned(),
        pwd: "/work".to_owned(),
        start: "2024-02-03T04:05:06Z".parse().unwrap(),
        fence: &|_| None,
    };
    let mut sources = Sources::default();
    let source = sources.add("t.json", text);
    let mut diagnostics = Diagnostics::default();
    let loaded = load(source, &inputs, &mut sources, &mut diagnostics);
    (loaded, sources, diagnostics.into_sorted())
}

/// Values of variables, and findings as text.
fn variables(world: &World, declared: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let text = format!(r#"{{"variables": {declared}, "builders": [{{"type": "x"}}]}}"#);
    let (loaded, _, findings) = load_in(world, &text);
    let findings = findings.into_iter().map(|finding| finding.message);
    (loaded.unwrap().variables.values, findings.collect())
}

#[track_caller]
fn check_values(world: &World, declared: &str, expected: &[(&str, &str)]) {
    let (values, findings) = variables(world, declared);
    assert_eq!(findings, [""; 0], "{declared}");
    let values: Vec<_> = values
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(values, expected, "{declared}");
}

#[test]
fn the_sample_evaluates() {
    let (loaded, sources, findings) = load_in(&World::default(), SAMPLE);
    assert_eq!(findings, []);
    let Loaded {
        template,
        variables,
    } = loaded.unwrap();
    assert_eq!(variables.values["name"], "img-cn-beijing-2024-02-03");
    assert_eq!(variables.values["boot"], "ip={{.HTTPIP}} cn-beijing");
    assert_eq!(variables.secrets(), [crate::secret::Secret::new("s3cret")]);
    let builder = &template.builders[0];
    let context = Context {
        sources: Some(&sources),
        ..Context::new(
            &variables.values,
            "/templates",
            "/work",
            "2024-02-03T04:05:06Z".parse().unwrap(),
        )
    }
    .for_build(&builder.build_name, &builder.type_name.value);
    let mut diagnostics = Diagnostics::default();
    let body = render_body(&builder.body, &context, &[], &mut diagnostics);
    let mut decoder = Decoder::new(&body, OPTIONS, "builder `alicloud-ecs`", &mut diagnostics);
    assert_eq!(
        decoder.string("image_name").unwrap().value,
        "IMG-CN-BEIJING-2024-02-03"
    );
    assert!(decoder.bool("io_optimized").unwrap().value);
    let tags = decoder.string_map("tags").unwrap().value;
    assert_eq!(tags["café"], "alicloud-ecs");
    decoder.finish();
    assert_eq!(diagnostics.into_sorted(), []);
}

const fn option(name: &'static str, kind: OptionKind) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default: "",
        doc: "",
        status: Status::Supported,
    }
}

const OPTIONS: &[&[OptionSpec]] = &[&[
    option("access_key", OptionKind::String),
    option("secret_key", OptionKind::Secret),
    option("region", OptionKind::String),
    option("image_name", OptionKind::String),
    option("io_optimized", OptionKind::Tri),
    option("tags", OptionKind::StringMap),
]];

#[test]
fn stronger_values_win() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(
        path("1.json"),
        r#"{"b": "file1", "c": "file1", "d": "file1", "extra": "e"}"#,
    )
    .unwrap();
    fs::write(path("2.json"), r#"{"c": "file2", "d": "file2"}"#).unwrap();
    let world = World {
        vars: vec![("d", "var1"), ("d", "var2"), ("undeclared", "u")],
        var_files: vec![path("1.json"), path("2.json")],
    };
    check_values(
        &world,
        r#"{"a": "default", "b": "default", "c": null, "d": "default"}"#,
        &[
            ("a", "default"),
            ("b", "file1"),
            ("c", "file2"),
            ("d", "var2"),
            ("extra", "e"),
            ("undeclared", "u"),
        ],
    );
}

#[test]
fn values_are_interpolated() {
    let world = World {
        vars: vec![("v", "{{env `ALICLOUD_ACCESS_KEY`}}-{{user `a`}}")],
        ..World::default()
    };
    check_values(
        &world,
        r#"{"v": "", "a": "{{user `b`}}1", "b": "{{user `c`}}2", "c": "{{env `UNSET`}}3", "e": ""}"#,
        &[
            ("a", "321"),
            ("b", "32"),
            ("c", "3"),
            ("e", ""),
            ("v", "LTAI-321"),
        ],
    );
    check_values(
        &World::default(),
        r#"{"d": "{{template_dir}}/x {{pwd}} {{timestamp}}", "k": "{{ .Name }}{{.Vars}}"}"#,
        &[
            ("d", "/templates/x /work 1706933106"),
            ("k", "{{ .Name }}{{.Vars}}"),
        ],
    );
}

#[test]
fn long_chains_resolve() {
    let links: Vec<_> = (0..150)
        .map(|i| format!("\"v{i:03}\": \"{{{{user `v{:03}`}}}}\"", i + 1))
        .collect();
    let declared = format!("{{{}, \"v150\": \"end\"}}", links.join(", "));
    let (values, findings) = variables(&World::default(), &declared);
    assert_eq!(findings, [""; 0]);
    assert_eq!(values["v000"], "end");
}

#[test]
fn variable_errors() {
    let table = [
        (r#"{"a": null}"#, "Required variable `a` is not set"),
        (
            r#"{"a": 5}"#,
            "The default of variable `a` must be a string or null, but it is a number",
        ),
        (
            r#"{"a": ["x"]}"#,
            "The default of variable `a` must be a string or null, but it is a list",
        ),
        (
            r#"{"a": "{{user `zz`}}"}"#,
            "Variable `a` refers to `zz`, which is not declared",
        ),
        (
            r#"{"a": "{{user `a`}}"}"#,
            "Variables refer to themselves or each other: `a`",
        ),
        (
            r#"{"a": "{{user `b`}}", "b": "{{user `a`}}", "c": ""}"#,
            "Variables refer to themselves or each other: `a`, `b`",
        ),
        (r#"{"a": "{{foo}}"}"#, "There is no template function `foo`"),
        (
            r#"{"a": "{{build_name}}"}"#,
            "`build_name` is not available here",
        ),
        (
            r#"{"a": null, "b": "{{user `a`}}"}"#,
            "Required variable `a` is not set",
        ),
        (r#"[]"#, "`variables` must be an object, but it is a list"),
    ];
    for (declared, message) in table {
        let (_, findings) = variables(&World::default(), declared);
        assert_eq!(findings, [message], "{declared}");
    }
}

#[test]
fn values_from_the_command_line_are_named_in_errors() {
    let world = World {
        vars: vec![("a", "{{foo}}")],
        ..World::default()
    };
    let (_, findings) = variables(&world, r#"{"a": ""}"#);
    assert_eq!(
        findings,
        ["Variable `a` given by `-var`: There is no template function `foo`"]
    );
}

#[test]
fn slips_in_names_are_warned_of() {
    let world = World {
        vars: vec![("regoin", "x")],
        ..World::default()
    };
    let text = r#"{"variables": {"region": "r"}, "sensitive-variables": ["regio"],
                   "builders": [{"type": "x"}]}"#;
    let (_, _, findings) = load_in(&world, text);
    let findings: Vec<_> = findings
        .iter()
        .map(|f| (f.severity, f.message.as_str(), f.help.as_deref()))
        .collect();
    let help = Some("Did you mean `region`?");
    let expected = [
        (
            Severity::Warning,
            "Variable `regoin` given by `-var` is not declared in the template",
            help,
        ),
        (
            Severity::Warning,
            "Sensitive variable `regio` is not declared, so nothing is hidden",
            help,
        ),
    ];
    assert_eq!(findings, expected);
}

#[test]
fn variable_files_are_checked_with_places() {
    let directory = tempfile::tempdir().unwrap();
    let table = [
        (
            "{\"a\": \"1\",\n \"b\": 5}",
            "Variable `b` must be a string, but it is a number",
            "2:7",
        ),
        (
            "{\"a\": \"1\",}",
            "Invalid JSON: a comma after the last element",
            "1:10",
        ),
        (
            "[]",
            "A variable file must hold an object, but it is a list",
            "1:1",
        ),
        ("{\"a\": \"1\", \"a\": \"2\"}", "Duplicate key `a`", "1:12"),
        (
            "{\"a\": \"{{foo}}\"}",
            "There is no template function `foo`",
            "1:10",
        ),
    ];
    for (index, (text, message, place)) in table.into_iter().enumerate() {
        let path = directory.path().join(format!("{index}.json"));
        fs::write(&path, text).unwrap();
        let world = World {
            var_files: vec![path.clone()],
            ..World::default()
        };
        let (_, sources, findings) = load_in(&world, r#"{"builders": [{"type": "x"}]}"#);
        assert_eq!(findings.len(), 1, "{text}");
        assert_eq!(findings[0].message, message);
        let location = sources.locate(findings[0].span.unwrap()).unwrap();
        assert_eq!(location.to_string(), format!("{}:{place}", path.display()));
    }
    let world = World {
        var_files: vec![directory.path().join("missing.json")],
        ..World::default()
    };
    let (_, _, findings) = load_in(&world, r#"{"builders": [{"type": "x"}]}"#);
    assert!(findings[0].message.starts_with("Cannot read variable file"));
}

#[test]
fn inspecting_needs_no_values() {
    let mut sources = Sources::default();
    let text = r#"{"variables": {"a": null}, "builders": [{"type": "x"}]}"#;
    let source = sources.add("t.json", text);
    let inputs = VariableInputs {
        vars: Vec::new(),
        var_files: Vec::new(),
        env: &|_| None,
        template_dir: String::new(),
        pwd: String::new(),
        start: jiff::Timestamp::UNIX_EPOCH,
        fence: &|_| None,
    };
    let mut diagnostics = Diagnostics::default();
    let loaded = inspect(source, &inputs, &mut sources, &mut diagnostics).unwrap();
    assert_eq!(diagnostics.into_sorted(), []);
    assert!(loaded.template.variables[0].required());
}

#[test]
fn only_and_except_select() {
    let text = r#"{"builders": [{"type": "a"}, {"type": "x", "name": "b"}],
        "post-processors": [["compress", {"type": "manifest", "name": "m"}], "checksum"]}"#;
    let (loaded, _, _) = load_in(&World::default(), text);
    let template = loaded.unwrap().template;
    /// `-only`, `-except`, builds, lengths of sequences, warnings.
    type Case<'c> = (
        &'c [&'c str],
        &'c [&'c str],
        &'c [&'c str],
        &'c [usize],
        usize,
    );
    let table: &[Case<'_>] = &[
        (&[], &[], &["a", "b"], &[2, 1], 0),
        (&["b"], &[], &["b"], &[2, 1], 0),
        (&[], &["a"], &["b"], &[2, 1], 0),
        (&["x"], &[], &[], &[2, 1], 1),
        (&["a", "B*"], &[], &["a"], &[2, 1], 1),
        (&[], &["m"], &["a", "b"], &[1, 1], 0),
        (&[], &["compress", "zz"], &["a", "b"], &[1], 1),
        (&[], &["manifest", "checksum"], &["a", "b"], &[1], 0),
    ];
    for (only, except, names, lengths, warnings) in table {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let mut diagnostics = Diagnostics::default();
        let selection = template.select(&owned(only), &owned(except), &mut diagnostics);
        let builds: Vec<_> = selection
            .builders
            .iter()
            .map(|b| b.build_name.as_str())
            .collect();
        let counts: Vec<_> = selection.post_processors.iter().map(Vec::len).collect();
        assert_eq!(builds, *names, "{only:?} {except:?}");
        assert_eq!(counts, *lengths, "{only:?} {except:?}");
        assert_eq!(
            diagnostics.into_sorted().len(),
            *warnings,
            "{only:?} {except:?}"
        );
    }
}

/// Loads a text and renders and decodes every block of it.
fn run_through(text: &str) {
    let (loaded, sources, findings) = load_in(&World::default(), text);
    for finding in findings.iter().filter_map(|finding| finding.span) {
        assert!(sources.locate(finding).is_some(), "{text}");
    }
    let Some(Loaded {
        template,
        variables,
    }) = loaded
    else {
        assert!(!findings.is_empty(), "{text}");
        return;
    };
    let context = Context {
        sources: Some(&sources),
        ..Context::new(&variables.values, "", "", jiff::Timestamp::UNIX_EPOCH)
    };
    let mut diagnostics = Diagnostics::default();
    for builder in &template.builders {
        let body = render_body(&builder.body, &context, &["tags"], &mut diagnostics);
        let mut decoder = Decoder::new(&body, OPTIONS, "builder", &mut diagnostics);
        decoder.string("image_name");
        decoder.bool("io_optimized");
        decoder.string_map("tags");
        decoder.finish();
        for provisioner in &template.provisioners {
            render_body(
                &provisioner.body_for(builder),
                &context,
                &[],
                &mut diagnostics,
            );
        }
    }
    for finding in diagnostics.into_sorted() {
        assert!(
            finding
                .span
                .is_none_or(|span| sources.locate(span).is_some())
        );
    }
}

#[test]
fn no_damage_makes_it_panic() {
    let replacements = ["", "\"", "{", "}", "]", ",", "5", "\\", "ü", "null", "{{"];
    for (index, c) in SAMPLE.char_indices() {
        run_through(&SAMPLE[..index]);
        let (before, after) = (&SAMPLE[..index], &SAMPLE[index + c.len_utf8()..]);
        let replacement = replacements[index % replacements.len()];
        run_through(&format!("{before}{replacement}{after}"));
    }
}
