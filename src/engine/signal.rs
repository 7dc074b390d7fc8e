//! SIGINT, SIGTERM and SIGHUP: the first one stops and cleans up, the second
//! one cleans up without niceties. Nothing makes us leave work undone but
//! SIGKILL, and for that there is the journal.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::event::Events;
use super::stop::Stop;
use crate::error::{Error, Kind, Result};

/// The signals that stop a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Hang-up, 1.
    Hangup,
    /// Interrupt, 2.
    Interrupt,
    /// Terminate, 15.
    Terminate,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Hangup, Self::Interrupt, Self::Terminate];

    /// The signal's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminated",
        }
    }
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Hangup => Self::HUP,
            Signal::Interrupt => Self::INT,
            Signal::Terminate => Self::TERM,
        }
    }
}

/// One stream per signal; taken by whoever watches.
pub(crate) type Streams = Vec<(Signal, Stream)>;

/// Installed handlers. Remembers the first signal.
#[derive(Debug, Clone)]
pub struct Signals {
    first: Arc<AtomicU8>,
    streams: Arc<Mutex<Option<Streams>>>,
}

impl Signals {
    /// Installs the handlers. Comes before anything else, because a signal
    /// without one ends the program at once.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn install() -> Result<Self> {
        let streams = streams().map_err(|error| {
            Error::new(Kind::Internal, "Cannot install signal handlers").with_source(error)
        })?;
        Ok(Self {
            first: Arc::new(AtomicU8::new(0)),
            streams: Arc::new(Mutex::new(Some(streams))),
        })
    }

    /// Passes signals on to `stop` until the returned task is aborted. `work` is
    /// what they cancel, in a word.
    pub fn watch(
        &self,
        work: &'static str,
        stop: &Stop,
        events: &Events,
    ) -> tokio::task::JoinHandle<()> {
        let streams = self
            .streams
            .lock()
            .ok()
            .and_then(|mut streams| streams.take());
        let (first, stop, events) = (Arc::clone(&self.first), stop.clone(), events.clone());
        tokio::spawn(async move {
            let mut streams = streams.unwrap_or_default();
            while let Some(signal) = next(&mut streams).await {
                let is_first = first
                    .compare_exchange(0, signal.number(), Ordering::SeqCst, Ordering::SeqCst)
                    .is_ok();
                if is_first {
                    events.say(format!(
                        "Cancelling {work} after receiving {}",
                        signal.word()
                    ));
                    stop.stop();
                } else {
                    events.say(format!(
                        "Received {} again, cleaning up in a hurry",
                        signal.word()
                    ));
                    stop.hurry();
                }
            }
        })
    }

    /// Waits for the first signal.
    pub async fn wait(&self) {
        let streams = self
            .streams
            .lock()
            .ok()
            .and_then(|mut streams| streams.take());
        next(&mut streams.unwrap_or_default()).await;
    }

    /// The first signal that came.
    pub fn first(&self) -> Option<Signal> {
        let number = self.first.load(Ordering::SeqCst);
        Signal::ALL
            .into_iter()
            .find(|signal| signal.number() == number)
    }
}

/// Installs the handlers.
pub(crate) fn streams() -> io::Result<Streams> {
    let open = |one: Signal| {
        let kind = SignalKind::from_raw(i32::from(one.number()));
        Ok((one, signal(kind)?))
    };
    Signal::ALL.into_iter().map(open).collect()
}

/// The next signal. None when there is no stream.
pub(crate) async fn next(streams: &mut [(Signal, Stream)]) -> Option<Signal> {
    let waits = streams.iter_mut().map(|(signal, stream)| {
        Box::pin(async move {
            stream.recv().await;
            *signal
        })
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        return None;
    }
    Some(futures_util::future::select_all(waits).await.0)
}
