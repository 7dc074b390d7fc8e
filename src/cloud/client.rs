//! From a typed request to a typed answer: sign, send, read, try again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::credential::{Credential, CredentialProvider};
use super::endpoint::Endpoints;
use super::failure::{self, Asked, Failure, Refusal};
use super::parameters::Parameters;
use super::retry::codes::is_about_credentials;
use super::retry::{self, Attempts, Cause};
use super::sign::{self, SignatureAlgorithm, Stamp, Unsigned};
use super::transport::{HttpResponse, Transport};
use super::{Action, Product, Repeat, answer, hints};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

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

/// A request that can be signed for each attempt.
struct Request {
    product: Product,
    action: &'static str,
    repeat: Repeat,
    creates: bool,
    region: String,
    url: Url,
    parameters: Parameters,
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
        let parameters = parameters(region, request, token)?;
        let request = Request {
            product: R::PRODUCT,
            action: R::NAME,
            repeat: R::REPEAT,
            creates,
            region: region.to_owned(),
            url: self.config.endpoints.of(R::PRODUCT, region)?,
            parameters,
        };
        let content = self.until_answered(&request, stop).await?;
        serde_json::from_value(answer::without_nulls(content)).map_err(|error| {
            let message = format!("Alibaba Cloud's answer to {} is not understood", R::NAME);
            Error::new(Kind::Cloud, message).with_source(error)
        })
    }

    async fn until_answered(&self, request: &Request, stop: &Stop) -> Result<Value> {
        let started = Instant::now();
        let mut attempts = Attempts::default();
        loop {
            let failure = match self.attempt(request, stop).await {
                Ok(content) => return Ok(content),
                Err(Failure::Refused(refusal)) if attempts.did_it(&refusal) => {
                    return Ok(Value::Object(serde_json::Map::default()));
                }
                Err(failure) => failure,
            };
            let elapsed = stop.clock().elapsed(started);
            let wait = self.next(request, &failure, &mut attempts, elapsed).await;
            let Some(wait) = wait else {
                return Err(error(request, failure, attempts.failed(), elapsed));
            };
            stop.sleep(wait).await?;
        }
    }

    /// How long to wait before the next attempt, or none to give up. Puts
    /// right what can be: the clock, the keys.
    async fn next(
        &self,
        request: &Request,
        failure: &Failure,
        attempts: &mut Attempts,
        elapsed: Duration,
    ) -> Option<Duration> {
        let reached = self.was_reached(&request.url);
        let cause = retry::cause(request.repeat, failure, reached)?;
        let hint = match failure {
            Failure::Refused(refusal) => refusal.retry_after,
            Failure::Send(_) | Failure::Local(_) => None,
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
            (Cause::TokenExpired, _) => self.renew_credentials().await?,
            _ => {}
        }
        Some(wait)
    }

    /// One attempt. A stop ends it at once, except when something may be
    /// being created: then the answer gets a moment to arrive.
    async fn attempt(&self, request: &Request, stop: &Stop) -> Result<Value, Failure> {
        if stop.is_stopped() {
            return Err(Failure::Local(Error::cancelled()));
        }
        let mut attempt = std::pin::pin!(self.attempt_to_the_end(request));
        if let Ok(outcome) = stop.race(&mut attempt).await {
            return outcome;
        }
        if !request.creates {
            return Err(Failure::Local(Error::cancelled()));
        }
        let outcome = tokio::time::timeout(GRACE, attempt).await;
        outcome.unwrap_or_else(|_| Err(Failure::Local(Error::cancelled())))
    }

    async fn attempt_to_the_end(&self, request: &Request) -> Result<Value, Failure> {
        let started = Instant::now();
        let outcome = self.exchange(request).await;
        log(request, &outcome, started.elapsed());
        outcome
    }

    async fn exchange(&self, request: &Request) -> Result<Value, Failure> {
        let credential = self
            .config
            .credentials
            .get()
            .await
            .map_err(Failure::Local)?;
        let stamp = Stamp {
            nonce: uuid::Uuid::new_v4().to_string(),
            time: self.now(),
        };
        let unsigned = Unsigned {
            url: &request.url,
            product: request.product,
            action: request.action,
            parameters: &request.parameters,
            read_timeout: read_timeout(request.action),
        };
        let signature = sign::sign(self.config.signature, unsigned, &credential, &stamp);
        tracing::trace!(action = request.action, parameters = %request.parameters, "request");
        let sent = self.config.transport.send(signature.request).await;
        let response = sent.map_err(Failure::Send)?;
        self.mark_reached(&request.url);
        self.read(request, &response, &credential, &signature.string_to_sign)
            .map_err(Failure::Refused)
    }

    fn read(
        &self,
        request: &Request,
        response: &HttpResponse,
        credential: &Credential,
        string_to_sign: &str,
    ) -> Result<Value, Box<Refusal>> {
        let asked = Asked {
            action: request.action,
            region: &request.region,
        };
        let mut outcome = failure::read(asked, response);
        if let Err(refusal) = &mut outcome {
            refusal.settle_signature(string_to_sign);
            let message = request.parameters.scrub(&refusal.failure.message);
            refusal.failure.message = credential.scrub(&message);
        }
        outcome
    }

    fn now(&self) -> Timestamp {
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

    /// Asks for other keys; none when there are no others.
    async fn renew_credentials(&self) -> Option<()> {
        let provider = &self.config.credentials;
        let refused = provider.get().await.ok()?;
        let fresh = provider.refresh(&refused).await.ok()?;
        (fresh != refused).then_some(())
    }

    fn was_reached(&self, url: &Url) -> bool {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.contains(url.as_str())
    }

    fn mark_reached(&self, url: &Url) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if !reached.contains(url.as_str()) {
            reached.insert(url.as_str().to_owned());
        }
    }
}

