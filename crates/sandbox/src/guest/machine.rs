//! The state a guest's connections share: whether it runs, how to get
//! inside, whom to let in; and the power switch.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use russh::keys::PublicKey;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    BootSpec,
    confinement::{Holder, Plan, Stopped},
    exec,
    net::Listeners,
    rootfs::RootView,
    server,
};

/// The way into a running machine.
#[derive(Clone)]
pub(crate) enum Inside {
    Namespaces(Arc<Holder>),
    Scripted(PathBuf),
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Inside::Namespaces(_) => "Namespaces",
            Inside::Scripted(_) => "Scripted",
        })
    }
}

impl Inside {
    pub(crate) fn view(&self) -> io::Result<RootView> {
        match self {
            Inside::Namespaces(holder) => RootView::open(&holder.root()),
            Inside::Scripted(root) => RootView::open(root),
        }
    }
}

/// A period between two starts: what runs now and how to end it.
#[derive(Debug, Default)]
struct Run {
    inside: Option<Inside>,
    stop: CancellationToken,
    off: bool,
}

/// One machine, as its SSH server and its supervisor know it.
#[derive(Debug)]
pub(crate) struct Machine {
    instance_id: String,
    password: Option<String>,
    ssh: Arc<russh::server::Config>,
    run: Mutex<Run>,
    power: watch::Sender<bool>,
    connected: watch::Sender<bool>,
    listeners: Listeners,
}

impl Machine {
    /// Takes over a machine that was just started: prepares its disk, runs
    /// its user data and supervises it.
    pub(crate) fn start(
        spec: &BootSpec,
        inside: Inside,
        plan: Option<Plan>,
    ) -> io::Result<Arc<Machine>> {
        authorize(&inside.view()?, &spec.authorized_keys)?;
        let machine = Arc::new(Machine {
            instance_id: spec.instance_id.clone(),
            password: spec.password.clone(),
            ssh: server::config(spec.password.is_some())?,
            run: Mutex::default(),
            power: watch::Sender::new(true),
            connected: watch::Sender::new(false),
            listeners: Listeners::default(),
        });
        machine.lock().inside = Some(inside.clone());
        if let (Inside::Namespaces(holder), Some(plan)) = (inside, plan) {
            run_user_data(&holder, spec.user_data.as_deref())?;
            tokio::spawn(supervise(Arc::downgrade(&machine), holder, plan));
        }
        Ok(machine)
    }

    pub(crate) fn instance_id(&self) -> &str {
        &self.instance_id
    }

