//! Reads tags: maps, and Packer's `tag` blocks.

use std::collections::BTreeMap;

use crate::plan::check;
use crate::plan::options;
use crate::plan::reader::Reader;

/// What ECS takes on an image.
pub(super) const IMAGE_TAGS: usize = 20;

/// What is left on a temporary resource: ECS takes 20 tags, and some mark
/// whose resource it is.
pub(super) const RUN_TAGS: usize = 14;

/// The tags of a map.
pub(super) fn of_map(
    reader: &mut Reader<'_, '_>,
    name: &str,
    most: usize,
) -> BTreeMap<String, String> {
    let tags = reader.map(name);
    judge(reader, name, &tags, most);
    tags
}

/// The tags of a map and of blocks, which win.
pub(super) fn with_blocks(
    reader: &mut Reader<'_, '_>,
    name: &str,
    block: &str,
    most: usize,
) -> BTreeMap<String, String> {
    let mut tags = reader.map(name);
    tags.extend(blocks(reader, block));
    let place = match reader.is_set(name) {
        true => name,
        false => block,
    };
    judge(reader, place, &tags, most);
    tags
}

fn blocks(reader: &mut Reader<'_, '_>, block: &str) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    for object in reader.object_list(block) {
        let mut tag = reader.nested(object, &[options::image::TAG], &format!("`{block}`"));
        match tag.text("key") {
            Some(key) => tags.push((key.value, tag.text_or("value", ""))),
            None => tag.missing("key", "Write `key` and `value`"),
        }
        tag.finish();
    }
    tags
}

fn judge(reader: &mut Reader<'_, '_>, name: &str, tags: &BTreeMap<String, String>, most: usize) {
    if tags.len() > most {
        let what = format!("has {} tags", tags.len());
        reader.error(name, &what, format!("Write at most {most}"));
    }
    for (key, value) in tags {
        for complaint in [check::tag_key(key), check::tag_value(value)] {
            if let Err(complaint) = complaint {
                reader.error(name, &complaint.what, complaint.help);
            }
        }
    }
}
