//! Waiting for a state with few calls and little waste.
//!
//! A wait costs calls, which are throttled per account, and it wastes the
//! time from "ready" to "noticed". Knowing how long things usually take, the
//! first look can come late and the next ones close together; a resource that
//! reports its progress tells when to look next.
//!
//! Not here: what a state means, and that an id just made may not be found
//! for a moment. Both are the probe's business.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// What a probe saw. A state from which there is no way on is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll<T> {
    /// The state was reached.
    Ready(T),
    /// Not yet.
    Pending,
    /// Not yet; this many percent are done.
    Progress(u8),
}

/// How long something usually takes and how closely to watch it. All times
/// are nominal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Before the first look.
    first: Duration,
    /// Between looks, while it takes about as long as expected.
    interval: Duration,
}

/// Two looks are never further apart, so that an odd progress report cannot
/// put the end far off.
const LONGEST: Duration = Duration::from_secs(30);

/// Looks at a progress are never closer together.
const SHORTEST: Duration = Duration::from_secs(1);

/// Of the time waited, at most this part passes between two looks; half of it
/// is wasted on average.
const WASTE: f64 = 0.1;

impl Pace {
    /// A new VPC becomes available.
    pub const VPC: Self = Self::brief(Duration::from_secs(2));
    /// A new vSwitch becomes available.
    pub const VSWITCH: Self = Self::brief(Duration::from_secs(3));
    /// An address is assigned.
    pub const ADDRESS: Self = Self::brief(Duration::from_secs(3));
    /// An instance starts.
    pub const INSTANCE_RUNNING: Self = Self::expecting(Duration::from_secs(20));
    /// An instance stops.
    pub const INSTANCE_STOPPED: Self = Self::expecting(Duration::from_secs(15));
    /// An image or snapshot is made or copied. This depends on the amount of
    /// data, but they report progress.
    pub const IMAGE: Self = Self {
        first: Duration::from_secs(42),
        interval: Duration::from_secs(6),
    };
    /// A deleted instance or image vanishes. What hangs on an instance stays a
    /// little longer, so looking early gains nothing.
    pub const DELETE: Self = Self::late(Duration::from_secs(3));
    /// A deleted vSwitch vanishes.
    pub const DELETE_VSWITCH: Self = Self::late(Duration::from_secs(1));
    /// An EIP is unbound or released. In a build that goes well nobody waits
    /// for it.
    pub const RELEASE_EIP: Self = Self::late(Duration::from_secs(2));

    /// Between questions whether a role that was just made is seen.
    pub const ROLE_SETTLES: Duration = Duration::from_secs(3);

    /// For something that takes about this long, give or take 30 %.
    ///
    /// A look before 70 % would be in vain, so the first one comes well after
    /// that; the more time has passed, the likelier the next one finds it
    /// ready. Between two and three looks and 7 % of the expected time on
    /// average.
    const fn expecting(expected: Duration) -> Self {
        let millis = expected.as_millis() as u64;
        Self {
            first: Duration::from_millis(millis * 88 / 100),
            interval: Duration::from_millis(millis * 12 / 100),
        }
    }

    /// For something that takes seconds, give or take 30 %. A call is worth
    /// half a second, so mostly one look must do.
    const fn brief(expected: Duration) -> Self {
        let millis = expected.as_millis() as u64;
        Self {
            first: Duration::from_millis(millis * 11 / 10),
            interval: Duration::from_millis(millis / 5),
        }
    }

    /// For something that takes seconds and that little depends on: the first
    /// look is one that suffices.
    pub const fn late(expected: Duration) -> Self {
        let millis = expected.as_millis() as u64;
        Self {
            first: Duration::from_millis(millis * 13 / 10),
            interval: Duration::from_millis(millis / 5),
        }
    }

    /// Without progress: the interval, growing with the time waited once
    /// things take longer than expected.
    fn without_progress(self, elapsed: Duration) -> Duration {
        elapsed.mul_f64(WASTE).max(self.interval).min(LONGEST)
    }
}

