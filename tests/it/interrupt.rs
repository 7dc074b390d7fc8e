//! Runs that are stopped, killed, or told to keep what they made; and the
//! clean-up afterwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alicloud_image::clock::Clock;
use alicloud_image::cloud::credential::{Hiding, Keys, Network};
use alicloud_image::cloud::endpoint::Endpoints;
use alicloud_image::cloud::http::HttpTransport;
use alicloud_image::cloud::vpc::CreateVpc;
use alicloud_image::cloud::{SignatureAlgorithm, Tag};
use alicloud_image::engine::Connections;
use alicloud_image::engine::event::{Event, Events, Reporter};
use alicloud_image::engine::stop::Stop;
use alicloud_image::journal::resource::Kind;
use alicloud_image::journal::tags::RunTags;
use alicloud_image::journal::{Intent, Journal};
use alicloud_image::secret::Secret;
use alicloud_image_sandbox::{Effect, Fault, When};
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::harness::{Lab, Outcome, quick_options};
use crate::template;
use crate::web::{web, with_provisioners};

/// A build that provisions until it is stopped.
fn endless() -> String {
    let provisioners = json!([
        {"type": "shell-local", "inline": ["touch provisioning"]},
        {"type": "sleep", "duration": "10000h"},
    ]);
    with_provisioners(json!({}), &provisioners)
}

