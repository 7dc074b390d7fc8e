//! The image the instance begins with: named, the newest of a family, or the
//! one that fits a filter.
//!
//! Nothing is created here. Names are compared on this side: what the API
//! takes for a pattern is not documented, and it has been seen to match
//! loosely.

use futures_util::future::try_join_all;

use super::AlicloudEcs;
use super::candidate::{list, nearest, sort_by_age};
use crate::builder::BuildContext;
use crate::cloud::ecs::{DescribeImageFromFamily, DescribeImages, Image};
use crate::cloud::{self, Tag};
use crate::error::{Error, Kind, Result};
use crate::plan::alicloud_ecs::{Owner, Source, SourceFilter};
use crate::template::source::Spanned;

/// The image to begin with.
pub(super) struct SourceImage {
    pub(super) id: String,
    /// What the API says of it, unless nobody asked.
    pub(super) details: Option<Image>,
}

impl SourceImage {
    /// The sentence that tells it to people.
    pub(super) fn found(&self) -> String {
        let id = &self.id;
        match self.details.as_ref().map(|image| &image.image_name) {
            None => format!("Using source image, unseen: {id}"),
            Some(name) if name != id && !name.is_empty() => {
                format!("Found source image: {id} ({name})")
            }
            Some(_) => format!("Found source image: {id}"),
        }
    }
}

impl AlicloudEcs<'_> {
    /// Whether the template has an id used as it is.
    fn uses_unseen_image(&self) -> bool {
        self.options.image.skip_validation && matches!(self.options.run.source, Source::Image(_))
    }

    pub(super) async fn source(&self, cx: &BuildContext<'_>) -> Result<SourceImage> {
        let image = match &self.options.run.source {
            Source::Image(id) if self.uses_unseen_image() => {
                return Ok(SourceImage {
                    id: id.value.clone(),
                    details: None,
                });
            }
            Source::Image(id) => self.source_by_id(cx, id).await?,
            Source::Family(family) => self.source_by_family(cx, family).await?,
            Source::Filter(filter) => self.source_by_filter(cx, filter).await?,
        };
        Ok(SourceImage {
            id: image.image_id.clone(),
            details: Some(image),
        })
    }

    async fn source_by_id(&self, cx: &BuildContext<'_>, id: &Spanned<String>) -> Result<Image> {
        // Marketplace images are only listed when asked for.
        for owner in [None, Some("marketplace")] {
            let request = DescribeImages {
                image_id: Some(id.value.clone()),
                image_owner_alias: owner.map(str::to_owned),
                ..Default::default()
            };
            let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
            if let Some(image) = answer.images.into_iter().next() {
                return Ok(image);
            }
        }
        let message = format!("Source image `{id}` was not found in {}", self.region());
        Err(self.no_source(cx, message, id).await)
    }

    async fn source_by_family(
        &self,
        cx: &BuildContext<'_>,
        family: &Spanned<String>,
    ) -> Result<Image> {
        let request = DescribeImageFromFamily {
            image_family: family.value.clone(),
        };
        let newest = match self.cloud.call(self.region(), &request, cx.stop).await {
            Ok(answer) => answer.image,
            Err(error) if cloud::is_gone(&error, "DescribeImageFromFamily") => Image::default(),
            Err(error) => return Err(error.at(family.span)),
        };
        if newest.image_id.is_empty() {
            return self.newest_in_family(cx, family).await;
        }
        Ok(newest)
    }

    /// DescribeImageFromFamily does not resolve every public (`acs:`) family.
    async fn newest_in_family(
        &self,
        cx: &BuildContext<'_>,
        family: &Spanned<String>,
    ) -> Result<Image> {
        let request = DescribeImages {
            image_family: Some(family.value.clone()),
            ..Default::default()
        };
        let mut images = self.cloud.list(self.region(), &request, cx.stop).await?;
        sort_by_age(&mut images);
        if let Some(newest) = images.into_iter().next() {
            return Ok(newest);
        }
        let message = format!("Image family `{family}` has no image in {}", self.region());
        Err(self.no_source(cx, message, family).await)
    }

    async fn no_source(
        &self,
        cx: &BuildContext<'_>,
        message: String,
        wanted: &Spanned<String>,
    ) -> Error {
        let error = Error::new(Kind::Cloud, message).at(wanted.span);
        let error = match self.hint_at_candidates(cx, &wanted.value).await {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        error.with_hint(
            "An expired image is used as it is with `skip_image_validation`; an image of another \
             account must be shared with this one",
        )
    }

    /// Adds what the source image may have been meant to be, when nobody
    /// looked for it before.
    pub(super) async fn explain_image(&self, cx: &BuildContext<'_>, error: Error) -> Error {
        let Source::Image(id) = &self.options.run.source else {
            return error;
        };
        if !self.uses_unseen_image() || !cloud::is_code(&error, &["InvalidImageId.NotFound"]) {
            return error;
        }
        match self.hint_at_candidates(cx, &id.value).await {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    async fn source_by_filter(
        &self,
        cx: &BuildContext<'_>,
        filter: &SourceFilter,
    ) -> Result<Image> {
        let mut images = self.list_for(cx, filter, filter_request(filter)).await?;
        images.retain(|image| fits(filter, image));
        sort_by_age(&mut images);
        match images.as_slice() {
            [] => Err(self.nothing_fits(cx, filter).await),
            [_] => Ok(images.remove(0)),
            _ if filter.most_recent => Ok(images.remove(0)),
            several => Err(self.ambiguous(filter, several)),
        }
    }

    /// What the request finds, for each of the filter's owners.
    async fn list_for(
        &self,
        cx: &BuildContext<'_>,
        filter: &SourceFilter,
        request: DescribeImages,
    ) -> Result<Vec<Image>> {
        let requests = match filter.owners.as_slice() {
            [] => vec![request],
            owners => owners
                .iter()
                .map(|owner| of_owner(owner, &request))
                .collect(),
        };
        let lists = requests
            .iter()
            .map(|request| self.cloud.list(self.region(), request, cx.stop));
        let lists = try_join_all(lists).await;
        let mut images = lists.map_err(|error| error.at(filter.span))?.concat();
        images.sort_by(|a, b| a.image_id.cmp(&b.image_id));
        images.dedup_by(|a, b| a.image_id == b.image_id);
        Ok(images)
    }

    async fn nothing_fits(&self, cx: &BuildContext<'_>, filter: &SourceFilter) -> Error {
        let message = format!("No image in {} fits `source_image_filter`", self.region());
        let error = Error::new(Kind::Cloud, message).at(filter.span);
        let wanted = filter.name.as_ref().or(filter.family.as_ref());
        let wanted = wanted.map_or("", String::as_str).replace(['*', '?'], "");
        let all = self.list_for(cx, filter, DescribeImages::default()).await;
        match nearest(&wanted, all.unwrap_or_default()) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("Its owners have no image in this region"),
        }
    }

    fn ambiguous(&self, filter: &SourceFilter, images: &[Image]) -> Error {
        let message = format!(
            "{} images in {} fit `source_image_filter`: {}",
            images.len(),
            self.region(),
            list(images)
        );
        Error::new(Kind::Cloud, message)
            .at(filter.span)
            .with_hint("Set `most_recent` to `true` to take the newest one, or ask for more")
    }
}

/// What the API can be asked for without doubt.
fn filter_request(filter: &SourceFilter) -> DescribeImages {
    let tags = filter.tags.iter();
    DescribeImages {
        image_family: filter.family.clone(),
        architecture: filter.architecture.clone(),
        tag: tags.map(|(key, value)| Tag::new(key, value)).collect(),
        ..Default::default()
    }
}

fn of_owner(owner: &Owner, request: &DescribeImages) -> DescribeImages {
    let alias = match owner {
        Owner::Own => "self",
        Owner::System => "system",
        Owner::Marketplace => "marketplace",
        Owner::Others | Owner::Community | Owner::Account(_) => "others",
    };
    let account = match owner {
        Owner::Account(id) => Some(id.clone()),
        _ => None,
    };
    DescribeImages {
        image_owner_alias: Some(alias.to_owned()),
        image_owner_id: account,
        is_public: (*owner == Owner::Community).then_some(true),
        ..request.clone()
    }
}

fn fits(filter: &SourceFilter, image: &Image) -> bool {
    let same = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|one| one == has);
    let tagged = |(key, value): (&String, &String)| {
        let mut tags = image.tags.iter();
        tags.any(|tag| tag.key == *key && tag.value == *value)
    };
    let name = filter.name.as_deref().unwrap_or("*");
    is_like(name, &image.image_name)
        && same(&filter.family, &image.image_family)
        && same(&filter.architecture, &image.architecture)
        && filter.tags.iter().all(tagged)
}

