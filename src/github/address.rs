//! `owner/repository//path@ref`: a file in a repository at a branch, tag or
//! commit. The ref is not optional, so that no path of this machine is taken
//! for one.

use std::fmt;
use std::path::{Component, Path};

use super::Repository;

/// A file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The repository.
    pub repository: Repository,
    /// The file, relative to the repository's root.
    pub path: String,
    /// The branch, tag or commit.
    pub reference: String,
}

impl Address {
    /// The address a text stands for; none when it is a path of this machine.
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, rest) = text.split_once("//")?;
        let (path, reference) = rest.rsplit_once('@')?;
        let is_good = is_inside(path) && is_reference(reference);
        let repository = Repository::parse(repository).filter(|_| is_good)?;
        Some(Self {
            repository,
            path: path.to_owned(),
            reference: reference.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            repository,
            path,
            reference,
        } = self;
        write!(f, "{repository}//{path}@{reference}")
    }
}

fn is_inside(path: &str) -> bool {
    let mut components = Path::new(path).components();
    !path.is_empty() && components.all(|component| matches!(component, Component::Normal(_)))
}

/// What git-check-ref-format(1) allows, roughly: enough for a route.
fn is_reference(text: &str) -> bool {
    let is_odd = |letter: char| letter.is_control() || " ~^:?*[\\".contains(letter);
    !text.is_empty() && !text.contains("..") && !text.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        let table = [
            ("acme/images//web.json@v1", Some(("web.json", "v1"))),
            (
                "acme/i//a/b.json@feature/x",
                Some(("a/b.json", "feature/x")),
            ),
            ("acme/i//a@b.json@main", Some(("a@b.json", "main"))),
            ("acme/images//web.json", None),
            ("acme/images//web.json@", None),
            ("acme/images//../web.json@main", None),
            ("acme/images///etc/passwd@main", None),
            ("acme/images//web.json@a b", None),
            ("./acme/images//web.json@v1", None),
            ("a/b/c//web.json@v1", None),
            ("web@v1.json", None),
        ];
        for (text, expected) in table {
            let address = Address::parse(text);
            let found = address
                .as_ref()
                .map(|address| (address.path.as_str(), address.reference.as_str()));
            assert_eq!(found, expected, "{text}");
            assert!(address.is_none_or(|address| address.to_string() == text));
        }
    }
}
