//! Where the instance can be: zones that have its type in stock.

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud::ecs::{AvailableZone, DescribeAvailableResource, DescribeZones};
use crate::cloud::is_code;
use crate::error::{Error, Kind, Result};
use crate::template::source::Spanned;

/// Zones to try, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Zones {
    /// The template or its vSwitch decides.
    Given(Option<String>),
    /// We may choose and go on to the next one.
    Choice(Vec<String>),
}

impl AlicloudEcs<'_> {
    pub(super) async fn zones(&self, cx: &BuildContext<'_>) -> Result<Zones> {
        let run = &self.options.run;
        if run.zone_id.is_some() || run.vswitch_id.is_some() {
            return Ok(Zones::Given(
                run.zone_id.as_ref().map(|zone| zone.value.clone()),
            ));
        }
        let zones = match self.zones_with_stock(cx).await {
            Ok(zones) => zones,
            // Not in every minimal policy; the older call knows less.
            Err(error) if error.kind() == Kind::Credentials => self.zones_with_type(cx).await?,
            Err(error) => return Err(error),
        };
        if zones.is_empty() {
            return Err(nowhere(&run.instance_type, self.region()));
        }
        Ok(Zones::Choice(zones))
    }

    async fn zones_with_stock(&self, cx: &BuildContext<'_>) -> Result<Vec<String>> {
        let run = &self.options.run;
        let request = DescribeAvailableResource {
            destination_resource: "InstanceType".to_owned(),
            resource_type: Some("instance".to_owned()),
            instance_charge_type: Some("PostPaid".to_owned()),
            instance_type: Some(run.instance_type.value.clone()),
            system_disk_category: run.system_disk.category.clone(),
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        Ok(by_stock(&answer.available_zones, &run.instance_type.value))
    }

    async fn zones_with_type(&self, cx: &BuildContext<'_>) -> Result<Vec<String>> {
        let wanted = &self.options.run.instance_type.value;
        let request = DescribeZones::default();
        let answer = match self.cloud.call(self.region(), &request, cx.stop).await {
            Ok(answer) => answer,
            // Nor is this one in the policy that Alibaba Cloud's documentation
            // gives for Packer. A zone that does not exist is passed over.
            Err(error) if is_code(&error, &["Forbidden.RAM", "Forbidden.SubUser"]) => {
                cx.events.say(format!(
                    "These keys may not ask which zones sell {wanted}: trying one after the other"
                ));
                return Ok(guesses(self.region()));
            }
            Err(error) => return Err(error),
        };
        let zones = answer.zones.into_iter().filter(|zone| {
            zone.available_instance_types.contains(wanted)
                && zone
                    .available_resource_creation
                    .iter()
                    .any(|sort| sort == "VSwitch")
        });
        Ok(zones.map(|zone| zone.zone_id).collect())
    }
}

/// What the zones of a region may be called, newer ones first: the region and
/// a letter, with a dash unless the region ends with a digit.
fn guesses(region: &str) -> Vec<String> {
    let dash = match region.ends_with(|last: char| last.is_ascii_digit()) {
        true => "",
        false => "-",
    };
    let letters = "hikjglfedcba".chars();
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

fn nowhere(instance_type: &Spanned<String>, region: &str) -> Error {
    let message = format!("No zone in {region} sells instance type `{instance_type}`");
    Error::new(Kind::Cloud, message)
        .at(instance_type.span)
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
    fn guessed_zones_follow_the_regions_way() {
        assert_eq!(guesses("cn-hangzhou")[0], "cn-hangzhou-h");
        assert_eq!(guesses("us-west-1").last().unwrap(), "us-west-1a");
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
