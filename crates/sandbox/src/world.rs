//! The state and everything around it that is shared between connections and
//! machines. One lock, never held across an await.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::auth::Authority;
use crate::calls::Call;
use crate::clock::{Clock, Moment};
use crate::faults::Faults;
use crate::key_stock::KeyStock;
use crate::machine::MachineHost;
use crate::options::{MetadataOptions, OssOptions, SandboxOptions};
use crate::oss::content::Store;
use crate::report::Report;
use crate::state::Cloud;

/// What connections and machines share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) host: Arc<dyn MachineHost>,
    pub(crate) guest_port: u16,
    pub(crate) latency: Duration,
    pub(crate) keys: KeyStock,
    pub(crate) oss: OssOptions,
    pub(crate) metadata: MetadataOptions,
    pub(crate) store: Store,
    world: Mutex<World>,
    /// Counts changes of the state, to wake the drivers of machines.
    pub(crate) changes: watch::Sender<u64>,
    /// How many calls a fault holds.
    pub(crate) held: watch::Sender<usize>,
}

/// Everything under the lock.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) faults: Faults,
    pub(crate) authority: Authority,
    pub(crate) calls: Vec<Call>,
    /// Method, path and status of each request to the instance metadata.
    pub(crate) metadata_requests: Vec<String>,
    pub(crate) tokens: BTreeMap<TokenKey, TokenUse>,
    /// Instances whose machine has a driver.
    pub(crate) driven: HashSet<String>,
    report_from: usize,
}

/// Account-wide key of a ClientToken: product-independent action and token.
pub(crate) type TokenKey = (String, String);

/// The first use of a ClientToken.
#[derive(Clone)]
pub(crate) struct TokenUse {
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) answer: Value,
}

impl Shared {
    pub(crate) fn new(options: &SandboxOptions, guest_port: u16) -> io::Result<Self> {
        let session_life = options.session_life;
        let session_life = session_life.map(|life| life.mul_f64(options.time_scale));
        Ok(Self {
            clock: Clock::start(options.clock_ahead),
            host: Arc::clone(&options.machines),
            guest_port,
            latency: options.latency.mul_f64(options.time_scale),
            keys: KeyStock::default(),
            oss: options.oss.clone(),
            metadata: options.metadata.clone(),
            store: Store::new()?,
            world: Mutex::new(World {
                cloud: Cloud::new(options, guest_port),
                faults: Faults::default(),
                authority: Authority::new(
                    options.access_keys.clone(),
                    session_life,
                    options.clock_ahead,
                ),
                calls: Vec::new(),
                metadata_requests: Vec::new(),
                tokens: BTreeMap::new(),
                driven: HashSet::new(),
                report_from: 0,
            }),
            changes: watch::Sender::new(0),
            held: watch::Sender::new(0),
        })
    }

    /// The state, settled to this moment.
    pub(crate) fn world(&self) -> (MutexGuard<'_, World>, Moment) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        world.cloud.settle(now);
        (world, now)
    }

    /// Waits until held calls are released. A client that goes away ends the
    /// wait too.
    pub(crate) async fn hold(&self) {
        let mut held = self.held.subscribe();
        self.held.send_modify(|count| *count += 1);
        // A closed channel is impossible while `self` holds the sender.
        let _ = held.wait_for(|count| *count == 0).await;
    }

    /// Wakes the drivers of machines.
    pub(crate) fn notify(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl World {
    pub(crate) fn report(&self) -> Report {
        let calls = &self.calls[self.report_from..];
        let mut calls_by_action = BTreeMap::new();
        for call in calls {
            *calls_by_action.entry(call.action.clone()).or_default() += 1;
        }
        let first = calls.first().map_or(Duration::ZERO, |call| call.at);
        let last = calls.last().map_or(Duration::ZERO, |call| call.at);
        Report {
            calls_by_action,
            total_calls: calls.len(),
            wall: last - first,
            waits: self.cloud.waits.all(),
            waste: self.cloud.waits.waste(),
            critical_path: self.cloud.waits.critical_path(),
        }
    }

    pub(crate) fn reset_report(&mut self) {
        self.report_from = self.calls.len();
        self.cloud.waits.clear();
    }

    pub(crate) fn images_json(&self, now: Moment) -> Vec<Value> {
        let images = self.cloud.images.values().map(|image| {
            let mut value = image.to_json(now, false);
            value["RegionId"] = json!(image.common.region);
            value["SharedWith"] = json!(image.shared_with);
            value
        });
        images.collect()
    }
}
