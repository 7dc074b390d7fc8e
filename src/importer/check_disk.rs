//! What can be known of the disks themselves: their size, whether they are
//! whole, and whether the system's boots as the image is to boot.

use std::sync::Arc;

use super::Importer;
use super::source::DiskSource;
use crate::builder::BuildContext;
use crate::disk::boot::{self, Boot, Table};
use crate::disk::{Disk, Format, SECTOR};
use crate::error::{Error, Kind, Result};
use crate::plan::import::DiskFormat;

const GIB: u64 = 1 << 30;

/// What ECS imports at most, GiB.
const LARGEST_DISK: u64 = 2048;

/// ECS wants a VHD's size to be a multiple of its blocks.
const VHD_BLOCK: u64 = 2 << 20;

impl Importer<'_> {
    /// The size of a disk of the image in GiB.
    pub(super) fn size_of(&self, index: usize) -> u32 {
        let least = self.disks[index].virtual_size().div_ceil(GIB);
        let least = u32::try_from(least).unwrap_or(u32::MAX);
        match &self.options.system_size {
            Some(size) if index == 0 => size.value,
            _ => least,
        }
    }

    /// Checks all disks; gives what the image boots with, if that is known.
    pub(super) async fn check_disks(&self, cx: &BuildContext<'_>) -> Result<Option<String>> {
        for disk in self.disks {
            self.check_format(cx, disk)?;
            check_size(disk)?;
            for warning in &disk.disk().info().warnings {
                cx.events.warn(format!("{}: {warning}", disk.name()));
            }
            check_tables(cx, disk).await?;
        }
        let system = &self.disks[0];
        self.check_system_size(system)?;
        self.check_boot(cx, system)
    }

    fn check_format(&self, cx: &BuildContext<'_>, disk: &DiskSource) -> Result<()> {
        let (name, format) = (disk.name(), disk.format());
        let wanted = self.options.format.as_ref();
        if let Some(wanted) = wanted.filter(|wanted| wanted.value != format) {
            let message = format!(
                "{name} is {}, but `format` says {}",
                format.name(),
                wanted.value.name()
            );
            return Err(Error::new(Kind::Usage, message).at(wanted.span).with_hint(
                "Leave `skip_conversion` out and it is converted, or leave `format` out",
            ));
        }
        let size = disk.virtual_size();
        if format == DiskFormat::Vhd && !size.is_multiple_of(VHD_BLOCK) {
            cx.events.warn(format!(
                "{name} has {size} bytes, no multiple of 2 MiB: ECS may refuse it as VHD, but not as QCOW2"
            ));
        }
        Ok(())
    }

    fn check_system_size(&self, system: &DiskSource) -> Result<()> {
        let gib = system.virtual_size().div_ceil(GIB);
        let Some(size) = &self.options.system_size else {
            return Ok(());
        };
        if u64::from(size.value) >= gib {
            return Ok(());
        }
        let message = format!(
            "`image_system_size` is {} GiB, but the disk in {} has {gib} GiB",
            size.value,
            system.name()
        );
        Err(Error::new(Kind::Usage, message)
            .at(size.span)
            .with_hint(format!("Write {gib} or more, or leave it out")))
    }

    fn check_boot(&self, cx: &BuildContext<'_>, system: &DiskSource) -> Result<Option<String>> {
        let found = boot::boot(system.disk().as_ref())?;
        let wanted = self.options.image.boot_mode.as_deref();
        let name = system.name();
        match boot_mode(found, wanted) {
            Ok(mode) => {
                if let (Some(mode), None) = (mode, wanted) {
                    cx.events.say(format!(
                        "{name} boots by {mode} only: the image gets boot mode {mode}"
                    ));
                }
                Ok(mode.map(str::to_owned))
            }
            Err((what, hint)) => {
                let message = format!("`{name}` {what}");
                Err(Error::new(Kind::Usage, message).with_hint(hint))
            }
        }
    }
}

