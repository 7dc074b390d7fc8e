//! Reads the options of `file`.

use std::path::Path;

use super::script::is_late;
use super::{Direction, File, FileSource, Kind};
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let directions = [
        ("upload", Direction::Upload),
        ("download", Direction::Download),
    ];
    let direction = reader.one_of("direction", &directions).unwrap_or_default();
    let destination = reader.late_or("destination", "", &[]);
    if destination.is_empty() {
        reader.missing("destination", "Set it to the path to copy to");
    }
    Kind::File(File {
        source: source(reader, direction),
        destination,
        direction,
    })
}

fn source(reader: &mut Reader<'_, '_>, direction: Direction) -> FileSource {
    let single = reader.text("source").map(|path| ("source", path));
    let several = reader
        .texts("sources")
        .into_iter()
        .map(|path| ("sources", path));
    let paths: Vec<_> = single.into_iter().chain(several).collect();
    if let Some(content) = reader.plain("content") {
        if let Some((name, _)) = paths.first() {
            reader.conflict("content", name, "Keep one of them");
        } else if direction == Direction::Download {
            reader.conflict("content", "direction", "A download needs a `source`");
        }
        return FileSource::Content(content);
    }
    if paths.is_empty() {
        reader.missing("source", "Set `source`, `sources` or `content`");
    }
    if direction == Direction::Upload && !reader.flag("generated") {
        for (name, path) in &paths {
            must_exist(reader, name, path);
        }
    }
    FileSource::Paths(paths.into_iter().map(|(_, path)| path).collect())
}

fn must_exist(reader: &mut Reader<'_, '_>, name: &str, path: &Spanned<String>) {
    if is_late(&path.value) {
        return reader.check_late(name, path, &[]);
    }
    if let Some(problem) = reader.places().problem(Path::new(&path.value)) {
        reader.bad_path(name, path.span, &path.value, &problem);
    }
}
