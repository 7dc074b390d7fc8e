//! Expressions and what they give, beside those that Packer's console gives.

use std::path::Path;

use super::*;
use crate::template::hcl::scope::{Names, Place, Running};
use crate::template::hcl::show::show;
use crate::template::hcl::world::World;
use crate::template::source::Sources;

fn no_environment(_: &str) -> Option<String> {
    None
}

fn no_fence(_: &Path) -> Option<String> {
    None
}

fn world() -> World<'static> {
    World {
        root: ".".to_owned(),
        directory: "/t".into(),
        pwd: "/w".to_owned(),
        home: None,
        start: jiff::Timestamp::UNIX_EPOCH,
        env: &no_environment,
        fence: &no_fence,
    }
}

/// The value of an expression at a place, or its findings as
/// `message@text`, the text being what the span covers.
fn evaluate_at(place: Place<'_>, expression: &str) -> Result<Value, Vec<String>> {
    let source_text = format!("x = {expression}\n");
    let mut sources = Sources::default();
    let source = sources.add("t.pkr.hcl", source_text.clone());
    let mut diagnostics = Diagnostics::default();
    let parsed = crate::template::hcl::syntax::parse(source, &sources, &mut diagnostics);
    let body = parsed.unwrap_or_else(|| panic!("{expression}: {diagnostics:?}"));
    let disk = |size: i64, name: &str| {
        Value::Object(BTreeMap::from([
            ("size".to_owned(), size.into()),
            ("name".to_owned(), name.into()),
        ]))
    };
    let variables = Names::from([
        ("region".to_owned(), Some("cn-beijing".into())),
        (
            "disks".to_owned(),
            Some(vec![disk(20, "a"), disk(40, "b")].into()),
        ),
        ("none".to_owned(), Some(Value::Null)),
        ("broken".to_owned(), None),
    ]);
    let locals = Names::from([("name".to_owned(), Some("web".into()))]);
    let world = world();
    let scope = Scope {
        place,
        variables: &variables,
        locals: &locals,
        world: &world,
    };
    let text = Text {
        source,
        text: &source_text,
    };
    let attribute = body.get_attribute("x").unwrap();
    let value = Evaluator::new(scope, text, &mut diagnostics).value(&attribute.value);
    let findings = diagnostics.into_sorted().into_iter().map(|finding| {
        let span = finding.span.unwrap();
        format!("{}@{}", finding.message, &source_text[span.start..span.end])
    });
    let findings: Vec<_> = findings.collect();
    match value {
        Some(value) if findings.is_empty() => Ok(value),
        _ => Err(findings),
    }
}

const BUILD: Place<'_> = Place::Build(Running {
    source_name: "web",
    source_type: "alicloud-ecs",
    build_name: "nightly",
});

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (expression, expected) in table {
        let value = evaluate_at(BUILD, expression).map(|value| show(&value));
        assert_eq!(value.as_deref(), Ok(*expected), "{expression}");
    }
}

#[track_caller]
fn check_errors(place: Place<'_>, table: &[(&str, &[&str])]) {
    for (expression, expected) in table {
        let findings = evaluate_at(place, expression).unwrap_err();
        assert_eq!(findings, *expected, "{expression}");
    }
}

