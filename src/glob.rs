//! Paths that fit a pattern on this machine.
//!
//! Patterns have `*`, `?` and `[a-z]` within one part of a path, as Go's
//! `filepath.Glob`. Not here: patterns for names that are no paths.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The paths a pattern stands for, sorted; a text without wildcards stands
/// for itself if it is there. What cannot be read holds nothing.
pub(crate) fn expand(pattern: &str) -> Vec<PathBuf> {
    if has_wildcards(pattern) {
        return matches(Path::new(pattern));
    }
    let path = PathBuf::from(pattern);
    path.exists().then_some(path).into_iter().collect()
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
            let fits = |name: &OsString| fits(&text, &name.to_string_lossy());
            let names = names_in(parent).into_iter().filter(fits);
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

/// The names in a directory, sorted.
fn names_in(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    names
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
    fn paths_are_found_sorted() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        for name in ["b.cfg", "a.cfg", "c.txt", "sub/d"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let expand = |text: &str| expand(path(text).to_str().unwrap());
        assert_eq!(expand("*.cfg"), [path("a.cfg"), path("b.cfg")]);
        assert_eq!(expand("s*/d"), [path("sub/d")]);
        assert_eq!(expand("c.txt"), [path("c.txt")]);
        assert!(expand("*.iso").is_empty() && expand("absent").is_empty());
    }
}
