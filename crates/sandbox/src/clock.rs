//! The sandbox's time: tokio's clock plus what tests have skipped with
//! `advance`, so that a paused or an advanced clock moves every state machine
//! alike. Delays are scaled when they are drawn, not here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// Time since the sandbox started.
pub(crate) type Moment = Duration;

/// Counts time from the start of the sandbox.
pub(crate) struct Clock {
    started: Instant,
    ahead: SignedDuration,
    wall_started: Timestamp,
    skipped: watch::Sender<Duration>,
}

impl Clock {
    /// A clock that is so far ahead of this machine's.
    pub(crate) fn start(ahead: SignedDuration) -> Self {
        Self {
            started: Instant::now(),
            ahead,
            wall_started: Timestamp::now() + ahead,
            skipped: watch::Sender::new(Duration::ZERO),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.started.elapsed() + *self.skipped.borrow()
    }

    /// The calendar time that requests are compared with: nobody's requests
    /// are late because a test skipped time.
    pub(crate) fn server_time(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    /// The calendar time of a moment.
    pub(crate) fn wall(&self, moment: Moment) -> Timestamp {
        let elapsed = SignedDuration::try_from(moment).unwrap_or(SignedDuration::ZERO);
        self.wall_started
            .checked_add(elapsed)
            .unwrap_or(self.wall_started)
    }

    /// The moment of a calendar time; the start for anything earlier.
    pub(crate) fn moment(&self, wall: Timestamp) -> Moment {
        let since = wall.duration_since(self.wall_started);
        Duration::try_from(since).unwrap_or(Duration::ZERO)
    }

    /// Moves the clock forward and wakes everybody who sleeps on it.
    pub(crate) fn advance(&self, by: Duration) {
        self.skipped.send_modify(|skipped| *skipped += by);
    }

    pub(crate) async fn sleep_until(&self, moment: Moment) {
        let mut skipped = self.skipped.subscribe();
        loop {
            skipped.borrow_and_update();
            let Some(left) = moment.checked_sub(self.now()).filter(|d| !d.is_zero()) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = skipped.changed() => {}
            }
        }
    }
}

/// `2026-01-02T03:04:05Z`, the form of most answers.
pub(crate) fn iso(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-01-02T03:04:05.000Z`, the form of OSS.
pub(crate) fn iso_millis(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`, the form of HTTP headers.
pub(crate) fn http_date(wall: Timestamp) -> String {
    wall.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `2026-01-02T03:04Z`, the form of instance times.
pub(crate) fn iso_minutes(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%MZ").to_string()
}
