//! Threads that do units at the same time, and hand them on in order.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::level::Levels;
use super::unit::{Ranges, Unit, Units, Work};
use crate::error::{Error, Kind, Result};

/// Finished units that may wait for an earlier one, per thread.
const AHEAD: u64 = 2;

/// Does all units on so many threads and gives them in order to `consume`,
/// which runs on this thread.
pub(super) fn run(
    work: &Work<'_>,
    threads: usize,
    levels: Levels<'_>,
    is_stopped: &(dyn Fn() -> bool + Sync),
    consume: &mut dyn FnMut(&Unit) -> Result<()>,
) -> Result<()> {
    let queue = Queue {
        state: Mutex::new(State {
            units: work.units(),
            levels,
            taken: 0,
            wanted: 0,
            done: HashMap::new(),
            spare: Vec::new(),
            is_exhausted: false,
            is_closed: false,
        }),
        changed: Condvar::new(),
        window: threads as u64 * AHEAD,
        is_stopped,
    };
    thread::scope(|scope| {
        // Closes on every way out, also by a panic, so that the scope ends.
        let closing = Closing(&queue);
        for _ in 0..threads {
            scope.spawn(|| queue.worker(work));
        }
        let outcome = queue.consume(consume);
        drop(closing);
        outcome
    })
}

struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
    window: u64,
    is_stopped: &'a (dyn Fn() -> bool + Sync),
}

struct State<'a> {
    units: Units<'a>,
    levels: Levels<'a>,
    /// How many units have been given to workers.
    taken: u64,
    /// Number of the unit that is consumed next.
    wanted: u64,
    done: HashMap<u64, Result<Unit>>,
    /// Consumed units, for their memory.
    spare: Vec<Unit>,
    is_exhausted: bool,
    is_closed: bool,
}

/// What a worker is given.
struct Job {
    number: u64,
    ranges: Ranges,
    level: u8,
    /// A consumed unit, for its memory.
    unit: Unit,
}

/// Closes the queue when it is dropped.
struct Closing<'q, 'a>(&'q Queue<'a>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl State<'_> {
    /// The next ranges and how hard to compress them.
    fn next_ranges(&mut self) -> Option<Result<(Ranges, u8)>> {
        let ranges = match self.units.next()? {
            Ok(ranges) => ranges,
            Err(error) => return Some(Err(error)),
        };
        Some(self.levels.of(self.taken).map(|level| (ranges, level)))
    }
}

impl<'a> Queue<'a> {
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        // The state is sound between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, guard: MutexGuard<'g, State<'a>>) -> MutexGuard<'g, State<'a>> {
        self.changed
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self, work: &Work<'_>) {
        let mut worker = work.worker();
        while let Some(job) = self.take() {
            let Job {
                number,
                ranges,
                level,
                mut unit,
            } = job;
            // A panic must not leave the consumer waiting for this unit.
            let closing = Closing(self);
            let outcome = worker.run(&ranges, level, &mut unit).map(|()| unit);
            std::mem::forget(closing);
            self.lock().done.insert(number, outcome);
            self.changed.notify_all();
        }
    }

    /// The next unit to do, as soon as there is room for its result.
    fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        while !state.is_closed && state.taken >= state.wanted + self.window {
            state = self.wait(state);
        }
        if state.is_closed || state.is_exhausted {
            return None;
        }
        let taken = state.taken;
        let next = if (self.is_stopped)() {
            Some(Err(Error::cancelled()))
        } else {
            state.next_ranges()
        };
        let job = match next {
            Some(Ok(job)) => Some(job),
            Some(Err(error)) => {
                state.done.insert(taken, Err(error));
                state.taken += 1;
                None
            }
            None => None,
        };
        let Some((ranges, level)) = job else {
            state.is_exhausted = true;
            self.changed.notify_all();
            return None;
        };
        state.taken += 1;
        Some(Job {
            number: taken,
            ranges,
            level,
            unit: state.spare.pop().unwrap_or_default(),
        })
    }

    fn consume(&self, consume: &mut dyn FnMut(&Unit) -> Result<()>) -> Result<()> {
        while let Some(unit) = self.next()? {
            consume(&unit)?;
            self.lock().spare.push(unit);
        }
        Ok(())
    }

    /// The next unit in order, or `None` after the last.
    fn next(&self) -> Result<Option<Unit>> {
        let mut state = self.lock();
        loop {
            let wanted = state.wanted;
            if let Some(outcome) = state.done.remove(&wanted) {
                state.wanted += 1;
                self.changed.notify_all();
                return outcome.map(Some);
            }
            if state.is_closed {
                return Err(Error::new(
                    Kind::Internal,
                    "A thread that reads a disk died",
                ));
            }
            if state.is_exhausted && wanted == state.taken {
                return Ok(None);
            }
            state = self.wait(state);
        }
    }
}
