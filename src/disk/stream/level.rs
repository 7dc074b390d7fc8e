//! How hard to compress: harder while the sender cannot keep up, and in a way
//! that a later pass can repeat.
//!
//! The level changes only between epochs of the disk. Each epoch's level is
//! settled with the caller before anything is made with it; a caller that
//! notes the levels, and gives them again, gets the same bytes again.

use super::{Control, DEFAULT_LEVEL, Level};
use crate::error::Result;

/// The levels that adapting chooses from; others are not worth their time.
const LADDER: [u8; 3] = [DEFAULT_LEVEL, 4, 6];

/// Units of an epoch: enough that noting a level costs nothing, few enough
/// that a disk of a gigabyte reaches the last level in its first tenth.
const EPOCH: u64 = 64;

/// The level of each unit, asked for in their order.
pub(super) struct Levels<'a> {
    level: Level,
    control: Control<'a>,
    step: usize,
    current: u8,
    /// How often the queue was looked at in this epoch, and found full.
    looks: u64,
    full: u64,
}

impl<'a> Levels<'a> {
    pub(super) fn new(level: Level, control: Control<'a>) -> Self {
        Self {
            level,
            control,
            step: 0,
            current: DEFAULT_LEVEL,
            looks: 0,
            full: 0,
        }
    }

    /// The level of the next unit, which has this number.
    pub(super) fn of(&mut self, unit: u64) -> Result<u8> {
        if let Level::Fixed(level) = self.level {
            return Ok(level);
        }
        if unit.is_multiple_of(EPOCH) {
            let (full, looks) = (self.full, self.looks);
            self.climb();
            self.current = (self.control.settle_level)(unit / EPOCH, LADDER[self.step])?;
            // A level that was noted earlier is where this pass goes on from.
            let noted = LADDER.iter().position(|level| *level == self.current);
            self.step = noted.unwrap_or(self.step);
            tracing::debug!(
                unit,
                full,
                looks,
                level = self.current,
                "the level is settled"
            );
        }
        self.looks += 1;
        self.full += u64::from((self.control.is_send_queue_full)());
        Ok(self.current)
    }

    /// A step up when the queue was nearly always full, down when it nearly
    /// never was.
    fn climb(&mut self) {
        if self.full * 4 > self.looks * 3 {
            self.step = (self.step + 1).min(LADDER.len() - 1);
        } else if self.full * 4 < self.looks {
            self.step = self.step.saturating_sub(1);
        }
        (self.looks, self.full) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// The levels of the first epochs, where the queue is full before `until`.
    fn levels(until: u64, settle: &(dyn Fn(u64, u8) -> Result<u8> + Sync)) -> Vec<u8> {
        let is_full = AtomicBool::new(true);
        let look = || is_full.load(Ordering::Relaxed);
        let control = Control {
            is_send_queue_full: &look,
            settle_level: settle,
            ..Control::none()
        };
        let mut levels = Levels::new(Level::Adaptive, control);
        let units = 0..EPOCH * 8;
        let all = units.map(|unit| {
            is_full.store(unit < until * EPOCH, Ordering::Relaxed);
            levels.of(unit).unwrap()
        });
        all.step_by(EPOCH as usize).collect()
    }

    #[test]
    fn the_level_follows_the_queue_and_is_settled_once_per_epoch() {
        let noted = Mutex::new(Vec::new());
        let note = |epoch: u64, level: u8| {
            noted.lock().unwrap().push((epoch, level));
            Ok(level)
        };
        let made = levels(4, &note);
        assert_eq!(made, [2, 4, 6, 6, 6, 4, 2, 2]);
        let noted = noted.into_inner().unwrap();
        let expected: Vec<_> = (0..).zip(made).collect();
        assert_eq!(noted, expected);
    }

    #[test]
    fn noted_levels_are_repeated_and_gone_on_from() {
        let noted = [2, 4, 6];
        let repeat =
            |epoch: u64, level: u8| Ok(noted.get(epoch as usize).copied().unwrap_or(level));
        assert_eq!(levels(0, &repeat), [2, 4, 6, 4, 2, 2, 2, 2]);
    }
}
