//! Importing disks: `alicloud-image import`.

mod disks;
mod trouble;

use std::time::Duration;

use alicloud_image_sandbox::{Call, Effect, Fault, SeedBucket, SeedImage, StateFault, When};

use crate::harness::{Lab, Outcome, quick_options};

const MIB: usize = 1 << 20;

/// A disk that boots by BIOS and by UEFI, and does not compress.
fn raw_disk(size: usize) -> Vec<u8> {
    let mut disk = noise(size);
    disk[446..512].fill(0);
    // An EFI system partition behind the first sector.
    disk[450] = 0xef;
    disk[454] = 1;
    disk[458..462].copy_from_slice(&(size as u32 / 512 - 1).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Bytes that are as even as random ones and always the same.
fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut state = 1_u64;
    for word in bytes.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// A lab with a bucket, the role, and a disk of 20 MiB.
async fn lab() -> Lab {
    let lab = empty_lab().await;
    lab.sandbox
        .seed()
        .import_role()
        .bucket(&bucket("cn-beijing"));
    lab
}

async fn empty_lab() -> Lab {
    let mut options = quick_options();
    options.delays.import = Duration::from_secs(30);
    let lab = Lab::with(options).await;
    std::fs::write(lab.path("disk.raw"), raw_disk(20 * MIB)).unwrap();
    lab
}

fn bucket(region: &str) -> SeedBucket {
    SeedBucket {
        region: region.to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    }
}

const IMPORT: &[&str] = &[
    "import",
    "disk.raw",
    "--region=cn-beijing",
    "--image-name=imported",
    "--oss-bucket-name=images",
];

async fn import(lab: &Lab, more: &[&str]) -> Outcome {
    let arguments: Vec<_> = IMPORT.iter().chain(more).copied().collect();
    lab.run(&arguments).await
}

fn fault(action: &str, when: When, effect: Effect) -> Fault {
    Fault {
        action: action.to_owned(),
        when,
        effect,
    }
}

fn refuse(http: u16, code: &str) -> Effect {
    Effect::Error {
        http,
        code: code.to_owned(),
        message: "Refused by the test.".to_owned(),
    }
}

/// What a lab must have for a case.
type Prepare<'a> = &'a dyn Fn(&Lab);

/// The names of the images there are.
fn images(lab: &Lab) -> Vec<String> {
    let images = lab.sandbox.images();
    let names = images
        .iter()
        .map(|image| image["ImageName"].as_str().unwrap().to_owned());
    names.collect()
}

/// What lives that a failed import must not leave: everything.
#[track_caller]
fn assert_nothing(lab: &Lab) {
    assert_eq!(lab.sandbox.alive(), vec![]);
    assert!(lab.path("disk.raw").exists(), "the disk is the user's");
    let journals = std::fs::read_dir(lab.path("journals")).map_or(0, Iterator::count);
    assert_eq!(journals, 0, "a journal is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_becomes_an_image_and_the_object_is_deleted() {
    let lab = lab().await;
    let more = [
        "--image-os-type=linux",
        "--image-platform=Debian",
        "--image-architecture=x86_64",
        "--boot-mode=UEFI",
        "--tag=team=web",
        "--option=image_license_type=BYOL",
    ];
    let outcome = import(&lab, &more).await.success();
    let image = &lab.sandbox.images()[0];
    assert_eq!(
        outcome.outputs["image-id"],
        image["ImageId"].as_str().unwrap()
    );
    assert_eq!(image["ImageName"], "imported");
    let call = lab.call("ImportImage");
    let sent = |name: &str| call.params.get(name).map(String::as_str);
    assert_eq!(sent("DiskDeviceMapping.1.Format"), Some("QCOW2"));
    assert_eq!(sent("DiskDeviceMapping.1.DiskImageSize"), Some("1"));
    assert_eq!(sent("BootMode"), Some("UEFI"));
    assert_eq!(sent("Platform"), Some("Debian"));
    assert_eq!(sent("LicenseType"), Some("BYOL"));
    assert_eq!(
        (sent("Tag.1.Key"), sent("Tag.1.Value")),
        (Some("team"), Some("web"))
    );
    assert_eq!(lab.calls("UploadPart").len(), 6);
    assert!(
        outcome.stdout.contains("==> 0 resources left\n"),
        "{}",
        outcome.stdout
    );
    assert_eq!(lab.temporary(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_gets_bucket_and_role() {
    let mut lab = empty_lab().await;
    // The bucket stays: the next run will want it.
    lab.may_leave_resources();
    let outcome = import(&lab, &[]).await.success();
    assert!(
        outcome
            .stdout
            .contains("Creating role AliyunECSImageImportDefaultRole"),
        "{}",
        outcome.stdout
    );
    let left: Vec<_> = lab
        .temporary()
        .into_iter()
        .map(|one| (one.kind, one.id))
        .collect();
    assert_eq!(left, [("bucket", "images".to_owned())]);
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_creation_lost_its_reply_is_used() {
    let mut lab = empty_lab().await;
    lab.may_leave_resources();
    lab.sandbox
        .inject(fault("PutBucket", When::Once, Effect::DropAfter));
    import(&lab, &[]).await.success();
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_disk_is_sent_in_one_request() {
    let lab = lab().await;
    std::fs::write(lab.path("disk.raw"), raw_disk(MIB)).unwrap();
    let more = ["--option=skip_conversion=true"];
    import(&lab, &more).await.success();
    let put = lab.calls("PutObject").into_iter();
    let of_disk = put.filter(|call| call.params["key"].ends_with("/imported.raw"));
    assert_eq!((of_disk.count(), lab.calls("UploadPart").len()), (1, 0));
    let format = "DiskDeviceMapping.1.Format";
    assert_eq!(lab.call("ImportImage").params[format], "RAW");
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_clean_keeps_the_object() {
    let mut lab = lab().await;
    lab.may_leave_resources();
    let more = [
        "--skip-clean",
        "--oss-key-name=kept.raw",
        "--option=format=RAW",
    ];
    import(&lab, &more).await.success();
    assert_eq!(
        lab.sandbox.object("images", "kept.raw"),
        Some(raw_disk(20 * MIB))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_of_any_call_costs_only_time() {
    let calls = [
        "GetBucketInfo",
        "InitiateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "HeadObject",
        "DeleteObject",
        "GetRole",
        "ImportImage",
        "DescribeImages",
    ];
    for action in calls {
        for effect in [
            Effect::DropAfter,
            Effect::DropBefore,
            refuse(503, "ServiceUnavailable"),
        ] {
            let lab = lab().await;
            let what = format!("{action}: {effect:?}");
            lab.sandbox.inject(fault(action, When::Once, effect));
            let outcome = import(&lab, &[]).await;
            assert_eq!(outcome.code, 0, "{what}\n{}", outcome.text());
            assert_eq!(images(&lab), ["imported"], "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_on_the_way_are_sent_again() {
    let lab = lab().await;
    lab.sandbox
        .inject(fault("UploadPart", When::First(3), Effect::CorruptBody));
    lab.sandbox
        .inject(fault("UploadPart", When::Nth(5), Effect::CutBody(1000)));
    import(&lab, &[]).await.success();
    assert!(lab.calls("UploadPart").len() >= 7);
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_any_call_leaves_nothing() {
    let calls = [
        "InitiateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "HeadObject",
        "ImportImage",
    ];
    for action in calls {
        let lab = lab().await;
        lab.sandbox
            .inject(fault(action, When::Every, refuse(403, "AccessDenied")));
        let outcome = import(&lab, &[]).await.failure(3);
        assert!(
            outcome.text().contains("AccessDenied"),
            "{action}: {}",
            outcome.text()
        );
        assert_nothing(&lab);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_import_says_why_and_leaves_the_disk() {
    let lab = lab().await;
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    let outcome = import(&lab, &[]).await.failure(1);
    assert!(
        outcome.text().contains("CreateFailed"),
        "{}",
        outcome.text()
    );
    assert_eq!(
        outcome.outputs.get("image-id").map_or("", String::as_str),
        ""
    );
    assert_nothing(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_any_time_leaves_nothing() {
    for action in ["InitiateMultipartUpload", "UploadPart", "ImportImage"] {
        let lab = lab().await;
        lab.sandbox.inject_state(StateFault::ImportStuck);
        lab.sandbox.inject(fault(
            "UploadPart",
            When::Nth(3),
            Effect::Delay(Duration::from_secs(1)),
        ));
        is_interrupted_at(&lab, action).await;
    }
}

async fn is_interrupted_at(lab: &Lab, action: &str) {
    let child = lab.start(IMPORT);
    lab.wait_for_call(action).await;
    crate::harness::interrupt(&child);
    let outcome = lab.finish(child).await;
    assert_eq!(outcome.code, 130, "{action}\n{}", outcome.text());
    assert_nothing(lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_killed_goes_on() {
    let lab = lab().await;
    let held = fault("UploadPart", When::Nth(4), Effect::HoldBefore);
    lab.sandbox.inject(held);
    let mut child = lab.start(IMPORT);
    // One part hangs; others have arrived.
    lab.sandbox.wait_for_held().await;
    lab.wait_for_calls("UploadPart", 3).await;
    child.kill().await.unwrap();
    // What was still on its way may arrive, or not: only what had arrived for
    // certain must not be sent again.
    let before = lab.calls("UploadPart");
    lab.sandbox.release();
    lab.sandbox.clear_faults();
    let outcome = import(&lab, &[]).await.success();
    assert!(
        outcome.stdout.contains("Going on with an upload"),
        "{}",
        outcome.stdout
    );
    let part = |call: &Call| call.params["partNumber"].clone();
    let after = lab.calls("UploadPart").split_off(before.len());
    let sent: Vec<_> = after.iter().map(part).collect();
    let arrived = before.iter().filter(|call| call.code == "OK").map(part);
    let again: Vec<_> = arrived.filter(|number| sent.contains(number)).collect();
    assert!(again.is_empty(), "parts {again:?} were sent twice");
    assert_eq!(lab.calls("InitiateMultipartUpload").len(), 1);
    assert_eq!(images(&lab), ["imported"]);
    let journals = std::fs::read_dir(lab.path("journals")).unwrap().count();
    assert_eq!(journals, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_known_before_the_first_byte() {
    let table: [(Prepare<'_>, &[&str], &str); 5] = [
        (
            &|lab: &Lab| {
                lab.sandbox.seed().bucket(&bucket("cn-hangzhou"));
            },
            &[],
            "The bucket is in another region than cn-beijing",
        ),
        (
            &|lab: &Lab| {
                lab.sandbox.seed().bucket(&SeedBucket {
                    encryption: Some("AES256".to_owned()),
                    ..bucket("cn-beijing")
                });
            },
            &[],
            "encrypts what is in it",
        ),
        (
            &|lab: &Lab| {
                lab.sandbox.seed().bucket(&SeedBucket {
                    foreign: true,
                    ..bucket("cn-beijing")
                });
            },
            &[],
            "AccessDenied",
        ),
        (
            &|_: &Lab| (),
            &["--option=format=QCOW2", "--option=skip_conversion=true"],
            "disk.raw is RAW, but `format` says QCOW2",
        ),
        (
            &|lab: &Lab| {
                let seed = lab.sandbox.seed();
                seed.bucket(&bucket("cn-beijing"));
                seed.image(&SeedImage {
                    region: "cn-beijing".into(),
                    id: "m-old".into(),
                    name: "imported".into(),
                    ..SeedImage::default()
                });
            },
            &[],
            "Image name `imported` is used",
        ),
    ];
    for (prepare, more, expected) in table {
        let lab = empty_lab().await;
        lab.sandbox.seed().import_role();
        prepare(&lab);
        let outcome = import(&lab, more).await;
        assert_ne!(outcome.code, 0, "{expected}");
        assert!(
            outcome.text().contains(expected),
            "{expected}: {}",
            outcome.text()
        );
        assert_eq!(
            lab.calls("UploadPart").len() + lab.calls("InitiateMultipartUpload").len(),
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_image_is_replaced_only_after_success() {
    let lab = lab().await;
    lab.sandbox.seed().image(&SeedImage {
        region: "cn-beijing".into(),
        id: "m-old".into(),
        name: "imported".into(),
        ..SeedImage::default()
    });
    lab.sandbox.inject_state(StateFault::ImageCreateFailed);
    import(&lab, &["--force"]).await.failure(1);
    assert_eq!(images(&lab), ["imported"]);
    assert_eq!(lab.calls("DeleteImage").len(), 1, "only the failed one");
    import(&lab, &["--force"]).await.success();
    assert_eq!(images(&lab), ["imported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_policy_of_someones_own_is_never_changed() {
    let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::1:root"]}}],"Version":"1"}"#;
    let lab = empty_lab().await;
    let seed = lab.sandbox.seed();
    seed.bucket(&bucket("cn-beijing"));
    seed.role("AliyunECSImageImportDefaultRole", trust, &[]);
    let outcome = import(&lab, &[]).await.failure(1);
    assert!(
        outcome.text().contains("does not let ECS use it"),
        "{}",
        outcome.text()
    );
    assert_eq!(
        lab.calls("UpdateRole").len() + lab.calls("AttachPolicyToRole").len(),
        0
    );
    assert_nothing(&lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_is_no_disk() {
    let lab = lab().await;
    let mut iso = vec![0; 40_000];
    iso[32_769..32_774].copy_from_slice(b"CD001");
    std::fs::write(lab.path("disk.raw"), iso).unwrap();
    let outcome = import(&lab, &[]).await.failure(2);
    assert!(
        outcome.text().contains("is an ISO image"),
        "{}",
        outcome.text()
    );
    assert_nothing(&lab);
}
