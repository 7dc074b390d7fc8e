//! The drives of a Windows machine as directories, and what became of them.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::AtFlags;

use crate::guest::RootView;
use crate::winrm::files::{Files, Node};

const ROOT: &str = "/windows";

/// The drives, as pairs of letter and directory.
pub(super) fn of(files: &Files) -> BTreeSet<(String, String)> {
    let letters = files.all().filter_map(|(path, _)| path.split_once(':'));
    letters
        .map(|(letter, _)| (letter.to_owned(), format!("{ROOT}/{letter}")))
        .collect()
}

/// Lays all drives out afresh.
pub(super) fn lay_out(view: &RootView, files: &Files) -> io::Result<()> {
    remove(view, Path::new(ROOT))?;
    view.create_dir(Path::new(ROOT), 0o755)?;
    for (path, node) in files.all() {
        let place = place(path);
        match node {
            Node::Directory => view.create_dir_all(&place, 0o755)?,
            Node::File(content) => view.write(&place, content, 0o644)?,
        }
    }
    Ok(())
}

/// `C:/a` is `/windows/C/a`.
fn place(path: &str) -> PathBuf {
    Path::new(ROOT).join(path.replacen(':', "", 1))
}

/// The path of a place.
fn path(place: &Path) -> Option<String> {
    let inside = place.strip_prefix(ROOT).ok()?.to_str()?;
    let (letter, rest) = inside.split_at_checked(1)?;
    Some(format!("{letter}:{rest}"))
}

/// Removes a file or a directory with all in it, if there is one.
fn remove(view: &RootView, path: &Path) -> io::Result<()> {
    let Ok(metadata) = view.symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return view.remove(path, AtFlags::empty());
    }
    for (name, _) in view.read_dir(path)? {
        remove(view, &path.join(name))?;
    }
    view.remove(path, AtFlags::REMOVEDIR)
}

/// What a script did to the drives.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    written: Vec<(String, Node)>,
    removed: Vec<String>,
}

/// Compares the drives with what was laid out.
pub(super) fn changes(view: &RootView, before: &Files) -> io::Result<Changes> {
    let mut found = Vec::new();
    collect(view, Path::new(ROOT), &mut found)?;
    let kept: HashSet<String> = found.iter().map(|(path, _)| path.to_lowercase()).collect();
    let is_new = |(path, node): &(String, Node)| before.get(path) != Some(node);
    let gone = before
        .all()
        .filter(|(path, _)| !kept.contains(&path.to_lowercase()));
    Ok(Changes {
        removed: gone.map(|(path, _)| path.to_owned()).collect(),
        written: found.into_iter().filter(is_new).collect(),
    })
}

/// All below a directory; what is neither file nor directory is passed over.
fn collect(view: &RootView, place: &Path, found: &mut Vec<(String, Node)>) -> io::Result<()> {
    for (name, metadata) in view.read_dir(place)? {
        let entry = place.join(name);
        // The prelude and its like are beside the drives.
        let Some(path) = path(&entry).filter(|path| place != Path::new(ROOT) || path.len() == 2)
        else {
            continue;
        };
        if metadata.is_dir() {
            found.push((path, Node::Directory));
            collect(view, &entry, found)?;
        } else if metadata.is_file() {
            found.push((path, Node::File(Arc::new(view.read(&entry)?))));
        }
    }
    Ok(())
}

impl Changes {
    pub(super) fn apply(self, files: &mut Files) {
        for path in self.removed {
            files.remove(&path);
        }
        for (path, node) in self.written {
            match node {
                Node::Directory => files.create_directory(&path),
                // Its directory came before it.
                Node::File(content) => drop(files.write(&path, content.to_vec())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_script_changed_comes_back_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let view = RootView::open(directory.path()).unwrap();
        let mut files = Files::default();
        files.write("C:/kept", b"kept".to_vec()).unwrap();
        files.write("C:/old", b"old".to_vec()).unwrap();
        files.write("C:/Windows/gone", Vec::new()).unwrap();
        files.create_directory("D:/data");
        // What an earlier script left is not there any more.
        fs::create_dir_all(directory.path().join("windows/C/earlier")).unwrap();
        lay_out(&view, &files).unwrap();
        assert_eq!(changes(&view, &files).unwrap(), Changes::default());
        let at = |path: &str| directory.path().join("windows").join(path);
        fs::write(at("prelude.ps1"), "").unwrap();
        fs::write(at("C/old"), "new").unwrap();
        fs::remove_file(at("C/Windows/gone")).unwrap();
        fs::create_dir(at("D/data/deep")).unwrap();
        fs::write(at("D/data/deep/file"), "made").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("C/link")).unwrap();
        let changed = changes(&view, &files).unwrap();
        assert_eq!(changed.written.len(), 3, "{changed:?}");
        // Meanwhile somebody else wrote a file.
        files.write("C:/other", b"other".to_vec()).unwrap();
        changed.apply(&mut files);
        let read = |path: &str| files.read(path).map(|content| content.to_vec());
        assert_eq!(read("C:/old").unwrap(), b"new");
        assert_eq!(read("D:/data/deep/file").unwrap(), b"made");
        assert_eq!(read("C:/other").unwrap(), b"other");
        assert_eq!(read("C:/kept").unwrap(), b"kept");
        assert!(!files.exists("C:/Windows/gone") && !files.exists("C:/link"));
    }

    #[test]
    fn every_drive_is_mounted() {
        let mut files = Files::default();
        files.create_directory("D:/data");
        let drives: Vec<_> = of(&files).into_iter().collect();
        let drive = |letter: &str| (letter.to_owned(), format!("/windows/{letter}"));
        assert_eq!(drives, [drive("C"), drive("D")]);
    }
}
