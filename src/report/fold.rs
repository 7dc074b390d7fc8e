//! Which lines of a log belong together: those of each step, in runs of one
//! build; those of each build otherwise, which `live` has put together.

use super::entry::{Entry, EntryKind};

/// What happens before the lines of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold<'a> {
    /// Lines that belong together begin; the title.
    Open(&'a str),
    /// They end.
    Close,
}

/// Follows the steps.
#[derive(Debug, Default)]
pub(super) struct Folds {
    is_single: bool,
    /// How many steps are under way: one may consist of others, which may run
    /// at the same time, but folds cannot be nested.
    depth: usize,
}

impl Folds {
    /// What an entry opens or closes.
    pub(super) fn on<'a>(&mut self, entry: &'a Entry) -> Option<Fold<'a>> {
        match &entry.kind {
            EntryKind::RunStarted(start) => {
                self.is_single = start.builds.len() == 1;
                None
            }
            EntryKind::StepStarted { step } if self.is_single => self.open(step),
            EntryKind::StepFinished { .. } if self.is_single => self.close(1),
            EntryKind::FoldOpened { title } => self.open(title),
            EntryKind::FoldClosed => self.close(1),
            // A step that was cut off never finished.
            EntryKind::BuildFinished(_) | EntryKind::RunFinished(_) => self.close(self.depth),
            _ => None,
        }
    }

    fn open<'a>(&mut self, title: &'a str) -> Option<Fold<'a>> {
        self.depth += 1;
        (self.depth == 1).then_some(Fold::Open(title))
    }

    fn close(&mut self, levels: usize) -> Option<Fold<'static>> {
        let was_open = self.depth > 0;
        self.depth = self.depth.saturating_sub(levels);
        (was_open && self.depth == 0).then_some(Fold::Close)
    }
}
