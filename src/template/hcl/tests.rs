//! Whole templates: what they become, and what is said of wrong ones.

use std::fs;
use std::path::PathBuf;

use crate::secret::Secret;
use crate::template::diagnostic::{Diagnostics, Severity};
use crate::template::file::{HclFiles, Text};
use crate::template::model::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Scope};
use crate::template::source::Sources;
use crate::template::value::{Value, ValueKind};
use crate::template::variables::VariableInputs;
use crate::template::{Loaded, inspect, load};

/// What is outside of a template under test.
#[derive(Default)]
struct World {
    environment: Vec<(&'static str, &'static str)>,
    vars: Vec<(&'static str, &'static str)>,
    automatic: Vec<PathBuf>,
    var_files: Vec<PathBuf>,
    inspects: bool,
}

struct Read {
    loaded: Option<Loaded>,
    /// `error: message@text`, the text being what the span covers.
    findings: Vec<String>,
    helps: Vec<String>,
}

fn read(world: &World, text: &str) -> Read {
    let environment = |name: &str| {
        let found = world.environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let inputs = VariableInputs {
        vars: world.vars.iter().map(own).collect(),
        var_files: world.var_files.clone(),
        env: &environment,
        template_dir: "/templates".to_owned(),
        pwd: "/work".to_owned(),
        start: jiff::Timestamp::UNIX_EPOCH,
        fence: &|_| None,
    };
    let mut sources = Sources::default();
    let files = HclFiles {
        sources: vec![sources.add("t.pkr.hcl", text)],
        directory: PathBuf::from("."),
        variable_files: world.automatic.clone(),
    };
    let mut diagnostics = Diagnostics::default();
    let files = Text::Hcl(files);
    let loaded = match world.inspects {
        true => inspect(files, &inputs, &mut sources, &mut diagnostics),
        false => load(files, &inputs, &mut sources, &mut diagnostics),
    };
    let found = diagnostics.into_sorted();
    let findings = found.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let place = finding.span.and_then(|span| {
            let text = &sources.file(span.source)?.text;
            text.get(span.start..span.end)
        });
        format!("{severity}: {}@{}", finding.message, place.unwrap_or("-"))
    });
    Read {
        loaded,
        findings: findings.collect(),
        helps: found
            .iter()
            .filter_map(|finding| finding.help.clone())
            .collect(),
    }
}

/// A template in which nothing is wrong.
fn good(world: &World, text: &str) -> Loaded {
    let read = read(world, text);
    assert_eq!(read.findings, [""; 0], "{text}");
    read.loaded.unwrap()
}

const BUILD: &str = "source \"null\" \"a\" {}\nbuild {\n  sources = [\"null.a\"]\n}\n";

/// What is wrong with blocks beside a build.
#[track_caller]
fn check_findings(world: &World, text: &str, expected: &[&str]) {
    let read = read(world, &format!("{text}\n{BUILD}"));
    assert_eq!(read.findings, expected, "{text}");
}

