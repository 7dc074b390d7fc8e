//! The command line and what the program writes: text, lines for scripts,
//! JSON, and the files of GitHub Actions.

mod canary;
mod options;
mod output;
mod validate;

use alicloud_image_sandbox::StateFault;
use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome, scrub};
use crate::web::web;

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
