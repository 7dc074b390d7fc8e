//! Instances, their disks, and key pairs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cloud, Common, LingeringInterface, Tags, Transition, is_due};
use crate::catalogue;
use crate::clock::{Moment, iso, iso_minutes};
use crate::machine::{BootSpec, DiskImage, Machine};
use crate::state::network::EipStatus;

#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) common: Common,
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) image_platform: String,
    pub(crate) image_os_name: String,
    pub(crate) os_type: String,
    pub(crate) rpm_family: bool,
    pub(crate) vpc: String,
    pub(crate) vswitch: String,
    pub(crate) security_groups: Vec<String>,
    pub(crate) key_pair: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) host_name: String,
    pub(crate) spot_strategy: String,
    pub(crate) deployment_set: String,
    pub(crate) dedicated_host: String,
    pub(crate) io_optimized: bool,
    pub(crate) internet_charge_type: String,
    pub(crate) bandwidth_out: i64,
    pub(crate) private_address: Ipv4Addr,
    pub(crate) public_address: Option<Ipv4Addr>,
    pub(crate) status: InstanceStatus,
    pub(crate) transition: Option<Transition>,
    /// Whether Pending leads to Running rather than to Stopped.
    pub(crate) starts: bool,
    pub(crate) deleting: bool,
    /// Whether it is deleted because a spot instance's capacity is needed.
    pub(crate) reclaimed: bool,
    pub(crate) released_at: Option<Moment>,
    pub(crate) release_time: Option<jiff::Timestamp>,
    pub(crate) sshd: Option<Transition>,
    pub(crate) has_sshd: bool,
    pub(crate) started: Option<jiff::Timestamp>,
    /// Counts boots: a machine of an older boot is to be powered off.
    pub(crate) boot: u32,
    /// Whether a machine is on, as its driver last told.
    pub(crate) machine_on: bool,
    pub(crate) machine: Option<Arc<dyn Machine>>,
    pub(crate) disk: Option<DiskImage>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum InstanceStatus {
    Pending,
    Starting,
    Running,
    Stopping,
    Stopped,
}

#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) common: Common,
    pub(crate) zone: String,
    pub(crate) instance: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) device: String,
    pub(crate) category: String,
    pub(crate) size: u64,
    pub(crate) delete_with_instance: bool,
    pub(crate) encrypted: bool,
    pub(crate) snapshot: String,
    pub(crate) image: String,
}

#[derive(Clone)]
pub(crate) struct KeyPair {
    pub(crate) common: Common,
    /// Public key without comment.
    pub(crate) public_key: String,
    pub(crate) fingerprint: String,
}

/// What the driver of an instance's machine has to bring about.
pub(crate) struct Desired {
    /// The boot that is to be on; `None` for off.
    pub(crate) boot: Option<u32>,
    pub(crate) spec: BootSpec,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// When to look again at the latest.
    pub(crate) next: Option<Moment>,
}

impl Cloud {
    pub(crate) fn settle_instances(&mut self, now: Moment) {
        for instance in self.instances.values_mut() {
            instance.settle(now);
        }
        let gone = |i: &&Instance| i.deleting && is_due(i.transition, now) && !i.machine_on;
        let ids: Vec<String> = self.instances.values().filter(gone).map(id_of).collect();
        ids.iter().for_each(|id| self.remove_instance(id, now));
        let expired = |i: &&Instance| !i.deleting && i.released_at.is_some_and(|at| now >= at);
        let ids: Vec<String> = self.instances.values().filter(expired).map(id_of).collect();
        ids.iter().for_each(|id| self.delete_instance(id, now, &[]));
    }

    /// Begins to release an instance.
    pub(crate) fn delete_instance(&mut self, id: &str, now: Moment, causes: &[String]) {
        let delay = self.delays.delete_instance;
        // Whoever wants the images keeps the instance until they are there.
        let images = self.waits.made_from(id);
        let causes = [causes, &images].concat();
        let transition = self.begin("delete_instance", id, delay, now, &causes);
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.deleting = true;
        instance.status = InstanceStatus::Stopping;
        instance.transition = Some(transition);
        instance.sshd = None;
    }

