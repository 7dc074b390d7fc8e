//! RAM roles and ImportImage.

use std::time::Duration;

use alicloud_image_sandbox::{Sandbox, SandboxOptions, SeedBucket, StateFault};
use serde_json::Value;

use crate::client::{Client, ECS, fast_sandbox, start};
use crate::oss::Oss;

const RAM: &str = "2015-05-01";

const ROLE: (&str, &str) = ("RoleName", "AliyunECSImageImportDefaultRole");

const POLICY: [(&str, &str); 3] = [
    ROLE,
    ("PolicyType", "System"),
    ("PolicyName", "AliyunECSImageImportRolePolicy"),
];

const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

const REGION: (&str, &str) = ("RegionId", "cn-beijing");

const IMPORT: [(&str, &str); 6] = [
    REGION,
    ("ImageName", "imported"),
    ("DiskDeviceMapping.1.OSSBucket", "packer-b"),
    ("DiskDeviceMapping.1.OSSObject", "disk.raw"),
    ("DiskDeviceMapping.1.Format", "RAW"),
    ("DiskDeviceMapping.1.DiskImageSize", "20"),
];

fn bucket(region: &str, name: &str) -> SeedBucket {
    SeedBucket {
        region: region.to_owned(),
        name: name.to_owned(),
        ..SeedBucket::default()
    }
}

/// A sector with a boot record.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 512];
    disk[510..].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Places the role, a bucket and a good disk.
fn prepare(sandbox: &Sandbox) -> Client {
    let seed = sandbox.seed();
    seed.import_role().bucket(&bucket("cn-beijing", "packer-b"));
    seed.object("packer-b", "disk.raw", &disk()).unwrap();
    Client::of(sandbox)
}

/// A sandbox whose clock only moves when it is told to.
async fn slow_sandbox() -> Sandbox {
    Sandbox::start(SandboxOptions {
        latency: Duration::ZERO,
        jitter: 0.0,
        ..SandboxOptions::default()
    })
    .await
    .unwrap()
}

/// The import with some parameters changed; empty ones are left out.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = IMPORT
        .iter()
        .filter(|p| !changes.iter().any(|c| c.0 == p.0));
    kept.chain(changes)
        .copied()
        .filter(|p| !p.1.is_empty())
        .collect()
}

async fn task(client: &Client, started: &Value) -> Value {
    let id = started["TaskId"].as_str().unwrap();
    client
        .ok(ECS, "DescribeTaskAttribute", &[REGION, ("TaskId", id)])
        .await
}

async fn image_status(client: &Client, started: &Value) -> String {
    let id = started["ImageId"].as_str().unwrap();
    let query = [REGION, ("ImageId", id), ("Status", "ALL")];
    let answer = client.ok(ECS, "DescribeImages", &query).await;
    let status = &answer["Images"]["Image"][0]["Status"];
    status.as_str().unwrap_or("gone").to_owned()
}

#[tokio::test]
async fn an_import_needs_a_role_that_has_taken_effect() {
    let sandbox = slow_sandbox().await;
    sandbox.seed().bucket(&bucket("cn-beijing", "packer-b"));
    sandbox
        .seed()
        .object("packer-b", "disk.raw", &disk())
        .unwrap();
    let client = Client::of(&sandbox);
    let refused = "NoSetRoletoECSServiceAcount";
    assert_eq!(client.code(ECS, "ImportImage", &IMPORT).await, refused);
    assert_eq!(
        client.code(RAM, "GetRole", &[ROLE]).await,
        "EntityNotExist.Role"
    );
    let role = [ROLE, ("AssumeRolePolicyDocument", TRUST)];
    let made = client.ok(RAM, "CreateRole", &role).await;
    assert_eq!(made["Role"]["AssumeRolePolicyDocument"], TRUST);
    assert_eq!(
        client.code(RAM, "CreateRole", &role).await,
        "EntityAlreadyExists.Role"
    );
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(client.code(ECS, "ImportImage", &IMPORT).await, refused);
    client.ok(RAM, "AttachPolicyToRole", &POLICY).await;
    let listed = client.ok(RAM, "ListPoliciesForRole", &[ROLE]).await;
    let policy = &listed["Policies"]["Policy"][0];
    assert_eq!(policy["PolicyName"], "AliyunECSImageImportRolePolicy");
    assert_eq!(client.code(ECS, "ImportImage", &IMPORT).await, refused);
    sandbox.advance(Duration::from_secs(11));
    client.ok(ECS, "ImportImage", &IMPORT).await;
    let unrelated = TRUST.replace("ecs.", "oss.");
    let update = [ROLE, ("NewAssumeRolePolicyDocument", unrelated.as_str())];
    client.ok(RAM, "UpdateRole", &update).await;
    sandbox.advance(Duration::from_secs(11));
    let other = with(&[("ImageName", "other")]);
    assert_eq!(client.code(ECS, "ImportImage", &other).await, refused);
    assert_eq!(
        client.code(RAM, "DeleteRole", &[ROLE]).await,
        "DeleteConflict.Role.Policy"
    );
    client.ok(RAM, "DetachPolicyFromRole", &POLICY).await;
    client.ok(RAM, "DeleteRole", &[ROLE]).await;
}

