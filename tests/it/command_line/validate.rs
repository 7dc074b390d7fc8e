//! `validate` and `inspect`.

use insta::assert_snapshot;
use serde_json::json;

use super::{MISTAKES, plain_lab, scrub_lines};
use crate::web::web;

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
