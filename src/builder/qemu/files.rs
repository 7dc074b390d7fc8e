//! The local files that `cd_files`, `floppy_files` and `floppy_dirs` name.
//!
//! Not here: how images are written.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::glob;
use crate::template::source::Spanned;

/// The paths a pattern stands for, sorted; a text without wildcards stands
/// for itself.
///
/// # Errors
/// [`Kind::Io`] when there is none.
pub(super) fn expand(pattern: &Spanned<String>) -> Result<Vec<PathBuf>> {
    let found = glob::expand(&pattern.value);
    if found.is_empty() {
        let message = format!("There is no file `{pattern}`");
        return Err(Error::new(Kind::Io, message).at(pattern.span));
    }
    Ok(found)
}

/// The regular files below a directory, each with its path below it.
///
/// # Errors
/// [`Kind::Io`] when the directory cannot be read.
pub(super) fn below(directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for name in names_in(&directory.join(&relative))? {
            let (inner, path) = (relative.join(&name), directory.join(&relative).join(&name));
            if path.is_dir() {
                pending.push(inner);
            } else {
                files.push((path, inner));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn names_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| {
        let message = format!("Cannot read the directory `{}`", directory.display());
        Error::new(Kind::Io, message).with_source(error)
    };
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let mut names = entries
        .map(|entry| {
            entry
                .map(|entry| PathBuf::from(entry.file_name()))
                .map_err(failed)
        })
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_sorted() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("sub/deep")).unwrap();
        for name in ["b.cfg", "a.cfg", "c.txt", "sub/d", "sub/deep/e"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let pattern = |text: &str| {
            let text = path(text).to_str().unwrap().to_owned();
            expand(&Spanned::default_value(text))
        };
        let found = pattern("*.cfg").unwrap();
        assert_eq!(found, [path("a.cfg"), path("b.cfg")]);
        assert_eq!(pattern("s*/d").unwrap(), [path("sub/d")]);
        assert_eq!(pattern("c.txt").unwrap(), [path("c.txt")]);
        assert!(pattern("*.iso").is_err() && pattern("absent").is_err());
        let below = below(&path("sub")).unwrap();
        let inner: Vec<_> = below.into_iter().map(|(_, inner)| inner).collect();
        assert_eq!(inner, [Path::new("d"), Path::new("deep/e")]);
    }
}
