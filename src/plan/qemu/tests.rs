use std::fs;

use super::*;
use crate::plan::testing::{Outcome, read_in};

const BASE: &str = r#""iso_url":"https://example.com/x.iso","iso_checksum":"none""#;

fn read_text(directory: &std::path::Path, text: &str) -> Outcome<Qemu> {
    let defaults = Defaults {
        build: "vm",
        force: false,
    };
    read_in(directory, text, OPTIONS, |reader| {
        // Reading the communicator keeps its options from being unknown.
        read(reader, defaults)
    })
}

fn with(more: &str) -> Outcome<Qemu> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("there"), "x").unwrap();
    fs::create_dir(directory.path().join("output-there")).unwrap();
    let text = match more {
        "" => format!("{{{BASE}}}"),
        _ => format!("{{{BASE},{more}}}"),
    };
    let mut outcome = read_text(directory.path(), &text);
    let is_news = |line: &String| !line.contains("`iso_checksum` of `it` is `none`");
    outcome.findings.retain(is_news);
    for line in &mut outcome.findings {
        *line = line.replace(" of `it`", "").replace(" in `it`", "");
    }
    outcome
}

#[test]
fn a_minimal_block_has_packers_defaults() {
    let Outcome { read, findings, .. } = with("");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(
        read.disks.output_directory.value,
        PathBuf::from("output-vm")
    );
    assert_eq!(read.disks.vm_name, "packer-vm");
    assert_eq!(read.disks.size, "40960M");
    assert_eq!(read.disks.interface, Interface::Virtio);
    assert_eq!(read.disks.cache, "writeback");
    assert_eq!(read.machine.memory_mib, 512);
    assert_eq!(read.machine.kind, "pc");
    assert_eq!(read.machine.accelerator, None);
    assert_eq!(
        read.network.host_ports,
        Ports {
            low: 2222,
            high: 4443
        }
    );
    assert_eq!(
        read.screen.vnc_ports,
        Ports {
            low: 5900,
            high: 5999
        }
    );
    assert_eq!(
        read.http.ports,
        Ports {
            low: 8000,
            high: 9000
        }
    );
    assert!(read.http.content.is_none() && read.firmware.efi.is_none());
    assert!(read.shutdown.timeout.is_none() && !read.disks.skip_compaction);
}

#[test]
fn an_empty_block_lacks_url_and_checksum() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        read_text(directory.path(), "{}").findings,
        [
            "error: Option `iso_url` of `it` is missing",
            "error: Option `iso_checksum` of `it` is missing",
        ]
    );
}