/// Whether a pattern with `*` and `?` matches all of a text. The last star
/// takes one more character whenever the rest does not match: no recursion, so
/// no pattern takes long.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((begin, taken)) = star else {
                    return false;
                };
                star = Some((begin, taken + 1));
                (at, place) = (begin + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_all_of_a_name() {
        let table = [
            ("web-*", "web-1", true),
            ("web-*", "my-web-1", false),
            ("*web*", "my-web-1", true),
            ("web-?", "web-1", true),
            ("web-?", "web-12", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("", "", true),
            ("*", "", true),
            ("web", "web", true),
            ("web", "Web", false),
            ("镜?", "镜像", true),
            (
                "*a*a*a*a*a*a*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_asked_for_must_fit() {
        let image = Image {
            image_name: "web-1".into(),
            image_family: "web".into(),
            architecture: "x86_64".into(),
            tags: vec![Tag::new("app", "web")],
            ..Default::default()
        };
        let filter = SourceFilter {
            name: Some("web-*".into()),
            family: Some("web".into()),
            architecture: Some("x86_64".into()),
            tags: [("app".into(), "web".into())].into(),
            ..Default::default()
        };
        assert!(fits(&filter, &image));
        let others = [
            SourceFilter {
                name: Some("db-*".into()),
                ..filter.clone()
            },
            SourceFilter {
                family: Some("db".into()),
                ..filter.clone()
            },
            SourceFilter {
                architecture: Some("arm64".into()),
                ..filter.clone()
            },
            SourceFilter {
                tags: [("app".into(), "db".into())].into(),
                ..filter
            },
        ];
        for other in others {
            assert!(!fits(&other, &image), "{other:?}");
        }
    }

    #[test]
    fn owners_are_asked_for_in_the_apis_words() {
        let request = filter_request(&SourceFilter::default());
        let asked = |owner| {
            let request = of_owner(&owner, &request);
            (
                request.image_owner_alias.unwrap(),
                request.image_owner_id,
                request.is_public,
            )
        };
        assert_eq!(asked(Owner::Own), ("self".into(), None, None));
        assert_eq!(asked(Owner::Community), ("others".into(), None, Some(true)));
        let account = Owner::Account("1".into());
        assert_eq!(asked(account), ("others".into(), Some("1".into()), None));
    }
}
