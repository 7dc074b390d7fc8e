//! The temporary instance: started, waited for, brought to rest.

use std::cell::Cell;
use std::time::Duration;

use super::AlicloudEcs;
use super::check::Checked;
use super::key_pair::NamedKeyPair;
use super::network::{NO_SUCH_ZONE, Network};
use super::zone::{Offer, nowhere};
use crate::builder::{BuildContext, Machine};
use crate::cloud;
use crate::cloud::JsonList;
use crate::cloud::ecs::{
    DataDisk, DescribeInstances, DetachKeyPair, ImageOptions, Instance, RebootInstance,
    RunInstances, StopInstance, SystemDisk,
};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::plan::alicloud_ecs::{Address, Disk, Source};
use crate::template::source::Spanned;

/// As long as Packer waits for an instance to start or stop.
const STATE_LIMIT: Duration = Duration::from_secs(1800);
/// How often an instance that was just made may be missing from listings.
const MISSING_PROBES: u32 = 12;

impl AlicloudEcs<'_> {
    /// Starts the instance as the first of the offers that is in stock after
    /// all, and waits until it runs.
    pub(super) async fn launch(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
        mut network: Network,
        key_pair: Option<&NamedKeyPair>,
    ) -> Result<Instance> {
        cx.events.say("Creating instance...");
        let mut failure = nowhere(&self.options.run.instance_types, self.region());
        // The network begins where the first zone took a vSwitch.
        let offers = checked.offers.iter();
        let first = offers
            .clone()
            .position(|offer| offer.zone.is_none() || offer.zone == network.zone_id);
        let mut tried = None;
        for offer in offers.skip(first.unwrap_or(0)) {
            let kind = &offer.instance_type;
            if tried
                .replace(kind)
                .is_some_and(|tried| tried.value != kind.value)
            {
                cx.events.say(format!("Trying instance type {kind}..."));
            }
            let started = self.start(cx, checked, offer, &mut network, key_pair);
            match started.await {
                Ok(id) => {
                    self.note_instance(Some(&id));
                    cx.events.message(format!("Created instance: {id}"));
                    return self
                        .wait_for_status(cx, &id, "Running", Pace::INSTANCE_RUNNING)
                        .await;
                }
                Err(error) if is_shortage(&error) => {
                    cx.events.message(shortage(&error, offer, &network));
                    failure = error;
                }
                Err(error) => return Err(self.explain_image(cx, error).await),
            }
        }
        Err(failure)
    }

    async fn start(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
        offer: &Offer,
        network: &mut Network,
        key_pair: Option<&NamedKeyPair>,
    ) -> Result<String> {
        if let Some(zone) = &offer.zone {
            self.move_to(cx, network, zone).await?;
        }
        let name = self.name(cx, self.options.run.instance_name.as_ref(), "instance");
        let intent = self.intent(cx, Kind::Instance, &name);
        let request = |slot: &Slot| RunInstances {
            image_id: Some(checked.source_image.clone()),
            instance_type: offer.instance_type.value.clone(),
            instance_name: Some(name.clone()),
            key_pair_name: key_pair.map(|key_pair| key_pair.name.clone()),
            auto_release_time: Some(cx.tags.expires_at_text()),
            tag: self.tags(cx, slot),
            ..self.request(network)
        };
        let made = self.create(cx, intent, request, |made| {
            made.instance_ids.first().map_or("", String::as_str)
        });
        let made = made.await;
        let made = made.map_err(|error| self.explain_launch(error, offer, network))?;
        Ok(made.instance_ids.into_iter().next().unwrap_or_default())
    }

    /// What is the same for every offer.
    fn request(&self, network: &Network) -> RunInstances {
        let run = &self.options.run;
        let value = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
        let spot = run.spot.as_ref();
        RunInstances {
            description: run.description.clone(),
            amount: Some(1),
            min_amount: Some(1),
            zone_id: network.zone_id.clone(),
            security_group_id: Some(network.security_group_id.clone()),
            vswitch_id: Some(network.vswitch_id.clone()),
            internet_charge_type: run.internet_charge_type.clone(),
            internet_max_bandwidth_out: self.own_bandwidth(),
            password: run.password.clone(),
            user_data: run.user_data.clone(),
            ram_role_name: value(&run.ecs_ram_role_name),
            io_optimized: run
                .io_optimized
                .map(|optimized| if optimized { "optimized" } else { "none" }.to_owned()),
            security_enhancement_strategy: run.security_enhancement_strategy.clone(),
            system_disk: system_disk(&run.system_disk),
            data_disk: run.data_disks.iter().map(data_disk).collect(),
            image_options: ImageOptions {
                login_as_non_root: run.login_as_non_root.as_ref().map(|wanted| wanted.value),
            },
            http_endpoint: run.http_endpoint.clone(),
            http_tokens: run.http_tokens.clone(),
            instance_charge_type: spot.map(|_| "PostPaid".to_owned()),
            spot_strategy: spot.map(|spot| spot.strategy().to_owned()),
            spot_price_limit: spot.and_then(|spot| spot.price_limit.clone()),
            spot_duration: spot.and_then(|spot| spot.duration),
            deployment_set_id: value(&run.deployment_set_id),
            dedicated_host_id: value(&run.dedicated_host_id),
            ipv6_address_count: run.ipv6_addresses.as_ref().map(|count| count.value),
            credit_specification: run.credit_specification.clone(),
            resource_group_id: self.resource_group(),
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

    fn explain_launch(&self, error: Error, offer: &Offer, network: &Network) -> Error {
        let run = &self.options.run;
        let of = |named: &Option<Spanned<String>>| named.as_ref().and_then(|text| text.span);
        let span = match cloud::code_of(&error).unwrap_or_default() {
            code if code.contains("RamRole") || code.contains("PassRole") => {
                of(&run.ecs_ram_role_name)
            }
            code if code.starts_with("InvalidDataDiskSnapshotId") || code.contains("Snapshot") => {
                run.data_disks
                    .iter()
                    .find_map(|disk| disk.snapshot_id.as_ref()?.span)
            }
            code if code.contains("KeyPair") => of(&run.ssh_keypair_name),
            code if code.contains("DeploymentSet") => of(&run.deployment_set_id),
            code if code.contains("DedicatedHost") => of(&run.dedicated_host_id),
            code if code.contains("Ipv6") => {
                run.ipv6_addresses.as_ref().and_then(|count| count.span)
            }
            code if code.starts_with("InvalidImageId") => match &run.source {
                Source::Image(id) => id.span,
                _ => None,
            },
            _ => offer.instance_type.span,
        };
        let zone = network.zone_id.as_deref().unwrap_or("a zone of its choice");
        let kind = &offer.instance_type;
        error
            .context(format!("Cannot start an instance of type {kind} in {zone}"))
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

    async fn wait_for_status(
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

/// Why an offer is not to be had: the zone has nothing left although it was
/// listed, or asks more than the template gives.
const NO_STOCK: &[&str] = &[
    TOO_DEAR,
    "OperationDenied.NoStock",
    "Zone.NotOnSale",
    "InvalidResourceType.NotSupported",
    "InvalidInstanceType.ZoneNotSupported",
    NOT_OF_HOST,
];

/// The dedicated host is in another zone.
const NOT_OF_HOST: &str = "ResourcesNotInSameZone";

/// The market's price is above `spot_price_limit`.
const TOO_DEAR: &str = "InvalidSpotPriceLimit.LowerThanPublicPrice";

fn is_shortage(error: &Error) -> bool {
    cloud::is_code(error, NO_STOCK) || cloud::is_code(error, NO_SUCH_ZONE)
}

/// The notice about an offer that is not to be had.
fn shortage(error: &Error, offer: &Offer, network: &Network) -> String {
    let zone = offer.zone.as_ref().or(network.zone_id.as_ref());
    let zone = zone.map_or("", String::as_str);
    let kind = &offer.instance_type;
    if cloud::is_code(error, NO_SUCH_ZONE) {
        return format!("Zone {zone} takes no vSwitch or instance");
    }
    if cloud::is_code(error, &[TOO_DEAR]) {
        return format!("Zone {zone} has {kind} only above `spot_price_limit`");
    }
    if cloud::is_code(error, &[NOT_OF_HOST]) {
        return format!("Zone {zone} is not the one of the dedicated host");
    }
    format!("Zone {zone} has no {kind} left")
}

fn system_disk(disk: &Disk) -> SystemDisk {
    SystemDisk {
        category: disk.category.clone(),
        size: disk.size_gib,
        disk_name: disk.name.clone(),
        description: disk.description.clone(),
        performance_level: disk.performance_level.clone(),
        provisioned_iops: disk.provisioned_iops,
        bursting_enabled: disk.bursting_enabled,
        encrypted: disk.encrypted.filter(|encrypted| *encrypted),
        kms_key_id: disk.kms_key_id.clone(),
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
        performance_level: disk.performance_level.clone(),
        provisioned_iops: disk.provisioned_iops,
        bursting_enabled: disk.bursting_enabled,
        encrypted: disk.encrypted.filter(|encrypted| *encrypted),
        kms_key_id: disk.kms_key_id.clone(),
    }
}