#[tokio::test]
async fn an_import_makes_an_image_and_its_snapshot() {
    let sandbox = slow_sandbox().await;
    let client = prepare(&sandbox);
    let call = with(&[
        ("Platform", "Debian"),
        ("BootMode", "UEFI"),
        ("Tag.1.Key", "run"),
        ("Tag.1.Value", "7"),
        ("ClientToken", "once"),
    ]);
    let started = client.ok(ECS, "ImportImage", &call).await;
    let again = client.ok(ECS, "ImportImage", &call).await;
    assert_eq!(started["ImageId"], again["ImageId"]);
    let duplicate = client.code(ECS, "ImportImage", &IMPORT).await;
    assert_eq!(duplicate, "InvalidImageName.Duplicated");
    sandbox.advance(Duration::from_secs(120));
    let running = task(&client, &started).await;
    assert_eq!(running["TaskStatus"], "Processing");
    assert_eq!(running["TaskProcess"], "50%");
    let id = started["ImageId"].as_str().unwrap();
    let delete = [REGION, ("ImageId", id)];
    assert_eq!(
        client.code(ECS, "DeleteImage", &delete).await,
        "ImageIsImporting"
    );
    sandbox.advance(Duration::from_secs(121));
    assert_eq!(task(&client, &started).await["TaskStatus"], "Finished");
    let images = client.ok(ECS, "DescribeImages", &delete).await;
    let image = &images["Images"]["Image"][0];
    assert_eq!(
        (
            &image["Status"],
            &image["Platform"],
            &image["BootMode"],
            &image["Size"]
        ),
        (
            &"Available".into(),
            &"Debian".into(),
            &"UEFI".into(),
            &20.into()
        )
    );
    let kinds: Vec<&str> = sandbox.alive().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["image", "snapshot"]);
    client.ok(ECS, "DeleteImage", &delete).await;
    let kinds: Vec<&str> = sandbox.alive().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["snapshot"]);
}