    /// Takes all spot instances back.
    pub(crate) fn reclaim_spot_instances(&mut self, now: Moment) {
        let is_spot = |i: &&mut Instance| i.spot_strategy != "NoSpot" && !i.deleting;
        let mut ids = Vec::new();
        for instance in self.instances.values_mut().filter(is_spot) {
            instance.reclaimed = true;
            ids.push(instance.common.id.clone());
        }
        ids.iter().for_each(|id| self.delete_instance(id, now, &[]));
    }

    fn remove_instance(&mut self, id: &str, now: Moment) {
        let Some(instance) = self.instances.remove(id) else {
            return;
        };
        let (delay, cause) = (self.delays.eni_release, [id.to_owned()]);
        let release = self.begin("eni_release", &instance.vswitch, delay, now, &cause);
        self.lingering.push(LingeringInterface {
            security_groups: instance.security_groups,
            vswitch: instance.vswitch,
            until: release.ready,
        });
        self.disks
            .retain(|_, d| d.instance.as_deref() != Some(id) || !d.delete_with_instance);
        for disk in self.disks.values_mut() {
            if disk.instance.as_deref() == Some(id) {
                disk.instance = None;
            }
        }
        for eip in self.eips.values_mut() {
            if eip.instance.as_deref() == Some(id) && eip.status != EipStatus::Releasing {
                eip.instance = None;
                eip.status = EipStatus::Available;
                eip.transition = None;
            }
        }
    }

    /// Begins to power an instance off, from outside or inside.
    pub(crate) fn stop_instance(&mut self, id: &str, now: Moment, causes: &[String]) {
        let delay = self.delays.stop;
        // Whoever stops it was inside before, by way of these addresses.
        let causes = [causes, &self.eips_bound_to(id)].concat();
        let transition = self.begin("stop", id, delay, now, &causes);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.status = InstanceStatus::Stopping;
            instance.transition = Some(transition);
            instance.sshd = None;
        }
    }

    /// Begins to boot an instance; `what` names the transition in the report.
    pub(crate) fn boot_instance(
        &mut self,
        id: &str,
        what: &'static str,
        now: Moment,
        causes: &[String],
    ) {
        let delay = match what {
            "run" => self.delays.run,
            "reboot" => self.delays.reboot,
            _ => self.delays.start,
        };
        let transition = self.begin(what, id, delay, now, causes);
        let ready = transition.ready + self.draw("sshd", self.delays.sshd);
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        let sshd = Transition {
            began: transition.ready,
            ready,
        };
        let cause = [id.to_owned()];
        if instance.has_sshd {
            let span = (sshd.began, sshd.ready);
            self.waits.begin("sshd", id, span, &cause);
        }
        instance.sshd = instance.has_sshd.then_some(sshd);
        instance.transition = Some(transition);
        instance.starts = true;
        instance.boot += 1;
        instance.status = if what == "run" {
            InstanceStatus::Pending
        } else {
            InstanceStatus::Starting
        };
    }

    /// What the driver of an instance's machine has to do; `None` when the
    /// instance is gone.
    pub(crate) fn desired(&self, id: &str, now: Moment) -> Option<Desired> {
        let instance = self.instances.get(id)?;
        let powered = instance.is_powered();
        let accepts = powered && is_due(instance.sshd, now) && instance.has_sshd;
        let accepts = accepts && instance.status == InstanceStatus::Running;
        let due = instance.transition.iter().chain(&instance.sshd);
        let eips = self.eips.values();
        let changing = eips
            .filter(|eip| eip.instance.as_deref() == Some(id))
            .filter_map(|eip| eip.transition.map(|t| t.ready));
        let moments = due.map(|t| t.ready).chain(instance.released_at);
        Some(Desired {
            boot: powered.then_some(instance.boot),
            spec: self.boot_spec(instance),
            addresses: if accepts {
                self.addresses(instance)
            } else {
                BTreeSet::new()
            },
            next: moments.chain(changing).filter(|at| *at > now).min(),
        })
    }

    fn boot_spec(&self, instance: &Instance) -> BootSpec {
        let key = |name: &String| {
            let key = (instance.common.region.clone(), name.clone());
            let pair = self.key_pairs.get(&key)?;
            Some(format!("{} {name}", pair.public_key))
        };
        BootSpec {
            instance_id: instance.common.id.clone(),
            hostname: instance.host_name.clone(),
            disk: instance.disk.clone(),
            authorized_keys: instance.key_pair.iter().filter_map(key).collect(),
            password: instance.password.clone(),
            username: "root".to_owned(),
            rpm_family: instance.rpm_family,
            windows: instance.os_type == "windows",
            user_data: instance.user_data.as_deref().and_then(decode_user_data),
        }
    }

    fn addresses(&self, instance: &Instance) -> BTreeSet<IpAddr> {
        let eips = self.eips.values().filter(|eip| {
            eip.instance.as_deref() == Some(&instance.common.id) && eip.status == EipStatus::InUse
        });
        let public = eips.map(|eip| eip.address).chain(instance.public_address);
        let all = public.chain([instance.private_address]);
        all.map(IpAddr::V4).collect()
    }

    /// Notes that somebody used the SSH server of an instance, and with it the
    /// addresses that lead there.
    pub(crate) fn note_connection(&mut self, id: &str, now: Moment) {
        let addresses = self.eips_bound_to(id);
        self.waits.observe(now, |wait| match wait.what {
            "sshd" => wait.id == id,
            "eip_associate" => addresses.contains(&wait.id),
            _ => false,
        });
    }

    fn eips_bound_to(&self, id: &str) -> Vec<String> {
        let eips = self.eips.values();
        eips.filter(|eip| eip.instance.as_deref() == Some(id))
            .map(|eip| eip.common.id.clone())
            .collect()
    }

    /// The elastic address of an instance.
    fn eip_of(&self, id: &str) -> Option<&super::network::Eip> {
        let mut eips = self.eips.values();
        eips.find(|eip| eip.instance.as_deref() == Some(id) && eip.status == EipStatus::InUse)
    }
}