/// What the image is to boot with; ECS takes BIOS when nothing is said, and
/// nothing of ECS looks whether that can be.
fn boot_mode(
    found: Boot,
    wanted: Option<&str>,
) -> Result<Option<&str>, (&'static str, &'static str)> {
    match (found.table, wanted) {
        (Table::None, _) => Err((
            "is no disk that boots: it has no partition table",
            "ECS imports whole disks that boot, not single partitions or files",
        )),
        (_, Some("UEFI")) if !found.has_esp => Err((
            "has no EFI system partition, so it cannot boot by UEFI",
            "Leave `boot_mode` out for a disk that boots by BIOS, or install the system with UEFI firmware",
        )),
        (_, Some("BIOS")) if found.is_uefi_only() => Err((
            "has an EFI system partition and none for BIOS, so it boots by UEFI only",
            "Set `boot_mode` to `UEFI`, or leave it out",
        )),
        (_, None) if found.is_uefi_only() => Ok(Some("UEFI")),
        (_, wanted) => Ok(wanted),
    }
}

fn check_size(disk: &DiskSource) -> Result<()> {
    let (name, gib) = (disk.name(), disk.virtual_size().div_ceil(GIB));
    let info = disk.disk().info();
    if gib > LARGEST_DISK {
        let message = format!("The disk in {name} has {gib} GiB; ECS imports {LARGEST_DISK}");
        return Err(Error::new(Kind::Usage, message)
            .with_hint("Shrink the disk, or bring a part of it as a data disk (`--data-disk`)"));
    }
    if info.format == Format::Raw && !info.file_length.is_multiple_of(SECTOR) {
        let message = format!("`{name}` is no disk: it has a part of a sector");
        return Err(Error::new(Kind::Usage, message)
            .with_hint("Was it copied whole? An image of another format would be recognized"));
    }
    Ok(())
}

/// Reads all tables of the image, which may be many.
async fn check_tables(cx: &BuildContext<'_>, source: &DiskSource) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::clone(source.disk());
    let checking = tokio::task::spawn_blocking(move || disk.check());
    let checked = cx.stop.race(checking).await?.map_err(|error| {
        Error::new(Kind::Internal, "The check of a disk died").with_source(error)
    })??;
    if checked.corruptions == 0 {
        return Ok(());
    }
    let first = checked.findings.first().map_or("", String::as_str);
    let name = source.name();
    let message = format!(
        "The disk image `{name}` is damaged in {} places: {first}",
        checked.corruptions
    );
    Err(Error::new(Kind::Disk, message).with_hint(format!(
        "`alicloud-image disk check {name}` shows more; make the image again, or try `qemu-img check -r all` on a copy"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_mode_fits_the_partitions() {
        let boot = |table, has_esp, has_bios_boot| Boot {
            table,
            has_esp,
            has_bios_boot,
        };
        let table = [
            (boot(Table::None, false, false), None, Err("no partition")),
            (boot(Table::Mbr, false, false), None, Ok(None)),
            (
                boot(Table::Mbr, false, false),
                Some("BIOS"),
                Ok(Some("BIOS")),
            ),
            (boot(Table::Mbr, false, false), Some("UEFI"), Err("no EFI")),
            (
                boot(Table::Mbr, true, false),
                Some("UEFI"),
                Ok(Some("UEFI")),
            ),
            (boot(Table::Mbr, true, false), None, Ok(None)),
            (boot(Table::Gpt, true, false), None, Ok(Some("UEFI"))),
            (
                boot(Table::Gpt, true, false),
                Some("BIOS"),
                Err("UEFI only"),
            ),
            (boot(Table::Gpt, true, true), Some("BIOS"), Ok(Some("BIOS"))),
            (boot(Table::Gpt, true, true), None, Ok(None)),
            (boot(Table::Gpt, false, true), Some("UEFI"), Err("no EFI")),
        ];
        for (found, wanted, expected) in table {
            match (boot_mode(found, wanted), expected) {
                (Ok(mode), Ok(expected)) => assert_eq!(mode, expected, "{found:?} {wanted:?}"),
                (Err((what, _)), Err(expected)) => assert!(what.contains(expected), "{what}"),
                (outcome, _) => panic!("{found:?} {wanted:?}: {outcome:?}"),
            }
        }
    }
}
