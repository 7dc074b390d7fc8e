//! The seam to the machines behind instances. The cloud decides when a machine
//! is powered, on which addresses it listens and when its disk is captured; a
//! [`MachineHost`] makes that real.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future, for object-safe async methods.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The content of a disk, opaque to the cloud and cheap to clone.
#[derive(Clone)]
pub struct DiskImage(Arc<dyn Any + Send + Sync>);

impl DiskImage {
    /// Wraps what the host understands as a disk.
    pub fn new<T: Any + Send + Sync>(content: T) -> Self {
        Self(Arc::new(content))
    }

    /// The wrapped content, if it has the type `T`.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for DiskImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskImage")
    }
}

/// What a machine is booted with.
#[derive(Clone, Debug, Default)]
pub struct BootSpec {
    /// The instance this machine is.
    pub instance_id: String,
    /// Its host name.
    pub hostname: String,
    /// Content of the system disk; `None` for a public image.
    pub disk: Option<DiskImage>,
    /// OpenSSH public key lines, commented with the name of the key pair.
    pub authorized_keys: Vec<String>,
    /// Password of `username`.
    pub password: Option<String>,
    /// The login of Linux images, `root`.
    pub username: String,
    /// Whether the image is of the Red Hat family.
    pub rpm_family: bool,
    /// Whether the image is a Windows one, which has WinRM instead of SSH.
    pub windows: bool,
    /// Decoded user data.
    pub user_data: Option<Vec<u8>>,
}

/// Boots machines.
pub trait MachineHost: Send + Sync {
    /// Boots a machine that listens nowhere yet.
    fn boot(&self, spec: BootSpec) -> BoxFuture<'_, io::Result<Arc<dyn Machine>>>;
}

/// A running machine.
pub trait Machine: Send + Sync {
    /// Accepts logins on an address.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<()>>;

    /// Stops accepting logins on every port of an address.
    fn unlisten(&self, address: IpAddr) -> BoxFuture<'_, ()>;

    /// Powers off; resolves when nothing of the machine runs any more.
    fn power_off(&self) -> BoxFuture<'_, ()>;

    /// Resolves when the machine has powered itself off, at once if it has
    /// already. The future is dropped and asked for again at any time.
    fn powered_off(&self) -> BoxFuture<'_, ()>;

    /// Resolves at the first connection, at once if there was one. The default
    /// never does; the report then knows nothing about the use of the SSH
    /// server.
    fn connected(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// The content of the system disk now, on or off. May block.
    fn capture(&self) -> io::Result<DiskImage>;
}

/// Instances without machines: nothing listens, disks are empty.
pub struct NoMachines;

struct NoMachine;

impl MachineHost for NoMachines {
    fn boot(&self, _spec: BootSpec) -> BoxFuture<'_, io::Result<Arc<dyn Machine>>> {
        Box::pin(async { Ok(Arc::new(NoMachine) as Arc<dyn Machine>) })
    }
}

impl Machine for NoMachine {
    fn listen(&self, _address: SocketAddr) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn unlisten(&self, _address: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn power_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn powered_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn capture(&self) -> io::Result<DiskImage> {
        Ok(DiskImage::new(()))
    }
}