fn id_of(instance: &Instance) -> String {
    instance.common.id.clone()
}

fn decode_user_data(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(text).ok()
}

impl Instance {
    fn locks(&self) -> Vec<Value> {
        let recycling = || json!({"LockReason": "Recycling", "LockMsg": ""});
        self.reclaimed.then(recycling).into_iter().collect()
    }

    fn is_powered(&self) -> bool {
        match self.status {
            InstanceStatus::Pending => self.starts,
            InstanceStatus::Starting | InstanceStatus::Running => true,
            InstanceStatus::Stopping | InstanceStatus::Stopped => false,
        }
    }

    fn settle(&mut self, now: Moment) {
        if self.deleting {
            return;
        }
        let Some(transition) = self.transition else {
            return;
        };
        match self.status {
            // Seen from outside, an instance is Pending for a short while and
            // then Starting.
            InstanceStatus::Pending if self.starts && transition.percent(now) >= 20 => {
                self.status = InstanceStatus::Starting;
                self.settle(now);
            }
            InstanceStatus::Pending if !self.starts && transition.is_over(now) => {
                self.become_status(InstanceStatus::Stopped);
            }
            InstanceStatus::Starting if transition.is_over(now) => {
                self.become_status(InstanceStatus::Running);
            }
            InstanceStatus::Stopping if transition.is_over(now) && !self.machine_on => {
                self.become_status(InstanceStatus::Stopped);
            }
            _ => {}
        }
    }

    fn become_status(&mut self, status: InstanceStatus) {
        self.status = status;
        self.transition = None;
    }

