//! The machine behind a sandbox instance: a real SSH server whose commands
//! really run, confined so that nothing on the host changes.
//!
//! A [`Guest`] is a set of namespaces with the host's programs in it and a
//! disk of its own; `sshd` is this process. It knows nothing of ECS: images
//! are [`Layer`]s, addresses are whatever [`Guest::listen`] is told. Facts:
//! RFC 4252 and 4254, sshd(8), cloud-init's user data formats.

mod backlog;
mod base;
mod confinement;
mod disk;
mod exec;
mod machine;
mod net;
mod rootfs;
mod scp;
mod server;
mod sftp;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::spawn_blocking;

pub use self::{confinement::namespaces_available, disk::Layer};
pub(crate) use self::{
    confinement::{Holder, tool},
    exec::login_environment,
    rootfs::RootView,
};
use self::{
    confinement::{Plan, base_directory},
    disk::OwnedDir,
    machine::{Inside, Machine},
};

/// How a guest's commands are kept away from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Commands run in namespaces, see [`namespaces_available`].
    Namespaces,
    /// No command runs: each succeeds silently. Files can be uploaded and
    /// downloaded again.
    Scripted,
}

/// The directories of a guest that sees nothing of the host: those that every
/// Linux has and files are uploaded to.
const DIRECTORIES: &[&str] = &[
    "etc",
    "home",
    "mnt",
    "opt",
    "root",
    "run",
    "srv",
    "tmp",
    "usr/local/bin",
    "usr/local/etc",
    "usr/local/lib",
    "usr/local/share",
    "var/lib",
    "var/log",
    "var/tmp",
];

/// What a guest is started with.
#[derive(Clone)]
pub struct BootSpec {
    /// The instance's ID, for logs.
    pub instance_id: String,
    /// The host name inside.
    pub hostname: String,
    /// The image: later layers lie over earlier ones.
    pub layers: Vec<Layer>,
    /// Public keys in OpenSSH's format, appended to root's `authorized_keys`.
    pub authorized_keys: Vec<String>,
    /// The password of root; without one only keys are accepted.
    pub password: Option<String>,
    /// Whether the image is of a distribution with RPM packages.
    pub rpm_family: bool,
    /// The length of a simulated second in seconds, for `sleep` inside.
    pub time_scale: f64,
    /// User data; a script (`#!`) runs once, as root, in the background.
    pub user_data: Option<Vec<u8>>,
    /// How commands are confined.
    pub confinement: Confinement,
}

impl fmt::Debug for BootSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootSpec")
            .field("instance_id", &self.instance_id)
            .field("hostname", &self.hostname)
            .field("layers", &self.layers)
            .field("confinement", &self.confinement)
            .finish_non_exhaustive()
    }
}

/// A running (or powered off) machine. Dropping it kills its processes and
/// removes its disk.
#[derive(Debug)]
pub struct Guest {
    machine: Arc<Machine>,
    upper: PathBuf,
    base: PathBuf,
    // The fields below only keep directories alive; the disk lies over the
    // layers, so it goes first.
    _disk: Arc<OwnedDir>,
    _layers: Vec<Layer>,
}

impl Guest {
    /// Starts a machine; it is up when this returns, its user data may still
    /// run. Fails if commands cannot be confined here (the error says why) or
    /// the disk cannot be created.
    pub async fn boot(spec: BootSpec) -> io::Result<Guest> {
        let machine_spec = spec.clone();
        let booted = spawn_blocking(move || match spec.confinement {
            Confinement::Namespaces => Booted::confined(&spec),
            Confinement::Scripted => Booted::scripted(&spec),
        });
        let booted = booted.await.map_err(io::Error::other)??;
        let machine = Machine::start(&machine_spec, booted.inside, booted.plan)?;
        Ok(Guest {
            machine,
            upper: booted.upper,
            base: booted.base,
            _disk: booted.disk,
            _layers: booted.layers,
        })
    }

