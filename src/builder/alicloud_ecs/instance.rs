//! The temporary instance: started, waited for, brought to rest.

use std::cell::Cell;
use std::time::Duration;

use super::AlicloudEcs;
use super::check::Checked;
use super::key_pair::NamedKeyPair;
use super::network::Network;
use crate::builder::{BuildContext, Machine};
use crate::cloud;
use crate::cloud::JsonList;
use crate::cloud::ecs::{
    DataDisk, DescribeInstances, DetachKeyPair, Instance, RebootInstance, RunInstances,
    StopInstance, SystemDisk,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::plan::alicloud_ecs::{Address, Disk};

/// As long as Packer waits for an instance to start or stop.
const STATE_LIMIT: Duration = Duration::from_secs(1800);
/// How often an instance that was just made may be missing from listings.
const MISSING_PROBES: u32 = 12;

impl AlicloudEcs<'_> {
    /// Starts the instance, in the next zone when one has no stock, and waits
    /// until it runs.
    pub(super) async fn launch(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
        mut network: Network,
        key_pair: Option<&NamedKeyPair>,
    ) -> Result<Instance> {
        cx.events.say("Creating instance...");
        let id = loop {
            match self.run_instances(cx, checked, &network, key_pair).await {
                Ok(id) => break id,
                Err(error) if cloud::is_code(&error, NO_STOCK) => {
                    let zone = network.zone_id.clone().unwrap_or_default();
                    cx.events.message(format!(
                        "Zone {zone} has no {} left",
                        self.options.run.instance_type
                    ));
                    network = self.next_zone(cx, network).await?.ok_or(error)?;
                }
                Err(error) => return Err(error),
            }
        };
        cx.events.message(format!("Created instance: {id}"));
        self.wait_for_status(cx, &id, "Running", Pace::INSTANCE_RUNNING)
            .await
    }

    async fn run_instances(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
        network: &Network,
        key_pair: Option<&NamedKeyPair>,
    ) -> Result<String> {
        let name = self.name(cx, self.options.run.instance_name.as_ref(), "instance");
        let intent = self.intent(cx, Kind::Instance, &name);
        let request = |slot: &Slot| self.request(cx, checked, network, key_pair, &name, slot);
        let made = self.create(cx, intent, request, |made| {
            made.instance_ids.first().map_or("", String::as_str)
        });
        let made = made
            .await
            .map_err(|error| self.explain_launch(error, network))?;
        Ok(made.instance_ids.into_iter().next().unwrap_or_default())
    }

    fn request(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
        network: &Network,
        key_pair: Option<&NamedKeyPair>,
        name: &str,
        slot: &Slot,
    ) -> RunInstances {
        let run = &self.options.run;
        RunInstances {
            image_id: Some(checked.source_image.clone()),
            instance_type: run.instance_type.value.clone(),
            instance_name: Some(name.to_owned()),
            amount: Some(1),
            min_amount: Some(1),
            zone_id: network.zone_id.clone(),
            security_group_id: Some(network.security_group_id.clone()),
            vswitch_id: Some(network.vswitch_id.clone()),
            internet_charge_type: run.internet_charge_type.clone(),
            internet_max_bandwidth_out: self.own_bandwidth(),
            key_pair_name: key_pair.map(|key_pair| key_pair.name.clone()),
            password: run.password.clone(),
            user_data: run.user_data.clone(),
            ram_role_name: run
                .ecs_ram_role_name
                .as_ref()
                .map(|role| role.value.clone()),
            io_optimized: run
                .io_optimized
                .map(|optimized| if optimized { "optimized" } else { "none" }.to_owned()),
            security_enhancement_strategy: run.security_enhancement_strategy.clone(),
            system_disk: system_disk(&run.system_disk),
            data_disk: run.data_disks.iter().map(data_disk).collect(),
            auto_release_time: Some(cx.tags.expires_at_text()),
            resource_group_id: self.resource_group(),
            tag: self.tags(cx, slot),
            ..Default::default()
        }
    }

    /// An EIP cannot be bound to an instance that has a public address of its
    /// own, so it is only asked for when it is the one to connect to.
    fn own_bandwidth(&self) -> Option<u32> {
        let wanted = matches!(self.options.run.address, Address::InstancePublicIp);
        self.options
            .run
            .internet_max_bandwidth_out
            .filter(|_| wanted)
    }

    fn explain_launch(&self, error: Error, network: &Network) -> Error {
        let run = &self.options.run;
        let span = match cloud::code_of(&error).unwrap_or_default() {
            code if code.contains("RamRole") || code.contains("PassRole") => {
                run.ecs_ram_role_name.as_ref().and_then(|role| role.span)
            }
            code if code.starts_with("InvalidDataDiskSnapshotId") || code.contains("Snapshot") => {
                run.data_disks
                    .iter()
                    .find_map(|disk| disk.snapshot_id.as_ref()?.span)
            }
            code if code.contains("KeyPair") => {
                run.ssh_keypair_name.as_ref().and_then(|name| name.span)
            }
            _ => run.instance_type.span,
        };
        let zone = network.zone_id.as_deref().unwrap_or("a zone of its choice");
        error
            .context(format!(
                "Cannot start an instance of type {} in {zone}",
                run.instance_type
            ))
            .at(span)
    }

    pub(super) async fn describe_instance(
        &self,
        cx: &BuildContext<'_>,
        id: &str,
    ) -> Result<Option<Instance>> {
        let request = DescribeInstances {
            instance_ids: Some(JsonList::one(id)),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        Ok(answer.instances.into_iter().next())
    }

    pub(super) async fn wait_for_status(
        &self,
        cx: &BuildContext<'_>,
        id: &str,
        wanted: &str,
        pace: Pace,
    ) -> Result<Instance> {
        let missing = Cell::new(0);
        let what = format!("waiting for instance {id} to be {wanted}");
        wait::until(cx.stop, STATE_LIMIT, pace, &what, async || {
            let Some(instance) = self.describe_instance(cx, id).await? else {
                missing.set(missing.get() + 1);
                let is_gone = missing.get() > MISSING_PROBES;
                return if is_gone {
                    Err(self.vanished(id))
                } else {
                    Ok(Poll::Pending)
                };
            };
            missing.set(0);
            if instance.status == wanted {
                return Ok(Poll::Ready(instance));
            }
            match instance.operation_locks.first() {
                Some(lock) => Err(self.locked(id, &lock.lock_reason)),
                None => Ok(Poll::Pending),
            }
        })
        .await
    }

    fn vanished(&self, id: &str) -> Error {
        Error::new(
            ErrorKind::FailedState,
            format!("Instance {id} is gone from {}", self.region()),
        )
        .with_hint(
            "Somebody released it, or its type was reclaimed; see ActionTrail in the console",
        )
    }

    fn locked(&self, id: &str, reason: &str) -> Error {
        Error::new(
            ErrorKind::FailedState,
            format!("Instance {id} in {} is locked: {reason}", self.region()),
        )
        .with_hint("`financial` means an overdue payment, `security` a security incident")
    }

    pub(super) async fn stop_instance(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
    ) -> Result<()> {
        let (image, run) = (&self.options.image, &self.options.run);
        if image.delete_ssh_private_key && machine.key_pair.is_some() {
            self.take_key_off(cx, machine).await?;
        }
        if run.disable_stop {
            cx.events.say(format!(
                "Waiting for instance {} to stop by itself...",
                machine.id
            ));
        } else {
            cx.events.say(format!("Stopping instance: {}", machine.id));
            let request = StopInstance {
                instance_id: machine.id.clone(),
                force_stop: Some(run.force_stop),
                ..Default::default()
            };
            self.cloud.call(self.region(), &request, cx.stop).await?;
        }
        let outcome = self
            .wait_for_status(cx, &machine.id, "Stopped", Pace::INSTANCE_STOPPED)
            .await;
        outcome.map(drop).map_err(|error| match error.kind() {
            ErrorKind::Timeout if run.disable_stop => error.with_hint(
                "With `disable_stop_instance` a provisioner must stop the instance, for example by \
                 `shutdown -h now` with `expect_disconnect`",
            ),
            _ => error,
        })
    }

    /// The key pair leaves the instance at its next start.
    async fn take_key_off(&self, cx: &BuildContext<'_>, machine: &Machine) -> Result<()> {
        cx.events.say(format!(
            "Detaching the key pair and rebooting instance: {}",
            machine.id
        ));
        let instance = self.describe_instance(cx, &machine.id).await?;
        let Some(instance) = instance else {
            return Err(self.vanished(&machine.id));
        };
        let detach = DetachKeyPair {
            key_pair_name: instance.key_pair_name,
            instance_ids: JsonList::one(&machine.id),
        };
        self.cloud.call(self.region(), &detach, cx.stop).await?;
        let reboot = RebootInstance {
            instance_id: machine.id.clone(),
            ..Default::default()
        };
        self.cloud.call(self.region(), &reboot, cx.stop).await?;
        self.wait_for_status(cx, &machine.id, "Running", Pace::INSTANCE_RUNNING)
            .await
            .map(drop)
    }
}

/// A zone that has nothing left, although it was listed.
const NO_STOCK: &[&str] = &[
    "OperationDenied.NoStock",
    "Zone.NotOnSale",
    "ResourceNotAvailable",
    "InvalidResourceType.NotSupported",
    "InvalidInstanceType.ZoneNotSupported",
];

fn system_disk(disk: &Disk) -> SystemDisk {
    SystemDisk {
        category: disk.category.clone(),
        size: disk.size_gib,
        disk_name: disk.name.clone(),
        description: disk.description.clone(),
        encrypted: disk.encrypted.filter(|encrypted| *encrypted),
        kms_key_id: disk.kms_key_id.clone(),
        ..Default::default()
    }
}

/// A data disk goes with the instance unless the template says otherwise:
/// Alibaba Cloud's own default would leave it behind, billed.
fn data_disk(disk: &Disk) -> DataDisk {
    DataDisk {
        category: disk.category.clone(),
        size: disk.size_gib,
        disk_name: disk.name.clone(),
        description: disk.description.clone(),
        device: disk.device.clone(),
        snapshot_id: disk.snapshot_id.as_ref().map(|id| id.value.clone()),
        delete_with_instance: Some(disk.delete_with_instance.unwrap_or(true)),
        encrypted: disk.encrypted.filter(|encrypted| *encrypted),
        kms_key_id: disk.kms_key_id.clone(),
        ..Default::default()
    }
}
