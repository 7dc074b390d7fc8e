//! Commands: output, status, terminals, and lost connections.

use std::path::Path;
use std::process::Command;

use alicloud_image::communicator::ssh::Ssh;
use alicloud_image::communicator::{Communicator, ExitStatus};
use alicloud_image::error::Kind;
use alicloud_image::plan::communicator::Ssh as Options;

use super::{Captured, Ignored, Sshd, code, events, run, stdout, stop};

#[tokio::test]
async fn commands_give_output_and_status() {
    let sshd = Sshd::start();
    let (events, said) = events();
    let ssh = Ssh::connect(&sshd.options(), sshd.target(), None, None, &events, &stop())
        .await
        .unwrap();
    assert_eq!(
        *said.0.lock().unwrap(),
        [
            "Using SSH communicator to connect: 127.0.0.1",
            "Waiting for SSH to become available...",
            "Connected to SSH!"
        ]
    );
    let (status, captured) = run(&ssh, "echo out; echo err >&2; printf last; exit 7").await;
    assert_eq!(status, code(7));
    assert_eq!(captured.stdout, ["out", "last"]);
    assert_eq!(captured.stderr, ["err"]);
    assert_eq!(run(&ssh, "kill -9 $$").await.0, code(137));
    assert_eq!(run(&ssh, "kill -TERM $$").await.0, code(143));
    assert_eq!(run(&ssh, "no-such-command").await.0, code(127));
    // Nothing to read: `cat` ends at once.
    assert_eq!(run(&ssh, "cat").await.0, code(0));
    let (_, captured) = run(&ssh, "seq 1 200000").await;
    assert_eq!(captured.stdout.len(), 200_000);
    assert_eq!(captured.stdout[199_999], "200000");
}

#[tokio::test]
async fn commands_can_have_a_terminal() {
    let sshd = Sshd::start();
    let options = Options {
        pty: true,
        ..sshd.options()
    };
    let ssh = sshd.connect(&options).await;
    let (status, captured) = run(&ssh, "echo $TERM; stty size; echo err >&2; exit 3").await;
    assert_eq!(status, code(3));
    assert_eq!(captured.stdout, ["xterm", "40 80", "err"]);
    assert!(captured.stderr.is_empty());
}

#[tokio::test]
async fn commands_run_side_by_side() {
    let sshd = Sshd::start();
    let ssh = sshd.connect(&sshd.options()).await;
    let fifo = sshd.path("fifo");
    make_fifo(&fifo);
    let reader = format!("cat {}", fifo.display());
    let writer = format!("echo met > {}", fifo.display());
    // Each waits for the other.
    let (read, written) = tokio::join!(stdout(&ssh, &reader), run(&ssh, &writer));
    assert_eq!(read, "met");
    assert_eq!(written.0, code(0));
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let sshd = Sshd::start();
    let ssh = sshd.connect(&sshd.options()).await;
    let (status, _) = run(&ssh, "kill -9 $PPID").await;
    assert_eq!(status, ExitStatus::Disconnected);
    assert_eq!(status.code(), 2_300_218);
    assert_eq!(stdout(&ssh, "echo again").await, "again");
    ssh.close().await;
    let error = ssh
        .exec("true", &mut Captured::default())
        .await
        .unwrap_err();
    assert!(error.message().contains("closed"), "{error:?}");
}

#[tokio::test]
async fn a_stopped_build_closes_the_channel_of_its_command() {
    let sshd = Sshd::start();
    let (events, _) = events();
    let stop = stop();
    let ssh = Ssh::connect(&sshd.options(), sshd.target(), None, None, &events, &stop)
        .await
        .unwrap();
    let (ready, ended) = (sshd.path("ready"), sshd.path("ended"));
    make_fifo(&ready);
    make_fifo(&ended);
    // Only a closed channel ends `yes`.
    let command = format!(
        "echo ready > {}; yes; echo ended > {}",
        ready.display(),
        ended.display()
    );
    let mut captured = Ignored;
    let stopping = async {
        assert_eq!(tokio::fs::read(&ready).await.unwrap(), b"ready\n");
        stop.stop();
    };
    let (result, ()) = tokio::join!(ssh.exec(&command, &mut captured), stopping);
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(tokio::fs::read(&ended).await.unwrap(), b"ended\n");
}
