//! The disks of guests: layers of files in temporary directories.
//!
//! A disk has one directory per tree (see [`trees`]): `root` holds everything
//! that is the guest's own, the other trees lie over the host's directory of
//! the same name. Nothing here mounts; the guest's first process does that.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use super::confinement::{base_directory, tool};

/// Top-level directories a guest may take from the host. The rest of the
/// host's files, `/root`, `/home` and `/tmp` among them, do not exist inside.
const TREES: [&str; 9] = [
    "usr", "var", "opt", "bin", "sbin", "lib", "lib32", "lib64", "libx32",
];

/// The trees that are directories on this host; on most hosts `bin`, `sbin`
/// and the `lib`s are links into `usr`.
pub(crate) fn trees() -> Vec<&'static str> {
    let is_directory = |tree: &&str| {
        fs::symlink_metadata(Path::new("/").join(tree)).is_ok_and(|meta| meta.is_dir())
    };
    TREES.into_iter().filter(is_directory).collect()
}

/// The top-level links of the host into its trees, as (name, target).
pub(crate) fn tree_links() -> Vec<(&'static str, PathBuf)> {
    let link = |tree| Some((tree, fs::read_link(Path::new("/").join(tree)).ok()?));
    TREES.into_iter().filter_map(link).collect()
}

/// Creates the directory of every tree below `directory`.
pub(crate) fn create_trees(directory: &Path) -> io::Result<()> {
    for tree in ["root"].into_iter().chain(trees()) {
        let path = directory.join(tree);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Files that lie over the layers below: what an image adds to its parent.
/// Cloning is cheap; the files go away with the last clone.
#[derive(Clone, Debug)]
pub struct Layer(Arc<OwnedDir>);

impl Layer {
    /// An empty layer in a new directory below `base`.
    pub(crate) fn create(base: &Path) -> io::Result<Layer> {
        let directory = OwnedDir::create(base)?;
        create_trees(directory.path())?;
        Ok(Layer(Arc::new(directory)))
    }

    /// A layer that has a copy of a host's directory at `/NAME`.
    pub(crate) fn with_copy(from: &Path, name: &str) -> io::Result<Layer> {
        let base = base_directory().map_err(io::Error::other)?;
        let layer = Layer::create(base)?;
        let to = layer.path().join("root").join(name);
        fs::create_dir(&to)?;
        copy_tree(from, &to)?;
        Ok(layer)
    }

    /// A copy of an upper directory, with deletions, without `/tmp`'s content.
    pub(crate) fn copy_of(upper: &Path, base: &Path) -> io::Result<Layer> {
        let layer = Layer::create(base)?;
        copy_tree(upper, layer.path())?;
        let volatile = layer.path().join("root/tmp");
        if volatile.exists() {
            remove_tree(&volatile)?;
        }
        Ok(layer)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<OwnedDir> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &std::sync::Weak<OwnedDir>) -> Option<Layer> {
        weak.upgrade().map(Layer)
    }
}

/// A temporary directory that is removed when dropped, whatever a guest left
/// in it.
#[derive(Debug)]
pub(crate) struct OwnedDir(PathBuf);

impl OwnedDir {
    pub(crate) fn create(base: &Path) -> io::Result<OwnedDir> {
        let directory = tempfile::Builder::new()
            .prefix("sandbox-guest-")
            .tempdir_in(base)?;
        Ok(OwnedDir(directory.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnedDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a guest's directory stays behind");
        }
    }
}

/// Copies all of `from` into `to`: ownership, modes, extended attributes,
/// and the device nodes that stand for deleted files.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let mut command = as_owner("cp")?;
    command.arg("-a").arg("--reflink=auto").arg("--");
    let output = command
        .arg(from.join("."))
        .arg(to)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("copying a disk: {reason}")))
}

fn remove_tree(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() || !path.exists() {
        return Ok(());
    }
    // Directories without permissions stop their owner, unless the owner is
    // root, if only in a namespace of its own.
    let status = as_owner("rm")?
        .arg("-rf")
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other("rm -rf failed")),
    }
}

/// A command with root's rights over the files of the calling user.
fn as_owner(program: &str) -> io::Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new(tool(program)?));
    }
    let mut command = Command::new(tool("unshare")?);
    command
        .args(["--user", "--map-root-user", "--"])
        .arg(tool(program)?);
    Ok(command)
}
