//! Images of runs that were killed while they made them and whose journals are
//! lost: only their tags say that nobody was told of them.

use std::time::Duration;

use alicloud_image_sandbox::{Effect, Fault, SandboxOptions, SeedBucket, SeedImage, When};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Lab, quick_options};
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

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_cancelled_without_its_journal() {
    let mut lab = slow_lab().await;
    // The object carries no tags that could be listed.
    lab.may_leave_resources();
    lab.sandbox.seed().import_role().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    });
    let mut disk = vec![7; 2 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    let arguments = [
        "import",
        "disk.raw",
        "--region=cn-beijing",
        "--image-name=imported",
        "--oss-bucket-name=images",
    ];
    let run = killed_in(&lab, &arguments, "ImportImage").await;
    let here = ["cleanup", "--run", &run, "--region", "cn-beijing"];
    let outcome = lab.run(&here).await.success();
    assert_eq!(lab.sandbox.images(), [] as [Value; 0], "{}", outcome.text());
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
