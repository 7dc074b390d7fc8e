//! From a build's access options to a client of Alibaba Cloud.

use std::sync::Arc;

use crate::cloud::credential::Static;
use crate::cloud::endpoint::Endpoints;
use crate::cloud::transport::Transport;
use crate::cloud::{Cloud, CloudConfig, Product, SignatureAlgorithm};
use crate::error::{Error, Kind, Result};
use crate::plan::Builder;
use crate::plan::alicloud_ecs::{Access, Keys};
use crate::plan::import::Import;

/// What the environment and the command line say about the cloud.
#[derive(Clone)]
pub struct Connections {
    /// Keys that serve when the template has none.
    pub keys: Option<Keys>,
    /// Endpoints that replace the regular ones.
    pub endpoints: Endpoints,
    /// How requests are signed.
    pub signature: SignatureAlgorithm,
    /// What carries requests; shared by all builds.
    pub transport: Arc<dyn Transport>,
    /// Whether the template's own keys and endpoints are passed over: they
    /// are the real cloud's, and this is a simulated one.
    pub only_these: bool,
}

impl Connections {
    /// The client a builder uses, if it uses one.
    ///
    /// # Errors
    /// When there are no keys or an endpoint is malformed.
    pub fn cloud(&self, builder: &Builder) -> Result<Option<Cloud>> {
        match builder {
            Builder::AlicloudEcs(options) => self.for_access(&options.access).map(Some),
            Builder::Qemu(_) => Ok(None),
        }
    }

    /// The client of a command without template.
    ///
    /// # Errors
    /// When the environment has no keys.
    pub fn from_environment(&self) -> Result<Cloud> {
        let keys = self.keys.as_ref().ok_or_else(no_keys)?;
        Ok(self.with(keys, self.endpoints.clone()))
    }

    /// The client of an import.
    ///
    /// # Errors
    /// As [`Connections::cloud`].
    pub fn for_import(&self, import: &Import) -> Result<Cloud> {
        let Some(endpoint) = import.oss_endpoint.as_ref().filter(|_| !self.only_these) else {
            return self.for_access(&import.access);
        };
        let region = &import.access.region.value;
        let endpoints = self.endpoints.clone();
        Self {
            endpoints: endpoints.with_regional(Product::Oss, region, endpoint)?,
            ..self.clone()
        }
        .for_access(&import.access)
    }

    fn for_access(&self, access: &Access) -> Result<Cloud> {
        if self.only_these {
            return self.from_environment();
        }
        let keys = access
            .keys
            .as_ref()
            .or(self.keys.as_ref())
            .ok_or_else(no_keys)?;
        let mut endpoints = self.endpoints.clone();
        if let Some(custom) = &access.custom_endpoint_ecs {
            endpoints = endpoints
                .with_regional(Product::Ecs, &access.region.value, &custom.value)
                .map_err(|error| error.at(custom.span))?;
        }
        Ok(self.with(keys, endpoints))
    }

    fn with(&self, keys: &Keys, endpoints: Endpoints) -> Cloud {
        let credentials = Static::new(
            keys.access_key.clone(),
            keys.secret_key.clone(),
            keys.security_token.clone(),
        );
        Cloud::new(CloudConfig {
            credentials: Arc::new(credentials),
            endpoints,
            signature: self.signature,
            transport: Arc::clone(&self.transport),
        })
    }
}

fn no_keys() -> Error {
    Error::new(
        Kind::Credentials,
        "No AccessKey for Alibaba Cloud was given",
    )
    .with_hint(
        "Set `ALICLOUD_ACCESS_KEY` and `ALICLOUD_SECRET_KEY`, or `access_key` and `secret_key` \
         in the template; to try a template without an account use `build --sandbox`",
    )
}
