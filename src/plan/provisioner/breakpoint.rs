//! `breakpoint`: a stop until somebody presses Enter.

use super::Kind;
use crate::plan::reader::Reader;

/// Options of `breakpoint`.
#[derive(Debug, Clone, Default)]
pub struct Breakpoint {
    /// Text to show.
    pub note: Option<String>,
    /// Go on at once.
    pub disable: bool,
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    Kind::Breakpoint(Breakpoint {
        note: reader.plain("note"),
        disable: reader.flag("disable"),
    })
}