/// A value in one line of text.
fn plain(value: &Value) -> String {
    match &value.kind {
        ValueKind::Null => "null".to_owned(),
        ValueKind::Broken => "broken".to_owned(),
        ValueKind::Bool(flag) => flag.to_string(),
        ValueKind::Number(text) => text.clone(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::List(items) => {
            let items: Vec<_> = items.iter().map(plain).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Object(entries) => {
            let entries = entries.iter();
            let entries: Vec<_> = entries
                .map(|entry| format!("{}: {}", entry.key, plain(&entry.value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The value of `x` in the only source.
fn value_of_x(world: &World, text: &str, x: &str) -> String {
    let text = format!(
        "{text}\nsource \"null\" \"a\" {{\n  x = {x}\n}}\nbuild {{\n  sources = [\"null.a\"]\n}}\n"
    );
    let loaded = good(world, &text);
    plain(loaded.template.builders[0].body.get("x").unwrap())
}

#[test]
fn values_of_variables_are_those_of_the_strongest_giver() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let declared = "variable \"r\" {\n  default = \"default\"\n}\n";
    let mut world = World::default();
    let check = |world: &World, expected: &str| {
        let value = value_of_x(world, declared, "var.r");
        assert_eq!(value, format!("{expected:?}"));
    };
    check(&world, "default");
    world.environment.push(("PKR_VAR_r", "environment"));
    check(&world, "environment");
    world
        .automatic
        .push(file("a.auto.pkrvars.hcl", "r = \"auto hcl\"\n"));
    check(&world, "auto hcl");
    world
        .automatic
        .push(file("a.auto.pkrvars.json", "{\"r\": \"auto json\"}"));
    check(&world, "auto json");
    world
        .var_files
        .push(file("1.pkrvars.hcl", "r = \"first\"\n"));
    world
        .var_files
        .push(file("2.pkrvars.json", "{\"r\": \"second\"}"));
    check(&world, "second");
    world.vars.push(("r", "var"));
    check(&world, "var");
}

#[test]
fn texts_from_outside_are_read_as_the_type_says() {
    let table = [
        ("", "[1]", "\"[1]\""),
        ("type = string", "${x}", "\"${x}\""),
        ("type = number", "007", "7"),
        ("type = bool", "true", "\"true\""),
        ("type = list(string)", "[1, \"b\"]", "[\"1\", \"b\"]"),
        ("type = map(number)", "{a = \"1\"}", "{a: 1}"),
        (
            "type = object({a = string, b = optional(number, 3)})",
            "{a = 1}",
            "{a: \"1\", b: 3}",
        ),
        ("type = any", "[true]", "[\"true\"]"),
        ("default = []", "[1]", "[1]"),
        ("default = 5", "six", "\"six\""),
    ];
    for (attributes, given, expected) in table {
        let world = World {
            vars: vec![("v", given)],
            ..World::default()
        };
        let declared = format!("variable \"v\" {{\n  {attributes}\n}}\n");
        assert_eq!(
            value_of_x(&world, &declared, "var.v"),
            expected,
            "{attributes}"
        );
    }
}

#[test]
fn what_is_wrong_with_variables() {
    let given = |name, text| World {
        vars: vec![(name, text)],
        ..World::default()
    };
    let none = World::default();
    let table: &[(&World, &str, &[&str])] = &[
        (
            &none,
            "variable \"v\" {}",
            &["error: Required variable `v` is not set@\"v\""],
        ),
        (
            &given("w", "1"),
            "variables {\n  v = 1\n}",
            &["error: Variable `w` given by `-var` is not declared in the template@-"],
        ),
        (
            &given("v", "abc"),
            "variable \"v\" {\n  type = number\n}",
            &["error: Variable `v` given by `-var` must be a number, but it is a string@\"v\""],
        ),
        (
            &given("v", "abc"),
            "variable \"v\" {\n  type = list(string)\n}",
            &[
                "error: Variable `v` given by `-var` must be a list of strings: There is nothing \
               called `abc` here@\"v\"",
            ],
        ),
        (
            &none,
            "variable \"v\" {\n  type    = bool\n  default = \"yes\"\n}",
            &["error: The default must be a bool, but it is a string@\"yes\""],
        ),
        (
            &none,
            "variable \"v\" {\n  type    = strng\n  default = \"a\"\n}",
            &["error: There is no type `strng`@strng"],
        ),
        (
            &none,
            "variable \"v\" {\n  default = var.w\n  defualt = 1\n}",
            &[
                "error: The default of a variable refers to nothing else@var.w",
                "error: The attribute `defualt` is not expected in `variable`@defualt",
            ],
        ),
        (
            &none,
            "variables {\n  v = 1\n}\nvariable \"v\" {\n  default = 1\n}",
            &["error: The variable `v` is declared twice@v"],
        ),
        (
            &given("v", "x"),
            "variable \"v\" {\n  validation {\n    condition     = length(var.v) > 3\n    \
             error_message = \"It is too short.\"\n  }\n}",
            &["error: Invalid value for variable `v`: It is too short@length(var.v) > 3"],
        ),
        (
            &none,
            "variable \"v\" {\n  default = \"x\"\n  validation {\n    condition = false\n    \
             error_message = \"no sentence\"\n  }\n}",
            &[
                "error: Invalid value for variable `v`: no sentence@\"x\"",
                "error: `error_message` must be a sentence@\"no sentence\"",
            ],
        ),
    ];
    for (world, text, expected) in table {
        check_findings(world, text, expected);
    }
}

#[test]
fn what_inspects_needs_no_values() {
    let world = World {
        inspects: true,
        ..World::default()
    };
    let text = format!("variable \"v\" {{}}\nlocals {{\n  l = \"x${{var.v}}\"\n}}\n{BUILD}");
    let hcl = good(&world, &text).template.hcl.unwrap();
    assert_eq!(hcl.variables, [("v".to_owned(), None)]);
    assert_eq!(hcl.locals, [("l".to_owned(), None)]);
    assert_eq!(hcl.builds[0].sources, ["null.a"]);
}

#[test]
fn sensitive_values_are_secrets_even_when_they_are_wrong() {
    let text = format!(
        "variable \"s\" {{\n  type = map(string)\n  sensitive = true\n  default = {{k = \"one\"}}\n}}\n\
         variable \"t\" {{\n  type = number\n  sensitive = true\n}}\n\
         local \"l\" {{\n  expression = \"two-${{var.s.k}}\"\n  sensitive = true\n}}\n{BUILD}"
    );
    let world = World {
        vars: vec![("t", "three")],
        ..World::default()
    };
    let read = read(&world, &text);
    assert_eq!(read.findings.len(), 1);
    assert!(!read.findings[0].contains("three"));
    let secrets = read.loaded.unwrap().variables.secrets();
    let expected = ["one", "three", "two-one"].map(Secret::new);
    assert!(expected.iter().all(|secret| secrets.contains(secret)));
}

#[test]
fn locals_are_evaluated_in_the_order_they_need() {
    let text = "locals {\n  a = \"${local.b}!\"\n}\nlocals {\n  b = local.c[0]\n}\n\
                local \"c\" {\n  expression = [var.v]\n}\nvariables {\n  v = \"x\"\n}\n";
    assert_eq!(value_of_x(&World::default(), text, "local.a"), "\"x!\"");
}

#[test]
fn a_chain_of_locals_ends_before_the_stack_does() {
    let link = |number: usize| format!("  a{number} = [local.a{}]\n", number + 1);
    let links: String = (0..5000).map(link).collect();
    let text = format!("locals {{\n{links}  a5000 = 1\n}}\n{BUILD}");
    let findings = read(&World::default(), &text).findings;
    assert_eq!(
        findings[0],
        "error: More than 100 locals need each other in a row@a100"
    );
}

#[test]
fn what_is_wrong_with_locals() {
    let none = World::default();
    let table: &[(&str, &[&str])] = &[
        (
            "locals {\n  a = local.b\n  b = \"${local.a}\"\n}",
            &["error: The locals `a`, `b` refer to each other@a"],
        ),
        (
            "locals {\n  a = local.a\n}",
            &["error: The local `a` refers to itself@a"],
        ),
        (
            "locals {\n  a = 1\n}\nlocal \"a\" {\n  expression = 2\n}",
            &["error: The local `a` is declared twice@\"a\""],
        ),
        (
            "local \"a\" {}",
            &["error: The local `a` has no `expression`@local \"a\""],
        ),
        (
            "locals {\n  a = source.name\n}",
            &["error: `source` is only known in provisioners and post-processors@source.name"],
        ),
    ];
    for (text, expected) in table {
        check_findings(&none, text, expected);
    }
}

#[test]
fn what_is_wrong_at_the_top() {
    let none = World::default();
    let table: &[(&str, &[&str])] = &[
        ("a = 1", &["error: The attribute `a` stands in no block@a"]),
        (
            "varable \"v\" {}",
            &["error: There is no block `varable` at the top of a template@varable"],
        ),
        (
            "source \"null\" {}",
            &["error: A block `source` has 2 labels, but this one has one label@source \"null\""],
        ),
        (
            "data \"a\" \"b\" {}",
            &["error: Data sources are not supported@data \"a\" \"b\""],
        ),
        (
            "source \"null\" \"a\" {}",
            &["error: The source `null.a` is declared twice@source \"null\" \"a\""],
        ),
        (
            "packer {\n  required_version = \">= 99\"\n  required_plugins {\n    alicloud = {\n      \
             source = \"github.com/hashicorp/alicloud\"\n      version = \">= 1.0.0\"\n    }\n    \
             x = {\n      source = \"github.com/x/linode\"\n    }\n  }\n}",
            &[
                "error: This template requires Packer `>= 99`; this program answers as 1.15.0@\">= 99\"",
                "warning: The plugin `github.com/x/linode` is not built in, and is not installed@\
                 \"github.com/x/linode\"",
            ],
        ),
    ];
    for (text, expected) in table {
        check_findings(&none, text, expected);
    }
}

const TWO_SOURCES: &str = r#"
source "null" "a" {
  size = 1
  tags = { app = "web" }
  mapping { size = 20 }
  dynamic "disk" {
    for_each = { b = 40, a = 30 }
    content {
      name = disk.key
      size = disk.value
    }
  }
}
source "null" "b" {
  io   = true
  none = null
}
build {
  name    = "nightly"
  sources = ["source.null.a"]
  source "null.b" {
    name  = "other"
    extra = "x"
  }
  provisioner "shell" {
    inline       = ["echo ${source.name} ${build.name} ${build.Host}"]
    pause_before = "5s"
    max_retries  = 2
    override = {
      other = { inline = ["override ${source.type}"] }
    }
  }
  provisioner "shell" {
    only   = ["null.other"]
    inline = ["other"]
  }
  provisioner "file" {
    except      = ["null.other"]
    source      = "x"
    destination = "/x"
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["clean ${source.name}"]
  }
  post-processor "manifest" {
    name                = "m"
    keep_input_artifact = true
  }
  post-processors {
    post-processor "checksum" {}
    post-processor "compress" {
      only = ["null.a"]
    }
  }
}
"#;

#[test]
fn every_source_of_a_build_is_a_builder() {
    let template = good(&World::default(), TWO_SOURCES).template;
    let [a, b] = template.builders.as_slice() else {
        panic!("two sources are built");
    };
    assert_eq!(a.build_name, "nightly.null.a");
    assert_eq!(b.build_name, "nightly.null.other");
    assert_eq!([a.source_name.as_str(), b.source_name.as_str()], ["a", "b"]);
    assert_eq!(
        plain(&a.body),
        "{size: 1, tags: {app: \"web\"}, mapping: {size: 20}, \
         disk: [{name: \"a\", size: 30}, {name: \"b\", size: 40}]}"
    );
    assert_eq!(plain(&b.body), "{io: \"true\", extra: \"x\"}");
}

fn runs(scope: &Scope, builder: &BuilderBlock) -> bool {
    scope.includes(&builder.name.value)
}

#[test]
fn provisioners_are_evaluated_for_their_sources() {
    let template = good(&World::default(), TWO_SOURCES).template;
    let bodies = |builder: &BuilderBlock| {
        let blocks = template.provisioners.iter();
        let blocks = blocks.filter(|block: &&ProvisionerBlock| block.applies_to(builder));
        let bodies = blocks.map(|block| plain(&block.body_for(builder)));
        bodies.collect::<Vec<_>>()
    };
    assert_eq!(
        bodies(&template.builders[0]),
        [
            "{inline: [\"echo a nightly {{ build `Host` }}\"]}",
            "{source: \"x\", destination: \"/x\"}"
        ]
    );
    assert_eq!(
        bodies(&template.builders[1]),
        ["{inline: [\"override null\"]}", "{inline: [\"other\"]}"]
    );
    let first = &template.provisioners[0];
    assert_eq!(first.pause_before.as_secs(), 5);
    assert_eq!(first.max_retries, 2);
    let cleaning = template.error_cleanup_provisioners.iter();
    let cleaning: Vec<_> = cleaning.map(|block| plain(&block.body)).collect();
    assert_eq!(
        cleaning,
        ["{inline: [\"clean a\"]}", "{inline: [\"clean other\"]}"]
    );
}

#[test]
fn post_processors_keep_their_sequences() {
    let template = good(&World::default(), TWO_SOURCES).template;
    let sequences = |builder: &BuilderBlock| {
        let of_builder = template.post_processors.iter().map(|sequence| {
            let blocks = sequence.iter();
            let blocks = blocks.filter(|block: &&PostProcessorBlock| runs(&block.scope, builder));
            blocks.map(|block| block.name.as_str()).collect::<Vec<_>>()
        });
        of_builder
            .filter(|names| !names.is_empty())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        sequences(&template.builders[0]),
        [vec!["m"], vec!["checksum", "compress"]]
    );
    assert_eq!(
        sequences(&template.builders[1]),
        [vec!["m"], vec!["checksum"]]
    );
    let manifest = &template.post_processors[0][0];
    assert_eq!(
        manifest.keep_input_artifact.as_ref().map(|keep| keep.value),
        Some(true)
    );
}

#[test]
fn what_is_wrong_with_builds() {
    let table: &[(&str, &[&str])] = &[
        ("", &["error: There is no `build` block@-"]),
        ("build {}", &["error: This build has no source@build"]),
        (
            "build {\n  sources = [\"null.b\", \"x\", source.null.a]\n}",
            &[
                "error: There is no source `null.b`@\"null.b\"",
                "error: `x` is no reference to a source@\"x\"",
                "error: A reference to a source is a string@source.null.a",
            ],
        ),
        (
            "build {\n  sources = [\"null.a\"]\n}\nbuild {\n  sources = [\"null.a\"]\n}",
            &["error: There are two builds of the name `null.a`@\"null.a\""],
        ),
        (
            "build {\n  source \"null.a\" {\n    size = 2\n  }\n}",
            &["error: The attribute `size` is already set@size"],
        ),
        (
            "build {\n  sources = [\"null.a\"]\n  provisioner \"shell\" {\n    only = [\"null.c\"]\n    \
             x = \"{{user `v`}}\"\n  }\n  provisoner \"shell\" {}\n  post-processor {}\n}",
            &[
                "warning: `only` names `null.c`, which is no source of this build@[\"null.c\"]",
                "error: The block `provisoner` is not expected in `build`@provisoner",
                "error: A block `post-processor` has one label, but this one has no label@\
                 post-processor",
            ],
        ),
        (
            "build {\n  sources = [\"null.a\"]\n  provisioner \"shell\" {\n    x = \"{{user `v`}}\"\n    \
             type = \"a\"\n    timeout = \"soon\"\n  }\n}",
            &[
                "error: `{{user}}` is of JSON templates, and means nothing here@\"{{user `v`}}\"",
                "error: The attribute `type` is not expected here@type",
                "error: Option `timeout` of provisioner `shell` must be a duration such as `5m`, \
                 but it is the string `\"soon\"`@\"soon\"",
            ],
        ),
    ];
    for (text, expected) in table {
        let text = format!("source \"null\" \"a\" {{\n  size = 1\n}}\n{text}\n");
        assert_eq!(read(&World::default(), &text).findings, *expected, "{text}");
    }
}

#[test]
fn findings_come_with_cures() {
    let text = "source \"null\" \"web\" {\n  size = 1\n}\nbuild {\n  sources = [\"null.wbe\"]\n  \
                source \"null.web\" {\n    size = 2\n  }\n}\n";
    assert_eq!(
        read(&World::default(), text).helps,
        [
            "Did you mean `null.web`?",
            "The first is at t.pkr.hcl:2:3; a `source` block in a build adds to the source, it \
             replaces nothing",
        ]
    );
}

/// Damaged templates are errors, never crashes.
#[test]
fn no_prefix_of_a_template_crashes() {
    for end in 0..TWO_SOURCES.len() {
        let read = read(&World::default(), &TWO_SOURCES[..end]);
        let is_damaged = end < TWO_SOURCES.trim_end().len();
        assert_eq!(is_damaged, !read.findings.is_empty(), "{end}");
    }
}
