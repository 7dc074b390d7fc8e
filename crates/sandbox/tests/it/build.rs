//! A whole build as a client does it, up to the empty cloud at the end.

use std::time::Duration;

use crate::client::{Client, ECS, VPC, fast_sandbox, start};
use alicloud_image_sandbox::{Report, SandboxOptions, SeedImage};
use serde_json::{Value, json};

const REGION: (&str, &str) = ("RegionId", "cn-hangzhou");
const IMAGE: &str = "aliyun_3_x64_20G_alibase_20240819.vhd";

/// What a build leaves for the next step.
#[derive(Clone)]
pub(crate) struct Build {
    pub(crate) vpc: String,
    pub(crate) vswitch: String,
    pub(crate) group: String,
    pub(crate) instance: String,
}

fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}

async fn network(client: &Client) -> (String, String, String) {
    let vpc = client
        .ok(VPC, "CreateVpc", &[REGION, ("CidrBlock", "172.16.0.0/12")])
        .await;
    let vpc = text(&vpc, "/VpcId");
    let describe = [REGION, ("VpcId", vpc.as_str())];
    client
        .until(
            (VPC, "DescribeVpcs"),
            &describe,
            ("/Vpcs/Vpc/0/Status", "Available"),
        )
        .await;
    let create = [
        REGION,
        ("VpcId", vpc.as_str()),
        ("ZoneId", "cn-hangzhou-h"),
        ("CidrBlock", "172.16.0.0/24"),
    ];
    let vswitch = client.ok(VPC, "CreateVSwitch", &create).await;
    let vswitch = text(&vswitch, "/VSwitchId");
    let describe = [REGION, ("VSwitchId", vswitch.as_str())];
    client
        .until(
            (VPC, "DescribeVSwitches"),
            &describe,
            ("/VSwitches/VSwitch/0/Status", "Available"),
        )
        .await;
    let create = [
        REGION,
        ("VpcId", vpc.as_str()),
        ("SecurityGroupName", "temporary"),
    ];
    let group = client.ok(ECS, "CreateSecurityGroup", &create).await;
    let group = text(&group, "/SecurityGroupId");
    let rule = [
        REGION,
        ("SecurityGroupId", group.as_str()),
        ("IpProtocol", "tcp"),
        ("PortRange", "22/22"),
        ("SourceCidrIp", "0.0.0.0/0"),
    ];
    client.ok(ECS, "AuthorizeSecurityGroup", &rule).await;
    (vpc, vswitch, group)
}

pub(crate) async fn run(client: &Client, own: &[(&str, &str)]) -> Build {
    let (vpc, vswitch, group) = network(client).await;
    let mut params = vec![
        REGION,
        ("ImageId", IMAGE),
        ("InstanceType", "ecs.g6.large"),
        ("SecurityGroupId", group.as_str()),
        ("VSwitchId", vswitch.as_str()),
    ];
    params.extend(own);
    let answer = client.ok(ECS, "RunInstances", &params).await;
    let instance = text(&answer, "/InstanceIdSets/InstanceIdSet/0");
    Build {
        vpc,
        vswitch,
        group,
        instance,
    }
}

pub(crate) async fn until_status(client: &Client, build: &Build, status: &str) -> Value {
    let ids = json!([build.instance]).to_string();
    let describe = [REGION, ("InstanceIds", ids.as_str())];
    let at = "/Instances/Instance/0/Status";
    client
        .until((ECS, "DescribeInstances"), &describe, (at, status))
        .await
}

