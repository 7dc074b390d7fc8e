//! QEMU's command line as data, from options and what was found out.
//!
//! Pure. The defaults are those of Packer's QEMU plugin, except that ports
//! are forwarded from 127.0.0.1 only. `qemuargs` replace all defaults with the
//! same switch, as in Packer, which is said aloud; `qemuargs_append` does not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::plan::qemu::{Accelerator, Interface, Qemu};

/// What is only known when the build runs.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// What runs the guest's code.
    pub(super) accelerator: Accelerator,
    /// The disks, the main one first.
    pub(super) disks: Vec<PathBuf>,
    /// The ISO to boot and the CD with the user's files, as far as there are.
    pub(super) cds: Vec<String>,
    /// The floppy.
    pub(super) floppy: Option<PathBuf>,
    /// UEFI code and the machine's own variables.
    pub(super) efi: Option<EfiFiles>,
    /// The port of this machine and the guest's port it leads to.
    pub(super) forwarding: Option<(u16, u16)>,
    /// Where VNC listens.
    pub(super) vnc: SocketAddr,
    /// The control socket.
    pub(super) qmp: PathBuf,
    /// What comes over the serial line.
    pub(super) serial: PathBuf,
    /// The socket of the TPM.
    pub(super) tpm: Option<PathBuf>,
    /// The file with QEMU's process id.
    pub(super) pid: PathBuf,
    /// Whether there is a screen that a window could be shown on.
    pub(super) has_display: bool,
}

/// The flash of a UEFI machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EfiFiles {
    /// The code, read only.
    pub(super) code: PathBuf,
    /// Format of the code's file.
    pub(super) code_format: &'static str,
    /// The machine's own variables.
    pub(super) vars: PathBuf,
    /// Format of the variables' file.
    pub(super) vars_format: &'static str,
}

/// The command line without the program, and what to warn about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// QEMU's arguments.
    pub(super) arguments: Vec<String>,
    /// Defaults that `qemuargs` dropped, as `-switch value`.
    pub(super) dropped: Vec<String>,
}

/// A switch and its value; an empty value is none.
type Argument = (String, String);

/// Puts the command line together. `own` and `appended` are `qemuargs` and
/// `qemuargs_append`, rendered.
pub(super) fn build(
    options: &Qemu,
    facts: &Facts,
    own: &[Vec<String>],
    appended: &[Vec<String>],
) -> CommandLine {
    let own: Vec<Argument> = own.iter().filter_map(|parts| joined(parts)).collect();
    let is_replaced = |switch: &str| own.iter().any(|(other, _)| other == switch);
    let (dropped, mut arguments): (Vec<_>, Vec<_>) = defaults(options, facts)
        .into_iter()
        .partition(|(switch, _)| is_replaced(switch));
    arguments.extend(own.iter().cloned());
    arguments.extend(missing_network_card(options, &own));
    arguments.extend(appended.iter().filter_map(|parts| joined(parts)));
    // Never replaced: by it the machine is found after a crash.
    arguments.push(pair("-pidfile", facts.pid.display()));
    CommandLine {
        arguments: arguments.into_iter().flat_map(words).collect(),
        dropped: dropped
            .into_iter()
            .filter(|argument| !own.contains(argument) && !is_network_card(options, argument))
            .map(|argument| words(argument).collect::<Vec<_>>().join(" "))
            .collect(),
    }
}

fn words((switch, value): Argument) -> impl Iterator<Item = String> {
    std::iter::once(switch).chain((!value.is_empty()).then_some(value))
}

/// Packer joins the pieces of a value without anything in between.
fn joined(parts: &[String]) -> Option<Argument> {
    let (switch, value) = parts.split_first()?;
    Some((switch.clone(), value.concat()))
}

fn pair(switch: &str, value: impl std::fmt::Display) -> Argument {
    (switch.to_owned(), value.to_string())
}

/// Packer gives the network card back when own devices forget it.
fn missing_network_card(options: &Qemu, own: &[Argument]) -> Option<Argument> {
    let device = options.network.device.as_str();
    let mut devices = own.iter().filter(|(switch, _)| switch == "-device");
    let is_forgotten = devices.next().is_some()
        && !own
            .iter()
            .any(|(switch, value)| switch == "-device" && value.contains(device));
    is_forgotten.then(|| network_card(options))
}

fn network_card(options: &Qemu) -> Argument {
    pair(
        "-device",
        format!("{},netdev=user.0", options.network.device),
    )
}

