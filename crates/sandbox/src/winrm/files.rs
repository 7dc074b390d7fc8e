//! The disk of a Windows machine, in memory: names keep their letters and are
//! found whatever the case. Nothing of it is on the host.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Directories of a fresh disk.
const FRESH: [&str; 4] = [
    "C:/Windows/Temp",
    "C:/Windows/System32",
    "C:/Program Files",
    "C:/Users/Administrator",
];

/// Where a session starts.
pub(crate) const HOME: &str = "C:/Users/Administrator";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Directory,
    File(Arc<Vec<u8>>),
}

/// Files and directories.
#[derive(Clone, Debug)]
pub(crate) struct Files(BTreeMap<String, (String, Node)>);

impl Default for Files {
    fn default() -> Self {
        let mut files = Self(BTreeMap::new());
        FRESH.iter().for_each(|path| files.create_directory(path));
        files
    }
}

impl Files {
    pub(crate) fn read(&self, path: &str) -> Option<Arc<Vec<u8>>> {
        match &self.0.get(&key(path))?.1 {
            Node::File(content) => Some(Arc::clone(content)),
            Node::Directory => None,
        }
    }

    /// All there is, directories before what is in them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.values().map(|(path, node)| (path.as_str(), node))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(&key(path)).map(|(_, node)| node)
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.0.contains_key(&key(path))
    }

    /// Writes a file; its directory must be there.
    pub(crate) fn write(&mut self, path: &str, content: Vec<u8>) -> Result<(), String> {
        let path = absolute(path, HOME);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !self.exists(parent) {
            let parent = shown(parent);
            return Err(format!("Could not find a part of the path '{parent}'."));
        }
        if matches!(self.0.get(&key(&path)), Some((_, Node::Directory))) {
            return Err(format!("Access to the path '{}' is denied.", shown(&path)));
        }
        let node = Node::File(Arc::new(content));
        self.0.insert(key(&path), (path, node));
        Ok(())
    }

    /// Makes a directory and those it is in.
    pub(crate) fn create_directory(&mut self, path: &str) {
        let path = absolute(path, HOME);
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let part = &path[..at];
            let name = (part.to_owned(), Node::Directory);
            self.0.entry(key(part)).or_insert(name);
        }
    }

    /// Removes a file, or a directory with all in it; whether there was one.
    pub(crate) fn remove(&mut self, path: &str) -> bool {
        let removed = key(path);
        let inside = format!("{removed}/");
        let before = self.0.len();
        self.0
            .retain(|key, _| *key != removed && !key.starts_with(&inside));
        self.0.len() < before
    }

    /// Names in a directory, with the size of files.
    pub(crate) fn list(&self, path: &str) -> Option<Vec<(String, Option<usize>)>> {
        let (_, Node::Directory) = self.0.get(&key(path))? else {
            return None;
        };
        let inside = format!("{}/", key(path));
        let names = self.0.iter().filter_map(|(key, (path, node))| {
            let rest = key.strip_prefix(&inside)?;
            (!rest.contains('/')).then_some(())?;
            let name = path.rsplit('/').next()?.to_owned();
            Some(match node {
                Node::Directory => (name, None),
                Node::File(content) => (name, Some(content.len())),
            })
        });
        Some(names.collect())
    }
}

fn key(path: &str) -> String {
    absolute(path, HOME).to_lowercase()
}

/// A path from its drive, with `/`.
pub(crate) fn absolute(path: &str, directory: &str) -> String {
    let path = path.trim().trim_matches('"').replace('\\', "/");
    let full = if path.as_bytes().get(1) == Some(&b':') {
        path[..1].to_uppercase() + &path[1..]
    } else if path.starts_with('/') {
        format!("C:{path}")
    } else {
        format!("{directory}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if parts.len() > 1 => drop(parts.pop()),
            ".." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A path as Windows shows it.
pub(crate) fn shown(path: &str) -> String {
    let root = if path.ends_with(':') { "\\" } else { "" };
    path.replace('/', "\\") + root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_whatever_their_form() {
        let mut files = Files::default();
        files
            .write("c:\\windows\\temp\\A.txt", b"a".to_vec())
            .unwrap();
        for path in ["C:/Windows/Temp/a.TXT", "\\Windows\\Temp\\x\\..\\a.txt"] {
            assert_eq!(files.read(path).unwrap().as_slice(), b"a");
        }
        let listed = files.list("C:\\Windows\\Temp").unwrap();
        assert_eq!(listed, [("A.txt".to_owned(), Some(1))]);
        assert!(files.write("C:/nowhere/a", Vec::new()).is_err());
        files.create_directory("C:/nowhere/deep");
        files.write("C:/nowhere/deep/a", Vec::new()).unwrap();
        assert!(files.remove("C:/nowhere"));
        assert!(!files.exists("C:/nowhere/deep/a") && !files.remove("C:/nowhere"));
    }
}
