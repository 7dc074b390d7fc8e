use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::cli;
use crate::plan::OnError;
use crate::report::Format;

fn typed(line: &str) -> Result<Command> {
    typed_in(line, &[])
}

fn typed_in(line: &str, variables: &[(&str, &str)]) -> Result<Command> {
    let arguments = std::iter::once("alicloud-image").chain(line.split_whitespace());
    resolve(
        arguments.map(OsString::from),
        &Environment::of(variables.iter().copied()),
    )
}

fn build_in(line: &str, variables: &[(&str, &str)]) -> BuildArgs {
    match typed_in(line, variables).unwrap() {
        Command::Build(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn build(line: &str) -> BuildArgs {
    build_in(line, &[])
}

#[test]
fn every_packer_option_of_build_is_understood() {
    let args = build(
        "build -var k=v -var=l=a,b -var-file=one -var-file two -only=web,db -force \
         -on-error=run-cleanup-provisioner -parallel-builds=3 -timestamp-ui -color=false \
         -warn-on-undeclared-var -config-type=hcl2 -ignore-prerelease-plugins \
         -use-sequential-evaluation -skip-enforcement t.pkr.hcl",
    );
    let vars = [("k", "v"), ("l", "a,b")];
    assert_eq!(
        args.template.variables.vars,
        vars.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        args.template.variables.files,
        [PathBuf::from("one"), PathBuf::from("two")]
    );
    assert!(args.template.variables.warn_on_undeclared);
    assert_eq!(args.template.only, ["web", "db"]);
    assert_eq!(args.template.config_type, Some(cli::ConfigType::Hcl2));
    assert_eq!(args.template.path, PathBuf::from("t.pkr.hcl"));
    assert!(args.force && args.report.timestamps);
    assert_eq!(args.on_error, OnError::RunCleanupProvisioner);
    assert_eq!(args.parallel_builds, Some(3));
}

#[test]
fn the_last_of_several_wins_and_lists_grow() {
    let args = build("build -on-error=abort -on-error=cleanup -only=a -only=b t");
    assert_eq!(args.on_error, OnError::Cleanup);
    assert_eq!(args.template.only, ["a", "b"]);
}

#[test]
fn packers_special_values() {
    assert_eq!(build("build -parallel-builds=0 t").parallel_builds, None);
    assert_eq!(build("build -parallel-builds -1 t").parallel_builds, None);
    let debug = build("build -debug -parallel-builds=4 t");
    assert_eq!((debug.parallel_builds, debug.report.verbose), (Some(1), 1));
    let ask = build("build -on-error=ask t");
    assert_eq!(ask.on_error, OnError::Cleanup);
    assert_eq!(
        ask.warnings,
        ["`-on-error=ask` is treated as `cleanup`: nobody can be asked"]
    );
    assert_eq!(build("build -except= t").template.except, [""; 0]);
    assert_eq!(build("build -").template.path, PathBuf::from("-"));
}

#[test]
fn our_own_options() {
    let args = build(
        "build --sandbox --sandbox-time-scale 0.5 --format json --timeout-minutes 5 \
         --resource-ttl-hours 2 --fail-on-leftovers --signature rpc-v1 --journal-dir /j \
         --ci none --output-file o.env -vv t",
    );
    assert_eq!(args.sandbox, Some(0.5));
    assert_eq!(args.report.format, Format::Json);
    assert_eq!(args.deadline, Some(Duration::from_secs(300)));
    assert_eq!(args.resource_ttl, Duration::from_secs(7200));
    assert!(args.report.fail_on_leftovers);
    assert_eq!(args.cloud.signature, cli::Signature::RpcV1);
    assert_eq!(args.cloud.journal_dir, PathBuf::from("/j"));
    assert_eq!(args.report.output_files, [PathBuf::from("o.env")]);
    assert_eq!(args.report.verbose, 2);
}

#[test]
fn machine_readable_may_stand_anywhere() {
    for line in ["-machine-readable build t", "build t -machine-readable"] {
        assert_eq!(build(line).report.format, Format::MachineReadable);
    }
}

#[test]
fn the_other_commands() {
    let validate = typed("validate -syntax-only -var k=v t.json").unwrap();
    assert!(matches!(validate, Command::Validate(args)
        if args.syntax_only && args.template.variables.warn_on_undeclared));
    assert!(matches!(typed("inspect t").unwrap(), Command::Inspect(_)));
    let cleanup = typed("cleanup --run r1 --region a --region b --dry-run").unwrap();
    assert!(matches!(cleanup, Command::Cleanup(args)
        if args.scope == CleanupScope::Run("r1".into()) && args.regions == ["a", "b"] && args.dry_run));
    let sandbox = typed("sandbox --port 8080 --time-scale 0.1 --delays none --latency 5 --seed 7");
    assert!(matches!(sandbox.unwrap(), Command::Sandbox(args)
        if args.port == 8080 && args.seed == Some(7) && args.latency.as_millis() == 5));
    for line in ["version", "-v", "--version", "-version"] {
        assert!(matches!(typed(line).unwrap(), Command::Version { .. }));
    }
    assert!(matches!(
        typed("completions bash").unwrap(),
        Command::Completions(clap_complete::Shell::Bash)
    ));
    assert!(matches!(typed("docs options").unwrap(), Command::Docs(_)));
    assert!(matches!(typed("init -upgrade .").unwrap(), Command::Print(text) if text.is_empty()));
}

#[test]
fn help_says_the_exit_codes() {
    for line in ["-h", "--help", "-help", "build -h", "build -help"] {
        let Ok(Command::Print(text)) = typed(line) else {
            panic!("{line}");
        };
        assert!(text.contains("143  stopped by SIGTERM"), "{text}");
    }
}

#[test]
fn mistakes_are_usage_errors_that_help() {
    let table = [
        (
            "biuld t",
            "Unrecognized subcommand 'biuld'",
            "a similar subcommand exists: 'build'",
        ),
        (
            "build -frce t",
            "Unexpected argument '--frce' found",
            "a similar argument exists: '--force'",
        ),
        (
            "build -on-error=bogus t",
            "Invalid value 'bogus' for '--on-error <ACTION>' [possible values: cleanup, abort, ask, run-cleanup-provisioner]",
            "",
        ),
        (
            "build -var foo t",
            "Invalid value 'foo' for '--var <NAME=VALUE>': expected NAME=VALUE",
            "",
        ),
        (
            "build -only=a -except=b t",
            "Both `-only` and `-except` were given",
            "Use one of them",
        ),
    ];
    for (line, message, hint) in table {
        let error = typed(line).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.to_string(), message, "{line}");
        assert!(
            hint.is_empty() || error.hints().contains(&hint),
            "{line}: {:?}",
            error.hints()
        );
    }
    for line in [
        "",
        "build",
        "cleanup",
        "cleanup --expired --run r",
        "build a b",
    ] {
        assert_eq!(typed(line).unwrap_err().kind(), Kind::Usage, "{line}");
    }
}

#[test]
fn journals_are_at_home() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("HOME", "/h"), ("TMPDIR", "/t")], "/h/.alicloud-image"),
        (&[("HOME", ""), ("TMPDIR", "/t")], "/t/.alicloud-image"),
        (&[], "/tmp/.alicloud-image"),
        (
            &[("HOME", "/h"), ("ALICLOUD_IMAGE_JOURNAL_DIR", "/j")],
            "/j",
        ),
    ];
    for (variables, expected) in table {
        let args = build_in("build t", variables);
        assert_eq!(args.cloud.journal_dir, PathBuf::from(expected));
    }
}