fn is_network_card(options: &Qemu, argument: &Argument) -> bool {
    *argument == network_card(options)
}

fn defaults(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let mut arguments = vec![
        pair("-name", &options.disks.vm_name),
        pair("-machine", machine(options, facts.accelerator)),
        pair("-m", format!("{}M", options.machine.memory_mib)),
        pair("-smp", processors(options)),
    ];
    if let Some(model) = &options.machine.cpu_model {
        arguments.push(pair("-cpu", model));
    }
    if facts.efi.is_none() {
        let order = if options.source.disk_image {
            "c"
        } else {
            "once=d"
        };
        arguments.push(pair("-boot", order));
    }
    arguments.extend(firmware(options, facts));
    arguments.extend(devices(options, facts));
    arguments.extend(drives(options, facts));
    if let Some(floppy) = &facts.floppy {
        arguments.push(pair("-fda", raw(floppy)));
    }
    arguments.push(pair("-netdev", network(options, facts)));
    arguments.extend(screen(options, facts));
    let (qmp, serial) = (facts.qmp.display(), facts.serial.display());
    arguments.push(pair("-qmp", format!("unix:{qmp},server,nowait")));
    arguments.push(pair("-serial", format!("file:{serial}")));
    arguments
}

fn machine(options: &Qemu, accelerator: Accelerator) -> String {
    let kind = &options.machine.kind;
    match accelerator_name(accelerator) {
        Some(name) => format!("type={kind},accel={name}"),
        None => format!("type={kind}"),
    }
}

/// QEMU's word; nothing for its own default.
pub(super) fn accelerator_name(accelerator: Accelerator) -> Option<&'static str> {
    Some(match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
        Accelerator::Xen => "xen",
        Accelerator::Hax => "hax",
        Accelerator::Hvf => "hvf",
        Accelerator::Whpx => "whpx",
        Accelerator::None => return None,
    })
}

/// The number of processors and how they are arranged.
fn processors(options: &Qemu) -> String {
    let machine = &options.machine;
    let arrangement = [
        ("sockets", machine.sockets),
        ("cores", machine.cores),
        ("threads", machine.threads),
    ];
    let written: Vec<_> = arrangement.iter().filter(|(_, count)| *count > 0).collect();
    let product: u32 = written.iter().map(|(_, count)| *count).product();
    let count = match (machine.cpus, written.is_empty()) {
        (0, true) => 1,
        (0, false) => product,
        (cpus, true) => cpus,
        (cpus, false) => cpus.min(product),
    };
    let mut text = count.to_string();
    for (name, count) in written {
        text.push_str(&format!(",{name}={count}"));
    }
    text
}

fn firmware(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let mut arguments = Vec::new();
    if let Some(file) = &options.firmware.file {
        let file = file.display();
        arguments.push(match options.firmware.use_pflash {
            true => pair(
                "-drive",
                format!("file={file},if=pflash,format=raw,readonly=on"),
            ),
            false => pair("-bios", file),
        });
    }
    if let Some(efi) = &facts.efi {
        let (code, vars) = (escaped(&efi.code), escaped(&efi.vars));
        let (code_format, vars_format) = (efi.code_format, efi.vars_format);
        arguments.push(pair(
            "-drive",
            format!("file={code},if=pflash,unit=0,format={code_format},readonly=on"),
        ));
        arguments.push(pair(
            "-drive",
            format!("file={vars},if=pflash,unit=1,format={vars_format}"),
        ));
    }
    arguments
}

/// The controller of SCSI disks and CDs, as its device and its name: QEMU's PCs
/// have none of their own.
fn scsi_controller(interface: Interface) -> Option<(&'static str, &'static str)> {
    match interface {
        Interface::VirtioScsi => Some(("virtio-scsi-pci", "scsi0")),
        Interface::Scsi => Some(("lsi53c895a", "lsi0")),
        _ => None,
    }
}

fn scsi_devices(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let of_disks = scsi_controller(options.disks.interface);
    let of_cds = options.cd.interface.and_then(scsi_controller);
    let mut controllers: Vec<_> = of_disks.into_iter().chain(of_cds).collect();
    controllers.dedup();
    let on = |controller: Option<(&str, &str)>, device: &str, drive: &str, count| {
        let device =
            |index| controller.map(|(_, bus)| format!("{device},bus={bus}.0,drive={drive}{index}"));
        (0..count).filter_map(device).collect::<Vec<_>>()
    };
    let disks = on(of_disks, "scsi-hd", "drive", facts.disks.len());
    let cds = on(of_cds, "scsi-cd", "cdrom", facts.cds.len());
    controllers
        .into_iter()
        .map(|(device, id)| format!("{device},id={id}"))
        .chain(disks)
        .chain(cds)
        .map(|device| pair("-device", device))
        .collect()
}

