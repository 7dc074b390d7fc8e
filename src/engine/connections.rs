//! From a build's access options to a client of Alibaba Cloud.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cloud::credential::{Ambient, Credentials, Found, Network, Nothing, Source};
use crate::cloud::endpoint::Endpoints;
use crate::cloud::{Cloud, CloudConfig, Product};
use crate::error::Result;
use crate::plan::Builder;
use crate::plan::alicloud_ecs::Access;
use crate::plan::import::Import;

/// What the environment and the command line say about the cloud.
#[derive(Clone)]
pub struct Connections {
    /// Whose keys are used.
    credentials: Credentials,
    /// Endpoints that replace the regular ones, how requests are signed, and
    /// what carries them; shared by all builds.
    network: Network,
    /// Whether the template's own keys and endpoints are passed over: they
    /// are the real cloud's, and this is a simulated one.
    only_these: bool,
}

impl Connections {
    /// With what the environment says; the template's keys and endpoints are
    /// passed over when it is to be `only_these`.
    pub fn new(ambient: Ambient, network: Network, only_these: bool) -> Self {
        Self {
            credentials: Credentials::new(ambient, network.clone()),
            network,
            only_these,
        }
    }

    /// The client a builder uses, if it uses one.
    ///
    /// # Errors
    /// When an endpoint is malformed.
    pub fn cloud(&self, builder: &Builder) -> Result<Option<Cloud>> {
        match builder {
            Builder::AlicloudEcs(options) => {
                let endpoints = self.network.endpoints.clone();
                self.for_access(&options.access, endpoints).map(Some)
            }
            Builder::Qemu(_) => Ok(None),
        }
    }

    /// The client of a command without template, with the keys of the
    /// environment.
    pub fn from_environment(&self) -> Cloud {
        self.client(&Source::Ambient, self.network.endpoints.clone())
    }

    /// What the environment's keys are, and where they were not.
    ///
    /// # Errors
    /// When it has none.
    pub async fn found(&self) -> Result<Found, Nothing> {
        self.credentials.found().await
    }

    /// When the environment's keys end, if they do.
    ///
    /// # Errors
    /// When it has none.
    pub async fn expiration(&self) -> Result<Option<Timestamp>> {
        let keys = self.credentials.of(&Source::Ambient).get().await?;
        Ok(keys.expiration)
    }

    /// The client of an import.
    ///
    /// # Errors
    /// As [`Connections::cloud`].
    pub fn for_import(&self, import: &Import) -> Result<Cloud> {
        let mut endpoints = self.network.endpoints.clone();
        if let Some(endpoint) = import.oss_endpoint.as_ref().filter(|_| !self.only_these) {
            let region = &import.access.region.value;
            endpoints = endpoints.with_regional(Product::Oss, region, endpoint)?;
        }
        self.for_access(&import.access, endpoints)
    }

    fn for_access(&self, access: &Access, mut endpoints: Endpoints) -> Result<Cloud> {
        if self.only_these {
            return Ok(self.from_environment());
        }
        if let Some(custom) = &access.custom_endpoint_ecs {
            endpoints = endpoints
                .with_regional(Product::Ecs, &access.region.value, &custom.value)
                .map_err(|error| error.at(custom.span))?;
        }
        Ok(self.client(&access.credentials, endpoints))
    }

    fn client(&self, source: &Source, endpoints: Endpoints) -> Cloud {
        Cloud::new(CloudConfig {
            credentials: self.credentials.of(source),
            endpoints,
            signature: self.network.signature,
            transport: Arc::clone(&self.network.transport),
        })
    }
}
