//! Confinement: the namespaces of a guest and the way into them.
//!
//! The work is done by util-linux (`unshare`, `nsenter`, `setpriv`,
//! `setsid`, all essential on Debian), because the system calls behind them
//! cannot be made without `unsafe`. Facts: user_namespaces(7),
//! mount_namespaces(7), the kernel's overlayfs documentation (`userxattr`
//! needs Linux 5.11).
//!
//! Why the host is safe: the guest sees only its overlays, its own processes
//! and an empty network; its root has no capability in the host's user
//! namespace; the kernel's settings are read-only inside; and the
//! capabilities to mount or to leave are dropped before any guest command
//! runs.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::sync::watch;

use super::{
    base,
    disk::{OwnedDir, create_trees, trees},
};

/// What root keeps inside: enough to install software, not enough to mount,
/// to load modules or to look into other namespaces.
const CAPABILITIES: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,\
+setpcap,+net_bind_service,+net_admin,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

/// The status with which process 1 asks to be started again.
const RESTART: i32 = 64;

/// The search path of guests, and of this module for the host's tools.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds a program on the host, also outside of an ordinary user's path.
pub(crate) fn tool(name: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(env::split_paths(OsStr::new(PATH)))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("`{name}` is not installed"),
            )
        })
}

/// Tells whether guests can run here, by starting one the first time it is
/// asked, for which it blocks. The error names the reason and a cure.
pub fn namespaces_available() -> Result<(), String> {
    base_directory().map(drop)
}

/// The directory for disks: the first whose file system can hold one.
pub(crate) fn base_directory() -> Result<&'static Path, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let candidates = [env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
        let mut reasons = Vec::new();
        for candidate in candidates {
            match probe(&candidate) {
                Ok(()) => return Ok(candidate),
                Err(error) => reasons.push(format!("{}: {error}", candidate.display())),
            }
        }
        Err(explain(&reasons))
    });
    found.as_deref().map_err(Clone::clone)
}

fn explain(reasons: &[String]) -> String {
    format!(
        "the sandbox cannot confine the machines it runs ({}). It needs Linux 5.11 or newer, \
         util-linux, and user namespaces: set the sysctls kernel.unprivileged_userns_clone=1, \
         user.max_user_namespaces above 0 and kernel.apparmor_restrict_unprivileged_userns=0 \
         where they exist; in a container, run it privileged (docker run --privileged)",
        reasons.join("; ")
    )
}

/// Boots an empty machine and throws it away.
fn probe(base: &Path) -> io::Result<()> {
    let layer = base::host_layer(base)?;
    let disk = OwnedDir::create(base)?;
    let plan = Plan::prepare(disk.path(), &[layer.path()], "probe")?;
    Holder::start(&plan).map(drop)
}

/// All that is needed to start a machine, and to start it again.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    directory: PathBuf,
    hostname: String,
    layers: usize,
}

impl Plan {
    /// Lays out a machine's directory; `layers` are given topmost first.
    pub(crate) fn prepare(directory: &Path, layers: &[&Path], hostname: &str) -> io::Result<Plan> {
        create_trees(&directory.join("upper"))?;
        fs::create_dir_all(directory.join("merged"))?;
        fs::create_dir_all(directory.join("l"))?;
        for (index, layer) in layers.iter().enumerate() {
            // Short names: the mount options have to fit a page.
            std::os::unix::fs::symlink(layer, directory.join(format!("l/{index}")))?;
        }
        Ok(Plan {
            directory: directory.to_owned(),
            hostname: hostname.to_owned(),
            layers: layers.len(),
        })
    }

    /// The directory that receives every change.
    pub(crate) fn upper(&self) -> PathBuf {
        self.directory.join("upper")
    }

    fn command(&self, namespace: &UserNamespace) -> io::Result<Command> {
        let layers: Vec<_> = (0..self.layers).map(|index| format!("l/{index}")).collect();
        let mut command = Command::new(tool("setsid")?);
        command
            .arg(tool("nsenter")?)
            .args(["--target", &namespace.pid().to_string()])
            .args(["--user", "--preserve-credentials", "--"])
            .arg(tool("unshare")?)
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .args(["--ipc", "--uts", "--net", "--"])
            .args(["/bin/sh", "-c", include_str!("init.sh"), "init"])
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", PATH)
            .env("LAYERS", layers.join(" "))
            .env("TREES", trees().join(" "))
            .env("WORK", self.fresh_work()?)
            .env("GUEST_HOSTNAME", &self.hostname)
            .env("CAPABILITIES", CAPABILITIES)
            .env("SUPERVISE", include_str!("supervise.sh"));
        Ok(command)
    }

    /// A volatile overlay refuses a work directory that was used before.
    fn fresh_work(&self) -> io::Result<String> {
        let work = tempfile::Builder::new()
            .prefix("work-")
            .tempdir_in(&self.directory)?
            .keep();
        create_trees(&work)?;
        let name = work.file_name().unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }
}

/// Why a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Off,
    Restart,
}

/// A running machine: its process 1 and the pipe that keeps it alive.
pub(crate) struct Holder {
    init: Pid,
    _alive: ChildStdin,
    stopped: watch::Receiver<Option<Stopped>>,
    waiter: Mutex<Option<JoinHandle<()>>>,
}

