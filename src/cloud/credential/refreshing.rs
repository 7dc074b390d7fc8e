//! Keeps fetched keys until they get old, and has one caller at a time fetch
//! new ones while the others wait for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Credential, CredentialProvider, Hiding, Network, Provider};
use crate::clock::Clock;
use crate::error::{Error, Result, one_line};

/// Keys are renewed this long before they end (nominal): longer than any
/// single request takes. Keys with a short life are renewed when a quarter of
/// it is left.
const MARGIN: Duration = Duration::from_secs(300);

/// How long to go on with keys that are still good when they could not be
/// renewed, before it is tried again (nominal).
const PAUSE: Duration = Duration::from_secs(30);

/// Wraps whatever fetches keys.
pub(super) struct Refreshing {
    provider: Box<dyn Provider>,
    clock: Clock,
    hiding: Hiding,
    kept: RwLock<Option<Kept>>,
    /// Whether the user knows that no new keys come.
    is_told: AtomicBool,
    /// Held while keys are fetched. An async lock on purpose: waiting for the
    /// one who fetches is what it is for, and it is free again when that one
    /// is dropped at a stop.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    credential: Arc<Credential>,
    /// When to look for newer ones; only when they are refused, if it is not
    /// known when they end.
    due: Option<Timestamp>,
}

impl Refreshing {
    pub(super) fn new(provider: Box<dyn Provider>, network: &Network) -> Self {
        Self::with(provider, network.clock, network.hiding.clone())
    }

    fn with(provider: Box<dyn Provider>, clock: Clock, hiding: Hiding) -> Self {
        Self {
            provider,
            clock,
            hiding,
            kept: RwLock::default(),
            is_told: AtomicBool::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn kept(&self) -> Option<Kept> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// What is kept, unless it is due.
    fn good(&self) -> Option<Arc<Credential>> {
        let kept = self.kept()?;
        let is_due = kept.due.is_some_and(|due| Timestamp::now() >= due);
        (!is_due).then_some(kept.credential)
    }

    fn keep(&self, credential: Arc<Credential>, due: Option<Timestamp>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Kept { credential, due });
    }

    async fn renew(&self) -> Result<Arc<Credential>> {
        let fresh = Arc::new(self.provider.fetch().await?);
        self.hiding.keys(&fresh);
        let now = Timestamp::now();
        // Keys that have ended when they come are judged by a wrong clock:
        // then the server says when they have.
        let end = fresh.expiration.filter(|end| *end > now);
        let due = end.map(|end| due(now, end, self.clock.real(MARGIN)));
        self.keep(Arc::clone(&fresh), due);
        Ok(fresh)
    }

    /// Tells once that the run fails when these keys end.
    fn warn(&self, error: &Error, old: &Credential) {
        if let (false, Some(end)) = (self.is_told.swap(true, Ordering::Relaxed), old.expiration) {
            let reason = one_line(error);
            self.hiding.warn(format!(
                "The keys end at {end:.0} and cannot be renewed: {reason}"
            ));
        }
    }

    /// The old keys, when they are good for a while although they are due.
    fn still_good(&self) -> Option<Arc<Credential>> {
        let credential = self.kept()?.credential;
        let now = Timestamp::now();
        let ends = credential.expiration.filter(|end| now < *end)?;
        let pause = SignedDuration::try_from(self.clock.real(PAUSE)).ok()?;
        let next = now.checked_add(pause).map_or(ends, |next| next.min(ends));
        self.keep(Arc::clone(&credential), Some(next));
        Some(credential)
    }
}

/// When keys that end then should be renewed.
fn due(now: Timestamp, end: Timestamp, margin: Duration) -> Timestamp {
    let life = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    let margin = SignedDuration::try_from(margin.min(life / 4)).unwrap_or_default();
    end.checked_sub(margin).unwrap_or(end)
}

#[async_trait]
impl CredentialProvider for Refreshing {
    async fn get(&self) -> Result<Arc<Credential>> {
        if let Some(good) = self.good() {
            return Ok(good);
        }
        let _turn = self.turn.lock().await;
        // Somebody else may have fetched them while we waited.
        if let Some(good) = self.good() {
            return Ok(good);
        }
        match self.renew().await {
            Ok(fresh) => Ok(fresh),
            Err(error) => {
                let Some(old) = self.still_good() else {
                    return Err(error);
                };
                self.warn(&error, &old);
                Ok(old)
            }
        }
    }

