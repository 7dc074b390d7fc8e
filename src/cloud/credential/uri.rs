//! Keys from a URI: a local service, such as a broker in a container, hands
//! them out.

use async_trait::async_trait;
use url::Url;

use super::{Credential, Network, Provider, plain};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

const WHAT: &str = "the credentials URI";

pub(super) struct CredentialsUri {
    pub(super) network: Network,
    pub(super) uri: Secret,
}

#[async_trait]
impl Provider for CredentialsUri {
    async fn fetch(&self) -> Result<Credential> {
        let url = Url::parse(self.uri.expose()).map_err(|error| {
            Error::new(Kind::Credentials, "The credentials URI is malformed").with_source(error)
        })?;
        let response = plain::ask(&self.network, WHAT, plain::get(url, Vec::new())).await?;
        plain::keys(WHAT, &response.body)
    }
}