/// Deletes with repeats until the dependencies are gone.
async fn delete(client: &Client, action: (&str, &str), own: &[(&str, &str)]) {
    let repeat = async {
        loop {
            let code = client.code(action.0, action.1, own).await;
            if code == "OK" {
                return;
            }
            let expected = ["DependencyViolation", "Incorrect"];
            assert!(
                expected.iter().any(|c| code.starts_with(c)),
                "{}: {code}",
                action.1
            );
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, repeat).await.unwrap();
}

pub(crate) async fn clean(client: &Client, build: &Build) {
    let instance = [("InstanceId", build.instance.as_str()), ("Force", "true")];
    delete(client, (ECS, "DeleteInstance"), &instance).await;
    let group = [REGION, ("SecurityGroupId", build.group.as_str())];
    delete(client, (ECS, "DeleteSecurityGroup"), &group).await;
    delete(
        client,
        (VPC, "DeleteVSwitch"),
        &[("VSwitchId", build.vswitch.as_str())],
    )
    .await;
    delete(client, (VPC, "DeleteVpc"), &[("VpcId", build.vpc.as_str())]).await;
}

#[tokio::test]
async fn a_build_leaves_only_its_image() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me";
    let import = [REGION, ("KeyPairName", "temporary"), ("PublicKeyBody", key)];
    client.ok(ECS, "ImportKeyPair", &import).await;
    let own = [("KeyPairName", "temporary"), ("DataDisk.1.Size", "40")];
    let build = run(&client, &own).await;
    until_status(&client, &build, "Running").await;
    let eip = associate_address(&client, &build).await;
    client
        .ok(ECS, "StopInstance", &[("InstanceId", &build.instance)])
        .await;
    until_status(&client, &build, "Stopped").await;
    let (image, snapshots) = create_image(&client, &build).await;
    assert_eq!(snapshots.len(), 2);

    let eip = [("AllocationId", eip.as_str())];
    client.ok(VPC, "UnassociateEipAddress", &eip).await;
    delete(&client, (VPC, "ReleaseEipAddress"), &eip).await;
    clean(&client, &build).await;
    let keys = [REGION, ("KeyPairNames", "[\"temporary\"]")];
    client.ok(ECS, "DeleteKeyPairs", &keys).await;

    let in_use = [("SnapshotId", snapshots[0].as_str())];
    let code = client.code(ECS, "DeleteSnapshot", &in_use).await;
    assert_eq!(code, "SnapshotCreatedImage");
    client
        .ok(ECS, "DeleteImage", &[REGION, ("ImageId", &image)])
        .await;
    for id in &snapshots {
        client
            .ok(ECS, "DeleteSnapshot", &[("SnapshotId", id)])
            .await;
    }
    let left = sandbox
        .wait_for_nothing_alive(Duration::from_secs(10))
        .await;
    assert_eq!(left, []);
    check_report(&sandbox.report());
}

async fn associate_address(client: &Client, build: &Build) -> String {
    let allocate = [REGION, ("Bandwidth", "10")];
    let eip = client.ok(VPC, "AllocateEipAddress", &allocate).await;
    let id = text(&eip, "/AllocationId");
    let at = "/EipAddresses/EipAddress/0/Status";
    let describe = [REGION, ("AllocationId", id.as_str())];
    let eips = (VPC, "DescribeEipAddresses");
    client.until(eips, &describe, (at, "Available")).await;
    let associate = [describe[1], ("InstanceId", build.instance.as_str())];
    client.ok(VPC, "AssociateEipAddress", &associate).await;
    client.until(eips, &describe, (at, "InUse")).await;
    let shown = until_status(client, build, "Running").await;
    let public = text(&shown, "/Instances/Instance/0/EipAddress/IpAddress");
    assert!(public.starts_with("127.1."), "{public}");
    let private = "/Instances/Instance/0/VpcAttributes/PrivateIpAddress/IpAddress/0";
    assert!(text(&shown, private).starts_with("127.2."));
    id
}

/// The image and its snapshots.
async fn create_image(client: &Client, build: &Build) -> (String, Vec<String>) {
    let create = [
        REGION,
        ("InstanceId", build.instance.as_str()),
        ("ImageName", "built"),
        ("Tag.1.Key", "app"),
        ("Tag.1.Value", "web"),
    ];
    let image = text(&client.ok(ECS, "CreateImage", &create).await, "/ImageId");
    let status = ("Status", "Creating,Available");
    let describe = [
        REGION,
        ("ImageId", image.as_str()),
        status,
        ("Tag.1.Key", "app"),
    ];
    let at = ("/Images/Image/0/Status", "Available");
    let shown = client.until((ECS, "DescribeImages"), &describe, at).await;
    let disks = shown.pointer("/Images/Image/0/DiskDeviceMappings/DiskDeviceMapping");
    let disks = disks.unwrap().as_array().unwrap();
    assert_eq!(disks[1]["Device"], "/dev/xvdb");
    let snapshots = disks.iter().map(|disk| text(disk, "/SnapshotId"));
    (image, snapshots.collect())
}

