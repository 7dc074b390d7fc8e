//! Sends requests until they are answered: signing, clock, keys, trying again.

mod rpc;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use url::Url;

use super::credential::{Credential, CredentialProvider};
use super::endpoint::Endpoints;
use super::failure::{Failure, Refusal};
use super::retry::codes::is_about_credentials;
use super::retry::{self, Attempts, Cause};
use super::sign::SignatureAlgorithm;
use super::transport::{HttpResponse, Signed, Transport};
use super::{Action, Repeat, answer, hints};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result, one_line};

/// What a client needs.
pub struct CloudConfig {
    /// Who calls.
    pub credentials: Arc<dyn CredentialProvider>,
    /// Where to.
    pub endpoints: Endpoints,
    /// How requests are signed.
    pub signature: SignatureAlgorithm,
    /// What sends them.
    pub transport: Arc<dyn Transport>,
}

/// How long the answer to a creating request is awaited after a stop. Real
/// time, as all time-outs of the network.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct Client {
    config: CloudConfig,
    /// The server's clock minus ours, in milliseconds.
    skew_ms: AtomicI64,
    /// Hosts that have answered.
    reached: Mutex<HashSet<String>>,
}

/// What is known of a request before it is sent.
pub(super) struct About {
    pub(super) action: &'static str,
    pub(super) region: String,
    pub(super) repeat: Repeat,
    /// Whether it may make something that costs money.
    pub(super) creates: bool,
    pub(super) url: Url,
}

/// A request that can be signed and sent for each attempt anew.
pub(super) trait Exchange: Sync {
    type Answer: Send;

    fn about(&self) -> &About;

    /// One attempt, to its end.
    fn exchange(
        &self,
        client: &Client,
        credential: &Credential,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// The answer when the refusal of a repeated request says that an earlier
    /// one did the work.
    fn done(&self) -> Self::Answer;

    /// The id to give to Alibaba Cloud's support.
    fn request_id(answer: &Self::Answer) -> &str;
}

impl Client {
    pub(super) fn new(config: CloudConfig) -> Self {
        Self {
            config,
            skew_ms: AtomicI64::new(0),
            reached: Mutex::default(),
        }
    }

    /// Sends a typed request until it is answered for good.
    pub(super) async fn send<R: Action>(
        &self,
        region: &str,
        request: &R,
        token: Option<&str>,
        creates: bool,
        stop: &Stop,
    ) -> Result<R::Response> {
        let request = rpc::Request::new(self, region, request, token, creates)?;
        let content = self.until_answered(&request, stop).await?;
        serde_json::from_value(answer::without_nulls(content)).map_err(|error| {
            let message = format!("Alibaba Cloud's answer to {} is not understood", R::NAME);
            Error::new(Kind::Cloud, message).with_source(error)
        })
    }

    /// Sends a request until it is answered for good: the only place where
    /// any of the API is sent twice.
    pub(super) async fn until_answered<E: Exchange>(
        &self,
        request: &E,
        stop: &Stop,
    ) -> Result<E::Answer> {
        let started = Instant::now();
        let mut attempts = Attempts::default();
        loop {
            let credential = stop.race(self.config.credentials.get()).await??;
            let failure = match self.attempt(request, &credential, stop).await {
                Ok(content) => return Ok(content),
                Err(Failure::Refused(refusal)) if attempts.did_it(&refusal) => {
                    return Ok(request.done());
                }
                Err(failure) => failure,
            };
            let elapsed = stop.clock().elapsed(started);
            let wait = self
                .next(
                    request.about(),
                    &failure,
                    &credential,
                    &mut attempts,
                    elapsed,
                )
                .await;
            let Some(wait) = wait else {
                return Err(error(request.about(), failure, attempts.failed(), elapsed));
            };
            stop.sleep(wait).await?;
        }
    }

    /// How long to wait before the next attempt, or none to give up. Puts
    /// right what can be: the clock, the keys.
    async fn next(
        &self,
        request: &About,
        failure: &Failure,
        used: &Credential,
        attempts: &mut Attempts,
        elapsed: Duration,
    ) -> Option<Duration> {
        let reached = self.was_reached(&request.url);
        let cause = retry::cause(request.repeat, failure, reached)?;
        let hint = match failure {
            Failure::Refused(refusal) => refusal.retry_after,
            Failure::Send(_) | Failure::Damaged(_) | Failure::Local(_) => None,
        };
        let wait = attempts.after(cause, elapsed, hint, rand::random())?;
        tracing::debug!(
            action = request.action,
            region = request.region,
            ?cause,
            wait_ms = wait.as_millis(),
            "trying again"
        );
        match (cause, failure) {
            (Cause::ClockSkew, Failure::Refused(refusal)) => self.correct_clock(refusal)?,
            (Cause::TokenExpired, _) => self.renew_credentials(used).await?,
            _ => {}
        }
        Some(wait)
    }

