//! What makes a machine and turns it into an image.
//!
//! A builder never deletes what it made: the journal's sweep does, called by
//! the engine with the kinds of resources that are no longer needed.

use std::net::SocketAddr;

use async_trait::async_trait;

use crate::artifact::Artifact;
use crate::cloud::{Cloud, Create};
use crate::communicator::Communicator;
use crate::communicator::ssh::key::KeyPair;
use crate::engine::event::{EventKind, Events};
use crate::engine::step;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::journal::resource;
use crate::journal::tags::RunTags;
use crate::journal::{Intent, Journal, Slot};
use crate::process::Environment;

pub mod alicloud_ecs;
pub mod qemu;

/// What a builder works with.
pub struct BuildContext<'a> {
    /// The build's name.
    pub build: &'a str,
    /// Where progress goes.
    pub events: &'a Events,
    /// When to stop.
    pub stop: &'a Stop,
    /// The only way to create anything.
    pub journal: &'a Journal,
    /// What temporary resources carry.
    pub tags: &'a RunTags,
    /// What programs on this machine find in their environment.
    pub environment: &'a Environment,
}

impl BuildContext<'_> {
    /// What the journal is told before something of this build is made.
    pub(crate) fn intent(
        &self,
        kind: resource::Kind,
        region: &str,
        name: impl Into<String>,
    ) -> Intent {
        Intent {
            build: self.build.to_owned(),
            kind,
            region: region.to_owned(),
            name: name.into(),
        }
    }

    /// Creates something in a region through the journal and gives the API's
    /// answer. `id` finds the new resource's id in it.
    pub(crate) async fn create<R: Create>(
        &self,
        cloud: &Cloud,
        region: &str,
        intent: Intent,
        request: impl FnOnce(&Slot) -> R,
        id: impl FnOnce(&R::Response) -> &str,
    ) -> Result<R::Response> {
        self.journal
            .create(self.events, intent, async |slot| {
                let request = request(slot);
                let answer = cloud
                    .create(region, &request, &slot.permit, self.stop)
                    .await?;
                match id(&answer) {
                    "" => {
                        let message = format!("{} answered without an id", R::NAME);
                        Err(Error::new(Kind::Cloud, message))
                    }
                    id => Ok((id.to_owned(), answer)),
                }
            })
            .await
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    /// Its id at the provider.
    pub id: String,
    /// The address to connect to; never empty.
    pub host: String,
    /// The port of that address which leads to the machine's own; none when
    /// it is the machine's own.
    pub port: Option<u16>,
    /// Where the machine reads from the builder, if there is such a server.
    pub http: Option<SocketAddr>,
    /// The image it was started from.
    pub source_image: String,
    /// The key pair made for it, if one was.
    pub key_pair: Option<KeyPair>,
}

/// The phases of a build, in order. Provisioning is the engine's, between
/// [`Builder::prepare`] and [`Builder::halt`]. All builds of a run share one
/// task, as nearly all they do is wait; so their futures need not be `Send`.
#[async_trait(?Send)]
pub trait Builder: Send + Sync {
    /// What the captured image is known by between the last two phases.
    type Captured: Send;

    /// Makes a machine that runs and has an address.
    async fn prepare(&self, cx: &BuildContext<'_>) -> Result<Machine>;

    /// Says good-bye over the connection that served the provisioners, as its
    /// last use. Most builders have nothing to say.
    async fn part(&self, _: &BuildContext<'_>, _: &dyn Communicator) -> Result<()> {
        Ok(())
    }

    /// Ends when the machine has gone by itself, with what is known about it.
    /// Where nobody can see that, it never ends.
    async fn gone(&self) -> Error {
        std::future::pending().await
    }

    /// Brings the machine to rest.
    async fn halt(&self, cx: &BuildContext<'_>, machine: &Machine) -> Result<()>;

    /// Makes the image and waits until it is available. `None` when the
    /// template asks for no image.
    async fn capture(
        &self,
        cx: &BuildContext<'_>,
        machine: &Machine,
    ) -> Result<Option<Self::Captured>>;

    /// Completes the image: tags, copies, shares, replacing an older one. The
    /// machine may be gone by now.
    async fn finish(&self, cx: &BuildContext<'_>, captured: Self::Captured) -> Result<Artifact>;

    /// Adds to the error of a failed build what only its machine can tell,
    /// just before the machine is deleted.
    async fn explain(&self, _: &BuildContext<'_>, error: Error) -> Error {
        error
    }
}

impl BuildContext<'_> {
    /// Runs a part of the build that deserves a row in the timeline.
    pub fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        // On the heap before it is captured: steps nest, and each would make
        // the future around it larger by its own size.
        let work = Box::pin(step::follow(work));
        async move {
            self.events.emit(EventKind::StepStarted { step: name });
            let start = tokio::time::Instant::now();
            let (outcome, resources) = work.await;
            self.events.emit(EventKind::StepFinished {
                step: name,
                elapsed: self.stop.clock().elapsed(start),
                resources,
                succeeded: outcome.is_ok(),
            });
            outcome
        }
    }
}
