//! Whose the files are that a run leaves. In a container this program is root,
//! and the steps that come next are not: so what it writes belongs to the owner
//! of the directory it is in.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

/// Gives a file or a directory to the owner of the directory it is in. Only
/// root can, and only root needs to.
pub fn hand_over(path: &Path) {
    if let Ok(owner) = fs::metadata(directory_of(path)) {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Makes the directories above a path that are not there yet.
///
/// # Errors
/// When one cannot be made.
pub fn make_directories_above(path: &Path) -> io::Result<()> {
    let directory = directory_of(path);
    let missing = directory.ancestors().take_while(|above| !above.exists());
    let missing: Vec<_> = missing.collect();
    fs::create_dir_all(directory)?;
    // The outermost first: each takes after the one around it.
    missing.into_iter().rev().for_each(hand_over);
    Ok(())
}

/// The directory that a path is in.
pub fn directory_of(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_belongs_to_the_owner_of_what_was_there() {
        let place = tempfile::tempdir().unwrap();
        // Where the tests do not run as root, it is theirs already.
        let _ = chown(place.path(), Some(4711), Some(4711));
        let owner = |path: &Path| {
            let metadata = fs::metadata(path).unwrap();
            (metadata.uid(), metadata.gid())
        };
        let file = place.path().join("a/b/file");
        make_directories_above(&file).unwrap();
        fs::write(&file, "").unwrap();
        hand_over(&file);
        for made in [&file, &place.path().join("a"), &place.path().join("a/b")] {
            assert_eq!(owner(made), owner(place.path()), "{}", made.display());
        }
    }

    #[test]
    fn a_name_alone_is_in_the_current_directory() {
        assert_eq!(directory_of(Path::new("x")), Path::new("."));
        make_directories_above(Path::new("x")).unwrap();
    }
}
