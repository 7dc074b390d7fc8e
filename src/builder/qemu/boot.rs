//! Typing the boot command into the machine that was started, and what
//! templates in it may name.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::boot_command::{KEY_INTERVAL, type_steps};
use super::machine::{HOST_IN_GUEST, Prepared};
use super::qmp::Qmp;
use super::running::{Running, switched_off};
use super::typing::Keyboard;
use super::vnc::Vnc;
use super::{Qemu, guest_address};
use crate::builder::{BuildContext, Machine};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::communicator::Communicator;
use crate::plan::qemu::{HttpContent, boot_command};
use crate::provisioner::BuildData;
use crate::provisioner::late;
use crate::template::go_duration::GoDuration;

/// How long a guest on a bridge may take to show up when there is no limit.
const BRIDGE_LIMIT: Duration = Duration::from_secs(3600);

impl Qemu<'_> {
    /// Waits and types.
    pub(super) async fn boot(
        &self,
        cx: &BuildContext<'_>,
        running: &mut Running,
        prepared: &Prepared,
    ) -> Result<()> {
        let boot = &self.options.boot;
        if boot.steps.is_empty() || self.options.screen.disable_vnc {
            return Ok(());
        }
        let typing = async {
            if !boot.wait.is_zero() {
                cx.events
                    .say(format!("Waiting {:?} for boot...", boot.wait));
                cx.stop.sleep(boot.wait).await?;
            }
            cx.events
                .say(format!("Connecting to VM via VNC ({})", running.vnc));
            let mut keyboard = Keyboard {
                vnc: Vnc::connect(running.vnc, running.vnc_password.as_ref()).await?,
                qmp: match &running.qmp {
                    Some(path) => Some(Qmp::connect(path).await?),
                    None => None,
                },
                serial: &running.serial,
                copy: prepared.private.join("screen"),
                stop: cx.stop,
            };
            self.type_all(cx, &mut keyboard, prepared).await?;
            Ok(keyboard.vnc)
        };
        let outcome = cx.stop.race(running.process.while_running(typing)).await?;
        match outcome {
            Ok(vnc) => running.typed_to = Some(vnc),
            // The last key may have been what switches the machine off.
            Err(error) if is_lost(&error) && running.process.succeeds_soon().await => {
                if !matches!(self.communicator, Communicator::None) {
                    return Err(switched_off());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn type_all(
        &self,
        cx: &BuildContext<'_>,
        keyboard: &mut Keyboard<'_>,
        prepared: &Prepared,
    ) -> Result<()> {
        let boot = &self.options.boot;
        let fields = self.fields(prepared);
        let interval = boot.key_interval.or_else(|| key_interval(cx));
        let interval = interval.unwrap_or(KEY_INTERVAL);
        cx.events.say("Typing the boot commands over VNC...");
        for step in &boot.steps {
            if let Some(description) = &step.description {
                cx.events
                    .message(format!("Typing boot command for: {description}"));
            }
            let command = render(&step.command.value, &fields)
                .map_err(|error| error.at(step.command.span))?;
            let steps = boot_command::parse(&command).map_err(|error| {
                Error::new(ErrorKind::Template, format!("The boot command {error}"))
                    .at(step.command.span)
            })?;
            type_steps(&steps, interval, keyboard, cx.stop).await?;
        }
        Ok(())
    }

    /// The machine as the engine sees it.
    pub(super) async fn reachable(
        &self,
        cx: &BuildContext<'_>,
        running: &mut Running,
        prepared: Prepared,
    ) -> Result<Machine> {
        running.http = prepared.http;
        running.ports = prepared.ports;
        let (host, port) = self.address(cx, running, prepared.facts.forwarding).await?;
        Ok(Machine {
            id: self.options.disks.vm_name.clone(),
            host,
            port,
            http: prepared.http_address,
            source_image: prepared.source,
            key_pair: prepared.key_pair,
        })
    }

    async fn address(
        &self,
        cx: &BuildContext<'_>,
        running: &Running,
        forwarding: Option<(u16, u16)>,
    ) -> Result<(String, Option<u16>)> {
        let localhost = Ipv4Addr::LOCALHOST.to_string();
        let Some(port) = self.communicator.port() else {
            return Ok((localhost, None));
        };
        if let Some((host_port, _)) = forwarding {
            return Ok((localhost, Some(host_port)));
        }
        match (
            &self.options.network.bridge,
            self.communicator.host(),
            &running.qmp,
        ) {
            (None, _, _) => Ok((localhost, Some(port))),
            (Some(_), Some(host), _) => Ok((host.clone(), Some(port))),
            (Some(_), None, Some(qmp)) => {
                let finding = guest_address::of_guest(cx, qmp, self.connect_limit());
                let host = running.process.while_running(finding).await?;
                Ok((host, Some(port)))
            }
            (Some(_), None, None) => {
                let message = "The guest's address cannot be found without QEMU's control socket";
                Err(Error::new(ErrorKind::Connect, message).with_hint("Set `ssh_host`"))
            }
        }
    }

    fn connect_limit(&self) -> Duration {
        self.communicator.timeout().unwrap_or(BRIDGE_LIMIT)
    }

    /// What templates in the boot command and in `qemuargs` may name.
    pub(super) fn fields(&self, prepared: &Prepared) -> BTreeMap<String, String> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let address = prepared.http_address;
        let directory = match &self.options.http.content {
            Some(HttpContent::Directory(path)) => path.display().to_string(),
            _ => String::new(),
        };
        let public = prepared.key_pair.as_ref().map(|key| key.public.clone());
        let output = &self.options.disks.output_directory.value;
        let forwarding = prepared.facts.forwarding;
        let ip = address.map_or(HOST_IN_GUEST.into(), |address| address.ip());
        [
            ("HTTPIP", ip.to_string()),
            (
                "HTTPPort",
                address.map_or(0, |address| address.port()).to_string(),
            ),
            ("HTTPDir", directory),
            ("Name", self.options.disks.vm_name.clone()),
            ("OutputDir", output.display().to_string()),
            (
                "SSHHostPort",
                forwarding.map_or(0, |(host, _)| host).to_string(),
            ),
            ("SSHPublicKey", text(public)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Whether it is how a QEMU that ends looks to us.
fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Io
}

/// What the environment says about typing, as with Packer.
fn key_interval(cx: &BuildContext<'_>) -> Option<Duration> {
    const NAME: &str = "PACKER_KEY_INTERVAL";
    let text = cx.environment.get(NAME)?.to_string_lossy();
    let interval = duration(&text);
    if interval.is_none() {
        cx.events.warn(format!(
            "`{NAME}` is `{text}`, which is not a duration such as `100ms`, and is not used"
        ));
    }
    interval.filter(|interval| !interval.is_zero())
}

/// A duration that can be waited for; an empty text is none at all.
fn duration(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return Some(Duration::ZERO);
    }
    text.parse::<GoDuration>().ok()?.non_negative()
}

/// Renders what templates leave to the running machine.
pub(super) fn render(text: &str, fields: &BTreeMap<String, String>) -> Result<String> {
    late::render(text, fields, &BuildData::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_interval() {
        for (text, milliseconds) in [
            ("", Some(0)),
            ("50ms", Some(50)),
            ("1s", Some(1000)),
            ("-1s", None),
            ("fast", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
