//! The `alicloud-ecs` builder: a temporary instance becomes a custom image.
//!
//! Order of calls: check region, name and source image; key pair, EIP and
//! network at the same time; RunInstances; (provisioners); StopInstance;
//! CreateImage; tags, copies and shares. Nothing here deletes what it made.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::{BuildContext, Builder, Machine};
use crate::artifact::Artifact;
use crate::cloud::{Cloud, Create, Tag};
use crate::error::{Error, Result};
use crate::journal::resource::Kind;
use crate::journal::{Intent, Slot};
use crate::plan::alicloud_ecs as plan;
use crate::plan::communicator::Communicator;
use crate::publish::Publisher;

mod address;
mod candidate;
mod check;
mod cidr;
mod fit;
mod image;
mod instance;
mod key_pair;
mod name;
mod network;
mod source;
mod spot;
mod zone;

use address::Eip;
use check::Checked;
pub use image::Captured;
use key_pair::NamedKeyPair;
use network::Network;

/// Packer's id of this builder, in manifests.
pub const BUILDER_ID: &str = "alibaba.alicloud";

/// How long things may take that normally take seconds.
const NETWORK_LIMIT: Duration = Duration::from_secs(180);

/// One build with this builder.
pub struct AlicloudEcs<'a> {
    options: &'a plan::AlicloudEcs,
    communicator: &'a Communicator,
    cloud: &'a Cloud,
    /// The instance's id, while it is needed.
    instance: Mutex<Option<String>>,
}

impl<'a> AlicloudEcs<'a> {
    /// A build with these options.
    pub fn new(
        options: &'a plan::AlicloudEcs,
        communicator: &'a Communicator,
        cloud: &'a Cloud,
    ) -> Self {
        Self {
            options,
            communicator,
            cloud,
            instance: Mutex::default(),
        }
    }

    fn region(&self) -> &str {
        &self.options.access.region.value
    }

    fn intent(&self, cx: &BuildContext<'_>, kind: Kind, name: impl Into<String>) -> Intent {
        cx.intent(kind, self.region(), name)
    }

    /// `alicloud-image-<run>-<build>-<what>`, unless the template gives a name.
    fn name(&self, cx: &BuildContext<'_>, given: Option<&String>, what: &str) -> String {
        let run = cx.journal.run().split('-').next().unwrap_or_default();
        let build = name::part_of(cx.build);
        given
            .cloned()
            .unwrap_or_else(|| format!("alicloud-image-{run}-{build}-{what}"))
    }

    /// Our tags for an intent, and the user's `run_tags`.
    fn tags(&self, cx: &BuildContext<'_>, slot: &Slot) -> Vec<Tag> {
        let own = cx.tags.of_intent(slot.number);
        let run_tags = self.options.run.run_tags.clone();
        own.into_iter()
            .chain(run_tags)
            .map(|(key, value)| Tag::new(key, value))
            .collect()
    }

    /// What the instance needs, all at the same time. Each part goes on to its
    /// end even if another one fails: a call that is cut off has an unknown
    /// fate, which costs the sweep a search.
    async fn parts(
        &self,
        cx: &BuildContext<'_>,
        checked: &Checked,
    ) -> Result<(Option<NamedKeyPair>, Network, Option<Eip>)> {
        let (key_pair, network, eip) = tokio::join!(
            cx.step("Import key pair", self.key_pair(cx)),
            cx.step("Create network", self.network(cx, &checked.offers)),
            cx.step("Allocate address", self.eip(cx)),
        );
        Ok((key_pair?, network?, eip?))
    }

    /// Creates something through the journal and gives the API's answer. `id`
    /// finds the new resource's id in it.
    async fn create<R: Create>(
        &self,
        cx: &BuildContext<'_>,
        intent: Intent,
        request: impl FnOnce(&Slot) -> R,
        id: impl FnOnce(&R::Response) -> &str,
    ) -> Result<R::Response> {
        cx.create(self.cloud, self.region(), intent, request, id)
            .await
    }

    /// What is done with the image once it is there.
    fn publisher(&self) -> Publisher<'_> {
        Publisher {
            cloud: self.cloud,
            region: self.region(),
            options: &self.options.image,
            resource_group: self.options.run.resource_group_id.as_deref(),
            builder_id: BUILDER_ID,
            builder_type: "alicloud-ecs",
        }
    }

    fn resource_group(&self) -> Option<String> {
        self.options.run.resource_group_id.clone()
    }
}

#[async_trait(?Send)]
impl Builder for AlicloudEcs<'_> {
    type Captured = Captured;

    async fn prepare(&self, cx: &BuildContext<'_>) -> Result<Machine> {
        let checked = cx.step("Check", self.check(cx)).await?;
        let parts = cx.step(
            "Create key pair, network and address",
            Box::pin(self.parts(cx, &checked)),
        );
        let (key_pair, network, eip) = parts.await?;
        let launch = self.launch(cx, &checked, network, key_pair.as_ref());
        let instance = cx.step("Create instance", launch).await?;
        let host = cx
            .step("Assign address", self.host(cx, &instance, eip))
            .await?;
        Ok(Machine {
            id: instance.instance_id,
            host,
            port: None,
            http: None,
            source_image: checked.source_image,
            key_pair: key_pair.and_then(|key_pair| key_pair.generated),
        })
    }

    async fn halt(&self, cx: &BuildContext<'_>, machine: &Machine) -> Result<()> {
        self.stop_instance(cx, machine).await
    }

    async fn capture(&self, cx: &BuildContext<'_>, machine: &Machine) -> Result<Option<Captured>> {
        if self.options.image.skip_create {
            cx.events.say("Skipping image creation...");
            return Ok(None);
        }
        self.create_image(cx, machine).await.map(Some)
    }

    async fn finish(&self, cx: &BuildContext<'_>, captured: Captured) -> Result<Artifact> {
        // From here on it is gone because we deleted it.
        self.note_instance(None);
        let publisher = self.publisher();
        let ready = publisher.publish(cx, captured.into());
        cx.step("Publish image", ready).await
    }

    async fn explain(&self, cx: &BuildContext<'_>, error: Error) -> Error {
        self.explain_reclaimed(cx, error).await
    }
}
