//! Machines behind instances, with a host that listens but runs nothing.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alicloud_image_sandbox::machine::{BootSpec, BoxFuture, DiskImage, Machine, MachineHost};
use alicloud_image_sandbox::{Sandbox, SandboxOptions, StateFault};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::build::{Build, clean, run, until_status};
use crate::client::{Client, ECS, start};

const REGION: (&str, &str) = ("RegionId", "cn-hangzhou");

/// Boots machines whose disk is the list of their boots.
#[derive(Default)]
struct Host {
    booted: Mutex<Vec<(BootSpec, Arc<Fake>)>>,
}

struct Fake {
    disk: Vec<String>,
    listeners: Mutex<HashMap<IpAddr, JoinHandle<()>>>,
    connected: Arc<Notify>,
    gone_off: Notify,
}

impl MachineHost for Host {
    fn boot(&self, spec: BootSpec) -> BoxFuture<'_, io::Result<Arc<dyn Machine>>> {
        let content = spec.disk.as_ref().and_then(DiskImage::get::<Vec<String>>);
        let mut disk = content.cloned().unwrap_or_default();
        disk.push(spec.instance_id.clone());
        let fake = Arc::new(Fake {
            disk,
            listeners: Mutex::default(),
            connected: Arc::default(),
            gone_off: Notify::new(),
        });
        self.booted.lock().unwrap().push((spec, Arc::clone(&fake)));
        Box::pin(async { Ok(fake as Arc<dyn Machine>) })
    }
}

impl Machine for Fake {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let connected = Arc::clone(&self.connected);
            let accept = tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    connected.notify_one();
                }
            });
            self.listeners.lock().unwrap().insert(address.ip(), accept);
            Ok(())
        })
    }

    fn unlisten(&self, address: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let listener = self.listeners.lock().unwrap().remove(&address);
            if let Some(listener) = listener {
                listener.abort();
                assert!(listener.await.is_err(), "accepts until it is aborted");
            }
        })
    }

    fn power_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let listeners: Vec<IpAddr> = self.listeners.lock().unwrap().keys().copied().collect();
            for address in listeners {
                self.unlisten(address).await;
            }
        })
    }

    fn powered_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.gone_off.notified())
    }

    fn connected(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.connected.notified())
    }

    fn capture(&self) -> io::Result<DiskImage> {
        Ok(DiskImage::new(self.disk.clone()))
    }
}

async fn sandbox_with(host: &Arc<Host>) -> Sandbox {
    start(SandboxOptions {
        machines: Arc::clone(host) as Arc<dyn MachineHost>,
        seed: Some(rand::random()),
        ..SandboxOptions::default()
    })
    .await
}

fn address(shown: &serde_json::Value, sandbox: &Sandbox, pointer: &str) -> SocketAddr {
    let pointer = format!("/Instances/Instance/0/{pointer}");
    let ip = shown.pointer(&pointer).unwrap().as_str().unwrap();
    SocketAddr::new(ip.parse().unwrap(), sandbox.guest_port())
}

const PRIVATE: &str = "VpcAttributes/PrivateIpAddress/IpAddress/0";
const PUBLIC: &str = "PublicIpAddress/IpAddress/0";

/// Connects as soon as somebody listens.
async fn connect(address: SocketAddr) {
    let connect = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), connect)
        .await
        .expect("the guest accepts");
}

async fn running(client: &Client, own: &[(&str, &str)]) -> (Build, serde_json::Value) {
    let build = run(client, own).await;
    let shown = until_status(client, &build, "Running").await;
    (build, shown)
}

