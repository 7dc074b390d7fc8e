//! The files a template names: whether they are there, and what is in them.
//!
//! Planning reads nothing else from the machine it runs on.

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
}

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
        match fs::metadata(self.working_directory.join(path)) {
            Ok(found) if found.is_dir() => Some("is a directory".to_owned()),
            Ok(_) => None,
            Err(error) => Some(reason(&error)),
        }
    }

    /// Why the path cannot be used as a directory; nothing when it can.
    pub fn directory_problem(&self, path: &Path) -> Option<String> {
        match fs::metadata(self.working_directory.join(path)) {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some("is not a directory".to_owned()),
            Err(error) => Some(reason(&error)),
        }
    }

    /// Why the path cannot be used as a file or directory.
    pub fn problem(&self, path: &Path) -> Option<String> {
        let found = fs::metadata(self.working_directory.join(path));
        found.err().map(|error| reason(&error))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let path = self.working_directory.join(path);
        fs::read(path).map_err(|error| reason(&error))
    }
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
    fn tells_files_from_directories_and_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("script.sh"), "true").unwrap();
        let places = Places {
            working_directory: directory.path().to_owned(),
            home: Some("/home/me".into()),
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
