//! What a legacy template may hold, and what is said when it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::json;
use super::super::model::Scope;
use super::super::source::Sources;
use super::*;

fn read(json: &str) -> (Template, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let source = sources.add("t.json", json);
    let mut diagnostics = Diagnostics::default();
    let value = json::parse(source, &sources, &mut diagnostics).expect("valid JSON");
    let user = BTreeMap::from([("n".to_owned(), "3".to_owned())]);
    let context = Context::new(&user, "/t", "/w", jiff::Timestamp::UNIX_EPOCH);
    let template = Root::new(&value, &mut diagnostics)
        .map(|root| root.template(&context, &mut diagnostics))
        .unwrap_or_default();
    (template, diagnostics.into_sorted())
}

#[track_caller]
fn read_well(json: &str) -> Template {
    let (template, findings) = read(json);
    assert_eq!(findings, [], "{json}");
    template
}

/// A template with two builders, `a` and `b`, and more keys.
fn with_builders(more: &str) -> String {
    format!(r#"{{"builders": [{{"type": "a"}}, {{"type": "x", "name": "b"}}], {more}}}"#)
}

fn keys(value: &Value) -> Vec<&str> {
    value.entries().iter().map(|e| e.key.as_str()).collect()
}

#[test]
fn root_keys_match_in_any_case_and_comments_are_skipped() {
    let template = read_well(
        r#"{"_comment": "hi", "Description": "d", "BUILDERS": [{"type": "x"}], "push": 5,
            "min_packer_version": "1.7.0", "provisioners": null}"#,
    );
    assert_eq!(template.description.as_deref(), Some("d"));
    assert_eq!(template.builders.len(), 1);
}

#[test]
fn root_errors() {
    let table = [
        ("[]", "A template must be an object, but it is a list"),
        ("{}", "At least one builder must be defined"),
        (
            r#"{"builders": []}"#,
            "At least one builder must be defined",
        ),
        (
            r#"{"builders": {"type": "x"}}"#,
            "`builders` must be a list, but it is an object",
        ),
        (
            r#"{"builders": [{"type": "x"}], "foo": 1}"#,
            "Unknown root level key in template: `foo`",
        ),
        (
            r#"{"builders": [{"type": "x"}], "_c": 1}"#,
            "The comment `_c` must be a string, but it is a number",
        ),
        (
            r#"{"builders": [{"type": "x"}], "Builders": []}"#,
            "`Builders` and `builders` are the same root key",
        ),
        (
            r#"{"builders": [{"type": "x"}], "min_packer_version": "9.0.0"}"#,
            "This template requires Packer version 9.0.0 or higher; this program answers as 1.15.0",
        ),
        (
            r#"{"builders": [{"type": "x"}], "min_packer_version": "x"}"#,
            "`min_packer_version` is malformed: `x`",
        ),
        (
            r#"{"builders": [{"type": "x"}], "min_packer_version": 1}"#,
            "`min_packer_version` must be a string, but it is a number",
        ),
    ];
    for (json, message) in table {
        let messages: Vec<_> = read(json).1.into_iter().map(|f| f.message).collect();
        assert_eq!(messages, [message], "{json}");
    }
    let (_, findings) = read(r#"{"builders": [{"type": "x"}], "provisioner": []}"#);
    assert_eq!(
        findings[0].help.as_deref(),
        Some("Did you mean `provisioners`?")
    );
}

#[test]
fn builders_have_types_names_and_bodies() {
    let template = read_well(
        r#"{"builders": [{"type": "alicloud-ecs", "region": "r"},
                          {"Type": "qemu", "name": "v{{user `n`}}", "memory": 1}]}"#,
    );
    let [first, second] = template.builders.as_slice() else {
        panic!("two builders were written");
    };
    assert_eq!(
        (first.name.value.as_str(), first.build_name.as_str()),
        ("alicloud-ecs", "alicloud-ecs")
    );
    assert_eq!(keys(&first.body), ["region"]);
    assert_eq!(second.type_name.value, "qemu");
    assert_eq!(
        (second.name.value.as_str(), second.build_name.as_str()),
        ("v{{user `n`}}", "v3")
    );
    assert_eq!(keys(&second.body), ["memory"]);
}