    pub(crate) fn ssh(&self) -> Arc<russh::server::Config> {
        Arc::clone(&self.ssh)
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The way in and the token that ends with it; `None` while nothing runs.
    pub(crate) fn inside(&self) -> Option<(Inside, CancellationToken)> {
        let run = self.lock();
        Some((run.inside.clone()?, run.stop.clone()))
    }

    pub(crate) fn accepts_password(&self, password: &str) -> bool {
        self.password.as_deref() == Some(password)
    }

    /// Whether the `authorized_keys` on the disk, as it is now, has this key.
    pub(crate) async fn authorizes(&self, key: &PublicKey) -> bool {
        let Some((inside, _)) = self.inside() else {
            return false;
        };
        let key = key.clone();
        let check = spawn_blocking(move || {
            let content = inside.view()?.read(Path::new(AUTHORIZED_KEYS))?;
            io::Result::Ok(lists(&String::from_utf8_lossy(&content), &key))
        });
        matches!(check.await, Ok(Ok(true)))
    }

    /// Ends everything and stays off. Blocks until the processes are gone.
    pub(crate) fn power_off(&self) {
        let inside = {
            let mut run = self.lock();
            run.off = true;
            run.stop.cancel();
            run.inside.take()
        };
        if let Some(Inside::Namespaces(holder)) = inside {
            holder.kill();
        }
        self.listeners.cancel();
        self.power.send_replace(false);
    }

    pub(crate) fn powered_off(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut power = self.power.subscribe();
        async move {
            // An error means that the machine is gone, which is off too.
            let _ = power.wait_for(|on| !on).await;
        }
    }

    pub(crate) fn note_connection(&self) {
        self.connected.send_replace(true);
    }

    pub(crate) fn connected(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut connected = self.connected.subscribe();
        async move {
            if connected.wait_for(|seen| *seen).await.is_err() {
                // The machine is gone, and nobody will ever connect.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends the current run after its processes ended. Returns whether
    /// another may follow.
    fn ended(&self) -> bool {
        let mut run = self.lock();
        run.inside = None;
        std::mem::take(&mut run.stop).cancel();
        !run.off
    }

    /// Begins another run, unless the machine was switched off meanwhile.
    fn begin(&self, holder: &Arc<Holder>) -> bool {
        let mut run = self.lock();
        if !run.off {
            run.inside = Some(Inside::Namespaces(Arc::clone(holder)));
        }
        !run.off
    }

    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows a machine through its restarts until it is off.
async fn supervise(machine: Weak<Machine>, mut holder: Arc<Holder>, plan: Plan) {
    loop {
        let stopped = holder.stopped().await;
        let Some(machine) = machine.upgrade() else {
            return;
        };
        let again = machine.ended() && stopped == Stopped::Restart;
        let restarted = if again { restart(&plan).await } else { None };
        match restarted {
            Some(next) if machine.begin(&next) => holder = next,
            _ => return machine.power_off(),
        }
    }
}

async fn restart(plan: &Plan) -> Option<Arc<Holder>> {
    let plan = plan.clone();
    let started = spawn_blocking(move || {
        let holder = Holder::start(&plan)?;
        RootView::open(&holder.root())?.write(Path::new(FINISHED), b"", 0o644)?;
        io::Result::Ok(Arc::new(holder))
    });
    match started.await {
        Ok(Ok(holder)) => Some(holder),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a guest did not come back from its restart");
            None
        }
        Err(_) => None,
    }
}

const AUTHORIZED_KEYS: &str = "/root/.ssh/authorized_keys";
const USER_DATA: &str = "/var/lib/cloud/instance/user-data.txt";
const FINISHED: &str = "/run/cloud-init/finished";

/// Adds the keys that are not in the file yet.
fn authorize(view: &RootView, keys: &[String]) -> io::Result<()> {
    let file = Path::new(AUTHORIZED_KEYS);
    view.create_dir_all(Path::new("/root/.ssh"), 0o700)?;
    let present = view.read(file).unwrap_or_default();
    let mut content = String::from_utf8_lossy(&present).into_owned();
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    for key in keys {
        if !content.lines().any(|line| line.trim() == key.trim()) {
            content.push_str(key.trim());
            content.push('\n');
        }
    }
    view.write(file, content.as_bytes(), 0o600)
}

/// Whether an `authorized_keys` file has the key, with options or without.
fn lists(content: &str, key: &PublicKey) -> bool {
    let parse = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words
            .windows(2)
            .find_map(|pair| PublicKey::from_openssh(&pair.join(" ")).ok())
    };
    content
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(parse)
        .any(|listed| listed.key_data() == key.key_data())
}

/// Starts user data in the background; its output goes where cloud-init's
/// goes.
fn run_user_data(holder: &Arc<Holder>, user_data: Option<&[u8]>) -> io::Result<()> {
    let view = RootView::open(&holder.root())?;
    let Some(script) = user_data.filter(|data| data.starts_with(b"#!")) else {
        return view.write(Path::new(FINISHED), b"", 0o644);
    };
    view.create_dir_all(Path::new("/var/lib/cloud/instance"), 0o755)?;
    view.write(Path::new(USER_DATA), script, 0o700)?;
    let run = format!("cd / && {USER_DATA} >>/var/log/cloud-init-output.log 2>&1; : >{FINISHED}");
    let mut child = holder
        .command()?
        .args(["/bin/sh", "-c", &run])
        .envs(exec::login_environment())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Waiting reaps the process; how the script ended is in its log.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

#[cfg(test)]
mod tests {
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    fn key() -> PublicKey {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        key.public_key().clone()
    }

    #[test]
    fn authorized_keys_lines() {
        let key = key();
        let line = key.to_openssh().unwrap();
        for (content, expected) in [
            (line.clone(), true),
            (format!("\n# a\n  {line} someone@host\n"), true),
            (format!("no-pty,command=\"a b\" {line}"), true),
            (format!("# {line}"), false),
            (self::key().to_openssh().unwrap(), false),
            (String::new(), false),
        ] {
            assert_eq!(lists(&content, &key), expected, "{content}");
        }
    }

    #[test]
    fn authorize_appends_once() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("root/.ssh")).unwrap();
        let file = directory.path().join("root/.ssh/authorized_keys");
        std::fs::write(&file, "old").unwrap();
        let view = RootView::open(directory.path()).unwrap();
        for _ in 0..2 {
            authorize(&view, &["new\n".to_owned()]).unwrap();
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), "old\nnew\n");
    }
}
