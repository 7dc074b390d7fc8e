//! Where tokens of an OpenID Connect provider come from.
//!
//! Facts: "OpenID Connect" of GitHub's documentation; GitLab's `id_tokens`
//! puts a token into a variable.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::{Network, plain};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

const GITHUB: &str = "GitHub's token service";

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdToken {
    /// A file that somebody keeps fresh.
    File(PathBuf),
    /// It was in a variable.
    Value(Secret),
    /// GitHub mints one for each request.
    Github {
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
        url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        token: Secret,
        /// Who the minted token is for.
        audience: String,
    },
}

#[derive(Deserialize)]
struct Minted {
    value: String,
}

impl IdToken {
    /// The token as it is now.
    pub(super) async fn fetch(&self, network: &Network) -> Result<Secret> {
        match self {
            Self::Value(token) => Ok(token.clone()),
            Self::File(path) => {
                let failed =
                    |why| Error::new(Kind::Credentials, format!("`{}` {why}", path.display()));
                let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                    failed("has no OIDC token: it cannot be read").with_source(error)
                })?;
                match text.trim() {
                    "" => Err(failed("has no OIDC token: it is empty")),
                    token => Ok(Secret::new(token)),
                }
            }
            Self::Github {
                url,
                token,
                audience,
            } => mint(network, url, token, audience).await,
        }
    }

    /// How it is called where people read it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the token in {}", path.display()),
            Self::Value(_) => "the token in ALIBABA_CLOUD_OIDC_TOKEN".to_owned(),
            Self::Github { audience, .. } => format!("a token of GitHub for `{audience}`"),
        }
    }
}

async fn mint(network: &Network, url: &str, token: &Secret, audience: &str) -> Result<Secret> {
    let mut url = Url::parse(url).map_err(|error| {
        Error::new(
            Kind::Credentials,
            "ACTIONS_ID_TOKEN_REQUEST_URL is malformed",
        )
        .with_source(error)
    })?;
    url.query_pairs_mut().append_pair("audience", audience);
    let headers = vec![
        ("authorization", format!("bearer {}", token.expose())),
        ("accept", "application/json".to_owned()),
    ];
    let response = plain::ask(network, GITHUB, plain::get(url, headers)).await?;
    let minted: Minted = serde_json::from_slice(&response.body).map_err(|_| {
        // The text of the error could quote the token.
        Error::new(Kind::Credentials, format!("{GITHUB} answered no token"))
    })?;
    Ok(Secret::new(minted.value))
}
