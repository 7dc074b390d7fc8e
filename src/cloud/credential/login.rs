//! Keys for people who logged in with a browser: CloudSSO and OAuth. The
//! browser is the Alibaba Cloud CLI's part; here its tokens are used while
//! they last, and renewed where that needs no browser.
//!
//! Facts: the Alibaba Cloud CLI and the official credentials library for Go.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::profile::ProfileFile;
use super::{Credential, Network, Provider, plain};
use crate::error::{Error, Kind, Result, one_line};
use crate::secret::Secret;

/// OAuth access tokens are renewed when fewer seconds than this are left.
const LEFT: i64 = 1200;

/// Keys of an earlier call are not worth using when fewer seconds are left.
const AGED: i64 = 600;

/// A CloudSSO login.
#[derive(Debug, Clone)]
pub struct CloudSso {
    /// Where people sign in; its host hands out keys.
    pub sign_in_url: String,
    /// The account to work in.
    pub account_id: String,
    /// The access configuration.
    pub access_config: String,
    /// The token of the login.
    pub access_token: Secret,
    /// When it ends, in seconds since 1970.
    pub access_token_expire: i64,
    /// Keys of an earlier call.
    pub cached: Option<Credential>,
    /// The profile, for messages.
    pub profile: String,
}

/// An OAuth login.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Which of the two sites.
    pub site: OAuthSite,
    /// The token of the login.
    pub access_token: Secret,
    /// When it ends, in seconds since 1970.
    pub access_token_expire: i64,
    /// What renews it.
    pub refresh_token: Secret,
    /// Keys of an earlier call.
    pub cached: Option<Credential>,
    /// Where the profile is, as renewed tokens are written back: the old ones
    /// no longer work.
    pub file: PathBuf,
    /// The profile's name.
    pub profile: String,
}

/// The sites, which share no accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthSite {
    /// China.
    Cn,
    /// International.
    Intl,
}

impl OAuthSite {
    fn base(self) -> &'static str {
        match self {
            Self::Cn => "https://oauth.aliyun.com",
            Self::Intl => "https://oauth.alibabacloud.com",
        }
    }

    /// The id of the CLI, which is public.
    fn client_id(self) -> &'static str {
        match self {
            Self::Cn => "4038181954557748008",
            Self::Intl => "4103531455503354461",
        }
    }
}

pub(super) struct CloudSsoProvider {
    pub(super) network: Network,
    pub(super) login: CloudSso,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CloudSsoAnswer {
    cloud_credential: serde_json::Value,
}

#[async_trait]
impl Provider for CloudSsoProvider {
    async fn fetch(&self) -> Result<Credential> {
        const WHAT: &str = "CloudSSO";
        let login = &self.login;
        if let Some(cached) = lasting(login.cached.as_ref(), AGED) {
            return Ok(cached);
        }
        if login.access_token.is_empty()
            || login.access_token_expire <= Timestamp::now().as_second()
        {
            return lasting(login.cached.as_ref(), 0)
                .ok_or_else(|| login_again("CloudSSO", &login.profile));
        }
        let url = Url::parse(&login.sign_in_url).and_then(|url| url.join("/cloud-credentials"));
        let url = url.map_err(|error| {
            let message = format!("`{}` is no sign-in URL", login.sign_in_url);
            Error::new(Kind::Credentials, message).with_source(error)
        })?;
        let body = json!({
            "AccountId": login.account_id,
            "AccessConfigurationId": login.access_config,
        });
        let headers = vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
            bearer(&login.access_token),
        ];
        let request = plain::post(url, headers, body.to_string());
        let response = plain::ask(&self.network, WHAT, request).await?;
        let answer: CloudSsoAnswer = serde_json::from_slice(&response.body)
            .map_err(|_| Error::new(Kind::Credentials, "CloudSSO answered no keys"))?;
        plain::keys(WHAT, answer.cloud_credential.to_string().as_bytes())
    }
}

pub(super) struct OAuthProvider {
    network: Network,
    login: OAuth,
    tokens: Mutex<Tokens>,
}

#[derive(Clone)]
struct Tokens {
    access: Secret,
    access_expire: i64,
    refresh: Secret,
}

