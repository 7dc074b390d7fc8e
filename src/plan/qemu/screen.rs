//! Reads screen, VNC, control socket, and what is typed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::boot_command::{self, Step};
use super::machine::{Bound, ports};
use super::{Boot, BootStep, QmpSocket, Screen, VncPassword};
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// How long a machine needs until it can be typed to, when nobody says.
const BOOT_WAIT: Duration = Duration::from_secs(10);

/// DES, which protects VNC, takes no more.
const LONGEST_PASSWORD: usize = 8;

/// VNC counts displays from here.
const FIRST_VNC_PORT: u32 = 5900;

/// Fields of a boot command, beside the functions of every template.
const FIELDS: &[&str] = &["HTTPIP", "HTTPPort", "Name", "SSHPublicKey"];

/// Reads screen, VNC and control socket.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Screen {
    Screen {
        headless: reader.flag("headless"),
        display: reader.plain("display"),
        use_default_display: reader.flag("use_default_display"),
        vga: reader.plain("vga"),
        vnc_address: address(reader, "vnc_bind_address", Ipv4Addr::LOCALHOST),
        vnc_ports: vnc_ports(reader),
        vnc_password: vnc_password(reader),
        disable_vnc: reader.flag("disable_vnc"),
        qmp_socket: qmp_socket(reader),
    }
}

fn vnc_ports(reader: &mut Reader<'_, '_>) -> super::Ports {
    if reader
        .positive("vnc_port_min", u16::MAX.into())
        .is_some_and(|port| port < FIRST_VNC_PORT)
    {
        let help = format!("VNC's ports begin at {FIRST_VNC_PORT}");
        reader.error("vnc_port_min", "is too low", help);
        return super::Ports {
            low: 5900,
            high: 5999,
        };
    }
    let (low, high) = (("vnc_port_min", 5900), ("vnc_port_max", 6000));
    ports(reader, low, high, Bound::Exclusive)
}

/// An IP address.
pub(super) fn address(reader: &mut Reader<'_, '_>, name: &str, default: Ipv4Addr) -> IpAddr {
    let default = IpAddr::V4(default);
    let Some(text) = reader.plain(name) else {
        return default;
    };
    text.parse().unwrap_or_else(|_| {
        let what = format!("is `{text}`, which is not an IP address");
        reader.error(name, &what, "Write for example `127.0.0.1`");
        default
    })
}

fn vnc_password(reader: &mut Reader<'_, '_>) -> Option<VncPassword> {
    let given = reader.secret("vnc_password");
    let length = given.as_ref().map_or(0, |given| given.expose().len());
    if length > LONGEST_PASSWORD {
        let what = format!("has {length} bytes");
        let help = format!("VNC takes passwords of at most {LONGEST_PASSWORD} bytes");
        reader.error("vnc_password", &what, help);
    }
    let wanted = reader.flag("vnc_use_password") || given.is_some();
    wanted.then(|| given.map_or(VncPassword::Random, VncPassword::Given))
}

fn qmp_socket(reader: &mut Reader<'_, '_>) -> Option<QmpSocket> {
    let path = reader.plain("qmp_socket_path");
    let enabled = reader.flag("qmp_enable");
    match path {
        Some(path) => Some(QmpSocket::At(path.into())),
        None => enabled.then_some(QmpSocket::InOutputDirectory),
    }
}

/// Reads what is typed.
pub(super) fn boot(reader: &mut Reader<'_, '_>) -> Boot {
    let steps = boot_steps(reader);
    if !steps.is_empty() && reader.flag("disable_vnc") {
        let what = "cannot be typed without VNC";
        reader.error("disable_vnc", what, "Remove it, or what is to be typed");
    }
    let parsed: Vec<_> = steps.iter().flat_map(|step| check(reader, step)).collect();
    let interval = reader.duration("boot_key_interval");
    Boot {
        wait: boot_wait(reader, &parsed),
        key_interval: interval.filter(|interval| !interval.is_zero()),
        steps,
    }
}

fn boot_steps(reader: &mut Reader<'_, '_>) -> Vec<BootStep> {
    let command = reader.list_or_one("boot_command");
    let steps = reader.string_lists("boot_steps");
    if !command.is_empty() && !steps.is_empty() {
        reader.conflict("boot_command", "boot_steps", "Keep one of them");
    }
    let whole: String = command.iter().map(|part| part.value.as_str()).collect();
    if !whole.is_empty() {
        let command = Spanned::new(whole, reader.span("boot_command"));
        let description = None;
        return vec![BootStep {
            command,
            description,
        }];
    }
    let step = |mut parts: Vec<Spanned<String>>| BootStep {
        description: (parts.len() > 1).then(|| parts.swap_remove(1).value),
        command: parts.swap_remove(0),
    };
    let steps = steps.into_iter().filter(|parts| !parts.is_empty());
    steps.map(step).collect()
}

/// What the unrendered command would type; reports what cannot be meant.
fn check(reader: &mut Reader<'_, '_>, step: &BootStep) -> Vec<Step> {
    reader.check_late("boot_command", &step.command, FIELDS);
    boot_command::parse(&step.command.value).unwrap_or_else(|error| {
        let help = "Write for example `<wait5>`, `<wait1m30s>` or `<waitText \"boot:\" 2m>`";
        let what = error.to_string();
        reader.error_at(step.command.span, "boot_command", &what, help);
        Vec::new()
    })
}

fn boot_wait(reader: &mut Reader<'_, '_>, steps: &[Step]) -> Duration {
    let written = reader.signed_duration("boot_wait");
    match written.map(|wait| (wait.0 == 0, wait.non_negative())) {
        Some((false, wait)) => wait.unwrap_or(Duration::ZERO),
        // Who begins by waiting for a text needs no guess.
        _ if matches!(steps.first(), Some(Step::WaitText { .. }) | None) => Duration::ZERO,
        _ => BOOT_WAIT,
    }
}
