//! Commands, terminals and streams, and how far they reach.

use std::fs;
use std::path::Path;

use russh::Sig;

use super::{Lab, output_of, run, run_with};

#[tokio::test]
async fn commands_report_output_and_status() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let output = run(&session, "echo out; echo err >&2; exit 7").await;
    assert_eq!(output.text(), "out");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status, Some(7));
    let output = run(&session, "kill -TERM $$; sleep 100").await;
    assert!(matches!(output.signal, Some(Sig::TERM)), "{output:?}");
    let output = run_with(&session, "cat; echo end", b"some input\n").await;
    assert_eq!(output.text(), "some input\nend");
}

#[tokio::test]
async fn commands_run_as_root_at_home() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    for (command, expected) in [
        ("echo $HOME $USER $LOGNAME; pwd", "/root root root\n/root"),
        (
            "id -u; hostname; cat /etc/hostname",
            "0\nguest-under-test\nguest-under-test",
        ),
        (
            "echo $PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("test -n \"$SSH_CONNECTION\" && echo yes", "yes"),
        ("stat -c %a /root/.ssh/authorized_keys /tmp", "600\n1777"),
        ("ls -A /tmp /home", "/home:\n\n/tmp:"),
        ("echo hi >/dev/shm/x && cat /dev/shm/x", "hi"),
    ] {
        let output = run(&session, command).await;
        assert_eq!(output.text(), expected, "{command}: {output:?}");
    }
}

#[tokio::test]
async fn a_terminal_is_one() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    let terminal = channel.request_pty(true, "xterm", 132, 43, 0, 0, &[]);
    terminal.await.unwrap();
    let command = "tty; stty size; echo err >&2; exit 3";
    channel.exec(true, command).await.unwrap();
    let (reader, _writer) = channel.split();
    let output = output_of(reader).await;
    assert_eq!(output.stdout, b"/dev/pts/0\r\n43 132\r\nerr\r\n");
    assert_eq!(output.status, Some(3));
}

#[tokio::test]
async fn a_shell_takes_commands_from_its_input() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let channel = session.channel_open_session().await.unwrap();
    channel.request_shell(true).await.unwrap();
    channel
        .data(&b"echo in a shell\nexit 4\n"[..])
        .await
        .unwrap();
    let (reader, _writer) = channel.split();
    let output = output_of(reader).await;
    assert_eq!(output.stdout, b"in a shell\n");
    assert_eq!(output.status, Some(4));
}

#[tokio::test]
async fn the_disk_persists_and_the_host_does_not_change() {
    let lab = Lab::new().await;
    let host = fs::read("/etc/hostname").unwrap();
    let mark = "/etc/sandbox-guest-mark";
    let change = format!("echo kept >{mark}; rm -rf /etc/hostname /usr/bin/env");
    let output = lab.run(&change).await;
    assert_eq!(output.status, Some(0), "{output:?}");
    let check = format!("cat {mark}; ls /etc/hostname /usr/bin/env");
    let output = lab.run(&check).await;
    assert_eq!(output.text(), "kept");
    assert_eq!(output.status, Some(2));
    assert!(!Path::new(mark).exists());
    assert_eq!(fs::read("/etc/hostname").unwrap(), host);
    assert!(Path::new("/usr/bin/env").exists());
}

#[tokio::test]
async fn the_host_is_out_of_reach() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let own = std::process::id();
    let disks = std::env::temp_dir().join("sandbox-guest-*");
    for command in [
        format!("grep -q . /proc/{own}/cmdline"),
        "mount -t tmpfs none /mnt".into(),
        "mount -o remount,bind,rw /proc/sys".into(),
        "echo x >/proc/sys/kernel/core_pattern".into(),
        "echo h >/proc/sysrq-trigger".into(),
        "unshare --user true".into(),
        "nsenter --target 1 --mount true".into(),
        "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk".into(),
        "ls -d /run/systemd || ls -d /run/dbus || ls -d /run/docker.sock".into(),
        format!("ls -d {}", disks.display()),
        format!("ls -d {}", env!("CARGO_MANIFEST_DIR")),
        "grep -v lo: /proc/net/dev | grep :".into(),
    ] {
        let output = run(&session, &command).await;
        assert_ne!(output.status, Some(0), "{command}: {output:?}");
    }
    // All processes die but process 1, which is the machine.
    run(&session, "kill -9 -1").await;
    assert_eq!(lab.run("echo alive").await.text(), "alive");
}

#[tokio::test]
async fn large_streams_pass_beside_small_ones() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    let big = run(&session, "head -c 100M /dev/zero");
    let small = run(&session, "echo small");
    let (big, small) = tokio::join!(big, small);
    assert_eq!(big.stdout.len(), 100 << 20);
    assert_eq!(small.text(), "small");
    // More than all buffers on the way together, so nobody may wait.
    let input = vec![b'x'; 48 << 20];
    let echoed = run_with(&session, "cat", &input).await;
    assert_eq!(echoed.stdout.len(), input.len());
}

#[tokio::test]
async fn simulated_commands_succeed() {
    let lab = Lab::new().await;
    let session = lab.connect().await;
    for command in [
        "yum -y update && yum clean all && yum makecache",
        "dnf install -y redis jq && grep -x jq /var/lib/sandbox/packages",
        "yum remove -y redis && ! grep -x redis /var/lib/sandbox/packages",
        "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y curl",
        "systemctl enable --now nginx && systemctl is-active nginx && service nginx restart",
        "sudo -E sh -c 'test $(id -u) = 0'",
        "sleep 30 1m",
    ] {
        let output = run(&session, command).await;
        assert_eq!(output.status, Some(0), "{command}: {output:?}");
    }
}
