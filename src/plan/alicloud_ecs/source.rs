//! Reads which image the temporary instance begins with.

use super::image::ARCHITECTURES;
use super::{Owner, Source, SourceFilter, word};
use crate::plan::check;
use crate::plan::options;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;
use crate::template::value::Value;

const PLACE: &str = "source_image_filter";

/// Reads `source_image`, `image_family` or `source_image_filter`.
pub(super) fn source(reader: &mut Reader<'_, '_>) -> Source {
    let image = reader.checked("source_image", check::no_blank);
    let family = reader.checked("image_family", check::no_blank);
    let filter = reader.object(PLACE).map(|object| filter(reader, object));
    if image.is_some() && family.is_some() {
        let help = "Keep `image_family` for the newest image, or `source_image` for this one";
        reader.conflict("source_image", "image_family", help);
    }
    for (name, written) in [
        ("source_image", image.is_some()),
        ("image_family", family.is_some()),
    ] {
        if written && filter.is_some() {
            reader.conflict(PLACE, name, "Keep one of them");
        }
    }
    if let Some(filter) = filter {
        return Source::Filter(filter);
    }
    match (image, family) {
        (Some(image), _) => Source::Image(image),
        (None, Some(family)) => Source::Family(family),
        (None, None) => {
            let help = "Set it to an image's id, or set `image_family` or `source_image_filter`";
            let names = ["source_image", "image_family", PLACE];
            reader.missing_all(&names, help);
            Source::Image(Spanned::default_value(String::new()))
        }
    }
}

fn filter<'v>(reader: &mut Reader<'v, '_>, object: &'v Value) -> SourceFilter {
    let span = Some(reader.span(PLACE));
    let tables = &[options::run::SOURCE_FILTER];
    let mut inside = reader.nested(object, tables, &format!("`{PLACE}`"));
    let filter = SourceFilter {
        span,
        name: inside.plain("name"),
        owners: owners(&mut inside),
        tags: inside.map("tags"),
        family: inside.plain("family"),
        architecture: word(&mut inside, "architecture", ARCHITECTURES),
        most_recent: inside.flag("most_recent"),
    };
    inside.finish();
    if filter.name.is_none() && filter.family.is_none() && filter.tags.is_empty() {
        let what = "would fit nearly every image";
        reader.error(PLACE, what, "Write `name`, `family` or `tags` into it");
    }
    filter
}

fn owners(reader: &mut Reader<'_, '_>) -> Vec<Owner> {
    let mut owners = Vec::new();
    for text in reader.texts("owners") {
        let owner = match text.value.trim() {
            "self" => Owner::Own,
            "system" => Owner::System,
            "others" => Owner::Others,
            "community" => Owner::Community,
            "marketplace" => Owner::Marketplace,
            account => Owner::Account(account.to_owned()),
        };
        if matches!(&owner, Owner::Account(id) if check::account(id).is_err()) {
            let what = format!("contains `{}`, which is no owner", text.value);
            let help =
                "Write `self`, `system`, `others`, `community`, `marketplace` or an account id";
            reader.error_at(text.span, "owners", &what, help);
        }
        owners.push(owner);
    }
    owners
}
