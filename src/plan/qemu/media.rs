//! Reads what the guest can read: CD, floppy, HTTP server.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use super::disk::INTERFACES;
use super::machine::{Bound, ports};
use super::screen::address;
use super::{Cd, Floppy, Http, HttpAddress, HttpContent, Interface};
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// A FAT volume's label holds no more.
const LONGEST_FLOPPY_LABEL: usize = 11;
/// An ISO 9660 volume's label holds no more.
const LONGEST_CD_LABEL: usize = 32;

/// Reads the second CD.
pub(super) fn cd(reader: &mut Reader<'_, '_>) -> Cd {
    Cd {
        interface: interface(reader),
        files: existing(reader, "cd_files"),
        content: reader.map("cd_content"),
        label: label(reader, "cd_label", LONGEST_CD_LABEL),
    }
}

fn interface(reader: &mut Reader<'_, '_>) -> Option<Interface> {
    const NAME: &str = "cdrom_interface";
    let interface = reader.one_of(NAME, INTERFACES)?;
    if matches!(interface, Interface::Sata | Interface::Sd) {
        let help = "Write `ide`, `scsi`, `virtio` or `virtio-scsi`";
        let what = format!("is `{}`, which no CD has", interface.name());
        reader.error(NAME, &what, help);
    }
    Some(interface)
}

/// Reads the floppy.
pub(super) fn floppy(reader: &mut Reader<'_, '_>) -> Floppy {
    Floppy {
        files: existing(reader, "floppy_files"),
        directories: existing(reader, "floppy_dirs"),
        content: reader.map("floppy_content"),
        label: label(reader, "floppy_label", LONGEST_FLOPPY_LABEL),
    }
}

/// Paths that must be there, unless they are patterns.
fn existing(reader: &mut Reader<'_, '_>, name: &str) -> Vec<Spanned<String>> {
    let paths = reader.texts(name);
    for path in &paths {
        if path.value.contains(['*', '?', '[']) {
            continue;
        }
        if let Some(problem) = reader.places().problem(Path::new(&path.value)) {
            reader.bad_path(name, path.span, &path.value, &problem);
        }
    }
    paths
}

fn label(reader: &mut Reader<'_, '_>, name: &str, longest: usize) -> String {
    let label = reader.text_or(name, "packer");
    if label.len() > longest || !label.is_ascii() {
        let what = format!("is `{label}`, which does not fit");
        let help = format!("Use at most {longest} ASCII characters");
        reader.error(name, &what, help);
    }
    label
}

/// Reads the server the guest can read from.
pub(super) fn http(reader: &mut Reader<'_, '_>, bridged: bool) -> Http {
    let (low, high) = (("http_port_min", 8000), ("http_port_max", 9000));
    Http {
        content: http_content(reader),
        ports: ports(reader, low, high, Bound::Inclusive),
        address: http_address(reader, bridged),
    }
}

fn http_address(reader: &mut Reader<'_, '_>, bridged: bool) -> HttpAddress {
    const NAME: &str = "http_bind_address";
    // The guest reaches this machine's loopback as 10.0.2.2, but only with
    // user-mode networking.
    let default = if bridged {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };
    let given = address(reader, NAME, default);
    if bridged && given.is_loopback() {
        let what = format!("is {given}, which a guest on `net_bridge` cannot reach");
        reader.error(NAME, &what, "Remove it: then all addresses are listened on");
    }
    match reader.text("http_interface") {
        None => HttpAddress::Given(given),
        Some(interface) => {
            if reader.is_set(NAME) {
                reader.conflict("http_interface", NAME, "Keep one of them");
            }
            HttpAddress::Interface(interface)
        }
    }
}

fn http_content(reader: &mut Reader<'_, '_>) -> Option<HttpContent> {
    let directory = reader.text("http_directory");
    let files = http_files(reader);
    match directory {
        Some(directory) => {
            if !files.is_empty() {
                let help = "Keep one of them";
                reader.conflict("http_directory", "http_content", help);
            }
            check_directory(reader, &directory);
            Some(HttpContent::Directory(directory.value.into()))
        }
        None if files.is_empty() => None,
        None => Some(HttpContent::Files(files)),
    }
}

fn check_directory(reader: &mut Reader<'_, '_>, directory: &Spanned<String>) {
    let problem = reader.places().problem(Path::new(&directory.value));
    if let Some(problem) = problem {
        reader.bad_path("http_directory", directory.span, &directory.value, &problem);
    }
}

/// Keys are paths; the first slash may be missing.
fn http_files(reader: &mut Reader<'_, '_>) -> BTreeMap<String, String> {
    let files = reader.map("http_content").into_iter();
    files
        .map(|(path, content)| match path.starts_with('/') {
            true => (path, content),
            false => (format!("/{path}"), content),
        })
        .collect()
}
