//! Options of `qemu`: a virtual machine on this machine becomes a disk image.

use super::{K, OptionSpec, defaulted, ignored, option, renamed};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    // What it boots.
    option(
        "iso_url",
        K::String,
        "ISO (or, with `disk_image`, disk) to boot: `http(s)://…`, `file://…` or a path; either this or `iso_urls`.",
    ),
    option(
        "iso_urls",
        K::StringList,
        "Several places of the same ISO, tried in order.",
    ),
    option(
        "iso_checksum",
        K::String,
        "Its digest: `sha256:HEX` (also `md5`, `sha1`, `sha512`, or the digits alone), `file:URL` of a checksum file, or `none`; required.",
    ),
    option(
        "iso_target_path",
        K::Path,
        "Where a download goes: a file, or a directory when the name has no extension; by default the cache: `PACKER_CACHE_DIR`, else `packer` in `XDG_CACHE_HOME` or `~/.cache`.",
    ),
    defaulted(
        "iso_target_extension",
        K::String,
        "iso",
        "Extension of a download in the cache.",
    ),
    defaulted(
        "iso_skip_cache",
        K::Bool,
        "false",
        "Let QEMU read the ISO from its URL while it runs; the checksum is not verified then.",
    ),
    defaulted(
        "disk_image",
        K::Bool,
        "false",
        "`iso_url` is a bootable disk, not an ISO.",
    ),
    defaulted(
        "use_backing_file",
        K::Bool,
        "false",
        "Write only the differences to `iso_url`; needs `disk_image` and `format: qcow2`.",
    ),
    defaulted(
        "skip_resize_disk",
        K::Bool,
        "false",
        "Keep the size of the disk; needs `disk_image`.",
    ),
    // The machine.
    option(
        "accelerator",
        K::String,
        "`kvm`, `tcg`, `xen`, `hax`, `hvf`, `whpx` or `none`; by default `kvm` when a trial shows that it works, else `tcg`.",
    ),
    defaulted(
        "machine_type",
        K::String,
        "pc",
        "Machine type (`-machine`).",
    ),
    option("cpu_model", K::String, "Processor model (`-cpu`)."),
    option("cpus", K::Int, "Number of processors; 1 by default."),
    option("sockets", K::Int, "Number of sockets."),
    option("cores", K::Int, "Cores per socket."),
    option("threads", K::Int, "Threads per core."),
    defaulted("memory", K::Int, "512", "Memory in MiB, 10 or more."),
    defaulted(
        "qemu_binary",
        K::String,
        "qemu-system-x86_64",
        "QEMU to run, looked up in `PATH` when it has no slash.",
    ),
    option(
        "qemuargs",
        K::StringLists,
        "Arguments of QEMU, each a list of a switch and its value in pieces; a switch replaces every default with the same switch.",
    ),
    option(
        "qemuargs_append",
        K::StringLists,
        "As `qemuargs`, but no default is replaced. Not an option of Packer.",
    ),
    // Its disks.
    defaulted(
        "disk_size",
        K::String,
        "40960M",
        "Size of the disk: digits and one of `b`, `k`, `m`, `g`, `t`; MiB without one.",
    ),
    option(
        "disk_additional_size",
        K::StringList,
        "Sizes of further disks, each with a unit as `disk_size`; bytes without one.",
    ),
    defaulted(
        "format",
        K::String,
        "qcow2",
        "Format of the disks: `qcow2` or `raw`.",
    ),
    defaulted(
        "disk_interface",
        K::String,
        "virtio",
        "`ide`, `sata`, `scsi`, `sd`, `virtio` or `virtio-scsi`.",
    ),
    defaulted(
        "disk_cache",
        K::String,
        "writeback",
        "`writethrough`, `writeback`, `none`, `unsafe` or `directsync`.",
    ),
    defaulted("disk_discard", K::String, "ignore", "`unmap` or `ignore`."),
    defaulted(
        "disk_detect_zeroes",
        K::String,
        "off",
        "`unmap`, `on` or `off`.",
    ),
    defaulted(
        "disk_compression",
        K::Bool,
        "false",
        "Compress the disk at the end; only `qcow2`.",
    ),
    option(
        "skip_compaction",
        K::Bool,
        "Do not rewrite the disk at the end; by default `true` for `raw` and with `use_backing_file`.",
    ),
    option(
        "qemu_img_args",
        K::Object,
        "Further arguments of `qemu-img`, in the lists `create`, `convert` and `resize`.",
    ),
    option(
        "output_directory",
        K::Path,
        "Where the disks go; must not exist without `-force`. By default `output-` and the build's name.",
    ),
    option(
        "vm_name",
        K::String,
        "Name of the machine and of its disk's file; by default `packer-` and the build's name.",
    ),
    // Firmware.
    option(
        "firmware",
        K::Path,
        "BIOS file (`-bios`), or flash with `use_pflash`.",
    ),
    defaulted(
        "use_pflash",
        K::Bool,
        "false",
        "Use `firmware` as read-only flash.",
    ),
    defaulted(
        "efi_boot",
        K::Bool,
        "false",
        "Boot by UEFI; also set by `efi_firmware_code` and `efi_firmware_vars`.",
    ),
    option(
        "efi_firmware_code",
        K::Path,
        "UEFI code; by default the distribution's OVMF.",
    ),
    option(
        "efi_firmware_vars",
        K::Path,
        "UEFI variables, copied for the machine; by default those that belong to the code.",
    ),
    defaulted(
        "efi_drop_efivars",
        K::Bool,
        "false",
        "Leave `efivars.fd` out of the artifact and delete it.",
    ),
    defaulted(
        "vtpm",
        K::Bool,
        "false",
        "Give the machine a TPM; needs `swtpm`.",
    ),
    defaulted("use_tpm1", K::Bool, "false", "The TPM is of version 1.2."),
    defaulted(
        "tpm_device_type",
        K::String,
        "tpm-tis",
        "Device of the TPM.",
    ),
    // Network.
    defaulted(
        "net_device",
        K::String,
        "virtio-net",
        "Device of the network card.",
    ),
    option(
        "net_bridge",
        K::String,
        "Bridge of this machine to attach to, instead of user-mode networking.",
    ),
    defaulted(
        "host_port_min",
        K::Int,
        "2222",
        "Lowest port of this machine that leads to the guest's SSH.",
    ),
    defaulted(
        "host_port_max",
        K::Int,
        "4444",
        "One more than the highest such port.",
    ),
    renamed("ssh_host_port_min", K::Int, "host_port_min"),
    renamed("ssh_host_port_max", K::Int, "host_port_max"),
    defaulted(
        "skip_nat_mapping",
        K::Bool,
        "false",
        "Choose no port: connect to `ssh_port` of 127.0.0.1, which `qemuargs` must forward.",
    ),
    // Screen and keyboard.
    defaulted("headless", K::Bool, "false", "Show no window."),
    option(
        "display",
        K::String,
        "QEMU's display when not `headless`; `gtk` by default where there is a screen.",
    ),
    defaulted(
        "use_default_display",
        K::Bool,
        "false",
        "Leave the display to QEMU.",
    ),
    option("vga", K::String, "Graphics card (`-vga`)."),
    defaulted(
        "vnc_bind_address",
        K::String,
        "127.0.0.1",
        "Address QEMU's VNC server listens on.",
    ),
    defaulted(
        "vnc_port_min",
        K::Int,
        "5900",
        "Lowest VNC port, 5900 or more.",
    ),
    defaulted(
        "vnc_port_max",
        K::Int,
        "6000",
        "One more than the highest VNC port.",
    ),
    defaulted(
        "vnc_use_password",
        K::Bool,
        "false",
        "Protect VNC by a password.",
    ),
    option(
        "vnc_password",
        K::Secret,
        "That password, at most 8 characters; random by default.",
    ),
    defaulted("disable_vnc", K::Bool, "false", "Do not type by VNC."),
    defaulted(
        "qmp_enable",
        K::Bool,
        "false",
        "Put QEMU's control socket at `qmp_socket_path`.",
    ),
    option(
        "qmp_socket_path",
        K::Path,
        "That socket; by default `<vm_name>.monitor` in the output directory.",
    ),
    option(
        "boot_command",
        K::StringList,
        "What to type when the machine has started: text, `<enter>`, `<wait5>`, `<leftCtrlOn>`, `<waitText \"boot:\">` and so on.",
    ),
    option(
        "boot_steps",
        K::StringLists,
        "`boot_command` in steps, each a list of the keys and a description.",
    ),
    option(
        "boot_wait",
        K::Duration,
        "Wait before typing: 10 seconds by default, none when `boot_command` begins with `<waitText`; negative for none.",
    ),
    option(
        "boot_key_interval",
        K::Duration,
        "Wait after each press and each release of a key; by default the environment's `PACKER_KEY_INTERVAL`, else 20ms.",
    ),
    ignored(
        "boot_keygroup_interval",
        K::Duration,
        "typing by VNC never used it",
    ),
    // What the guest can read.
    option(
        "cdrom_interface",
        K::String,
        "`ide`, `scsi`, `virtio` or `virtio-scsi`; by default QEMU decides.",
    ),
    option(
        "cd_files",
        K::StringList,
        "Files, directories and patterns on a second CD.",
    ),
    option(
        "cd_content",
        K::StringMap,
        "Files on that CD: paths to contents.",
    ),
    defaulted(
        "cd_label",
        K::String,
        "packer",
        "Label of that CD; cloud-init looks for `cidata`.",
    ),
    option(
        "floppy_files",
        K::StringList,
        "Files and patterns on a floppy, all in its root.",
    ),
    option(
        "floppy_dirs",
        K::StringList,
        "Directories on the floppy, with what is in them.",
    ),
    option(
        "floppy_content",
        K::StringMap,
        "Files on the floppy: paths to contents.",
    ),
    defaulted("floppy_label", K::String, "packer", "Label of the floppy."),
    option(
        "http_directory",
        K::Path,
        "Directory the guest can read at `http://{{.HTTPIP}}:{{.HTTPPort}}/`.",
    ),
    option(
        "http_content",
        K::StringMap,
        "Files the guest can read there: paths that begin with `/` to contents.",
    ),
    defaulted(
        "http_port_min",
        K::Int,
        "8000",
        "Lowest port of that server.",
    ),
    defaulted(
        "http_port_max",
        K::Int,
        "9000",
        "Highest port of that server.",
    ),
    option(
        "http_bind_address",
        K::String,
        "Address that server listens on; by default 127.0.0.1, which the guest reaches as 10.0.2.2, and 0.0.0.0 with `net_bridge`.",
    ),
    option(
        "http_interface",
        K::String,
        "Network interface whose first address that server listens on, instead of `http_bind_address`.",
    ),
    ignored("http_network_protocol", K::String, "the server speaks TCP"),
    // The end.
    option(
        "shutdown_command",
        K::String,
        "Command that switches the guest off; without it the machine is switched off by its power button, then by force.",
    ),
    option(
        "shutdown_timeout",
        K::Duration,
        "Limit for the guest to be off after `shutdown_command`, 5m by default; with `communicator: none` the limit for the whole installation, none by default.",
    ),
    ignored("run_once", K::Bool, "it never had an effect"),
];

/// The lists in `qemu_img_args`.
pub const QEMU_IMG_ARGS: &[OptionSpec] = &[
    option("create", K::StringList, "Arguments of `qemu-img create`."),
    option("convert", K::StringList, "Arguments of `qemu-img convert`."),
    option("resize", K::StringList, "Arguments of `qemu-img resize`."),
];
