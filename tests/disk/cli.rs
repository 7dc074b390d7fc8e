//! The commands `disk info`, `disk check` and `disk convert`, as users run
//! them.

use std::process::Stdio;

use super::*;

impl Images {
    fn program(&self, arguments: &str) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_alicloud-image"))
            .arg("disk")
            .args(arguments.split(' '))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    fn program_json(&self, arguments: &str) -> serde_json::Value {
        let (code, text) = self.program(&format!("{arguments} --format json"));
        assert_eq!(code, 0, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[test]
fn info_shows_an_image_to_people_and_programs() {
    let images = Images::new();
    images.ok("qemu-img create -f qcow2 base.qcow2 1M");
    images.ok("qemu-img create -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 3G");
    let (code, text) = images.program("info top.qcow2");
    assert_eq!(code, 0, "{text}");
    for line in [
        "  format          qcow2 version 3\n",
        "  virtual size    3 GiB (3221225472 bytes)\n",
        "  cluster size    64 KiB (65536 bytes)\n",
        "  backing file    base.qcow2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = images.program_json("info top.qcow2");
    assert_eq!(json["image"]["virtual_size"], 3_221_225_472_u64);
    assert_eq!(json["image"]["backing"][0], "base.qcow2");
    assert_eq!(json["usage"]["hole"], 3_221_225_472_u64);
}

#[test]
fn check_exits_with_1_when_something_is_wrong() {
    let images = Images::new();
    images.source("source.raw", 1_000_000);
    images.ok("qemu-img convert -O qcow2 source.raw a.qcow2");
    let (code, text) = images.program("check a.qcow2");
    assert_eq!(
        (code, text.contains("no errors were found")),
        (0, true),
        "{text}"
    );
    let mut bytes = std::fs::read(images.path("a.qcow2")).unwrap();
    bytes.truncate(300_000);
    std::fs::write(images.path("a.qcow2"), bytes).unwrap();
    let (code, text) = images.program("check a.qcow2");
    assert_eq!((code, text.contains("behind the end")), (1, true), "{text}");
    let (code, text) = images.program("check missing.qcow2");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("Cannot open the disk image `missing.qcow2`"),
        "{text}"
    );
}

#[test]
fn convert_writes_each_format() {
    let images = Images::new();
    images.source("source.raw", 3_000_001);
    for (arguments, format) in [
        ("source.raw out", "qcow2"),
        ("-O qcow2 --strict-window --level 9 source.raw out", "qcow2"),
        ("-O raw source.raw out", "raw"),
        ("-O vhd source.raw out", "vpc"),
        ("-O vhd-fixed --drop-free-blocks source.raw out", "vpc"),
    ] {
        let json = images.program_json(&format!("convert {arguments}"));
        let length = std::fs::metadata(images.path("out")).unwrap().len();
        assert_eq!(json["summary"]["length"], length);
        images.ok(&format!(
            "qemu-img compare -f raw -F {format} source.raw out"
        ));
    }
    let (code, text) = images.program("convert source.raw no/such/directory");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("Cannot write `no/such/directory`"), "{text}");
}

#[test]
fn an_interrupted_conversion_leaves_no_file() {
    let images = Images::new();
    // Its zeros alone take minutes: the signal always comes in time.
    images.ok("qemu-img create -f qcow2 huge.qcow2 2T");
    let mut child = Command::new(env!("CARGO_BIN_EXE_alicloud-image"))
        .args(["disk", "convert", "-O", "raw", "huge.qcow2", "out.raw"])
        .env_clear()
        .current_dir(images.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let files = || std::fs::read_dir(images.0.path()).unwrap().count();
    while files() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::yield_now();
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("after receiving interrupt"), "{text}");
    assert_eq!(files(), 1, "{text}");
}
