//! The address to connect to: never empty, and never guessed.

use std::time::Duration;

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud::ecs::Instance;
use crate::cloud::vpc::{AllocateEipAddress, AssociateEipAddress, DescribeEipAddresses};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::plan::alicloud_ecs::Address;
use crate::template::source::Spanned;

const ADDRESS_LIMIT: Duration = Duration::from_secs(180);

/// An EIP to bind, temporary or the user's.
pub(super) struct Eip {
    allocation_id: String,
    ip_address: String,
}

impl AlicloudEcs<'_> {
    pub(super) async fn eip(&self, cx: &BuildContext<'_>) -> Result<Option<Eip>> {
        match &self.options.run.address {
            Address::TemporaryEip | Address::Private { also_eip: true } => {
                self.allocate_eip(cx).await.map(Some)
            }
            Address::Eip(id) => self.given_eip(cx, id).await.map(Some),
            Address::Private { also_eip: false } | Address::InstancePublicIp => Ok(None),
        }
    }

    /// Binds the EIP, if there is one, and says where to connect.
    pub(super) async fn host(
        &self,
        cx: &BuildContext<'_>,
        instance: &Instance,
        eip: Option<Eip>,
    ) -> Result<String> {
        let bound = match eip {
            Some(eip) => Some(self.associate(cx, instance, eip).await?),
            None => None,
        };
        match (&self.options.run.address, bound) {
            (Address::Private { .. }, _) => {
                self.wait_for_ip(cx, instance, Instance::private_ip).await
            }
            (Address::InstancePublicIp, _) => {
                self.wait_for_ip(cx, instance, Instance::public_ip).await
            }
            (_, Some(address)) => Ok(address),
            (_, None) => self.wait_for_ip(cx, instance, Instance::public_ip).await,
        }
    }

    async fn allocate_eip(&self, cx: &BuildContext<'_>) -> Result<Eip> {
        let run = &self.options.run;
        let name = self.name(cx, None, "eip");
        cx.events.say("Allocating EIP...");
        let request = |slot: &Slot| AllocateEipAddress {
            name: Some(name.clone()),
            bandwidth: run.internet_max_bandwidth_out,
            // Outside of China the API fails without a charge type.
            internet_charge_type: run
                .internet_charge_type
                .clone()
                .or_else(|| Some("PayByTraffic".to_owned())),
            resource_group_id: self.resource_group(),
            tag: self.tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::Eip, &name);
        let made = self
            .create(cx, intent, request, |made| &made.allocation_id)
            .await;
        let made = made.map_err(|error| error.context("Cannot allocate an EIP"))?;
        let eip = Eip {
            allocation_id: made.allocation_id,
            ip_address: made.eip_address,
        };
        cx.events
            .message(format!("Allocated EIP: {}", eip.ip_address));
        Ok(eip)
    }

    async fn given_eip(&self, cx: &BuildContext<'_>, id: &Spanned<String>) -> Result<Eip> {
        let request = DescribeEipAddresses {
            allocation_id: Some(id.value.clone()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        let Some(eip) = answer.eip_addresses.into_iter().next() else {
            let message = format!("EIP `{id}` was not found in {}", self.region());
            let error = Error::new(ErrorKind::Cloud, message).at(id.span);
            return Err(error.with_hint("Check `eip_id` and the region"));
        };
        if eip.status != "Available" {
            let message = format!(
                "EIP `{id}` is {} and bound to {}",
                eip.status, eip.instance_id
            );
            let error = Error::new(ErrorKind::Cloud, message).at(id.span);
            return Err(error.with_hint("Name an EIP that is free, or leave `eip_id` out"));
        }
        cx.events.message(format!("Using EIP: {}", eip.ip_address));
        Ok(Eip {
            allocation_id: eip.allocation_id,
            ip_address: eip.ip_address,
        })
    }

    /// Binding needs no waiting of its own: the first SSH connection tells
    /// that it is done.
    async fn associate(
        &self,
        cx: &BuildContext<'_>,
        instance: &Instance,
        eip: Eip,
    ) -> Result<String> {
        let Eip {
            allocation_id,
            ip_address,
        } = eip;
        let binding = format!("{allocation_id}/{}", instance.instance_id);
        cx.events.say(format!(
            "Associating EIP {ip_address} with instance {}",
            instance.instance_id
        ));
        let intent = self.intent(cx, Kind::EipAssociation, &binding);
        cx.journal
            .create(cx.events, intent, async |slot| {
                let request = AssociateEipAddress {
                    allocation_id: allocation_id.clone(),
                    instance_id: instance.instance_id.clone(),
                    ..Default::default()
                };
                let token = slot.permit.client_token();
                self.cloud
                    .call_with_token(self.region(), &request, token, cx.stop)
                    .await?;
                Ok((binding.clone(), ()))
            })
            .await
            .map_err(|error| {
                error.context(format!(
                    "Cannot bind EIP {allocation_id} to {}",
                    instance.instance_id
                ))
            })?;
        Ok(ip_address)
    }

    /// An address may be missing from the first listings of an instance.
    async fn wait_for_ip(
        &self,
        cx: &BuildContext<'_>,
        instance: &Instance,
        ip: impl Fn(&Instance) -> Option<&str>,
    ) -> Result<String> {
        if let Some(address) = ip(instance) {
            return Ok(address.to_owned());
        }
        let id = &instance.instance_id;
        let what = format!("waiting for instance {id} to have an address");
        wait::until(cx.stop, ADDRESS_LIMIT, Pace::ADDRESS, &what, async || {
            let instance = self.describe_instance(cx, id).await?;
            let address = instance.as_ref().and_then(&ip).map(str::to_owned);
            Ok(address.map_or(Poll::Pending, Poll::Ready))
        })
        .await
    }
}
