//! HCL2 templates: built, checked and shown as a user does it.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::record::the_image;
use crate::template::{provisioned, web};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// Copies the files of an example to a directory of the lab.
fn copy_fleet(lab: &Lab) {
    std::fs::create_dir(lab.path("fleet")).unwrap();
    for entry in std::fs::read_dir(example("fleet")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), lab.path("fleet").join(entry.file_name())).unwrap();
    }
}

/// A machine and an image, without a connection.
pub(crate) const SILENT: &str = r#"
source "alicloud-ecs" "web" {
  region        = "cn-beijing"
  image_name    = "web"
  source_image  = "aliyun_3_x64_20G_alibase_20240819.vhd"
  instance_type = "ecs.g6.large"
  ssh_username  = "root"
  communicator  = "none"
}
build {
  sources = ["source.alicloud-ecs.web"]
}
"#;

/// What people see, without what is written for the CI system.
fn page(outcome: &Outcome) -> String {
    let shown = outcome.shown();
    let lines: Vec<_> = shown
        .lines()
        .filter(|line| !line.starts_with("::"))
        .collect();
    lines.join("\n")
}

fn plan_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_is_built_as_its_json_twin() {
    let lab = Lab::new().await;
    let template = example("web.pkr.hcl");
    let outcome = lab
        .run(&[
            "build",
            "-var=app_version=2.0.1",
            template.to_str().unwrap(),
        ])
        .await
        .success();
    let shown = outcome.text();
    assert!(shown.contains("==> alicloud-ecs.web: "), "{shown}");
    assert!(shown.contains("building 2.0.1 on Linux"), "{shown}");
    assert!(shown.contains("<h1>web 2.0.1</h1>"), "{shown}");
    let image = the_image(&lab, &outcome);
    assert!(
        image["ImageName"]
            .as_str()
            .unwrap()
            .starts_with("web-2.0.1-20")
    );
    let manifest: Value = serde_json::from_str(&lab.read("web-manifest.json")).unwrap();
    // As Packer has it: the name of the source, not that of the build.
    assert_eq!(manifest["builds"][0]["name"], "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_built_with_all_its_files() {
    let mut lab = Lab::new().await;
    copy_fleet(&lab);
    lab.set("REGISTRY_TOKEN", "s3cr3t-token");
    lab.set("PKR_VAR_release", "7");
    let outcome = lab.run(&["build", "fleet"]).await.success();
    let shown = outcome.text();
    assert!(
        !shown
            .replace("::add-mask::s3cr3t-token", "")
            .contains("s3cr3t"),
        "{shown}"
    );
    let installing = "fleet.alicloud-ecs.web: installing the web with <sensitive> on 127.";
    assert!(shown.contains(installing), "{shown}");
    assert!(
        shown.contains("fleet.alicloud-ecs.worker: the worker brings its own"),
        "{shown}"
    );
    assert!(
        shown.contains("fleet.alicloud-ecs.web: Disk data: 40 GiB"),
        "{shown}"
    );
    let mut images = lab.sandbox.images();
    images.sort_by_key(|image| image["ImageName"].to_string());
    let names: Vec<_> = images.iter().map(|image| &image["ImageName"]).collect();
    assert_eq!(names, ["web-7", "worker-7"]);
    for call in lab.calls("RunInstances") {
        assert_eq!(call.params["DataDisk.1.DiskName"], "data");
        assert_eq!(call.params["DataDisk.1.Size"], "40");
        assert_eq!(call.params["DataDisk.2.Size"], "20");
    }
    let manifest: Value = serde_json::from_str(&lab.read("fleet-manifest.json")).unwrap();
    assert_eq!(manifest["builds"].as_array().unwrap().len(), 2);
    let data = json!({"release": "7", "disks": "2"});
    assert_eq!(manifest["builds"][0]["custom_data"], data);
}

#[tokio::test]
async fn what_hangs_on_an_unset_variable_is_not_said_to_be_missing() {
    let lab = Lab::new().await;
    copy_fleet(&lab);
    let shown = lab.run(&["validate", "fleet"]).await.failure(2).text();
    assert!(
        shown.contains("Required variable `release` is not set"),
        "{shown}"
    );
    assert!(!shown.contains("is missing"), "{shown}");
}

#[tokio::test]
async fn both_syntaxes_give_the_same_plan() {
    let lab = Lab::quick().await;
    let provisioners = json!([{"type": "shell", "inline": ["echo {{build_name}}"]}]);
    let mut template = provisioned(
        web(json!({
            "tags": {"app": "web"},
            "image_copy_regions": ["cn-hangzhou"],
            "image_disk_mappings": [{"disk_size": 20}, {"disk_size": 40}],
        })),
        provisioners,
    );
    template["post-processors"] =
        json!([["manifest", {"type": "shell-local", "inline": ["true"]}]]);
    lab.write_template(&template).write(
        "web.pkr.hcl",
        r#"
source "alicloud-ecs" "web" {
  region             = "cn-beijing"
  image_name         = "web"
  source_image       = "aliyun_3_x64_20G_alibase_20240819.vhd"
  instance_type      = "ecs.g6.large"
  ssh_username       = "root"
  image_copy_regions = ["cn-hangzhou"]
  tag {
    key   = "app"
    value = "web"
  }
  image_disk_mappings { disk_size = 20 }
  image_disk_mappings { disk_size = 40 }
}
build {
  sources = ["alicloud-ecs.web"]
  provisioner "shell" {
    inline = ["echo {{build_name}}"]
  }
  post-processors {
    post-processor "manifest" {}
    post-processor "shell-local" { inline = ["true"] }
  }
}
"#,
    );
    let json = plan_of(&lab.run(&["plan", "template.json"]).await.success());
    let mut hcl = plan_of(&lab.run(&["plan", "web.pkr.hcl"]).await.success());
    assert_eq!(hcl["builds"][0]["name"], "alicloud-ecs.web");
    hcl["builds"][0]["name"] = json!("web");
    hcl["template"] = json!("template.json");
    assert_eq!(hcl, json);
}

#[tokio::test]
async fn all_errors_are_found_at_once() {
    let lab = Lab::without_machines().await;
    lab.write(
        "web.pkr.hcl",
        r#"variable "region" {
  type    = string
  default = "cn-beijing"
}

locals {
  name = "web-${var.regoin}"
}

source "alicloud-ecs" "web" {
  region        = var.region
  image_nmae    = "web"
  image_name    = upper(local.nmae)
  instance_type = ["a"]
  io_optimized  = "yes"
  source_image  = build.ID

  image_disk_mappings {
    disk_sise = 20
  }
}

build {
  sources = ["source.alicloud-ecs.web", "source.alicloud-ecs.worker"]

  provisioner "shell" {
    inline = ["echo ${length(build.Host)}", "echo ${source.nmae}"]
  }

  provisioner "shel" {
    inline = ["x"]
  }
}
"#,
    );
    let outcome = lab.run(&["validate", "web.pkr.hcl"]).await.failure(2);
    assert_snapshot!(page(&outcome), @r#"
    error: There is no variable `regoin`
     --> web.pkr.hcl:7:17
      |
    7 |   name = "web-${var.regoin}"
      |                 ^^^^^^^^^^
      |
      = help: Did you mean `var.region`?

    error: Option `ssh_username` of builder `alicloud-ecs.web` is missing
      --> web.pkr.hcl:10:1
       |
    10 | source "alicloud-ecs" "web" {
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: Set it to the user of the source image, `root` for most of Alibaba Cloud's

    error: Unknown option `image_nmae` in builder `alicloud-ecs.web`
      --> web.pkr.hcl:12:3
       |
    12 |   image_nmae    = "web"
       |   ^^^^^^^^^^
       |
       = help: Did you mean `image_name`?

    error: There is no local `nmae`
      --> web.pkr.hcl:13:25
       |
    13 |   image_name    = upper(local.nmae)
       |                         ^^^^^^^^^^
       |
       = help: Did you mean `local.name`?

    error: Option `instance_type` of builder `alicloud-ecs.web` must be a string, but it is a list
      --> web.pkr.hcl:14:19
       |
    14 |   instance_type = ["a"]
       |                   ^^^^^ expected a string

    error: Option `io_optimized` of builder `alicloud-ecs.web` must be a bool, but it is the string `"yes"`
      --> web.pkr.hcl:15:19
       |
    15 |   io_optimized  = "yes"
       |                   ^^^^^ expected a bool
       |
       = help: Write `true`

    error: `build` is only known in provisioners and post-processors
      --> web.pkr.hcl:16:19
       |
    16 |   source_image  = build.ID
       |                   ^^^^^^^^
       |
       = help: Move it there

    error: Unknown option `disk_sise` in `image_disk_mappings[0]` of builder `alicloud-ecs.web`
      --> web.pkr.hcl:19:5
       |
    19 |     disk_sise = 20
       |     ^^^^^^^^^
       |
       = help: Did you mean `disk_size`?

    error: There is no source `alicloud-ecs.worker`
      --> web.pkr.hcl:24:41
       |
    24 |   sources = ["source.alicloud-ecs.web", "source.alicloud-ecs.worker"]
       |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: Did you mean `alicloud-ecs.web`?

    error: `length` needs a value that is only known while a build runs
      --> web.pkr.hcl:27:30
       |
    27 |     inline = ["echo ${length(build.Host)}", "echo ${source.nmae}"]
       |                              ^^^^^^^^^^
       |
       = help: Only put it in a string, as in "${build.Host}"; functions see what is known before

    error: `source` has no attribute `nmae`
      --> web.pkr.hcl:27:53
       |
    27 |     inline = ["echo ${length(build.Host)}", "echo ${source.nmae}"]
       |                                                     ^^^^^^^^^^^
       |
       = help: Did you mean `name`?

    error: There is no provisioner of type `shel`
      --> web.pkr.hcl:30:15
       |
    30 |   provisioner "shel" {
       |               ^^^^^^
       |
       = help: Did you mean `shell`? This version has `shell`, `file`, `shell-local`, `powershell`, `windows-shell`, `windows-restart`, `sleep`, `ansible`, `ansible-local` and `breakpoint`

    Error: The template has 12 errors
    "#);
}

#[tokio::test]
async fn syntax_errors_say_where_and_what_to_do() {
    let lab = Lab::without_machines().await;
    lab.write(
        "web.pkr.hcl",
        "source \"null\" \"a\" {\n  region = \"cn-beijing\n}\n",
    );
    let outcome = lab.run(&["validate", "web.pkr.hcl"]).await.failure(2);
    assert_snapshot!(page(&outcome), @r#"
    error: Invalid HCL: this string is never closed
     --> web.pkr.hcl:2:12
      |
    2 |   region = "cn-beijing
      |            ^
      |
      = help: Add the missing double quote; text of several lines goes in a heredoc, `<<-EOT`

    Error: The template has 1 error
    "#);
}

#[tokio::test]
async fn builds_are_selected_by_patterns_of_their_full_names() {
    let lab = Lab::without_machines().await;
    copy_fleet(&lab);
    let plan = ["plan", "-var=release=7", "-only=fleet.*.w?b", "fleet"];
    let plan = plan_of(&lab.run(&plan).await.success());
    let builds = plan["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0]["name"], "fleet.alicloud-ecs.web");
    let outcome = lab
        .run(&["matrix", "-var=release=7", "fleet"])
        .await
        .success();
    assert!(
        outcome.stdout.contains("fleet.alicloud-ecs.worker"),
        "{}",
        outcome.stdout
    );
    lab.run(&["policy", "-var=release=7", "fleet"])
        .await
        .success();
}

#[tokio::test]
async fn inspect_shows_what_packer_shows() {
    let lab = Lab::without_machines().await;
    copy_fleet(&lab);
    let outcome = lab.run(&["inspect", "fleet"]).await.success();
    assert_snapshot!(page(&outcome), @r#"
    Packer Inspect: HCL2 mode

    > input-variables:

    var.data_disks: "[{name = \"data\", size = 40}, {name = \"logs\", size = 20}]"
    var.region: "cn-beijing"
    var.registry_token: "<sensitive>"
    var.release: "<unknown>"

    > local-variables:

    local.motd: "<unknown>"
    local.tags: "<unknown>"

    > builds:

      > fleet:

        sources:

          alicloud-ecs.node

          alicloud-ecs.node

        provisioners:

          file

          shell

        post-processors:

          0:
            manifest
    "#);
}

#[tokio::test]
async fn the_action_takes_a_directory() {
    let lab = Lab::without_machines().await;
    std::fs::create_dir(lab.path("images")).unwrap();
    let reading = SILENT.replace(
        "communicator  = \"none\"",
        "communicator  = \"none\"\n  \
         image_description = \"${file(\"note\")} ${file(\"${path.root}/note\")}\"",
    );
    lab.write("images/web.pkr.hcl", &reading);
    lab.write("images/note", "twice");
    let inputs = json!({"command": "build", "template": "images"});
    let outcome = lab.run_action(&inputs).await.success();
    assert_eq!(the_image(&lab, &outcome)["Description"], "twice twice");
}

#[tokio::test]
async fn a_strangers_template_reads_nothing_outside_of_its_directory() {
    let lab = Lab::without_machines().await;
    std::fs::create_dir(lab.path("images")).unwrap();
    let reading = SILENT.replace(
        "communicator  = \"none\"",
        "communicator  = \"none\"\n  image_description = file(\"/etc/hostname\")",
    );
    lab.write("web.pkr.hcl", &reading);
    let check = ["validate", "--no-local-exec", "web.pkr.hcl"];
    let outcome = lab.run(&check).await.failure(2);
    assert!(
        outcome.text().contains("leads out of"),
        "{}",
        outcome.text()
    );
    std::os::unix::fs::symlink("/etc/hostname", lab.path("images/x.pkr.hcl")).unwrap();
    let outcome = lab
        .run(&["validate", "--no-local-exec", "images"])
        .await
        .failure(2);
    assert!(
        outcome.text().contains("leads out of"),
        "{}",
        outcome.text()
    );
}

#[tokio::test]
async fn hcl_is_read_from_standard_input_when_asked() {
    use tokio::io::AsyncWriteExt as _;
    let lab = Lab::without_machines().await;
    let mut child = lab.start_with_input(&["plan", "-config-type=hcl2", "-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(SILENT.as_bytes()).await.unwrap();
    drop(input);
    let plan = plan_of(&lab.finish(child).await.success());
    assert_eq!(plan["builds"][0]["name"], "alicloud-ecs.web");
}