fn check_report(report: &Report) {
    assert_eq!(report.calls_by_action["RunInstances"], 1);
    let waited: Vec<&str> = report.waits.iter().map(|wait| wait.what).collect();
    for what in [
        "vpc",
        "vswitch",
        "run",
        "sshd",
        "eip_associate",
        "stop",
        "image",
    ] {
        assert!(waited.contains(&what), "{what} in {waited:?}");
    }
    assert!(report.critical_path <= report.wall);
    assert!(report.waste < report.wall);
}

#[tokio::test]
async fn dependencies_protect_what_is_used() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let key = [REGION, ("KeyPairName", "mine")];
    client.ok(ECS, "CreateKeyPair", &key).await;
    assert_eq!(
        client.code(ECS, "CreateKeyPair", &key).await,
        "KeyPair.AlreadyExist"
    );
    let build = run(&client, &[("KeyPairName", "mine")]).await;
    let id = build.instance.as_str();
    let early = client
        .code(ECS, "StopInstance", &[("InstanceId", id)])
        .await;
    assert_eq!(early, "IncorrectInstanceStatus");
    until_status(&client, &build, "Running").await;

    let (group, vswitch, vpc) = (
        build.group.as_str(),
        build.vswitch.as_str(),
        build.vpc.as_str(),
    );
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);
    let table: &[Case<'_>] = &[
        (
            VPC,
            "DeleteVpc",
            &[("VpcId", vpc)],
            "DependencyViolation.VSwitch",
        ),
        (
            VPC,
            "DeleteVSwitch",
            &[("VSwitchId", vswitch)],
            "DependencyViolation",
        ),
        (
            ECS,
            "DeleteSecurityGroup",
            &[REGION, ("SecurityGroupId", group)],
            "DependencyViolation",
        ),
        (
            ECS,
            "DeleteKeyPairs",
            &[REGION, ("KeyPairNames", "[\"mine\"]")],
            "InvalidParameter.KeypairAlreadyAttachedInstance",
        ),
        (
            ECS,
            "DeleteInstance",
            &[("InstanceId", id)],
            "IncorrectInstanceStatus",
        ),
        (
            ECS,
            "DeleteInstance",
            &[("InstanceId", "i-gone")],
            "InvalidInstanceId.NotFound",
        ),
        (
            VPC,
            "DeleteVpc",
            &[("VpcId", "vpc-gone")],
            "InvalidVpcID.NotFound",
        ),
        (
            ECS,
            "DeleteImage",
            &[REGION, ("ImageId", "m-gone")],
            "InvalidImageId.NotFound",
        ),
        (
            VPC,
            "ReleaseEipAddress",
            &[("AllocationId", "eip-gone")],
            "InvalidAllocationId.NotFound",
        ),
        (
            ECS,
            "StartInstance",
            &[("InstanceId", id)],
            "IncorrectInstanceStatus",
        ),
        (ECS, "DescribeFoo", &[], "InvalidAction.NotFound"),
    ];
    for (version, action, own, code) in table {
        assert_eq!(client.code(version, action, own).await, *code, "{action}");
    }
    client.ok(ECS, "StopInstance", &[("InstanceId", id)]).await;
    let stopping = [REGION, ("InstanceId", id), ("ImageName", "early")];
    assert_eq!(
        client.code(ECS, "CreateImage", &stopping).await,
        "IncorrectInstanceStatus"
    );
    clean(&client, &build).await;
}

