//! SFTP, and the clients of OpenSSH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Lab, run, sftp};

#[tokio::test]
async fn sftp_copies_both_ways() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let sftp = sftp(&session).await;
    let byte = |index: u32| index.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    let content: Vec<u8> = (0..32 << 20).map(byte).collect();
    let mut file = sftp.create("/tmp/big").await.unwrap();
    file.write_all(&content).await.unwrap();
    file.shutdown().await.unwrap();
    let mut back = Vec::new();
    let mut file = sftp.open("/tmp/big").await.unwrap();
    file.read_to_end(&mut back).await.unwrap();
    assert!(back == content, "{} bytes came back", back.len());
    let output = run(&session, "stat -c %s /tmp/big").await;
    assert_eq!(output.text(), "33554432");
}

#[tokio::test]
async fn sftp_manages_files() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let sftp = sftp(&session).await;
    sftp.create_dir("stock").await.unwrap();
    assert!(sftp.open("stock/a").await.is_err());
    let mut file = sftp.create("stock/a").await.unwrap();
    file.write_all(b"content").await.unwrap();
    file.shutdown().await.unwrap();
    sftp.rename("stock/a", "stock/b").await.unwrap();
    assert_eq!(sftp.canonicalize(".").await.unwrap(), "/root");
    let metadata = sftp.metadata("stock/b").await.unwrap();
    assert_eq!(metadata.size, Some(7));
    run(&session, "ln -s /etc/../root/stock/b stock/link").await;
    assert_eq!(sftp.read("stock/link").await.unwrap(), b"content");
    let entries = sftp.read_dir("stock").await.unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "link"]);
    sftp.remove_file("stock/link").await.unwrap();
    sftp.remove_file("stock/b").await.unwrap();
    sftp.remove_dir("stock").await.unwrap();
    assert_eq!(run(&session, "test -e stock").await.status, Some(1));
}

/// Runs one of OpenSSH's clients without a user's files.
fn openssh(program: &str, key: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(program)
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
        .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(key)
        .args(arguments)
        .output()
        .unwrap()
}

fn write_key(lab: &Lab, directory: &Path) -> PathBuf {
    let path = directory.join("key");
    let text = lab.key.to_openssh(Default::default()).unwrap();
    fs::write(&path, text.as_bytes()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_clients_work() {
    Command::new("ssh")
        .arg("-V")
        .output()
        .expect("install openssh-client");
    let lab = Lab::new().await;
    let directory = tempfile::tempdir().unwrap();
    let key = write_key(&lab, directory.path());
    let port = lab.addr.port().to_string();
    let command = "echo over ssh; exit 5";
    let output = openssh("ssh", &key, &["-p", &port, "root@127.0.0.1", command]);
    assert_eq!(output.stdout, b"over ssh\n", "{output:?}");
    assert_eq!(output.status.code(), Some(5));

    let source = directory.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), vec![7; 3 << 20]).unwrap();
    // The old protocol and the one over SFTP.
    for protocol in ["-O", "-s"] {
        let back = directory.path().join(format!("back{protocol}"));
        let remote = format!("root@127.0.0.1:/srv/copy{protocol}");
        let copy = |from: &str, to: &str| {
            let output = openssh("scp", &key, &["-P", &port, protocol, "-rp", from, to]);
            assert!(output.status.success(), "{protocol} {output:?}");
        };
        copy(source.to_str().unwrap(), &remote);
        copy(&remote, back.to_str().unwrap());
        assert_eq!(fs::read(back.join("file")).unwrap(), vec![7; 3 << 20]);
    }
}
