//! Files and directories, by SFTP and by SCP.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use alicloud_image::communicator::Communicator;
use alicloud_image::communicator::ssh::Ssh;
use alicloud_image::error::one_line;
use alicloud_image::plan::communicator::{FileTransfer, Ssh as Options};

use super::{Sshd, mode_of, set_mode, stdout};

const BIG: usize = 32 * 1024 * 1024;

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| byte()).collect()
}

async fn files_travel(sshd: &Sshd, options: &Options) {
    let ssh = sshd.connect(options).await;
    let there = sshd.path("there");
    fs::create_dir(&there).unwrap();
    for (name, size, mode) in [
        ("big file's", BIG, Some(0o640)),
        ("empty", 0, None),
        ("script", 3, Some(0o755)),
        ("secret", 70_001, Some(0o600)),
    ] {
        let data = noise(size);
        let path = there.join(name);
        let destination = path.to_str().unwrap();
        let mut source = &data[..];
        ssh.upload(&mut source, size as u64, destination, mode)
            .await
            .unwrap_or_else(|error| panic!("{name}: {}", one_line(&error)));
        assert!(fs::read(&path).unwrap() == data, "{name} differs");
        assert_eq!(mode_of(&path), mode.unwrap_or(0o644), "{name}");
        let mut copy = Vec::new();
        ssh.download(destination, &mut copy).await.unwrap();
        assert!(copy == data, "{name} differs on the way back");
    }
    // An existing file is replaced, and becomes shorter.
    let path = there.join("big file's");
    let (destination, mut source) = (path.to_str().unwrap(), &b"new"[..]);
    ssh.upload(&mut source, 3, destination, None).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    failures_say_why(&ssh, &there).await;
    // None of that broke the connection.
    assert_eq!(stdout(&ssh, "echo alive").await, "alive");
}

async fn failures_say_why(ssh: &Ssh, there: &Path) {
    let nowhere = there.join("no/such/place");
    let nowhere = nowhere.to_str().unwrap();
    let mut source = &b"data"[..];
    let error = ssh.upload(&mut source, 4, nowhere, None).await.unwrap_err();
    assert!(error.message().contains(nowhere), "{error:?}");
    assert!(one_line(&error).contains("o such file"), "{error:?}");
    let error = ssh.download(nowhere, &mut Vec::new()).await.unwrap_err();
    assert!(one_line(&error).contains("o such file"), "{error:?}");
}

#[tokio::test]
async fn files_travel_by_sftp() {
    let sshd = Sshd::start();
    files_travel(&sshd, &sshd.options()).await;
}

#[tokio::test]
async fn files_travel_by_scp() {
    let sshd = Sshd::start();
    let options = Options {
        file_transfer_method: FileTransfer::Scp,
        ..sshd.options()
    };
    files_travel(&sshd, &options).await;
}

#[tokio::test]
async fn without_the_subsystem_files_travel_by_scp() {
    for extra in ["", "Subsystem sftp /no/such/program\n"] {
        let sshd = Sshd::with(extra);
        let ssh = sshd.connect(&sshd.options()).await;
        let path = sshd.path("file");
        let destination = path.to_str().unwrap();
        let mut source = &b"data"[..];
        ssh.upload(&mut source, 4, destination, None).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let mut copy = Vec::new();
        ssh.download(destination, &mut copy).await.unwrap();
        assert_eq!(copy, b"data");
    }
}

async fn directories_travel(sshd: &Sshd, options: &Options) {
    let ssh = sshd.connect(options).await;
    let here = sshd.path("here");
    fs::create_dir_all(here.join("sub/empty")).unwrap();
    fs::write(here.join("top file"), "top").unwrap();
    fs::write(here.join("sub/run"), noise(100_000)).unwrap();
    set_mode(&here.join("sub/run"), 0o750);
    set_mode(&here.join("sub"), 0o700);
    symlink("sub/run", here.join("link")).unwrap();
    let there = sshd.path("there/deep");
    let destination = there.to_str().unwrap();

    ssh.upload_dir(&here, destination).await.unwrap();
    let contents = PathBuf::from(format!("{}/", here.display()));
    ssh.upload_dir(&contents, destination).await.unwrap();
    for root in [there.join("here"), there.clone()] {
        same_tree(&here, &root);
    }

    let back = sshd.path("back");
    ssh.download_dir(there.join("here").to_str().unwrap(), &back)
        .await
        .unwrap();
    same_tree(&here, &back);
    let missing = sshd.path("missing");
    let error = ssh
        .download_dir(missing.to_str().unwrap(), &back)
        .await
        .unwrap_err();
    assert!(one_line(&error).contains("o such file"), "{error:?}");
}

fn same_tree(want: &Path, got: &Path) {
    assert_eq!(fs::read(got.join("top file")).unwrap(), b"top");
    let run = fs::read(want.join("sub/run")).unwrap();
    assert!(fs::read(got.join("sub/run")).unwrap() == run);
    assert!(fs::read(got.join("link")).unwrap() == run);
    assert_eq!(mode_of(&got.join("sub/run")), 0o750);
    assert!(got.join("sub/empty").is_dir());
}

#[tokio::test]
async fn directories_travel_by_sftp() {
    let sshd = Sshd::start();
    directories_travel(&sshd, &sshd.options()).await;
    assert_eq!(mode_of(&sshd.path("there/deep/here/sub")), 0o700);
}

#[tokio::test]
async fn directories_travel_by_scp() {
    let sshd = Sshd::start();
    let options = Options {
        file_transfer_method: FileTransfer::Scp,
        ..sshd.options()
    };
    directories_travel(&sshd, &options).await;
    assert_eq!(mode_of(&sshd.path("there/deep/here/sub")), 0o700);
}
