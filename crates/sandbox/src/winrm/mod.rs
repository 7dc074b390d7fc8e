//! Windows machines: WinRM over HTTP and HTTPS, and a console behind it.
//!
//! ```text
//! server ── ntlm, soap ── shells ── console (cmd, powershell, programs)
//!    └─ computer (power, disk in memory, settings of WinRM)
//! ```
//!
//! There is no Windows here, so commands are interpreted by a small console
//! that knows what provisioning scripts usually say; what it does not know
//! fails as an unknown command does. It runs nothing on the host.

mod computer;
mod console;
mod files;
mod ntlm;
mod server;
mod settings;
mod shells;
mod soap;

use std::io;
use std::sync::Arc;

use crate::machine::{BootSpec, Machine};

/// Boots a Windows machine.
pub(crate) fn boot(spec: &BootSpec, time_scale: f64) -> io::Result<Arc<dyn Machine>> {
    let computer = computer::Computer::boot(spec, time_scale)?;
    Ok(Arc::new(computer::Handle(computer)))
}
