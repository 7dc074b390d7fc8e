//! Paths on the machine: POSIX, as text.

use crate::error::{Error, Kind, Result};

/// `directory/name`, without doubling the slash.
pub(super) fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        _ if directory.ends_with('/') => format!("{directory}{name}"),
        _ => format!("{directory}/{name}"),
    }
}

/// A path split into its directory and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => (".", trimmed),
    }
}

/// The path itself and those it is in, outermost first: what `mkdir -p` makes.
pub(super) fn ancestors(path: &str) -> Vec<&str> {
    let path = path.trim_end_matches('/');
    let slashes = path.match_indices('/').map(|(at, _)| &path[..at]);
    let all = slashes.chain(std::iter::once(path));
    all.filter(|part| !part.is_empty() && !part.ends_with('/'))
        .collect()
}

/// A path for programs that do not expand `~`: relative paths start at home.
pub(super) fn without_tilde(path: &str) -> &str {
    match path.strip_prefix("~/") {
        Some("") => ".",
        Some(rest) => rest,
        None if path == "~" => ".",
        None => path,
    }
}

/// A path as one word of a POSIX shell, never taken for an option.
pub(super) fn quote(path: &str) -> String {
    let path = without_tilde(path);
    let dot = if path.starts_with('-') { "./" } else { "" };
    format!("'{dot}{}'", path.replace('\'', r"'\''"))
}

/// Fails unless a name that the machine sent is a plain file name: it must not
/// choose where on this machine we write.
pub(super) fn checked_name(name: &str) -> Result<&str> {
    let bad = matches!(name, "" | "." | "..") || name.contains(['/', '\0']);
    if bad {
        let message = format!("The machine sent a file name that is none: {name:?}");
        return Err(Error::new(Kind::Connect, message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split() {
        for (path, want) in [
            ("/tmp/a", ("/tmp", "a")),
            ("/a", ("/", "a")),
            ("a", (".", "a")),
            ("a/b/", ("a", "b")),
        ] {
            assert_eq!(split(path), want, "{path}");
        }
    }

    #[test]
    fn paths_join() {
        assert_eq!(join("/a", "b"), "/a/b");
        assert_eq!(join("/", "b"), "/b");
        assert_eq!(join("", "b"), "b");
    }

    #[test]
    fn ancestors_come_outermost_first() {
        assert_eq!(ancestors("/a/b/c/"), ["/a", "/a/b", "/a/b/c"]);
        assert_eq!(ancestors("a//b"), ["a", "a//b"]);
        assert!(ancestors("/").is_empty());
    }

    #[test]
    fn words_survive_a_shell() {
        for (path, want) in [
            ("/a b", "'/a b'"),
            ("it's", r"'it'\''s'"),
            ("$(x)`y`", "'$(x)`y`'"),
            ("-rf", "'./-rf'"),
            ("~/x", "'x'"),
            ("~", "'.'"),
        ] {
            assert_eq!(quote(path), want);
        }
    }

    #[test]
    fn names_from_the_machine_stay_in_their_directory() {
        for bad in ["", ".", "..", "a/b", "/etc", "a\0"] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked_name("..a").unwrap(), "..a");
    }
}
