//! From a path to an open disk: finding the format, and following backing
//! files without running in circles.

use std::path::{Path, PathBuf};

use super::failure::unsupported;
use super::host_file::HostFile;
use super::qcow2::Qcow2;
use super::raw::Raw;
use super::vhd::Vhd;
use super::vmdk::Vmdk;
use super::{Disk, Format};
use crate::error::Result;

/// Longer chains are no longer snapshots of anything; each link costs a file
/// descriptor and tables.
const MAX_DEPTH: usize = 64;

/// The first bytes of formats that are recognized only to be named.
const OTHERS: [(&[u8], &str); 8] = [
    (b"vhdxfile", "a VHDX image"),
    (b"QED\0", "a QED image"),
    (b"# Disk DescriptorFile", "a VMDK descriptor of other files"),
    (b"COWD", "a VMDK of ESX 3 (COWD)"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
    (b"LUKS\xba\xbe", "an encrypted LUKS volume"),
    (b"\x1f\x8b\x08", "compressed with gzip"),
];

/// The files that have been opened on the way to the current one.
#[derive(Debug, Default)]
pub(super) struct Chain {
    identities: Vec<(u64, u64)>,
}

impl Chain {
    /// Opens an image; without a format, the content tells it.
    pub(super) fn open(&mut self, path: &Path, format: Option<Format>) -> Result<Box<dyn Disk>> {
        let file = HostFile::open(path)?;
        self.enter(&file)?;
        let format = match format {
            Some(format) => format,
            None => detect(&file)?,
        };
        Ok(match format {
            Format::Qcow2 => Box::new(Qcow2::open(file, self)?),
            Format::Raw => Box::new(Raw::new(file)),
            Format::Vhd => Box::new(Vhd::open(file)?),
            Format::Vmdk => Box::new(Vmdk::open(file)?),
        })
    }

    /// Notes a file that belongs to the image; twice the same is a circle.
    pub(super) fn enter(&mut self, file: &HostFile) -> Result<()> {
        if self.identities.contains(&file.identity()) {
            let what = "its chain of backing files comes back to it";
            return Err(unsupported(file.path(), what));
        }
        if self.identities.len() >= MAX_DEPTH {
            let what = format!("it is below {MAX_DEPTH} other files of a backing chain");
            return Err(unsupported(file.path(), what));
        }
        self.identities.push(file.identity());
        Ok(())
    }
}

/// What a name inside an image means: relative to that image's directory.
///
/// QEMU also takes protocols (`nbd:…`) and `json:` there.
pub(super) fn resolve(image: &Path, name: &str) -> Result<PathBuf> {
    let name = name.strip_prefix("file:").unwrap_or(name);
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| !scheme.contains('/')) {
        return Err(unsupported(image, format!("`{name}` is not a plain file")));
    }
    let directory = image.parent().unwrap_or(Path::new(""));
    Ok(directory.join(name))
}

fn detect(file: &HostFile) -> Result<Format> {
    let start = file.beginning(64)?;
    if start.starts_with(b"QFI\xfb") {
        return Ok(Format::Qcow2);
    }
    if start.starts_with(b"KDMV") {
        return Ok(Format::Vmdk);
    }
    if super::vhd::is_vhd(file, &start)? {
        return Ok(Format::Vhd);
    }
    let other = OTHERS.iter().find(|(magic, _)| start.starts_with(magic));
    match other {
        Some((_, name)) => {
            let error = unsupported(file.path(), format!("it is {name}"));
            Err(error.with_hint("Convert it to qcow2, raw, VHD or VMDK first"))
        }
        None => Ok(Format::Raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_image() {
        let image = Path::new("/d/top.qcow2");
        for (name, expected) in [
            ("base.raw", "/d/base.raw"),
            ("../b", "/d/../b"),
            ("/abs", "/abs"),
            ("file:base", "/d/base"),
            ("dir/a:b", "/d/dir/a:b"),
        ] {
            assert_eq!(resolve(image, name).unwrap(), Path::new(expected));
        }
        for bad in ["nbd:localhost:10", "json:{}", "http://x/y"] {
            assert!(resolve(image, bad).is_err(), "{bad}");
        }
    }
}
