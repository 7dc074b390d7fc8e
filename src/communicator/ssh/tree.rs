//! A local directory as the list of things to send.
//!
//! Symbolic links are followed, as Packer does; a link that leads back into
//! itself is an error. It reads names and modes, not contents.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// One thing to send, in the order of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The next entries are in this directory.
    Enter { name: String, mode: u32 },
    /// A file.
    File { name: String, path: PathBuf },
    /// Back to the parent directory.
    Leave,
}

/// Lists a directory. When `source` ends with `/` its contents are listed,
/// else the directory itself.
pub(super) fn list(source: &Path) -> Result<Vec<Entry>> {
    let metadata = metadata(source)?;
    if !metadata.is_dir() {
        let message = format!("{} is not a directory", source.display());
        return Err(Error::new(Kind::Io, message));
    }
    let mut entries = Vec::new();
    let mut parents = Vec::new();
    if ends_with_slash(source) {
        enter(source, &mut parents, &mut entries)?;
        return Ok(entries);
    }
    // `.` and `..` have a name only once they are resolved.
    let resolved = source
        .canonicalize()
        .map_err(|error| unreadable(source, error))?;
    let named = if source.file_name().is_some() {
        source
    } else {
        &resolved
    };
    directory(source, name(named)?, &metadata, &mut parents, &mut entries)?;
    Ok(entries)
}

fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

fn directory(
    path: &Path,
    name: String,
    metadata: &Metadata,
    parents: &mut Vec<PathBuf>,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let mode = mode(metadata);
    entries.push(Entry::Enter { name, mode });
    enter(path, parents, entries)?;
    entries.push(Entry::Leave);
    Ok(())
}

fn enter(path: &Path, parents: &mut Vec<PathBuf>, entries: &mut Vec<Entry>) -> Result<()> {
    let resolved = path
        .canonicalize()
        .map_err(|error| unreadable(path, error))?;
    if parents.contains(&resolved) {
        let message = format!("{} leads back into itself", path.display());
        return Err(Error::new(Kind::Io, message).with_hint("Remove the symbolic link"));
    }
    parents.push(resolved);
    for child in children(path)? {
        let metadata = metadata(&child)?;
        let name = name(&child)?;
        if metadata.is_dir() {
            directory(&child, name, &metadata, parents, entries)?;
        } else if metadata.is_file() {
            entries.push(Entry::File { name, path: child });
        } else {
            let message = format!("{} is neither a file nor a directory", child.display());
            return Err(Error::new(Kind::Io, message));
        }
    }
    parents.pop();
    Ok(())
}

/// Sorted, so that two uploads do the same.
fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let children = fs::read_dir(path)?.map(|child| child.map(|child| child.path()));
        children.collect()
    };
    let mut children = read().map_err(|error| unreadable(path, error))?;
    children.sort();
    Ok(children)
}

fn metadata(path: &Path) -> Result<Metadata> {
    fs::metadata(path).map_err(|error| unreadable(path, error))
}

/// The permission bits of a file or directory.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("{} has no name that can be sent", path.display());
        Error::new(Kind::Io, message).with_hint("Use names in UTF-8")
    })
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not read {}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::set_permissions(top.join("sub"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(top.join("b"), "b").unwrap();
        fs::write(top.join("sub/a"), "a").unwrap();
        symlink("sub/a", top.join("link")).unwrap();
        root
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        let name = |entry: &Entry| match entry {
            Entry::Enter { name, .. } => format!("{name}/"),
            Entry::File { name, .. } => name.clone(),
            Entry::Leave => "<".to_owned(),
        };
        entries.iter().map(name).collect()
    }

    #[test]
    fn a_trailing_slash_means_the_contents() {
        let root = tree();
        let top = root.path().join("top");
        let whole = list(&top).unwrap();
        assert_eq!(names(&whole), ["top/", "b", "link", "sub/", "a", "<", "<"]);
        let contents = list(&root.path().join("top/")).unwrap();
        assert_eq!(names(&contents), ["b", "link", "sub/", "a", "<"]);
        assert!(matches!(contents[2], Entry::Enter { mode: 0o750, .. }));
        let dots = list(&top.join("sub/..")).unwrap();
        assert_eq!(names(&dots)[0], "top/");
    }

    #[test]
    fn loops_and_broken_links_are_errors() {
        let root = tree();
        symlink("..", root.path().join("top/sub/up")).unwrap();
        let error = list(&root.path().join("top")).unwrap_err();
        assert!(error.message().contains("leads back"), "{error:?}");
        fs::remove_file(root.path().join("top/sub/up")).unwrap();
        symlink("nowhere", root.path().join("top/broken")).unwrap();
        let error = list(&root.path().join("top")).unwrap_err();
        assert!(error.message().contains("broken"), "{error:?}");
        assert!(list(&root.path().join("top/b")).is_err());
    }
}