#[test]
fn endpoints_region_and_scale_come_from_the_environment() {
    let cloud = build_in(
        "build t",
        &[
            ("ECS_ENDPOINT", "e1"),
            ("ALIBABA_CLOUD_ENDPOINT_ECS", "e2"),
            ("VPC_ENDPOINT", "v"),
            ("ALIBABA_CLOUD_REGION_ID", "cn-beijing"),
            ("ALICLOUD_IMAGE_TIME_SCALE", "0.01"),
        ],
    )
    .cloud;
    assert_eq!(cloud.endpoints.ecs.as_deref(), Some("e2"));
    assert_eq!(cloud.endpoints.vpc.as_deref(), Some("v"));
    assert_eq!(cloud.endpoints.sts, None);
    assert_eq!(cloud.region.as_deref(), Some("cn-beijing"));
    assert!((cloud.time_scale - 0.01).abs() < f64::EPSILON);
    let error = typed_in("build t", &[("ALICLOUD_IMAGE_TIME_SCALE", "0")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Bad value of `ALICLOUD_IMAGE_TIME_SCALE`: expected a positive number"
    );
}

#[test]
fn colours() {
    let color = |line: &str, is_terminal: bool, variables: &[(&str, &str)]| {
        let environment = Environment {
            stdout_is_terminal: is_terminal,
            ..Environment::of(variables.iter().copied())
        };
        let arguments = line.split_whitespace().map(OsString::from);
        match resolve(arguments, &environment).unwrap() {
            Command::Build(args) => args.report.color,
            other => panic!("{other:?}"),
        }
    };
    type Row<'a> = (&'a str, bool, &'a [(&'a str, &'a str)], bool);
    let table: &[Row<'_>] = &[
        ("p build t", true, &[], true),
        ("p build t", false, &[], false),
        ("p build t", false, &[("FORCE_COLOR", "1")], true),
        ("p build t", false, &[("FORCE_COLOR", "0")], false),
        ("p build -color=true t", false, &[], true),
        ("p build -color=true t", false, &[("NO_COLOR", "1")], false),
        ("p build t", true, &[("NO_COLOR", "1")], false),
        ("p build t", true, &[("PACKER_NO_COLOR", "1")], false),
        (
            "p build -color=false t",
            true,
            &[("FORCE_COLOR", "1")],
            false,
        ),
        ("p build -machine-readable t", true, &[], false),
    ];
    for (line, is_terminal, variables, expected) in table {
        assert_eq!(
            color(line, *is_terminal, variables),
            *expected,
            "{line} {variables:?}"
        );
    }
}

#[test]
fn secrets_of_the_environment_are_hidden_from_the_start() {
    let args = build_in(
        "build t",
        &[
            ("ALICLOUD_ACCESS_KEY", "LTAI5tAbcdefghijklmnop"),
            ("ALICLOUD_SECRET_KEY", "secret"),
            ("ACTIONS_RUNTIME_TOKEN", "runtime"),
        ],
    );
    let hidden: Vec<_> = args
        .report
        .secrets
        .iter()
        .map(crate::secret::Secret::expose)
        .collect();
    assert_eq!(hidden, ["secret", "runtime", "LTAI5tAbcdefghijklmnop"]);
}
