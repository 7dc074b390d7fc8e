//! The one place that decides whether and when a request is sent again.
//!
//! A decision depends on what is known of the failed attempt's fate:
//!
//! | fate | examples | sent again |
//! |---|---|---|
//! | not sent | no connection | always |
//! | refused for now | `Throttling`, `DependencyViolation` | always |
//! | unknown | reset, time-out, 502, `InternalError` | as [`Repeat`] allows |
//! | refused | everything else | never |
//!
//! Waits are nominal, and are slept through a `Stop`.

pub(super) mod codes;

use std::time::Duration;

use tokio::time::Instant;

use super::Repeat;
use super::failure::{Failure, Refusal};
use super::transport::{HttpResponse, SendFailure, Signed, Transport};
use crate::engine::stop::Stop;
use crate::error::ApiFailure;

/// Why a failed request is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The host could not be reached; `before` says whether it ever was.
    Unreachable {
        /// It answered earlier.
        before: bool,
    },
    /// Too many requests.
    Throttled,
    /// Something else must end first.
    Busy,
    /// The service did nothing, but will be back.
    Unavailable,
    /// The answer got lost, or does not say what was done.
    Lost,
    /// Our clock is wrong; the next attempt goes by the server's.
    ClockSkew,
    /// The nonce was seen before, perhaps on a duplicated packet.
    NonceUsed,
    /// Temporary keys have ended; there may be fresh ones.
    TokenExpired,
    /// Whoever hands out keys or tokens does not answer well.
    SignIn,
}

/// Why the failure is worth another attempt, if it is.
pub(super) fn cause(repeat: Repeat, failure: &Failure, reached: bool) -> Option<Cause> {
    let unknown = (repeat != Repeat::Never).then_some(Cause::Lost);
    match failure {
        Failure::Send(failure) if failure.unsent => Some(Cause::Unreachable { before: reached }),
        Failure::Send(_) | Failure::Damaged(_) => unknown,
        Failure::Refused(refusal) => cause_of_refusal(refusal, unknown),
        Failure::Local(_) => None,
    }
}

fn cause_of_refusal(refusal: &Refusal, unknown: Option<Cause>) -> Option<Cause> {
    let failure = &refusal.failure;
    let code = failure.code.as_str();
    match code {
        "InvalidTimeStamp.Expired" | "RequestTimeTooSkewed" => Some(Cause::ClockSkew),
        "SignatureNonceUsed" => Some(Cause::NonceUsed),
        "InvalidSecurityToken.Expired" | "SecurityTokenExpired" => Some(Cause::TokenExpired),
        _ if codes::matches(codes::THROTTLED, code) => Some(Cause::Throttled),
        _ if codes::is_busy(failure.action, code) => Some(Cause::Busy),
        _ if codes::matches(codes::UNAVAILABLE, code) => Some(Cause::Unavailable),
        _ if failure.http_status == 429 => Some(Cause::Throttled),
        _ if codes::matches(codes::INTERNAL, code) || failure.http_status >= 500 => unknown,
        _ => None,
    }
}

/// Asks a service that hands out keys or tokens, a few times if need be:
/// always when a question did not get there, and when it may have, only one
/// that can be asked twice.
pub(super) async fn sign_in(
    stop: &Stop,
    repeat: Repeat,
    transport: &dyn Transport,
    request: &Signed,
) -> Result<HttpResponse, SendFailure> {
    let started = Instant::now();
    let mut attempts = Attempts::default();
    loop {
        let outcome = transport.send(request.clone()).await;
        let (is_bad, is_unknown) = match &outcome {
            Ok(response) => (response.status == 429 || response.status >= 500, true),
            Err(failure) => (true, !failure.unsent),
        };
        if !is_bad || (is_unknown && repeat == Repeat::Never) {
            return outcome;
        }
        let elapsed = stop.clock().elapsed(started);
        let wait = attempts.after(Cause::SignIn, elapsed, None, rand::random());
        let Some(wait) = wait else {
            return outcome;
        };
        if stop.sleep(wait).await.is_err() {
            return outcome;
        }
    }
}

