//! Waiting, with a scale: one place where time passes.
//!
//! Every wait and every time-out of a build goes through a [`Clock`]. Its
//! scale is 1 for real clouds; against a sandbox whose own delays are scaled,
//! the same factor makes an hour's build take seconds without changing what
//! the build does.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Scaled time. Durations given to it are nominal (unscaled).
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    scale: f64,
}

impl Clock {
    /// A clock on which a nominal second takes `scale` seconds.
    ///
    /// # Panics
    /// If `scale` is not a positive finite number.
    pub fn scaled(scale: f64) -> Self {
        assert!(
            scale.is_finite() && scale > 0.0,
            "time scale is positive and finite"
        );
        Self { scale }
    }

    /// The factor between nominal and real time.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Waits for a nominal duration.
    pub async fn sleep(&self, nominal: Duration) {
        tokio::time::sleep(self.real(nominal)).await;
    }

    /// The future's output, or `None` when the nominal duration passed first.
    pub async fn timeout<F: Future>(&self, nominal: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(self.real(nominal), future).await.ok()
    }

    /// The nominal time since `start`.
    pub fn elapsed(&self, start: Instant) -> Duration {
        start.elapsed().div_f64(self.scale)
    }

    /// The real length of a nominal duration.
    pub fn real(&self, nominal: Duration) -> Duration {
        // Far limits ("no time-out") must not overflow the multiplication.
        Duration::try_from_secs_f64(nominal.as_secs_f64() * self.scale).unwrap_or(Duration::MAX / 4)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::scaled(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scaled_sleep_is_shorter_and_elapsed_is_nominal() {
        let clock = Clock::scaled(0.001);
        let start = Instant::now();
        clock.sleep(Duration::from_secs(1000)).await;
        assert_eq!(start.elapsed().as_secs(), 1);
        assert_eq!(clock.elapsed(start).as_secs(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_scaled() {
        let clock = Clock::scaled(0.01);
        let never = std::future::pending::<()>();
        assert_eq!(clock.timeout(Duration::from_secs(100), never).await, None);
    }
}
