//! What lies under every disk: the parts of the host a guest starts from,
//! masked, and the commands a guest cannot run for real (power, packages,
//! services). None of it belongs to an image, so none of it is captured.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, Weak},
};

use super::{
    BootSpec,
    confinement::tool,
    disk::{Layer, OwnedDir, tree_links, trees},
};

/// Mount points and directories of a fresh machine, with their modes.
const DIRECTORIES: [(&str, u32); 11] = [
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("run", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("root", 0o700),
];

/// Directories of the host's `/var` that a guest starts without.
const FRESH: [(&str, u32); 8] = [
    ("var/cache", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
    ("var/lib/containerd", 0o755),
    ("var/lib/containers", 0o755),
    ("var/lib/docker", 0o755),
];

/// How many directories of a tree are recreated for a user without rights
/// over them, the outermost first: some hundred milliseconds' worth.
const MOST_DIRECTORIES: usize = 20_000;

/// The layer right above the host's files, shared by the guests that live at
/// the same time.
pub(crate) fn host_layer(base: &Path) -> io::Result<Layer> {
    static SHARED: Mutex<Weak<OwnedDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(layer) = Layer::upgrade(&shared) {
        return Ok(layer);
    }
    let layer = build_host_layer(base)?;
    *shared = layer.downgrade();
    Ok(layer)
}

fn build_host_layer(base: &Path) -> io::Result<Layer> {
    let layer = Layer::create(base)?;
    let root = layer.path().join("root");
    for (name, mode) in DIRECTORIES {
        create_dir(&root.join(name), mode)?;
    }
    for tree in trees() {
        create_dir(&root.join(tree), 0o755)?;
    }
    for (name, target) in tree_links() {
        symlink(target, root.join(name))?;
    }
    copy_configuration(&root.join("etc"))?;
    if !rustix::process::geteuid().is_root() {
        for tree in trees() {
            let from = Path::new("/").join(tree);
            recreate_directories(&from, &layer.path().join(tree));
        }
    }
    for (name, mode) in FRESH {
        create_opaque(&layer.path().join(name), mode)?;
    }
    Ok(layer)
}

/// `/etc` is copied rather than laid over: a user namespace may not lay over
/// a directory with mounts in it, which `/etc` has in every container, and
/// an unprivileged user could not change the host's files even in a copy.
fn copy_configuration(to: &Path) -> io::Result<()> {
    // Unreadable files are left out, so the exit status says nothing.
    Command::new(tool("cp")?)
        .args(["-a", "--", "/etc/."])
        .arg(to)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for secret in ["ssl/private", "machine-id", "hostname", "hosts"] {
        remove_any(&to.join(secret));
    }
    for entry in fs::read_dir(to.join("ssh")).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(b"ssh_host_")
        {
            remove_any(&entry.path());
        }
    }
    Ok(())
}

fn remove_any(path: &Path) {
    // Absent is as good as removed.
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

/// A merged directory takes owner and mode from its topmost layer: with
/// directories of its own an unprivileged user can add and delete files.
fn recreate_directories(from: &Path, to: &Path) {
    let mut queue = VecDeque::from([(from.to_owned(), to.to_owned())]);
    let mut count = 0;
    while let Some((from, to)) = queue.pop_front() {
        for entry in fs::read_dir(&from).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let copy = to.join(entry.file_name());
            count += 1;
            if count > MOST_DIRECTORIES || create_dir(&copy, 0o755).is_err() {
                return;
            }
            queue.push_back((entry.path(), copy));
        }
    }
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn create_opaque(path: &Path, mode: u32) -> io::Result<()> {
    create_dir(path, mode)?;
    rustix::fs::setxattr(
        path,
        "user.overlay.opaque",
        b"y",
        rustix::fs::XattrFlags::empty(),
    )?;
    Ok(())
}

/// The layer of commands and identity files made for one guest.
pub(crate) fn shim_layer(spec: &BootSpec, base: &Path) -> io::Result<Layer> {
    let layer = Layer::create(base)?;
    let place = |directory: &str, name: &str, script: &str| {
        place_command(layer.path(), directory, name, script)
    };
    for name in ["shutdown", "poweroff", "halt", "reboot", "init", "telinit"] {
        place("sbin", name, include_str!("shims/power.sh"))?;
    }
    place("bin", "systemctl", include_str!("shims/services.sh"))?;
    place("sbin", "service", include_str!("shims/services.sh"))?;
    for name in package_commands(spec.rpm_family) {
        place("bin", name, include_str!("shims/packages.sh"))?;
    }
    place("bin", "cloud-init", include_str!("shims/cloud-init.sh"))?;
    if tool("sudo").is_err() {
        place("bin", "sudo", include_str!("shims/sudo.sh"))?;
    }
    if spec.time_scale != 1.0 {
        let scale = format!("{:.9}", spec.time_scale);
        let script = include_str!("shims/sleep.sh").replace("@SCALE@", &scale);
        // Not over the real one, which the script calls.
        write_command(&layer.path().join("usr/local/bin"), "sleep", &script)?;
    }
    write_identity(&layer.path().join("root/etc"), &spec.hostname)?;
    Ok(layer)
}

/// The real ones have no network inside, so even a host's own are replaced.
fn package_commands(rpm_family: bool) -> &'static [&'static str] {
    match rpm_family {
        true => &["yum", "dnf", "apt-get", "apt"],
        false => &["apt-get", "apt"],
    }
}

/// Puts a command where scripts with absolute paths look for it as well:
/// below `/usr` and, where that is a directory of its own, below `/`.
fn place_command(layer: &Path, directory: &str, name: &str, script: &str) -> io::Result<()> {
    let host_link = |path: &str| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    // A directory over a link would hide everything behind the link.
    let below_usr = match host_link(&format!("/usr/{directory}")) {
        true => "usr/bin".to_owned(),
        false => format!("usr/{directory}"),
    };
    write_command(&layer.join(below_usr), name, script)?;
    if trees().contains(&directory) {
        write_command(&layer.join(directory), name, script)?;
    }
    Ok(())
}

fn write_command(directory: &Path, name: &str, script: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path: PathBuf = directory.join(name);
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
}

fn write_identity(etc: &Path, hostname: &str) -> io::Result<()> {
    fs::create_dir_all(etc)?;
    fs::write(etc.join("hostname"), format!("{hostname}\n"))?;
    fs::write(
        etc.join("hosts"),
        format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{hostname}\n"),
    )
}
