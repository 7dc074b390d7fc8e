//! PowerShell that really runs: the host's `pwsh`, in a confined machine.
//!
//! The disk of a Windows machine stays in memory. Before each script its drives
//! are laid out in the confined machine, where `prelude.ps1` mounts them under
//! their letters; what the script changed comes back at its end. So cmdlets find
//! `C:\…`, in the letters it was written with, but .NET's own methods do not, and
//! there is no registry and no program of Windows. Facts: about_Pwsh,
//! about_Providers. Not here: which scripts run this way (`console::powershell`).

mod drives;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;

use super::computer::Shutdown;
use super::console::Session;
use super::files::Files;
use crate::guest::{self, Confinement, Guest, Holder, Layer, RootView, login_environment};
use crate::machine::BootSpec;

/// Where a `pwsh` that a machine does not have anyway is put inside.
const COPIED: &str = "powershell";

/// The directories that machines take from the host.
const SHARED: [&str; 2] = ["/usr", "/opt"];

const PRELUDE: &str = "/windows/prelude.ps1";

/// Where the prelude's `Restart-Computer` and `Stop-Computer` say so.
const POWER: &str = "/windows/power";

/// What keeps `pwsh` from asking the network, and from colors.
const QUIET: [(&str, &str); 4] = [
    ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"),
    ("NO_COLOR", "1"),
    ("POWERSHELL_TELEMETRY_OPTOUT", "1"),
    ("POWERSHELL_UPDATECHECK", "Off"),
];

/// A script names one of these when it reads what the client sends. Others get
/// nothing: `pwsh` would wait for the end of it, which clients rarely send.
const READERS: [&str; 3] = ["$input", "[console]::in", "openstandardinput"];

/// A PowerShell and the machine it runs in, which boots with the first script.
pub(crate) struct Pwsh {
    /// On the host.
    program: PathBuf,
    spec: guest::BootSpec,
    /// Held while a script runs: they share the drives.
    guest: Mutex<Option<Guest>>,
}

impl Pwsh {
    pub(crate) fn new(program: &Path, spec: &BootSpec, time_scale: f64) -> Self {
        Self {
            program: program.to_owned(),
            spec: guest::BootSpec {
                instance_id: spec.instance_id.clone(),
                hostname: spec.hostname.clone(),
                layers: Vec::new(),
                authorized_keys: Vec::new(),
                password: None,
                rpm_family: false,
                time_scale,
                user_data: None,
                confinement: Confinement::Namespaces,
            },
            guest: Mutex::new(None),
        }
    }

    /// Runs a script as `powershell -Command` does.
    pub(crate) async fn run(&self, session: &mut Session, script: &str) -> i32 {
        match self.try_run(session, script).await {
            Ok(code) => code,
            Err(error) => {
                let line = format!("The sandbox could not run PowerShell: {error}\r\n");
                session.write_error(line.as_bytes());
                1
            }
        }
    }

    async fn try_run(&self, session: &mut Session, script: &str) -> io::Result<i32> {
        let mut guest = self.guest.lock().await;
        if guest.is_none() {
            *guest = Some(self.boot().await?);
        }
        let holder = guest.as_ref().and_then(Guest::holder);
        let holder = holder.ok_or_else(|| io::Error::other("its machine is off"))?;
        let before = session.computer().files(|files| files.clone());
        let root = holder.root();
        let prelude = self.prelude(&before, session.directory());
        let files = before.clone();
        blocking(move || {
            let view = RootView::open(&root)?;
            drives::lay_out(&view, &files)?;
            view.write(Path::new(PRELUDE), prelude.as_bytes(), 0o644)
        })
        .await?;
        let code = self.execute(session, &holder, script).await?;
        let root = holder.root();
        let (changes, power) = blocking(move || {
            let view = RootView::open(&root)?;
            let power = view.read(Path::new(POWER)).unwrap_or_default();
            Ok((drives::changes(&view, &before)?, power))
        })
        .await?;
        session.computer().files(|files| changes.apply(files));
        match power.as_slice() {
            b"restart" => drop(session.shutdown(Shutdown::Restart, Duration::ZERO)),
            b"off" => drop(session.shutdown(Shutdown::PowerOff, Duration::ZERO)),
            _ => {}
        }
        Ok(code)
    }