    async fn refresh(&self, refused: &Credential) -> Result<Arc<Credential>> {
        let _turn = self.turn.lock().await;
        match self.kept() {
            Some(kept) if *kept.credential != *refused => Ok(kept.credential),
            _ => self.renew().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::engine::event::{Event, EventKind, Events, Reporter};
    use crate::error::Kind;
    use crate::secret::Secret;

    /// Numbers its keys; each lives for a time. Fails from a number on.
    struct Counter {
        fetched: Arc<AtomicUsize>,
        life: Duration,
        fails_from: usize,
    }

    #[async_trait]
    impl Provider for Counter {
        async fn fetch(&self) -> Result<Credential> {
            tokio::task::yield_now().await;
            let number = self.fetched.fetch_add(1, Ordering::Relaxed);
            if number >= self.fails_from {
                return Err(Error::new(Kind::Credentials, "No more"));
            }
            Ok(Credential {
                access_key_id: format!("STS.{number}"),
                secret: Secret::new("s"),
                security_token: None,
                expiration: Some(Timestamp::now() + self.life),
            })
        }
    }

    /// Keeps the warnings it is given.
    #[derive(Clone, Default)]
    struct Warnings(Arc<RwLock<Vec<String>>>);

    impl Reporter for Warnings {
        fn on(&mut self, event: &Event) {
            if let EventKind::Warning(text) = &event.kind {
                self.0.write().unwrap().push(text.clone());
            }
        }
    }

    fn counter(life: Duration, fails_from: usize) -> (Refreshing, Arc<AtomicUsize>) {
        let fetched = Arc::default();
        let provider = Counter {
            fetched: Arc::clone(&fetched),
            life,
            fails_from,
        };
        (
            Refreshing::with(Box::new(provider), Clock::default(), Hiding::default()),
            fetched,
        )
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn one_fetch_serves_all_who_ask_at_once_and_later() {
        let (keys, fetched) = counter(HOUR, 9);
        let asked = futures_util::future::join_all((0..20).map(|_| keys.get())).await;
        assert!(asked.iter().all(Result::is_ok));
        keys.get().await.unwrap();
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn one_refresh_serves_all_whose_keys_were_refused() {
        let (keys, fetched) = counter(HOUR, 9);
        let first = keys.get().await.unwrap();
        let asked = (0..20).map(|_| keys.refresh(&first));
        for fresh in futures_util::future::join_all(asked).await {
            assert_eq!(fresh.unwrap().access_key_id, "STS.1");
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn keys_that_ended_are_fetched_anew_and_none_is_an_error() {
        let (keys, _) = counter(Duration::ZERO, 2);
        for id in ["STS.0", "STS.1"] {
            let fresh = keys.get().await.unwrap();
            assert_eq!(fresh.access_key_id, id);
            keys.keep(fresh, Some(Timestamp::now()));
        }
        assert_eq!(keys.get().await.unwrap_err().message(), "No more");
    }

    #[tokio::test]
    async fn keys_that_seem_to_have_ended_when_they_come_serve_until_they_are_refused() {
        let (keys, fetched) = counter(Duration::ZERO, 9);
        let first = keys.get().await.unwrap();
        assert_eq!(keys.get().await.unwrap(), first);
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
        let second = keys.refresh(&first).await.unwrap();
        assert_eq!(second.access_key_id, "STS.1");
    }

    #[tokio::test]
    async fn old_keys_serve_while_they_are_good_and_no_new_ones_come() {
        let (mut keys, fetched) = counter(HOUR, 1);
        let told = Warnings::default();
        keys.hiding = Hiding::with(&Events::new(told.clone()));
        let first = keys.get().await.unwrap();
        keys.keep(Arc::clone(&first), Some(Timestamp::now()));
        assert_eq!(keys.get().await.unwrap(), first);
        // Asked again only after a pause.
        assert_eq!(keys.get().await.unwrap(), first);
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
        keys.keep(Arc::clone(&first), Some(Timestamp::now()));
        assert_eq!(keys.get().await.unwrap(), first);
        assert_eq!(fetched.load(Ordering::Relaxed), 3);
        let end = first.expiration.unwrap();
        let warning = format!("The keys end at {end:.0} and cannot be renewed: No more");
        assert_eq!(*told.0.read().unwrap(), [warning]);
    }

    #[test]
    fn keys_are_renewed_a_margin_or_a_quarter_of_their_life_before_they_end() {
        let now = Timestamp::UNIX_EPOCH;
        for (life, left) in [(3600, 300), (1200, 300), (60, 15), (0, 0), (-60, 0)] {
            let end = now + SignedDuration::from_secs(life);
            let due = due(now, end, MARGIN);
            assert_eq!(end.duration_since(due).as_secs(), left, "{life}");
        }
    }
}
