//! What goes wrong on the way, and what is then said and left: nothing.

use std::time::Duration;

use alicloud_image_sandbox::{Effect, SeedBucket, StateFault, When};

use super::{
    IMPORT, MIB, assert_nothing, bucket, empty_lab, fault, images, import, is_interrupted_at, lab,
    refuse,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_gone_for_a_minute_costs_a_minute() {
    let lab = lab().await;
    let child = lab.start(IMPORT);
    lab.wait_for_call("InitiateMultipartUpload").await;
    lab.sandbox
        .inject(fault("*", When::Every, Effect::DropBefore));
    // Four parts under way, each tried again with growing pauses: at the sixth
    // attempt a minute has passed.
    lab.wait_for_calls("UploadPart", 24).await;
    lab.sandbox.clear_faults();
    let outcome = lab.finish(child).await.success();
    assert_eq!(images(&lab), ["imported"], "{}", outcome.stdout);
    assert_eq!(lab.calls("InitiateMultipartUpload").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stays_away_ends_the_import_and_says_so() {
    let lab = lab().await;
    lab.sandbox
        .inject(fault("UploadPart", When::Every, Effect::DropBefore));
    let outcome = import(&lab, &[]).await;
    assert_ne!(outcome.code, 0);
    let text = outcome.text();
    assert!(text.contains("Cannot upload part"), "{text}");
    assert_nothing(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_is_explained() {
    let table: [(&str, Effect, &str); 8] = [
        ("GetBucketInfo", refuse(403, "AccessDenied"), "AccessDenied"),
        (
            "HeadObject",
            refuse(404, "NoSuchKey"),
            "vanished after its upload",
        ),
        ("UploadPart", refuse(404, "NoSuchUpload"), "NoSuchUpload"),
        (
            "CompleteMultipartUpload",
            refuse(400, "InvalidPart"),
            "InvalidPart",
        ),
        (
            "ImportImage",
            refuse(404, "InvalidOSSObject.NotFound"),
            "InvalidOSSObject.NotFound",
        ),
        (
            "ImportImage",
            refuse(400, "QuotaExceed.Image"),
            "QuotaExceed.Image",
        ),
        (
            "InitiateMultipartUpload",
            refuse(403, "UserDisable"),
            "UserDisable",
        ),
        (
            "PutBucket",
            refuse(409, "BucketAlreadyExists"),
            "BucketAlreadyExists",
        ),
    ];
    for (action, effect, expected) in table {
        let lab = empty_lab().await;
        lab.sandbox.seed().import_role();
        if action != "PutBucket" {
            lab.sandbox.seed().bucket(&bucket("cn-beijing"));
        }
        lab.sandbox.inject(fault(action, When::Every, effect));
        let outcome = import(&lab, &[]).await;
        let text = outcome.text();
        assert!(
            outcome.code != 0 && text.contains(expected),
            "{action}: {text}"
        );
        assert_nothing(&lab);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_stuck_ends_at_its_limit() {
    let lab = lab().await;
    lab.sandbox.inject_state(StateFault::ImportStuck);
    let more = ["--option=wait_snapshot_ready_timeout=60"];
    let outcome = import(&lab, &more).await;
    assert_ne!(outcome.code, 0);
    assert!(outcome.text().contains("Timed out"), "{}", outcome.text());
    assert_nothing(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_any_phase_leaves_nothing() {
    let actions = [
        "GetBucketInfo",
        "GetRole",
        "PutBucket",
        "CompleteMultipartUpload",
        "HeadObject",
        "DescribeImages",
    ];
    for action in actions {
        let lab = empty_lab().await;
        let seed = lab.sandbox.seed();
        seed.import_role();
        if action != "PutBucket" {
            seed.bucket(&SeedBucket::clone(&bucket("cn-beijing")));
        }
        lab.sandbox.inject_state(StateFault::ImportStuck);
        lab.sandbox.inject(fault(
            action,
            When::Once,
            Effect::Delay(Duration::from_secs(1)),
        ));
        is_interrupted_at(&lab, action).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_sends_no_part_twice() {
    let lab = lab().await;
    std::fs::write(lab.path("disk.raw"), super::raw_disk(40 * MIB)).unwrap();
    lab.sandbox.inject(fault(
        "UploadPart",
        When::Nth(5),
        Effect::Delay(Duration::from_secs(60)),
    ));
    let mut child = lab.start(IMPORT);
    lab.wait_for_calls("UploadPart", 6).await;
    child.kill().await.unwrap();
    lab.sandbox.clear_faults();
    let outcome = import(&lab, &[]).await.success();
    let there: usize = outcome
        .stdout
        .split("interrupted: ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap();
    let stored = |code: &str| {
        let calls = lab.calls("UploadPart").into_iter();
        let stored = calls.filter(|call| call.code == code);
        let mut numbers: Vec<_> = stored
            .map(|call| call.params["partNumber"].clone())
            .collect();
        numbers.sort();
        numbers
    };
    let mut distinct = stored("OK");
    distinct.dedup();
    assert!(there >= 4, "{}", outcome.stdout);
    assert_eq!(stored("OK"), distinct, "a part was stored twice");
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_of_setting_up_costs_only_time() {
    // The first object is the marker.
    let calls = [
        ("PutBucket", 1),
        ("CreateRole", 1),
        ("AttachPolicyToRole", 1),
        ("PutObject", 1),
        ("PutObject", 2),
        ("ListPoliciesForRole", 1),
    ];
    for (action, nth) in calls {
        for effect in [
            Effect::DropAfter,
            Effect::DropBefore,
            refuse(503, "ServiceUnavailable"),
        ] {
            let mut lab = empty_lab().await;
            lab.may_leave_resources();
            if action == "ListPoliciesForRole" {
                lab.sandbox.seed().import_role();
            }
            std::fs::write(lab.path("disk.raw"), super::raw_disk(MIB)).unwrap();
            let what = format!("{action} {nth}: {effect:?}");
            lab.sandbox.inject(fault(action, When::Nth(nth), effect));
            let outcome = import(&lab, &["--option=skip_conversion=true"]).await;
            assert_eq!(outcome.code, 0, "{what}\n{}", outcome.text());
            assert_eq!(images(&lab), ["imported"], "{what}");
            let left = lab.temporary().into_iter().map(|one| one.kind);
            assert_eq!(left.collect::<Vec<_>>(), ["bucket"], "{what}");
        }
    }
}
