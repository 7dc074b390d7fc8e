//! Windows machines: WinRM over HTTP and HTTPS, and a console behind it.
//!
//! ```text
//! server ── ntlm, soap ── shells ── console (cmd, powershell, programs) ── pwsh
//!    └─ computer (power, disk in memory, settings of WinRM)
//! ```
//!
//! There is no Windows here, so commands are interpreted by a small console
//! that knows what provisioning scripts usually say; what it does not know
//! fails as an unknown command does. Where the host has a PowerShell, scripts
//! run in it, confined as the commands of Linux machines are (`pwsh`).

mod computer;
mod console;
mod files;
mod ntlm;
mod pwsh;
mod server;
mod settings;
mod shells;
mod soap;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::machine::{BootSpec, Machine};

/// Boots a Windows machine, whose scripts a PowerShell of the host runs if there
/// is one.
pub(crate) fn boot(
    spec: &BootSpec,
    time_scale: f64,
    powershell: Option<&Path>,
) -> io::Result<Arc<dyn Machine>> {
    let powershell = powershell.map(|program| pwsh::Pwsh::new(program, spec, time_scale));
    let computer = computer::Computer::boot(spec, time_scale, powershell)?;
    Ok(Arc::new(computer::Handle(computer)))
}