impl Holder {
    /// Starts a machine. Blocks for some ten milliseconds.
    pub(crate) fn start(plan: &Plan) -> io::Result<Holder> {
        let namespace = UserNamespace::create()?;
        let console = plan.directory.join("console.log");
        let mut child = plan
            .command(&namespace)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&console)?)
            .spawn()?;
        let alive = take(child.stdin.take())?;
        match wait_until_ready(take(child.stdout.take())?) {
            Ok(init) => Ok(Holder::watching(child, alive, init)),
            Err(error) => {
                drop(alive);
                child.wait()?;
                let output = fs::read_to_string(&console).unwrap_or_default();
                Err(io::Error::other(format!("{error}: {}", output.trim())))
            }
        }
    }

    fn watching(mut child: Child, alive: ChildStdin, init: Pid) -> Holder {
        let (sender, stopped) = watch::channel(None);
        let waiter = thread::spawn(move || {
            let code = child.wait().ok().and_then(|status| status.code());
            let restart = code == Some(RESTART);
            sender.send_replace(Some(if restart {
                Stopped::Restart
            } else {
                Stopped::Off
            }));
        });
        Holder {
            init,
            _alive: alive,
            stopped,
            waiter: Mutex::new(Some(waiter)),
        }
    }

    /// Resolves when every process inside is gone.
    pub(crate) fn stopped(&self) -> impl Future<Output = Stopped> + Send + use<> {
        let mut stopped = self.stopped.clone();
        async move {
            match stopped.wait_for(Option::is_some).await {
                Ok(reason) => reason.unwrap_or(Stopped::Off),
                Err(_) => Stopped::Off,
            }
        }
    }

    /// Kills every process inside and waits until they are gone.
    pub(crate) fn kill(&self) {
        if self.stopped.borrow().is_none() {
            // Failing means that it is gone already.
            let _ = kill_process(self.init, Signal::KILL);
        }
        let waiter = self
            .waiter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waiter) = waiter {
            // The thread only waits; it cannot panic.
            let _ = waiter.join();
        }
    }

    /// The guest's root directory as seen from the host.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init.as_raw_nonzero()))
    }

    /// A command inside, in a session and process group of its own on the
    /// host's side, so that it has no way to the simulator's terminal.
    pub(crate) fn command(&self) -> io::Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new(tool("setsid")?);
        command
            .arg(tool("nsenter")?)
            .args(["--target", &self.init.as_raw_nonzero().to_string()])
            .args(["--user", "--preserve-credentials", "--mount", "--pid"])
            .args(["--ipc", "--uts", "--net", "--", "setpriv"])
            .arg(format!("--bounding-set={CAPABILITIES}"))
            .args(["--inh-caps=-all", "--"])
            .env_clear()
            .env("PATH", PATH);
        Ok(command)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.kill();
    }
}

fn take<T>(pipe: Option<T>) -> io::Result<T> {
    pipe.ok_or_else(|| io::Error::other("a pipe to the guest is missing"))
}

fn wait_until_ready(stdout: ChildStdout) -> io::Result<Pid> {
    let mut init = None;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some(pid) = line.strip_prefix("pid ") {
            init = pid.parse().ok().and_then(Pid::from_raw);
        }
        if let ("ready", Some(init)) = (line.as_str(), init) {
            return Ok(init);
        }
    }
    Err(io::Error::other("the machine did not start"))
}

/// A user namespace kept by a sleeping process until others are inside.
struct UserNamespace(Child);

impl UserNamespace {
    fn create() -> io::Result<UserNamespace> {
        let child = Command::new(tool("unshare")?)
            .args(["--user", "--", "/bin/sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut namespace = UserNamespace(child);
        namespace.wait_until_inside()?;
        namespace.map()?;
        Ok(namespace)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn wait_until_inside(&mut self) -> io::Result<()> {
        let mut newline = [0];
        let stdout = self.0.stdout.as_mut();
        if stdout.is_some_and(|pipe| pipe.read_exact(&mut newline).is_ok()) {
            return Ok(());
        }
        let mut reason = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut reason)?;
        }
        Err(io::Error::other(reason.trim().to_owned()))
    }

    /// Root keeps all users as they are, so that `chown` works inside;
    /// anyone else can only be mapped to root.
    fn map(&self) -> io::Result<()> {
        let file = |name: &str| format!("/proc/{}/{name}", self.pid());
        if geteuid().is_root() {
            fs::write(file("uid_map"), identity("/proc/self/uid_map")?)?;
            return fs::write(file("gid_map"), identity("/proc/self/gid_map")?);
        }
        fs::write(file("setgroups"), "deny")?;
        fs::write(file("uid_map"), format!("0 {} 1", geteuid().as_raw()))?;
        let group = rustix::process::getegid().as_raw();
        fs::write(file("gid_map"), format!("0 {group} 1"))
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The map that maps every number of the caller's namespace to itself.
fn identity(map: &str) -> io::Result<String> {
    let lines = fs::read_to_string(map)?;
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let first = fields.next()?;
        Some(format!("{first} {first} {}\n", fields.nth(1)?))
    };
    Ok(lines.lines().filter_map(line).collect())
}