    async fn boot(&self) -> io::Result<Guest> {
        let mut spec = self.spec.clone();
        if let Some(directory) = self.to_copy().map(Path::to_owned) {
            let copy = blocking(move || Layer::with_copy(&directory, COPIED));
            spec.layers.push(copy.await?);
        }
        Guest::boot(spec).await
    }

    /// The program's directory, with its libraries, if it is not inside anyway.
    fn to_copy(&self) -> Option<&Path> {
        let is_shared = SHARED.iter().any(|tree| self.program.starts_with(tree));
        self.program.parent().filter(|_| !is_shared)
    }

    fn program_inside(&self) -> PathBuf {
        match self.to_copy() {
            Some(_) => {
                let name = self.program.file_name().unwrap_or_default();
                Path::new("/").join(COPIED).join(name)
            }
            None => self.program.clone(),
        }
    }

    fn prelude(&self, files: &Files, directory: &str) -> String {
        let drives = drives::of(files);
        let mounts = drives.iter().map(|(letter, root)| {
            format!(
                "New-PSDrive -Name {letter} -PSProvider FileSystem -Root '{root}' -Scope Global \
                 | Out-Null\n"
            )
        });
        include_str!("pwsh/prelude.ps1")
            .replace("@DRIVES@", &mounts.collect::<String>())
            .replace("@DIRECTORY@", &directory.replace('\'', "''"))
            .replace("@SCALE@", &format!("{:.9}", self.spec.time_scale))
            .replace("@POWER@", POWER)
    }

    async fn execute(
        &self,
        session: &mut Session,
        holder: &Holder,
        script: &str,
    ) -> io::Result<i32> {
        let lower = script.to_lowercase();
        let reads = READERS.iter().any(|reader| lower.contains(reader));
        let mut child = holder
            .command()?
            .arg(self.program_inside())
            .args(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command"])
            .arg(format!(". '{PRELUDE}'; {script}"))
            .envs(session.variables())
            .envs(login_environment())
            .envs(QUIET)
            .stdin(if reads { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let _group = Group::of(&child);
        let feeding = feed(child.stdin.take(), reads.then(|| session.take_input()));
        tokio::select! {
            never = feeding => match never {},
            followed = follow(session, &mut child) => followed?,
        }
        // Killed, it has no code.
        Ok(child.wait().await?.code().unwrap_or(1))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The processes of a script; they end with the command that started them.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // The processes may have ended by themselves.
            let _ = kill_process_group(group, Signal::HUP);
        }
    }
}

/// Hands over what the client sends, and its end. The script need not read it.
async fn feed(
    to: Option<ChildStdin>,
    from: Option<mpsc::UnboundedReceiver<Vec<u8>>>,
) -> std::convert::Infallible {
    if let (Some(mut to), Some(mut from)) = (to, from) {
        while let Some(bytes) = from.recv().await {
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// Shows what a script says until both its streams end.
async fn follow(session: &mut Session, child: &mut Child) -> io::Result<()> {
    let mut out = Lines::new(child.stdout.take());
    let mut errors = Lines::new(child.stderr.take());
    while out.is_open() || errors.is_open() {
        tokio::select! {
            text = out.next(), if out.is_open() => session.write(&text?),
            text = errors.next(), if errors.is_open() => session.write_error(&text?),
        }
    }
    Ok(())
}

/// A stream whose lines end as they do on Windows.
struct Lines<R> {
    from: Option<R>,
    last: u8,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(from: Option<R>) -> Self {
        Self { from, last: 0 }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some(from) = &mut self.from else {
            return Ok(Vec::new());
        };
        let mut buffer = [0; 8192];
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            self.from = None;
        }
        Ok(self.converted(&buffer[..count]))
    }

    fn converted(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len() + 16);
        for byte in bytes {
            if *byte == b'\n' && self.last != b'\r' {
                text.push(b'\r');
            }
            text.push(*byte);
            self.last = *byte;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_on_windows_wherever_they_are_cut() {
        let mut lines = Lines::new(None::<&[u8]>);
        let parts = [b"a\nb\r".as_slice(), b"\nc", b"\n"];
        let text: Vec<u8> = parts
            .iter()
            .flat_map(|part| lines.converted(part))
            .collect();
        assert_eq!(text, b"a\r\nb\r\nc\r\n");
    }
}
