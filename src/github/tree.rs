//! Unpacks a repository's archive without trusting it: nothing outside of the
//! target is written or pointed to, and it ends at a size.
//!
//! Symbolic links come last, so that no file is written through one. A link
//! may climb and then descend, but not descend and climb again: what it
//! descends into may itself be a link.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::error::{Error, Kind, Result};

/// For the unpacked files together, with their headers.
const MOST_BYTES: u64 = 512 << 20;
const MOST_ENTRIES: usize = 100_000;

/// What was unpacked.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// All files and links, relative to the target.
    pub(super) places: BTreeSet<PathBuf>,
    /// The links that were left out, and why.
    pub(super) left_out: Vec<String>,
}

/// Unpacks a gzipped tar whose entries are all below one directory, which
/// becomes `target`.
///
/// # Errors
/// `Kind::Usage` when it is too large, or holds what no repository holds;
/// `Kind::Io` when it is damaged or cannot be written.
pub(super) fn unpack(archive: impl Read, target: &Path) -> Result<Unpacked> {
    fs::create_dir_all(target).map_err(|error| cannot_write(target, error))?;
    // What does not tell its size truly ends here, as a damaged archive.
    let bounded = GzDecoder::new(archive).take(MOST_BYTES);
    let mut archive = Archive::new(bounded);
    let (mut bytes, mut links) = (0_u64, Vec::new());
    let mut unpacked = Unpacked::default();
    for (number, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        bytes = bytes.saturating_add(entry.size()).saturating_add(512);
        if bytes > MOST_BYTES || number >= MOST_ENTRIES {
            let limit = format!("{} MiB or {MOST_ENTRIES} files", MOST_BYTES >> 20);
            let message = format!("The archive holds more than {limit}");
            return Err(Error::new(Kind::Usage, message)
                .with_hint("Keep templates in a repository without large files"));
        }
        match unpack_entry(&mut entry, target)? {
            Made::File(place) => drop(unpacked.places.insert(place)),
            Made::Later(link) => links.push(link),
            Made::Nothing => {}
        }
    }
    for link in links {
        unpacked.left_out.extend(link.make(target)?);
        unpacked.places.insert(link.place);
    }
    Ok(unpacked)
}

/// What became of an entry.
enum Made {
    File(PathBuf),
    Later(Link),
    Nothing,
}

/// A symbolic link that is to be made.
struct Link {
    /// Where, relative to the target.
    place: PathBuf,
    /// Where it leads.
    destination: PathBuf,
}

fn unpack_entry(entry: &mut Entry<'_, impl Read>, target: &Path) -> Result<Made> {
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(Made::Nothing);
    }
    let name = entry.path().map_err(damaged)?.into_owned();
    let Some(place) = below(&name)? else {
        return Ok(Made::Nothing);
    };
    let path = target.join(&place);
    match kind {
        EntryType::Directory => {
            fs::create_dir_all(&path).map_err(|error| cannot_write(&path, error))?;
            Ok(Made::Nothing)
        }
        EntryType::Regular | EntryType::Continuous => {
            let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            write(entry, &path, is_program).map_err(|error| cannot_write(&path, error))?;
            Ok(Made::File(place))
        }
        EntryType::Symlink => {
            let destination = entry.link_name().map_err(damaged)?.unwrap_or_default();
            let destination = destination.into_owned();
            Ok(Made::Later(Link { place, destination }))
        }
        _ => {
            let message = format!("The archive holds `{}`, which is no file", name.display());
            Err(refused(message))
        }
    }
}

/// The path without the directory all are in; none for that itself.
fn below(name: &Path) -> Result<Option<PathBuf>> {
    let is_plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    if !name.components().all(is_plain) {
        let message = format!("The archive holds `{}`, which leaves it", name.display());
        return Err(refused(message));
    }
    let place: PathBuf = name.components().skip(1).collect();
    Ok((!place.as_os_str().is_empty()).then_some(place))
}

fn write(entry: &mut impl Read, path: &Path, is_program: bool) -> io::Result<()> {
    make_parent(path)?;
    let mode = if is_program { 0o755 } else { 0o644 };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    io::copy(entry, &mut file).map(|_| ())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

impl Link {
    /// Makes it, or says why it is left out.
    fn make(&self, target: &Path) -> Result<Option<String>> {
        if !self.stays_inside() {
            return Ok(Some(format!(
                "The link `{}` leads out of the repository and is left out",
                self.place.display()
            )));
        }
        let path = target.join(&self.place);
        let made = make_parent(&path).and_then(|()| symlink(&self.destination, &path));
        made.map_err(|error| cannot_write(&path, error))?;
        Ok(None)
    }

    fn stays_inside(&self) -> bool {
        let mut depth = self.place.components().count() - 1;
        let mut has_descended = false;
        for component in self.destination.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(_) => has_descended = true,
                Component::ParentDir if depth > 0 && !has_descended => depth -= 1,
                _ => return false,
            }
        }
        true
    }
}

