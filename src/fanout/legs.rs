//! Legs: the parts of a template that run as jobs of their own.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::plan::post_processor::Kind as PostProcessor;
use crate::plan::{Build, Builder, Plan};
use crate::template::source::Spanned;

/// One job: a build in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The build's name, for `only`.
    pub build: String,
    /// The builder's type.
    #[serde(rename = "type", default)]
    pub builder_type: String,
    /// The region its image is made in; empty when it makes none.
    #[serde(default)]
    pub region: String,
    /// A name for files and artifacts that no other leg has: letters, digits,
    /// `.`, `_` and `-`.
    pub id: String,
}

/// All legs, in the form of GitHub's `strategy.matrix`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// The legs.
    pub include: Vec<Leg>,
}

/// A plan, and the region that was asked for, if any.
pub type Asked<'a> = (Option<&'a str>, &'a Plan);

/// The legs of a template planned once, or once for each region: in the order
/// of the template, then in that of the regions.
///
/// # Errors
/// [`Kind::Template`] when a build is made in another region than asked for.
pub fn legs(plans: &[Asked<'_>]) -> Result<Vec<Leg>> {
    let most = plans.iter().map(|(_, plan)| plan.builds.len()).max();
    let mut legs = Vec::new();
    for index in 0..most.unwrap_or_default() {
        for (asked, plan) in plans {
            let Some(build) = plan.builds.get(index) else {
                continue;
            };
            add(&mut legs, leg(build, *asked)?);
        }
    }
    Ok(legs)
}

/// A build without a region is the same for every region asked for.
fn add(legs: &mut Vec<Leg>, mut leg: Leg) {
    let is_same = |other: &Leg| (&other.build, &other.region) == (&leg.build, &leg.region);
    if legs.iter().any(is_same) {
        return;
    }
    let first = leg.id.clone();
    let mut number = 2;
    while legs.iter().any(|other| other.id == leg.id) {
        leg.id = format!("{first}-{number}");
        number += 1;
    }
    legs.push(leg);
}

fn leg(build: &Build, asked: Option<&str>) -> Result<Leg> {
    let region = region(build);
    if let (Some(asked), Some(region)) = (asked, region)
        && region.value != asked
    {
        let message = format!(
            "Build `{}` is made in {}, not in {asked}",
            build.name, region.value
        );
        return Err(Error::new(Kind::Template, message)
            .at(region.span)
            .with_hint(
                "Take `region` out of the template, or read it from a variable and name that with `--region-variable`",
            ));
    }
    let region = region.map_or("", |region| &region.value);
    Ok(Leg {
        build: build.name.clone(),
        builder_type: build.builder.type_name().to_owned(),
        region: region.to_owned(),
        id: id(&build.name, region),
    })
}

/// Where a build's image is made, or its disk imported.
fn region(build: &Build) -> Option<&Spanned<String>> {
    let imports = || {
        let blocks = build.post_processors.iter().flatten();
        blocks.filter_map(|block| match &block.kind {
            PostProcessor::AlicloudImport(import) => Some(&import.access.region),
            _ => None,
        })
    };
    match &build.builder {
        Builder::AlicloudEcs(options) => Some(&options.access.region),
        Builder::Qemu(_) => imports().next(),
    }
}

fn id(build: &str, region: &str) -> String {
    let plain = |letter: char| {
        let is_plain = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if is_plain { letter } else { '-' }
    };
    let name: String = build.chars().map(plain).collect();
    match region {
        "" => name,
        region => format!("{name}-{region}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(build: &str, region: &str) -> Leg {
        Leg {
            build: build.into(),
            builder_type: "alicloud-ecs".into(),
            region: region.into(),
            id: id(build, region),
        }
    }

    #[test]
    fn ids_are_plain_and_differ() {
        let mut legs = Vec::new();
        for (build, region) in [
            ("a/b", "cn-a"),
            ("a b", "cn-a"),
            ("a b", "cn-a"),
            ("镜", ""),
        ] {
            add(&mut legs, leg(build, region));
        }
        let ids: Vec<_> = legs.iter().map(|leg| leg.id.as_str()).collect();
        assert_eq!(ids, ["a-b-cn-a", "a-b-cn-a-2", "-"]);
    }

    #[test]
    fn a_matrix_is_read_as_it_is_written() {
        let matrix = Matrix {
            include: vec![leg("web", "cn-beijing")],
        };
        let text = serde_json::to_string(&matrix).unwrap();
        assert_eq!(
            text,
            r#"{"include":[{"build":"web","type":"alicloud-ecs","region":"cn-beijing","id":"web-cn-beijing"}]}"#
        );
        assert_eq!(serde_json::from_str::<Matrix>(&text).unwrap(), matrix);
    }
}
