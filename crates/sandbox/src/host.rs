//! Real machines behind the cloud's instances: joins [`crate::guest`] to the
//! seam in [`crate::machine`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::guest::{self, Confinement, Guest, Layer};
use crate::machine::{BootSpec, BoxFuture, DiskImage, Machine, MachineHost};
use crate::winrm;

/// Boots a [`Guest`] for every instance of Linux, and a machine with WinRM for
/// every instance of Windows.
#[derive(Debug, Clone, Copy)]
pub struct Guests {
    /// How commands are kept away from the host.
    pub confinement: Confinement,
    /// The length of a simulated second in seconds, for `sleep` inside.
    pub time_scale: f64,
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
                return winrm::boot(&spec, time_scale);
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
