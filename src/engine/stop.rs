//! Stopping: what the first and the second signal mean.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};

/// Tells everything that waits when to stop.
///
/// `soft` ends a build; its resources are deleted. `hard` makes that deletion
/// skip niceties. A [`Stop`] is cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
    clock: Clock,
}

impl Stop {
    /// One that nobody has used yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            clock,
        }
    }

    /// For cleaning up after this one was used: not stopped, same `hard`.
    #[must_use]
    pub fn for_cleanup(&self) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: self.hard.clone(),
            clock: self.clock,
        }
    }

    /// The same signals, on a clock that is not scaled.
    #[must_use]
    pub fn in_real_time(&self) -> Self {
        Self {
            clock: Clock::default(),
            ..self.clone()
        }
    }

    /// The same signals, on another clock.
    #[must_use]
    pub fn on(&self, clock: Clock) -> Self {
        Self {
            clock,
            ..self.clone()
        }
    }

    /// The clock that waits go by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// First signal: end builds and clean up.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Second signal: clean up without niceties.
    pub fn hurry(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether the first signal came.
    pub fn is_stopped(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Whether the second signal came.
    pub fn is_hurried(&self) -> bool {
        self.hard.is_cancelled()
    }

    /// Completes at the first signal.
    pub async fn stopped(&self) {
        self.soft.cancelled().await;
    }

    /// The future's output, or [`Kind::Cancelled`] when the signal came first.
    pub async fn race<F: Future>(&self, future: F) -> Result<F::Output> {
        tokio::select! {
            biased;
            () = self.soft.cancelled() => Err(Error::cancelled()),
            output = future => Ok(output),
        }
    }

    /// Waits for a nominal duration, or fails when the signal comes first.
    pub async fn sleep(&self, nominal: Duration) -> Result<()> {
        self.race(self.clock.sleep(nominal)).await
    }

    /// The future's output; fails on the signal or when the limit has passed.
    /// `what` completes "Timed out after 5m … ".
    pub async fn within<F: Future>(
        &self,
        limit: Duration,
        what: &str,
        future: F,
    ) -> Result<F::Output> {
        self.race(self.clock.timeout(limit, future))
            .await?
            .ok_or_else(|| Error::new(Kind::Timeout, format!("Timed out after {limit:?} {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stopped_race_fails_and_cleanup_goes_on() {
        let stop = Stop::new(Clock::default());
        stop.stop();
        let error = stop.race(std::future::ready(1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert_eq!(
            stop.for_cleanup()
                .race(std::future::ready(1))
                .await
                .unwrap(),
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn real_time_is_not_scaled_and_stops_too() {
        let stop = Stop::new(Clock::scaled(0.001));
        let real = stop.in_real_time();
        let start = tokio::time::Instant::now();
        real.sleep(Duration::from_secs(10)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 10);
        stop.stop();
        assert!(real.is_stopped());
    }

    #[tokio::test]
    async fn hurry_reaches_the_cleanup() {
        let stop = Stop::new(Clock::default());
        let cleanup = stop.for_cleanup();
        stop.hurry();
        assert!(cleanup.is_hurried() && !cleanup.is_stopped());
    }
}
