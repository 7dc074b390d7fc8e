//! The life of a machine: boot, restart, image, end.

use std::fs;

use alicloud_image_sandbox::guest::{Confinement, Layer};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Lab, PATIENCE, dial, eventually, run, run_with, sftp};

#[tokio::test]
async fn shutdown_powers_off() {
    let lab = Lab::new().await;
    let off = lab.guest.powered_off();
    assert_eq!(lab.run("shutdown -h now").await.status, Some(0));
    timeout(PATIENCE, off).await.unwrap();
    eventually("refused", async || dial(lab.addr).await.is_err()).await;
    lab.guest.capture().await.unwrap();
}

#[tokio::test]
async fn reboot_comes_back() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let change =
        "echo disk >stays; echo memory >/run/goes; (setsid /bin/sleep 1d >/dev/null 2>&1 &)";
    assert_eq!(run(&session, change).await.status, Some(0));
    assert_eq!(run(&session, "reboot").await.status, Some(0));
    eventually("disconnected", async || session.is_closed()).await;
    eventually("back", async || dial(lab.addr).await.is_ok()).await;
    let check = "cat stays; ls /run/goes; pgrep sleep; cloud-init status --wait";
    assert_eq!(lab.run(check).await.text(), "disk\nstatus: done");
}

#[tokio::test]
async fn a_command_cut_off_by_a_restart_has_no_exit_status() {
    let lab = Lab::new().await;
    let output = lab.run("reboot; /bin/sleep 1d").await;
    assert_eq!(output.status, None, "{output:?}");
    assert!(output.signal.is_none(), "{output:?}");
}

#[tokio::test]
async fn an_image_keeps_files_and_deletions() {
    let lab = Lab::new().await;
    let change = "mkdir -p /opt/app && echo v1 >/opt/app/version && rm /etc/passwd && \
        rm -r /usr/share/doc && mkdir /usr/share/doc && touch /usr/share/doc/only /tmp/gone && \
        yum install -y nginx && echo odd >/root/odd && chmod 000 /root/odd";
    let output = lab.run(change).await;
    assert_eq!(output.status, Some(0), "{output:?}");
    let first = lab.guest.capture().await.unwrap();
    drop(lab);
    let expected = "/tmp:\n\n/usr/share/doc:\nonly\nnginx\n0";
    let layers = [first];
    let second = inherit(
        &layers,
        &format!("v1\n{expected}"),
        "echo v2 >/opt/app/version",
    )
    .await;
    let [first] = layers;
    inherit(&[first, second], &format!("v2\n{expected}"), "true").await;
}

async fn inherit(layers: &[Layer], expected: &str, change: &str) -> Layer {
    let lab = Lab::with(|spec| spec.layers = layers.to_vec()).await;
    let check = "cat /opt/app/version; ls /etc/passwd /usr/share/doc /tmp; \
        cat /var/lib/sandbox/packages; stat -c %a /root/odd";
    let output = lab.run(check).await;
    assert_eq!(output.text(), expected, "{output:?}");
    assert_eq!(lab.run(change).await.status, Some(0));
    lab.guest.capture().await.unwrap()
}

#[tokio::test]
async fn user_data_runs_once() {
    let script = b"#!/bin/sh\necho ran as $(id -u)\nsleep 60\ntouch /root/done\n";
    let lab = Lab::with(|spec| spec.user_data = Some(script.to_vec())).await;
    let check = "cloud-init status --wait; ls /root; cat /var/log/cloud-init-output.log";
    let output = lab.run(check).await;
    assert_eq!(output.text(), "status: done\ndone\nran as 0", "{output:?}");
}

#[tokio::test]
async fn unlisten_closes_listener_and_connections() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    lab.guest.unlisten(lab.addr.ip()).await;
    eventually("disconnected", async || session.is_closed()).await;
    assert!(dial(lab.addr).await.is_err());
    lab.guest.listen(lab.addr).await.unwrap();
    assert_eq!(lab.run("echo again").await.text(), "again");
}

#[tokio::test]
async fn a_lost_connection_ends_its_processes() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    let command = "exec /bin/sleep 987654";
    channel.exec(true, command).await.unwrap();
    let observer = lab.connect().await;
    let check = "pgrep -xf '/bin/sleep 987654'";
    let running = async || run(&observer, check).await.status == Some(0);
    eventually("started", running).await;
    drop((channel, session));
    eventually("ended", async || !running().await).await;
}

/// The host's processes whose command line mentions the text.
fn processes(text: &str) -> usize {
    let mentions = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter(mentions).count()
}

/// The guests' directories on the host that have a file.
fn directories(file: &str) -> usize {
    let bases = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
    let entries = bases
        .into_iter()
        .flat_map(|base| fs::read_dir(base).unwrap().flatten());
    entries
        .filter(|entry| entry.path().join(file).exists())
        .count()
}

#[tokio::test]
async fn drop_leaves_nothing() {
    let mark = format!("1{:09}", std::process::id());
    let lab = Lab::new().await;
    let change = format!(
        "mkdir -p /srv/a/b && touch /srv/{mark} /srv/a/b/c && chmod 000 /srv/a/b /srv/a; \
         chown 1234:1234 /srv/a 2>/dev/null; (setsid /bin/sleep {mark} >/dev/null 2>&1 &)"
    );
    assert_eq!(lab.run(&change).await.status, Some(0));
    eventually("started", async || processes(&mark) > 0).await;
    let disk = format!("upper/root/srv/{mark}");
    let image = format!("root/srv/{mark}");
    let layer = lab.guest.capture().await.unwrap();
    assert_eq!((directories(&disk), directories(&image)), (1, 1));
    drop(lab);
    assert_eq!(processes(&mark), 0);
    drop(layer);
    assert_eq!((directories(&disk), directories(&image)), (0, 0));
}

#[tokio::test]
async fn scripted_guests_run_nothing_and_keep_uploads() {
    let lab = Lab::with(|spec| spec.confinement = Confinement::Scripted).await;
    let session = lab.connect().await;
    let output = run(&session, "exit 9").await;
    assert_eq!((output.status, output.stdout.len()), (Some(0), 0));
    let sftp = sftp(&session).await;
    let mut file = sftp.create("/tmp/upload").await.unwrap();
    file.write_all(b"uploaded").await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(sftp.read("/tmp/upload").await.unwrap(), b"uploaded");
    let output = run_with(&session, "scp -t /tmp", b"C0600 3 other\nabc\0").await;
    assert_eq!(output.stdout, b"\0\0\0", "{output:?}");
    assert_eq!(output.status, Some(0));
    let output = run_with(&session, "scp -f /tmp/other", b"\0\0\0").await;
    assert_eq!(output.stdout, b"C0600 3 other\nabc\0");
    let off = lab.guest.powered_off();
    lab.guest.power_off().await;
    timeout(PATIENCE, off).await.unwrap();
}
