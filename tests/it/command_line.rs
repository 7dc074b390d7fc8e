//! The command line and what the program writes: text, lines for scripts,
//! JSON, and the files of GitHub Actions.

use std::collections::BTreeSet;
use std::time::Duration;

use alicloud_image_sandbox::{AccessKey, SandboxOptions, StateFault};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{Lab, Outcome, quick_options, scrub};
use crate::web::{web, with_provisioners};

/// A lab in which nothing speaks of GitHub.
async fn plain_lab() -> Lab {
    let mut lab = Lab::quick().await;
    make_plain(&mut lab);
    lab
}

fn make_plain(lab: &mut Lab) {
    for name in [
        "GITHUB_ACTIONS",
        "GITHUB_WORKSPACE",
        "GITHUB_OUTPUT",
        "GITHUB_STATE",
        "GITHUB_STEP_SUMMARY",
    ] {
        lab.unset(name);
    }
}

/// Unix times of machine-readable lines differ from run to run.
fn scrub_lines(text: &str) -> String {
    let time = Regex::new(r"(?m)^\d{10},").unwrap();
    scrub(&time.replace_all(text, "UNIXTIME,"))
}

// Commands without template.

#[tokio::test]
async fn help_lists_the_commands_and_exit_codes() {
    let lab = plain_lab().await;
    let outcome = lab.run(&["--help"]).await.success();
    assert_snapshot!(outcome.stdout, @"
    Builds Alibaba Cloud ECS images from Packer templates and leaves nothing behind

    Usage: alicloud-image <COMMAND>

    Commands:
      build        Build the images of a template
      validate     Check a template without creating anything
      inspect      Show what a template contains
      plan         Print what a template would build, as JSON
      policy       Print the least RAM policy that a template needs
      import       Import a disk image, without a template
      matrix       Print one leg per build and region, to spread a template over CI jobs
      merge        Join the results of the jobs that a template was spread over
      cleanup      Delete what an interrupted run left behind
      whoami       Show whose keys are used and where they come from
      disk         Look at disk images and convert them
      sandbox      Run the simulated cloud for tests and demonstrations
      version      Print the version
      completions  Print a completion script for a shell

    Options:
      -h, --help  Print help

    Exit codes:
        0  all requested images were made, or the template is valid
        1  a build failed
        2  bad command line, input or template; nothing was created
        3  no usable credentials, or a permission is missing; no image was made
        4  -only/-except left no build
        5  some builds succeeded and some failed
        6  resources could not be deleted (only with --fail-on-leftovers)
        7  the deadline of --timeout-minutes was reached; resources were deleted
       70  a bug in this program; the journal was kept
      129  stopped by SIGHUP; resources were deleted
      130  stopped by SIGINT; resources were deleted
      143  stopped by SIGTERM; resources were deleted

    Options may be written with one dash or two, as in Packer: -var-file=f is
    --var-file f.
    ");
    assert_eq!(lab.run(&["-h"]).await.success().stdout, outcome.stdout);
    assert_eq!(outcome.stderr, "");
}

#[tokio::test]
async fn no_command_is_answered_with_the_commands() {
    let lab = plain_lab().await;
    assert_snapshot!(lab.run(&[]).await.failure(2).text(), @"
    Error: No command was given
    hint: Run `alicloud-image --help` for commands and options
    ");
}

#[tokio::test]
async fn the_version_is_said_for_people_and_scripts() {
    let lab = plain_lab().await;
    let outcome = lab.run(&["version"]).await.success();
    assert_snapshot!(outcome.text(), @"alicloud-image 0.1.0 (templates of Packer 1.15.0)");
    let outcome = lab.run(&["version", "-machine-readable"]).await.success();
    assert_snapshot!(scrub_lines(&outcome.text()), @"
    UNIXTIME,,version,0.1.0
    UNIXTIME,,version-prelease,
    UNIXTIME,,version-commit,
    ");
    let outcome = lab.run(&["--version"]).await.success();
    assert_snapshot!(outcome.text(), @"alicloud-image 0.1.0 (templates of Packer 1.15.0)");
}

#[tokio::test]
async fn a_mistyped_command_names_the_nearest() {
    let lab = plain_lab().await;
    assert_snapshot!(lab.run(&["biuld", "web.json"]).await.failure(2).text(), @"
    Error: Unrecognized subcommand 'biuld'
    hint: a similar subcommand exists: 'build'
    hint: Run `alicloud-image --help` for commands and options
    ");
}

#[tokio::test]
async fn a_mistyped_option_names_the_nearest() {
    let lab = plain_lab().await;
    let outcome = lab.run(&["build", "-parralel-builds=1", "web.json"]).await;
    assert_snapshot!(outcome.failure(2).text(), @"
    Error: Unexpected argument '--parralel-builds' found
    hint: a similar argument exists: '--parallel-builds'
    hint: Run `alicloud-image --help` for commands and options
    ");
}

#[tokio::test]
async fn a_wrong_value_names_what_there_is() {
    let lab = plain_lab().await;
    let outcome = lab.run(&["build", "-on-error=keep", "web.json"]).await;
    assert_snapshot!(outcome.failure(2).text(), @"
    Error: Invalid value 'keep' for '--on-error <ACTION>' [possible values: cleanup, abort, ask, run-cleanup-provisioner]
    hint: Run `alicloud-image --help` for commands and options
    ");
}

#[tokio::test]
async fn completions_know_commands_and_options() {
    let lab = plain_lab().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = lab.run(&["completions", shell]).await.success().stdout;
        for word in ["validate", "timeout-minutes", "fail-on-leftovers"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn init_of_packers_scripts_is_accepted() {
    let lab = plain_lab().await;
    let outcome = lab.run(&["init", "-upgrade", "."]).await.success();
    assert_eq!(outcome.text(), "");
}

// validate and inspect.

#[tokio::test]
async fn validate_accepts_a_good_template() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&["validate", "web.json"])
        .await
        .success();
    assert_eq!(outcome.text(), "The configuration is valid.\n");
    assert_eq!(lab.sandbox.calls().len(), 0);
}

/// One of each kind of mistake.
const MISTAKES: &str = r#"{
  "variables": {"version": null, "zone": "cn-beijing-h"},
  "builders": [
    {
      "type": "alicloud-ecs",
      "region": "cn-beijing",
      "image_name": "acs:web",
      "source_imag": "aliyun_3_x64_20G_alibase_20240819.vhd",
      "instance_type": "ecs.g6.large",
      "ssh_usernam": "root",
      "ssh_wait_timeout": "5m",
      "wait_snapshot_ready_timeout": "soon",
      "security_group_id": ["sg-1"],
      "associate_public_ip_address": "maybe",
      "zone_id": "{{user `zon`}}",
      "tags": {"version": "{{usr `version`}}"}
    },
    {"type": "alicloud-esc"}
  ],
  "provisioners": [
    {"type": "shell", "inlin": ["true"]},
    {"type": "shell", "script": "install.sh"},
    {"type": "shel", "inline": ["true"]}
  ],
  "post-processors": [{"type": "manifests"}]
}"#;

#[tokio::test]
async fn validate_names_every_mistake_at_once() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", MISTAKES)
        .run(&["validate", "web.json"])
        .await
        .failure(2);
    assert_snapshot!(outcome.shown(), @r#"
    error: Required variable `version` is not set
     --> web.json:2:17
      |
    2 |   "variables": {"version": null, "zone": "cn-beijing-h"},
      |                 ^^^^^^^^^
      |
      = help: Pass it with `-var 'version=…'` or in a `-var-file`

    error: Option `source_image` of builder `alicloud-ecs` is missing
     --> web.json:4:5
      |
    4 |     {
      |     ^
      |
      = help: Set it to an image's id, or set `image_family` or `source_image_filter`

    error: Option `ssh_username` of builder `alicloud-ecs` is missing
     --> web.json:4:5
      |
    4 |     {
      |     ^
      |
      = help: Set it to the user of the source image, `root` for most of Alibaba Cloud's

    error: Option `image_name` of builder `alicloud-ecs` begins with `acs:`: `acs:web`
     --> web.json:7:21
      |
    7 |       "image_name": "acs:web",
      |                     ^^^^^^^^^
      |
      = help: This beginning is reserved for Alibaba Cloud's own images; choose another one

    error: Unknown option `source_imag` in builder `alicloud-ecs`
     --> web.json:8:7
      |
    8 |       "source_imag": "aliyun_3_x64_20G_alibase_20240819.vhd",
      |       ^^^^^^^^^^^^^
      |
      = help: Did you mean `source_image`?

    error: Unknown option `ssh_usernam` in builder `alicloud-ecs`
      --> web.json:10:7
       |
    10 |       "ssh_usernam": "root",
       |       ^^^^^^^^^^^^^
       |
       = help: Did you mean `ssh_username`?

    warning: Option `ssh_wait_timeout` of builder `alicloud-ecs` is deprecated
      --> web.json:11:7
       |
    11 |       "ssh_wait_timeout": "5m",
       |       ^^^^^^^^^^^^^^^^^^
       |
       = help: Use `ssh_timeout` instead

    error: Option `wait_snapshot_ready_timeout` of builder `alicloud-ecs` must be an integer, but it is the string `"soon"`
      --> web.json:12:38
       |
    12 |       "wait_snapshot_ready_timeout": "soon",
       |                                      ^^^^^^ expected an integer

    error: Option `security_group_id` of builder `alicloud-ecs` must be a string, but it is a list
      --> web.json:13:28
       |
    13 |       "security_group_id": ["sg-1"],
       |                            ^^^^^^^^ expected a string

    error: Option `associate_public_ip_address` of builder `alicloud-ecs` must be a bool, but it is the string `"maybe"`
      --> web.json:14:38
       |
    14 |       "associate_public_ip_address": "maybe",
       |                                      ^^^^^^^ expected a bool
       |
       = help: Write `true` or `false`

    warning: Variable `zon` is not declared, so it is empty here
      --> web.json:15:26
       |
    15 |       "zone_id": "{{user `zon`}}",
       |                          ^^^^^
       |
       = help: Did you mean `zone`?

    error: There is no template function `usr`
      --> web.json:16:30
       |
    16 |       "tags": {"version": "{{usr `version`}}"}
       |                              ^^^
       |
       = help: Did you mean `user`?

    error: There is no builder of type `alicloud-esc`
      --> web.json:18:14
       |
    18 |     {"type": "alicloud-esc"}
       |              ^^^^^^^^^^^^^^
       |
       = help: Did you mean `alicloud-ecs`? This version has `alicloud-ecs` and `qemu`

    error: Option `inline` of provisioner `shell` is missing
      --> web.json:21:5
       |
    21 |     {"type": "shell", "inlin": ["true"]},
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: Write one of `inline`, `script` or `scripts`

    error: Unknown option `inlin` in provisioner `shell`
      --> web.json:21:23
       |
    21 |     {"type": "shell", "inlin": ["true"]},
       |                       ^^^^^^^
       |
       = help: Did you mean `inline`?

    error: Option `script` of provisioner `shell` names `install.sh`, which does not exist
      --> web.json:22:33
       |
    22 |     {"type": "shell", "script": "install.sh"},
       |                                 ^^^^^^^^^^^^
       |
       = help: Relative paths start at the working directory, `DIR`

    error: There is no provisioner of type `shel`
      --> web.json:23:14
       |
    23 |     {"type": "shel", "inline": ["true"]}
       |              ^^^^^^
       |
       = help: Did you mean `shell`? This version has `shell`, `file`, `shell-local`, `powershell`, `windows-shell`, `windows-restart`, `sleep`, `ansible`, `ansible-local` and `breakpoint`

    error: There is no post-processor of type `manifests`
      --> web.json:25:32
       |
    25 |   "post-processors": [{"type": "manifests"}]
       |                                ^^^^^^^^^^^
       |
       = help: Did you mean `manifest`? This version has `manifest`, `checksum`, `shell-local`, `alicloud-import`, `compress` and `artifice`

    Error: The template has 16 errors
    "#);
    assert_eq!(lab.sandbox.calls().len(), 0);
}

#[tokio::test]
async fn validate_syntax_only_does_not_look_at_options() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", MISTAKES)
        .run(&["validate", "-syntax-only", "web.json"])
        .await
        .success();
    assert_snapshot!(outcome.text(), @"Syntax-only check passed. Everything looks okay.");
    lab.write("web.json", "{\"builders\": [}")
        .run(&["validate", "-syntax-only", "web.json"])
        .await
        .failure(2);
}

const INSPECTED: &str = r#"{
  "description": "A web server, ready to serve.",
  "variables": {"version": null, "zone": "cn-beijing-h", "token": "hush-hush"},
  "sensitive-variables": ["token"],
  "builders": [
    {"type": "alicloud-ecs", "name": "web"},
    {"type": "alicloud-ecs"}
  ],
  "provisioners": [{"type": "shell"}, {"type": "file"}],
  "post-processors": [[{"type": "manifest"}, "checksum"]]
}"#;

#[tokio::test]
async fn inspect_shows_what_a_template_consists_of() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", INSPECTED)
        .run(&["inspect", "web.json"])
        .await
        .success();
    assert_snapshot!(outcome.text(), @"
    Packer Inspect: JSON mode
    Description:
      A web server, ready to serve.

    Variables:
      version = <required>
      zone = cn-beijing-h
      token = <sensitive>

    Builders:
      web (alicloud-ecs)
      alicloud-ecs (alicloud-ecs)

    Provisioners:
      shell
      file

    Post-processors:
      manifest, checksum
    ");
    let outcome = lab
        .run(&["inspect", "-machine-readable", "web.json"])
        .await
        .success();
    assert_snapshot!(scrub_lines(&outcome.text()), @"
    UNIXTIME,,template-variable,version,,1
    UNIXTIME,,template-variable,zone,cn-beijing-h,0
    UNIXTIME,,template-variable,token,<sensitive>,0
    UNIXTIME,,template-builder,web,alicloud-ecs
    UNIXTIME,,template-builder,alicloud-ecs,alicloud-ecs
    UNIXTIME,,template-provisioner,shell
    UNIXTIME,,template-provisioner,file
    ");
}

// Spellings.

#[tokio::test]
async fn options_are_written_as_packer_writes_them_or_with_two_dashes() {
    let template = web(json!({"image_name": "{{user `name`}}-{{user `version`}}"})).replacen(
        '{',
        "{\"variables\": {\"name\": null, \"version\": null},",
        1,
    );
    let packers: &[&str] = &[
        "build",
        "-var",
        "name=web",
        "-var-file=vars.json",
        "-only=web",
        "-force",
        "-on-error=cleanup",
        "-parallel-builds=1",
        "-timestamp-ui",
        "-color=false",
        "web.json",
    ];
    let ours: &[&str] = &[
        "build",
        "--var=name=web",
        "--var-file",
        "vars.json",
        "--only",
        "web",
        "--force",
        "--on-error",
        "cleanup",
        "--parallel-builds",
        "1",
        "--timestamp-ui",
        "--color=false",
        "web.json",
    ];
    let stamped = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: ").unwrap();
    for arguments in [packers, ours] {
        let lab = plain_lab().await;
        lab.write("web.json", &template)
            .write("vars.json", "{\"version\": \"7\"}");
        let outcome = lab.run(arguments).await.success();
        assert_eq!(lab.sandbox.images()[0]["ImageName"], "web-7");
        assert!(
            outcome.stdout.lines().all(|line| stamped.is_match(line)),
            "{}",
            outcome.stdout
        );
    }
}

#[tokio::test]
async fn a_template_may_come_from_standard_input() {
    let lab = plain_lab().await;
    let mut child = lab.start_with_input(&["build", "-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(web(json!({})).as_bytes()).await.unwrap();
    drop(input);
    lab.finish(child).await.success();
    assert_eq!(lab.sandbox.images().len(), 1);
}

#[tokio::test]
async fn only_without_a_match_builds_nothing() {
    let lab = plain_lab().await;
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&["build", "-only=wbe", "web.json"])
        .await
        .failure(4);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.text(), @"
    warning: `-only` names `wbe`, which is not in the template
     |
     = help: Did you mean `web`?

    Error: No builds to run
    hint: Names for `-only` and `-except` are listed by `alicloud-image inspect`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn build_sandbox_needs_no_account() {
    let mut lab = plain_lab().await;
    for name in [
        "ALICLOUD_ACCESS_KEY",
        "ALICLOUD_SECRET_KEY",
        "ALIBABA_CLOUD_ENDPOINT_ECS",
        "ALIBABA_CLOUD_ENDPOINT_VPC",
        "ALIBABA_CLOUD_ENDPOINT_STS",
        "ALICLOUD_IMAGE_TIME_SCALE",
        "ALICLOUD_IMAGE_GUEST_PORT",
    ] {
        lab.unset(name);
    }
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&[
            "build",
            "--sandbox",
            "--sandbox-time-scale=0.01",
            "web.json",
        ])
        .await
        .success();
    assert!(outcome.stdout.contains("    web: hello\n"));
    assert!(outcome.stdout.ends_with("==> 0 resources left\n"));
    assert_eq!(lab.sandbox.calls().len(), 0);
}

// What is written.

async fn build(lab: &Lab, options: &[&str]) -> Outcome {
    lab.write("web.json", &web(json!({})));
    let arguments: Vec<_> = ["build"]
        .iter()
        .chain(options)
        .chain(&["web.json"])
        .copied()
        .collect();
    lab.run(&arguments).await
}

fn image_id(lab: &Lab) -> String {
    lab.sandbox.images()[0]["ImageId"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn without_github_nothing_is_written_for_it() {
    let lab = plain_lab().await;
    let outcome = build(&lab, &[]).await.success();
    assert!(!outcome.stdout.contains("::"), "{}", outcome.stdout);
    assert_eq!(outcome.stderr, "");
    let files: BTreeSet<_> = std::fs::read_dir(lab.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files.iter().map(String::as_str).collect::<Vec<_>>(),
        ["journals", "web.json"]
    );
}

#[tokio::test]
async fn scripts_find_the_image_in_machine_readable_lines() {
    let lab = plain_lab().await;
    lab.write("web.json", &web(json!({})));
    let child = lab.start(&["build", "-machine-readable", "web.json"]);
    let outcome = lab.finish(child).await.success();
    lab.write("log", &outcome.stdout);
    let found = Command::new("sh")
        .args(["-c", "grep artifact,0,id log | cut -d, -f6 | cut -d: -f2"])
        .current_dir(lab.path("."))
        .output()
        .await
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.trim(), image_id(&lab));
    let line = Regex::new(r"^\d{10},[^,]*,[a-z-]+,").unwrap();
    assert!(outcome.stdout.lines().all(|text| line.is_match(text)));
    let artifact: Vec<_> = outcome
        .stdout
        .lines()
        .filter(|line| line.contains(",artifact"))
        .collect();
    assert_snapshot!(scrub_lines(&artifact.join("\n")), @r"
    UNIXTIME,web,artifact-count,1
    UNIXTIME,web,artifact,0,builder-id,alibaba.alicloud
    UNIXTIME,web,artifact,0,id,cn-beijing:m-ID
    UNIXTIME,web,artifact,0,string,Alicloud images were created:\n\ncn-beijing: m-ID
    UNIXTIME,web,artifact,0,files-count,0
    UNIXTIME,web,artifact,0,end
    ");
}

#[tokio::test]
async fn scripts_find_the_failure_in_machine_readable_lines() {
    let lab = plain_lab().await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    let outcome = build(&lab, &["-machine-readable"]).await.failure(1);
    let errors: Vec<_> = outcome
        .stdout
        .lines()
        .filter(|line| line.contains(",error"))
        .collect();
    assert_snapshot!(scrub_lines(&errors.join("\n")), @r"
    UNIXTIME,,ui,error,Build 'web' errored after DURATION: Image m-ID in cn-beijing ended as CreateFailed
    UNIXTIME,,ui,error, --> web.json:3:5\n  |\n3 |     {\n  |     ^\n
    UNIXTIME,,error-count,1
    UNIXTIME,web,error,Image m-ID in cn-beijing ended as CreateFailed
    UNIXTIME,,ui,error,\n==> Some builds didn't complete successfully and had errors:\n--> web: Image m-ID in cn-beijing ended as CreateFailed
    ");
}

#[tokio::test]
async fn json_goes_to_standard_output_and_text_to_standard_error() {
    let lab = plain_lab().await;
    let outcome = build(&lab, &["--format=json"]).await.success();
    let events: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert!(
        events
            .iter()
            .all(|event| event["time"].is_string() && event["type"].is_string())
    );
    assert_eq!(events[0]["type"], "run_started");
    let ready = events.iter().find(|event| event["type"] == "image_ready");
    assert_eq!(ready.unwrap()["image"]["image_id"], image_id(&lab).as_str());
    let last = events.last().unwrap();
    assert_eq!(last["type"], "run_finished");
    assert_eq!(last["status"], "success");
    assert!(outcome.stderr.contains("==> web: Creating instance..."));
    assert!(outcome.stderr.ends_with("==> 0 resources left\n"));
}

#[tokio::test]
async fn an_output_file_holds_the_results() {
    let lab = plain_lab().await;
    build(&lab, &["--output-file=results.env"]).await.success();
    let results = lab.read("results.env");
    let line = format!("IMAGE_ID={}\n", image_id(&lab));
    assert!(results.contains(&line), "{results}");
    assert_snapshot!(scrub(&results), @"
    BUILD_RUN_ID=UUID
    IMAGE_COUNT=1
    LEFTOVER_COUNT=0
    STATUS=success
    IMAGE_ID=m-ID
    IMAGE_NAME=web
    IMAGE_REGION=cn-beijing
    IMAGE_ID_CN_BEIJING=m-ID
    ");
}

#[tokio::test]
async fn colours_are_for_terminals_or_on_demand() {
    let mut lab = plain_lab().await;
    let outcome = lab.run(&["validate", "web.json"]).await.failure(2);
    assert!(!outcome.text().contains('\u{1b}'));
    lab.set("FORCE_COLOR", "1");
    let outcome = lab.run(&["validate", "web.json"]).await.failure(2);
    assert!(outcome.text().contains("\u{1b}[1;31m"), "{outcome:?}");
    let outcome = lab
        .run(&["validate", "-color=false", "web.json"])
        .await
        .failure(2);
    assert!(!outcome.text().contains('\u{1b}'));
    lab.set("NO_COLOR", "1");
    let outcome = lab.run(&["validate", "web.json"]).await.failure(2);
    assert!(!outcome.text().contains('\u{1b}'));
}

// GitHub Actions.

#[tokio::test]
async fn mistakes_become_annotations_in_their_places() {
    let lab = Lab::quick().await;
    std::fs::create_dir(lab.path("images")).unwrap();
    let outcome = lab
        .write("images/web.json", MISTAKES)
        .run(&["build", "images/web.json"])
        .await
        .failure(2);
    let annotations: Vec<_> = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("::error") || line.starts_with("::warning"))
        .collect();
    assert_snapshot!(annotations.join("\n"), @r#"
    ::error title=Template,file=images/web.json,line=2,col=17,endColumn=26::Required variable `version` is not set%0Ahelp: Pass it with `-var 'version=…'` or in a `-var-file`
    ::error title=Template,file=images/web.json,line=4,col=5::Option `source_image` of builder `alicloud-ecs` is missing%0Ahelp: Set it to an image's id, or set `image_family` or `source_image_filter`
    ::error title=Template,file=images/web.json,line=4,col=5::Option `ssh_username` of builder `alicloud-ecs` is missing%0Ahelp: Set it to the user of the source image, `root` for most of Alibaba Cloud's
    ::error title=Template,file=images/web.json,line=7,col=21,endColumn=30::Option `image_name` of builder `alicloud-ecs` begins with `acs:`: `acs:web`%0Ahelp: This beginning is reserved for Alibaba Cloud's own images; choose another one
    ::error title=Template,file=images/web.json,line=8,col=7,endColumn=20::Unknown option `source_imag` in builder `alicloud-ecs`%0Ahelp: Did you mean `source_image`?
    ::error title=Template,file=images/web.json,line=10,col=7,endColumn=20::Unknown option `ssh_usernam` in builder `alicloud-ecs`%0Ahelp: Did you mean `ssh_username`?
    ::error title=Template,file=images/web.json,line=12,col=38,endColumn=44::Option `wait_snapshot_ready_timeout` of builder `alicloud-ecs` must be an integer, but it is the string `"soon"`
    ::error title=Template,file=images/web.json,line=13,col=28,endColumn=36::Option `security_group_id` of builder `alicloud-ecs` must be a string, but it is a list
    ::error title=Template,file=images/web.json,line=14,col=38,endColumn=45::Option `associate_public_ip_address` of builder `alicloud-ecs` must be a bool, but it is the string `"maybe"`%0Ahelp: Write `true` or `false`
    ::error title=Template,file=images/web.json,line=16,col=30,endColumn=33::There is no template function `usr`%0Ahelp: Did you mean `user`?%0A… and 6 more, see the log
    ::warning title=Template,file=images/web.json,line=11,col=7,endColumn=25::Option `ssh_wait_timeout` of builder `alicloud-ecs` is deprecated%0Ahelp: Use `ssh_timeout` instead
    ::warning title=Template,file=images/web.json,line=15,col=26,endColumn=31::Variable `zon` is not declared, so it is empty here%0Ahelp: Did you mean `zone`?
    "#);
    assert_snapshot!(scrub(&outcome.summary), @r#"
    ## alicloud-image: ✗ failed

    > The template has 16 errors

    - <code>images/web.json:2:17</code> Required variable &#96;version&#96; is not set. Pass it with &#96;-var 'version=…'&#96; or in a &#96;-var-file&#96;
    - <code>images/web.json:4:5</code> Option &#96;source&#95;image&#96; of builder &#96;alicloud-ecs&#96; is missing. Set it to an image's id, or set &#96;image&#95;family&#96; or &#96;source&#95;image&#95;filter&#96;
    - <code>images/web.json:4:5</code> Option &#96;ssh&#95;username&#96; of builder &#96;alicloud-ecs&#96; is missing. Set it to the user of the source image, &#96;root&#96; for most of Alibaba Cloud's
    - <code>images/web.json:7:21</code> Option &#96;image&#95;name&#96; of builder &#96;alicloud-ecs&#96; begins with &#96;acs:&#96;: &#96;acs:web&#96;. This beginning is reserved for Alibaba Cloud's own images; choose another one
    - <code>images/web.json:8:7</code> Unknown option &#96;source&#95;imag&#96; in builder &#96;alicloud-ecs&#96;. Did you mean &#96;source&#95;image&#96;?
    - <code>images/web.json:10:7</code> Unknown option &#96;ssh&#95;usernam&#96; in builder &#96;alicloud-ecs&#96;. Did you mean &#96;ssh&#95;username&#96;?
    - <code>images/web.json:12:38</code> Option &#96;wait&#95;snapshot&#95;ready&#95;timeout&#96; of builder &#96;alicloud-ecs&#96; must be an integer, but it is the string &#96;"soon"&#96;
    - <code>images/web.json:13:28</code> Option &#96;security&#95;group&#95;id&#96; of builder &#96;alicloud-ecs&#96; must be a string, but it is a list
    - <code>images/web.json:14:38</code> Option &#96;associate&#95;public&#95;ip&#95;address&#96; of builder &#96;alicloud-ecs&#96; must be a bool, but it is the string &#96;"maybe"&#96;. Write &#96;true&#96; or &#96;false&#96;
    - <code>images/web.json:16:30</code> There is no template function &#96;usr&#96;. Did you mean &#96;user&#96;?
    - <code>images/web.json:18:14</code> There is no builder of type &#96;alicloud-esc&#96;. Did you mean &#96;alicloud-ecs&#96;? This version has &#96;alicloud-ecs&#96; and &#96;qemu&#96;
    - <code>images/web.json:21:5</code> Option &#96;inline&#96; of provisioner &#96;shell&#96; is missing. Write one of &#96;inline&#96;, &#96;script&#96; or &#96;scripts&#96;
    - <code>images/web.json:21:23</code> Unknown option &#96;inlin&#96; in provisioner &#96;shell&#96;. Did you mean &#96;inline&#96;?
    - <code>images/web.json:22:33</code> Option &#96;script&#96; of provisioner &#96;shell&#96; names &#96;install.sh&#96;, which does not exist. Relative paths start at the working directory, &#96;DIR&#96;
    - <code>images/web.json:23:14</code> There is no provisioner of type &#96;shel&#96;. Did you mean &#96;shell&#96;? This version has &#96;shell&#96;, &#96;file&#96;, &#96;shell-local&#96;, &#96;powershell&#96;, &#96;windows-shell&#96;, &#96;windows-restart&#96;, &#96;sleep&#96;, &#96;ansible&#96;, &#96;ansible-local&#96; and &#96;breakpoint&#96;
    - <code>images/web.json:25:32</code> There is no post-processor of type &#96;manifests&#96;. Did you mean &#96;manifest&#96;? This version has &#96;manifest&#96;, &#96;checksum&#96;, &#96;shell-local&#96;, &#96;alicloud-import&#96;, &#96;compress&#96; and &#96;artifice&#96;

    <details><summary>Inputs</summary>

    <pre>template: "images/web.json"</pre>

    </details>

    <sub>alicloud-image 0.1.0 · run <code>UUID</code> · template SHA-256 <code>SHA256</code></sub>
    "#);
    assert_eq!(outcome.outputs["status"], "failure");
}

/// The time of day in tables.
fn scrub_summary(text: &str) -> String {
    let clock = Regex::new(r"\b\d\d:\d\d:\d\d\b").unwrap();
    let rows = scrub(&clock.replace_all(text, "CLOCK"));
    sorted_tables(&rows)
}

/// Rows of things that are made at the same time come in any order.
fn sorted_tables(text: &str) -> String {
    let (mut sorted, mut rows) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if line.starts_with("| ") && !line.contains("(UTC)") {
            rows.push(line);
            continue;
        }
        rows.sort_unstable();
        sorted.append(&mut rows);
        sorted.push(line);
    }
    sorted.join("\n")
}

/// The summary up to the log, whose lines come in any order.
fn before_log(text: &str) -> &str {
    text.split("<details><summary>Last ").next().unwrap()
}

#[tokio::test]
async fn a_successful_run_sets_outputs_and_writes_a_summary() {
    let mut lab = Lab::quick().await;
    lab.set("GITHUB_RUN_ID", "4711").set("GITHUB_SHA", "0a1b2c");
    let outcome = build(&lab, &[]).await.success();
    let id = image_id(&lab);
    let ids: Value = serde_json::from_str(&outcome.outputs["image-ids"]).unwrap();
    assert_eq!(ids, json!({"cn-beijing": id}));
    let lines: Vec<_> = outcome
        .outputs
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_snapshot!(scrub_outputs(&lines.join("\n")), @r#"
    build-run-id: UUID
    duration-seconds: SECONDS
    image-id: m-ID
    image-ids: {"cn-beijing":"m-ID"}
    image-name: web
    images: [{"build":"web","type":"alicloud-ecs","region":"cn-beijing","image_id":"m-ID","image_name":"web","source_image":"aliyun_3_x64_20G_alibase_20240819.vhd","snapshot_ids":["s-ID"],"size_gib":20,"created":"TIME"}]
    leftovers: []
    manifest-path: 
    matrix: 
    oss-object: 
    plan: 
    region: cn-beijing
    screenshots: 
    snapshot-ids: ["s-ID"]
    status: success
    "#);
    assert_snapshot!(scrub_summary(&outcome.summary), @r#"
    ## alicloud-image: 1 image built in DURATION

    | | Build | Region | Image ID | Name | Time |
    |---|---|---|---|---|---|
    | ✓ | web | cn-beijing | <a href="https://ecs.console.aliyun.com/image/region/cn-beijing/imageList"><code>m-ID</code></a> | web | DURATION |

    <details><summary>Timeline</summary>

    | Build | Step | Start (UTC) | Duration | Resources |
    |---|---|---|---|---|
    | web | Allocate address | CLOCK | DURATION | <code>eip-ID</code> |
    | web | Assign address | CLOCK | DURATION | <code>eip-ID/i-ID</code> |
    | web | Check | CLOCK | DURATION |  |
    | web | Connect | CLOCK | DURATION |  |
    | web | Create image | CLOCK | DURATION | <code>m-ID</code> |
    | web | Create instance | CLOCK | DURATION | <code>i-ID</code> |
    | web | Create key pair, network and address | CLOCK | DURATION |  |
    | web | Create network | CLOCK | DURATION | <code>sg-ID</code> <code>vpc-ID</code> <code>vsw-ID</code> |
    | web | Import key pair | CLOCK | DURATION | <code>alicloud-image-RUN-web-key</code> |
    | web | Provision | CLOCK | DURATION |  |
    | web | Publish image | CLOCK | DURATION |  |
    | web | Stop instance | CLOCK | DURATION |  |

    </details>

    <details><summary>Temporary resources</summary>

    | Kind | ID | Region | Created (UTC) | Deleted (UTC) | State |
    |---|---|---|---|---|---|
    | EIP association | <code>eip-ID/i-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | EIP | <code>eip-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | VPC | <code>vpc-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | image | <code>m-ID</code> | cn-beijing | CLOCK |  | kept |
    | instance | <code>i-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | key pair | <code>alicloud-image-RUN-web-key</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | security group | <code>sg-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | vSwitch | <code>vsw-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |

    </details>

    <details><summary>Inputs</summary>

    <pre>template: "web.json"</pre>

    </details>

    <sub>alicloud-image 0.1.0 · run <code>UUID</code> · template SHA-256 <code>SHA256</code> · commit <code>0a1b2c</code> · [workflow run](./4711)</sub>
    "#);
}

#[tokio::test]
async fn a_failed_run_sets_outputs_and_writes_a_summary() {
    let lab = Lab::quick().await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    let outcome = build(&lab, &[]).await.failure(1);
    let lines: Vec<_> = outcome
        .outputs
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_snapshot!(scrub_outputs(&lines.join("\n")), @"
    build-run-id: UUID
    duration-seconds: SECONDS
    image-id: 
    image-ids: {}
    image-name: 
    images: []
    leftovers: []
    manifest-path: 
    matrix: 
    oss-object: 
    plan: 
    region: 
    screenshots: 
    snapshot-ids: []
    status: failure
    ");
    assert_snapshot!(scrub_summary(before_log(&outcome.summary)), @r#"
    ## alicloud-image: ✗ build web failed at "Create image"

    > **web**: Image m-ID in cn-beijing ended as CreateFailed
    >
    > Template <code>web.json:3:5</code>
    >
    > Hint: Local disks cannot be part of an image: see &#96;image&#95;ignore&#95;data&#95;disks&#96;; otherwise try again

    <details><summary>Timeline</summary>

    | Build | Step | Start (UTC) | Duration | Resources |
    |---|---|---|---|---|
    | web | Allocate address | CLOCK | DURATION | <code>eip-ID</code> |
    | web | Assign address | CLOCK | DURATION | <code>eip-ID/i-ID</code> |
    | web | Check | CLOCK | DURATION |  |
    | web | Connect | CLOCK | DURATION |  |
    | web | Create instance | CLOCK | DURATION | <code>i-ID</code> |
    | web | Create key pair, network and address | CLOCK | DURATION |  |
    | web | Create network | CLOCK | DURATION | <code>sg-ID</code> <code>vpc-ID</code> <code>vsw-ID</code> |
    | web | Import key pair | CLOCK | DURATION | <code>alicloud-image-RUN-web-key</code> |
    | web | Provision | CLOCK | DURATION |  |
    | web | Stop instance | CLOCK | DURATION |  |
    | web | ✗ Create image | CLOCK | DURATION | <code>m-ID</code> |

    </details>

    <details><summary>Temporary resources</summary>

    | Kind | ID | Region | Created (UTC) | Deleted (UTC) | State |
    |---|---|---|---|---|---|
    | EIP association | <code>eip-ID/i-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | EIP | <code>eip-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | VPC | <code>vpc-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | image | <code>m-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | instance | <code>i-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | key pair | <code>alicloud-image-RUN-web-key</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | security group | <code>sg-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |
    | vSwitch | <code>vsw-ID</code> | cn-beijing | CLOCK | CLOCK | deleted |

    </details>

    <details><summary>Inputs</summary>

    <pre>template: "web.json"</pre>

    </details>
    "#);
}

fn scrub_outputs(text: &str) -> String {
    let seconds = Regex::new(r"duration-seconds: \d+").unwrap();
    seconds
        .replace(&scrub(text), "duration-seconds: SECONDS")
        .into_owned()
}

#[tokio::test]
async fn the_post_step_finds_the_journal_in_the_state() {
    let lab = Lab::quick().await;
    let outcome = build(&lab, &[]).await.success();
    let state = lab.read("state");
    assert!(state.contains(&outcome.outputs["build-run-id"]), "{state}");
    assert!(state.contains("journals"), "{state}");
}

// Secrets.

const SECRET_KEY: &str = "Canary+Key/9=x&y";
const VARIABLE: &str = "Canary+Variable/9=x&y";
const PASSWORD: &str = "Canary+Password/9=x&y";
const USER_DATA: &str = "#!/bin/sh\n# Canary+UserData/9=x&y of the boot\ntrue\n";

/// Ways in which a secret may turn up.
fn forms(secret: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    vec![
        secret.to_owned(),
        encoded.clone(),
        encoded.replace('+', "%20"),
        STANDARD_NO_PAD.encode(secret),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

fn canaries() -> Vec<String> {
    let line = USER_DATA.lines().nth(1).unwrap();
    [SECRET_KEY, VARIABLE, PASSWORD, USER_DATA, line]
        .into_iter()
        .flat_map(forms)
        .collect()
}

/// A template whose scripts say its secrets aloud, and then `end`.
fn talkative(end: &str) -> String {
    let say = format!(
        "echo '{{{{user `token`}}}}'; printf %s '{{{{user `token`}}}}' | base64; \
         echo '{{{{user `token`}}}}' >&2; echo '{PASSWORD}'; echo '{SECRET_KEY}'; \
         echo \"$TOKEN\"; echo '{{{{build `Password`}}}}'; {end}"
    );
    let provisioners = json!([
        {"type": "shell-local", "inline": [say], "environment_vars": ["TOKEN={{user `token`}}"]},
        {"type": "shell", "inline": [say], "environment_vars": ["TOKEN={{user `token`}}"]},
    ]);
    let options = json!({
        "access_key": "LTAI5tSandboxCanaryKey00",
        "secret_key": SECRET_KEY,
        "ssh_password": PASSWORD,
        "user_data": USER_DATA,
    });
    let mut template: Value =
        serde_json::from_str(&with_provisioners(options, &provisioners)).unwrap();
    template["variables"] = json!({"token": VARIABLE});
    template["sensitive-variables"] = json!(["token"]);
    template["post-processors"] = json!([{
        "type": "manifest",
        "output": "manifest.json",
        "custom_data": {"token": "{{user `token`}}"},
    }]);
    template.to_string()
}

fn with_canary_key() -> SandboxOptions {
    SandboxOptions {
        access_keys: vec![AccessKey::new("LTAI5tSandboxCanaryKey00", SECRET_KEY)],
        ..quick_options()
    }
}

/// Fails when a secret is anywhere a reader of the log or of files finds it.
/// GitHub swallows the lines that tell it what to mask.
fn assert_no_canary(lab: &Lab, outcome: &Outcome) {
    let shown = outcome.text();
    let shown: String = shown
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut places = vec![("output".to_owned(), shown)];
    let mut directories = vec![lab.path(".")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_template = path.ends_with("web.json");
            if path.is_dir() {
                directories.push(path);
            } else if !is_template {
                let text = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                places.push((path.display().to_string(), text));
            }
        }
    }
    for (place, text) in &places {
        for canary in canaries() {
            assert!(!text.contains(&canary), "{canary:?} is in {place}:\n{text}");
        }
    }
    let names: Vec<_> = places.iter().map(|(name, _)| name).collect();
    assert!(names.len() > 3, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_shown() {
    let ways: &[&[&str]] = &[
        &["-vvv"],
        &["-vvv", "--format=json"],
        &["-vvv", "-machine-readable"],
    ];
    for way in ways {
        let lab = Lab::with(with_canary_key()).await;
        lab.write("web.json", &talkative("true"));
        let mut arguments = vec!["build", "--output-file=results.env"];
        arguments.extend(*way);
        arguments.push("web.json");
        let outcome = lab.run(&arguments).await.success();
        assert!(outcome.text().contains("<sensitive>"));
        assert!(
            outcome.stderr.contains("RunInstances"),
            "a trace was asked for"
        );
        assert_no_canary(&lab, &outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_shown_by_failures_either() {
    let mut lab = Lab::with(with_canary_key()).await;
    lab.set("PACKER_LOG", "1");
    let template = talkative("exit 1");
    let outcome = lab
        .write("web.json", &template)
        .run(&["build", "-on-error=abort", "web.json"])
        .await
        .failure(1);
    assert_no_canary(&lab, &outcome);
    let run = outcome.outputs["build-run-id"].clone();
    lab.set("ALICLOUD_ACCESS_KEY", "LTAI5tSandboxCanaryKey00")
        .set("ALICLOUD_SECRET_KEY", SECRET_KEY);
    let outcome = lab.run(&["cleanup", "-vvv", "--run", &run]).await.success();
    assert_no_canary(&lab, &outcome);
}

#[tokio::test]
async fn secrets_on_the_command_line_of_a_bad_template_are_not_shown() {
    let lab = plain_lab().await;
    let template = web(json!({"secret_key": SECRET_KEY, "access_key": ["x"]}));
    let outcome = lab
        .write("web.json", &template)
        .run(&["validate", "web.json"])
        .await
        .failure(2);
    for form in forms(SECRET_KEY) {
        assert!(!outcome.text().contains(&form), "{}", outcome.text());
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_does_not_stop_the_clean_up() {
    let lab = plain_lab().await;
    lab.write("web.json", &web(json!({})));
    let mut child = lab.start(&["build", "web.json"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
    assert!(status.unwrap().unwrap().code().is_some());
    lab.sandbox.advance(Duration::from_secs(1));
    assert_eq!(lab.temporary(), vec![]);
}
