//! The network of the temporary instance: the user's, or one made for it.

use std::collections::BTreeSet;

use futures_util::future::OptionFuture;

use super::cidr::Cidr;
use super::zone::Offer;
use super::{AlicloudEcs, NETWORK_LIMIT};
use crate::builder::BuildContext;
use crate::cloud;
use crate::cloud::ecs::{
    AuthorizeSecurityGroup, CreateSecurityGroup, DescribeSecurityGroups, Permission, SecurityGroup,
};
use crate::cloud::vpc::{CreateVSwitch, CreateVpc, DescribeVSwitches, DescribeVpcs, VSwitch, Vpc};
use crate::cloud::wait::{self, Pace, Poll};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::template::source::Spanned;

/// Where the instance will be.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) vswitch_id: String,
    pub(super) zone_id: Option<String>,
    pub(super) security_group_id: String,
    vpc: Vpc,
    /// What there is already, by zone.
    vswitches: Vec<VSwitch>,
}

/// A zone that is not there, or that takes no vSwitch.
pub(super) const NO_SUCH_ZONE: &[&str] = &["InvalidZoneId*", "ResourceNotAvailable"];

/// What the API gives a VPC without a range of its own.
const DEFAULT_VPC_CIDR: &str = "172.16.0.0/12";

impl AlicloudEcs<'_> {
    /// The network; its vSwitch is in the first zone that takes one, unless the
    /// template names it.
    pub(super) async fn network(&self, cx: &BuildContext<'_>, offers: &[Offer]) -> Result<Network> {
        let (vpc, vswitch, group) = self.given(cx).await?;
        let vpc = match vpc {
            Some(vpc) => vpc,
            None => self.create_vpc(cx).await?,
        };
        let (vswitch, group) = tokio::join!(
            async {
                match vswitch {
                    Some(vswitch) => Ok(vswitch),
                    None => self.first_vswitch(cx, &vpc, offers).await,
                }
            },
            async {
                match group {
                    Some(group) => Ok(group.security_group_id),
                    None => self.create_security_group(cx, &vpc).await,
                }
            },
        );
        let vswitch = vswitch?;
        Ok(Network {
            zone_id: Some(vswitch.zone_id.clone()).filter(|zone| !zone.is_empty()),
            vswitch_id: vswitch.vswitch_id.clone(),
            security_group_id: group?,
            vswitches: vec![vswitch],
            vpc,
        })
    }

    /// Moves to a zone, in a vSwitch of its own. The old vSwitch is kept: the
    /// next instance type may be in stock there.
    pub(super) async fn move_to(
        &self,
        cx: &BuildContext<'_>,
        network: &mut Network,
        zone: &String,
    ) -> Result<()> {
        if network.zone_id.as_ref() == Some(zone) {
            return Ok(());
        }
        cx.events.say(format!("Trying zone {zone}..."));
        let known = network.vswitches.iter();
        let vswitch = match known.clone().find(|vswitch| vswitch.zone_id == *zone) {
            Some(vswitch) => vswitch.clone(),
            None => {
                let taken: Vec<_> = known.filter_map(range_of).collect();
                let made = self.create_vswitch(cx, &network.vpc, Some(zone), &taken);
                let made = made.await?;
                network.vswitches.push(made.clone());
                made
            }
        };
        network.vswitch_id = vswitch.vswitch_id;
        network.zone_id = Some(zone.clone());
        Ok(())
    }

    /// The user's own parts of the network. A vSwitch or security group tells
    /// its VPC, so that none is made beside it.
    async fn given(
        &self,
        cx: &BuildContext<'_>,
    ) -> Result<(Option<Vpc>, Option<VSwitch>, Option<SecurityGroup>)> {
        let run = &self.options.run;
        let (vpc, vswitch, group) = tokio::join!(
            OptionFuture::from(run.vpc_id.as_ref().map(|id| self.describe_vpc(cx, id))),
            OptionFuture::from(
                run.vswitch_id
                    .as_ref()
                    .map(|id| self.describe_vswitch(cx, id))
            ),
            OptionFuture::from(
                run.security_group_id
                    .as_ref()
                    .map(|id| self.describe_group(cx, id))
            ),
        );
        let (mut vpc, vswitch, group) =
            (vpc.transpose()?, vswitch.transpose()?, group.transpose()?);
        if vpc.is_none() {
            let told = vswitch.as_ref().map(|vswitch| &vswitch.vpc_id);
            let told = told.or(group.as_ref().map(|group| &group.vpc_id));
            if let Some(id) = told {
                vpc = Some(
                    self.describe_vpc(cx, &Spanned::default_value(id.clone()))
                        .await?,
                );
            }
        }
        if let Some(vpc) = &vpc {
            let of_vswitch = vswitch.as_ref().map(|vswitch| vswitch.vpc_id.as_str());
            in_vpc(run.vswitch_id.as_ref(), of_vswitch, "vSwitch", vpc)?;
            let of_group = group.as_ref().map(|group| group.vpc_id.as_str());
            in_vpc(
                run.security_group_id.as_ref(),
                of_group,
                "Security group",
                vpc,
            )?;
        }
        Ok((vpc, vswitch, group))
    }

    async fn describe_vpc(&self, cx: &BuildContext<'_>, id: &Spanned<String>) -> Result<Vpc> {
        let request = DescribeVpcs {
            vpc_id: Some(id.value.clone()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        self.the_one(answer.vpcs, "VPC", id)
    }

    async fn describe_vswitch(
        &self,
        cx: &BuildContext<'_>,
        id: &Spanned<String>,
    ) -> Result<VSwitch> {
        let request = DescribeVSwitches {
            vswitch_id: Some(id.value.clone()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        self.the_one(answer.vswitches, "vSwitch", id)
    }

    async fn describe_group(
        &self,
        cx: &BuildContext<'_>,
        id: &Spanned<String>,
    ) -> Result<SecurityGroup> {
        let request = DescribeSecurityGroups {
            security_group_id: Some(id.value.clone()),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        let group = self.the_one(answer.security_groups, "Security group", id)?;
        if group.vpc_id.is_empty() {
            let message = format!("Security group {id} belongs to the classic network");
            let hint = "Name a security group of a VPC, or leave `security_group_id` out";
            return Err(Error::new(ErrorKind::Cloud, message)
                .at(id.span)
                .with_hint(hint));
        }
        Ok(group)
    }

    fn the_one<T>(&self, found: Vec<T>, what: &str, id: &Spanned<String>) -> Result<T> {
        found.into_iter().next().ok_or_else(|| {
            let message = format!("{what} `{id}` was not found in {}", self.region());
            let hint = "Check the id and the region; leave the option out to have one made \
                        for the build";
            Error::new(ErrorKind::Cloud, message)
                .at(id.span)
                .with_hint(hint)
        })
    }

    async fn create_vpc(&self, cx: &BuildContext<'_>) -> Result<Vpc> {
        let run = &self.options.run;
        let name = self.name(cx, run.vpc_name.as_ref(), "vpc");
        let cidr = run.vpc_cidr_block.as_ref();
        cx.events.say("Creating VPC...");
        let request = |slot: &Slot| CreateVpc {
            cidr_block: cidr.map(|cidr| cidr.value.clone()),
            vpc_name: Some(name.clone()),
            resource_group_id: self.resource_group(),
            tag: self.tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::Vpc, &name);
        let made = self.create(cx, intent, request, |made| &made.vpc_id).await;
        let vpc_id = made
            .map_err(|error| {
                error
                    .context("Cannot create a VPC")
                    .at(cidr.and_then(|cidr| cidr.span))
            })?
            .vpc_id;
        cx.events.message(format!("Created VPC: {vpc_id}"));
        self.wait_for_vpc(cx, &vpc_id).await
    }

    async fn wait_for_vpc(&self, cx: &BuildContext<'_>, id: &str) -> Result<Vpc> {
        let request = DescribeVpcs {
            vpc_id: Some(id.to_owned()),
            ..Default::default()
        };
        let what = format!("waiting for VPC {id} to be available");
        let mut vpc = wait::until(cx.stop, NETWORK_LIMIT, Pace::VPC, &what, async || {
            let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
            Ok(ready(
                answer
                    .vpcs
                    .into_iter()
                    .find(|vpc| vpc.status == "Available"),
            ))
        })
        .await?;
        if vpc.cidr_block.is_empty() {
            DEFAULT_VPC_CIDR.clone_into(&mut vpc.cidr_block);
        }
        Ok(vpc)
    }

    async fn first_vswitch(
        &self,
        cx: &BuildContext<'_>,
        vpc: &Vpc,
        offers: &[Offer],
    ) -> Result<VSwitch> {
        let mut zones: Vec<_> = offers.iter().map(|offer| offer.zone.as_ref()).collect();
        let mut seen = BTreeSet::new();
        zones.retain(|zone| seen.insert(*zone));
        let last = zones.pop().flatten();
        for zone in zones {
            match self.create_vswitch(cx, vpc, zone, &[]).await {
                Err(error) if cloud::is_code(&error, NO_SUCH_ZONE) => {}
                outcome => return outcome,
            }
        }
        self.create_vswitch(cx, vpc, last, &[]).await
    }

    /// Makes a vSwitch in a range nothing else uses; `taken` are those of this
    /// build.
    async fn create_vswitch(
        &self,
        cx: &BuildContext<'_>,
        vpc: &Vpc,
        zone: Option<&String>,
        taken: &[Cidr],
    ) -> Result<VSwitch> {
        let zone_id = zone.cloned().unwrap_or_default();
        let taken = [taken, &self.taken_ranges(cx, vpc).await?].concat();
        let cidr_block = free_range(vpc, &taken)?;
        let name = self.name(cx, self.options.run.vswitch_name.as_ref(), "vswitch");
        cx.events.say(format!("Creating vSwitch in {zone_id}..."));
        let request = |slot: &Slot| CreateVSwitch {
            vpc_id: vpc.vpc_id.clone(),
            zone_id: zone_id.clone(),
            cidr_block: cidr_block.clone(),
            vswitch_name: Some(name.clone()),
            tag: self.tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::VSwitch, &name);
        let made = self
            .create(cx, intent, request, |made| &made.vswitch_id)
            .await;
        let id = made
            .map_err(|error| {
                let vpc = &vpc.vpc_id;
                error.context(format!("Cannot create a vSwitch in VPC {vpc} in {zone_id}"))
            })?
            .vswitch_id;
        cx.events.message(format!("Created vSwitch: {id}"));
        self.wait_for_vswitch(cx, &id).await
    }

    async fn wait_for_vswitch(&self, cx: &BuildContext<'_>, id: &str) -> Result<VSwitch> {
        let request = DescribeVSwitches {
            vswitch_id: Some(id.to_owned()),
            ..Default::default()
        };
        let what = format!("waiting for vSwitch {id} to be available");
        wait::until(cx.stop, NETWORK_LIMIT, Pace::VSWITCH, &what, async || {
            let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
            Ok(ready(
                answer
                    .vswitches
                    .into_iter()
                    .find(|vswitch| vswitch.status == "Available"),
            ))
        })
        .await
    }

    /// What others use in a VPC of the user.
    async fn taken_ranges(&self, cx: &BuildContext<'_>, vpc: &Vpc) -> Result<Vec<Cidr>> {
        if self.options.run.vpc_id.is_none() && self.options.run.security_group_id.is_none() {
            return Ok(Vec::new());
        }
        let request = DescribeVSwitches {
            vpc_id: Some(vpc.vpc_id.clone()),
            ..Default::default()
        };
        let vswitches = self.cloud.list(self.region(), &request, cx.stop).await?;
        Ok(vswitches.iter().filter_map(range_of).collect())
    }

    async fn create_security_group(&self, cx: &BuildContext<'_>, vpc: &Vpc) -> Result<String> {
        let name = self.name(cx, self.options.run.security_group_name.as_ref(), "sg");
        cx.events.say("Creating security group...");
        let request = |slot: &Slot| CreateSecurityGroup {
            security_group_name: Some(name.clone()),
            vpc_id: Some(vpc.vpc_id.clone()),
            resource_group_id: self.resource_group(),
            tag: self.tags(cx, slot),
            ..Default::default()
        };
        let intent = self.intent(cx, Kind::SecurityGroup, &name);
        let made = self
            .create(cx, intent, request, |made| &made.security_group_id)
            .await;
        let id = made
            .map_err(|error| {
                error.context(format!(
                    "Cannot create a security group in VPC {}",
                    vpc.vpc_id
                ))
            })?
            .security_group_id;
        cx.events.message(format!("Created security group: {id}"));
        self.let_us_in(cx, &id).await?;
        Ok(id)
    }

    /// Opens the communicator's port and nothing else.
    async fn let_us_in(&self, cx: &BuildContext<'_>, group: &str) -> Result<()> {
        let Some(port) = self.communicator.port() else {
            return Ok(());
        };
        let sources = &self.options.run.security_group_source_cidrs;
        let permissions = sources.iter().map(|source| Permission {
            ip_protocol: "TCP".to_owned(),
            port_range: format!("{port}/{port}"),
            source_cidr_ip: Some(source.clone()),
            ..Default::default()
        });
        let request = AuthorizeSecurityGroup {
            security_group_id: group.to_owned(),
            permissions: permissions.collect(),
        };
        let outcome = self.cloud.call(self.region(), &request, cx.stop).await;
        let context = |error: Error| error.context(format!("Cannot open security group {group}"));
        outcome.map(drop).map_err(context)
    }
}

fn range_of(vswitch: &VSwitch) -> Option<Cidr> {
    Cidr::parse(&vswitch.cidr_block)
}

fn ready<T>(found: Option<T>) -> Poll<T> {
    found.map_or(Poll::Pending, Poll::Ready)
}

fn free_range(vpc: &Vpc, taken: &[Cidr]) -> Result<String> {
    let free = Cidr::parse(&vpc.cidr_block).and_then(|cidr| cidr.free_subnet(taken));
    free.map(|cidr| cidr.to_string()).ok_or_else(|| {
        let message = format!(
            "VPC {} ({}) has no free range for a vSwitch",
            vpc.vpc_id, vpc.cidr_block
        );
        Error::new(ErrorKind::Cloud, message).with_hint("Name an existing one with `vswitch_id`")
    })
}

/// Whether a part the user named is in the VPC that the build uses.
fn in_vpc(
    named: Option<&Spanned<String>>,
    of_part: Option<&str>,
    what: &str,
    vpc: &Vpc,
) -> Result<()> {
    let (Some(named), Some(of_part)) = (named, of_part) else {
        return Ok(());
    };
    if of_part == vpc.vpc_id {
        return Ok(());
    }
    let message = format!("{what} {named} is in VPC {of_part}, not in {}", vpc.vpc_id);
    Err(Error::new(ErrorKind::Cloud, message)
        .at(named.span)
        .with_hint("Name parts of the same VPC, or leave `vpc_id` out: it follows from the others"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_another_vpc_are_refused() {
        let vpc = Vpc {
            vpc_id: "vpc-1".into(),
            ..Default::default()
        };
        let named = Spanned::default_value("vsw-1".to_owned());
        assert!(in_vpc(Some(&named), Some("vpc-1"), "vSwitch", &vpc).is_ok());
        let error = in_vpc(Some(&named), Some("vpc-2"), "vSwitch", &vpc).unwrap_err();
        assert_eq!(
            error.message(),
            "vSwitch vsw-1 is in VPC vpc-2, not in vpc-1"
        );
    }
}