#[test]
fn broken_rules_are_found() {
    let table = [
        (
            r#""iso_urls":["a"]"#,
            "error: Option `iso_url` cannot be used with `iso_urls`",
        ),
        (
            r#""accelerator":"vmx""#,
            "error: Option `accelerator` is `vmx`, which is not one of its values",
        ),
        (r#""cpus":-1"#, "error: Option `cpus` is -1"),
        (
            r#""memory":4"#,
            "warning: Option `memory` is 4 MiB, too little to boot anything",
        ),
        (
            r#""disk_size":"10gb""#,
            "error: Option `disk_size` contains `10gb`, which is not a size",
        ),
        (
            r#""disk_additional_size":["10"]"#,
            "warning: Option `disk_additional_size` contains `10`, which counts bytes",
        ),
        (
            r#""use_backing_file":true"#,
            "error: Option `use_backing_file` can only be used for a disk",
        ),
        (
            r#""skip_resize_disk":true"#,
            "error: Option `skip_resize_disk` can only be used for a disk",
        ),
        (
            r#""format":"vmdk""#,
            "error: Option `format` is `vmdk`, which is not one of its values",
        ),
        (
            r#""output_directory":"output-there""#,
            "error: Option `output_directory` names `output-there`, which exists already",
        ),
        (
            r#""vm_name":"a/b""#,
            "error: Option `vm_name` is `a/b`, which cannot be a disk's file name",
        ),
        (
            r#""qemuargs":[["device","x"]]"#,
            "error: Option `qemuargs` contains `device`, which is not a switch",
        ),
        (
            r#""qemuargs":"-m""#,
            "error: Option `qemuargs` must be a list of lists of strings, but it is the string `\"-m\"`",
        ),
        (
            r#""use_pflash":true"#,
            "error: Option `use_pflash` is set without the file it is about",
        ),
        (
            r#""host_port_min":5000"#,
            "error: Option `host_port_min` is 5000, more than `host_port_max`, 4444",
        ),
        (
            r#""vnc_port_min":5000"#,
            "error: Option `vnc_port_min` is too low",
        ),
        (
            r#""vnc_password":"123456789""#,
            "error: Option `vnc_password` has 9 bytes",
        ),
        (
            r#""boot_command":"x","boot_steps":[["y"]]"#,
            "error: Option `boot_command` cannot be used with `boot_steps`",
        ),
        (
            r#""boot_command":"x","disable_vnc":true"#,
            "error: Option `disable_vnc` cannot be typed without VNC",
        ),
        (
            r#""boot_command":"<wait0s>""#,
            "error: Option `boot_command` waits for no time at `<wait0s>`",
        ),
        (
            r#""http_directory":"there","http_content":{"a":"b"}"#,
            "error: Option `http_directory` cannot be used with `http_content`",
        ),
        (
            r#""http_interface":"eth0","http_bind_address":"0.0.0.0""#,
            "error: Option `http_interface` cannot be used with `http_bind_address`",
        ),
        (
            r#""net_bridge":"br0","http_bind_address":"127.0.0.1""#,
            "error: Option `http_bind_address` is 127.0.0.1, which a guest on `net_bridge` cannot reach",
        ),
        (
            r#""cd_files":["absent"]"#,
            "error: Option `cd_files` names `absent`, which does not exist",
        ),
        (
            r#""floppy_label":"much too long""#,
            "error: Option `floppy_label` is `much too long`, which does not fit",
        ),
        (
            r#""cdrom_interface":"sata""#,
            "error: Option `cdrom_interface` is `sata`, which no CD has",
        ),
        (
            r#""communicator":"none","shutdown_command":"halt""#,
            "error: Option `shutdown_command` cannot be run with `communicator: none`",
        ),
    ];
    for (more, expected) in table {
        assert_eq!(with(more).findings, [expected], "{more}");
    }
}

#[test]
fn urls_other_than_http_and_files_are_refused() {
    for (url, good) in [
        ("https://h/x.iso", true),
        ("http://h/x.iso", true),
        ("file:///x.iso", true),
        ("./x.iso", true),
        ("s3::https://h/x.iso", false),
        ("ftp://h/x.iso", false),
    ] {
        let text = format!(
            r#"{{"iso_url":"{url}","iso_checksum":"md5:{}"}}"#,
            "0".repeat(32)
        );
        let directory = tempfile::tempdir().unwrap();
        let outcome = read_text(directory.path(), &text);
        assert_eq!(outcome.findings.is_empty(), good, "{url}");
    }
}

#[test]
fn a_checksum_file_on_this_machine_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (sum, other) = ("a".repeat(64), "b".repeat(64));
    let sums = format!("{other}  y.iso\n{sum}  x.iso\n");
    fs::write(directory.path().join("SUMS"), sums).unwrap();
    let read = |url: &str, checksum: &str| {
        let text = format!(r#"{{"iso_url":"{url}","iso_checksum":"{checksum}"}}"#);
        let outcome = read_text(directory.path(), &text);
        (outcome.read.source.checksum, outcome.findings)
    };
    let (checksum, findings) = read("https://h/d/x.iso", "file:SUMS");
    assert_eq!(findings, Vec::<String>::new());
    let expected = checksum::parse(&sum).unwrap();
    assert_eq!(checksum, expected);
    let url = format!("file:file://{}/SUMS", directory.path().display());
    assert_eq!(read("x.iso", &url).0, expected);
    let (checksum, findings) = read("x.iso", "file:https://h/SUMS");
    assert_eq!(checksum, Checksum::File("https://h/SUMS".to_owned()));
    assert!(findings.is_empty());
    let option = "error: Option `iso_checksum` of `it` names";
    assert_eq!(
        read("z.iso", "file:SUMS").1,
        [format!("{option} `SUMS`, which has no checksum of `z.iso`")]
    );
    assert_eq!(
        read("x.iso", "file:absent").1,
        [format!("{option} `absent`, which does not exist")]
    );
}

#[test]
fn the_wait_before_typing_is_a_guess_only_where_needed() {
    for (more, seconds) in [
        (r#""boot_command":"x""#, 10),
        (r#""boot_command":"x","boot_wait":"0s""#, 10),
        (r#""boot_command":"x","boot_wait":"3s""#, 3),
        (r#""boot_command":"x","boot_wait":"-1s""#, 0),
        (r#""boot_command":"<waitText \"b\">x""#, 0),
        (r#""boot_command":"<waitText \"b\">x","boot_wait":"3s""#, 3),
        ("", 0),
    ] {
        assert_eq!(with(more).read.boot.wait.as_secs(), seconds, "{more}");
    }
}

#[test]
fn what_follows_from_other_options() {
    let read = |more| with(more).read;
    assert!(read(r#""format":"raw""#).disks.skip_compaction);
    let backed = read(r#""disk_image":true,"use_backing_file":true"#);
    assert!(backed.disks.skip_compaction && backed.disks.use_backing_file);
    assert!(
        read(r#""efi_firmware_code":"there""#)
            .firmware
            .efi
            .is_some()
    );
    assert_eq!(read(r#""disk_size":"20""#).disks.size, "20M");
    assert_eq!(
        read(r#""ssh_host_port_min":3000"#).network.host_ports.low,
        3000
    );
    let listens = |more| match read(more).http.address {
        HttpAddress::Given(address) => address.to_string(),
        HttpAddress::Interface(name) => name.value,
    };
    assert_eq!(listens(r#""net_bridge":"br0""#), "0.0.0.0");
    assert_eq!(listens(""), "127.0.0.1");
    assert_eq!(listens(r#""http_interface":"eth0""#), "eth0");
    let steps = read(r#""boot_steps":[["a","First"],["b"]]"#).boot.steps;
    assert_eq!(steps[0].description.as_deref(), Some("First"));
    assert_eq!(steps[1].command.value, "b");
}

#[test]
fn what_is_written_is_taken() {
    let Outcome { read, findings, .. } = with(
        r#""cd_label":"cidata","http_port_min":8100,"http_port_max":8200,
           "iso_target_extension":"img","iso_target_path":"isos","iso_skip_cache":true,
           "qmp_enable":true,"qmp_socket_path":"/run/q","use_default_display":true,
           "vtpm":true,"use_tpm1":true,"tpm_device_type":"tpm-crb","boot_key_interval":"5ms",
           "vnc_bind_address":"0.0.0.0","vnc_port_min":5950,"vnc_port_max":5960,
           "host_port_min":3000,"host_port_max":3001,"disk_cache":"none",
           "disk_detect_zeroes":"on","floppy_content":{"a":"b"},"shutdown_timeout":"9m",
           "qemu_img_args":{"create":["-o","x"],"convert":["-W"],"resize":["--shrink"]}"#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let ports = |low, high| Ports { low, high };
    assert_eq!(
        (read.cd.label.as_str(), read.http.ports),
        ("cidata", ports(8100, 8200))
    );
    assert_eq!(read.source.target_extension, "img");
    assert_eq!(read.source.target_path, Some("isos".into()));
    assert!(read.source.skip_cache && read.screen.use_default_display);
    assert_eq!(read.screen.qmp_socket, Some(QmpSocket::At("/run/q".into())));
    let tpm = read.firmware.tpm.unwrap();
    assert_eq!((tpm.version_1, tpm.device.as_str()), (true, "tpm-crb"));
    assert_eq!(read.boot.key_interval, Some(Duration::from_millis(5)));
    assert!(read.screen.vnc_address.is_unspecified());
    assert_eq!(read.screen.vnc_ports, ports(5950, 5959));
    assert_eq!(read.network.host_ports, ports(3000, 3000));
    assert_eq!((read.disks.cache, read.disks.detect_zeroes), ("none", "on"));
    assert_eq!(read.floppy.content["a"], "b");
    assert_eq!(read.shutdown.timeout, Some(Duration::from_secs(540)));
    let arguments = read.disks.image_arguments;
    let all = [arguments.create, arguments.convert, arguments.resize].concat();
    assert_eq!(all, ["-o", "x", "-W", "--shrink"]);
}
