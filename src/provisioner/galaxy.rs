//! What a requirements file of Ansible Galaxy has: roles, collections or both.
//!
//! Facts: Ansible's documentation of requirements files. Their first form is
//! a bare list of roles; the second one has the keys `roles` and
//! `collections`. Not here: installing them.

use std::path::Path;

use crate::error::{Error, Kind, Result};

/// What there is to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) roles: bool,
    pub(super) collections: bool,
}

/// Looks into a requirements file.
pub(super) fn contents(path: &Path) -> Result<Contents> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("Could not read {}", path.display());
        Error::new(Kind::Io, message).with_source(error)
    })?;
    Ok(of_text(&text))
}

fn of_text(text: &str) -> Contents {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    let collections = has("collections:");
    Contents {
        roles: has("roles:") || !collections,
        collections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_understood() {
        for (text, roles, collections) in [
            ("- src: a.b\n", true, false),
            ("roles:\n  - a.b\n", true, false),
            ("---\ncollections:\n  - a.b\n", false, true),
            ("collections:\n  - a.b\nroles:\n  - c.d\n", true, true),
            ("- name: a\n  collections: no\n", true, false),
        ] {
            let expected = Contents { roles, collections };
            assert_eq!(of_text(text), expected, "{text}");
        }
    }
}