#[test]
fn literals_and_operators_are_as_in_packers_console() {
    check(&[
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("-2", "-2"),
        ("0.1 + 0.2", "0.3"),
        ("\"5\" + 1", "6"),
        ("7 / 2", "3.5"),
        ("-7 % 3", "-1"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("1 == \"1\"", "false"),
        ("[] == []", "true"),
        ("null == null", "true"),
        ("\"a\" != null", "true"),
        ("!\"true\"", "false"),
        ("true && \"false\"", "false"),
        ("1 < \"2\"", "true"),
        ("true ? 1 : \"a\"", "1"),
        ("false ? {a = 1} : {b = 2}", "{b = 2}"),
        ("false ? \"a\" : null", "null"),
        ("true ? 1 : var.nothing", "1"),
        (
            "{\"x y\" = 1, (1 + 1) = 2, z: 3}",
            "{2 = 2, x y = 1, z = 3}",
        ),
    ]);
}

#[test]
fn names_elements_and_splats() {
    check(&[
        ("var.region", "cn-beijing"),
        ("var[\"region\"]", "cn-beijing"),
        ("local.name", "web"),
        ("path.root", "."),
        ("path.cwd", "/w"),
        ("packer.version", crate::template::PACKER_VERSION),
        ("source.name", "web"),
        ("source.type", "alicloud-ecs"),
        ("build.name", "nightly"),
        ("build.Host", "{{ build `Host` }}"),
        ("var.disks[1].size", "40"),
        ("var.disks.0.name", "a"),
        ("var.disks[*].size", "[20, 40]"),
        ("var.disks.*.name", "[\"a\", \"b\"]"),
        ("var.disks.*.name[0]", "a"),
        ("var.disks[0][\"na${\"me\"}\"]", "a"),
        ("\"x\"[*]", "[\"x\"]"),
        ("null[*]", "[]"),
    ]);
}

#[test]
fn for_expressions() {
    check(&[
        ("[for k, v in {b = 1, a = 2} : k]", "[\"a\", \"b\"]"),
        (
            "[for i, v in [\"a\", \"b\"] : \"${i}${v}\" if v != \"a\"]",
            "[\"1b\"]",
        ),
        (
            "{for v in [\"a\", \"b\"] : v => upper(v)}",
            "{a = \"A\", b = \"B\"}",
        ),
        (
            "{for k, v in {b = 1, a = 1} : v => k...}",
            "{1 = [\"a\", \"b\"]}",
        ),
        ("[for x in [1, 2] : [for y in [x] : x + y]]", "[[2], [4]]"),
        ("[for var in [1] : var]", "[1]"),
    ]);
}

#[test]
fn strings_with_markup() {
    check(&[
        ("\"a${1 + 1}b\"", "a2b"),
        ("\"${true}\"", "true"),
        ("\"${[1, 2]}\"", "[1, 2]"),
        ("\"x ${~ 1 ~} y\"", "x1y"),
        ("\"$${a} %%{b}\"", "${a} %{b}"),
        ("\"\\u00e4\\t\\\"\"", "ä\t\""),
        ("\"%{ for x in [1, 2] }${x},\\n%{ endfor }\"", "1,\n2,\n"),
        ("\"%{ if var.region == \"x\" }a%{ else }b%{ endif }\"", "b"),
        (
            "\"http://${build.Host}/{{ .Path }}\"",
            "http://{{ build `Host` }}/{{ .Path }}",
        ),
    ]);
}

/// The texts beside are those of Packer 1.6.6.
#[test]
fn heredocs_lose_their_indentation_as_packers_do() {
    check(&[
        (
            "<<-EOT\n    one\n      two ${1+1}\n    %{ for x in [\"p\",\"q\"] ~}\n    item ${x}\n    %{ endfor ~}\n    end\n  EOT",
            "one\n  two 2\n    item p\n    item q\n    end\n",
        ),
        ("<<EOT\n    one\n      two\nEOT", "    one\n      two\n"),
        (
            "<<-EOT\n    %{ if true }\n      yes\n    %{ else }\n      no\n    %{ endif }\n  EOT",
            "\n  yes\n\n",
        ),
        ("<<-EOT\n    a\n\n      b\n  EOT", "a\n\n  b\n"),
        (
            "<<-EOT\n    a ${~ 1 ~}\n       b\n    $${c} \\n %%{d}\n  EOT",
            "a1       b\n${c} \\n %{d}\n",
        ),
        ("<<-EOT\n  EOT", ""),
        ("<<-EOT\n\ttab\n    ${1}x\n  EOT", "tab\n   1x\n"),
        ("[<<-A\n  x\n  A\n, \"y\"]", "[\"x\\n\", \"y\"]"),
    ]);
}

#[test]
fn try_and_can_hide_errors() {
    check(&[
        ("try(var.disks[7].size, var.region.x, 3)", "3"),
        ("can(var.disks[7])", "false"),
        ("can(var.disks[0])", "true"),
    ]);
}

#[test]
fn all_errors_of_an_expression_are_found_with_their_places() {
    check_errors(
        BUILD,
        &[
            (
                "[var.regoin, local.nmae, uper(1), paht.root]",
                &[
                    "There is no variable `regoin`@var.regoin",
                    "There is no local `nmae`@local.nmae",
                    "There is no function `uper`@uper",
                    "There is nothing called `paht` here@paht",
                ],
            ),
            ("\"a${null}b\"", &["A string cannot have null in it@null"]),
            ("\"a${[1]}b\"", &["A string cannot have a list in it@[1]"]),
            ("var.broken", &[]),
            (
                "\"${var.broken}-${var.nope}\"",
                &["There is no variable `nope`@var.nope"],
            ),
            (
                "var.disks.size",
                &["A list has no attribute `size`, but its elements may@.size"],
            ),
            (
                "var.disks[2]",
                &["There is no element 2: the list has 2 elements@2"],
            ),
            (
                "var.disks[0].sise",
                &["This object has no attribute `sise`@.sise"],
            ),
            (
                "1 + \"a\"",
                &["This must be a number, but it is a string@\"a\""],
            ),
            (
                "upper(build.Host)",
                &["`upper` needs a value that is only known while a build runs@build.Host"],
            ),
            (
                "build.Host == \"\"",
                &[
                    "This is known only while a build runs, so nothing can be computed with it@build.Host",
                ],
            ),
            (
                "build.Hots",
                &["`build` has no attribute `Hots`@build.Hots"],
            ),
            ("data.x.y.z", &["Data sources are not supported@data.x.y.z"]),
            (
                "env(\"X\")",
                &["`env` is only allowed in the default of a variable@env"],
            ),
            (
                "\"a\nb\"",
                &["A string in quotes must end on the line it begins on@\"a"],
            ),
            (
                "{for v in [1, 1] : v => v}",
                &["Two elements have the key `1`@v"],
            ),
            (
                "true ? [1] : \"a\"",
                &["The two results of this condition are of different types@true ? [1] : \"a\""],
            ),
        ],
    );
}

#[test]
fn places_allow_what_is_known_there() {
    let refused = "`source` is only known in provisioners and post-processors@source.name";
    check_errors(Place::Template, &[("source.name", &[refused])]);
    check_errors(
        Place::Default,
        &[
            (
                "var.region",
                &["The default of a variable refers to nothing else@var.region"],
            ),
            (
                "upper(\"a\")",
                &["The default of a variable calls no function but `env`@upper"],
            ),
        ],
    );
    assert_eq!(evaluate_at(Place::Default, "env(\"X\")"), Ok("".into()));
    check_errors(
        Place::Validation("region"),
        &[(
            "var.none == local.name",
            &[
                "The validation of variable `region` refers to something else@var.none",
                "The validation of variable `region` refers to something else@local.name",
            ],
        )],
    );
    assert!(evaluate_at(Place::Validation("region"), "var.region != \"\"").is_ok());
}

#[test]
fn template_files_see_their_own_variables_only() {
    let table = [
        ("a %{ for x in names ~} ${x} %{ endfor ~}", Ok("a a b ")),
        (
            "\n${nmaes}",
            Err("x.tpl:2: There is nothing called `nmaes` here"),
        ),
        (
            "${var.region}",
            Err("x.tpl:1: A template file refers to its own variables only"),
        ),
        (
            "${templatefile(\"x.tpl\", {})}",
            Err("x.tpl:1: A template file cannot call `templatefile`"),
        ),
        ("${", Err("x.tpl:1: ")),
    ];
    for (text, expected) in table {
        let names = Value::from(vec!["a", "b"]);
        let variables = BTreeMap::from([("names".to_owned(), names)]);
        let rendered = render_file("x.tpl", text, variables, &world());
        let rendered = rendered.map(|value| show(&value));
        match expected {
            Ok(expected) => assert_eq!(rendered.as_deref(), Ok(expected), "{text}"),
            Err(message) => assert!(rendered.unwrap_err().starts_with(message), "{text}"),
        }
    }
}