    /// One attempt. A stop ends it at once, except when something may be
    /// being created: then the answer gets a moment to arrive.
    async fn attempt<E: Exchange>(
        &self,
        request: &E,
        credential: &Credential,
        stop: &Stop,
    ) -> Result<E::Answer, Failure> {
        if stop.is_stopped() {
            return Err(Failure::Local(Error::cancelled()));
        }
        let mut attempt = std::pin::pin!(self.attempt_to_the_end(request, credential));
        if let Ok(outcome) = stop.race(&mut attempt).await {
            return outcome;
        }
        if !request.about().creates {
            return Err(Failure::Local(Error::cancelled()));
        }
        let outcome = tokio::time::timeout(GRACE, attempt).await;
        outcome.unwrap_or_else(|_| Err(Failure::Local(Error::cancelled())))
    }

    async fn attempt_to_the_end<E: Exchange>(
        &self,
        request: &E,
        credential: &Credential,
    ) -> Result<E::Answer, Failure> {
        let started = Instant::now();
        let outcome = request.exchange(self, credential).await;
        log(request, &outcome, started.elapsed());
        outcome
    }

    /// Sends a signed request once.
    pub(super) async fn transmit(&self, signed: Signed) -> Result<HttpResponse, Failure> {
        let url = signed.url.clone();
        let sent = self.config.transport.send(signed).await;
        let response = sent.map_err(Failure::Send)?;
        self.mark_reached(&url);
        Ok(response)
    }

    pub(super) fn config(&self) -> &CloudConfig {
        &self.config
    }

    /// The time by the server's clock, as far as it is known.
    pub(super) fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_millis(self.skew_ms.load(Ordering::Relaxed));
        let now = Timestamp::now();
        now.checked_add(skew).unwrap_or(now)
    }

    /// Takes over the server's time; none when it did not tell.
    fn correct_clock(&self, refusal: &Refusal) -> Option<()> {
        let date = jiff::fmt::rfc2822::parse(refusal.date.as_deref()?).ok()?;
        let skew = date.timestamp().duration_since(Timestamp::now());
        let skew_ms = i64::try_from(skew.as_millis()).ok()?;
        tracing::warn!(
            skew_ms,
            "this machine's clock is wrong; going by the server's"
        );
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        Some(())
    }

    /// Asks for other keys than those; none when there are no others.
    async fn renew_credentials(&self, refused: &Credential) -> Option<()> {
        let fresh = self.config.credentials.refresh(refused).await;
        let is_other = |fresh: Arc<Credential>| *fresh != *refused;
        match fresh {
            Ok(fresh) => is_other(fresh).then_some(()),
            Err(error) => {
                tracing::warn!(error = one_line(&error), "no new keys");
                None
            }
        }
    }

    fn was_reached(&self, url: &Url) -> bool {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.contains(&origin(url))
    }

    fn mark_reached(&self, url: &Url) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.insert(origin(url));
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The error of a request that will not be tried again.
fn error(request: &About, failure: Failure, attempts: usize, elapsed: Duration) -> Error {
    let About { action, region, .. } = request;
    let tries = match attempts {
        0 | 1 => String::new(),
        n => format!(" after {n} attempts in {} s", elapsed.as_secs()),
    };
    match failure {
        Failure::Local(error) => error,
        Failure::Damaged(what) => {
            let message = format!("{action} in {region} failed{tries}: {what}");
            Error::new(Kind::Cloud, message).with_hint(
                "Something on the way changes what is sent: try another network or proxy",
            )
        }
        Failure::Send(failure) => {
            let message = format!("Failed to call {action} in {region}{tries}");
            let error = Error::new(Kind::Cloud, message);
            hints::of_silence(&failure, region)
                .into_iter()
                .fold(error, Error::with_hint)
                .with_source(failure)
        }
        Failure::Refused(refusal) => {
            let kind = if is_about_credentials(&refusal.failure.code) {
                Kind::Credentials
            } else {
                Kind::Cloud
            };
            let error = Error::new(kind, format!("Alibaba Cloud refused the request{tries}"));
            hints::of(&refusal)
                .into_iter()
                .fold(error, Error::with_hint)
                .with_source(refusal.failure)
        }
    }
}

/// One line per attempt.
fn log<E: Exchange>(request: &E, outcome: &Result<E::Answer, Failure>, elapsed: Duration) {
    let About { action, region, .. } = request.about();
    let (outcome_text, request_id) = match outcome {
        Ok(answer) => ("ok", E::request_id(answer)),
        Err(Failure::Refused(refusal)) => (
            refusal.failure.code.as_str(),
            refusal.failure.request_id.as_str(),
        ),
        Err(Failure::Send(failure)) if failure.unsent => ("not sent", ""),
        Err(Failure::Send(_)) => ("no answer", ""),
        Err(Failure::Damaged(_)) => ("damaged", ""),
        Err(Failure::Local(_)) => ("not tried", ""),
    };
    tracing::debug!(
        action,
        region,
        outcome = outcome_text,
        elapsed_ms = elapsed.as_millis(),
        request_id,
        "call"
    );
}

#[cfg(test)]
mod tests;
