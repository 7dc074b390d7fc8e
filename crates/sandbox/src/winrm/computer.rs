//! A Windows machine: its disk, its power, and where it listens.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::pwsh::Pwsh;
use super::server;
use super::settings::Settings;
use super::shells::Shells;
use crate::machine::{BootSpec, BoxFuture, DiskImage, Machine};

const HTTP_PORT: u16 = 5985;
const HTTPS_PORT: u16 = 5986;

/// Simulated time from the end of services to their new start.
const RESTART: Duration = Duration::from_secs(20);

/// The only user of a fresh machine.
pub(crate) const USER: &str = "Administrator";

/// What is kept when the power is off, and in an image.
#[derive(Clone, Debug, Default)]
struct Disk {
    files: Files,
    settings: Settings,
    /// The instance whose user data has been run.
    set_up: String,
}

/// A Windows machine that was booted.
pub(crate) struct Computer {
    hostname: String,
    password: Option<String>,
    time_scale: f64,
    tls: TlsAcceptor,
    state: Mutex<State>,
    power: watch::Sender<bool>,
    connected: watch::Sender<bool>,
    pub(crate) shells: Shells,
    pwsh: Option<Pwsh>,
}

struct State {
    disk: Disk,
    power: Power,
    addresses: BTreeSet<IpAddr>,
    listeners: HashMap<SocketAddr, Listener>,
    /// Ends when a shutdown that was asked for is called off.
    scheduled: Option<CancellationToken>,
}

struct Listener {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    GoingDown,
    Restarting,
    Off,
}

/// How a machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Restart,
    PowerOff,
}

/// The codes of `shutdown` when it does nothing.
pub(crate) const SHUTDOWN_IN_PROGRESS: i32 = 1115;
pub(crate) const SHUTDOWN_IS_SCHEDULED: i32 = 1190;
pub(crate) const NO_SHUTDOWN: i32 = 1116;

impl Computer {
    /// Boots a machine; user data is obeyed at its first boot.
    pub(crate) fn boot(
        spec: &BootSpec,
        time_scale: f64,
        pwsh: Option<Pwsh>,
    ) -> io::Result<Arc<Self>> {
        let kept = spec.disk.as_ref().and_then(DiskImage::get::<Disk>).cloned();
        let mut disk = kept.unwrap_or_default();
        if disk.set_up != spec.instance_id {
            disk.set_up.clone_from(&spec.instance_id);
            let user_data = spec.user_data.as_deref().unwrap_or_default();
            disk.settings.obey_user_data(user_data);
        }
        Ok(Arc::new(Self {
            hostname: spec.hostname.clone(),
            password: spec.password.clone(),
            time_scale,
            tls: server::self_signed(&spec.hostname)?,
            state: Mutex::new(State {
                disk,
                power: Power::On,
                addresses: BTreeSet::new(),
                listeners: HashMap::new(),
                scheduled: None,
            }),
            power: watch::Sender::new(true),
            connected: watch::Sender::new(false),
            shells: Shells::default(),
            pwsh,
        }))
    }

    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(crate) fn settings(&self) -> Settings {
        self.lock().disk.settings.clone()
    }

    /// The PowerShell that runs scripts; without one they are interpreted.
    pub(crate) fn pwsh(&self) -> Option<&Pwsh> {
        self.pwsh.as_ref()
    }

