//! The `qemu` builder as typed options.
//!
//! Field names and defaults are Packer's, sizes are noted where they stand.
//! Differences: temporary ports and servers are bound to this machine only,
//! an installation without communicator has no limit, and `<waitText …>`.
//! Source of facts: the documentation of Packer's QEMU plugin.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::options;
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::decode::OptionSpec;
use crate::template::source::Spanned;

pub mod boot_command;
pub mod checksum;
pub mod checksum_file;
mod disk;
mod machine;
mod media;
mod screen;
pub mod source;
#[cfg(test)]
mod tests;

use checksum::Checksum;

/// The tables of a builder block, with the communicator's.
pub const OPTIONS: &[&[OptionSpec]] = &[options::qemu::OPTIONS, options::communicator::OPTIONS];

/// Options whose templates are rendered when the machine runs.
pub const LATE: &[&str] = &["boot_command", "boot_steps", "qemuargs", "qemuargs_append"];

/// What the command line and the build add to a builder block.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults<'a> {
    /// The build's name.
    pub build: &'a str,
    /// `-force`.
    pub force: bool,
}

/// Reads a builder block. Problems become diagnostics; then the result is not
/// fit for use.
pub fn read(reader: &mut Reader<'_, '_>, defaults: Defaults<'_>) -> Qemu {
    if reader.text("ssh_keypair_name").is_some() {
        let what = "has no effect: it names a key pair of ECS";
        reader.warning("ssh_keypair_name", what, "Remove it");
    }
    let source = source::read(reader);
    let disks = disk::read(reader, &source, defaults);
    let network = machine::network(reader);
    Qemu {
        http: media::http(reader, network.bridge.is_some()),
        screen: screen::read(reader),
        boot: screen::boot(reader),
        cd: media::cd(reader),
        floppy: media::floppy(reader),
        machine: machine::read(reader),
        firmware: machine::firmware(reader),
        shutdown: machine::shutdown(reader),
        source,
        disks,
        network,
    }
}

/// Everything the builder needs.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// What the machine boots.
    pub source: Source,
    /// Processors, memory, and QEMU itself.
    pub machine: Machine,
    /// The disks and where they go.
    pub disks: Disks,
    /// BIOS, UEFI, TPM.
    pub firmware: Firmware,
    /// The network card.
    pub network: Network,
    /// Screen, VNC and control socket.
    pub screen: Screen,
    /// What is typed.
    pub boot: Boot,
    /// The second CD.
    pub cd: Cd,
    /// The floppy.
    pub floppy: Floppy,
    /// The server the guest can read from.
    pub http: Http,
    /// How the machine is switched off.
    pub shutdown: Shutdown,
}

/// What the machine boots.
#[derive(Debug, Clone)]
pub struct Source {
    /// `iso_url` or `iso_urls`.
    pub urls: Vec<Spanned<String>>,
    /// `iso_checksum`.
    pub checksum: Checksum,
    /// `iso_target_path`.
    pub target_path: Option<PathBuf>,
    /// `iso_target_extension`.
    pub target_extension: String,
    /// `iso_skip_cache`.
    pub skip_cache: bool,
    /// `disk_image`: a disk, not an ISO.
    pub disk_image: bool,
}

/// Processors, memory, and QEMU itself.
#[derive(Debug, Clone)]
pub struct Machine {
    /// `qemu_binary`.
    pub binary: Spanned<String>,
    /// `accelerator`, when written.
    pub accelerator: Option<Accelerator>,
    /// `machine_type`.
    pub kind: String,
    /// `cpu_model`.
    pub cpu_model: Option<String>,
    /// `cpus`, 0 when unset.
    pub cpus: u32,
    /// `sockets`, 0 when unset.
    pub sockets: u32,
    /// `cores`, 0 when unset.
    pub cores: u32,
    /// `threads`, 0 when unset.
    pub threads: u32,
    /// `memory` in MiB.
    pub memory_mib: u32,
    /// `qemuargs`, not yet rendered.
    pub arguments: Vec<Vec<String>>,
    /// `qemuargs_append`, not yet rendered.
    pub appended_arguments: Vec<Vec<String>>,
}

