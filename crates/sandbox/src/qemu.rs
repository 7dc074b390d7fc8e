//! QEMU behind instances whose image was imported: the object that ImportImage
//! read is the disk that boots. Every other image goes to another host.
//!
//! A disk is a chain of files: the object, and for each boot a qcow2 overlay on
//! top of what was there. Files below the top are never written again, so that
//! images and snapshots are free. Nothing is put into the guest: it learns its
//! key pair as on ECS, from [`crate::metadata`]. Not here: UEFI, and passwords,
//! which ECS sets with an agent inside.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::{TempDir, TempPath};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::imported::ImportedDisk;
use crate::machine::{BootSpec, BoxFuture, DiskImage, Machine, MachineHost};
use crate::metadata;

/// Port of the SSH server inside.
const GUEST_PORT: u16 = 22;

/// How long QEMU may take to open its monitor.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long the monitor may take to answer.
const MONITOR_LIMIT: Duration = Duration::from_secs(20);

/// Boots imported disks in QEMU and everything else elsewhere.
pub struct Qemu {
    /// What boots public images.
    pub others: Arc<dyn MachineHost>,
    /// Memory of a machine in MiB.
    pub memory: u32,
    /// How long a guest may take to shut down before it is switched off.
    pub grace: Duration,
}

/// A chain of files; the first one is the imported object.
#[derive(Clone)]
struct Chain {
    base: ImportedDisk,
    overlays: Vec<Arc<TempPath>>,
}

struct QemuMachine {
    chain: Mutex<Chain>,
    monitor: Arc<Mutex<Monitor>>,
    off: watch::Receiver<bool>,
    grace: Duration,
    listening: Mutex<Vec<SocketAddr>>,
    directory: TempDir,
}

impl Qemu {
    /// QEMU with half a GiB of memory, which gives a guest half a minute to
    /// shut down.
    pub fn new(others: Arc<dyn MachineHost>) -> Self {
        Self {
            others,
            memory: 512,
            grace: Duration::from_secs(30),
        }
    }

    async fn start(&self, spec: &BootSpec, chain: Chain) -> io::Result<QemuMachine> {
        let directory = tempfile::Builder::new().prefix("sandbox-qemu-").tempdir()?;
        let chain = chain.grow().await?;
        let socket = directory.path().join("monitor");
        let child = self.spawn(spec, chain.top()?, &socket, directory.path())?;
        let (sender, off) = watch::channel(false);
        tokio::spawn(watch_exit(child, sender));
        let monitor = open_monitor(socket, off.clone()).await;
        let monitor = monitor.map_err(|error| explain(&error, directory.path()))?;
        Ok(QemuMachine {
            chain: Mutex::new(chain),
            monitor: Arc::new(Mutex::new(monitor)),
            off,
            grace: self.grace,
            listening: Mutex::default(),
            directory,
        })
    }

    fn spawn(
        &self,
        spec: &BootSpec,
        disk: &Path,
        socket: &Path,
        place: &Path,
    ) -> io::Result<Child> {
        let file = |name: &str| std::fs::File::create(place.join(name));
        Command::new("qemu-system-x86_64")
            .args(["-name", &spec.instance_id])
            .args(["-no-user-config", "-nodefaults"])
            // KVM that can be opened may still run nothing; emulation always does.
            .args(["-machine", "pc,accel=tcg", "-cpu", "max"])
            .arg("-smbios")
            .arg(format!("type=1,product={}", metadata::PRODUCT))
            .args(["-m", &self.memory.to_string()])
            .args(["-display", "none", "-vga", "std"])
            .arg("-serial")
            .arg(join("file:", &place.join("serial")))
            .arg("-drive")
            .arg(join("if=virtio,id=system,format=qcow2,file=", disk))
            .args(["-netdev", &metadata::serve(spec, place)?])
            .args(["-device", "virtio-net-pci,netdev=net"])
            .args(["-device", "virtio-rng-pci"])
            .arg("-qmp")
            .arg(join("unix:", socket) + ",server=on,wait=off")
            .stdin(Stdio::null())
            .stdout(file("output")?)
            .stderr(file("errors")?)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Temporary paths are plain text on every system this runs on.
fn join(prefix: &str, path: &Path) -> String {
    format!("{prefix}{}", path.display())
}

async fn watch_exit(mut child: Child, off: watch::Sender<bool>) {
    if let Err(error) = child.wait().await {
        tracing::error!(%error, "QEMU cannot be waited for");
    }
    off.send_replace(true);
}

/// QEMU's own words are the best explanation.
fn explain(error: &io::Error, directory: &Path) -> io::Error {
    let said = std::fs::read_to_string(directory.join("errors")).unwrap_or_default();
    io::Error::new(
        error.kind(),
        format!("QEMU did not start: {error}: {}", said.trim()),
    )
}

impl MachineHost for Qemu {
    fn boot(&self, spec: BootSpec) -> BoxFuture<'_, io::Result<Arc<dyn Machine>>> {
        let Some(chain) = spec.disk.as_ref().and_then(Chain::of) else {
            return self.others.boot(spec);
        };
        Box::pin(async move {
            let machine = self.start(&spec, chain).await?;
            Ok(Arc::new(machine) as Arc<dyn Machine>)
        })
    }
}

impl Chain {
    fn of(disk: &DiskImage) -> Option<Self> {
        if let Some(chain) = disk.get::<Self>() {
            return Some(chain.clone());
        }
        let base = disk.get::<ImportedDisk>()?.clone();
        Some(Self {
            base,
            overlays: Vec::new(),
        })
    }

