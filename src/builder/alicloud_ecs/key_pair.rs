//! The key pair of the temporary instance: made here, only its public half
//! leaves this machine.

use super::AlicloudEcs;
use crate::builder::BuildContext;
use crate::cloud::ecs::{DescribeKeyPairs, ImportKeyPair};
use crate::cloud::{self, Tag};
use crate::communicator::ssh::key::KeyPair;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Slot;
use crate::journal::resource::Kind;
use crate::journal::tags;
use crate::plan::communicator::{Communicator, KeyType, Ssh};

/// The key pair that RunInstances names.
pub(super) struct NamedKeyPair {
    pub(super) name: String,
    /// Ours, or none when the user brought it.
    pub(super) generated: Option<KeyPair>,
}

impl AlicloudEcs<'_> {
    pub(super) async fn key_pair(&self, cx: &BuildContext<'_>) -> Result<Option<NamedKeyPair>> {
        if let Some(name) = &self.options.run.ssh_keypair_name {
            cx.events
                .say(format!("Using existing SSH key pair: {name}"));
            return Ok(Some(NamedKeyPair {
                name: name.value.clone(),
                generated: None,
            }));
        }
        match self.communicator {
            Communicator::Ssh(ssh) if ssh.needs_temporary_key() => {
                self.import_temporary_key(cx, ssh).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn import_temporary_key(&self, cx: &BuildContext<'_>, ssh: &Ssh) -> Result<NamedKeyPair> {
        let generated = generate(ssh.temporary_key).await?;
        let name = self.name(cx, ssh.temporary_key_pair_name.as_ref(), "key");
        cx.events
            .say(format!("Importing temporary key pair: {name}"));
        let intent = self.intent(cx, Kind::KeyPair, &name);
        cx.journal
            .create(cx.events, intent, async |slot| {
                let request = ImportKeyPair {
                    key_pair_name: name.clone(),
                    public_key_body: generated.public.clone(),
                    resource_group_id: self.resource_group(),
                    tag: self.tags(cx, slot),
                };
                self.import(cx, &request, slot).await?;
                Ok((name.clone(), ()))
            })
            .await
            .map_err(|error| error.context(format!("Cannot import key pair {name}")))?;
        Ok(NamedKeyPair {
            name,
            generated: Some(generated),
        })
    }

    /// The action takes no ClientToken. When a reply is lost we look whether
    /// the key pair is there before asking again. What is listed may lag: a
    /// lost reply outweighs the refusal of a repetition, so that the sweep
    /// looks once more.
    async fn import(
        &self,
        cx: &BuildContext<'_>,
        request: &ImportKeyPair,
        slot: &Slot,
    ) -> Result<()> {
        let mut lost = None;
        for _ in 0..IMPORTS {
            let call = self
                .cloud
                .create(self.region(), request, &slot.permit, cx.stop);
            let Err(error) = call.await else {
                return Ok(());
            };
            let is_lost = cloud::is_fate_unknown(&error);
            let may_be_there = is_lost || cloud::is_code(&error, ALREADY_EXISTS);
            let name = &request.key_pair_name;
            if may_be_there && matches!(self.is_our_key_pair(cx, name, slot.number).await, Ok(true))
            {
                return Ok(());
            }
            if !is_lost || cx.stop.is_stopped() {
                return Err(lost.unwrap_or(error));
            }
            lost = Some(error);
        }
        Err(lost.expect("every attempt was lost"))
    }

    async fn is_our_key_pair(
        &self,
        cx: &BuildContext<'_>,
        name: &str,
        number: u64,
    ) -> Result<bool> {
        let request = DescribeKeyPairs {
            key_pair_name: Some(name.to_owned()),
            tag: vec![
                Tag::new(tags::RUN_ID, cx.journal.run()),
                Tag::new(tags::INTENT, number.to_string()),
            ],
            ..Default::default()
        };
        let answer = self.cloud.call(self.region(), &request, cx.stop).await?;
        Ok(answer
            .key_pairs
            .iter()
            .any(|key_pair| key_pair.key_pair_name == name))
    }
}

/// An RSA key takes a good part of a second, in which other builds go on.
async fn generate(key_type: KeyType) -> Result<KeyPair> {
    let made = tokio::task::spawn_blocking(move || KeyPair::generate(key_type)).await;
    made.map_err(|error| {
        Error::new(ErrorKind::Internal, "Generating a key pair was cut off").with_source(error)
    })?
}

/// How often a key pair is imported when replies are lost.
const IMPORTS: u32 = 5;

const ALREADY_EXISTS: &[&str] = &["KeyPair.AlreadyExist", "InvalidKeyPairName.Duplicate"];