    pub(crate) fn to_json(&self, cloud: &Cloud) -> Value {
        let kind = catalogue::instance_type(&self.instance_type);
        let family = self.instance_type.rsplit_once('.').map_or("", |p| p.0);
        let started = self.started.map(iso_minutes).unwrap_or_default();
        let mut shown = json!({
            "InstanceId": self.common.id,
            "InstanceName": self.common.name,
            "Description": self.common.description,
            "HostName": self.host_name,
            "RegionId": self.common.region,
            "ZoneId": self.zone,
            "Status": format!("{:?}", self.status),
            "InstanceType": self.instance_type,
            "InstanceTypeFamily": family,
            "Cpu": kind.map_or(0, |k| k.cpus),
            "Memory": kind.map_or(0.0, |k| k.memory_gib * 1024.0) as u64,
            "ImageId": self.image,
            "OSType": self.os_type,
            "OSName": self.image_os_name,
            "OSNameEn": self.image_os_name,
            "InstanceNetworkType": "vpc",
            "InstanceChargeType": "PostPaid",
            "InternetChargeType": self.internet_charge_type,
            "InternetMaxBandwidthOut": self.bandwidth_out,
            "InternetMaxBandwidthIn": 100,
            "IoOptimized": self.io_optimized,
            "SpotStrategy": self.spot_strategy,
            "DeploymentSetId": self.deployment_set,
            "DedicatedHostAttribute": {"DedicatedHostId": self.dedicated_host},
            "KeyPairName": self.key_pair.clone().unwrap_or_default(),
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso_minutes(self.common.created),
            "StartTime": started,
            "ExpiredTime": "2099-12-31T15:59Z",
            "AutoReleaseTime": self.release_time.map(iso_minutes).unwrap_or_default(),
            "DeletionProtection": false,
            "Recyclable": false,
            "DeviceAvailable": true,
            "StoppedMode": "Not-applicable",
            "SaleCycle": "",
            "ClusterId": "",
            "VlanId": "",
            "SerialNumber": uuid_like(&self.common.id),
            "Tags": {"Tag": tags_json(&self.common.tags)},
        });
        if let (Some(shown), Value::Object(network)) =
            (shown.as_object_mut(), self.network_json(cloud))
        {
            shown.extend(network);
        }
        shown
    }

    fn network_json(&self, cloud: &Cloud) -> Value {
        let eip = cloud.eip_of(&self.common.id);
        // The address is assigned a moment after the instance exists.
        let assigned = self.status != InstanceStatus::Pending;
        let private: Vec<String> = assigned
            .then(|| self.private_address.to_string())
            .into_iter()
            .collect();
        let public: Vec<String> = self
            .public_address
            .iter()
            .map(Ipv4Addr::to_string)
            .collect();
        json!({
            "OperationLocks": {"LockReason": self.locks()},
            "InnerIpAddress": {"IpAddress": []},
            "PublicIpAddress": {"IpAddress": public},
            "SecurityGroupIds": {"SecurityGroupId": self.security_groups},
            "EipAddress": {
                "AllocationId": eip.map_or("", |e| e.common.id.as_str()),
                "IpAddress": eip.map(|e| e.address.to_string()).unwrap_or_default(),
                "InternetChargeType": eip.map_or("", |e| e.charge_type.as_str()),
                "IsSupportUnassociate": true,
            },
            "VpcAttributes": {
                "VpcId": self.vpc,
                "VSwitchId": self.vswitch,
                "NatIpAddress": "",
                "PrivateIpAddress": {"IpAddress": private},
            },
        })
    }
}

fn uuid_like(id: &str) -> String {
    let hex = crate::signature::sha256_hex(id.as_bytes());
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32]
    )
}

impl Disk {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "DiskId": self.common.id,
            "DiskName": self.common.name,
            "Description": self.common.description,
            "RegionId": self.common.region,
            "ZoneId": self.zone,
            "Type": self.kind,
            "Category": self.category,
            "Size": self.size,
            "Device": self.device,
            "Status": if self.instance.is_some() { "In_use" } else { "Available" },
            "InstanceId": self.instance.clone().unwrap_or_default(),
            "ImageId": self.image,
            "SourceSnapshotId": self.snapshot,
            "Encrypted": self.encrypted,
            "DeleteWithInstance": self.delete_with_instance,
            "DeleteAutoSnapshot": true,
            "Portable": self.kind == "data",
            "DiskChargeType": "PostPaid",
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso(self.common.created),
            "OperationLocks": {"OperationLock": []},
            "Tags": {"Tag": tags_json(&self.common.tags)},
        })
    }
}

impl KeyPair {
    pub(crate) fn to_json(&self, with_public_key: bool) -> Value {
        json!({
            "KeyPairName": self.common.name,
            "KeyPairId": self.common.id,
            "KeyPairFingerPrint": self.fingerprint,
            "PublicKey": if with_public_key { self.public_key.as_str() } else { "" },
            "ResourceGroupId": self.common.resource_group,
            "CreationTime": iso_minutes(self.common.created),
            "Tags": {"Tag": tags_json(&self.common.tags)},
        })
    }
}

/// Tags as ECS answers them.
pub(crate) fn tags_json(tags: &Tags) -> Vec<Value> {
    tags.iter()
        .map(|(key, value)| json!({"TagKey": key, "TagValue": value}))
        .collect()
}