    fn top(&self) -> io::Result<&Path> {
        match self.overlays.last() {
            Some(overlay) => Ok(overlay),
            None => self.base.file(),
        }
    }

    /// With a new overlay on top.
    async fn grow(mut self) -> io::Result<Self> {
        let format = match self.overlays.is_empty() {
            true => self.base.format.driver(),
            false => "qcow2",
        };
        let chain = self.clone();
        let below = tokio::task::spawn_blocking(move || chain.top().map(Path::to_owned));
        let below = below.await.map_err(io::Error::other)??;
        let overlay = new_overlay()?;
        let created = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
            .arg(&below)
            .arg(&*overlay)
            .stdin(Stdio::null())
            .output()
            .await?;
        if !created.status.success() {
            let said = String::from_utf8_lossy(&created.stderr);
            return Err(io::Error::other(format!("qemu-img: {}", said.trim())));
        }
        self.overlays.push(Arc::new(overlay));
        Ok(self)
    }
}

fn new_overlay() -> io::Result<TempPath> {
    let file = tempfile::Builder::new()
        .prefix("sandbox-overlay-")
        .tempfile()?;
    Ok(file.into_temp_path())
}

impl QemuMachine {
    async fn command(&self, command: Value) -> io::Result<Value> {
        let monitor = Arc::clone(&self.monitor);
        let ran = tokio::task::spawn_blocking(move || lock(&monitor).run(&command));
        ran.await.map_err(io::Error::other)?
    }

    /// A command of the human monitor, which answers nothing when all is well.
    async fn tell(&self, line: String) -> io::Result<()> {
        let arguments = json!({"command-line": line});
        let command = json!({"execute": "human-monitor-command", "arguments": arguments});
        match self.command(command).await?.as_str().map(str::trim) {
            None | Some("") => Ok(()),
            Some(text) => Err(io::Error::other(text.to_owned())),
        }
    }