    /// The length of simulated time.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        simulated.mul_f64(self.time_scale)
    }

    pub(crate) fn files<T>(&self, work: impl FnOnce(&mut Files) -> T) -> T {
        work(&mut self.lock().disk.files)
    }

    /// Obeys a command about WinRM. Listeners open at once, and close with the
    /// next boot.
    pub(crate) async fn configure(self: &Arc<Self>, command: &str) {
        self.lock().disk.settings.obey(command);
        if let Err(error) = self.open().await {
            tracing::error!(%error, "WinRM cannot listen");
        }
    }

    pub(crate) fn note_connection(&self) {
        self.connected.send_replace(true);
    }

    /// Opens what should be open and is not.
    async fn open(self: &Arc<Self>) -> io::Result<()> {
        for (address, is_https) in self.missing() {
            let socket = TcpListener::bind(address).await?;
            let stop = CancellationToken::new();
            let tls = is_https.then(|| self.tls.clone());
            let serving = server::accept(Arc::downgrade(self), socket, tls, stop.clone());
            let task = tokio::spawn(serving);
            self.lock()
                .listeners
                .insert(address, Listener { stop, task });
        }
        Ok(())
    }

    fn missing(&self) -> Vec<(SocketAddr, bool)> {
        let state = self.lock();
        if !matches!(state.power, Power::On | Power::GoingDown) {
            return Vec::new();
        }
        let Settings { http, https, .. } = state.disk.settings;
        let ports = [(http, HTTP_PORT, false), (https, HTTPS_PORT, true)];
        let wanted = state.addresses.iter().flat_map(|ip| {
            let ports = ports.iter().filter(|(on, ..)| *on);
            ports.map(|(_, port, is_https)| (SocketAddr::new(*ip, *port), *is_https))
        });
        let is_missing = |(address, _): &(SocketAddr, bool)| !state.listeners.contains_key(address);
        wanted.filter(is_missing).collect()
    }

    /// Closes listeners with their connections; the addresses are free then.
    async fn close(&self, matches: impl Fn(&SocketAddr) -> bool) {
        let closed: Vec<_> = {
            let mut state = self.lock();
            let listeners = state.listeners.extract_if(|address, _| matches(address));
            listeners.map(|(_, listener)| listener).collect()
        };
        for Listener { stop, task } in closed {
            stop.cancel();
            // A task that panicked has closed its sockets too.
            let _ = task.await;
        }
    }

    /// Goes down after a simulated delay; fails with the code of `shutdown`
    /// when it already does.
    pub(crate) fn shut_down(self: &Arc<Self>, how: Shutdown, after: Duration) -> Result<(), i32> {
        let mut state = self.lock();
        if state.power != Power::On {
            return Err(SHUTDOWN_IN_PROGRESS);
        }
        if state.scheduled.is_some() {
            return Err(SHUTDOWN_IS_SCHEDULED);
        }
        let called_off = CancellationToken::new();
        state.scheduled = Some(called_off.clone());
        if after.is_zero() {
            state.power = Power::GoingDown;
        }
        let computer = Arc::clone(self);
        tokio::spawn(async move {
            // Services go on for a moment, so that commands can end.
            let delay = computer.real(after.max(Duration::from_secs(2)));
            tokio::select! {
                () = called_off.cancelled() => {}
                () = tokio::time::sleep(delay) => computer.go_down(how).await,
            }
        });
        Ok(())
    }

    /// Calls a shutdown off; whether there was one.
    pub(crate) fn call_off(&self) -> bool {
        let mut state = self.lock();
        if state.power != Power::On {
            return false;
        }
        let scheduled = state.scheduled.take();
        scheduled.inspect(CancellationToken::cancel).is_some()
    }

    async fn go_down(self: &Arc<Self>, how: Shutdown) {
        self.set_power(Power::Restarting);
        self.shells.clear();
        self.close(|_| true).await;
        if how == Shutdown::PowerOff {
            return self.switch_off();
        }
        tokio::time::sleep(self.real(RESTART)).await;
        self.set_power(Power::On);
        if let Err(error) = self.open().await {
            tracing::error!(%error, "WinRM cannot listen after a restart");
        }
    }

    /// A machine that is off stays off.
    fn set_power(&self, power: Power) {
        let mut state = self.lock();
        if state.power != Power::Off {
            state.power = power;
            state.scheduled = None;
        }
    }

    fn switch_off(&self) {
        self.lock().power = Power::Off;
        self.shells.clear();
        self.power.send_replace(false);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seam to the cloud: what drives a machine only knows this. A type of its
/// own, as the machine's tasks hold the machine too.
pub(crate) struct Handle(pub(crate) Arc<Computer>);

impl Machine for Handle {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            self.0.lock().addresses.insert(address.ip());
            self.0.open().await
        })
    }

    fn unlisten(&self, ip: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.lock().addresses.remove(&ip);
            self.0.close(|address| address.ip() == ip).await;
        })
    }

    fn power_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.switch_off();
            self.0.close(|_| true).await;
        })
    }

    fn powered_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // An error means that the machine is gone, which is off too.
            let _ = self.0.power.subscribe().wait_for(|on| !on).await;
        })
    }

    fn connected(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The sender lives as long as the machine, which is ours.
            let _ = self.0.connected.subscribe().wait_for(|seen| *seen).await;
        })
    }

    fn capture(&self) -> io::Result<DiskImage> {
        Ok(DiskImage::new(self.0.lock().disk.clone()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.switch_off();
        let state = self.0.lock();
        let listeners = state.listeners.values();
        listeners.for_each(|listener| listener.stop.cancel());
    }
}
