//! Whether the source image runs on the instance types.
//!
//! ECS only tells when the instance is to be started, when there is a network
//! already. Source of facts: "Image boot modes" and DescribeInstanceTypes in
//! the ECS documentation.

use super::AlicloudEcs;
use super::zone::Offer;
use crate::builder::BuildContext;
use crate::cloud::ecs::{DescribeInstanceTypes, Image, InstanceType};
use crate::error::{Error, Kind, Result};

impl AlicloudEcs<'_> {
    /// What the API says of the instance types; nothing when it may not be
    /// asked, or when an ordinary image meets ordinary types: most builds
    /// need no further call.
    pub(super) async fn describe_types(
        &self,
        cx: &BuildContext<'_>,
        image: &Image,
    ) -> Result<Vec<InstanceType>> {
        let wanted = self.options.run.instance_types.iter();
        let is_ordinary = image.architecture != ARM_IMAGE && image.boot_mode != "UEFI";
        if is_ordinary && !wanted.clone().any(|kind| looks_like_arm(&kind.value)) {
            return Ok(Vec::new());
        }
        let request = DescribeInstanceTypes {
            instance_types: wanted.map(|kind| kind.value.clone()).collect(),
        };
        match self.cloud.call(self.region(), &request, cx.stop).await {
            Ok(answer) => Ok(answer.instance_types),
            Err(error) if error.kind() == Kind::Cancelled => Err(error),
            // RunInstances will tell.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// What the template asks of the image, whatever the instance type.
    pub(super) fn check_image(&self, image: &Image) -> Result<()> {
        let run = &self.options.run;
        let id = &image.image_id;
        let non_root = run.login_as_non_root.as_ref().filter(|wanted| wanted.value);
        if let Some(wanted) = non_root
            && image.login_as_non_root_supported == Some(false)
        {
            let message = format!("Source image `{id}` has no user `ecs-user`");
            return Err(Error::new(Kind::Cloud, message)
                .at(wanted.span)
                .with_hint("Remove `login_as_non_root`, or choose a newer public image"));
        }
        let boots_bios = self.options.image.boot_mode.as_deref() == Some("BIOS");
        if boots_bios && image.architecture == ARM_IMAGE {
            let message = format!("Source image `{id}` is for arm64, which has no BIOS");
            return Err(Error::new(Kind::Cloud, message)
                .with_hint("Set `boot_mode` to `UEFI`, or leave it out"));
        }
        Ok(())
    }

    /// The offers whose type runs the image, with a notice about the others.
    pub(super) fn fitting(
        &self,
        cx: &BuildContext<'_>,
        image: &Image,
        mut offers: Vec<Offer>,
        types: &[InstanceType],
    ) -> Result<Vec<Offer>> {
        let mut refusals = Vec::new();
        for wanted in &self.options.run.instance_types {
            let kind = types
                .iter()
                .find(|kind| kind.instance_type_id == wanted.value);
            if let Some(reason) = kind.and_then(|kind| misfit(image, kind)) {
                offers.retain(|offer| offer.instance_type.value != wanted.value);
                refusals.push(reason);
            }
        }
        if !offers.is_empty() {
            refusals
                .into_iter()
                .for_each(|reason| cx.events.message(reason));
            return Ok(offers);
        }
        let first = self.options.run.instance_types.first();
        Err(Error::new(Kind::Cloud, refusals.join("; "))
            .at(first.and_then(|kind| kind.span))
            .with_hint("Choose an instance type of the image's architecture and boot mode"))
    }
}

const ARM_IMAGE: &str = "arm64";

/// The families with ARM processors end with one of these letters, as
/// `ecs.g8y` and `ecs.c6r` do.
fn looks_like_arm(instance_type: &str) -> bool {
    let family = instance_type.split('.').nth(1).unwrap_or_default();
    family.ends_with(['r', 'y'])
}

/// Why an image does not run on a type.
fn misfit(image: &Image, kind: &InstanceType) -> Option<String> {
    let (id, type_id) = (&image.image_id, &kind.instance_type_id);
    let processors = kind.cpu_architecture.as_str();
    let is_known = !image.architecture.is_empty() && !processors.is_empty();
    if is_known && (image.architecture == ARM_IMAGE) != (processors == "ARM") {
        return Some(format!(
            "Source image `{id}` is for {}, but {type_id} has {processors} processors",
            image.architecture
        ));
    }
    let modes = &kind.supported_boot_modes;
    let is_bound = matches!(image.boot_mode.as_str(), "BIOS" | "UEFI");
    if is_bound && !modes.is_empty() && !modes.contains(&image.boot_mode) {
        return Some(format!(
            "Source image `{id}` boots by {}, but {type_id} by {}",
            image.boot_mode,
            modes.join(", ")
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architecture_and_boot_mode_must_agree_where_they_are_known() {
        let table = [
            ("x86_64", "BIOS", "X86", "BIOS", ""),
            ("i386", "BIOS", "X86", "BIOS", ""),
            ("arm64", "UEFI", "ARM", "UEFI", ""),
            (
                "arm64",
                "UEFI",
                "X86",
                "UEFI",
                "is for arm64, but t has X86 processors",
            ),
            (
                "x86_64",
                "BIOS",
                "ARM",
                "BIOS",
                "is for x86_64, but t has ARM processors",
            ),
            (
                "x86_64",
                "UEFI",
                "X86",
                "BIOS",
                "boots by UEFI, but t by BIOS",
            ),
            ("x86_64", "UEFI-Preferred", "X86", "BIOS", ""),
            ("", "UEFI", "X86", "", ""),
            ("arm64", "UEFI", "", "UEFI", ""),
        ];
        for (architecture, boot_mode, processors, mode, expected) in table {
            let image = Image {
                image_id: "m".into(),
                architecture: architecture.into(),
                boot_mode: boot_mode.into(),
                ..Default::default()
            };
            let kind = InstanceType {
                instance_type_id: "t".into(),
                cpu_architecture: processors.into(),
                supported_boot_modes: Some(mode)
                    .filter(|mode| !mode.is_empty())
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
            };
            let found = misfit(&image, &kind).unwrap_or_default();
            let expected = match expected {
                "" => String::new(),
                _ => format!("Source image `m` {expected}"),
            };
            assert_eq!(found, expected);
        }
    }
}
