//! One build's life: machine, provisioners, image, and at every outcome the
//! sweep of what it made.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::discard::discard;
use super::event::{BuildResult, EventKind, Events, Leftover};
use super::stop::Stop;
use super::{Connections, Settings, connect};
use crate::artifact::Artifact;
use crate::builder::alicloud_ecs::AlicloudEcs;
use crate::builder::qemu::Qemu;
use crate::builder::{BuildContext, Builder, Machine};
use crate::cloud::Cloud;
use crate::communicator::Communicator;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Journal;
use crate::journal::resource::Kind;
use crate::journal::sweep::{self, Scope};
use crate::plan::{self, OnError};
use crate::postprocessor::{self, Services};
use crate::provisioner::{self, BuildData};

/// Everything a build shares with the others of its run.
pub(super) struct RunContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) connections: &'a Connections,
    pub(super) journal: &'a Journal,
    pub(super) stop: &'a Stop,
    pub(super) events: &'a Events,
}

/// Runs a build to its end and reports it.
pub(super) async fn run(
    build: &plan::Build,
    cx: &RunContext<'_>,
) -> (Arc<BuildResult>, Vec<Leftover>) {
    let start = Instant::now();
    let events = cx.events.for_build(&build.name);
    let (artifacts, error, leftovers) = match cx.connections.cloud(&build.builder) {
        Ok(cloud) => {
            BuildRun {
                build,
                cx,
                machine_stop: match build.builder {
                    plan::Builder::AlicloudEcs(_) => cx.stop.clone(),
                    // This machine's guests know nothing of a sandbox's seconds.
                    plan::Builder::Qemu(_) => cx.stop.in_real_time(),
                },
                events: &events,
                cloud: cloud.as_ref(),
            }
            .run()
            .await
        }
        Err(error) => (Vec::new(), Some(error), Vec::new()),
    };
    let result = Arc::new(BuildResult {
        name: build.name.clone(),
        builder_type: build.builder.type_name(),
        elapsed: cx.stop.clock().elapsed(start),
        artifacts,
        error: error.map(|error| error.at(build.span)),
    });
    events.emit(EventKind::BuildFinished(Arc::clone(&result)));
    (result, leftovers)
}

struct BuildRun<'a> {
    build: &'a plan::Build,
    cx: &'a RunContext<'a>,
    /// For everything that is done with the machine.
    machine_stop: Stop,
    events: &'a Events,
    cloud: Option<&'a Cloud>,
}

