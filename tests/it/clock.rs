//! A machine whose clock is wrong: Alibaba Cloud refuses its requests, tells the
//! time, and everything goes on by that.

use std::collections::BTreeSet;

use alicloud_image_sandbox::{Effect, Fault, SandboxOptions, SeedBucket, When};
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::{Lab, quick_options};
use crate::web::web;

const SIGNATURES: [&str; 2] = ["acs3", "rpc-v1"];

const IMPORT: [&str; 5] = [
    "import",
    "disk.raw",
    "--region=cn-beijing",
    "--image-name=imported",
    "--oss-bucket-name=images",
];

/// A lab whose clock is so many minutes ahead of the program's.
async fn lab(minutes: i64) -> Lab {
    let lab = Lab::with(SandboxOptions {
        clock_ahead: SignedDuration::from_mins(minutes),
        ..quick_options()
    })
    .await;
    lab.sandbox.seed().import_role().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    });
    let mut disk = vec![7; 2 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    lab
}

/// The product and code of each refusal.
fn refusals(lab: &Lab) -> BTreeSet<(String, String)> {
    let calls = lab.sandbox.calls().into_iter();
    let refused = calls.filter(|call| call.code.contains("Time"));
    refused.map(|call| (call.product, call.code)).collect()
}

fn refusal(product: &str, code: &str) -> (String, String) {
    (product.to_owned(), code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_are_nothing_and_more_is_corrected() {
    for (minutes, signature) in [(-10, "acs3"), (10, "rpc-v1"), (-90, "acs3"), (90, "rpc-v1")] {
        let lab = lab(minutes).await;
        lab.write("web.json", &web(json!({})));
        let signature = format!("--signature={signature}");
        lab.run(&["build", &signature, "web.json"]).await.success();
        let expected = match minutes.abs() {
            10 => BTreeSet::new(),
            _ => [refusal("Ecs", "InvalidTimeStamp.Expired")].into(),
        };
        let mut refusals = refusals(&lab);
        // Asked at the same time as the first one of ECS.
        refusals.remove(&refusal("Vpc", "InvalidTimeStamp.Expired"));
        assert_eq!(refusals, expected, "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_once_although_its_session_seems_to_have_ended() {
    // The session's hour is over at once by the program's clock.
    for minutes in [-90, 90] {
        let lab = lab(minutes).await;
        let role = json!({"ram_role_arn": "acs:ram::1234567890123456:role/builder"});
        lab.write("web.json", &web(role));
        lab.run(&["build", "web.json"]).await.success();
        let codes: Vec<_> = lab
            .calls("AssumeRole")
            .into_iter()
            .map(|call| call.code)
            .collect();
        assert_eq!(codes, ["InvalidTimeStamp.Expired", "OK"], "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_imported_and_oss_tells_the_time_too() {
    for signature in SIGNATURES {
        let lab = lab(-90).await;
        let signature = format!("--signature={signature}");
        let import: Vec<_> = IMPORT.into_iter().chain([signature.as_str()]).collect();
        lab.sandbox.inject(Fault {
            action: "UploadPart".to_owned(),
            when: When::Nth(1),
            effect: Effect::HoldBefore,
        });
        let mut killed = lab.start(&import);
        lab.sandbox.wait_for_held().await;
        killed.kill().await.unwrap();
        lab.sandbox.release();
        lab.sandbox.clear_faults();
        let journals = std::fs::read_dir(lab.path("journals")).unwrap();
        let journal = journals.last().unwrap().unwrap().path();
        // The clean-up talks to OSS only.
        let journal = journal.display().to_string();
        let clean_up = ["cleanup", &signature, "--journal", &journal];
        lab.run(&clean_up).await.success();
        assert!(refusals(&lab).contains(&refusal("Oss", "RequestTimeTooSkewed")));
        lab.run(&import).await.success();
        assert_eq!(lab.sandbox.images().len(), 1);
    }
}