#[tokio::test]
async fn guests_accept_while_running_and_only_then() {
    let host = Arc::new(Host::default());
    let sandbox = sandbox_with(&host).await;
    sandbox
        .seed()
        .key_pair("cn-hangzhou", "mine", "ssh-ed25519 AAAA comment");
    let client = Client::of(&sandbox);
    let own = [
        ("KeyPairName", "mine"),
        ("UserData", "IyEvYmluL3No"),
        ("InternetMaxBandwidthOut", "5"),
    ];
    let (build, shown) = running(&client, &own).await;
    let private = address(&shown, &sandbox, PRIVATE);
    connect(private).await;
    connect(address(&shown, &sandbox, PUBLIC)).await;
    let spec = host.booted.lock().unwrap()[0].0.clone();
    assert_eq!(spec.authorized_keys, ["ssh-ed25519 AAAA mine"]);
    assert_eq!(spec.user_data.as_deref(), Some(&b"#!/bin/sh"[..]));
    assert!(spec.rpm_family);

    let stop = [("InstanceId", build.instance.as_str())];
    client.ok(ECS, "StopInstance", &stop).await;
    until_status(&client, &build, "Stopped").await;
    assert!(TcpStream::connect(private).await.is_err());
    let waits = sandbox.report().waits;
    let sshd = waits.iter().find(|wait| wait.what == "sshd").unwrap();
    assert!(sshd.first_use_at.unwrap() >= sshd.ready_at);
    clean(&client, &build).await;
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_stops_its_instance() {
    let host = Arc::new(Host::default());
    let sandbox = sandbox_with(&host).await;
    let client = Client::of(&sandbox);
    let (build, shown) = running(&client, &[]).await;
    connect(address(&shown, &sandbox, PRIVATE)).await;
    let guest = Arc::clone(&host.booted.lock().unwrap()[0].1);
    guest.power_off().await;
    guest.gone_off.notify_one();
    until_status(&client, &build, "Stopped").await;
    clean(&client, &build).await;
}

#[tokio::test]
async fn disks_survive_restarts_and_go_into_images() {
    let host = Arc::new(Host::default());
    let sandbox = sandbox_with(&host).await;
    let client = Client::of(&sandbox);
    let (first, _) = running(&client, &[]).await;
    let id = [("InstanceId", first.instance.as_str())];
    client.ok(ECS, "StopInstance", &id).await;
    until_status(&client, &first, "Stopped").await;
    client.ok(ECS, "StartInstance", &id).await;
    until_status(&client, &first, "Running").await;
    // A running instance is captured as it is.
    let create = [REGION, id[0], ("ImageName", "captured")];
    let image = client.ok(ECS, "CreateImage", &create).await;
    let image = image["ImageId"].as_str().unwrap().to_owned();
    let describe = [REGION, ("ImageId", image.as_str()), ("Status", "ALL")];
    let at = ("/Images/Image/0/Status", "Available");
    client.until((ECS, "DescribeImages"), &describe, at).await;

    let run = [
        REGION,
        ("ImageId", image.as_str()),
        ("InstanceType", "ecs.g6.large"),
        ("SecurityGroupId", first.group.as_str()),
        ("VSwitchId", first.vswitch.as_str()),
    ];
    let second = client.ok(ECS, "RunInstances", &run).await;
    let second = second["InstanceIdSets"]["InstanceIdSet"][0]
        .as_str()
        .unwrap();
    let second = Build {
        instance: second.to_owned(),
        ..first.clone()
    };
    until_status(&client, &second, "Running").await;
    let last = Arc::clone(&host.booted.lock().unwrap().last().unwrap().1);
    let history = [&first.instance, &first.instance, &second.instance];
    assert_eq!(last.disk.iter().collect::<Vec<_>>(), history);
    sandbox.shutdown().await;
    assert!(last.listeners.lock().unwrap().is_empty());
}

#[tokio::test]
async fn machines_can_be_broken() {
    let host = Arc::new(Host::default());
    let sandbox = sandbox_with(&host).await;
    let client = Client::of(&sandbox);
    sandbox.inject_state(StateFault::NoSshd);
    let (silent, shown) = running(&client, &[]).await;
    sandbox.advance(Duration::from_secs(3600));
    let private = address(&shown, &sandbox, PRIVATE);
    assert!(TcpStream::connect(private).await.is_err());

    sandbox.inject_state(StateFault::InstanceStuck);
    let run = [
        REGION,
        ("ImageFamily", "acs:ubuntu_24_04_x64"),
        ("InstanceType", "ecs.g7.large"),
        ("SecurityGroupIds.1", silent.group.as_str()),
        ("VSwitchId", silent.vswitch.as_str()),
    ];
    let stuck = client.ok(ECS, "RunInstances", &run).await;
    let stuck = stuck["InstanceIdSets"]["InstanceIdSet"][0]
        .as_str()
        .unwrap();
    let stuck = Build {
        instance: stuck.to_owned(),
        ..silent.clone()
    };
    sandbox.advance(Duration::from_secs(3600));
    let shown = until_status(&client, &stuck, "Pending").await;
    assert_eq!(shown["Instances"]["Instance"][0]["OSType"], "linux");
    let force = [("InstanceId", stuck.instance.as_str()), ("Force", "true")];
    client.ok(ECS, "DeleteInstance", &force).await;
    clean(&client, &silent).await;
    let left = sandbox
        .wait_for_nothing_alive(Duration::from_secs(10))
        .await;
    assert_eq!(left, []);
}