#[tokio::test]
async fn stock_quotas_and_names_are_limited() {
    let sandbox = start(SandboxOptions {
        out_of_stock: vec![("cn-hangzhou-h".into(), "ecs.g6.large".into())],
        quotas: alicloud_image_sandbox::Quotas {
            vpcs: 1,
            ..Default::default()
        },
        ..SandboxOptions::default()
    })
    .await;
    sandbox.seed().image(&SeedImage {
        region: "cn-hangzhou".into(),
        id: "m-old".into(),
        name: "taken".into(),
        snapshot: "s-old".into(),
        ..SeedImage::default()
    });
    let client = Client::of(&sandbox);
    let (_, vswitch, group) = network(&client).await;
    assert_eq!(
        client.code(VPC, "CreateVpc", &[REGION]).await,
        "QuotaExceeded.Vpc"
    );
    let mut run = vec![
        REGION,
        ("ImageId", "m-old"),
        ("InstanceType", "ecs.g6.large"),
        ("SecurityGroupId", group.as_str()),
        ("VSwitchId", vswitch.as_str()),
    ];
    let code = client.code(ECS, "RunInstances", &run).await;
    assert_eq!(code, "OperationDenied.NoStock");
    let stock = [
        REGION,
        ("DestinationResource", "InstanceType"),
        ("InstanceType", "ecs.g6.large"),
    ];
    let zones = client.ok(ECS, "DescribeAvailableResource", &stock).await;
    let status = |zone: usize| zones["AvailableZones"]["AvailableZone"][zone]["Status"].clone();
    assert_eq!(
        (status(0), status(1)),
        (json!("SoldOut"), json!("Available"))
    );

    run[2].1 = "ecs.g7.large";
    run.push(("DryRun", "true"));
    assert_eq!(
        client.code(ECS, "RunInstances", &run).await,
        "DryRunOperation"
    );
    assert!(sandbox.alive().iter().all(|alive| alive.kind != "instance"));
    let create = [REGION, ("SnapshotId", "s-old"), ("ImageName", "taken")];
    assert_eq!(
        client.code(ECS, "CreateImage", &create).await,
        "InvalidImageName.Duplicated"
    );
}

#[tokio::test]
async fn copies_appear_in_their_region() {
    let sandbox = fast_sandbox().await;
    sandbox.seed().image(&SeedImage {
        region: "cn-hangzhou".into(),
        id: "m-src".into(),
        name: "source".into(),
        snapshot: "s-src".into(),
        ..SeedImage::default()
    });
    let client = Client::of(&sandbox);
    let copy = [
        REGION,
        ("ImageId", "m-src"),
        ("DestinationRegionId", "cn-beijing"),
        ("DestinationImageName", "copied"),
    ];
    let id = text(&client.ok(ECS, "CopyImage", &copy).await, "/ImageId");
    let beijing = ("RegionId", "cn-beijing");
    let describe = [
        beijing,
        ("ImageName", "copied"),
        ("Status", "Creating,Available"),
    ];
    let at = "/Images/Image/0/Status";
    client
        .until((ECS, "DescribeImages"), &describe, (at, "Available"))
        .await;
    let share = [
        beijing,
        ("ImageId", id.as_str()),
        ("AddAccount.1", "1111222233334444"),
    ];
    client.ok(ECS, "ModifyImageSharePermission", &share).await;
    let delete = [beijing, ("ImageId", id.as_str())];
    assert_eq!(
        client.code(ECS, "DeleteImage", &delete).await,
        "ImageUseShared"
    );
    let cancel = client.code(ECS, "CancelCopyImage", &delete).await;
    assert_eq!(cancel, "IncorrectImageStatus");
    let unshare = [
        beijing,
        ("ImageId", id.as_str()),
        ("RemoveAccount.1", "1111222233334444"),
    ];
    client.ok(ECS, "ModifyImageSharePermission", &unshare).await;
    client.ok(ECS, "DeleteImage", &delete).await;
}

#[tokio::test]
async fn an_instance_is_released_at_its_time() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let release = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let release = crate::client::stamp(release);
    let build = run(&client, &[("AutoReleaseTime", &release)]).await;
    until_status(&client, &build, "Running").await;
    sandbox.advance(Duration::from_secs(3601));
    let ids = json!([build.instance]).to_string();
    let describe = [REGION, ("InstanceIds", ids.as_str())];
    let gone = async {
        while client.ok(ECS, "DescribeInstances", &describe).await["TotalCount"] != 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap();
}
