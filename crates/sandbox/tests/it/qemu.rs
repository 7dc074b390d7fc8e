//! An instance from an imported image boots the object itself. The guest is a
//! boot sector that powers off or waits.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use alicloud_image_sandbox::machine::NoMachines;
use alicloud_image_sandbox::qemu::Qemu;
use alicloud_image_sandbox::{Delays, Sandbox, SandboxOptions, SeedBucket};
use tokio::net::TcpStream;

use crate::client::{Client, ECS};

/// Emulation on a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(180);

/// QEMU needs the processor more than whoever waits for it.
const POLL: Duration = Duration::from_millis(50);

const REGION: (&str, &str) = ("RegionId", "cn-beijing");

/// A disk whose boot sector runs some code.
fn boot_disk(code: &[u8]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..code.len()].copy_from_slice(code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// mov dx, 604h; mov ax, 2000h; out dx, ax; hlt
const POWER_OFF: [u8; 8] = [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4];

/// sti; hlt; jmp -3
const WAIT: [u8; 4] = [0xfb, 0xf4, 0xeb, 0xfd];

fn assert_installed() {
    for program in ["qemu-system-x86_64", "qemu-img"] {
        let found = Command::new(program).arg("--version").output().is_ok();
        assert!(found, "install {program}; script/test does");
    }
}

async fn start(disk: &[u8]) -> (Sandbox, Client) {
    assert_installed();
    let host = Qemu {
        grace: Duration::ZERO,
        ..Qemu::new(Arc::new(NoMachines))
    };
    let sandbox = Sandbox::start(SandboxOptions {
        delays: Delays::none(),
        latency: Duration::ZERO,
        machines: Arc::new(host),
        ..SandboxOptions::default()
    })
    .await
    .unwrap();
    sandbox.seed().import_role().bucket(&SeedBucket {
        region: REGION.1.to_owned(),
        name: "packer-b".to_owned(),
        ..SeedBucket::default()
    });
    sandbox.seed().object("packer-b", "disk.raw", disk).unwrap();
    sandbox
        .seed()
        .vpc(REGION.1, "vpc-1", "172.16.0.0/12")
        .vswitch("vpc-1", "vsw-1", "cn-beijing-h", "172.16.0.0/24")
        .security_group("vpc-1", "sg-1");
    let client = Client::of(&sandbox);
    (sandbox, client)
}

/// Imports the disk and runs an instance of it; returns its id.
async fn run(client: &Client) -> String {
    let import = [
        REGION,
        ("ImageName", "imported"),
        ("DiskDeviceMapping.1.OSSBucket", "packer-b"),
        ("DiskDeviceMapping.1.OSSObject", "disk.raw"),
        ("DiskDeviceMapping.1.Format", "RAW"),
    ];
    let image = client.ok(ECS, "ImportImage", &import).await;
    let image = image["ImageId"].as_str().unwrap();
    run_image(client, image).await
}

async fn run_image(client: &Client, image: &str) -> String {
    let call = [
        REGION,
        ("ImageId", image),
        ("InstanceType", "ecs.g6.large"),
        ("VSwitchId", "vsw-1"),
        ("SecurityGroupId", "sg-1"),
    ];
    let answer = client.ok(ECS, "RunInstances", &call).await;
    let ids = &answer["InstanceIdSets"]["InstanceIdSet"];
    ids[0].as_str().unwrap().to_owned()
}

async fn until(client: &Client, id: &str, status: &str) -> String {
    let ids = format!("[\"{id}\"]");
    let query = [REGION, ("InstanceIds", ids.as_str())];
    let reached = async {
        loop {
            let answer = client.ok(ECS, "DescribeInstances", &query).await;
            let instance = &answer["Instances"]["Instance"][0];
            if instance["Status"] == status {
                return instance["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0].clone();
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let address = tokio::time::timeout(LIMIT, reached).await;
    let address = address.expect("the status is reached");
    address.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_object_boots_and_powers_off() {
    let (sandbox, client) = start(&boot_disk(&POWER_OFF)).await;
    let id = run(&client).await;
    // Only the code in the object can power the machine off.
    until(&client, &id, "Stopped").await;
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_machine_listens_and_its_disk_becomes_an_image() {
    let (sandbox, client) = start(&boot_disk(&WAIT)).await;
    let id = run(&client).await;
    let address = until(&client, &id, "Running").await;
    let port = sandbox.guest_port();
    let connect = || TcpStream::connect((address.as_str(), port));
    let reached = async {
        while connect().await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LIMIT, reached)
        .await
        .expect("the port is forwarded");
    let create = [REGION, ("ImageName", "second"), ("InstanceId", &id)];
    let running = client.ok(ECS, "CreateImage", &create).await;
    let image = running["ImageId"].as_str().unwrap();
    let other = run_image(&client, image).await;
    until(&client, &other, "Running").await;
    for id in [&id, &other] {
        let call = [REGION, ("InstanceId", id.as_str()), ("Force", "true")];
        client.ok(ECS, "DeleteInstance", &call).await;
    }
    let instances = |sandbox: &Sandbox| {
        let alive = sandbox.alive();
        alive
            .into_iter()
            .filter(|one| one.kind == "instance")
            .count()
    };
    let gone = async {
        while instances(&sandbox) > 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("QEMU ends");
    assert!(connect().await.is_err());
    sandbox.shutdown().await;
}
