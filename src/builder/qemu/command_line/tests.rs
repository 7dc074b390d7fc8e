use std::time::Duration;

use serde_json::json;

use super::*;
use crate::builder::qemu::process::Process;
use crate::builder::qemu::program::Program;
use crate::builder::qemu::qmp::Qmp;
use crate::builder::qemu::tests_support::{Bench, options};

fn facts() -> Facts {
    Facts {
        accelerator: Accelerator::Tcg,
        disks: vec!["out/vm".into()],
        cds: vec!["/x.iso".into()],
        floppy: None,
        efi: None,
        forwarding: Some((2222, 22)),
        vnc: "127.0.0.1:5901".parse().unwrap(),
        qmp: "/run/q/qmp".into(),
        serial: "/run/q/serial".into(),
        tpm: None,
        pid: "/run/q/pid".into(),
        has_display: false,
    }
}

fn lists(lists: &[&[&str]]) -> Vec<Vec<String>> {
    let own = |list: &&[&str]| list.iter().map(|&text| text.to_owned()).collect();
    lists.iter().map(own).collect()
}

/// One switch with its value per line, without what every machine has.
fn lines(command_line: &CommandLine) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in &command_line.arguments {
        match lines.last_mut() {
            Some(line) if !word.starts_with('-') => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

fn built(more: &str, facts: &Facts) -> Vec<String> {
    lines(&build(&options(more), facts, &[], &[]))
}

const MINIMAL: [&str; 13] = [
    "-name vm",
    "-machine type=pc,accel=tcg",
    "-m 512M",
    "-smp 1",
    "-boot once=d",
    "-device virtio-net,netdev=user.0",
    "-drive file=out/vm,if=virtio,cache=writeback,discard=ignore,format=qcow2",
    "-drive file=/x.iso,media=cdrom",
    "-netdev user,id=user.0,hostfwd=tcp:127.0.0.1:2222-:22",
    "-vnc 127.0.0.1:1",
    "-qmp unix:/run/q/qmp,server,nowait",
    "-serial file:/run/q/serial",
    "-pidfile /run/q/pid",
];

#[test]
fn a_minimal_machine() {
    assert_eq!(built("", &facts()), MINIMAL);
}

/// The lines of a command line that a minimal machine has not, and those it
/// lacks, with a sign.
fn changes(more: &str, facts: &Facts) -> Vec<String> {
    let lines = built(more, facts);
    let removed = MINIMAL
        .iter()
        .filter(|line| !lines.iter().any(|other| other == *line));
    let removed: Vec<_> = removed.map(|line| format!("- {line}")).collect();
    let added = lines
        .iter()
        .filter(|line| !MINIMAL.contains(&line.as_str()));
    removed
        .into_iter()
        .chain(added.map(|line| format!("+ {line}")))
        .collect()
}

#[test]
fn every_option_has_its_place() {
    let table: &[(&str, &[&str])] = &[
        (
            r#""machine_type":"q35","cpu_model":"max","memory":2048"#,
            &[
                "- -machine type=pc,accel=tcg",
                "- -m 512M",
                "+ -machine type=q35,accel=tcg",
                "+ -m 2048M",
                "+ -cpu max",
            ],
        ),
        (r#""cpus":4"#, &["- -smp 1", "+ -smp 4"]),
        (
            r#""sockets":2,"cores":3"#,
            &["- -smp 1", "+ -smp 6,sockets=2,cores=3"],
        ),
        (
            r#""cpus":9,"cores":4,"threads":2"#,
            &["- -smp 1", "+ -smp 8,cores=4,threads=2"],
        ),
        (
            r#""disk_interface":"virtio-scsi","disk_detect_zeroes":"unmap","disk_discard":"unmap""#,
            &[
                "- -drive file=out/vm,if=virtio,cache=writeback,discard=ignore,format=qcow2",
                "+ -device virtio-scsi-pci,id=scsi0",
                "+ -device scsi-hd,bus=scsi0.0,drive=drive0",
                "+ -drive if=none,file=out/vm,id=drive0,cache=writeback,discard=unmap,format=qcow2,detect-zeroes=unmap",
            ],
        ),
        (
            r#""disk_interface":"ide","cdrom_interface":"ide","disk_cache":"unsafe","format":"raw""#,
            &[
                "- -drive file=out/vm,if=virtio,cache=writeback,discard=ignore,format=qcow2",
                "- -drive file=/x.iso,media=cdrom",
                "+ -drive file=out/vm,if=ide,cache=unsafe,discard=ignore,format=raw",
                "+ -drive file=/x.iso,if=ide,index=1,id=cdrom0,media=cdrom",
            ],
        ),
        (
            r#""cdrom_interface":"virtio-scsi""#,
            &[
                "- -drive file=/x.iso,media=cdrom",
                "+ -device virtio-scsi-pci,id=scsi0",
                "+ -device scsi-cd,bus=scsi0.0,drive=cdrom0",
                "+ -drive file=/x.iso,if=none,id=cdrom0,media=cdrom",
            ],
        ),
        (r#""disk_image":true"#, &["- -boot once=d", "+ -boot c"]),
        (
            r#""net_bridge":"br0","net_device":"e1000""#,
            &[
                "- -device virtio-net,netdev=user.0",
                "- -netdev user,id=user.0,hostfwd=tcp:127.0.0.1:2222-:22",
                "+ -device e1000,netdev=user.0",
                "+ -netdev bridge,id=user.0,br=br0",
            ],
        ),
        (
            r#""vnc_use_password":true,"vga":"std","display":"sdl""#,
            &[
                "- -vnc 127.0.0.1:1",
                "+ -vnc 127.0.0.1:1,password=on",
                "+ -vga std",
                "+ -display sdl",
            ],
        ),
        (r#""display":"sdl","headless":true"#, &[]),
    ];
    for (more, expected) in table {
        assert_eq!(changes(more, &facts()), *expected, "{more}");
    }
}

#[test]
fn facts_have_their_place() {
    let efi = EfiFiles {
        code: "/fw/CODE.fd".into(),
        code_format: "raw",
        vars: "out/efivars.fd".into(),
        vars_format: "raw",
    };
    let facts = Facts {
        accelerator: Accelerator::None,
        disks: vec!["out/a,b".into(), "out/a,b-1".into()],
        cds: vec!["/x.iso".into(), "/run/q/cd.iso".into()],
        floppy: Some("/run/q/floppy".into()),
        efi: Some(efi),
        forwarding: None,
        tpm: Some("/run/q/tpm".into()),
        has_display: true,
        ..facts()
    };
    assert_eq!(
        changes(r#""vtpm":true"#, &facts),
        [
            "- -machine type=pc,accel=tcg",
            "- -boot once=d",
            "- -drive file=out/vm,if=virtio,cache=writeback,discard=ignore,format=qcow2",
            "- -netdev user,id=user.0,hostfwd=tcp:127.0.0.1:2222-:22",
            "+ -machine type=pc",
            "+ -drive file=/fw/CODE.fd,if=pflash,unit=0,format=raw,readonly=on",
            "+ -drive file=out/efivars.fd,if=pflash,unit=1,format=raw",
            "+ -chardev socket,id=vtpm,path=/run/q/tpm",
            "+ -tpmdev emulator,id=tpm0,chardev=vtpm",
            "+ -device tpm-tis,tpmdev=tpm0",
            "+ -drive file=out/a,,b,if=virtio,cache=writeback,discard=ignore,format=qcow2",
            "+ -drive file=out/a,,b-1,if=virtio,cache=writeback,discard=ignore,format=qcow2",
            "+ -drive file=/run/q/cd.iso,media=cdrom",
            r#"+ -fda json:{"driver":"raw","file":{"driver":"file","filename":"/run/q/floppy"}}"#,
            "+ -netdev user,id=user.0",
            "+ -display gtk",
        ]
    );
}

#[test]
fn qemuargs_replace_and_the_network_card_comes_back() {
    let own = lists(&[
        &["-device", "virtio-rng-pci"],
        &["-drive", "file=out/vm", ",if=ide"],
        &["-no-reboot"],
    ]);
    let appended = lists(&[&["-device", "qemu-xhci"]]);
    let command_line = build(&options(""), &facts(), &own, &appended);
    let lines = lines(&command_line);
    let drives: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("-drive"))
        .collect();
    assert_eq!(drives, ["-drive file=out/vm,if=ide"]);
    let devices: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("-device"))
        .collect();
    assert_eq!(
        devices,
        [
            "-device virtio-rng-pci",
            "-device virtio-net,netdev=user.0",
            "-device qemu-xhci",
        ]
    );
    assert!(lines.contains(&"-no-reboot".to_owned()));
    assert_eq!(
        command_line.dropped,
        [
            "-drive file=out/vm,if=virtio,cache=writeback,discard=ignore,format=qcow2",
            "-drive file=/x.iso,media=cdrom",
        ]
    );
}

#[test]
fn an_own_network_card_is_not_doubled() {
    let own = lists(&[
        &["-netdev", "user,hostfwd=tcp::2222-:22,id=forward"],
        &["-device", "virtio-net,netdev=forward,id=net0"],
    ]);
    let command_line = build(&options(""), &facts(), &own, &[]);
    let devices = lines(&command_line);
    let devices: Vec<_> = devices
        .iter()
        .filter(|line| line.starts_with("-device"))
        .collect();
    assert_eq!(devices, ["-device virtio-net,netdev=forward,id=net0"]);
    assert_eq!(
        command_line.dropped,
        ["-netdev user,id=user.0,hostfwd=tcp:127.0.0.1:2222-:22"]
    );
}

/// Starts a machine that stands still, and ends it.
async fn starts(bench: &Bench, more: &str) -> Result<(), String> {
    let mut facts = facts();
    facts.disks = vec![bench.path("a"), bench.path("b")];
    facts.cds = vec![bench.path("c").display().to_string(); 2];
    facts.forwarding = None;
    (facts.qmp, facts.serial, facts.pid) = (bench.path("q"), bench.path("s"), bench.path("p"));
    let more = format!(r#""format":"raw","memory":32,"headless":true,{more}"#);
    let still = lists(&[&["-S"], &["-vnc", "none"]]);
    let arguments = build(&options(&more), &facts, &still, &[]).arguments;
    let cx = bench.context();
    let qemu = Program::find("qemu-system-x86_64", cx.environment).unwrap();
    let process = Process::start(&qemu, &arguments, cx.environment).unwrap();
    let quit = async {
        let mut qmp = loop {
            match Qmp::connect(&facts.qmp).await {
                Ok(qmp) => break qmp,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        qmp.execute("quit", json!({})).await.map(drop)
    };
    let outcome = process.while_running(quit).await;
    outcome.map_err(|error| error.message().to_owned())?;
    process.ended().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn qemu_takes_disks_and_cds_on_every_bus() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        std::fs::write(bench.path(name), [0; 4096]).unwrap();
    }
    for more in [
        r#""disk_interface":"ide""#,
        r#""disk_interface":"ide","cdrom_interface":"ide""#,
        r#""disk_interface":"sata","cdrom_interface":"ide","machine_type":"q35""#,
        r#""disk_interface":"scsi","cdrom_interface":"scsi""#,
        r#""disk_interface":"scsi","cdrom_interface":"virtio-scsi""#,
        r#""disk_interface":"virtio","cdrom_interface":"virtio""#,
        r#""disk_interface":"virtio-scsi","cdrom_interface":"virtio-scsi""#,
    ] {
        assert_eq!(starts(&bench, more).await, Ok(()), "{more}");
    }
}
