//! Which lines of a log belong together: those of each step, in runs of one
//! build. Lines of parallel builds alternate, and folds cannot.

use super::entry::{Entry, EntryKind};

/// What happens before the lines of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// Lines that belong together begin; the title.
    Open(&'static str),
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
    pub(super) fn on(&mut self, entry: &Entry) -> Option<Fold> {
        match &entry.kind {
            EntryKind::RunStarted(start) => {
                self.is_single = start.builds.len() == 1;
                None
            }
            EntryKind::StepStarted { step } if self.is_single => self.open(step),
            EntryKind::StepFinished { .. } => self.close(1),
            // A step that was cut off never finished.
            EntryKind::BuildFinished(_) | EntryKind::RunFinished(_) => self.close(self.depth),
            _ => None,
        }
    }

    fn open(&mut self, step: &'static str) -> Option<Fold> {
        self.depth += 1;
        (self.depth == 1).then_some(Fold::Open(step))
    }

    fn close(&mut self, levels: usize) -> Option<Fold> {
        let was_open = self.depth > 0;
        self.depth = self.depth.saturating_sub(levels);
        (was_open && self.depth == 0).then_some(Fold::Close)
    }
}
