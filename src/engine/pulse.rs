//! Tells the reporters now and then that time passes, so that they can say what
//! a run is at when nothing else does.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::event::{EventKind, Events};

/// Real time, which is what readers have.
const INTERVAL: Duration = Duration::from_secs(10);

/// Goes on until the task is aborted.
pub fn start(events: &Events) -> JoinHandle<()> {
    let events = events.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            events.emit(EventKind::Pulse);
        }
    })
}
