//! The simulated cloud: as a server (`sandbox`), and inside a build
//! (`build --sandbox`).

use std::sync::Arc;
use std::time::Duration;

use alicloud_image_sandbox::guest::{Confinement, namespaces_available};
use alicloud_image_sandbox::host::{Guests, installed_powershell};
use alicloud_image_sandbox::machine::MachineHost;
use alicloud_image_sandbox::qemu::Qemu;
use alicloud_image_sandbox::{AccessKey, Delays, Sandbox, SandboxOptions};

use crate::cli;
use crate::cloud::credential::{Ambient, Keys};
use crate::cloud::endpoint::Endpoints;
use crate::engine::event::Events;
use crate::engine::signal::Signals;
use crate::error::{Error, Kind, Result};
use crate::inputs::SandboxArgs;
use crate::report::{ExitStatus, Settings, Writers, page};
use crate::secret::Secret;

/// A sandbox that lives as long as the build it is for.
pub(super) struct Embedded {
    sandbox: Sandbox,
}

impl Embedded {
    /// Its key pair; whatever the template has belongs to the real cloud.
    pub(super) fn ambient(&self) -> Ambient {
        Ambient::from(Keys {
            access_key: self.sandbox.access_key_id().to_owned(),
            secret_key: Secret::new(self.sandbox.access_key_secret()),
            security_token: None,
        })
    }

    pub(super) fn endpoints(&self) -> Result<Endpoints> {
        Endpoints::everything_to(&self.sandbox.url())
    }

    pub(super) fn guest_port(&self) -> u16 {
        self.sandbox.guest_port()
    }
}

/// Starts a sandbox for a build, when one is wanted. Where commands cannot be
/// confined, as in most containers, its machines only take them.
pub(super) async fn embed(time_scale: Option<f64>, events: &Events) -> Result<Option<Embedded>> {
    let Some(time_scale) = time_scale else {
        return Ok(None);
    };
    let confined = namespaces_available();
    if let Err(reason) = &confined {
        events.warn(format!(
            "The machines of this sandbox take commands without running them: {reason}"
        ));
    }
    let options = SandboxOptions {
        time_scale,
        machines: machines(confined.is_err(), time_scale)?,
        ..Default::default()
    };
    let sandbox = Sandbox::start(options).await.map_err(cannot_start)?;
    Ok(Some(Embedded { sandbox }))
}

/// Serves until a signal comes.
pub(super) fn run(args: &SandboxArgs) -> ExitStatus {
    let events = super::events(&Settings::default());
    let outcome = super::block_on(serve(args)).and_then(|outcome| outcome);
    match outcome {
        Ok(()) => ExitStatus::Success,
        Err(error) => super::fail(&events, error),
    }
}

async fn serve(args: &SandboxArgs) -> Result<()> {
    let signals = Signals::install()?;
    let sandbox = Sandbox::start(options(args)?).await.map_err(cannot_start)?;
    let facts = page::SandboxFacts {
        url: sandbox.url(),
        access_key_id: sandbox.access_key_id().to_owned(),
        access_key_secret: Secret::new(sandbox.access_key_secret()),
        guest_port: sandbox.guest_port(),
    };
    page::print(Writers::of_process(), &page::sandbox(&facts));
    signals.wait().await;
    sandbox.shutdown().await;
    Ok(())
}

fn options(args: &SandboxArgs) -> Result<SandboxOptions> {
    let mut options = SandboxOptions {
        port: args.port,
        jitter: args.jitter,
        latency: args.latency,
        time_scale: args.time_scale,
        seed: args.seed,
        guest_port: args.guest_port,
        machines: machines(args.scripted_guests, args.time_scale)?,
        ..Default::default()
    };
    if args.delays == cli::Delays::None {
        options.delays = Delays::none();
        options.latency = Duration::ZERO;
    }
    if let Some(path) = &args.policy {
        let text = std::fs::read(path).map_err(|error| {
            Error::new(Kind::Usage, format!("Cannot read `{}`", path.display())).with_source(error)
        })?;
        let policy: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
            Error::new(Kind::Usage, format!("`{}` is not JSON", path.display())).with_source(error)
        })?;
        let keys = options.access_keys.into_iter();
        let limited = |key| AccessKey {
            user: Some("sandbox".to_owned()),
            policy: Some(policy.clone()),
            ..key
        };
        options.access_keys = keys.map(limited).collect();
    }
    Ok(options)
}

/// Public images are confined processes, imported ones virtual machines.
fn machines(scripted: bool, time_scale: f64) -> Result<Arc<dyn MachineHost>> {
    let confinement = if scripted {
        Confinement::Scripted
    } else {
        Confinement::Namespaces
    };
    if !scripted {
        namespaces_available().map_err(|reason| {
            Error::new(
                Kind::Usage,
                format!("Commands cannot be confined on this machine: {reason}"),
            )
            .with_hint("`alicloud-image sandbox --scripted-guests` runs no commands at all")
        })?;
    }
    let guests = Guests {
        confinement,
        time_scale,
        powershell: installed_powershell(),
    };
    Ok(Arc::new(Qemu::new(Arc::new(guests))))
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(Kind::Io, "Cannot start the sandbox").with_source(error)
}
