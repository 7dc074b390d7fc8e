//! Text, lines for scripts, JSON, the output file, annotations.

use std::collections::BTreeSet;
use std::time::Duration;

use alicloud_image_sandbox::StateFault;
use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{MISTAKES, build, image_id, plain_lab, scrub_lines};
use crate::harness::{Lab, scrub};
use crate::web::web;

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