#[test]
fn builder_errors() {
    let table = [
        (r#"[{"name": "a"}]"#, "Builder 1: `type` is missing"),
        (r#"[{"type": ""}]"#, "Builder 1: `type` is missing"),
        (
            r#"[{"type": 5}]"#,
            "`type` of builder 1 must be a string, but it is a number",
        ),
        (
            r#"[{"type": "a"}, 5]"#,
            "Builder 2 must be an object, but it is a number",
        ),
        (
            r#"[{"type": "a"}, {"type": "a"}]"#,
            "Builder 2: a builder with the name `a` already exists",
        ),
        (
            r#"[{"type": "a", "name": "3"}, {"type": "a", "name": "{{user `n`}}"}]"#,
            "Builder 2: a builder with the name `3` already exists",
        ),
        (
            r#"[{"type": "a", "name": "{{foo}}"}]"#,
            "There is no template function `foo`",
        ),
    ];
    for (builders, message) in table {
        let messages: Vec<_> = read(&format!("{{\"builders\": {builders}}}"))
            .1
            .into_iter()
            .map(|f| f.message)
            .collect();
        assert_eq!(messages, [message], "{builders}");
    }
}

#[test]
fn provisioner_meta_keys_are_taken_out() {
    let template = read_well(&with_builders(
        r#""provisioners": [{"type": "shell", "inline": ["a", "b"], "only": ["a"],
            "override": {"a": {"inline": ["c"]}}, "pause_before": "5s", "timeout": "1m",
            "max_retries": "{{user `n`}}", "continue_on_error": "true"},
            {"type": "shell", "except": "b", "max_retries": 2}],
           "error-cleanup-provisioner": {"type": "shell-local", "command": "x"}"#,
    ));
    let [first, second] = template.provisioners.as_slice() else {
        panic!("two provisioners were written");
    };
    assert_eq!(keys(&first.body), ["inline"]);
    assert_eq!(
        (first.pause_before, first.timeout),
        (Duration::from_secs(5), Duration::from_secs(60))
    );
    assert_eq!((first.max_retries, first.continue_on_error), (3, true));
    assert_eq!((second.max_retries, second.continue_on_error), (2, false));
    let [a, b] = template.builders.as_slice() else {
        panic!("two builders were written");
    };
    assert!(first.applies_to(a) && !first.applies_to(b));
    assert!(second.applies_to(a) && !second.applies_to(b));
    let merged = first.body_for(a);
    let inline = merged.get("inline").unwrap();
    let ValueKind::List(list) = &inline.kind else {
        panic!("a list was written");
    };
    let lines: Vec<_> = list.iter().map(|line| line.kind.clone()).collect();
    assert_eq!(
        lines,
        ["c", "b"].map(|line| ValueKind::String(line.to_owned()))
    );
    assert_eq!(first.body_for(b).as_ref(), &first.body);
    assert_eq!(
        template.error_cleanup_provisioners[0].type_name.value,
        "shell-local"
    );
}

#[test]
fn only_and_except_name_builders_before_rendering() {
    let json = r#"{"builders": [{"type": "a", "name": "v{{user `n`}}"}],
                   "provisioners": [{"type": "shell", "only": ["v{{user `n`}}"]}]}"#;
    let template = read_well(json);
    assert!(template.provisioners[0].applies_to(&template.builders[0]));
}

