//! The floppy with the user's files: 1.44 MB, FAT12.
//!
//! `floppy_files` go to the root by their names, from directories too;
//! `floppy_dirs` keep their structure. Times are fixed, so that the same files
//! make the same floppy.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};

use super::cd::inside;
use super::files;
use crate::error::{Error, Kind, Result};
use crate::plan::qemu::Floppy;

const SIZE: u64 = 1_474_560;

/// Longest label of a FAT volume.
const LABEL: usize = 11;

/// Writes the floppy into a directory and gives its path.
///
/// # Errors
/// [`Kind::Io`] when a file is missing or does not fit.
pub(super) fn write(floppy: &Floppy, directory: &Path) -> Result<PathBuf> {
    let path = directory.join("floppy.img");
    let entries = entries(floppy)?;
    let written = write_image(&path, &floppy.label, &entries);
    written.map_err(|error| {
        Error::new(Kind::Io, "Cannot write the floppy")
            .with_source(error)
            .with_hint("A floppy holds 1.44 MB; use `cd_files` for more")
    })?;
    Ok(path)
}

/// Paths on the floppy with their contents; later ones replace earlier ones.
fn entries(floppy: &Floppy) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut entries = Vec::new();
    let mut add = |path: &Path, target: PathBuf| -> Result<()> {
        entries.push((target, read(path)?));
        Ok(())
    };
    for pattern in &floppy.files {
        for path in files::expand(pattern)? {
            let inner = if path.is_dir() {
                files::below(&path)?
            } else {
                vec![(path.clone(), path)]
            };
            for (path, _) in inner {
                let name = path.file_name().unwrap_or_default();
                add(&path, PathBuf::from(name))?;
            }
        }
    }
    for pattern in &floppy.directories {
        let takes_contents = pattern.value.ends_with('/');
        for path in files::expand(pattern)? {
            let name = path.file_name().filter(|_| !takes_contents);
            let parent = PathBuf::from(name.unwrap_or_default());
            if path.is_dir() {
                for (path, inner) in files::below(&path)? {
                    add(&path, parent.join(inner))?;
                }
            } else {
                let name = path.file_name().unwrap_or_default();
                add(&path, PathBuf::from(name))?;
            }
        }
    }
    for (name, content) in &floppy.content {
        entries.push((inside(name)?, content.clone().into_bytes()));
    }
    Ok(entries)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(SIZE + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        Error::new(Kind::Io, format!("Cannot read `{}`", path.display())).with_source(error)
    })?;
    Ok(bytes)
}

fn write_image(path: &Path, label: &str, entries: &[(PathBuf, Vec<u8>)]) -> std::io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.set_len(SIZE)?;
    let mut padded = [b' '; LABEL];
    for (target, byte) in padded.iter_mut().zip(label.bytes()) {
        *target = byte;
    }
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat12)
        .volume_label(padded)
        .volume_id(0)
        .bytes_per_cluster(512)
        .max_root_dir_entries(224)
        .media(0xf0)
        .sectors_per_track(18)
        .heads(2);
    fatfs::format_volume(&file, options)?;
    let volume = FileSystem::new(&file, FsOptions::new())?;
    for (path, content) in entries {
        let mut directory = volume.root_dir();
        let mut parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.pop().unwrap_or_default();
        for part in parts {
            directory = directory.create_dir(&part)?;
        }
        let mut target = directory.create_file(&name)?;
        target.truncate()?;
        target.write_all(content)?;
        target.flush()?;
    }
    volume.unmount()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::template::source::Spanned;

    fn spanned(path: &Path, suffix: &str) -> Spanned<String> {
        Spanned::default_value(format!("{}{suffix}", path.display()))
    }

    #[test]
    fn a_floppy_holds_what_was_put_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("flat/deep")).unwrap();
        std::fs::create_dir_all(path("kept/deep")).unwrap();
        for name in ["flat/deep/Autounattend.xml", "kept/deep/b", "c.cfg"] {
            std::fs::write(path(name), name).unwrap();
        }
        let floppy = Floppy {
            files: vec![spanned(&path("flat"), ""), spanned(&path("*.cfg"), "")],
            directories: vec![spanned(&path("kept"), "")],
            content: [("x/y.txt".to_owned(), "z".to_owned())].into(),
            label: "cidata".to_owned(),
        };
        let image = write(&floppy, directory.path()).unwrap();
        assert_eq!(image.metadata().unwrap().len(), SIZE);
        let first = std::fs::read(&image).unwrap();
        write(&floppy, directory.path()).unwrap();
        assert!(
            first == std::fs::read(&image).unwrap(),
            "it differs each time"
        );
        let volume = FileSystem::new(
            File::options().read(true).write(true).open(&image).unwrap(),
            FsOptions::new(),
        )
        .unwrap();
        assert_eq!(volume.fat_type(), FatType::Fat12);
        assert_eq!(volume.volume_label(), "cidata");
        for (name, content) in [
            ("Autounattend.xml", "flat/deep/Autounattend.xml"),
            ("kept/deep/b", "kept/deep/b"),
            ("c.cfg", "c.cfg"),
            ("x/y.txt", "z"),
        ] {
            let mut text = String::new();
            let mut file = volume.root_dir().open_file(name).unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, content);
        }
    }

    #[test]
    fn too_much_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let floppy = Floppy {
            files: vec![],
            directories: vec![],
            content: [("big".to_owned(), "x".repeat(1_500_000))].into(),
            label: "packer".to_owned(),
        };
        let error = write(&floppy, directory.path()).unwrap_err();
        assert_eq!(error.message(), "Cannot write the floppy");
    }
}