fn refused(message: String) -> Error {
    Error::new(Kind::Usage, message).with_hint("No archive that GitHub makes of a repository does")
}

fn damaged(error: io::Error) -> Error {
    Error::new(Kind::Io, "The archive is damaged").with_source(error)
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("Cannot write `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};
    use tempfile::TempDir;

    use super::*;

    /// An archive of entries: name, type, and content or destination. Names
    /// are written as they are, which tar's own functions would refuse.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, content) in entries {
            let mut header = Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(if name.ends_with(".sh") { 0o4777 } else { 0o600 });
            let mut data = content.as_bytes();
            if *kind == EntryType::Symlink || *kind == EntryType::Link {
                header.as_gnu_mut().unwrap().linkname[..content.len()]
                    .copy_from_slice(content.as_bytes());
                data = &[];
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(entries: &[(&str, EntryType, &str)]) -> (TempDir, Result<Unpacked>) {
        let directory = TempDir::new().unwrap();
        let outcome = unpack(&*archive(entries), &directory.path().join("tree"));
        (directory, outcome)
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;

    #[test]
    fn files_directories_and_links_of_a_repository_arrive() {
        use std::os::unix::fs::PermissionsExt;
        let (directory, outcome) = unpacked(&[
            ("pax_global_header", EntryType::XGlobalHeader, "9 c=1234\n"),
            ("o-r-1/", EntryType::Directory, ""),
            ("o-r-1/a/latest.json", LINK, "../web.json"),
            ("o-r-1/web.json", FILE, "{}"),
            ("o-r-1/a/setup.sh", FILE, "true"),
        ]);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.left_out, Vec::<String>::new());
        let places = ["a/latest.json", "a/setup.sh", "web.json"];
        assert!(outcome.places.iter().eq(places.map(Path::new)));
        let at = |name: &str| directory.path().join("tree").join(name);
        assert_eq!(fs::read_to_string(at("a/latest.json")).unwrap(), "{}");
        let mode = |name| fs::metadata(at(name)).unwrap().permissions().mode();
        assert_eq!(mode("a/setup.sh") & 0o4111, 0o111);
        assert_eq!(mode("web.json") & 0o111, 0);
    }

    #[test]
    fn what_leaves_the_archive_is_refused() {
        let table: &[&[(&str, EntryType, &str)]] = &[
            &[("o-r-1/../../evil", FILE, "x")],
            &[("../evil", FILE, "x")],
            &[("/tmp/evil", FILE, "x")],
            &[("o-r-1/a", EntryType::Link, "/etc/passwd")],
            &[("o-r-1/a", EntryType::Fifo, "")],
            &[("o-r-1/a", EntryType::Char, "")],
        ];
        for entries in table {
            let (directory, outcome) = unpacked(entries);
            assert_eq!(outcome.unwrap_err().kind(), Kind::Usage, "{entries:?}");
            assert!(!directory.path().join("evil").exists());
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        // The directory is made first; the link then finds its place taken.
        let (directory, outcome) = unpacked(&[
            ("o-r-1/a", LINK, "b"),
            ("o-r-1/b/x", FILE, ""),
            ("o-r-1/a/evil", FILE, "x"),
        ]);
        assert_eq!(outcome.unwrap_err().kind(), Kind::Io);
        assert!(!directory.path().join("tree/b/evil").exists());
    }

    #[test]
    fn links_stay_inside() {
        let table = [
            ("a", "b", true),
            ("a", "./b/c", true),
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a", "..", false),
            ("a", "/etc/passwd", false),
            // What `b` leads to is not known here.
            ("x/y/a", "b/../../c", false),
        ];
        for (place, destination, stays) in table {
            let link = Link {
                place: place.into(),
                destination: destination.into(),
            };
            assert_eq!(link.stays_inside(), stays, "{place} -> {destination}");
        }
        let (directory, outcome) = unpacked(&[("o-r-1/a", LINK, "/etc/passwd")]);
        assert_eq!(outcome.unwrap().left_out.len(), 1);
        assert!(!directory.path().join("tree/a").exists());
    }

    #[test]
    fn sizes_are_bounded_and_damage_is_told() {
        let mut header = Header::new_gnu();
        header.set_path("o-r-1/big").unwrap();
        header.set_size(MOST_BYTES + 1);
        header.set_entry_type(FILE);
        header.set_cksum();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap();
        let directory = TempDir::new().unwrap();
        let error = unpack(&*bytes, directory.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let whole = archive(&[("o-r-1/web.json", FILE, &"x".repeat(5000))]);
        let error = unpack(&whole[..whole.len() / 2], directory.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
    }
}