/// How patiently one cause is met.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Patience {
    first: Duration,
    factor: f64,
    longest: Duration,
    /// No attempt begins later than this after the request's first.
    limit: Duration,
    /// How many attempts there may be after the first.
    tries: u32,
}

const fn patience(first_ms: u64, factor: f64, longest_s: u64, limit_s: u64) -> Patience {
    Patience {
        first: Duration::from_millis(first_ms),
        factor,
        longest: Duration::from_secs(longest_s),
        limit: Duration::from_secs(limit_s),
        tries: u32::MAX,
    }
}

const fn at_once(tries: u32) -> Patience {
    Patience {
        tries,
        ..patience(0, 1.0, 0, 180)
    }
}

impl Cause {
    fn patience(self) -> Patience {
        match self {
            // A typo in an endpoint must not cost minutes.
            Self::Unreachable { before: false } => patience(100, 2.0, 5, 15),
            Self::Unreachable { before: true } | Self::Unavailable | Self::Lost => {
                patience(100, 2.0, 15, 180)
            }
            Self::Throttled => patience(500, 2.0, 20, 300),
            // What we wait for takes a second or more. Three minutes is how
            // long Packer waits for a lingering network interface.
            Self::Busy => patience(1_000, 1.5, 5, 180),
            Self::ClockSkew | Self::TokenExpired => at_once(1),
            Self::NonceUsed => at_once(3),
            // The next place for keys may be waiting.
            Self::SignIn => Patience {
                tries: 4,
                ..patience(250, 2.0, 4, 15)
            },
        }
    }
}

/// The attempts of one request.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: Vec<Cause>,
}

impl Attempts {
    /// How long to wait before the next attempt, or none to give up.
    /// `elapsed` is the nominal time since the first attempt began, `hint`
    /// what the server asked for, `jitter` from 0 to 1.
    pub(super) fn after(
        &mut self,
        cause: Cause,
        elapsed: Duration,
        hint: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        let patience = cause.patience();
        let before = self
            .failed
            .iter()
            .filter(|&&failed| failed == cause)
            .count();
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        self.failed.push(cause);
        let wait = hint.map_or_else(
            || backoff(patience, before, jitter),
            |hint| hint.mul_f64(1.0 + jitter / 10.0),
        );
        // A slow failure deserves one more attempt however late it is.
        let in_time = before == 0 || elapsed + wait <= patience.limit;
        let reasonable = wait <= patience.limit;
        (before < patience.tries && in_time && reasonable).then_some(wait)
    }

    /// Whether this refusal means that an earlier attempt, whose answer was
    /// lost, did its work.
    pub(super) fn did_it(&self, refusal: &Refusal) -> bool {
        let ApiFailure { action, code, .. } = &refusal.failure;
        self.failed.contains(&Cause::Lost) && codes::is_done_already(action, code)
    }

    /// How many attempts have failed.
    pub(super) fn failed(&self) -> usize {
        self.failed.len()
    }
}