fn send(signal: Signal, child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A run that provisions, with its lab.
async fn provisioning(lab: &Lab) -> Child {
    let child = lab
        .write("web.json", &endless())
        .start(&["build", "web.json"]);
    lab.wait_for_file("provisioning").await;
    child
}

/// A run that was killed while it provisioned.
async fn killed_while_provisioning(lab: &Lab) {
    let mut child = provisioning(lab).await;
    child.kill().await.unwrap();
    assert!(!lab.temporary().is_empty());
}

/// The one journal there is.
fn journal(lab: &Lab) -> PathBuf {
    let entries = std::fs::read_dir(lab.path("journals")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let path = paths.next().expect("a journal was kept");
    assert_eq!(paths.next(), None);
    path
}

fn run_id(lab: &Lab) -> String {
    let journal = journal(lab);
    journal.file_stem().unwrap().to_str().unwrap().to_owned()
}

fn assert_no_journal(lab: &Lab) {
    assert_eq!(std::fs::read_dir(lab.path("journals")).unwrap().count(), 0);
}

async fn clean_up(lab: &Lab) -> Outcome {
    let journal = journal(lab).display().to_string();
    lab.run(&["cleanup", "--journal", &journal]).await
}

// Signals.

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_provisioning_deletes_everything() {
    let table = [
        (Signal::INT, 130, "interrupt"),
        (Signal::TERM, 143, "terminated"),
        (Signal::HUP, 129, "hangup"),
    ];
    for (signal, code, word) in table {
        let lab = Lab::quick().await;
        let child = provisioning(&lab).await;
        send(signal, &child);
        let outcome = lab.finish(child).await.failure(code);
        let text = format!("==> Cancelling build after receiving {word}\n");
        assert!(outcome.stdout.contains(&text), "{}", outcome.stdout);
        assert_eq!(outcome.outputs["status"], "cancelled");
        lab.assert_empty();
        assert_no_journal(&lab);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_a_script_runs_ends_it_and_deletes_everything() {
    let lab = Lab::new().await;
    let script = json!([{"type": "shell", "inline": ["echo running", "sleep 100000"]}]);
    let mut child = lab
        .write("web.json", &with_provisioners(json!({}), &script))
        .start(&["build", "web.json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("the script runs") != "    web: running" {}
    send(Signal::INT, &child);
    let mut outcome = lab.finish(child).await.failure(130);
    while let Some(line) = lines.next_line().await.unwrap() {
        outcome.stdout.extend([line.as_str(), "\n"]);
    }
    lab.assert_empty();
    assert_snapshot!(outcome.end(), @"
    Build 'web' errored after DURATION: Stopped before it was done

    ==> Wait completed after DURATION

    ==> Cleanly cancelled builds after being interrupted.

    ==> Some builds didn't complete successfully and had errors:
    --> web: Stopped before it was done

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    ");
}

#[tokio::test]
async fn a_signal_while_the_image_is_made_deletes_it_too() {
    let mut options = quick_options();
    options.delays.image = Duration::from_secs(10_000);
    let lab = Lab::with(options).await;
    let child = lab
        .write("web.json", &web(json!({})))
        .start(&["build", "web.json"]);
    lab.wait_for_call("CreateImage").await;
    send(Signal::TERM, &child);
    let outcome = lab.finish(child).await.failure(143);
    assert!(outcome.stdout.contains("Deleting image m-"));
    lab.assert_empty();
    assert_no_journal(&lab);
}

#[tokio::test]
async fn a_signal_while_the_network_is_made_deletes_it() {
    let lab = Lab::quick().await;
    let child = lab
        .write("web.json", &web(json!({})))
        .start(&["build", "web.json"]);
    lab.wait_for_call("CreateVpc").await;
    send(Signal::TERM, &child);
    lab.finish(child).await.failure(143);
    lab.assert_empty();
    assert_no_journal(&lab);
}

#[tokio::test]
async fn a_second_signal_hurries_but_deletes_everything() {
    let lab = Lab::quick().await;
    let child = provisioning(&lab).await;
    send(Signal::INT, &child);
    send(Signal::TERM, &child);
    let outcome = lab.finish(child).await.failure(130);
    assert!(
        outcome.stdout.contains("cleaning up in a hurry"),
        "{}",
        outcome.stdout
    );
    lab.assert_empty();
}

#[tokio::test]
async fn the_summary_of_a_cancelled_run_says_so() {
    let lab = Lab::quick().await;
    let child = provisioning(&lab).await;
    send(Signal::INT, &child);
    let outcome = lab.finish(child).await.failure(130);
    let title = outcome.summary.lines().next().unwrap_or_default();
    assert_eq!(title, "## alicloud-image: ✗ cancelled");
}

// Killed.

#[tokio::test]
async fn a_killed_run_is_cleaned_up_by_its_journal() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let outcome = clean_up(&lab).await.success();
    lab.assert_empty();
    assert_no_journal(&lab);
    assert!(
        outcome.stdout.contains("==> 0 resources left"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn a_dry_run_deletes_nothing_and_says_what_it_would() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let before = lab.temporary();
    let path = journal(&lab).display().to_string();
    let outcome = lab
        .run(&["cleanup", "--journal", &path, "--dry-run"])
        .await
        .success();
    assert_eq!(lab.temporary(), before);
    // In the order of the journal, which varies.
    let mut lines: Vec<_> = outcome.shown().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_snapshot!(lines.join("\n"), @"
    ==> Would delete EIP association eip-ID/i-ID in cn-beijing
    ==> Would delete EIP eip-ID in cn-beijing
    ==> Would delete VPC vpc-ID in cn-beijing
    ==> Would delete instance i-ID in cn-beijing
    ==> Would delete key pair alicloud-image-RUN-web-key in cn-beijing
    ==> Would delete security group sg-ID in cn-beijing
    ==> Would delete vSwitch vsw-ID in cn-beijing
    ");
    clean_up(&lab).await.success();
}

#[tokio::test]
async fn a_run_killed_right_after_the_instance_was_asked_for() {
    let lab = Lab::quick().await;
    // The run never learns the instance's id.
    lab.sandbox.inject(Fault {
        action: "RunInstances".to_owned(),
        when: When::Every,
        effect: Effect::DropAfter,
    });
    let mut child = lab
        .write("web.json", &web(json!({})))
        .start(&["build", "web.json"]);
    lab.wait_for_call("RunInstances").await;
    child.kill().await.unwrap();
    lab.sandbox.clear_faults();
    assert!(lab.temporary().iter().any(|one| one.kind == "instance"));
    clean_up(&lab).await.success();
    lab.assert_empty();
    assert_no_journal(&lab);
}

#[tokio::test]
async fn two_clean_ups_at_once_do_not_disturb_each_other() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    lab.sandbox.inject(Fault {
        action: "DeleteVpc".to_owned(),
        when: When::Once,
        effect: Effect::Delay(Duration::from_secs(1)),
    });
    let path = journal(&lab).display().to_string();
    let first = lab.start(&["cleanup", "--journal", &path]);
    lab.wait_for_call("DeleteInstance").await;
    let second = lab.run(&["cleanup", "--journal", &path]).await.failure(1);
    lab.finish(first).await.success();
    lab.assert_empty();
    assert_snapshot!(second.end(), @"
    Error: The journal `DIR/journals/UUID.journal` is in use by a running process
    hint: Wait until that run has ended; it deletes its resources itself
    ");
}

#[tokio::test]
async fn a_killed_run_whose_journal_is_lost_is_found_by_its_tags() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let run = run_id(&lab);
    std::fs::remove_file(journal(&lab)).unwrap();
    let outcome = lab.run(&["cleanup", "--run", &run]).await.success();
    lab.assert_empty();
    assert!(
        outcome.stdout.contains("==> Found 6 resources in "),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn a_region_limits_the_search_by_tags() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let run = run_id(&lab);
    std::fs::remove_file(journal(&lab)).unwrap();
    let elsewhere = ["cleanup", "--run", &run, "--region", "cn-hangzhou"];
    let outcome = lab.run(&elsewhere).await.success();
    assert!(outcome.stdout.contains("Found 0 resources in 1 region\n"));
    let here = ["cleanup", "--run", &run, "--region", "cn-beijing"];
    lab.run(&here).await.success();
    lab.assert_empty();
}

#[tokio::test]
async fn a_journal_cut_off_in_a_line_still_serves() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let path = journal(&lab);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{{\"record\":\"inte")).unwrap();
    clean_up(&lab).await.success();
    lab.assert_empty();
    assert_no_journal(&lab);
}

#[tokio::test]
async fn a_damaged_journal_says_what_to_do_and_that_helps() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let path = journal(&lab);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"intend\"", "\"int\u{0}nd\"", 1)).unwrap();
    let outcome = clean_up(&lab).await.failure(1);
    assert_snapshot!(outcome.end(), @r"
    Error: Line 2 of the journal `DIR/journals/UUID.journal` is damaged: control character (\u0000-\u001F) found while parsing a string at line 1 column 15
    hint: Delete what the run made by its tags: `alicloud-image cleanup --run ID`
    ");
    lab.run(&["cleanup", "--run", &run_id(&lab)])
        .await
        .success();
    lab.assert_empty();
}

#[tokio::test]
async fn a_journal_that_is_not_there() {
    let lab = Lab::quick().await;
    let outcome = lab
        .run(&["cleanup", "--journal", "gone.journal"])
        .await
        .failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: There is no journal `gone.journal`
    hint: A run that left nothing behind removes its journal; if it was lost, use `--run ID`
    ");
}

#[tokio::test]
async fn a_directory_for_journals_that_cannot_be_written() {
    let mut lab = Lab::quick().await;
    lab.set("ALICLOUD_IMAGE_JOURNAL_DIR", "web.json/journals");
    let outcome = lab
        .write("web.json", &web(json!({})))
        .run(&["build", "web.json"])
        .await
        .failure(1);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.end(), @"
    Error: Cannot create the journal's directory `DIR/web.json/journals`: Not a directory (os error 20)
    hint: Name a writable directory with `--journal-dir`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_programs_end_with_a_run_that_is_killed() {
    let lab = Lab::quick().await;
    let endless = "echo $$ > begun && mv begun pid && sleep 100000";
    let provisioners = json!([{"type": "shell-local", "inline": [endless]}]);
    lab.write("web.json", &with_provisioners(json!({}), &provisioners));
    let mut child = lab.start(&["build", "web.json"]);
    lab.wait_for_file("pid").await;
    let stat = PathBuf::from(format!("/proc/{}/stat", lab.read("pid").trim()));
    assert!(stat.exists());
    child.kill().await.unwrap();
    // Where process 1 reaps nobody, a zombie remains.
    let is_running = || std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z"));
    lab.wait_until(|| !is_running(), "the end of the script")
        .await;
    lab.run(&["cleanup", "--journal", "journals"])
        .await
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_stops_the_run_and_leaves_nothing() {
    let lab = Lab::quick().await;
    let names = ["web", "db", "app", "ci"];
    let builders = names.map(|name| template::builder(name, json!({"ssh_timeout": "1h"})));
    lab.write_template(&template::template(&builders));
    // The journal of four builds takes more than a page of memory.
    let outcome = lab
        .run_with_journals_on(4096, &["build", "template.json"])
        .await
        .failure(1);
    assert!(!lab.calls("CreateVpc").is_empty());
    let text = outcome.text();
    assert!(text.contains("No space left on device"), "{text}");
    assert!(text.contains("==> 0 resources left"), "{text}");
    assert_eq!(lab.temporary(), vec![]);
}

// Expired.

struct Silent;

impl Reporter for Silent {
    fn on(&mut self, _: &Event) {}
}

/// Makes a VPC as a run of long ago would have.
async fn expired_vpc(lab: &Lab) -> String {
    let keys = Keys {
        access_key: lab.sandbox.access_key_id().to_owned(),
        secret_key: Secret::new(lab.sandbox.access_key_secret()),
        security_token: None,
    };
    let network = Network {
        transport: Arc::new(HttpTransport::new().unwrap()),
        endpoints: Endpoints::everything_to(&lab.sandbox.url()).unwrap(),
        signature: SignatureAlgorithm::Acs3HmacSha256,
        clock: Clock::default(),
        sts_region: None,
        hiding: Hiding::default(),
    };
    let cloud = Connections::new(keys.into(), network, true).from_environment();
    let long_ago = Timestamp::now() - SignedDuration::from_hours(7);
    let tags = RunTags::new("old-run", long_ago, Duration::from_secs(6 * 3600), vec![]);
    let journal = Journal::start(&lab.path("old-journals"), "old-run").unwrap();
    let intent = Intent {
        build: "web".to_owned(),
        kind: Kind::Vpc,
        region: "cn-beijing".to_owned(),
        name: "old".to_owned(),
    };
    let (events, stop) = (Events::new(Silent), Stop::new(Clock::default()));
    let made = journal.create(&events, intent, async |slot| {
        let tags = tags.of_intent(slot.number).into_iter();
        let request = CreateVpc {
            cidr_block: Some("172.16.0.0/12".to_owned()),
            tag: tags.map(|(key, value)| Tag::new(key, value)).collect(),
            ..Default::default()
        };
        let made = cloud
            .create("cn-beijing", &request, &slot.permit, &stop)
            .await?;
        Ok((made.vpc_id.clone(), made.vpc_id))
    });
    made.await.unwrap()
}

#[tokio::test]
async fn only_what_is_expired_is_deleted() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    let of_today = lab.temporary();
    let old = expired_vpc(&lab).await;
    assert!(lab.temporary().iter().any(|one| one.id == old));
    let outcome = lab.run(&["cleanup", "--expired"]).await.success();
    assert!(outcome.stdout.contains(&format!("Deleting VPC {old}")));
    assert_eq!(lab.temporary(), of_today);
    clean_up(&lab).await.success();
}

#[tokio::test]
async fn a_runner_that_is_gone_for_good_leaves_nothing_for_long() {
    let lab = Lab::quick().await;
    killed_while_provisioning(&lab).await;
    std::fs::remove_file(journal(&lab)).unwrap();
    lab.sandbox.pass(Duration::from_secs(7 * 3600));
    let has = |kind: &str| lab.temporary().iter().any(|one| one.kind == kind);
    lab.wait_until(|| !has("instance"), "AutoReleaseTime").await;
    assert!(has("vpc"));
    // By this machine's clock nothing has expired.
    lab.run(&["cleanup", "--expired"]).await.success();
    lab.assert_empty();
}

// On error.

fn failing() -> serde_json::Value {
    json!([{"type": "shell-local", "inline": ["exit 1"]}])
}

#[tokio::test]
async fn abort_keeps_everything_and_says_how_to_delete_it() {
    let lab = Lab::quick().await;
    let outcome = lab
        .write("web.json", &with_provisioners(json!({}), &failing()))
        .run(&["build", "-on-error=abort", "web.json"])
        .await
        .failure(1);
    assert_eq!(lab.calls("DeleteInstance").len(), 0);
    let kinds: Vec<_> = lab.temporary().iter().map(|one| one.kind).collect();
    assert!(kinds.contains(&"instance"), "{kinds:?}");
    assert_snapshot!(sorted_leftovers(&outcome.end()), @"
    Build 'web' errored after DURATION: Script exited with non-zero exit status: 1. Allowed exit codes are: [0]
      --> web.json:15:5
       |
    15 |     {
       |     ^


    ==> Wait completed after DURATION

    ==> Some builds didn't complete successfully and had errors:
    --> web: Script exited with non-zero exit status: 1. Allowed exit codes are: [0]

    ==> Builds finished but no artifacts were created.

    ==> Some temporary resources were not deleted:
    --> EIP association eip-ID/i-ID in cn-beijing: It was kept on request
    --> EIP eip-ID in cn-beijing: It was kept on request
    --> VPC vpc-ID in cn-beijing: It was kept on request
    --> instance i-ID in cn-beijing: It was kept on request
    --> key pair alicloud-image-RUN-web-key in cn-beijing: It was kept on request
    --> security group sg-ID in cn-beijing: It was kept on request
    --> vSwitch vsw-ID in cn-beijing: It was kept on request
        Delete them with: alicloud-image cleanup --run UUID

    ==> 7 resources left
    ");
    let run = &outcome.outputs["build-run-id"];
    assert!(
        outcome
            .stdout
            .contains(&format!("alicloud-image cleanup --run {run}\n"))
    );
    lab.run(&["cleanup", "--run", run]).await.success();
    lab.assert_empty();
    assert_no_journal(&lab);
}

/// Leftovers are listed in the order they were made, which varies.
fn sorted_leftovers(text: &str) -> String {
    let (mut leftovers, mut rest) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let is_leftover = line.contains("It was kept on request");
        if is_leftover {
            leftovers.push(line);
        } else {
            rest.push(line);
        }
    }
    leftovers.sort_unstable();
    let place = rest
        .iter()
        .position(|line| line.contains("were not deleted"))
        .map_or(rest.len(), |index| index + 1);
    rest.splice(place..place, leftovers);
    rest.join("\n")
}

#[tokio::test]
async fn run_cleanup_provisioner_runs_it_and_keeps_everything() {
    let lab = Lab::quick().await;
    let template = with_provisioners(json!({}), &failing()).replacen(
        '{',
        "{\"error-cleanup-provisioner\": {\"type\": \"shell-local\", \"command\": \"touch cleaned\"},",
        1,
    );
    lab.write("web.json", &template)
        .run(&["build", "-on-error=run-cleanup-provisioner", "web.json"])
        .await
        .failure(1);
    assert!(lab.path("cleaned").exists());
    assert!(!lab.temporary().is_empty());
    clean_up(&lab).await.success();
    lab.assert_empty();
}