#[test]
fn provisioner_errors() {
    let table = [
        (r#"{}"#, "Provisioner 1: `type` is missing"),
        (
            r#"5"#,
            "Provisioner 1 must be an object, but it is a number",
        ),
        (
            r#"{"type": "s", "only": ["a"], "except": ["b"]}"#,
            "Provisioner 1: only one of `only` or `except` may be given",
        ),
        (
            r#"{"type": "s", "only": ["zz"]}"#,
            "`only` of provisioner 1 names builder `zz`, which does not exist",
        ),
        (
            r#"{"type": "s", "except": ["x"]}"#,
            "`except` of provisioner 1 names builder `x`, which does not exist",
        ),
        (
            r#"{"type": "s", "override": {"zz": {}}}"#,
            "`override` of provisioner 1 names builder `zz`, which does not exist",
        ),
        (
            r#"{"type": "s", "override": {"a": 5}}"#,
            "`override` for `a` of provisioner 1 must be an object, but it is a number",
        ),
        (
            r#"{"type": "s", "override": 5}"#,
            "Option `override` of provisioner 1 must be an object, but it is `5`",
        ),
        (
            r#"{"type": "s", "pause_before": "10"}"#,
            "Option `pause_before` of provisioner 1 must be a duration such as `5m`, but it is the string `\"10\"`",
        ),
        (
            r#"{"type": "s", "max_retries": "x"}"#,
            "Option `max_retries` of provisioner 1 must be an integer, but it is the string `\"x\"`",
        ),
        (
            r#"{"type": "s", "max_retries": -1}"#,
            "`max_retries` of provisioner 1 must not be negative or huge",
        ),
    ];
    for (provisioner, message) in table {
        let json = with_builders(&format!("\"provisioners\": [{provisioner}]"));
        let messages: Vec<_> = read(&json).1.into_iter().map(|f| f.message).collect();
        assert_eq!(messages, [message], "{provisioner}");
    }
}

#[test]
fn post_processors_are_sequences() {
    let template = read_well(&with_builders(
        r#""post-processors": ["compress", {"type": "manifest", "name": "m", "output": "o"},
            ["artifice", {"type": "checksum", "keep_input_artifact": true, "except": ["b"]}], []]"#,
    ));
    let names: Vec<Vec<_>> = template
        .post_processors
        .iter()
        .map(|sequence| sequence.iter().map(|block| block.name.as_str()).collect())
        .collect();
    assert_eq!(
        names,
        [vec!["compress"], vec!["m"], vec!["artifice", "checksum"]]
    );
    let checksum = &template.post_processors[2][1];
    assert!(checksum.keep_input_artifact.as_ref().unwrap().value);
    assert!(matches!(checksum.scope, Scope::Except(_)));
    assert_eq!(keys(&template.post_processors[1][0].body), ["output"]);
}

#[test]
fn post_processor_errors() {
    let table = [
        (
            "5",
            "Post-processor 1 must be a string, an object or a list, but it is a number",
        ),
        (
            r#"["a", 5]"#,
            "Post-processor 1.2 must be a string, an object or a list, but it is a number",
        ),
        (
            r#"[["a"]]"#,
            "Post-processor 1.1: a sequence cannot be nested in a sequence",
        ),
        ("{}", "Post-processor 1: `type` is missing"),
        (r#"[{}]"#, "Post-processor 1.1: `type` is missing"),
        (
            r#"{"type": "m", "only": ["zz"]}"#,
            "`only` of post-processor 1 names builder `zz`, which does not exist",
        ),
        (
            r#"{"type": "m", "keep_input_artifact": "true"}"#,
            "`keep_input_artifact` of post-processor 1 must be a bool, but it is a string",
        ),
    ];
    for (block, message) in table {
        let json = with_builders(&format!("\"post-processors\": [{block}]"));
        let messages: Vec<_> = read(&json).1.into_iter().map(|f| f.message).collect();
        assert_eq!(messages, [message], "{block}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let (_, findings) = read(
        r#"{"foo": 1, "builders": [{}, {"type": "a"}], "provisioners": [{"only": ["b"]}],
            "post-processors": [5]}"#,
    );
    assert_eq!(findings.len(), 5, "{findings:#?}");
}
