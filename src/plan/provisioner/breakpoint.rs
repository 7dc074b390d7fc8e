//! `breakpoint`: a stop until somebody presses Enter.

use super::Kind;
use crate::plan::reader::Reader;

/// Options of `breakpoint`.
#[derive(Debug, Clone, Default)]
pub struct Breakpoint {
    /// Text to show; rendered again at run time.
    pub note: Option<String>,
    /// Go on at once.
    pub disable: bool,
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let note = reader.text("note");
    if let Some(note) = &note {
        reader.check_late("note", note, &[]);
    }
    Kind::Breakpoint(Breakpoint {
        note: note.map(|note| note.value),
        disable: reader.flag("disable"),
    })
}
