use super::access::LONGEST_POLICY;
use super::*;
use crate::cloud::credential::OidcSetting;
use crate::inputs::{CleanupScope, resolve};
use crate::plan::OnError;
use crate::report::settings::GitHub;

fn run(program: &str, variables: &[(&str, &str)]) -> Result<Command> {
    let base = [("GITHUB_WORKSPACE", "/github/workspace"), ("HOME", "/h")];
    let environment = Environment::of(base.into_iter().chain(variables.iter().copied()));
    resolve(
        [OsString::from(format!("/usr/local/bin/{program}"))],
        &environment,
    )
}

fn build(variables: &[(&str, &str)]) -> crate::inputs::BuildArgs {
    match run(MAIN_PROGRAM, variables).unwrap() {
        Command::Build(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn message(variables: &[(&str, &str)]) -> String {
    run(MAIN_PROGRAM, variables).unwrap_err().to_string()
}

#[test]
fn a_build_takes_every_input() {
    let args = build(&[
        ("INPUT_TEMPLATE", "-odd name.json"),
        ("INPUT_WORKING-DIRECTORY", "images/./web/../db"),
        ("INPUT_VARS", "# comment\na=1,2\n  b= x=y \n\nc="),
        ("INPUT_VAR-FILES", "one.json\ntwo.json"),
        ("INPUT_ONLY", "web\ndb"),
        ("INPUT_FORCE", "true"),
        ("INPUT_ON-ERROR", "abort"),
        ("INPUT_PARALLEL", "2"),
        ("INPUT_TIMEOUT-MINUTES", "30"),
        ("INPUT_RESOURCE-TTL-HOURS", ""),
        ("INPUT_REGION", "cn-beijing"),
        ("INPUT_ECS-ENDPOINT", "http://127.0.0.1:8080"),
        ("INPUT_LOG-LEVEL", "debug"),
    ]);
    assert_eq!(args.template.path, Path::new("-odd name.json"));
    assert_eq!(
        args.template.directory.as_deref(),
        Some(Path::new("/github/workspace/images/db"))
    );
    let vars = [("a", "1,2"), ("b", " x=y "), ("c", "")];
    assert_eq!(
        args.template.variables.vars,
        vars.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        args.template.variables.files,
        [Path::new("one.json"), Path::new("two.json")]
    );
    assert_eq!(args.template.only, ["web", "db"]);
    assert!(args.force);
    assert_eq!(args.on_error, OnError::Abort);
    assert_eq!(args.parallel_builds, Some(2));
    assert_eq!(args.deadline, Some(Duration::from_secs(1800)));
    assert_eq!(args.resource_ttl, Duration::from_secs(6 * 3600));
    assert_eq!(args.cloud.region.as_deref(), Some("cn-beijing"));
    assert_eq!(
        args.cloud.endpoints.ecs.as_deref(),
        Some("http://127.0.0.1:8080")
    );
    assert_eq!(args.report.verbose, 1);
    let workspace = github(args.report).workspace;
    assert_eq!(workspace.directory, Path::new("images/db"));
}

fn github(settings: Settings) -> GitHub {
    match settings.ci {
        Some(System::GitHub(github)) => github,
        other => panic!("not for GitHub: {other:?}"),
    }
}

#[test]
fn keys_from_inputs_replace_the_whole_family() {
    let keys = build(&[
        ("INPUT_TEMPLATE", "t.json"),
        ("INPUT_ACCESS-KEY-ID", "id"),
        ("INPUT_ACCESS-KEY-SECRET", "secret"),
        ("ALICLOUD_SECURITY_TOKEN", "someone else's"),
        ("SECURITY_TOKEN", "someone else's"),
    ])
    .cloud
    .ambient
    .keys
    .unwrap();
    assert_eq!(keys.access_key, "id");
    assert_eq!(keys.secret_key.expose(), "secret");
    assert_eq!(keys.security_token, None);
}

#[test]
fn a_role_is_assumed_with_githubs_token_whatever_an_earlier_step_exported() {
    let ambient = build(&[
        ("INPUT_TEMPLATE", "t.json"),
        ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r"),
        ("INPUT_OIDC-PROVIDER-ARN", "acs:ram::1:oidc-provider/ci"),
        ("INPUT_ROLE-SESSION-EXPIRATION", "900"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.example"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "right"),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "exported"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "exported"),
    ])
    .cloud
    .ambient;
    assert_eq!(ambient.keys, None);
    let OidcSetting::Role(oidc) = ambient.oidc else {
        panic!("no role");
    };
    assert_eq!(oidc.role_arn, "acs:ram::1:role/r");
    assert_eq!(oidc.session.duration, Some(900));
    assert_eq!(oidc.session.name.as_deref(), Some("alicloud-image"));
    let with_keys = build(&[
        ("INPUT_TEMPLATE", "t.json"),
        ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r"),
    ]);
    let (arn, _) = with_keys.cloud.ambient.assumed_role.unwrap();
    assert_eq!(arn, "acs:ram::1:role/r");
}

#[test]
fn summary_and_annotations_can_be_switched_off() {
    let args = build(&[
        ("INPUT_TEMPLATE", "t.json"),
        ("GITHUB_STEP_SUMMARY", "/s"),
        ("INPUT_SUMMARY", "false"),
        ("INPUT_ANNOTATIONS", "false"),
    ]);
    let github = github(args.report);
    assert!(github.summary.path.is_none() && !github.annotations);
}

#[test]
fn a_matrix_and_its_results_have_inputs_of_their_own() {
    let matrix = run(
        MAIN_PROGRAM,
        &[
            ("INPUT_COMMAND", "matrix"),
            ("INPUT_TEMPLATE", "t.json"),
            ("INPUT_REGIONS", "cn-beijing\ncn-hangzhou"),
            ("INPUT_REGION-VARIABLE", "place"),
            ("INPUT_ONLY", "web"),
        ],
    );
    let Ok(Command::Matrix(matrix)) = matrix else {
        panic!("{matrix:?}");
    };
    assert_eq!(matrix.regions, ["cn-beijing", "cn-hangzhou"]);
    assert_eq!(matrix.region_variable.as_deref(), Some("place"));
    assert_eq!(matrix.validate.template.only, ["web"]);
    let merge = run(
        MAIN_PROGRAM,
        &[
            ("INPUT_COMMAND", "merge"),
            ("INPUT_FILES", "legs\nmore.json"),
            ("INPUT_EXPECT", "{\"include\":[]}"),
            ("INPUT_OUTPUT-FILES", "all.json"),
            ("INPUT_WORKING-DIRECTORY", "images"),
        ],
    );
    let Ok(Command::Merge(merge)) = merge else {
        panic!("{merge:?}");
    };
    assert_eq!(merge.files, [Path::new("legs"), Path::new("more.json")]);
    assert_eq!(merge.expect.as_deref(), Some("{\"include\":[]}"));
    assert_eq!(
        merge.report.output_files,
        [Path::new("/github/workspace/images/all.json")]
    );
    assert_eq!(
        merge.directory.as_deref(),
        Some(Path::new("/github/workspace/images"))
    );
}

#[test]
fn bad_inputs_are_refused() {
    let template = ("INPUT_TEMPLATE", "t.json");
    let role = ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r");
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "Input `template` is empty"),
        (&[("INPUT_COMMAND", "merge")], "Input `files` is empty"),
        (
            &[("INPUT_COMMAND", "destroy")],
            "Bad value of input `command`: `destroy`",
        ),
        (
            &[template, ("INPUT_FORCE", "True")],
            "Bad value of input `force`: `True`",
        ),
        (
            &[template, ("INPUT_WORKING-DIRECTORY", "a/../../b")],
            "Bad value of input `working-directory`: `a/../../b`",
        ),
        (
            &[template, ("INPUT_WORKING-DIRECTORY", "/etc")],
            "Bad value of input `working-directory`: `/etc`",
        ),
        (
            &[template, ("INPUT_ACCESS-KEY-ID", "id")],
            "Only one of the inputs `access-key-id` and `access-key-secret` is set",
        ),
        (
            &[template, ("INPUT_STS-ENDPOINT", "http://10.0.0.1:80")],
            "Bad value of input `sts-endpoint`: `http://10.0.0.1:80`",
        ),
        (
            &[template, ("INPUT_OSS-ENDPOINT", "http://oss.example")],
            "Bad value of input `oss-endpoint`: `http://oss.example`",
        ),
        (
            &[template, ("INPUT_ALLOW-LOCAL-EXEC", "yes")],
            "Bad value of input `allow-local-exec`: `yes`",
        ),
        (
            &[role, template, ("INPUT_ROLE-SESSION-NAME", "has blanks")],
            "Bad value of input `role-session-name`: `has blanks`",
        ),
        (
            &[template, ("INPUT_ROLE-POLICY", "preset:build")],
            "Input `role-policy` is set without `role-to-assume`",
        ),
        (
            &[template, ("INPUT_ROLE-POLICY", "preset:all")],
            "Bad value of input `role-policy`: `preset:all`",
        ),
        (
            &[("INPUT_COMMAND", "import"), ("INPUT_IMAGE-NAME", "web")],
            "Input `oss-bucket-name` is empty",
        ),
        (
            &[template, ("INPUT_ONLY", "a"), ("INPUT_EXCEPT", "b")],
            "Both `-only` and `-except` were given",
        ),
    ];
    for (variables, expected) in table {
        assert_eq!(message(variables), *expected);
    }
}

#[test]
fn an_input_cannot_become_another_option() {
    let args = build(&[
        ("INPUT_TEMPLATE", "--sandbox"),
        ("INPUT_VARS", "a=--force -force"),
    ]);
    assert_eq!(args.template.path, Path::new("--sandbox"));
    assert!(args.sandbox.is_none() && !args.force);
}

#[test]
fn the_post_step_sweeps_the_journal_of_the_main_step() {
    let command = run(
        POST_PROGRAM,
        &[
            ("STATE_journal", "/h/x.journal"),
            ("STATE_region", "cn-beijing"),
        ],
    );
    let Ok(Command::Cleanup(args)) = command else {
        panic!("{command:?}");
    };
    assert_eq!(args.scope, CleanupScope::Journal("/h/x.journal".into()));
    assert!(args.is_post_step);
    assert_eq!(args.deadline, Some(POST_DEADLINE));
    assert_eq!(args.regions, ["cn-beijing"]);
}

#[test]
fn the_post_step_has_nothing_to_do_without_a_journal_or_after_a_sandbox() {
    let sandbox = [("STATE_journal", "/j"), ("INPUT_SANDBOX", "true")];
    for variables in [&[][..], &sandbox[..]] {
        let command = run(POST_PROGRAM, variables).unwrap();
        assert!(matches!(command, Command::Print(_)), "{command:?}");
    }
}

#[test]
fn cleanup_is_of_a_run_or_of_everything_expired() {
    let of_run = [("INPUT_COMMAND", "cleanup"), ("INPUT_RUN-ID", "r1")];
    let expired = [("INPUT_COMMAND", "cleanup"), ("INPUT_REGION", "cn-a\ncn-b")];
    let scope = |variables: &[(&str, &str)]| match run(MAIN_PROGRAM, variables).unwrap() {
        Command::Cleanup(args) => (args.scope, args.regions),
        other => panic!("{other:?}"),
    };
    assert_eq!(scope(&of_run), (CleanupScope::Run("r1".into()), vec![]));
    let regions = vec!["cn-a".to_owned(), "cn-b".to_owned()];
    assert_eq!(scope(&expired), (CleanupScope::Expired, regions));
    let in_buckets = [expired[0], ("INPUT_OSS-BUCKET-NAME", "a\nb")];
    let command = run(MAIN_PROGRAM, &in_buckets).unwrap();
    assert!(matches!(command, Command::Cleanup(args) if args.buckets == ["a", "b"]));
}

/// The entries of a section of `action.yml` with their defaults. The file has
/// no more structure than these lines can tell.
fn section(name: &str) -> Vec<(String, String)> {
    let text = include_str!("../../../action.yml");
    let header = format!("{name}:");
    let lines = text
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some(default) = line.strip_prefix("    default: ") {
            let entry = entries.last_mut().unwrap();
            entry.1 = default.trim_matches('"').to_owned();
        } else if let Some(key) = line.strip_prefix("  ").filter(|key| !key.starts_with(' ')) {
            entries.push((key.trim_end_matches(':').to_owned(), String::new()));
        }
    }
    entries
}

#[test]
fn action_yml_declares_these_inputs_and_outputs() {
    let inputs: Vec<_> = INPUTS
        .iter()
        .map(|input| (input.name.to_owned(), input.default.to_owned()))
        .collect();
    assert_eq!(section("inputs"), inputs);
    let outputs = section("outputs").into_iter().map(|(name, _)| name);
    assert_eq!(outputs.collect::<Vec<_>>(), crate::report::outputs::OUTPUTS);
}

#[test]
fn action_yml_and_the_image_name_the_entry_points() {
    let runs = section("runs");
    for (key, program) in [
        ("entrypoint", MAIN_PROGRAM),
        ("post-entrypoint", POST_PROGRAM),
    ] {
        let line = format!("{key}: /usr/local/bin/{program}");
        assert!(runs.iter().any(|(entry, _)| *entry == line), "{runs:?}");
        let link = format!("usr/local/bin/{program}");
        assert!(include_str!("../../../Dockerfile").contains(&link));
    }
}

#[test]
fn an_import_takes_its_inputs() {
    let command = run(
        MAIN_PROGRAM,
        &[
            ("INPUT_COMMAND", "import"),
            ("INPUT_FILE", "-disk.qcow2"),
            ("INPUT_DATA-DISKS", "data.raw"),
            ("INPUT_WORKING-DIRECTORY", "disks"),
            ("INPUT_IMAGE-NAME", "web"),
            ("INPUT_OSS-BUCKET-NAME", "images"),
            (
                "INPUT_OPTIONS",
                "image_os_type=linux\ntags={\"app\":\"a=b\"}\nx={{timestamp}}",
            ),
            ("INPUT_OSS-ENDPOINT", "https://oss.example"),
            ("INPUT_OUTPUT-FILES", "made/image.json"),
            ("INPUT_FORCE", "true"),
        ],
    );
    let Ok(Command::Import(args)) = command else {
        panic!("{command:?}");
    };
    let directory = Path::new("/github/workspace/disks");
    assert_eq!(args.file, directory.join("-disk.qcow2"));
    assert_eq!(args.data_disks, [directory.join("data.raw")]);
    let manifest = directory.join("alicloud-image-manifest.json");
    assert_eq!(args.report.manifest, Some(manifest));
    let files = [directory.join("made/image.json")];
    assert_eq!(args.report.output_files, files);
    let endpoint = args.cloud.endpoints.oss.as_deref();
    assert_eq!(endpoint, Some("https://oss.example"));
    assert!(args.force);
    let expected = serde_json::json!({
        "image_name": "web", "oss_bucket_name": "images", "image_os_type": "linux",
        "tags": {"app": "a=b"}, "x": "{{timestamp}}",
    });
    assert_eq!(args.options, expected);
}

/// An input, a value of it, and what else must be set for it to matter.
type Effect = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// At least one for every input.
const EFFECTS: &[Effect] = &[
    ("command", "validate", &[]),
    ("template", "other.json", &[]),
    ("working-directory", "images", &[]),
    ("vars", "a=b", &[]),
    ("var-files", "vars.json", &[]),
    ("only", "web", &[]),
    ("except", "web", &[]),
    ("file", "other.raw", IMPORT),
    ("data-disks", "data.raw", IMPORT),
    ("image-name", "other", IMPORT),
    ("oss-bucket-name", "other", IMPORT),
    ("options", "image_platform=Debian", IMPORT),
    ("region", "cn-beijing", &[]),
    ("access-key-id", "other", KEYS),
    ("access-key-secret", "", KEYS),
    ("security-token", "t", KEYS),
    ("role-to-assume", "acs:ram::1:role/other", ROLE),
    ("oidc-provider-arn", "acs:ram::1:oidc-provider/p", ROLE),
    ("audience", "other", OIDC),
    ("role-session-name", "me", ROLE),
    ("role-session-expiration", "900", ROLE),
    ("role-policy", "preset:build", ROLE),
    ("ecs-endpoint", "https://other.example", &[]),
    ("vpc-endpoint", "https://other.example", &[]),
    ("sts-endpoint", "https://other.example", &[]),
    ("oss-endpoint", "https://other.example", &[]),
    ("on-error", "abort", &[]),
    ("force", "true", &[]),
    ("parallel", "2", &[]),
    ("timeout-minutes", "5", &[]),
    ("timeout-minutes", "5", IMPORT),
    ("resource-ttl-hours", "2", &[]),
    ("resource-ttl-hours", "2", IMPORT),
    ("allow-local-exec", "false", &[]),
    ("manifest", "m.json", &[]),
    ("manifest", "m.json", MERGE),
    ("fail-on-leftovers", "true", &[]),
    ("fail-on-leftovers", "true", IMPORT),
    ("run-id", "r1", CLEANUP),
    ("region", "cn-beijing", CLEANUP),
    ("fail-on-leftovers", "true", CLEANUP),
    ("output-files", "o.json", &[]),
    ("output-files", "o.json", IMPORT),
    ("output-files", "o.json", MERGE),
    ("regions", "cn-beijing", MATRIX),
    ("region-variable", "place", MATRIX),
    ("files", "other", MERGE),
    ("expect", "{}", MERGE),
    ("sandbox", "true", &[]),
    ("summary", "false", &[("GITHUB_STEP_SUMMARY", "/s")]),
    ("annotations", "false", &[]),
    ("pr-comment", "always", PULL_REQUEST),
    ("check-run", "true", PULL_REQUEST),
    ("github-token", "ghs_x", &[]),
    ("log-level", "debug", &[]),
];

const IMPORT: &[(&str, &str)] = &[
    ("INPUT_COMMAND", "import"),
    ("INPUT_FILE", "disk.raw"),
    ("INPUT_IMAGE-NAME", "web"),
    ("INPUT_OSS-BUCKET-NAME", "images"),
];
const KEYS: &[(&str, &str)] = &[
    ("INPUT_ACCESS-KEY-ID", "id"),
    ("INPUT_ACCESS-KEY-SECRET", "secret"),
];
const ROLE: &[(&str, &str)] = &[("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r")];
const OIDC: &[(&str, &str)] = &[
    ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r"),
    ("INPUT_OIDC-PROVIDER-ARN", "acs:ram::1:oidc-provider/p"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.example"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "right"),
];
const CLEANUP: &[(&str, &str)] = &[("INPUT_COMMAND", "cleanup")];
const MATRIX: &[(&str, &str)] = &[("INPUT_COMMAND", "matrix")];
const MERGE: &[(&str, &str)] = &[("INPUT_COMMAND", "merge"), ("INPUT_FILES", "legs")];
const PULL_REQUEST: &[(&str, &str)] = &[
    ("GITHUB_REPOSITORY", "acme/images"),
    ("INPUT_GITHUB-TOKEN", "ghs_x"),
];

/// The environment as a whole has the inputs, too.
fn without_environment(mut command: Command) -> Command {
    let (template, cloud) = match &mut command {
        Command::Build(args) => {
            args.children = crate::process::Environment::default();
            (Some(&mut args.template), Some(&mut args.cloud))
        }
        Command::Validate(args) => (Some(&mut args.template), None),
        Command::Matrix(args) => (Some(&mut args.validate.template), None),
        Command::Import(args) => (None, Some(&mut args.cloud)),
        Command::Cleanup(args) => (None, Some(&mut args.cloud)),
        _ => (None, None),
    };
    if let Some(template) = template {
        template.variables.environment.clear();
    }
    if let Some(cloud) = cloud {
        cloud.ambient.environment = crate::process::Environment::default();
    }
    command
}

#[test]
fn every_input_changes_what_is_done() {
    let event = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(event.path(), r#"{"pull_request": {"number": 7}}"#).unwrap();
    let event = ("GITHUB_EVENT_PATH", event.path().to_str().unwrap());
    for (name, value, more) in EFFECTS {
        let variable = variable_of(name);
        let base = [("INPUT_TEMPLATE", "t.json"), event];
        let base: Vec<_> = base.iter().chain(*more).copied().collect();
        let with: Vec<_> = base.iter().copied().chain([(&*variable, *value)]).collect();
        let shown = |variables: &[(&str, &str)]| {
            let command = run(MAIN_PROGRAM, variables).map(without_environment);
            format!("{command:?}")
        };
        assert_ne!(shown(&base), shown(&with), "{name} with {more:?}");
    }
    for input in INPUTS {
        let is_there = EFFECTS.iter().any(|(name, _, _)| *name == input.name);
        assert!(is_there, "{}", input.name);
    }
}

#[test]
fn a_manifest_is_written_unless_its_name_is_empty() {
    let manifest = |variables: &[(&str, &str)]| {
        let template = ("INPUT_TEMPLATE", "t.json");
        let all: Vec<_> = [template].iter().chain(variables).copied().collect();
        build(&all).report.manifest
    };
    let default = PathBuf::from("/github/workspace/alicloud-image-manifest.json");
    assert_eq!(manifest(&[]), Some(default));
    assert_eq!(manifest(&[("INPUT_MANIFEST", "")]), None);
    let named = manifest(&[
        ("INPUT_MANIFEST", "m.json"),
        ("INPUT_WORKING-DIRECTORY", "a"),
    ]);
    assert_eq!(named, Some("/github/workspace/a/m.json".into()));
}

#[test]
fn policies_for_sessions_fit_into_what_sts_takes() {
    let policy = |written: &str| {
        let args = build(&[
            ("INPUT_TEMPLATE", "t.json"),
            ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r"),
            ("INPUT_ROLE-POLICY", written),
        ]);
        let (_, session) = args.cloud.ambient.assumed_role.unwrap();
        session.policy
    };
    for preset in ["preset:build", "preset:import"] {
        let policy = policy(preset).unwrap();
        assert!(policy.len() <= LONGEST_POLICY, "{preset}: {}", policy.len());
        assert!(policy.contains("\"ecs:DescribeImages\""), "{policy}");
    }
    let own = r#"{"Version":"1","Statement":[]}"#;
    assert_eq!(policy(own).as_deref(), Some(own));
    assert_eq!(policy(""), None);
}

#[test]
fn templates_of_strangers_are_confined_to_the_workspace() {
    let args = |variables: &[(&str, &str)]| {
        let base = [
            ("INPUT_TEMPLATE", "t.json"),
            ("INPUT_WORKING-DIRECTORY", "images"),
            ("ALICLOUD_SECRET_KEY", "s"),
            ("PLAIN", "p"),
        ];
        let all: Vec<_> = base.iter().chain(variables).copied().collect();
        build(&all)
    };
    // A pull request whose payload cannot be read.
    let stranger = args(&[("GITHUB_EVENT_NAME", "pull_request")]);
    let workspace = Some(Path::new("/github/workspace"));
    assert_eq!(stranger.template.confined_to.as_deref(), workspace);
    let seen = &stranger.template.variables.environment;
    assert!(seen.contains_key("PLAIN") && !seen.contains_key("ALICLOUD_SECRET_KEY"));
    assert!(stranger.cloud.ambient.profiles.external_disabled);
    let trusted = args(&[
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("INPUT_ALLOW-LOCAL-EXEC", "true"),
    ]);
    assert_eq!(trusted.template.confined_to, None);
    assert_eq!(args(&[]).template.confined_to, None);
    let never = args(&[("INPUT_ALLOW-LOCAL-EXEC", "false")]);
    assert_eq!(never.template.confined_to.as_deref(), workspace);
}

#[test]
fn a_guard_leaves_the_journals_of_the_job_to_the_post_step() {
    let temp = tempfile::tempdir().unwrap();
    let job = [
        ("RUNNER_TEMP", temp.path().to_str().unwrap()),
        ("GITHUB_ACTIONS", "true"),
    ];
    let guard = [("INPUT_COMMAND", "guard")].iter().chain(&job).copied();
    let Command::Guard(args) = run(MAIN_PROGRAM, &guard.collect::<Vec<_>>()).unwrap() else {
        panic!("no guard");
    };
    let directory = temp.path().join(".alicloud-image");
    assert_eq!(args.journal_dir, directory);
    // Where a step of the same job has them.
    let all: Vec<_> = [("INPUT_TEMPLATE", "t.json")]
        .iter()
        .chain(&job)
        .copied()
        .collect();
    assert_eq!(build(&all).cloud.journal_dir, directory);
}

#[test]
fn what_was_to_be_kept_is_not_swept_by_the_post_step() {
    let state = ("STATE_journal", "/j");
    let abort = [state, ("STATE_run", "r1"), ("INPUT_ON-ERROR", "abort")];
    let Command::Print(text) = run(POST_PROGRAM, &abort).unwrap() else {
        panic!("it sweeps");
    };
    assert!(text.contains("alicloud-image cleanup --run r1"), "{text}");
    let guard = [
        state,
        ("INPUT_ON-ERROR", "abort"),
        ("INPUT_COMMAND", "guard"),
    ];
    assert!(matches!(run(POST_PROGRAM, &guard), Ok(Command::Cleanup(_))));
}

#[test]
fn a_session_is_named_after_the_run() {
    let name = |variables: &[(&str, &str)]| {
        let base = [
            ("INPUT_TEMPLATE", "t.json"),
            ("INPUT_ROLE-TO-ASSUME", "acs:ram::1:role/r"),
        ];
        let all: Vec<_> = base.iter().chain(variables).copied().collect();
        build(&all).cloud.ambient.assumed_role.unwrap().1.name
    };
    let run = [("GITHUB_RUN_ID", "42"), ("GITHUB_RUN_ATTEMPT", "2")];
    assert_eq!(name(&run).as_deref(), Some("alicloud-image-42-2"));
    let own = [run[0], ("INPUT_ROLE-SESSION-NAME", "me@team")];
    assert_eq!(name(&own).as_deref(), Some("me@team"));
    assert_eq!(name(&[]).as_deref(), Some("alicloud-image"));
}
