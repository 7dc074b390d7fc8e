//! The files a template names: whether they are there, and what is in them.
//!
//! Planning reads nothing else from the machine it runs on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where relative paths and `~` lead.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The working directory.
    pub working_directory: PathBuf,
    /// The home directory, if there is one.
    pub home: Option<PathBuf>,
    /// The directory outside of which a stranger's template reads and writes
    /// nothing; it starts no programs either.
    pub confined_to: Option<PathBuf>,
}

/// The cure for what only a stranger's template may not do.
pub const TRUST: &str = "A template that may come from a stranger starts no program here and \
    stays in its directory; if you trust its author, leave out `--no-local-exec`, or set the \
    action's input `allow-local-exec` to `true`";

impl Places {
    /// The path with a leading `~/` replaced by the home directory.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// Why the path cannot be used as a file; nothing when it can.
    pub fn file_problem(&self, path: &Path) -> Option<String> {
        if let Some(problem) = self.outside(path) {
            return Some(problem);
        }
        match fs::metadata(self.working_directory.join(path)) {
            Ok(found) if found.is_dir() => Some("is a directory".to_owned()),
            Ok(_) => None,
            Err(error) => Some(reason(&error)),
        }
    }

    /// Why the path cannot be used as a directory; nothing when it can.
    pub fn directory_problem(&self, path: &Path) -> Option<String> {
        if let Some(problem) = self.outside(path) {
            return Some(problem);
        }
        match fs::metadata(self.working_directory.join(path)) {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some("is not a directory".to_owned()),
            Err(error) => Some(reason(&error)),
        }
    }

    /// Why the path cannot be used as a file or directory.
    pub fn problem(&self, path: &Path) -> Option<String> {
        if let Some(problem) = self.outside(path) {
            return Some(problem);
        }
        let found = fs::metadata(self.working_directory.join(path));
        found.err().map(|error| reason(&error))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        if let Some(problem) = self.outside(path) {
            return Err(problem);
        }
        let path = self.working_directory.join(path);
        fs::read(path).map_err(|error| reason(&error))
    }

    /// Says when a path leads out of the directory that the template is
    /// confined to, itself or by a symbolic link in it.
    pub fn outside(&self, path: &Path) -> Option<String> {
        let limit = self.confined_to.as_ref()?;
        let limit = fs::canonicalize(limit).unwrap_or_else(|_| limit.clone());
        let path = self.working_directory.join(path);
        let is_inside = stays_in(&limit, &path, &mut BTreeSet::new());
        (!is_inside).then(|| format!("leads out of `{}`", limit.display()))
    }

    /// Says when a path is only known once the machine runs, and thus cannot
    /// be confined.
    pub fn unknown(&self) -> Option<String> {
        let limit = self.confined_to.as_ref()?;
        Some(format!(
            "is only known later, so that it might lead out of `{}`",
            limit.display()
        ))
    }
}

/// Whether a path, and everything below it, is in a directory.
fn stays_in(limit: &Path, path: &Path, seen: &mut BTreeSet<PathBuf>) -> bool {
    let Some(real) = real(path).filter(|real| real.starts_with(limit)) else {
        return false;
    };
    if !real.is_dir() || !seen.insert(real.clone()) {
        return true;
    }
    let Ok(entries) = fs::read_dir(&real) else {
        return true;
    };
    let mut entries = entries.filter_map(io::Result::ok);
    entries.all(|entry| stays_in(limit, &entry.path(), seen))
}

/// The path without symbolic links, as far as it exists; nothing when the
/// rest goes up.
fn real(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Some(real);
    }
    let name = path.file_name()?;
    // A link to nothing could be given a target later.
    let is_link = fs::symlink_metadata(path).is_ok();
    (!is_link).then(|| Some(real(path.parent()?)?.join(name)))?
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Why a private key cannot be used; nothing when it looks usable.
pub fn key_problem(bytes: &[u8]) -> Option<&'static str> {
    // `openssh-key-v1`, its length, and the cipher `none`, in base64.
    const OPENSSH: &str = "b3BlbnNzaC1rZXktdjEAAAAA";
    const UNENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    let text = String::from_utf8_lossy(bytes);
    if !text.contains("PRIVATE KEY") {
        return Some("is not a private key in PEM or OpenSSH format");
    }
    let openssh_encrypted = text.contains(OPENSSH) && !text.contains(UNENCRYPTED);
    let encrypted = text.contains("ENCRYPTED") || openssh_encrypted;
    encrypted.then_some("is protected by a passphrase")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_keys() {
        let table = [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAA",
                None,
            ),
            ("-----BEGIN PRIVATE KEY-----\nMC4", None),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI",
                Some("is protected by a passphrase"),
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                Some("is protected by a passphrase"),
            ),
            (
                "ssh-ed25519 AAAA",
                Some("is not a private key in PEM or OpenSSH format"),
            ),
        ];
        for (text, problem) in table {
            assert_eq!(key_problem(text.as_bytes()), problem, "{text}");
        }
    }

    #[test]
    fn a_strangers_template_stays_in_its_directory() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir_all(inner.join("app")).unwrap();
        fs::write(inner.join("app/a.sh"), "true").unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, inner.join(at)).unwrap();
        link("app/a.sh", "good");
        link("app", "loop");
        link("../secret", "bad");
        let places = Places {
            working_directory: inner.clone(),
            home: None,
            confined_to: Some(inner.clone()),
        };
        let table = [
            ("app/a.sh", true),
            ("app/../app/a.sh", true),
            ("good", true),
            ("loop", true),
            ("absent/file", true),
            ("bad", false),
            (".", false),
            ("../secret", false),
            ("absent/../../secret", false),
            ("/etc/passwd", false),
        ];
        for (path, is_inside) in table {
            let problem = places.outside(Path::new(path));
            assert_eq!(problem.is_none(), is_inside, "{path}: {problem:?}");
            assert!(is_inside || places.read(Path::new(path)).is_err());
        }
        let free = Places {
            confined_to: None,
            ..places
        };
        assert_eq!(free.outside(Path::new("/etc/passwd")), None);
        assert_eq!(free.unknown(), None);
    }

    #[test]
    fn tells_files_from_directories_and_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("script.sh"), "true").unwrap();
        let places = Places {
            working_directory: directory.path().to_owned(),
            home: Some("/home/me".into()),
            confined_to: None,
        };
        let file = |path: &str| places.file_problem(Path::new(path));
        assert_eq!(file("script.sh"), None);
        assert_eq!(file("."), Some("is a directory".to_owned()));
        assert_eq!(file("absent"), Some("does not exist".to_owned()));
        assert_eq!(places.problem(Path::new(".")), None);
        let directory = |path: &str| places.directory_problem(Path::new(path));
        assert_eq!(directory("."), None);
        assert_eq!(
            directory("script.sh"),
            Some("is not a directory".to_owned())
        );
        assert_eq!(places.expand_home("~/k"), Path::new("/home/me/k"));
        assert_eq!(places.expand_home("a/~/k"), Path::new("a/~/k"));
    }
}