fn devices(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let mut arguments = scsi_devices(options, facts);
    arguments.push(network_card(options));
    if let (Some(socket), Some(tpm)) = (&facts.tpm, &options.firmware.tpm) {
        let socket = socket.display();
        arguments.push(pair("-chardev", format!("socket,id=vtpm,path={socket}")));
        arguments.push(pair("-tpmdev", "emulator,id=tpm0,chardev=vtpm"));
        arguments.push(pair("-device", format!("{},tpmdev=tpm0", tpm.device)));
    }
    arguments
}

fn drives(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let disks = facts.disks.iter().enumerate();
    let disks = disks.map(|(index, path)| pair("-drive", disk(options, index, path)));
    let cds = facts.cds.iter().enumerate();
    let first = first_cd(options, facts);
    let cds = cds.map(|(index, place)| pair("-drive", cd(options, index, first + index, place)));
    disks.chain(cds).collect()
}

fn disk(options: &Qemu, index: usize, path: &Path) -> String {
    let disks = &options.disks;
    let file = escaped(path);
    let (cache, discard, format) = (disks.cache, disks.discard, disks.format.name());
    let common = format!("cache={cache},discard={discard},format={format}");
    let mut text = match disks.interface {
        Interface::VirtioScsi | Interface::Scsi => {
            format!("if=none,file={file},id=drive{index},{common}")
        }
        // QEMU has no `if=sata`: on a q35 machine `ide` is its SATA controller.
        Interface::Sata => format!("file={file},if=ide,{common}"),
        other => format!("file={file},if={},{common}", other.name()),
    };
    if disks.detect_zeroes != "off" {
        text.push_str(&format!(",detect-zeroes={}", disks.detect_zeroes));
    }
    text
}

/// The first place for CDs: disks on the same bus take those before it.
fn first_cd(options: &Qemu, facts: &Facts) -> usize {
    let is_shared = match (options.cd.interface, options.disks.interface) {
        (Some(Interface::Ide), Interface::Ide | Interface::Sata) => true,
        (cds, disks) => cds == Some(disks),
    };
    if is_shared { facts.disks.len() } else { 0 }
}

fn cd(options: &Qemu, index: usize, place: usize, url: &str) -> String {
    let file = url.replace(',', ",,");
    match options.cd.interface {
        None => format!("file={file},media=cdrom"),
        Some(Interface::VirtioScsi | Interface::Scsi) => {
            format!("file={file},if=none,id=cdrom{index},media=cdrom")
        }
        Some(interface) => {
            let name = interface.name();
            format!("file={file},if={name},index={place},id=cdrom{index},media=cdrom")
        }
    }
}

fn network(options: &Qemu, facts: &Facts) -> String {
    if let Some(bridge) = &options.network.bridge {
        return format!("bridge,id=user.0,br={bridge}");
    }
    match facts.forwarding {
        Some((host, guest)) => format!("user,id=user.0,hostfwd=tcp:127.0.0.1:{host}-:{guest}"),
        None => "user,id=user.0".to_owned(),
    }
}

fn screen(options: &Qemu, facts: &Facts) -> Vec<Argument> {
    let screen = &options.screen;
    let display = facts.vnc.port().saturating_sub(5900);
    let ip = match facts.vnc {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    let password = screen.vnc_password.as_ref().map_or("", |_| ",password=on");
    let mut arguments = vec![pair("-vnc", format!("{ip}:{display}{password}"))];
    if let Some(vga) = &screen.vga {
        arguments.push(pair("-vga", vga));
    }
    if !screen.headless && !screen.use_default_display {
        match screen.display.as_deref() {
            Some("none") => {}
            Some(display) => arguments.push(pair("-display", display)),
            None if facts.has_display => arguments.push(pair("-display", "gtk")),
            None => {}
        }
    }
    arguments
}

/// A file whose format QEMU need not guess; guessed raw files are partly
/// write-protected.
fn raw(path: &Path) -> String {
    let file = serde_json::json!({"driver": "file", "filename": path.display().to_string()});
    let whole = serde_json::json!({"driver": "raw", "file": file});
    format!("json:{whole}")
}

/// A comma ends a value, unless there are two.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests;
