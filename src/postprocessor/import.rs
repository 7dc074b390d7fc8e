//! An ECS image of the artifact's disk: Packer's `alicloud-import`.
//!
//! The importer does the work; here the disk is chosen and the name of the
//! object rendered.

use std::path::{Path, PathBuf};

use super::Services;
use crate::artifact::Artifact;
use crate::builder::{BuildContext, qemu};
use crate::engine::event::Leftover;
use crate::error::{Error, Kind, Result};
use crate::importer;
use crate::importer::source::DiskSource;
use crate::plan::import::{DiskFormat, Import};
use crate::provisioner::{Context, late};

/// The ends of names that a disk has. Packer looks for `vhd` and `raw` only.
const SUFFIXES: &[&str] = &["qcow2", "vhd", "raw", "img", "vmdk"];

/// Imports the artifact's disk. What could not be deleted joins `leftovers`,
/// whether it succeeds or not.
pub(super) async fn run(
    import: &Import,
    input: &Artifact,
    cx: &Context<'_>,
    services: &Services<'_>,
    leftovers: &mut Vec<Leftover>,
) -> Result<Artifact> {
    let disks = disks(import, input, cx)?;
    let names: Vec<_> = disks.iter().map(DiskSource::name).collect();
    cx.events
        .message(format!("Importing {}", names.join(" and ")));
    let key = key(import, cx)?;
    let cloud = services.connections.for_import(import)?;
    let build = BuildContext {
        build: &cx.data.name,
        events: cx.events,
        stop: cx.stop,
        journal: services.journal,
        tags: services.tags,
        environment: cx.environment,
    };
    let outcome = importer::run(&build, &cloud, import, &disks, key.as_deref()).await;
    leftovers.extend(outcome.leftovers);
    outcome.artifact
}

fn key(import: &Import, cx: &Context<'_>) -> Result<Option<String>> {
    let Some(key) = &import.key else {
        return Ok(None);
    };
    let fields = late::fields([
        ("BuildName", &cx.data.build_name),
        ("BuilderType", &cx.data.builder_type),
    ]);
    let rendered = late::render(&key.value, &fields, cx.data).map_err(|error| {
        error
            .context("Could not render `oss_key_name`")
            .at(key.span)
    })?;
    match crate::plan::check::object_key(&rendered) {
        Ok(()) => Ok(Some(rendered)),
        Err(complaint) => {
            let message = format!("`oss_key_name` {}", complaint.what);
            Err(Error::new(Kind::Usage, message)
                .at(key.span)
                .with_hint(complaint.help))
        }
    }
}

/// The artifact's disks, the system's first.
fn disks(import: &Import, input: &Artifact, cx: &Context<'_>) -> Result<Vec<DiskSource>> {
    let wanted = import.format.as_ref().map(|format| format.value);
    let Some(system) = choose(&input.files, wanted, &cx.data.builder_type) else {
        return Err(no_disk(&input.files));
    };
    let data = match cx.data.builder_type == qemu::TYPE && !import.image.ignore_data_disks {
        true => data_disks(&input.files, system),
        false => Vec::new(),
    };
    let paths = [system].into_iter().chain(data);
    paths.map(|path| DiskSource::open(path, import)).collect()
}

/// The other disks of a virtual machine: its builder numbers them from 1.
fn data_disks<'a>(files: &'a [PathBuf], system: &Path) -> Vec<&'a PathBuf> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_os_string();
    let disk = |number: usize| {
        let mut wanted = name(system);
        wanted.push(format!("-{number}"));
        files.iter().find(|path| name(path) == wanted)
    };
    (1..).map_while(disk).collect()
}

/// Of a virtual machine the first file, whatever its name; else the file whose
/// name says that it is a disk, or the only one.
fn choose<'a>(
    files: &'a [PathBuf],
    wanted: Option<DiskFormat>,
    builder_type: &str,
) -> Option<&'a PathBuf> {
    if builder_type == qemu::TYPE {
        return files.first();
    }
    let ends = |path: &Path, suffix: &str| path.to_string_lossy().ends_with(suffix);
    let of_format = wanted.and_then(|format| files.iter().find(|path| ends(path, format.suffix())));
    let named = || {
        let mut suffixes = SUFFIXES.iter();
        suffixes.find_map(|suffix| files.iter().find(|path| ends(path, suffix)))
    };
    let only = || match files {
        [only] => Some(only),
        _ => None,
    };
    of_format.or_else(named).or_else(only)
}

fn no_disk(files: &[PathBuf]) -> Error {
    let names: Vec<_> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let message = match names.is_empty() {
        true => {
            "The artifact has no files on this machine, so there is no disk to import".to_owned()
        }
        false => format!(
            "None of the artifact's files is a disk: {}",
            names.join(", ")
        ),
    };
    Error::new(Kind::PostProcess, message).with_hint(
        "Disks are files that end in .qcow2, .vhd, .raw, .img or .vmdk, or the only file there is",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_chosen_by_its_name() {
        let table: [(&[&str], Option<DiskFormat>, Option<&str>); 6] = [
            (&["a.sum", "b.qcow2"], None, Some("b.qcow2")),
            (&["a.raw", "b.vhd"], None, Some("b.vhd")),
            (&["a.raw", "b.vhd"], Some(DiskFormat::Raw), Some("a.raw")),
            (&["packer-web"], None, Some("packer-web")),
            (&["a.txt", "b.txt"], None, None),
            (&[], None, None),
        ];
        for (files, wanted, expected) in table {
            let files: Vec<_> = files.iter().map(PathBuf::from).collect();
            let chosen = choose(&files, wanted, "").map(|path| path.to_str().unwrap());
            assert_eq!(chosen, expected, "{files:?}");
        }
    }

    #[test]
    fn a_virtual_machine_has_its_disk_first() {
        let files = ["packer-web", "packer-web-1", "packer-web.raw"].map(PathBuf::from);
        let chosen = choose(&files, Some(DiskFormat::Raw), qemu::TYPE);
        assert_eq!(chosen, Some(&files[0]));
        assert_eq!(choose(&[], None, qemu::TYPE), None);
    }

    #[test]
    fn data_disks_follow_in_their_order() {
        let files = ["vm", "efivars.fd", "vm-2", "vm-1", "vm-4", "vm-log"].map(PathBuf::from);
        let data = data_disks(&files, &files[0]);
        assert_eq!(data, [&files[3], &files[2]]);
        assert!(data_disks(&files[..2], &files[0]).is_empty());
    }
}