/// What runs the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// Linux.
    Kvm,
    /// QEMU's own translator, everywhere and slow.
    Tcg,
    /// Xen.
    Xen,
    /// Intel's on macOS and Windows.
    Hax,
    /// Apple's.
    Hvf,
    /// Microsoft's.
    Whpx,
    /// QEMU's default.
    None,
}

/// The disks and where they go.
#[derive(Debug, Clone)]
pub struct Disks {
    /// `output_directory`.
    pub output_directory: Spanned<PathBuf>,
    /// `vm_name`.
    pub vm_name: String,
    /// `-force`: replace the directory.
    pub force: bool,
    /// `disk_size` as qemu-img takes it.
    pub size: String,
    /// `disk_additional_size` as qemu-img takes it.
    pub additional_sizes: Vec<String>,
    /// `format`.
    pub format: Format,
    /// `disk_interface`.
    pub interface: Interface,
    /// `disk_cache`.
    pub cache: &'static str,
    /// `disk_discard`.
    pub discard: &'static str,
    /// `disk_detect_zeroes`.
    pub detect_zeroes: &'static str,
    /// `disk_compression`.
    pub compression: bool,
    /// `skip_compaction`, with its default worked out.
    pub skip_compaction: bool,
    /// `use_backing_file`.
    pub use_backing_file: bool,
    /// `skip_resize_disk`.
    pub skip_resize: bool,
    /// `qemu_img_args`.
    pub image_arguments: ImageArguments,
}

/// Format of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// QEMU's own.
    #[default]
    Qcow2,
    /// The bytes of the disk.
    Raw,
}

impl Format {
    /// As QEMU writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}

/// How disks and CDs are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// IDE.
    Ide,
    /// SATA.
    Sata,
    /// SCSI.
    Scsi,
    /// SD card.
    Sd,
    /// virtio-blk.
    Virtio,
    /// SCSI over virtio.
    VirtioScsi,
}

impl Interface {
    /// As templates write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ide => "ide",
            Self::Sata => "sata",
            Self::Scsi => "scsi",
            Self::Sd => "sd",
            Self::Virtio => "virtio",
            Self::VirtioScsi => "virtio-scsi",
        }
    }
}

/// Further arguments of qemu-img.
#[derive(Debug, Clone, Default)]
pub struct ImageArguments {
    /// Of `create`.
    pub create: Vec<String>,
    /// Of `convert`.
    pub convert: Vec<String>,
    /// Of `resize`.
    pub resize: Vec<String>,
}

/// BIOS, UEFI, TPM.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// `firmware`.
    pub file: Option<PathBuf>,
    /// `use_pflash`.
    pub use_pflash: bool,
    /// UEFI, when wanted.
    pub efi: Option<Efi>,
    /// TPM, when wanted.
    pub tpm: Option<Tpm>,
}

/// UEFI.
#[derive(Debug, Clone)]
pub struct Efi {
    /// `efi_firmware_code`; detected when absent.
    pub code: Option<PathBuf>,
    /// `efi_firmware_vars`; detected when absent.
    pub vars: Option<PathBuf>,
    /// `efi_drop_efivars`.
    pub drop_efivars: bool,
}

/// TPM.
#[derive(Debug, Clone)]
pub struct Tpm {
    /// `use_tpm1`.
    pub version_1: bool,
    /// `tpm_device_type`.
    pub device: String,
}

/// The network card.
#[derive(Debug, Clone)]
pub struct Network {
    /// `net_device`.
    pub device: String,
    /// `net_bridge`.
    pub bridge: Option<Spanned<String>>,
    /// `host_port_min` and `host_port_max`.
    pub host_ports: Ports,
    /// `skip_nat_mapping`.
    pub skip_nat_mapping: bool,
}

