//! Bastions and tunnels.

use std::fs;

use alicloud_image::communicator::Communicator;
use alicloud_image::plan::communicator::{Bastion, Ssh as Options, Tunnel};
use alicloud_image::template::source::Spanned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Sshd, free_port, run, stdout, user};

#[tokio::test]
async fn a_bastion_is_gone_through() {
    let sshd = Sshd::start();
    let bastion = Sshd::start();
    let mut options = sshd.options();
    options.bastion = Some(Bastion {
        host: Spanned::default_value("127.0.0.1".to_owned()),
        port: bastion.port,
        username: user(),
        password: None,
        private_key_file: Some(Spanned::default_value(bastion.path("user"))),
        certificate_file: None,
        agent_auth: false,
    });
    let ssh = sshd.connect(&options).await;
    assert_eq!(stdout(&ssh, "echo through").await, "through");
    // The connection comes from the bastion's process, not from ours.
    let log = fs::read_to_string(bastion.path("log")).unwrap();
    assert!(log.contains("Accepted publickey"), "{log}");
    run(&ssh, "kill -9 $PPID").await;
    assert_eq!(stdout(&ssh, "echo again").await, "again");
}

#[tokio::test]
async fn tunnels_lead_both_ways() {
    let sshd = Sshd::start();
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service_port = service.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = service.accept().await {
            let mut heard = [0; 4];
            stream.read_exact(&mut heard).await.unwrap();
            heard.reverse();
            stream.write_all(&heard).await.unwrap();
        }
    });
    let tunnel = |listen_port| Tunnel {
        listen_port,
        host: "127.0.0.1".to_owned(),
        port: service_port,
    };
    let (local, remote) = (free_port(), free_port());
    let options = Options {
        local_tunnels: vec![tunnel(local)],
        remote_tunnels: vec![tunnel(remote)],
        ..sshd.options()
    };
    let ssh = sshd.connect(&options).await;
    for port in [local, remote] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        stream.write_all(b"abcd").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"dcba", "port {port}");
    }
    ssh.close().await;
}