impl BuildRun<'_> {
    async fn run(&self) -> (Vec<Artifact>, Option<Error>, Vec<Leftover>) {
        // A bug must not leave a machine running either.
        // On the heap, as the phases below: a build is deep, and the stacks of
        // threads are small.
        let made = AssertUnwindSafe(Box::pin(self.made()));
        let made = made.catch_unwind().await;
        let made = made.unwrap_or_else(|panic| Err(bug(panic.as_ref())));
        let (artifact, data, error) = match made {
            Ok((artifact, data)) => (artifact, data, None),
            Err(error) => (None, BuildData::default(), Some(error)),
        };
        let leftovers = self.clean_up(error.is_some()).await;
        let Some(artifact) = artifact else {
            return (Vec::new(), error, leftovers);
        };
        let (artifacts, error, more) = self.post_process(artifact, &data).await;
        (
            artifacts,
            error,
            leftovers.into_iter().chain(more).collect(),
        )
    }

    async fn made(&self) -> Result<(Option<Artifact>, BuildData)> {
        let communicator = &self.build.communicator;
        match (&self.build.builder, self.cloud) {
            (plan::Builder::AlicloudEcs(options), Some(cloud)) => {
                self.make_or_explain(&AlicloudEcs::new(options, communicator, cloud))
                    .await
            }
            (plan::Builder::AlicloudEcs(_), None) => Err(Error::new(
                ErrorKind::Internal,
                "A build in the cloud has no connection to it",
            )),
            (plan::Builder::Qemu(options), _) => {
                self.make_or_explain(&Qemu::new(options, communicator))
                    .await
            }
        }
    }

    async fn make_or_explain<B: Builder>(
        &self,
        builder: &B,
    ) -> Result<(Option<Artifact>, BuildData)> {
        match self.make(builder).await {
            Ok(made) => Ok(made),
            Err(error) => Err(builder.explain(&self.build_context(), error).await),
        }
    }

    /// The phases up to the finished artifact.
    async fn make<B: Builder>(&self, builder: &B) -> Result<(Option<Artifact>, BuildData)> {
        let cx = self.build_context();
        postprocessor::preflight(&self.build.post_processors, &cx, self.cx.connections).await?;
        let build = self.build;
        let provisioners = build.provisioners.iter();
        let provisioners = provisioners.chain(&build.error_cleanup_provisioner);
        provisioner::preflight(provisioners, cx.environment)?;
        let machine = builder.prepare(&cx).await?;
        let data = Box::pin(self.provision(&cx, builder, &machine)).await?;
        // The address is released while the machine stops and its image is
        // made: that takes minutes, and nobody connects any more.
        let address = self.sweep(Scope::kinds(
            &self.build.name,
            &[Kind::EipAssociation, Kind::Eip],
        ));
        let image = async {
            cx.step("Stop instance", builder.halt(&cx, &machine))
                .await?;
            builder.capture(&cx, &machine).await
        };
        let (captured, _) = tokio::join!(image, address);
        let Some(captured) = captured? else {
            return Ok((None, data));
        };
        let machine_parts = self.sweep(Scope::machine(&self.build.name));
        let (artifact, _) = tokio::join!(builder.finish(&cx, captured), machine_parts);
        Ok((Some(artifact?), data))
    }

    async fn provision<B: Builder>(
        &self,
        cx: &BuildContext<'_>,
        builder: &B,
        machine: &Machine,
    ) -> Result<BuildData> {
        let settings = self.cx.settings;
        let mut data = connect::build_data(self.build, machine, settings, cx.journal.run());
        connect::add_secrets(&mut data, self.events);
        let outcome = match &self.build.communicator {
            plan::communicator::Communicator::None => self.run_provisioners(None, &data).await,
            plan::communicator::Communicator::Ssh(options) => {
                let connecting = connect::ssh(options, machine, settings, cx);
                let ssh = connected(cx, builder, Box::pin(connecting)).await?;
                Box::pin(self.provision_over(cx, builder, machine, &ssh, &data)).await
            }
            plan::communicator::Communicator::Winrm(options) => {
                let connecting = connect::winrm(options, machine, cx);
                let winrm = connected(cx, builder, Box::pin(connecting)).await?;
                Box::pin(self.provision_over(cx, builder, machine, &winrm, &data)).await
            }
        };
        outcome.map(|()| data)
    }

    async fn provision_over<B: Builder>(
        &self,
        cx: &BuildContext<'_>,
        builder: &B,
        machine: &Machine,
        connection: &dyn Communicator,
        data: &BuildData,
    ) -> Result<()> {
        let mut outcome = self.run_provisioners(Some(connection), data).await;
        if outcome.is_ok() {
            connect::remove_temporary_key(connection, machine, cx).await;
            outcome = builder.part(cx, connection).await;
        }
        connection.close().await;
        outcome
    }

    async fn run_provisioners(
        &self,
        machine: Option<&dyn Communicator>,
        data: &BuildData,
    ) -> Result<()> {
        let cx = self.provision_context(machine, data, &self.machine_stop);
        for provisioner in &self.build.provisioners {
            let outcome = self
                .build_context()
                .step("Provision", Box::pin(provisioner::run(provisioner, &cx)))
                .await
                .map_err(|error| error.at(provisioner.span));
            if let Err(error) = outcome {
                return Err(self.after_failed_provisioner(machine, data, error).await);
            }
        }
        Ok(())
    }

    /// Runs the error-cleanup-provisioner, unless the connection is gone or
    /// the run was stopped.
    async fn after_failed_provisioner(
        &self,
        machine: Option<&dyn Communicator>,
        data: &BuildData,
        error: Error,
    ) -> Error {
        let Some(provisioner) = &self.build.error_cleanup_provisioner else {
            return error;
        };
        if self.cx.stop.is_stopped() {
            return error;
        }
        self.events
            .say("Provisioning step had errors: Running the cleanup provisioner, if present...");
        let cx = self.provision_context(machine, data, &self.machine_stop);
        match provisioner::run(provisioner, &cx).await {
            Ok(()) => error,
            Err(cleanup) => error.context(format!(
                "Cleanup failed: {}",
                crate::error::one_line(&cleanup)
            )),
        }
    }

    async fn post_process(
        &self,
        artifact: Artifact,
        data: &BuildData,
    ) -> (Vec<Artifact>, Option<Error>, Vec<Leftover>) {
        if self.cx.stop.is_stopped() {
            return (vec![artifact], Some(Error::cancelled()), Vec::new());
        }
        let cx = self.provision_context(None, data, self.cx.stop);
        let services = Services {
            connections: self.cx.connections,
            journal: self.cx.journal,
            tags: &self.cx.settings.tags,
        };
        let sequences = &self.build.post_processors;
        let outcome = postprocessor::run_sequences(sequences, artifact, &cx, Some(&services)).await;
        discard(&outcome.discarded, &outcome.artifacts, self.events);
        let error = outcome.errors.into_iter().next();
        (outcome.artifacts, error, outcome.leftovers)
    }

    /// Deletes what this build made and nobody needs, or says what is kept.
    async fn clean_up(&self, failed: bool) -> Vec<Leftover> {
        if failed && self.cx.settings.on_error != OnError::Cleanup {
            return self.keep_everything();
        }
        self.sweep(Scope::build(&self.build.name)).await
    }

    fn keep_everything(&self) -> Vec<Leftover> {
        let leftovers = sweep::unswept(self.cx.journal, &Scope::build(&self.build.name));
        for leftover in &leftovers {
            self.events.emit(EventKind::Leftover(leftover.clone()));
        }
        leftovers
    }

    async fn sweep(&self, scope: Scope) -> Vec<Leftover> {
        let stop = self.cx.stop.for_cleanup();
        sweep::sweep(self.cx.journal, &scope, self.cloud, self.events, &stop).await
    }

    fn build_context(&self) -> BuildContext<'_> {
        BuildContext {
            build: &self.build.name,
            events: self.events,
            stop: &self.machine_stop,
            journal: self.cx.journal,
            tags: &self.cx.settings.tags,
            environment: &self.cx.settings.environment,
        }
    }

    fn provision_context<'a>(
        &'a self,
        communicator: Option<&'a dyn Communicator>,
        data: &'a BuildData,
        stop: &'a Stop,
    ) -> provisioner::Context<'a> {
        provisioner::Context {
            events: self.events,
            stop,
            communicator,
            data,
            environment: &self.cx.settings.environment,
        }
    }
}

/// The connection, unless the machine is gone before there is one.
async fn connected<B: Builder, C>(
    cx: &BuildContext<'_>,
    builder: &B,
    connecting: impl Future<Output = Result<C>>,
) -> Result<C> {
    let connecting = async {
        tokio::select! {
            biased;
            connected = connecting => connected,
            error = builder.gone() => Err(error),
        }
    };
    cx.step("Connect", connecting).await
}

fn bug(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("A bug ended the build: {}", text.unwrap_or("no message"));
    Error::new(ErrorKind::Internal, message)
        .with_hint("Please report it with the log of `--verbose`; what the build made is deleted")
}
