//! Reads processors, memory, firmware, network, and how the machine ends.

use std::path::PathBuf;
use std::time::Duration;

use super::{Accelerator, Efi, Firmware, Machine, Network, Ports, Shutdown, Tpm};
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

const ACCELERATORS: &[(&str, Accelerator)] = &[
    ("kvm", Accelerator::Kvm),
    ("tcg", Accelerator::Tcg),
    ("xen", Accelerator::Xen),
    ("hax", Accelerator::Hax),
    ("hvf", Accelerator::Hvf),
    ("whpx", Accelerator::Whpx),
    ("none", Accelerator::None),
];

const DEFAULT_MEMORY_MIB: u32 = 512;

/// Reads processors, memory, and QEMU itself.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Machine {
    let binary = reader.text("qemu_binary");
    Machine {
        binary: binary.unwrap_or_else(|| Spanned::default_value("qemu-system-x86_64".to_owned())),
        accelerator: reader.one_of("accelerator", ACCELERATORS),
        kind: reader.text_or("machine_type", "pc"),
        cpu_model: reader.plain("cpu_model"),
        cpus: reader.count("cpus"),
        sockets: reader.count("sockets"),
        cores: reader.count("cores"),
        threads: reader.count("threads"),
        memory_mib: memory(reader),
        arguments: arguments(reader, "qemuargs"),
        appended_arguments: arguments(reader, "qemuargs_append"),
    }
}

fn memory(reader: &mut Reader<'_, '_>) -> u32 {
    match reader.count("memory") {
        0 => DEFAULT_MEMORY_MIB,
        few @ 1..10 => {
            let what = format!("is {few} MiB, too little to boot anything");
            let help = format!("{DEFAULT_MEMORY_MIB} MiB are used; memory is in MiB");
            reader.warning("memory", &what, help);
            DEFAULT_MEMORY_MIB
        }
        memory => memory,
    }
}

fn arguments(reader: &mut Reader<'_, '_>, name: &str) -> Vec<Vec<String>> {
    let mut arguments = Vec::new();
    for parts in reader.string_lists(name) {
        let Some(switch) = parts.first() else {
            continue;
        };
        if !switch.value.starts_with('-') {
            let what = format!("contains `{}`, which is not a switch", switch.value);
            let help = "Each element is a list that begins with a switch such as `-device`";
            reader.error_at(switch.span, name, &what, help);
        }
        arguments.push(parts.into_iter().map(|part| part.value).collect());
    }
    arguments
}

/// Reads BIOS, UEFI and TPM.
pub(super) fn firmware(reader: &mut Reader<'_, '_>) -> Firmware {
    let file = existing(reader, "firmware");
    let use_pflash = reader.flag("use_pflash");
    if use_pflash && file.is_none() {
        let what = "is set without the file it is about";
        reader.error("use_pflash", what, "Set `firmware`");
    }
    let efi = efi(reader);
    if efi.is_some() && file.is_some() {
        let help = "Keep `firmware`, or the options of UEFI";
        reader.conflict("firmware", "efi_boot", help);
    }
    Firmware {
        file,
        use_pflash,
        efi,
        tpm: tpm(reader),
    }
}

fn efi(reader: &mut Reader<'_, '_>) -> Option<Efi> {
    let efi = Efi {
        code: existing(reader, "efi_firmware_code"),
        vars: existing(reader, "efi_firmware_vars"),
        drop_efivars: reader.flag("efi_drop_efivars"),
    };
    let wanted = reader.flag("efi_boot") || efi.code.is_some() || efi.vars.is_some();
    wanted.then_some(efi)
}

fn tpm(reader: &mut Reader<'_, '_>) -> Option<Tpm> {
    let tpm = Tpm {
        version_1: reader.flag("use_tpm1"),
        device: reader.text_or("tpm_device_type", "tpm-tis"),
    };
    reader.flag("vtpm").then_some(tpm)
}

fn existing(reader: &mut Reader<'_, '_>, name: &str) -> Option<PathBuf> {
    reader.existing_file(name).map(|file| file.value)
}

/// Reads the network card.
pub(super) fn network(reader: &mut Reader<'_, '_>) -> Network {
    let low = either(reader, "host_port_min", "ssh_host_port_min");
    let high = either(reader, "host_port_max", "ssh_host_port_max");
    Network {
        device: reader.text_or("net_device", "virtio-net"),
        bridge: reader.text("net_bridge"),
        host_ports: ports(reader, (low, 2222), (high, 4444), Bound::Exclusive),
        skip_nat_mapping: reader.flag("skip_nat_mapping"),
    }
}

/// The spelling in use; the old one is read too, so that it is checked.
fn either(reader: &mut Reader<'_, '_>, name: &'static str, old: &'static str) -> &'static str {
    if reader.is_set(old) && !reader.is_set(name) {
        old
    } else {
        name
    }
}

/// Whether the upper port of a range belongs to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Exclusive,
    Inclusive,
}

/// Two options that name a range of ports, each with its default.
pub(super) fn ports(
    reader: &mut Reader<'_, '_>,
    (low_name, low): (&str, u16),
    (high_name, high): (&str, u16),
    bound: Bound,
) -> Ports {
    let low = reader.port(low_name, low);
    let high = reader.port(high_name, high);
    if low > high {
        let what = format!("is {low}, more than `{high_name}`, {high}");
        reader.error(low_name, &what, "Make the lower port the smaller one");
    }
    let high = match bound {
        Bound::Exclusive if high > low => high - 1,
        _ => high,
    };
    Ports { low, high }
}

/// Reads how the machine is switched off.
pub(super) fn shutdown(reader: &mut Reader<'_, '_>) -> Shutdown {
    let command = reader.text("shutdown_command");
    let silent = reader.value("communicator").is_some_and(|value| {
        matches!(&value.kind, crate::template::value::ValueKind::String(text) if text == "none")
    });
    if command.is_some() && silent {
        let what = "cannot be run with `communicator: none`";
        let help = "Let the installation switch the machine off by itself";
        reader.error("shutdown_command", what, help);
    }
    let timeout = reader.duration("shutdown_timeout");
    Shutdown {
        command,
        timeout: timeout.filter(|timeout| *timeout != Duration::ZERO),
    }
}
