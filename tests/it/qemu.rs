//! Virtual machines that really run, emulated: a boot sector as the guest, or
//! the shell of the UEFI firmware.

mod boot;
mod import;
mod iso;
mod signals;
mod ssh;
mod trouble;
mod winrm;

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

use crate::harness::{Lab, Outcome};

/// Assembled from `tests/fixtures/boot-sector.S`.
const BOOT_SECTOR: &str = "\
    31c08ed88ed0bc007cbe747ce85700be807cbaf803acee84c075faba0206b80001effbf4\
    ba0006edf6c4017514b401cd1674ef30e4cd16b40e31dbcd103c0d75e1be8e7ce81f00b8\
    015331dbcd15b80e5331dbb90201cd15b80753bb0100b90300cd15f4ebfdac84c07408b4\
    0e31dbcd10ebf3c37465737420626f6f743a200073657269616c20626f6f743a20000d0a\
    627965";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that boots the sector, with more options; later ones win.
fn template(more: &serde_json::Value) -> serde_json::Value {
    let mut builder = serde_json::json!({
        "type": "qemu", "name": "vm", "iso_url": "boot.img", "iso_checksum": "none",
        "disk_image": true, "disk_size": "2M", "accelerator": "tcg", "memory": 32,
        "headless": true, "communicator": "none",
    });
    let options = builder.as_object_mut().unwrap();
    options.extend(more.as_object().unwrap().clone());
    serde_json::json!({ "builders": [builder] })
}

/// A lab with this machine in `template.json`; no cloud is needed.
async fn lab(more: serde_json::Value) -> Lab {
    let mut lab = Lab::without_machines().await;
    // A guest's seconds are real ones.
    lab.set("ALICLOUD_IMAGE_TIME_SCALE", "1");
    // Sockets and pid files are where a test can look for them.
    let directory = lab.path("").display().to_string();
    lab.set("TMPDIR", directory.trim_end_matches('/'));
    for variable in ["ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY"] {
        lab.unset(variable);
    }
    std::fs::write(lab.path("boot.img"), disk()).unwrap();
    lab.write_template(&template(&more));
    lab
}

async fn build(lab: &Lab) -> Outcome {
    lab.run(&["build", "template.json"]).await
}

/// A disk of 1 MiB that begins with the sector.
fn disk() -> Vec<u8> {
    let digits = BOOT_SECTOR.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let mut disk: Vec<u8> = digits.map(byte).collect();
    disk.resize(510, 0);
    disk.extend([0x55, 0xaa]);
    disk.resize(1 << 20, 0);
    disk
}

/// Reads what a run shows up to a line with this text.
async fn until_shown(child: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
    let mut shown = String::new();
    let reading = async {
        while !shown.contains(text) {
            let count = lines.read_line(&mut shown).await.unwrap();
            assert_ne!(count, 0, "it ended without `{text}`:\n{shown}");
        }
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    read.unwrap_or_else(|_| panic!("waited for `{text}`"));
    // What was read ahead counts too.
    shown.push_str(&String::from_utf8_lossy(lines.buffer()));
    shown
}

/// The rest of what a run shows, and its exit code.
async fn to_its_end(mut child: Child) -> (i32, String) {
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut shown, mut said) = (String::new(), String::new());
    let (status, _, _) = tokio::join!(
        child.wait(),
        stdout.read_to_string(&mut shown),
        stderr.read_to_string(&mut said)
    );
    (status.unwrap().code().unwrap_or(-1), shown + &said)
}

/// Programs with a path of the lab in their arguments.
fn programs_in(lab: &Lab) -> Vec<String> {
    let path = lab.path("").display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&arguments).replace('\0', " "))
    });
    arguments.filter(|words| words.contains(&path)).collect()
}

/// The private directories of builds.
fn private_directories(lab: &Lab) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(lab.path("")).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_private = |path: &PathBuf| path.to_string_lossy().contains("/alicloud-image-");
    paths.filter(is_private).collect()
}

/// Asserts that a run left nothing of its machine.
#[track_caller]
fn assert_nothing_left(lab: &Lab) {
    assert_eq!(programs_in(lab), Vec::<String>::new());
    assert_eq!(private_directories(lab), Vec::<PathBuf>::new());
    assert!(!lab.path("output-vm").exists());
}
