//! The local files that `cd_files`, `floppy_files` and `floppy_dirs` name.
//!
//! Patterns have `*`, `?` and `[a-z]` within one part of a path, as Go's
//! `filepath.Glob`. Not here: how images are written.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::template::source::Spanned;

/// The paths a pattern stands for, sorted; a text without wildcards stands
/// for itself.
///
/// # Errors
/// [`Kind::Io`] when there is none.
pub(super) fn expand(pattern: &Spanned<String>) -> Result<Vec<PathBuf>> {
    let found = if has_wildcards(&pattern.value) {
        matches(Path::new(&pattern.value))
    } else {
        let path = PathBuf::from(&pattern.value);
        path.exists().then_some(path).into_iter().collect()
    };
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

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn matches(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        let step = |directory: &PathBuf| -> Vec<PathBuf> {
            if !has_wildcards(&text) {
                let path = directory.join(component);
                return path.exists().then_some(path).into_iter().collect();
            }
            let parent = match directory.as_os_str().is_empty() {
                true => Path::new("."),
                false => directory,
            };
            let names = names_in(parent).unwrap_or_default();
            let fits = |name: &PathBuf| fits(&text, &name.to_string_lossy());
            let names = names.into_iter().filter(fits);
            names.map(|name| directory.join(name)).collect()
        };
        found = found.iter().flat_map(step).collect();
    }
    found
}

/// Whether a name fits a pattern.
fn fits(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return name.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    if first == '*' {
        let mut tails = name.char_indices().map(|(index, _)| &name[index..]);
        return tails.any(|tail| fits(rest, tail)) || fits(rest, "");
    }
    let Some(character) = name.chars().next() else {
        return false;
    };
    let tail = &name[character.len_utf8()..];
    match (first, rest.split_once(']')) {
        ('?', _) => fits(rest, tail),
        ('[', Some((class, rest))) => in_class(class, character) && fits(rest, tail),
        _ => first == character && fits(rest, tail),
    }
}

fn in_class(class: &str, character: char) -> bool {
    let (negated, class) = match class.strip_prefix('^') {
        Some(class) => (true, class),
        None => (false, class),
    };
    let letters: Vec<char> = class.chars().collect();
    let mut index = 0;
    let mut found = false;
    while let Some(&low) = letters.get(index) {
        let high = match (letters.get(index + 1), letters.get(index + 2)) {
            (Some('-'), Some(&high)) => {
                index += 2;
                high
            }
            _ => low,
        };
        found |= (low..=high).contains(&character);
        index += 1;
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.cfg", "a.cfg", true),
            ("*.cfg", ".cfg", true),
            ("*.cfg", "a.cfgx", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*c*", "abcd", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("ä*", "äb", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

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
