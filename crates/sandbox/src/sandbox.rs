//! The handle of a running sandbox.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::alive::{Alive, alive};
use crate::calls::Call;
use crate::faults::{Fault, StateFault};
use crate::options::{AccessKey, SandboxOptions};
use crate::report::Report;
use crate::seed::Seed;
use crate::server;
use crate::world::Shared;

/// How long connections and machines may take to end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// A running sandbox. Dropping it stops everything.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    key: AccessKey,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Starts a sandbox on 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound or there is no room for objects.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let guest_port = match options.guest_port {
            Some(port) => port,
            None => choose_guest_port()?,
        };
        let key = options.access_keys.first().cloned();
        let key = key.unwrap_or_else(|| AccessKey::new("", ""));
        let shared = Arc::new(Shared::new(&options, guest_port)?);
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared), stopped));
        Ok(Self {
            shared,
            address,
            key,
            stop: Some(stop),
            server,
        })
    }

    /// Stops the server and powers off every machine.
    pub async fn shutdown(mut self) {
        self.stop();
        let served = tokio::time::timeout(SHUTDOWN_LIMIT, &mut self.server).await;
        if served.is_err() {
            self.server.abort();
        }
        self.wait_for_drivers().await;
    }

    async fn wait_for_drivers(&self) {
        let mut changes = self.shared.changes.subscribe();
        let gone = async {
            while !self.shared.world().0.driven.is_empty() {
                // A closed channel is impossible while `self` holds the sender.
                let _ = changes.changed().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_LIMIT, gone).await.is_err() {
            tracing::warn!("machines are still on");
        }
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that is gone already needs no signal.
            let _ = stop.send(());
        }
        {
            let (mut world, _) = self.shared.world();
            world.cloud.instances.clear();
        }
        self.shared.notify();
    }

    /// Base URL of all products, and the proxy URL for clients that insist on
    /// the real host names.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Port of the guests' SSH servers.
    pub fn guest_port(&self) -> u16 {
        self.shared.guest_port
    }

    /// AccessKeyId of the default key.
    pub fn access_key_id(&self) -> &str {
        &self.key.id
    }

    /// AccessKeySecret of the default key.
    pub fn access_key_secret(&self) -> &str {
        &self.key.secret
    }

    /// Places resources that were there before.
    pub fn seed(&self) -> Seed<'_> {
        Seed::new(&self.shared)
    }

    /// Plans a fault of calls.
    pub fn inject(&self, fault: Fault) {
        self.shared.world().0.faults.plan(fault);
    }

    /// Plans a fault of the next resource of a kind.
    pub fn inject_state(&self, fault: StateFault) {
        self.shared.world().0.faults.plan_state(fault);
    }

    /// Forgets all planned faults.
    pub fn clear_faults(&self) {
        self.shared.world().0.faults.clear();
    }

    /// Waits until a fault holds a call.
    pub async fn wait_for_held(&self) {
        let mut held = self.shared.held.subscribe();
        // A closed channel is impossible while `self` holds the sender.
        let _ = held.wait_for(|count| *count > 0).await;
    }

    /// Lets held calls go on.
    pub fn release(&self) {
        self.shared.held.send_replace(0);
    }

    /// Changes whether an instance type is sold out in a zone.
    pub fn set_out_of_stock(&self, zone: &str, instance_type: &str, sold_out: bool) {
        let key = (zone.to_owned(), instance_type.to_owned());
        let (mut world, _) = self.shared.world();
        if sold_out {
            world.cloud.out_of_stock.insert(key);
        } else {
            world.cloud.out_of_stock.remove(&key);
        }
    }

    /// Takes all spot instances back, as ECS does when others pay more.
    pub fn reclaim_spot_instances(&self) {
        {
            let (mut world, now) = self.shared.world();
            world.cloud.reclaim_spot_instances(now);
        }
        self.shared.notify();
    }

    /// Moves the sandbox's clock forward: delays, AutoReleaseTime and the
    /// expiry of temporary credentials all see it.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.notify();
    }

    /// All calls so far, in the order they were answered.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.world().0.calls.clone()
    }

    /// Requests to the instance metadata: method, path after `/latest/`, and
    /// status, in the order they were answered.
    pub fn metadata_requests(&self) -> Vec<String> {
        self.shared.world().0.metadata_requests.clone()
    }

    /// Everything that lives and was not seeded.
    pub fn alive(&self) -> Vec<Alive> {
        alive(&self.shared.world().0.cloud)
    }

    /// Own images of all regions, as DescribeImages shows them, with
    /// `RegionId` and `SharedWith`.
    pub fn images(&self) -> Vec<Value> {
        let (world, now) = self.shared.world();
        world.images_json(now)
    }

    /// Lets hours pass by the calendar, too: as [`Self::advance`], and the
    /// requests of clients, for whom they did not pass, are late.
    pub fn pass(&self, by: Duration) {
        self.advance(by);
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.shared.world().0.authority.put_ahead(by);
    }

    /// Secrets and tokens of all sessions of roles.
    pub fn session_secrets(&self) -> Vec<String> {
        let (world, _) = self.shared.world();
        world.authority.session_secrets()
    }

    /// Content of an object, if there is one. Blocks while it is read.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let content = {
            let (world, _) = self.shared.world();
            let bucket = world.cloud.buckets.get(bucket)?;
            bucket.objects.get(key)?.content.clone()
        };
        content.read(0, content.size).ok()
    }

    /// How the time since the start or the last reset was used.
    pub fn report(&self) -> Report {
        self.shared.world().0.report()
    }

    /// Starts a new report.
    pub fn reset_report(&self) {
        self.shared.world().0.reset_report();
    }

    /// Waits until nothing that was not seeded lives any more, for at most
    /// `limit` of real time. Returns what is left.
    pub async fn wait_for_nothing_alive(&self, limit: Duration) -> Vec<Alive> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let left = self.alive();
            if left.is_empty() || tokio::time::Instant::now() >= deadline {
                return left;
            }
            let pause = Duration::from_millis(5);
            // A closed channel is impossible while `self` holds the sender.
            let _ = tokio::time::timeout(pause, changes.changed()).await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Port 22 if this process may bind it, otherwise a free one.
fn choose_guest_port() -> io::Result<u16> {
    let privileged = std::net::TcpListener::bind((Ipv4Addr::new(127, 2, 255, 254), 22));
    let may_bind = match &privileged {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::AddrInUse,
    };
    if may_bind {
        return Ok(22);
    }
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port())
}