/// Half of the wait is random, so that parallel builds do not march in step.
fn backoff(patience: Patience, before: u32, jitter: f64) -> Duration {
    let exponent = i32::try_from(before.min(32)).unwrap_or(32);
    let grown = patience.first.as_secs_f64() * patience.factor.powi(exponent);
    let capped = grown.min(patience.longest.as_secs_f64());
    Duration::from_secs_f64(capped * (0.5 + jitter / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::transport::SendFailure;
    use crate::error::{Error, Kind};

    fn refused(action: &'static str, http_status: u16, code: &str) -> Failure {
        Failure::Refused(Box::new(Refusal {
            failure: ApiFailure {
                action,
                region: "cn-hangzhou".into(),
                http_status,
                code: code.into(),
                message: String::new(),
                request_id: String::new(),
            },
            retry_after: None,
            date: None,
            missing_permission: None,
            endpoint: None,
            same_string_to_sign: None,
        }))
    }

    fn sent(unsent: bool) -> Failure {
        Failure::Send(SendFailure {
            unsent,
            host: "h".into(),
            source: "x".into(),
        })
    }

    #[test]
    fn causes_follow_the_table() {
        use Repeat::{Always, Never, WithClientToken};
        let unreachable = Some(Cause::Unreachable { before: true });
        let table = [
            (Never, sent(true), unreachable),
            (Never, sent(false), None),
            (Always, sent(false), Some(Cause::Lost)),
            (WithClientToken, sent(false), Some(Cause::Lost)),
            (
                Never,
                refused("ImportKeyPair", 503, "ServiceUnavailable"),
                Some(Cause::Unavailable),
            ),
            (Never, refused("ImportKeyPair", 500, "InternalError"), None),
            (Never, refused("ImportKeyPair", 502, "HTTP 502"), None),
            (
                Always,
                refused("DescribeImages", 502, "HTTP 502"),
                Some(Cause::Lost),
            ),
            (
                Always,
                refused("DescribeImages", 500, "InternalError"),
                Some(Cause::Lost),
            ),
            (
                Never,
                refused("ImportKeyPair", 400, "Throttling.User"),
                Some(Cause::Throttled),
            ),
            (
                Never,
                refused("ImportKeyPair", 429, "HTTP 429"),
                Some(Cause::Throttled),
            ),
            (
                WithClientToken,
                refused("RunInstances", 403, "IdempotentProcessing"),
                Some(Cause::Busy),
            ),
            (
                WithClientToken,
                refused("RunInstances", 403, "OperationDenied.NoStock"),
                None,
            ),
            (
                Always,
                refused("DeleteSecurityGroup", 403, "DependencyViolation"),
                Some(Cause::Busy),
            ),
            (
                Always,
                refused("DescribeInstances", 403, "DependencyViolation"),
                None,
            ),
            (
                Always,
                refused("DeleteVpc", 400, "DependencyViolation.NatGateway"),
                None,
            ),
            (
                Always,
                refused("DescribeImages", 400, "InvalidTimeStamp.Expired"),
                Some(Cause::ClockSkew),
            ),
            (
                Never,
                refused("ImportKeyPair", 400, "SignatureNonceUsed"),
                Some(Cause::NonceUsed),
            ),
            (
                Always,
                refused("DescribeImages", 400, "InvalidSecurityToken.Expired"),
                Some(Cause::TokenExpired),
            ),
            (
                Always,
                refused("DescribeImages", 403, "Forbidden.RAM"),
                None,
            ),
            (
                Always,
                Failure::Local(Error::new(Kind::Credentials, "x")),
                None,
            ),
        ];
        for (repeat, failure, expected) in table {
            assert_eq!(
                cause(repeat, &failure, true),
                expected,
                "{repeat:?} {failure:?}"
            );
        }
    }

    #[test]
    fn waits_grow_to_their_cap_with_jitter() {
        let mut attempts = Attempts::default();
        let zero = Duration::ZERO;
        let waits: Vec<_> = (0..10)
            .map(|_| {
                attempts
                    .after(Cause::Lost, zero, None, 1.0)
                    .unwrap()
                    .as_millis()
            })
            .collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000]
        );
        assert_eq!(attempts.failed(), 10);
        let least = Attempts::default().after(Cause::Throttled, zero, None, 0.0);
        assert_eq!(least, Some(Duration::from_millis(250)));
    }

    #[test]
    fn the_servers_hint_counts_within_the_limit() {
        let after = |hint| {
            let hint = Some(Duration::from_secs(hint));
            Attempts::default().after(Cause::Throttled, Duration::ZERO, hint, 0.0)
        };
        assert_eq!(after(7), Some(Duration::from_secs(7)));
        assert_eq!(after(3600), None);
    }

    #[test]
    fn patience_ends() {
        let late = Duration::from_secs(1000);
        let mut attempts = Attempts::default();
        assert!(attempts.after(Cause::Busy, late, None, 0.5).is_some());
        assert_eq!(attempts.after(Cause::Busy, late, None, 0.5), None);
        let mut attempts = Attempts::default();
        let zero = Duration::ZERO;
        assert_eq!(
            attempts.after(Cause::ClockSkew, zero, None, 0.5),
            Some(zero)
        );
        assert_eq!(attempts.after(Cause::ClockSkew, zero, None, 0.5), None);
    }
}