fn parameters<R: Action>(region: &str, request: &R, token: Option<&str>) -> Result<Parameters> {
    let mut parameters = Parameters::of(request).map_err(|error| {
        Error::new(Kind::Internal, format!("Failed to encode {}", R::NAME)).with_source(error)
    })?;
    if R::PRODUCT != Product::Sts {
        parameters.add("RegionId", region);
    }
    if let Some(token) = token {
        parameters.add("ClientToken", token);
    }
    Ok(parameters)
}

/// How long answers may take, in real time. Creating calls are slow at times; giving up on
/// one early leaves something behind.
fn read_timeout(action: &str) -> Duration {
    let seconds = match action {
        "RunInstances"
        | "CreateSnapshot"
        | "CreateSecurityGroup"
        | "CreateImage"
        | "CopyImage"
        | "DeleteSecurityGroup"
        | "DeleteInstance" => 90,
        "StartInstance" | "StopInstance" | "DescribeImages" | "DeleteImage" => 60,
        _ => 30,
    };
    Duration::from_secs(seconds)
}

/// The error of a request that will not be tried again.
fn error(request: &Request, failure: Failure, attempts: usize, elapsed: Duration) -> Error {
    let Request { action, region, .. } = request;
    let tries = match attempts {
        0 | 1 => String::new(),
        n => format!(" after {n} attempts in {} s", elapsed.as_secs()),
    };
    match failure {
        Failure::Local(error) => error,
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

/// One line per attempt, and the content at the lowest level.
fn log(request: &Request, outcome: &Result<Value, Failure>, elapsed: Duration) {
    let (outcome_text, request_id) = match outcome {
        Ok(content) => {
            tracing::trace!(action = request.action, content = %hide_secrets(content), "answer");
            ("ok", content["RequestId"].as_str().unwrap_or_default())
        }
        Err(Failure::Refused(refusal)) => (
            refusal.failure.code.as_str(),
            refusal.failure.request_id.as_str(),
        ),
        Err(Failure::Send(failure)) if failure.unsent => ("not sent", ""),
        Err(Failure::Send(_)) => ("no answer", ""),
        Err(Failure::Local(_)) => ("not tried", ""),
    };
    tracing::debug!(
        action = request.action,
        region = request.region,
        outcome = outcome_text,
        elapsed_ms = elapsed.as_millis(),
        request_id,
        "call"
    );
}

fn hide_secrets(content: &Value) -> Value {
    const SECRETS: &[&str] = &[
        "AccessKeySecret",
        "SecurityToken",
        "PrivateKeyBody",
        "Password",
        "UserData",
    ];
    match content {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let secret = SECRETS.contains(&name.as_str());
                let shown = if secret {
                    Value::from(super::parameters::HIDDEN)
                } else {
                    hide_secrets(value)
                };
                (name.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(hide_secrets).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
