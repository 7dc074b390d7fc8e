//! As what and where the instance can be: types in the order of the template,
//! each in the zones that have it in stock.

use futures_util::future::try_join_all;

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud;
use crate::cloud::ecs::{AvailableZone, DescribeAvailableResource, DescribeZones};
use crate::error::{Error, Kind, Result};
use crate::template::source::Spanned;

/// One way to have the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) instance_type: Spanned<String>,
    /// The zone; its vSwitch decides when absent.
    pub(super) zone: Option<String>,
}

impl AlicloudEcs<'_> {
    pub(super) async fn offers(&self, cx: &BuildContext<'_>) -> Result<Vec<Offer>> {
        let run = &self.options.run;
        let types = &run.instance_types;
        let of_type = |kind: &Spanned<String>, zone: Option<String>| Offer {
            instance_type: kind.clone(),
            zone,
        };
        if run.zone_id.is_some() || run.vswitch_id.is_some() {
            let zone = run.zone_id.as_ref().filter(|_| run.vswitch_id.is_none());
            let zone = zone.map(|zone| zone.value.clone());
            return Ok(types
                .iter()
                .map(|kind| of_type(kind, zone.clone()))
                .collect());
        }
        let zones = types.iter().map(|kind| self.zones_of(cx, &kind.value));
        let zones: Option<Vec<_>> = try_join_all(zones).await?.into_iter().collect();
        let zones = zones.unwrap_or_else(|| {
            let kinds: Vec<_> = types.iter().map(ToString::to_string).collect();
            cx.events.say(format!(
                "These keys may not ask which zones sell {}: trying one after the other",
                kinds.join(" or ")
            ));
            vec![any_zone(self.region()); types.len()]
        });
        let offers = types
            .iter()
            .zip(zones)
            .flat_map(|(kind, zones)| zones.into_iter().map(move |zone| of_type(kind, Some(zone))));
        let offers: Vec<_> = offers.collect();
        match offers.is_empty() {
            true => Err(nowhere(types, self.region())),
            false => Ok(offers),
        }
    }

    /// The zones that sell a type; `None` when the caller may not ask. The
    /// older call knows less, but more minimal policies allow it.
    async fn zones_of(
        &self,
        cx: &BuildContext<'_>,
        instance_type: &str,
    ) -> Result<Option<Vec<String>>> {
        let mut zones = self.zones_with_stock(cx, instance_type).await;
        if zones.as_ref().is_err_and(cloud::is_forbidden) {
            zones = self.zones_with_type(cx, instance_type).await;
        }
        match zones {
            Ok(zones) => Ok(Some(zones)),
            Err(error) if cloud::is_forbidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn zones_with_stock(
        &self,
        cx: &BuildContext<'_>,
        instance_type: &str,
    ) -> Result<Vec<String>> {
        let run = &self.options.run;
        let host = run.dedicated_host_id.as_ref();
        let request = DescribeAvailableResource {
            destination_resource: "InstanceType".to_owned(),
            resource_type: Some("instance".to_owned()),
            instance_charge_type: Some("PostPaid".to_owned()),
            instance_type: Some(instance_type.to_owned()),
            spot_strategy: run.spot.as_ref().map(|spot| spot.strategy().to_owned()),
            dedicated_host_id: host.map(|host| host.value.clone()),
            system_disk_category: run.system_disk.category.clone(),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await;
        let answer = answer.map_err(|error| match (host, cloud::code_of(&error)) {
            (Some(host), Some(code)) if code.contains("DedicatedHost") => error.at(host.span),
            _ => error,
        })?;
        Ok(by_stock(&answer.available_zones, instance_type))
    }

    async fn zones_with_type(&self, cx: &BuildContext<'_>, wanted: &str) -> Result<Vec<String>> {
        let answer = self
            .cloud
            .call(self.region(), &DescribeZones::default(), cx.stop)
            .await?;
        let zones = answer.zones.into_iter().filter(|zone| {
            zone.available_instance_types
                .iter()
                .any(|kind| kind == wanted)
                && zone
                    .available_resource_creation
                    .iter()
                    .any(|sort| sort == "VSwitch")
        });
        Ok(zones.map(|zone| zone.zone_id).collect())
    }
}

/// What the zones of a region may be called, newer ones first. What is not
/// there is refused at once.
fn any_zone(region: &str) -> Vec<String> {
    const LETTERS: &str = "hikjglfedcba";
    // `cn-beijing-h`, but `eu-central-1a`.
    let dash = if region.ends_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        "-"
    };
    let letters = LETTERS.chars();
    letters
        .map(|letter| format!("{region}{dash}{letter}"))
        .collect()
}

/// Zones that sell the type: plenty of it first, little of it last.
fn by_stock(zones: &[AvailableZone], instance_type: &str) -> Vec<String> {
    let stock = |zone: &AvailableZone| {
        zone.available_resources
            .iter()
            .flat_map(|resource| &resource.supported_resources)
            .find(|sold| sold.value == instance_type && sold.status == "Available")
            .map(|sold| sold.status_category == "WithStock")
    };
    let with_plenty = |plenty: bool| {
        zones
            .iter()
            .filter(move |zone| stock(zone) == Some(plenty))
            .map(|zone| zone.zone_id.clone())
    };
    with_plenty(true).chain(with_plenty(false)).collect()
}

/// The error about types that are not to be had.
pub(super) fn nowhere(types: &[Spanned<String>], region: &str) -> Error {
    let names: Vec<_> = types.iter().map(|kind| format!("`{kind}`")).collect();
    let message = format!(
        "No zone in {region} sells instance type {}",
        names.join(" or ")
    );
    Error::new(Kind::Cloud, message)
        .at(types.first().and_then(|kind| kind.span))
        .with_hint(format!(
            "Choose another `instance_type` or region; see `aliyun ecs DescribeAvailableResource \
         --RegionId {region} --DestinationResource InstanceType`"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::ecs::{AvailableResource, SupportedResource};

    fn zone(id: &str, status: &str, category: &str) -> AvailableZone {
        let sold = SupportedResource {
            value: "ecs.g6.large".into(),
            status: status.into(),
            status_category: category.into(),
            ..Default::default()
        };
        let resources = AvailableResource {
            supported_resources: vec![sold],
            ..Default::default()
        };
        AvailableZone {
            zone_id: id.into(),
            available_resources: vec![resources],
            ..Default::default()
        }
    }

    #[test]
    fn zones_are_named_as_in_their_region() {
        assert_eq!(any_zone("cn-beijing")[0], "cn-beijing-h");
        assert_eq!(any_zone("us-west-1").last().unwrap(), "us-west-1a");
    }

    #[test]
    fn plenty_comes_first_and_sold_out_never() {
        let zones = [
            zone("b", "Available", "ClosedWithStock"),
            zone("a", "SoldOut", "WithoutStock"),
            zone("c", "Available", "WithStock"),
        ];
        assert_eq!(by_stock(&zones, "ecs.g6.large"), ["c", "b"]);
        assert!(by_stock(&zones, "ecs.g7.large").is_empty());
    }
}
