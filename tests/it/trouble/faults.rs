//! A fault at the first call of every action: each thing is made once, and
//! nothing temporary is left.

use std::collections::BTreeSet;

use alicloud_image_sandbox::{Effect, SeedImage, When};
use futures_util::{StreamExt, stream};

use super::{build, fault, refusal};
use crate::harness::Lab;
use crate::web::everything;

/// How many labs of one test work at the same time.
const AT_ONCE: usize = 4;

/// The actions of a clean build of everything, each once.
async fn actions() -> Vec<String> {
    let lab = lab_with_old_image().await;
    build(&lab, &everything()).await.success();
    let calls = lab.sandbox.calls();
    let actions: BTreeSet<_> = calls.into_iter().map(|call| call.action).collect();
    actions.into_iter().collect()
}

async fn lab_with_old_image() -> Lab {
    let lab = Lab::quick().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".to_owned(),
        id: "m-old".to_owned(),
        name: "web".to_owned(),
        snapshot: "s-old".to_owned(),
        ..Default::default()
    });
    lab
}

/// Builds everything while some actions meet a fault at their first call, and
/// proves that each thing was made once and nothing temporary is left.
async fn survives(actions: &[String], effect: Effect) {
    let lab = lab_with_old_image().await;
    for action in actions {
        lab.sandbox
            .inject(fault(action, When::Once, effect.clone()));
    }
    let outcome = build(&lab, &everything()).await;
    let context = format!("{effect:?} at {actions:?}:\n{}", outcome.text());
    assert_eq!(outcome.code, 0, "{context}");
    let images = lab.sandbox.images();
    let regions: Vec<_> = images.iter().map(|image| &image["RegionId"]).collect();
    assert_eq!(regions, ["cn-beijing", "cn-hangzhou"], "{context}");
    assert!(
        images.iter().all(|image| image["ImageName"] == "web"),
        "{images:?}"
    );
    assert_eq!(lab.temporary(), vec![], "{context}");
    for (action, id) in DELETIONS {
        let calls = lab.calls(action).into_iter();
        let deleted: BTreeSet<_> = calls.map(|call| call.params[*id].clone()).collect();
        assert_eq!(deleted.len(), 1, "{action} {deleted:?}\n{context}");
    }
}

/// What is made once is deleted once; the old image and its snapshot too.
const DELETIONS: &[(&str, &str)] = &[
    ("DeleteInstance", "InstanceId"),
    ("DeleteKeyPairs", "KeyPairNames"),
    ("DeleteSecurityGroup", "SecurityGroupId"),
    ("DeleteVSwitch", "VSwitchId"),
    ("DeleteVpc", "VpcId"),
    ("ReleaseEipAddress", "AllocationId"),
    ("DeleteImage", "ImageId"),
    ("DeleteSnapshot", "SnapshotId"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_throttling_of_every_action() {
    survives(&actions().await, refusal(400, "Throttling.User")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_an_outage_at_every_action() {
    survives(&actions().await, refusal(503, "ServiceUnavailable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_a_reset_connection_at_every_action() {
    survives(&actions().await, Effect::DropBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_survives_a_lost_reply_of_every_action() {
    survives(&actions().await, Effect::DropAfter).await;
}

/// What a repetition could make twice.
const CREATING: [&str; 10] = [
    "CreateVpc",
    "CreateVSwitch",
    "CreateSecurityGroup",
    "ImportKeyPair",
    "AllocateEipAddress",
    "RunInstances",
    "AssociateEipAddress",
    "CreateSnapshot",
    "CreateImage",
    "CopyImage",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_a_creating_action_makes_nothing_twice() {
    let done = actions().await;
    let labs = CREATING.map(|action| {
        assert!(done.iter().any(|called| called == action), "{action}");
        async move { survives(&[action.to_owned()], Effect::DropAfter).await }
    });
    let labs = stream::iter(labs).buffer_unordered(AT_ONCE);
    Box::pin(labs.collect::<()>()).await;
}