    async fn wait_off(&self) {
        let mut off = self.off.clone();
        // A watcher that is gone took QEMU with it.
        let _ = off.wait_for(|off| *off).await;
    }
}

impl Machine for QemuMachine {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let forward = format!("hostfwd_add net tcp:{address}-:{GUEST_PORT}");
            self.tell(forward).await?;
            lock(&self.listening).push(address);
            Ok(())
        })
    }

    fn unlisten(&self, address: IpAddr) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let gone: Vec<SocketAddr> = {
                let mut listening = lock(&self.listening);
                listening.extract_if(.., |a| a.ip() == address).collect()
            };
            for address in gone {
                let told = self.tell(format!("hostfwd_remove net tcp:{address}")).await;
                if let Err(error) = told {
                    tracing::debug!(%error, "QEMU still listens or is off");
                }
            }
        })
    }

    fn power_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for (command, limit) in [("system_powerdown", self.grace), ("quit", MONITOR_LIMIT)] {
                if *self.off.borrow() {
                    return;
                }
                // QEMU may be gone before it answers.
                let _ = self.command(json!({"execute": command})).await;
                if tokio::time::timeout(limit, self.wait_off()).await.is_ok() {
                    return;
                }
            }
            tracing::error!(directory = %self.directory.path().display(), "QEMU does not end");
        })
    }

    fn powered_off(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.wait_off())
    }

    fn capture(&self) -> io::Result<DiskImage> {
        let captured = lock(&self.chain).clone();
        if !*self.off.borrow() {
            let overlay = new_overlay()?;
            lock(&self.monitor).run(&json!({
                "execute": "blockdev-snapshot-sync",
                "arguments": {
                    "device": "system",
                    "snapshot-file": overlay.display().to_string(),
                    "format": "qcow2",
                },
            }))?;
            lock(&self.chain).overlays.push(Arc::new(overlay));
        }
        Ok(DiskImage::new(captured))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// QEMU's machine protocol: a line of JSON each way.
struct Monitor {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

async fn open_monitor(socket: PathBuf, off: watch::Receiver<bool>) -> io::Result<Monitor> {
    let deadline = tokio::time::Instant::now() + START_LIMIT;
    loop {
        let path = socket.clone();
        let opened = tokio::task::spawn_blocking(move || Monitor::open(&path));
        let error = match opened.await.map_err(io::Error::other)? {
            Ok(monitor) => return Ok(monitor),
            Err(error) => error,
        };
        if *off.borrow() || tokio::time::Instant::now() >= deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Monitor {
    fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(MONITOR_LIMIT))?;
        let mut monitor = Self {
            lines: BufReader::new(stream.try_clone()?),
            stream,
        };
        monitor.answer("QMP")?;
        monitor.run(&json!({"execute": "qmp_capabilities"}))?;
        Ok(monitor)
    }

    fn run(&mut self, command: &Value) -> io::Result<Value> {
        writeln!(self.stream, "{command}")?;
        self.answer("return")
    }

    /// The member of the next message that has it; events are passed over.
    fn answer(&mut self, member: &str) -> io::Result<Value> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let message: Value = serde_json::from_str(&line).map_err(io::Error::other)?;
            if let Some(value) = message.get(member) {
                return Ok(value.clone());
            }
            if let Some(error) = message.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::NoMachines;
    use crate::oss::content::Store;

    /// A boot sector that copies "imported" to the second sector and then
    /// powers off or waits.
    fn boot_disk(powers_off: bool) -> ImportedDisk {
        let mut code = vec![
            0x31, 0xc0, // xor ax, ax
            0x8e, 0xd8, // mov ds, ax
            0x8e, 0xc0, // mov es, ax
            0xb8, 0x01, 0x03, // mov ax, 0301h: write one sector
            0xbb, 0x00, 0x7d, // mov bx, 7d00h
            0xb9, 0x02, 0x00, // mov cx, 2: the second one
            0x30, 0xf6, // xor dh, dh
            0xcd, 0x13, // int 13h
        ];
        match powers_off {
            // mov dx, 604h; mov ax, 2000h; out dx, ax; hlt
            true => code.extend([0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4]),
            // sti; hlt; jmp -3
            false => code.extend([0xfb, 0xf4, 0xeb, 0xfd]),
        }
        let mut disk = vec![0; 1 << 20];
        disk[..code.len()].copy_from_slice(&code);
        disk[0x100..0x108].copy_from_slice(b"imported");
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let store = Store::new().unwrap();
        let content = store.put(&disk).unwrap().content;
        let disk = ImportedDisk::inspect(&content, None).unwrap();
        disk.file().unwrap();
        disk
    }

    fn host() -> Option<Qemu> {
        let installed = |program: &str| {
            let version = std::process::Command::new(program)
                .arg("--version")
                .output();
            version.is_ok()
        };
        let all = installed("qemu-system-x86_64") && installed("qemu-img");
        all.then(|| Qemu {
            grace: Duration::ZERO,
            ..Qemu::new(Arc::new(NoMachines))
        })
    }

    async fn boot(host: &Qemu, disk: ImportedDisk) -> QemuMachine {
        let chain = Chain::of(&DiskImage::new(disk)).unwrap();
        host.start(&BootSpec::default(), chain).await.unwrap()
    }

    /// Whether the guest's write is in a captured disk.
    fn is_written(captured: &DiskImage) -> bool {
        let chain = Chain::of(captured).unwrap();
        let out = tempfile::NamedTempFile::new().unwrap();
        let converted = std::process::Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .args([chain.top().unwrap(), out.path()])
            .status();
        assert!(converted.unwrap().success());
        let disk = std::fs::read(out.path()).unwrap();
        disk[0x200..].starts_with(b"imported")
    }

    #[tokio::test]
    async fn what_a_guest_writes_is_captured_after_it_powered_off() {
        let Some(host) = host() else {
            return;
        };
        let machine = boot(&host, boot_disk(true)).await;
        let limit = Duration::from_secs(180);
        let off = tokio::time::timeout(limit, machine.powered_off()).await;
        off.expect("the boot sector powers off");
        assert!(is_written(&machine.capture().unwrap()));
    }

    #[tokio::test]
    async fn a_running_disk_is_captured_without_a_stop() {
        let Some(host) = host() else {
            return;
        };
        let machine = boot(&host, boot_disk(false)).await;
        let written = async {
            while !is_written(&machine.capture().unwrap()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let limit = Duration::from_secs(180);
        tokio::time::timeout(limit, written)
            .await
            .expect("the guest writes");
        assert!(!*machine.off.borrow());
        machine.power_off().await;
        assert!(*machine.off.borrow());
    }
}
