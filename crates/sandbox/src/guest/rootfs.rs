//! A guest's file system as the host's process sees it.
//!
//! Every path is resolved by the kernel with the guest's root as its root
//! (`RESOLVE_IN_ROOT`, openat2(2), Linux 5.6), so an absolute symbolic link
//! or a `..` inside can never lead to a file of the host.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timestamps};

/// A root directory and the operations SFTP and scp need below it.
#[derive(Debug)]
pub(crate) struct RootView(OwnedFd);

impl RootView {
    pub(crate) fn open(root: &Path) -> io::Result<RootView> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(RootView(rustix::fs::open(root, flags, Mode::empty())?))
    }

    /// Opens a file; `mode` counts if it is created.
    pub(crate) fn open_file(&self, path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
        let mode = if flags.contains(OFlags::CREATE) {
            Mode::from_raw_mode(mode & 0o7777)
        } else {
            Mode::empty()
        };
        // Without NONBLOCK a pipe inside would stop the simulator.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        Ok(self.resolve(path, flags, mode)?.into())
    }

    pub(crate) fn metadata(&self, path: &Path) -> io::Result<fs::Metadata> {
        self.handle(path, OFlags::empty())?.metadata()
    }

    pub(crate) fn symlink_metadata(&self, path: &Path) -> io::Result<fs::Metadata> {
        self.handle(path, OFlags::NOFOLLOW)?.metadata()
    }

    /// The names in a directory with what they are, `.` and `..` left out.
    pub(crate) fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
        let directory = self.handle(path, OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(proc_path(&directory))? {
            let entry = entry?;
            // An entry may be gone by now.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            entries.push((entry.file_name().to_string_lossy().into_owned(), metadata));
        }
        Ok(entries)
    }

    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        io::Read::read_to_end(&mut self.open_file(path, OFlags::RDONLY, 0)?, &mut content)?;
        Ok(content)
    }

    pub(crate) fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = self.open_file(path, flags, mode)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        io::Write::write_all(&mut file, content)
    }

    pub(crate) fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(mode & 0o7777))?;
        self.set_mode(path, mode)
    }

    pub(crate) fn create_dir_all(&self, path: &Path, mode: u32) -> io::Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|ancestor| self.metadata(ancestor).is_err())
            .collect();
        missing
            .into_iter()
            .rev()
            .try_for_each(|directory| self.create_dir(directory, mode))
    }

    pub(crate) fn remove(&self, path: &Path, flags: AtFlags) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(&parent, &name, flags)?)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        Ok(rustix::fs::renameat(
            &from_parent,
            &from_name,
            &to_parent,
            &to_name,
        )?)
    }

    pub(crate) fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(
            &from_parent,
            &from_name,
            &to_parent,
            &to_name,
            flags,
        )?)
    }

    pub(crate) fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(link)?;
        Ok(rustix::fs::symlinkat(target, &parent, &name)?)
    }

    pub(crate) fn read_link(&self, path: &Path) -> io::Result<String> {
        let (parent, name) = self.parent(path)?;
        let target = rustix::fs::readlinkat(&parent, &name, Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    pub(crate) fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let handle = self.handle(path, OFlags::empty())?;
        let permissions = fs::Permissions::from_mode(mode & 0o7777);
        fs::set_permissions(proc_path(&handle), permissions)
    }

    pub(crate) fn set_owner(
        &self,
        path: &Path,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> io::Result<()> {
        let handle = self.handle(path, OFlags::empty())?;
        chown(proc_path(&handle), uid, gid)
    }

    pub(crate) fn set_times(&self, path: &Path, times: &Timestamps) -> io::Result<()> {
        let handle = self.handle(path, OFlags::empty())?;
        let path = proc_path(&handle);
        Ok(rustix::fs::utimensat(
            rustix::fs::CWD,
            path,
            times,
            AtFlags::empty(),
        )?)
    }

    fn handle(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        Ok(self.resolve(path, flags, Mode::empty())?.into())
    }

    fn parent(&self, path: &Path) -> io::Result<(File, PathBuf)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok((self.handle(parent, OFlags::DIRECTORY)?, name.into()))
    }

    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.0, path, flags, mode, resolve) {
                // A rename elsewhere raced with a `..`; the kernel says retry.
                Err(rustix::io::Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// A path to an open handle, for calls that take no handle of this kind.
fn proc_path(handle: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Makes a client's path absolute the way a server started in `/root` would,
/// without looking at the disk.
pub(crate) fn absolute(path: &str) -> PathBuf {
    let mut result = PathBuf::from("/");
    for part in Path::new("/root").join(path).components() {
        match part {
            std::path::Component::ParentDir => drop(result.pop()),
            std::path::Component::Normal(name) => result.push(name),
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_starts_at_home() {
        for (path, expected) in [
            (".", "/root"),
            ("", "/root"),
            ("a/b", "/root/a/b"),
            ("/tmp/../etc/./x", "/etc/x"),
            ("../../..", "/"),
        ] {
            assert_eq!(absolute(path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn links_stay_below_the_root() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("inside"), "guest").unwrap();
        std::os::unix::fs::symlink("/inside", directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/proc/version", directory.path().join("out")).unwrap();
        let view = RootView::open(directory.path()).unwrap();
        assert_eq!(view.read(Path::new("/link")).unwrap(), b"guest");
        assert_eq!(view.read(Path::new("/../../inside")).unwrap(), b"guest");
        let error = view.read(Path::new("/out")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