    /// Serves SSH at an address, at further ones if called again. An address
    /// that is already served stays as it is. Fails if it cannot be bound.
    pub async fn listen(&self, addr: SocketAddr) -> io::Result<()> {
        net::listen(&self.machine, addr).await
    }

    /// Stops serving at an address and closes the connections made to it.
    pub async fn unlisten(&self, ip: IpAddr) {
        self.machine.listeners().close(|addr| addr.ip() == ip).await;
    }

    /// Kills every process inside and closes all listeners and connections.
    /// The disk stays.
    pub async fn power_off(&self) {
        let machine = Arc::clone(&self.machine);
        // The closure does not panic, so there is nothing to pass on.
        let _ = spawn_blocking(move || machine.power_off()).await;
        self.machine.listeners().close(|_| true).await;
    }

    /// The way to run commands inside; `None` while nothing runs, and in a
    /// machine that runs none.
    pub(crate) fn holder(&self) -> Option<Arc<Holder>> {
        match self.machine.inside()?.0 {
            Inside::Namespaces(holder) => Some(holder),
            Inside::Scripted(_) => None,
        }
    }

    /// Resolves when the machine is off, by its own command or by
    /// [`Guest::power_off`].
    pub fn powered_off(&self) -> impl Future<Output = ()> + Send + 'static {
        self.machine.powered_off()
    }

    /// Resolves at the first TCP connection to the SSH server, at once if
    /// there was one; never on a machine that is gone.
    pub fn connected(&self) -> impl Future<Output = ()> + Send + 'static {
        self.machine.connected()
    }

    /// Copies what was written to the disk since boot. Deletions are part of
    /// the copy; the contents of `/tmp` and `/run` are not.
    pub async fn capture(&self) -> io::Result<Layer> {
        let (upper, base) = (self.upper.clone(), self.base.clone());
        let disk = Arc::clone(&self._disk);
        let copied = spawn_blocking(move || {
            let layer = Layer::copy_of(&upper, &base);
            drop(disk);
            layer
        });
        copied.await.map_err(io::Error::other)?
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.machine.power_off();
    }
}

/// The parts of a guest that take blocking work to make.
struct Booted {
    inside: Inside,
    plan: Option<Plan>,
    upper: PathBuf,
    base: PathBuf,
    disk: Arc<OwnedDir>,
    layers: Vec<Layer>,
}

impl Booted {
    fn confined(spec: &BootSpec) -> io::Result<Booted> {
        let base = base_directory().map_err(io::Error::other)?;
        let mut layers: Vec<_> = spec.layers.iter().rev().cloned().collect();
        layers.push(base::shim_layer(spec, base)?);
        layers.push(base::host_layer(base)?);
        let disk = Arc::new(OwnedDir::create(base)?);
        let paths: Vec<_> = layers.iter().map(Layer::path).collect();
        let plan = Plan::prepare(disk.path(), &paths, &spec.hostname)?;
        let holder = Holder::start(&plan)?;
        Ok(Booted {
            inside: Inside::Namespaces(Arc::new(holder)),
            upper: plan.upper(),
            plan: Some(plan),
            base: base.to_owned(),
            disk,
            layers,
        })
    }

    fn scripted(spec: &BootSpec) -> io::Result<Booted> {
        let base = std::env::temp_dir();
        let disk = Arc::new(OwnedDir::create(&base)?);
        let upper = disk.path().join("upper");
        disk::create_trees(&upper)?;
        for layer in &spec.layers {
            disk::copy_tree(layer.path(), &upper)?;
        }
        let root = upper.join("root");
        create_dirs(&root, DIRECTORIES)?;
        Ok(Booted {
            inside: Inside::Scripted(root),
            plan: None,
            upper,
            base,
            disk,
            layers: spec.layers.clone(),
        })
    }
}

fn create_dirs(root: &Path, names: &[&str]) -> io::Result<()> {
    names
        .iter()
        .try_for_each(|name| std::fs::create_dir_all(root.join(name)))
}