#[derive(Deserialize)]
struct Renewed {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

impl OAuthProvider {
    pub(super) fn new(network: Network, login: OAuth) -> Self {
        let tokens = Mutex::new(Tokens {
            access: login.access_token.clone(),
            access_expire: login.access_token_expire,
            refresh: login.refresh_token.clone(),
        });
        Self {
            network,
            login,
            tokens,
        }
    }

    fn tokens(&self) -> Tokens {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clone()
    }

    /// An access token that lasts.
    async fn access_token(&self) -> Result<Secret> {
        let tokens = self.tokens();
        if tokens.access_expire - Timestamp::now().as_second() > LEFT {
            return Ok(tokens.access);
        }
        if tokens.refresh.is_empty() {
            return Err(login_again("OAuth", &self.login.profile));
        }
        let renewed = self.renew(&tokens.refresh).await?;
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
        if let Err(error) = self.write_back(&renewed) {
            // These tokens serve this run all the same.
            tracing::warn!(error = one_line(&error), "the profile is not updated");
        }
        Ok(renewed.access)
    }

    async fn renew(&self, refresh: &Secret) -> Result<Tokens> {
        let now = Timestamp::now();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh.expose())
            .append_pair("client_id", self.login.site.client_id())
            .append_pair("Timestamp", &now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            .finish();
        let kind = "application/x-www-form-urlencoded".to_owned();
        let request = plain::post(self.url("/v1/token")?, vec![("content-type", kind)], form);
        let again = || login_again("OAuth", &self.login.profile);
        let response = plain::ask(&self.network, "the OAuth service", request).await;
        let response = response.map_err(|error| again().with_source(error))?;
        let renewed: Renewed = serde_json::from_slice(&response.body).map_err(|_| again())?;
        let tokens = Tokens {
            access: Secret::new(renewed.access_token),
            access_expire: now.as_second() + renewed.expires_in,
            refresh: Secret::new(renewed.refresh_token),
        };
        let hiding = &self.network.hiding;
        hiding.value(&tokens.access);
        hiding.value(&tokens.refresh);
        Ok(tokens)
    }

    fn write_back(&self, tokens: &Tokens) -> Result<()> {
        let values = [
            ("oauth_access_token", json!(tokens.access.expose())),
            ("oauth_access_token_expire", json!(tokens.access_expire)),
            ("oauth_refresh_token", json!(tokens.refresh.expose())),
        ];
        ProfileFile::update(&self.login.file, &self.login.profile, &values)
    }

    fn url(&self, path: &str) -> Result<Url> {
        Url::parse(&format!("{}{path}", self.login.site.base())).map_err(|error| {
            Error::new(Kind::Internal, "The OAuth service has no URL").with_source(error)
        })
    }
}

#[async_trait]
impl Provider for OAuthProvider {
    async fn fetch(&self) -> Result<Credential> {
        let cached = self.login.cached.as_ref();
        if let Some(cached) = lasting(cached, AGED) {
            return Ok(cached);
        }
        let token = match (self.access_token().await, lasting(cached, 0)) {
            (Err(_), Some(cached)) => return Ok(cached),
            (token, _) => token?,
        };
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            bearer(&token),
        ];
        let request = plain::post(self.url("/v1/exchange")?, headers, String::new());
        let response = plain::ask(&self.network, "the OAuth service", request).await?;
        plain::keys("the OAuth service's answer", &response.body)
    }
}

/// The keys, unless fewer seconds than this are left of their life.
fn lasting(keys: Option<&Credential>, seconds: i64) -> Option<Credential> {
    let left = keys?.expiration?.as_second() - Timestamp::now().as_second();
    (left > seconds).then(|| keys.cloned()).flatten()
}

fn bearer(token: &Secret) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token.expose()))
}

fn login_again(service: &str, profile: &str) -> Error {
    let message = format!("The {service} login of profile `{profile}` has ended");
    Error::new(Kind::Credentials, message).with_hint(format!(
        "Log in again with `aliyun configure --profile {profile}`; in CI use OIDC or keys"
    ))
}
