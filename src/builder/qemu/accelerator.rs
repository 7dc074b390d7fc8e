//! Which accelerator works on this machine.
//!
//! That `/dev/kvm` can be opened, and even that a machine can be made with it,
//! proves nothing: nested in some clouds, guests stop at their first steps in
//! protected mode. So a tiny guest is run: it goes to long mode, takes an
//! exception, and ends QEMU through a port. Source of facts: QEMU's
//! documentation of `isa-debug-exit`; `probe.S` is the guest's source.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::BuildContext;
use super::command_line::accelerator_name;
use super::program::Program;
use crate::error::{Error, Kind, Result};
use crate::plan::qemu::{Accelerator, Machine};
use crate::process::Guard;

/// How long the guest may take; it needs milliseconds. Real time.
const LIMIT: Duration = Duration::from_secs(5);

/// What QEMU ends with when the guest writes 0x10.
const SUCCESS: i32 = 0x10 << 1 | 1;

const SECTOR: usize = 512;

/// What a boot sector ends with.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// Assembled from `probe.S`.
#[rustfmt::skip]
const PROBE: [u8; 176] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c,
    0xfc, 0x66, 0xbf, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xdf, 0x66, 0x31,
    0xc0, 0x66, 0xb9, 0x00, 0x10, 0x00, 0x00, 0x66, 0xf3, 0xab, 0xc7, 0x06,
    0x00, 0x10, 0x03, 0x20, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, 0xc7, 0x06,
    0x00, 0x30, 0x83, 0x00, 0xc7, 0x06, 0x30, 0x40, 0x85, 0x7c, 0xc7, 0x06,
    0x32, 0x40, 0x08, 0x00, 0xc7, 0x06, 0x34, 0x40, 0x00, 0x8e, 0x0f, 0x20,
    0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0,
    0x0f, 0x32, 0x80, 0xcc, 0x01, 0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x66, 0x0d,
    0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0x66, 0x0f, 0x01, 0x16, 0xa0,
    0x7c, 0x66, 0x0f, 0x01, 0x1e, 0xa6, 0x7c, 0xea, 0x78, 0x7c, 0x08, 0x00,
    0x31, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0x00, 0x00, 0xcc, 0xf4, 0xeb,
    0xfd, 0xb0, 0x10, 0x66, 0xba, 0xf4, 0x00, 0xee, 0xeb, 0xf4, 0x66, 0x90,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00,
    0x00, 0x9a, 0xaf, 0x00, 0x0f, 0x00, 0x90, 0x7c, 0x00, 0x00, 0xff, 0x0f,
    0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// The accelerator to use, after warning about one that does not work.
pub(super) async fn choose(
    cx: &BuildContext<'_>,
    machine: &Machine,
    qemu: &Program,
    directory: &Path,
) -> Result<Accelerator> {
    match machine.accelerator {
        None | Some(Accelerator::Kvm) => {}
        Some(other) => return Ok(other),
    }
    let trouble = match usable(&machine.binary.value) {
        Err(trouble) => trouble,
        Ok(Sort::Foreign) => return Ok(Accelerator::Kvm),
        Ok(Sort::Pc) => match run(cx, qemu, Accelerator::Kvm, directory).await? {
            Outcome::Works => return Ok(Accelerator::Kvm),
            Outcome::Fails(trouble) => trouble,
        },
    };
    cx.events.warn(format!(
        "KVM cannot be used: {trouble}. The machine is emulated (TCG), which takes ten times as \
         long; set `accelerator` to `tcg` if that is what you want, and raise `ssh_timeout`"
    ));
    Ok(Accelerator::Tcg)
}

enum Sort {
    /// The probe can run on it.
    Pc,
    /// Another processor, of the same sort as this machine's.
    Foreign,
}

/// What can be known without running anything.
fn usable(binary: &str) -> Result<Sort, String> {
    let architecture = std::env::consts::ARCH;
    let is_pc = binary.ends_with("-x86_64") || !binary.contains("qemu-system-");
    if !is_pc && !binary.ends_with(architecture) {
        return Err(format!(
            "`{binary}` has another processor than this machine ({architecture})"
        ));
    }
    if is_pc && architecture != "x86_64" {
        return Err(format!("this machine is no PC but {architecture}"));
    }
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    match opened {
        Ok(_) => Ok(if is_pc { Sort::Pc } else { Sort::Foreign }),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(
            "/dev/kvm cannot be opened: permission denied; on a CI runner run \
             `sudo chmod 666 /dev/kvm`, elsewhere join the group `kvm`"
                .to_owned(),
        ),
        Err(error) => Err(format!("/dev/kvm cannot be opened: {error}")),
    }
}

/// How a trial ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Works,
    Fails(String),
}

/// Runs the guest once.
async fn run(
    cx: &BuildContext<'_>,
    qemu: &Program,
    accelerator: Accelerator,
    directory: &Path,
) -> Result<Outcome> {
    let image = directory.join("probe");
    std::fs::write(&image, sector()).map_err(|error| {
        let message = format!("Cannot write `{}`", image.display());
        Error::new(Kind::Io, message).with_source(error)
    })?;
    let mut command = qemu.command(cx.environment);
    command
        .args(arguments(accelerator, &image))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(|error| qemu.cannot_start(error))?;
    let _guard = Guard::over(&child);
    let ended = tokio::time::timeout(LIMIT, child.wait_with_output());
    let Ok(ended) = cx.stop.race(ended).await? else {
        let message = format!("a guest of 200 bytes did not end within {LIMIT:?}");
        return Ok(Outcome::Fails(message));
    };
    let output = ended.map_err(|error| qemu.cannot_start(error))?;
    if output.status.code() == Some(SUCCESS) {
        return Ok(Outcome::Works);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or("a tiny guest failed");
    Ok(Outcome::Fails(last.to_owned()))
}

fn arguments(accelerator: Accelerator, image: &Path) -> Vec<String> {
    let name = accelerator_name(accelerator).unwrap_or("tcg");
    let image = image.display().to_string().replace(',', ",,");
    let drive = format!("file={image},format=raw,if=floppy,readonly=on");
    let fixed = "-machine pc -m 16 -nodefaults -no-user-config -display none -boot a -device \
                 isa-debug-exit,iobase=0xf4,iosize=4";
    let mut arguments: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    arguments.extend(["-accel".to_owned(), name.to_owned()]);
    arguments.extend(["-drive".to_owned(), drive]);
    arguments
}

fn sector() -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    sector[..PROBE.len()].copy_from_slice(&PROBE);
    sector[SECTOR - SIGNATURE.len()..].copy_from_slice(&SIGNATURE);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processors_are_not_accelerated() {
        for binary in ["qemu-system-s390x", "/opt/qemu-system-riscv64"] {
            let trouble = usable(binary).err().unwrap();
            assert!(trouble.contains("another processor"), "{trouble}");
        }
    }

    #[test]
    fn the_guest_is_a_boot_sector() {
        let sector = sector();
        assert_eq!(sector[..2], [0xfa, 0x31]);
        assert_eq!(sector[510..], SIGNATURE);
    }
}
