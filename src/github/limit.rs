//! How long GitHub wants us to wait, and whether that is worth it.
//!
//! | answer | wait |
//! |---|---|
//! | 403 or 429 with `retry-after` | that many seconds |
//! | 403 or 429 with `x-ratelimit-remaining: 0` | until `x-ratelimit-reset` |
//! | 429, or 403 that speaks of a secondary limit | a minute |
//! | 5xx, or no answer | a second, then four; only where repeating is safe |
//!
//! A limit was refused before anything was done, so every request may be sent
//! again. Waits are nominal; the caller sleeps them through its `Stop`.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::failure::Failure;

/// A comment is not worth more of a job's minutes than this.
const LONGEST: Duration = Duration::from_secs(60);

/// What GitHub's page says to do when it does not say how long.
const UNSAID: Duration = Duration::from_secs(60);

/// Before the second and the third attempt.
const AFTER_TROUBLE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How long to wait before the next request, when the refusal is a limit.
/// `now` is in seconds since 1970.
pub(super) fn wait(status: u16, headers: &HeaderMap, message: &str, now: u64) -> Option<Duration> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    let number = |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.parse().ok() };
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset");
        // The reset is a whole second, and clocks differ by about one.
        return Some(reset.map_or(UNSAID, |reset| {
            Duration::from_secs(reset.saturating_sub(now) + 1)
        }));
    }
    let is_secondary = message.to_ascii_lowercase().contains("rate limit");
    (status == 429 || is_secondary).then_some(UNSAID)
}

/// The waits of one request.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waited: Duration,
    troubles: usize,
}

impl Patience {
    /// How long to wait before the next attempt, or none to give up.
    pub(super) fn after(&mut self, failure: &Failure, may_repeat: bool) -> Option<Duration> {
        let wait = match failure {
            Failure::Refused(refusal) => match refusal.wait {
                Some(wait) => wait,
                None if refusal.status >= 500 && may_repeat => self.trouble()?,
                None => return None,
            },
            Failure::Unsent(_) => self.trouble()?,
            Failure::Lost(_) if may_repeat => self.trouble()?,
            Failure::Lost(_) | Failure::Damaged(_) | Failure::Own(_) => return None,
        };
        self.waited += wait;
        (self.waited <= LONGEST).then_some(wait)
    }

    fn trouble(&mut self) -> Option<Duration> {
        let wait = AFTER_TROUBLE.get(self.troubles).copied();
        self.troubles += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Refusal;
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn waits(status: u16, headers: &[(&'static str, &'static str)], message: &str) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let wait = wait(status, &headers.collect(), message, NOW);
        wait.map(|wait| wait.as_secs())
    }

    #[test]
    fn headers_say_how_long() {
        let secondary = "You have exceeded a secondary rate limit.";
        let forbidden = "Resource not accessible by integration";
        let empty = ("x-ratelimit-remaining", "0");
        assert_eq!(waits(403, &[("retry-after", "7")], secondary), Some(7));
        assert_eq!(waits(429, &[("retry-after", "7"), empty], ""), Some(7));
        let reset = ("x-ratelimit-reset", "1800000030");
        assert_eq!(waits(403, &[empty, reset], ""), Some(31));
        let past = ("x-ratelimit-reset", "1700000000");
        assert_eq!(waits(403, &[empty, past], ""), Some(1));
        assert_eq!(waits(403, &[empty], ""), Some(60));
        assert_eq!(waits(403, &[], secondary), Some(60));
        assert_eq!(waits(429, &[], ""), Some(60));
        assert_eq!(waits(403, &[reset], forbidden), None);
        assert_eq!(waits(503, &[("retry-after", "7")], ""), None);
    }

    fn refused(status: u16, wait: Option<u64>) -> Failure {
        Failure::Refused(Refusal {
            status,
            message: String::new(),
            wait: wait.map(Duration::from_secs),
        })
    }

    #[test]
    fn a_minute_is_all_there_is() {
        let mut patience = Patience::default();
        assert!(patience.after(&refused(403, Some(40)), false).is_some());
        assert!(patience.after(&refused(403, Some(40)), false).is_none());
        let mut patience = Patience::default();
        assert!(patience.after(&refused(429, Some(61)), true).is_none());
    }

    #[test]
    fn trouble_is_repeated_where_that_is_safe() {
        let table = [
            (refused(502, None), true, 2),
            (refused(502, None), false, 0),
            (refused(404, None), true, 0),
            (Failure::Unsent("x".into()), false, 2),
            (Failure::Lost("x".into()), true, 2),
            (Failure::Lost("x".into()), false, 0),
        ];
        for (failure, may_repeat, expected) in table {
            let mut patience = Patience::default();
            let waits = std::iter::from_fn(|| patience.after(&failure, may_repeat));
            assert_eq!(waits.count(), expected, "{failure:?}");
        }
    }
}