/// Ports of this machine to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The lowest.
    pub low: u16,
    /// The highest.
    pub high: u16,
}

/// Screen, VNC and control socket.
#[derive(Debug, Clone)]
pub struct Screen {
    /// `headless`.
    pub headless: bool,
    /// `display`.
    pub display: Option<String>,
    /// `use_default_display`.
    pub use_default_display: bool,
    /// `vga`.
    pub vga: Option<String>,
    /// `vnc_bind_address`.
    pub vnc_address: IpAddr,
    /// `vnc_port_min` and `vnc_port_max`.
    pub vnc_ports: Ports,
    /// `vnc_use_password` with `vnc_password`, if that is written.
    pub vnc_password: Option<VncPassword>,
    /// `disable_vnc`.
    pub disable_vnc: bool,
    /// `qmp_enable` with `qmp_socket_path`, if that is written.
    pub qmp_socket: Option<QmpSocket>,
}

/// How VNC is protected.
#[derive(Debug, Clone)]
pub enum VncPassword {
    /// By a password made for the build.
    Random,
    /// By this one.
    Given(Secret),
}

/// Where the control socket is for others to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QmpSocket {
    /// Packer's place in the output directory.
    InOutputDirectory,
    /// `qmp_socket_path`.
    At(PathBuf),
}

/// What is typed, and when.
#[derive(Debug, Clone)]
pub struct Boot {
    /// `boot_wait` with its default worked out.
    pub wait: Duration,
    /// `boot_key_interval`, when written.
    pub key_interval: Option<Duration>,
    /// `boot_command` or `boot_steps`, not yet rendered.
    pub steps: Vec<BootStep>,
}

/// A part of what is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootStep {
    /// The keys, not yet rendered.
    pub command: Spanned<String>,
    /// What it does, for people.
    pub description: Option<String>,
}

/// The second CD.
#[derive(Debug, Clone)]
pub struct Cd {
    /// `cdrom_interface`, of the ISO too.
    pub interface: Option<Interface>,
    /// `cd_files`.
    pub files: Vec<Spanned<String>>,
    /// `cd_content`.
    pub content: BTreeMap<String, String>,
    /// `cd_label`.
    pub label: String,
}

/// The floppy.
#[derive(Debug, Clone)]
pub struct Floppy {
    /// `floppy_files`.
    pub files: Vec<Spanned<String>>,
    /// `floppy_dirs`.
    pub directories: Vec<Spanned<String>>,
    /// `floppy_content`.
    pub content: BTreeMap<String, String>,
    /// `floppy_label`.
    pub label: String,
}

impl Cd {
    /// Whether there is one.
    pub fn is_wanted(&self) -> bool {
        !self.files.is_empty() || !self.content.is_empty()
    }
}

impl Floppy {
    /// Whether there is one.
    pub fn is_wanted(&self) -> bool {
        !(self.files.is_empty() && self.directories.is_empty() && self.content.is_empty())
    }
}

/// The server the guest can read from.
#[derive(Debug, Clone)]
pub struct Http {
    /// What it serves; no server without.
    pub content: Option<HttpContent>,
    /// `http_port_min` and `http_port_max`.
    pub ports: Ports,
    /// Where it listens.
    pub address: HttpAddress,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAddress {
    /// `http_bind_address`, with its default worked out.
    Given(IpAddr),
    /// The first address of `http_interface`.
    Interface(Spanned<String>),
}

/// What the server serves.
#[derive(Debug, Clone)]
pub enum HttpContent {
    /// `http_directory`.
    Directory(PathBuf),
    /// `http_content`.
    Files(BTreeMap<String, String>),
}

/// How the machine is switched off.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// `shutdown_command`.
    pub command: Option<Spanned<String>>,
    /// `shutdown_timeout`, when written.
    pub timeout: Option<Duration>,
}