/// What is known of something's progress.
#[derive(Debug, Default)]
struct Progress {
    /// The last advance: percent, and the time waited until then.
    last: Option<(u8, Duration)>,
    /// Whether it was ever not a multiple of ten.
    fine: bool,
}

impl Progress {
    /// How long to wait after this was seen: until the straight line reaches
    /// 100 %, but gently at first when nothing moves, because a progress that
    /// stands still predicts nothing.
    fn next(&mut self, percent: u8, elapsed: Duration, pace: Pace) -> Duration {
        self.fine |= !percent.is_multiple_of(10);
        if let Some((_, since)) = self.last.filter(|&(best, _)| percent <= best) {
            let still = elapsed.saturating_sub(since);
            return pace.without_progress(elapsed).min(still).max(SHORTEST);
        }
        self.last = Some((percent, elapsed));
        // Percent are rounded down, so this look is rather late than one too
        // many; of steps of ten, half of one is added.
        let half_step = if self.fine { 0.0 } else { 5.0 };
        let percent = (f64::from(percent) + half_step).max(1.0);
        let whole = elapsed.mul_f64(100.0 / percent);
        whole.saturating_sub(elapsed).clamp(SHORTEST, LONGEST)
    }
}

/// Waits until `probe` is ready; it is asked at least once, and once more at
/// the limit. `what` completes "Timed out after … ".
///
/// # Errors
/// The probe's own, `Kind::Timeout` after `limit`, or `Kind::Cancelled` at
/// once when `stop` is used.
pub async fn until<T, F>(
    stop: &Stop,
    limit: Duration,
    pace: Pace,
    what: &str,
    // Not `AsyncFnMut`: then no wait that borrows could move between threads.
    mut probe: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<Poll<T>>>,
{
    let started = Instant::now();
    let mut wait = pace.first;
    let mut progress = Progress::default();
    loop {
        let left = limit.saturating_sub(stop.clock().elapsed(started));
        stop.sleep(wait.min(left)).await?;
        let seen = probe().await?;
        let elapsed = stop.clock().elapsed(started);
        wait = match seen {
            Poll::Ready(value) => return Ok(value),
            Poll::Progress(percent) => progress.next(percent, elapsed, pace),
            Poll::Pending => pace.without_progress(elapsed),
        };
        if elapsed >= limit {
            return Err(timed_out(limit, what));
        }
    }
}

fn timed_out(limit: Duration, what: &str) -> Error {
    Error::new(Kind::Timeout, format!("Timed out after {limit:?} {what}"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::clock::Clock;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Seen {
        probes: u32,
        waste: f64,
    }

    /// Waits for something that takes `seconds`.
    async fn wait_for(pace: Pace, seconds: f64, progress: fn(f64) -> Poll<()>) -> Seen {
        let stop = Stop::new(Clock::default());
        let started = Instant::now();
        let probes = Cell::new(0);
        until(&stop, HOUR, pace, "waiting", async || {
            probes.set(probes.get() + 1);
            let part = started.elapsed().as_secs_f64() / seconds;
            Ok(if part >= 1.0 {
                Poll::Ready(())
            } else {
                progress(part)
            })
        })
        .await
        .unwrap();
        Seen {
            probes: probes.get(),
            waste: started.elapsed().as_secs_f64() - seconds,
        }
    }

    fn pending(_: f64) -> Poll<()> {
        Poll::Pending
    }

    fn linear(part: f64) -> Poll<()> {
        Poll::Progress((part * 100.0) as u8)
    }

    #[tokio::test(start_paused = true)]
    async fn expected_durations_cost_few_probes_and_little_waste() {
        let table = [
            // (pace, expected, most looks and waste, mean looks and waste)
            (Pace::VPC, 2.0, 2, 0.81, 1.4, 0.35),
            (Pace::VSWITCH, 3.0, 2, 1.21, 1.4, 0.53),
            (Pace::DELETE, 3.0, 1, 1.81, 1.0, 0.91),
            (Pace::INSTANCE_RUNNING, 20.0, 5, 3.61, 2.7, 1.5),
            (Pace::INSTANCE_STOPPED, 15.0, 5, 2.71, 2.7, 1.1),
            (Pace::DELETE_VSWITCH, 1.0, 1, 0.61, 1.0, 0.31),
            (Pace::RELEASE_EIP, 2.0, 1, 1.21, 1.0, 0.61),
        ];
        for (pace, expected, most_looks, most_waste, mean_looks, mean_waste) in table {
            let (mut looks, mut waste) = (0, 0.0);
            for tenth_percent in (700..=1300).step_by(5) {
                let seconds = expected * f64::from(tenth_percent) / 1000.0;
                let seen = wait_for(pace, seconds, pending).await;
                assert!(
                    seen.probes <= most_looks && seen.waste <= most_waste,
                    "{pace:?} {seconds}: {} {}",
                    seen.probes,
                    seen.waste
                );
                looks += seen.probes;
                waste += seen.waste;
            }
            let (looks, waste) = (f64::from(looks) / 121.0, waste / 121.0);
            assert!(
                looks <= mean_looks && waste <= mean_waste,
                "{pace:?}: {looks} {waste}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_predicts_the_end() {
        let mut looks = 0;
        for seconds in 42..=78 {
            let seen = wait_for(Pace::IMAGE, f64::from(seconds), linear).await;
            // Three if the end is more than half a minute off, or if the
            // first look saw a round number.
            assert!(seen.probes <= 3, "{seconds}: {}", seen.probes);
            looks += seen.probes;
            assert!(seen.waste <= 1.5, "{seconds}: {}", seen.waste);
        }
        assert!(looks <= 37 * 5 / 2, "{looks}");
        // Ten times the data: still one look in half a minute.
        let seen = wait_for(Pace::IMAGE, 600.0, linear).await;
        assert!(seen.probes <= 22 && seen.waste < 3.0, "{}", seen.probes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_progress_is_not_asked_every_second() {
        let seen = wait_for(Pace::IMAGE, 600.0, |_| Poll::Progress(99)).await;
        assert!(seen.probes <= 45, "{}", seen.probes);
    }

    #[tokio::test(start_paused = true)]
    async fn coarse_progress_costs_little() {
        for seconds in 42..=78 {
            let coarse = |part: f64| Poll::Progress((part * 10.0) as u8 * 10);
            let seen = wait_for(Pace::IMAGE, f64::from(seconds), coarse).await;
            assert!(seen.probes <= 5, "{seconds}: {}", seen.probes);
            assert!(seen.waste < 4.5, "{seconds}: {}", seen.waste);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_kept_after_a_last_look() {
        let stop = Stop::new(Clock::default());
        let limit = Duration::from_secs(10);
        let started = Instant::now();
        let looks = Cell::new(0);
        let error = until::<(), _>(&stop, limit, Pace::IMAGE, "waiting for x", async || {
            looks.set(looks.get() + 1);
            Ok(Poll::Pending)
        })
        .await
        .unwrap_err();
        assert_eq!((error.kind(), looks.get()), (Kind::Timeout, 1));
        assert_eq!(error.message(), "Timed out after 10s waiting for x");
        assert_eq!(started.elapsed(), limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait_at_once() {
        let stop = Stop::new(Clock::default());
        let started = Instant::now();
        let wait = until::<(), _>(&stop, HOUR, Pace::VPC, "", async || {
            stop.stop();
            Ok(Poll::Pending)
        });
        assert_eq!(wait.await.unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(started.elapsed(), Pace::VPC.first);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_scaled_and_a_failed_probe_ends_the_wait() {
        let stop = Stop::new(Clock::scaled(0.01));
        let started = Instant::now();
        let wait = until::<(), _>(&stop, HOUR, Pace::INSTANCE_RUNNING, "", async || {
            Err(Error::new(Kind::FailedState, "Broken"))
        });
        assert_eq!(wait.await.unwrap_err().kind(), Kind::FailedState);
        assert_eq!(started.elapsed(), Duration::from_millis(176));
    }
}
