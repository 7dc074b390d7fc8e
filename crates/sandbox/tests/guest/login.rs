//! Who gets in, with what.

use std::sync::Arc;
use std::time::Duration;

use alicloud_image_sandbox::guest::Confinement;
use russh::Preferred;
use russh::client;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::{Algorithm, PrivateKey};
use tokio::time::timeout;

use super::{Client, Lab, PATIENCE, dial, login, new_key};

#[tokio::test]
async fn the_first_connection_is_noticed_once_and_remembered() {
    let lab = Lab::with(|spec| spec.confinement = Confinement::Scripted).await;
    let early = timeout(Duration::from_millis(20), lab.guest.connected());
    assert!(early.await.is_err());
    let waiting = lab.guest.connected();
    drop(lab.connect().await);
    timeout(PATIENCE, waiting).await.unwrap();
    timeout(PATIENCE, lab.guest.connected()).await.unwrap();
}

/// Packer's own releases use an SSH client of 2020: RSA keys sign with SHA-1,
/// and it knows no cipher here that is newer than CTR.
#[tokio::test]
async fn a_client_of_2020_gets_in_with_an_rsa_key() {
    let pair = RsaKeypair::random(&mut rand::rng(), 2048).unwrap();
    let key = PrivateKey::new(KeypairData::Rsa(pair), "").unwrap();
    let lab = Lab::with(|spec| {
        spec.confinement = Confinement::Scripted;
        spec.authorized_keys = vec![key.public_key().to_openssh().unwrap()];
    })
    .await;
    let preferred = Preferred {
        kex: vec![russh::kex::CURVE25519_PRE_RFC_8731].into(),
        key: vec![Algorithm::Ed25519].into(),
        cipher: vec![russh::cipher::AES_128_CTR].into(),
        mac: vec![russh::mac::HMAC_SHA256].into(),
        ..Preferred::default()
    };
    let config = client::Config {
        preferred,
        ..client::Config::default()
    };
    let mut session = client::connect(Arc::new(config), lab.addr, Client)
        .await
        .unwrap();
    // Without a hash: `ssh-rsa`, that is SHA-1.
    assert!(login(&mut session, &key).await.success());
}

#[tokio::test]
async fn only_the_right_secrets_open_it() {
    let lab = Lab::new().await;
    let mut session = dial(lab.addr).await.unwrap();
    assert!(!login(&mut session, &new_key()).await.success());
    for (user, password, expected) in [
        ("root", "wrong", false),
        ("nobody", "Secret-1", false),
        ("root", "Secret-1", true),
    ] {
        let reply = session.authenticate_password(user, password).await.unwrap();
        assert_eq!(reply.success(), expected, "{user} {password}");
    }

    let mut session = dial(lab.addr).await.unwrap();
    let start = session.authenticate_keyboard_interactive_start("ecs-user", None);
    start.await.unwrap();
    let answers = vec!["Secret-1".to_owned()];
    let reply = session.authenticate_keyboard_interactive_respond(answers);
    let reply = reply.await.unwrap();
    let success = client::KeyboardInteractiveAuthResponse::Success;
    assert_eq!(format!("{reply:?}"), format!("{success:?}"));
}

#[tokio::test]
async fn without_a_password_there_is_no_password() {
    let lab = Lab::with(|spec| spec.password = None).await;
    let mut session = dial(lab.addr).await.unwrap();
    let reply = session.authenticate_password("root", "").await.unwrap();
    assert!(!reply.success());
}

#[tokio::test]
async fn a_removed_key_locks_out() {
    let lab = Lab::new().await;
    let output = lab.run("rm -f ~/.ssh/authorized_keys").await;
    assert_eq!(output.status, Some(0));
    let mut session = dial(lab.addr).await.unwrap();
    assert!(!login(&mut session, &lab.key).await.success());
}
