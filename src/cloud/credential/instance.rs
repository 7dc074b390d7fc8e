//! The RAM role of the ECS instance this program runs on, asked from the
//! instance metadata.
//!
//! Facts: "Instance metadata" of the ECS documentation. A token is asked for
//! first (security hardening mode), as hardened instances refuse requests
//! without one; older metadata servers have no tokens.

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::ambient::InstanceMetadata;
use super::{Credential, Network, Provider, plain};
use crate::cloud::transport::{HttpResponse, Method, SendFailure, Signed};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Not on an ECS instance, nobody answers at all. Real time.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest life of a token, seconds. It only serves for one round.
const TOKEN_SECONDS: &str = "60";

const ROLES: &str = "latest/meta-data/ram/security-credentials/";

const WHAT: &str = "the instance metadata";

pub(super) struct InstanceRole {
    pub(super) network: Network,
    pub(super) metadata: InstanceMetadata,
    /// The role's name; asked for when absent.
    pub(super) role: Option<String>,
}

#[async_trait]
impl Provider for InstanceRole {
    async fn fetch(&self) -> Result<Credential> {
        let token = self.token().await?;
        let role = match &self.role {
            Some(role) => role.clone(),
            None => self.ask_for_role(token.as_deref()).await?,
        };
        let response = self
            .get(&format!("{ROLES}{role}"), token.as_deref())
            .await?;
        match response.status {
            200 => plain::keys(WHAT, &response.body),
            404 => Err(no_role(Some(&role))),
            status => Err(refused(status)),
        }
    }
}

impl InstanceRole {
    /// A token; none when this metadata server has no tokens.
    async fn token(&self) -> Result<Option<String>> {
        let header = (
            "x-aliyun-ecs-metadata-token-ttl-seconds",
            TOKEN_SECONDS.to_owned(),
        );
        let request = self.request(Method::Put, "latest/api/token", vec![header])?;
        let response = self.send(request).await?;
        if response.status == 200 {
            let token = String::from_utf8_lossy(&response.body).trim().to_owned();
            self.network.hiding.value(&Secret::new(token.as_str()));
            return Ok(Some(token));
        }
        if self.metadata.only_with_token {
            return Err(refused(response.status)
                .with_hint("ALIBABA_CLOUD_IMDSV1_DISABLED forbids to ask without a token"));
        }
        Ok(None)
    }

    async fn ask_for_role(&self, token: Option<&str>) -> Result<String> {
        let response = self.get(ROLES, token).await?;
        let names = String::from_utf8_lossy(&response.body).into_owned();
        let first = names.lines().map(str::trim).find(|name| !name.is_empty());
        match (response.status, first) {
            (200, Some(role)) => Ok(role.to_owned()),
            (200 | 404, _) => Err(no_role(None)),
            (status, _) => Err(refused(status)),
        }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Result<HttpResponse> {
        let header = token.map(|token| ("x-aliyun-ecs-metadata-token", token.to_owned()));
        let request = self.request(Method::Get, path, header.into_iter().collect())?;
        self.send(request).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Signed> {
        let url = self.metadata.address.join(path).map_err(|error| {
            let message = format!("`{path}` is no path of {WHAT}");
            Error::new(Kind::Credentials, message).with_source(error)
        })?;
        Ok(Signed {
            method,
            read_timeout: PATIENCE,
            ..plain::get(url, headers)
        })
    }

    async fn send(&self, request: Signed) -> Result<HttpResponse> {
        let sent = self.network.transport.send(request).await;
        sent.map_err(|failure| silent(&self.metadata.address, failure))
    }
}

fn silent(address: &Url, failure: SendFailure) -> Error {
    let host = address.host_str().unwrap_or_default();
    let message = format!("Nobody answers for the instance metadata at {host}");
    Error::new(Kind::Credentials, message)
        .with_source(failure)
        .with_hint(
            "The RAM role of an instance only serves on an ECS instance; in a container the \
             instance's metadata needs a hop limit of 2. Elsewhere give keys, a profile or OIDC",
        )
}

fn no_role(role: Option<&str>) -> Error {
    let message = match role {
        Some(role) => format!("The RAM role `{role}` is not attached to this instance"),
        None => "No RAM role is attached to this instance".to_owned(),
    };
    Error::new(Kind::Credentials, message).with_hint(
        "Attach the role in the ECS console; the metadata at \
         /latest/meta-data/ram/security-credentials/ shows the name of the one that is attached",
    )
}

fn refused(status: u16) -> Error {
    let message = format!("The instance metadata refused with HTTP {status}");
    Error::new(Kind::Credentials, message)
}
