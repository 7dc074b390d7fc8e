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
    if direction == Direction::Download {
        reader.confine("destination");
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
        let help = "Set `source`, `sources` or `content`";
        reader.missing_all(&["source", "sources", "content"], help);
    }
    // What is made while the build runs is nowhere yet.
    let is_generated = reader.flag("generated") && reader.places().confined_to.is_none();
    if direction == Direction::Upload && !is_generated {
        for (name, path) in &paths {
            must_exist(reader, name, path);
        }
    }
    FileSource::Paths(paths.into_iter().map(|(_, path)| path).collect())
}

fn must_exist(reader: &mut Reader<'_, '_>, name: &str, path: &Spanned<String>) {
    let problem = match is_late(&path.value) {
        true => {
            reader.check_late(name, path, &[]);
            reader.places().unknown()
        }
        false => reader.places().problem(Path::new(&path.value)),
    };
    if let Some(problem) = problem {
        reader.bad_path(name, path.span, &path.value, &problem);
    }
}