#[tokio::test]
async fn unreadable_disks_fail_the_task() {
    let sandbox = fast_sandbox().await;
    let client = prepare(&sandbox);
    let seed = sandbox.seed();
    seed.object("packer-b", "garbage", &[7; 4096]).unwrap();
    let mut large = vec![0_u8; 512];
    large[..8].copy_from_slice(b"conectix");
    seed.object("packer-b", "broken.vhd", &large).unwrap();
    let object = "DiskDeviceMapping.1.OSSObject";
    let format = "DiskDeviceMapping.1.Format";
    let table = [
        (vec![(object, "garbage")], "partition table"),
        (vec![(object, "broken.vhd"), (format, "VHD")], "footer"),
        (vec![(format, "QCOW2")], "not in the specified format"),
    ];
    for (number, (mut changes, reason)) in table.into_iter().enumerate() {
        let name = format!("image-{number}");
        changes.push(("ImageName", &name));
        let started = client.ok(ECS, "ImportImage", &with(&changes)).await;
        let query = [REGION, ("TaskId", started["TaskId"].as_str().unwrap())];
        let attribute = (ECS, "DescribeTaskAttribute");
        let failed = client
            .until(attribute, &query, ("/TaskStatus", "Failed"))
            .await;
        let progress = &failed["OperationProgressSet"]["OperationProgress"][0];
        assert_eq!(progress["ErrorCode"], "InvalidImageFormat.Malformed");
        let message = progress["ErrorMsg"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
        assert_eq!(image_status(&client, &started).await, "CreateFailed");
    }
}

#[tokio::test]
async fn what_is_known_at_once_is_refused_at_once() {
    let sandbox = fast_sandbox().await;
    let client = prepare(&sandbox);
    let seed = sandbox.seed();
    seed.bucket(&bucket("cn-hangzhou", "far"))
        .bucket(&SeedBucket {
            encryption: Some("KMS".to_owned()),
            ..bucket("cn-beijing", "locked")
        })
        .bucket(&SeedBucket {
            foreign: true,
            ..bucket("cn-beijing", "theirs")
        });
    seed.object("packer-b", "empty", b"").unwrap();
    let (bucket, object) = (
        "DiskDeviceMapping.1.OSSBucket",
        "DiskDeviceMapping.1.OSSObject",
    );
    let size = "DiskDeviceMapping.1.DiskImageSize";
    let table = [
        (bucket, "none", "InvalidOSSBucket.NotFound"),
        (bucket, "far", "InvalidOSSBucket.NotMatched"),
        (bucket, "locked", "InvalidOSSBucket.EncryptUnsupported"),
        (bucket, "theirs", "InvalidOSS.NotAuthorized"),
        (bucket, "", "MissingParameter"),
        (object, "none", "InvalidOSSObject.NotFound"),
        (object, "empty", "InvalidOSSObject.Size"),
        (size, "4096", "InvalidImageSize"),
        (
            "DiskDeviceMapping.1.Format",
            "VDI",
            "InvalidImageFormat.Malformed",
        ),
        ("Architecture", "arm64", "InvalidBootMode.NotSupport"),
        ("Architecture", "mips", "InvalidArchitecture.Malformed"),
        ("Platform", "debian", "InvalidPlatform.Malformed"),
        ("OSType", "bsd", "InvalidOSType.Malformed"),
        ("ImageName", "1", "InvalidImageName.Malformed"),
        ("RoleName", "other", "NoSetRoletoECSServiceAcount"),
        ("DryRun", "true", "DRYRUN.SUCCESS"),
    ];
    for (name, value, code) in table {
        let found = client
            .code(ECS, "ImportImage", &with(&[(name, value)]))
            .await;
        assert_eq!(found, code, "{name}={value}");
    }
    assert_eq!(sandbox.alive(), []);
}

#[tokio::test]
async fn imports_can_be_cancelled_fail_and_hang() {
    let sandbox = slow_sandbox().await;
    let client = prepare(&sandbox);
    let started = client.ok(ECS, "ImportImage", &IMPORT).await;
    let cancel = [REGION, ("TaskId", started["TaskId"].as_str().unwrap())];
    client.ok(ECS, "CancelTask", &cancel).await;
    let again = client.code(ECS, "CancelTask", &cancel).await;
    assert_eq!(again, "InvalidTaskId.IncorrectTaskStatus");
    assert_eq!(image_status(&client, &started).await, "CreateFailed");
    let delete = [REGION, ("ImageId", started["ImageId"].as_str().unwrap())];
    client.ok(ECS, "DeleteImage", &delete).await;

    sandbox.inject_state(StateFault::ImportStuck);
    let stuck = client
        .ok(ECS, "ImportImage", &with(&[("ImageName", "stuck")]))
        .await;
    sandbox.inject_state(StateFault::ImageCreateFailed);
    let failing = client
        .ok(ECS, "ImportImage", &with(&[("ImageName", "failing")]))
        .await;
    sandbox.advance(Duration::from_secs(100_000));
    assert_eq!(image_status(&client, &stuck).await, "Creating");
    assert_eq!(image_status(&client, &failing).await, "CreateFailed");
    let shown = task(&client, &failing).await;
    let progress = &shown["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(progress["ErrorCode"], "ImportImageFailed");

    let vanishing = client
        .ok(ECS, "ImportImage", &with(&[("ImageName", "vanishing")]))
        .await;
    Oss::of(&sandbox)
        .ok("DELETE", "packer-b/disk.raw", &[])
        .await;
    sandbox.advance(Duration::from_secs(300));
    let shown = task(&client, &vanishing).await;
    let progress = &shown["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(progress["ErrorCode"], "InvalidOSSObject.NotFound");
    assert_eq!(image_status(&client, &vanishing).await, "CreateFailed");
}

#[tokio::test]
async fn the_declared_size_has_to_hold_the_disk() {
    let sandbox = start(SandboxOptions::default()).await;
    let client = prepare(&sandbox);
    let mut qcow2 = vec![0; 4 << 16];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    qcow2[20..24].copy_from_slice(&16_u32.to_be_bytes());
    qcow2[24..32].copy_from_slice(&(21_u64 << 30).to_be_bytes());
    qcow2[36..40].copy_from_slice(&42_u32.to_be_bytes());
    qcow2[40..48].copy_from_slice(&(3_u64 << 16).to_be_bytes());
    sandbox
        .seed()
        .object("packer-b", "disk.qcow2", &qcow2)
        .unwrap();
    let object = ("DiskDeviceMapping.1.OSSObject", "disk.qcow2");
    let format = ("DiskDeviceMapping.1.Format", "QCOW2");
    for (name, size, status) in [("small", "20", "Failed"), ("fits", "21", "Finished")] {
        let size = ("DiskDeviceMapping.1.DiskImageSize", size);
        let call = with(&[object, format, size, ("ImageName", name)]);
        let started = client.ok(ECS, "ImportImage", &call).await;
        let query = [REGION, ("TaskId", started["TaskId"].as_str().unwrap())];
        let attribute = (ECS, "DescribeTaskAttribute");
        client
            .until(attribute, &query, ("/TaskStatus", status))
            .await;
    }
}
