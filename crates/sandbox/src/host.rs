//! Real machines behind the cloud's instances: joins [`crate::guest`] to the
//! seam in [`crate::machine`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::guest::{self, Confinement, Guest, Layer, tool};
use crate::machine::{BootSpec, BoxFuture, DiskImage, Machine, MachineHost};
use crate::winrm;

/// Boots a [`Guest`] for every instance of Linux, and a machine with WinRM for
/// every instance of Windows.
#[derive(Debug, Clone)]
pub struct Guests {
    /// How commands are kept away from the host.
    pub confinement: Confinement,
    /// The length of a simulated second in seconds, for `sleep` inside.
    pub time_scale: f64,
    /// The PowerShell that runs the scripts of Windows, for confined machines;
    /// without one a console interprets them. See [`installed_powershell`].
    pub powershell: Option<PathBuf>,
}

/// The `pwsh` of this host, if it is one that works in a machine.
pub fn installed_powershell() -> Option<PathBuf> {
    let program = tool("pwsh").ok()?.canonicalize().ok()?;
    // Snap's is a link to a program that asks a service for it.
    (program.file_name()? == "pwsh").then_some(program)
}

/// What a disk is made of: layers, the lowest first.
type Layers = Vec<Layer>;

struct GuestMachine {
    guest: Guest,
    image: Layers,
    runtime: Handle,
}

impl MachineHost for Guests {
    fn boot(&self, spec: BootSpec) -> BoxFuture<'_, io::Result<Arc<dyn Machine>>> {
        let (confinement, time_scale) = (self.confinement, self.time_scale);
        Box::pin(async move {
            if spec.windows {
                let powershell = self.powershell.as_deref();
                let confined = powershell.filter(|_| confinement == Confinement::Namespaces);
                return winrm::boot(&spec, time_scale, confined);
            }
            let image = spec
                .disk
                .as_ref()
                .and_then(DiskImage::get::<Layers>)
                .cloned();
            let image = image.unwrap_or_default();
            let guest = Guest::boot(guest::BootSpec {
                instance_id: spec.instance_id,
                hostname: spec.hostname,
                layers: image.clone(),
                authorized_keys: spec.authorized_keys,
                password: spec.password,
                rpm_family: spec.rpm_family,
                time_scale,
                user_data: spec.user_data,
                confinement,
            });
            let machine = GuestMachine {
                guest: guest.await?,
                image,
                runtime: Handle::current(),
            };
            Ok(Arc::new(machine) as Arc<dyn Machine>)
        })
    }
}

impl Machine for GuestMachine {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(self.guest.listen(address))
    }

    fn unlisten(&self, address: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(self.guest.unlisten(address))
    }

    fn power_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.guest.power_off())
    }

    fn powered_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.guest.powered_off())
    }

    fn connected(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.guest.connected())
    }

    fn capture(&self) -> io::Result<DiskImage> {
        let written = self.runtime.block_on(self.guest.capture())?;
        let layers: Layers = self.image.iter().cloned().chain([written]).collect();
        Ok(DiskImage::new(layers))
    }
}
