//! What runs leave that were killed and whose journals are lost: images that only
//! their tags say are not finished, and uploads that only a marker names.

use std::time::Duration;

use alicloud_image_sandbox::{Effect, Fault, SandboxOptions, SeedBucket, SeedImage, When};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::harness::{Lab, Outcome, limited_to, quick_options};
use crate::web::{everything, web};

const TEMPORARY: &str = "alicloud-image:temporary";
const EXPIRES_AT: &str = "alicloud-image:expires-at";

/// A lab in which images take long to be available.
async fn slow_lab() -> Lab {
    let mut options = quick_options();
    options.delays.image = Duration::from_secs(10_000);
    options.delays.copy = Duration::from_secs(10_000);
    options.delays.import = Duration::from_secs(10_000);
    Lab::with(options).await
}

/// Kills a run in a call, executed but unanswered, and loses its journal. Gives
/// the run's id.
async fn killed_in(lab: &Lab, arguments: &[&str], action: &str) -> String {
    lab.sandbox.inject(Fault {
        action: action.to_owned(),
        when: When::Nth(1),
        effect: Effect::HoldAfter,
    });
    let mut child = lab.start(arguments);
    tokio::select! {
        () = lab.sandbox.wait_for_held() => {}
        ended = child.wait() => panic!("it ended before {action}: {ended:?}"),
    }
    child.kill().await.unwrap();
    lab.sandbox.release();
    lab.sandbox.clear_faults();
    let journals = std::fs::read_dir(lab.path("journals")).unwrap();
    let paths: Vec<_> = journals.map(|entry| entry.unwrap().path()).collect();
    let [path] = paths.as_slice() else {
        panic!("one journal: {paths:?}");
    };
    std::fs::remove_file(path).unwrap();
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_killed_at_its_image_is_cleaned_up_without_its_journal() {
    let table = [
        ("CreateImage", web(json!({}))),
        ("CreateSnapshot", everything()),
        ("CreateImage", everything()),
    ];
    for (action, template) in table {
        let lab = slow_lab().await;
        lab.write("web.json", &template);
        let run = killed_in(&lab, &["build", "web.json"], action).await;
        let outcome = lab.run(&["cleanup", "--run", &run]).await.success();
        assert_eq!(lab.sandbox.alive(), vec![], "{action} {}", outcome.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_cancelled_without_its_journal() {
    let mut options = quick_options();
    options.delays.copy = Duration::from_secs(10_000);
    let lab = Lab::with(options).await;
    lab.write("web.json", &everything());
    let run = killed_in(&lab, &["build", "web.json"], "CopyImage").await;
    let outcome = lab.run(&["cleanup", "--run", &run]).await.success();
    assert_eq!(lab.sandbox.alive(), vec![], "{}", outcome.text());
    assert_eq!(lab.call("CancelCopyImage").code, "OK");
}

/// Prepares a lab for [`IMPORT`].
fn prepare_import(lab: &Lab) {
    lab.sandbox.seed().import_role().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    });
    let mut disk = vec![7; 2 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
}

const IMPORT: [&str; 6] = [
    "import",
    "disk.raw",
    "--region=cn-beijing",
    "--image-name=imported",
    "--oss-bucket-name=images",
    "--oss-key-name=disk.qcow2",
];

async fn clean_bucket(lab: &Lab, run: &str) -> Outcome {
    let here = ["--region=cn-beijing", "--oss-bucket-name=images"];
    let arguments: Vec<_> = ["cleanup", "--run", run].into_iter().chain(here).collect();
    lab.run(&arguments).await.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_anywhere_is_cleaned_up_without_its_journal() {
    let actions = [
        // The marker.
        "PutObject",
        "InitiateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "ImportImage",
        // The object.
        "DeleteObject",
    ];
    for action in actions {
        let lab = Lab::quick().await;
        prepare_import(&lab);
        let run = killed_in(&lab, &IMPORT, action).await;
        let outcome = clean_bucket(&lab, &run).await;
        let mut left = lab.sandbox.alive();
        if action == "DeleteObject" {
            // By then the image was finished.
            left = lab.temporary();
        }
        assert_eq!(left, vec![], "{action} {}", outcome.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_image_tells_the_bucket_it_is_imported_from() {
    let lab = slow_lab().await;
    prepare_import(&lab);
    let run = killed_in(&lab, &IMPORT, "ImportImage").await;
    let here = ["cleanup", "--run", &run, "--region", "cn-beijing"];
    let dry: Vec<_> = here.into_iter().chain(["--dry-run"]).collect();
    let dry = lab.run(&dry).await.success();
    let object = "Would delete OSS object images/disk.qcow2 in cn-beijing";
    assert!(dry.stdout.contains(object), "{}", dry.stdout);
    let outcome = lab.run(&here).await.success();
    assert_eq!(lab.sandbox.alive(), vec![], "{}", outcome.text());
}

/// Starts an import and has it wait in its first part.
async fn held_import(lab: &Lab, more: &[&'static str]) -> Child {
    lab.sandbox.inject(Fault {
        action: "UploadPart".to_owned(),
        when: When::Nth(1),
        effect: Effect::HoldBefore,
    });
    let arguments: Vec<_> = IMPORT.iter().chain(more).copied().collect();
    let child = lab.start(&arguments);
    lab.sandbox.wait_for_held().await;
    child
}

async fn go_on(lab: &Lab, child: Child) -> Outcome {
    lab.sandbox.release();
    lab.sandbox.clear_faults();
    lab.finish(child).await.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_of_a_run_that_lives_is_not_touched() {
    let mut lab = Lab::quick().await;
    prepare_import(&lab);
    let lost = killed_in(&lab, &IMPORT, "UploadPart").await;
    let child = held_import(&lab, &["--skip-clean"]).await;
    lab.run(&["cleanup", "--expired", "--oss-bucket-name=images"])
        .await
        .success();
    let outcome = clean_bucket(&lab, &lost).await;
    let warning =
        "What was left of OSS object images/disk.qcow2 stays for now: another run is uploading it";
    assert!(outcome.text().contains(warning), "{}", outcome.text());
    go_on(&lab, child).await;
    clean_bucket(&lab, &lost).await;
    lab.may_leave_resources();
    let left = lab.temporary().into_iter().map(|one| one.id);
    assert_eq!(left.collect::<Vec<_>>(), ["images/disk.qcow2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_taken_over_belongs_to_the_run_that_took_it() {
    let lab = Lab::quick().await;
    prepare_import(&lab);
    let mut first = held_import(&lab, &[]).await;
    first.kill().await.unwrap();
    lab.sandbox.release();
    let journals = std::fs::read_dir(lab.path("journals")).unwrap();
    let journal = journals.last().unwrap().unwrap().path();
    let run = journal.file_stem().unwrap().to_str().unwrap().to_owned();
    lab.sandbox.clear_faults();
    let second = held_import(&lab, &[]).await;
    assert!(!journal.exists());
    clean_bucket(&lab, &run).await;
    let outcome = go_on(&lab, second).await;
    assert!(outcome.stdout.contains("Going on with an upload"));
    assert_eq!(lab.temporary(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_kept_stays_although_its_run_was_lost() {
    let mut lab = Lab::quick().await;
    prepare_import(&lab);
    lab.may_leave_resources();
    let keep: Vec<_> = IMPORT.into_iter().chain(["--skip-clean"]).collect();
    let run = killed_in(&lab, &keep, "UntagResources").await;
    clean_bucket(&lab, &run).await;
    let left = lab.temporary().into_iter().map(|one| one.id);
    assert_eq!(left.collect::<Vec<_>>(), ["images/disk.qcow2"]);
}

#[tokio::test]
async fn the_janitor_goes_by_expired_markers_and_never_by_names_alone() {
    let lab = Lab::quick().await;
    prepare_import(&lab);
    let (past, future) = ("2001-02-03T04:05:06Z", "2999-02-03T04:05:06Z");
    let marker = |end: &str, key: &str| {
        json!({"about": "", "run": "r", "expires_at": end, "key": key, "keep": false}).to_string()
    };
    let directory = "alicloud-image-unfinished";
    let objects = [
        ("expired", marker(past, "somebodys.raw"), false),
        ("of-today", marker(future, "other.raw"), true),
        ("shared", marker(past, "other.raw"), true),
        ("no-end", marker("soon", "third.raw"), true),
        (
            "too-large",
            marker(past, "fourth.raw") + &" ".repeat(20_000),
            true,
        ),
        ("of-later-versions", "{\"format\": 2}".to_owned(), true),
    ];
    let seed = lab.sandbox.seed();
    for (name, content, _) in &objects {
        let key = format!("{directory}/{name}");
        seed.object("images", &key, content.as_bytes()).unwrap();
    }
    seed.object("images", "somebodys.raw", b"disk").unwrap();
    let expired = ["cleanup", "--expired", "--region=cn-hangzhou,cn-beijing"];
    let buckets = "--oss-bucket-name=images,no-longer-there";
    let arguments: Vec<_> = expired.into_iter().chain([buckets]).collect();
    let outcome = lab.run(&arguments).await.success();
    let warning = "There is no OSS bucket no-longer-there";
    assert!(outcome.text().contains(warning), "{}", outcome.text());
    for (name, _, stays) in objects {
        let key = format!("{directory}/{name}");
        let object = lab.sandbox.object("images", &key);
        assert_eq!(object.is_some(), stays, "{name}");
    }
    assert!(lab.sandbox.object("images", "somebodys.raw").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_may_not_be_searched_is_a_failure_that_names_the_right() {
    let lab = Lab::quick().await;
    prepare_import(&lab);
    lab.refuse("ListObjects", "AccessDenied");
    let arguments = [
        "cleanup",
        "--expired",
        "--region=cn-beijing",
        "--oss-bucket-name=images",
    ];
    let outcome = lab.run(&arguments).await;
    assert_ne!(outcome.code, 0);
    assert!(
        outcome.text().contains("oss:ListObjects"),
        "{}",
        outcome.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_an_import_is_enough_to_clean_up_after_it() {
    let lab = Lab::quick().await;
    let mut template = serde_json::from_str::<Value>(&web(json!({}))).unwrap();
    template["post-processors"] = json!([[
        {"type": "artifice", "files": ["disk.raw"]},
        {
            "type": "alicloud-import", "region": "cn-beijing",
            "image_name": "imported", "oss_bucket_name": "images"
        }
    ]]);
    // A machine that cannot be made anyway: what is left is the import's.
    lab.write("web.json", &template.to_string());
    let policy = lab.run(&["policy", "web.json"]).await.success();
    let mut policy: Value = serde_json::from_str(&policy.stdout).unwrap();
    let actions = policy["Statement"][0]["Action"].as_array_mut().unwrap();
    actions.retain(|action| *action != "ecs:DescribeInstances");
    let lab = Lab::with(limited_to(policy, quick_options())).await;
    prepare_import(&lab);
    let run = killed_in(&lab, &IMPORT, "ImportImage").await;
    let outcome = clean_bucket(&lab, &run).await;
    assert_eq!(lab.sandbox.alive(), vec![], "{}", outcome.text());
    let warning = "These keys may not look for resources of some kinds: instance";
    assert!(outcome.text().contains(warning), "{}", outcome.text());
    let expired = ["cleanup", "--expired", "--region=cn-beijing"];
    let janitor = lab.run(&expired).await;
    assert_ne!(janitor.code, 0);
    assert!(janitor.text().contains(warning), "{}", janitor.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_found_although_the_environment_names_another_region() {
    let mut options = quick_options();
    options.delays.copy = Duration::from_secs(10_000);
    let mut lab = Lab::with(options).await;
    lab.write("web.json", &everything());
    let run = killed_in(&lab, &["build", "web.json"], "CopyImage").await;
    lab.set("ALICLOUD_REGION", "cn-beijing");
    lab.run(&["cleanup", "--run", &run]).await.success();
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_stays_as_long_as_what_it_leads_to() {
    let lab = Lab::quick().await;
    prepare_import(&lab);
    lab.refuse("DeleteObject", "AccessDenied");
    let outcome = lab.run(&IMPORT).await;
    let run = &outcome.outputs["build-run-id"];
    let command = format!("alicloud-image cleanup --run {run} --oss-bucket-name=images\n");
    assert!(outcome.stdout.contains(&command), "{}", outcome.text());
    let journal = lab.path(&format!("journals/{run}.journal"));
    let journal = journal.display().to_string();
    let again = lab.run(&["cleanup", "--journal", &journal]).await;
    assert!(again.stdout.contains(&command), "{}", again.text());
    let refused = lab.calls("DeleteObject").into_iter();
    let keys = refused.map(|call| call.params["key"].clone());
    assert_eq!(keys.collect::<Vec<_>>(), ["disk.qcow2", "disk.qcow2"]);
    std::fs::remove_file(journal).unwrap();
    lab.sandbox.clear_faults();
    clean_bucket(&lab, run).await;
    assert_eq!(lab.temporary(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_put_a_marker_imports_all_the_same() {
    let lab = Lab::quick().await;
    prepare_import(&lab);
    lab.refuse("PutObject", "AccessDenied");
    let outcome = lab.run(&IMPORT).await.success();
    let warning = "Should this run be lost, no clean-up finds what it leaves in OSS bucket images";
    assert!(outcome.text().contains(warning), "{}", outcome.text());
    assert_eq!(lab.temporary(), vec![]);
}

/// An image with the tags of an old run, in part.
fn old_image(id: &str, tags: &[(&str, &str)]) -> SeedImage {
    let run = ("alicloud-image:run-id", "old-run");
    let tags = tags.iter().chain([&run]);
    SeedImage {
        region: "cn-beijing".to_owned(),
        id: id.to_owned(),
        name: id.to_owned(),
        tags: tags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..SeedImage::default()
    }
}

fn ids(lab: &Lab) -> Vec<String> {
    let images = lab.sandbox.images();
    let ids = images
        .iter()
        .map(|image| image["ImageId"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test]
async fn the_janitor_deletes_only_images_that_are_unfinished_and_expired() {
    let lab = Lab::quick().await;
    let (past, future) = ("2001-02-03T04:05:06Z", "2999-02-03T04:05:06Z");
    let unfinished = (TEMPORARY, "true");
    let images = [
        old_image("m-unfinished", &[unfinished, (EXPIRES_AT, past)]),
        old_image("m-of-today", &[unfinished, (EXPIRES_AT, future)]),
        old_image("m-without-end", &[unfinished]),
        old_image("m-finished", &[]),
        old_image("m-others", &[(EXPIRES_AT, past)]),
    ];
    for image in &images {
        lab.sandbox.seed().image(image);
    }
    lab.run(&["cleanup", "--expired"]).await.success();
    let rest = ["m-finished", "m-of-today", "m-others", "m-without-end"];
    assert_eq!(ids(&lab), rest);
    lab.run(&["cleanup", "--run", "old-run"]).await.success();
    assert_eq!(ids(&lab), ["m-finished", "m-others"]);
}

#[tokio::test]
async fn a_janitor_whose_clock_is_ahead_leaves_what_has_not_expired() {
    let lab = Lab::with(SandboxOptions {
        clock_ahead: SignedDuration::from_hours(-7),
        ..quick_options()
    })
    .await;
    // An hour from now by Alibaba Cloud's clock.
    let end = Timestamp::now() - SignedDuration::from_hours(6);
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let tags = [(TEMPORARY, "true"), (EXPIRES_AT, end.as_str())];
    lab.sandbox.seed().image(&old_image("m-of-today", &tags));
    lab.run(&["cleanup", "--expired"]).await.success();
    assert_eq!(ids(&lab), ["m-of-today"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_image_is_not_touched_without_its_journal() {
    let lab = Lab::quick().await;
    lab.write("web.json", &everything());
    let outcome = lab.run(&["build", "web.json"]).await.success();
    let before = lab.sandbox.alive();
    assert_eq!(ids(&lab).len(), 2);
    let run = &outcome.outputs["build-run-id"];
    let cleanup = lab.run(&["cleanup", "--run", run]).await.success();
    assert!(
        cleanup.stdout.contains("Found 0 resources"),
        "{}",
        cleanup.stdout
    );
    assert_eq!(lab.sandbox.alive(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_finished_while_it_is_looked_for_stays() {
    let lab = Lab::quick().await;
    let tags = [(TEMPORARY, "true"), (EXPIRES_AT, "2001-02-03T04:05:06Z")];
    lab.sandbox.seed().image(&old_image("m-late", &tags));
    // Regions are asked in turn; the run ends while the last answer is held.
    lab.sandbox.inject(Fault {
        action: "DescribeVpcs".to_owned(),
        when: When::Nth(1),
        effect: Effect::HoldAfter,
    });
    let cleanup = lab.start(&["cleanup", "--expired", "--region", "cn-beijing"]);
    lab.sandbox.wait_for_held().await;
    lab.sandbox.seed().image(&old_image("m-late", &[]));
    lab.sandbox.release();
    lab.finish(cleanup).await.success();
    assert_eq!(ids(&lab), ["m-late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_take_tags_off_an_image_is_finished_all_the_same() {
    let lab = Lab::quick().await;
    lab.write("web.json", &everything());
    lab.refuse("UntagResources", "Forbidden.RAM");
    let outcome = lab.run(&["build", "web.json"]).await.success();
    let before = lab.sandbox.alive();
    let run = &outcome.outputs["build-run-id"];
    lab.run(&["cleanup", "--run", run]).await.success();
    assert_eq!(ids(&lab).len(), 2);
    assert_eq!(lab.sandbox.alive(), before);
}
