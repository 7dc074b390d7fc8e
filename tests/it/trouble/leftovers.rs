//! What cannot be deleted.

use alicloud_image_sandbox::When;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{build, fault, refusal};
use crate::harness::{Lab, Outcome};
use crate::web::web;

#[tokio::test]
async fn what_cannot_be_deleted_is_reported_everywhere() {
    let mut lab = Lab::quick().await;
    lab.may_leave_resources();
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    let outcome = build(&lab, &web(json!({}))).await.success();
    let left = lab.temporary();
    assert_eq!(left.len(), 1, "{left:?}");
    let leftovers: Value = serde_json::from_str(&outcome.outputs["leftovers"]).unwrap();
    assert_eq!(leftovers[0]["kind"], "VPC");
    assert_eq!(leftovers[0]["id"], left[0].id.as_str());
    assert_eq!(leftovers[0]["region"], "cn-beijing");
    assert!(
        leftovers[0]["reason"]
            .as_str()
            .unwrap()
            .contains("Forbidden")
    );
    let run = &outcome.outputs["build-run-id"];
    let row = format!("| **VPC** | <code>{}</code> | cn-beijing |", left[0].id);
    assert!(outcome.summary.contains(&row), "{}", outcome.summary);
    assert!(outcome.summary.contains(&format!("cleanup --run {run}")));
    assert_snapshot!(last_lines(&outcome), @"
    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-ID

    ==> Some temporary resources were not deleted:
    --> VPC vpc-ID in cn-beijing: Alibaba Cloud refused the request: Forbidden: The sandbox was told to say so. (DeleteVpc in cn-beijing, HTTP 403, RequestId UUID)
        Delete them with: alicloud-image cleanup --run UUID

    ==> 1 resource left
    ::warning title=Resource left::VPC vpc-ID in cn-beijing was not deleted: Alibaba Cloud refused the request: Forbidden: The sandbox was told to say so. (DeleteVpc in cn-beijing, HTTP 403, RequestId UUID)%0ADelete it with: alicloud-image cleanup --run UUID
    ::notice title=Images::web: m-ID in cn-beijing
    ");
}

/// From the artifacts on.
fn last_lines(outcome: &Outcome) -> String {
    let text = outcome.shown();
    let start = text.find("==> Builds finished").unwrap_or_default();
    text[start..].to_owned()
}

#[tokio::test]
async fn leftovers_fail_the_run_when_asked_to() {
    let mut lab = Lab::quick().await;
    lab.may_leave_resources();
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    lab.write("web.json", &web(json!({})))
        .run(&["build", "--fail-on-leftovers", "web.json"])
        .await
        .failure(6);
    assert_eq!(lab.temporary().len(), 1);
}

#[tokio::test]
async fn a_leftover_is_deleted_later_by_its_journal() {
    let lab = Lab::quick().await;
    lab.sandbox
        .inject(fault("DeleteVpc", When::Every, refusal(403, "Forbidden")));
    let outcome = build(&lab, &web(json!({}))).await.success();
    lab.sandbox.clear_faults();
    let run = &outcome.outputs["build-run-id"];
    lab.run(&["cleanup", "--run", run]).await.success();
    assert_eq!(lab.temporary(), vec![]);
}
