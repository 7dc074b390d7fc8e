//! One request after another, with the token, within the rate limits.
//!
//! octocrab makes the requests and reads the errors; the connection, its
//! proxies and its certificates are those of all other requests of this
//! program. The client follows no redirect by itself, and the token goes to
//! the API's own host only.

use std::error::Error as StdError;
use std::time::Duration;

use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, GitHubError, Octocrab, OctocrabBuilder, map_github_error};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LINK, LOCATION};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::failure::Refusal;
use super::limit::{self, Patience};
use super::{Access, Failure};
use crate::cloud::endpoint::is_loopback;
use crate::cloud::http;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// The form of answers that GitHub recommends to ask for.
const JSON: &str = "application/vnd.github+json";

/// How long one answer may take, in real time.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many redirects are followed: a renamed repository has one.
const MOST_REDIRECTS: usize = 3;

/// A connection to GitHub.
#[derive(Debug, Clone)]
pub struct Api {
    octocrab: Octocrab,
    base: Url,
    graphql: Url,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    url: Url,
    accept: &'static str,
    body: Option<Value>,
}

/// What GitHub answered to a request it did not refuse.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    headers: HeaderMap,
}

impl Api {
    /// A connection, which is opened with the first request.
    ///
    /// # Errors
    /// `Kind::Io` when TLS cannot be set up, `Kind::Usage` when the token
    /// cannot be one.
    pub fn new(access: &Access) -> Result<Self> {
        let builder = http::builder().timeout(TIMEOUT).default_headers(
            [(ACCEPT, HeaderValue::from_static(JSON))]
                .into_iter()
                .collect(),
        );
        let builder = match is_loopback(&access.api) {
            true => builder.no_proxy(),
            false => builder,
        };
        let client = builder.build().map_err(|error| {
            Error::new(Kind::Io, "Failed to set up HTTPS for GitHub").with_source(error)
        })?;
        let host = access.api.as_str().parse().map_err(|error| {
            Error::new(
                Kind::Usage,
                format!("`{}` is no address of an API", access.api),
            )
            .with_source(error)
        })?;
        let authorization = AuthHeaderLayer::new(authorization(access)?, Clone::clone(&host), host);
        let built = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(client))
            .with_layer(&authorization)
            .with_auth(AuthState::None)
            .build();
        let octocrab = match built {
            Ok(octocrab) => octocrab,
            Err(never) => match never {},
        };
        Ok(Self {
            octocrab,
            base: access.api.clone(),
            graphql: access.graphql.clone(),
        })
    }

    /// The address of a route. Its segments are escaped.
    pub(super) fn route<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Asks for JSON.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: Url,
        stop: &Stop,
    ) -> Result<T, Failure> {
        self.send(&Request::get(url, JSON), stop).await?.json()
    }

    /// Asks for all pages of a list, and keeps what is wanted of each.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        first: Url,
        stop: &Stop,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Failure> {
        let (mut found, mut next) = (Vec::new(), Some(first));
        while let Some(url) = next {
            let answer = self.send(&Request::get(url, JSON), stop).await?;
            next = answer.next().filter(|url| self.is_ours(url));
            let page: Vec<T> = answer.json()?;
            found.extend(page.into_iter().filter(&is_wanted));
        }
        Ok(found)
    }

    /// Where a route redirects to, which may be another host.
    pub(super) async fn redirect(&self, url: Url, stop: &Stop) -> Result<Url, Failure> {
        let mut request = Request::get(url, JSON);
        for _ in 0..MOST_REDIRECTS {
            let answer = self.with_patience(&request, stop).await?;
            let reason = || Failure::Damaged(format!("{} instead of a redirect", answer.status));
            let location = answer.location().ok_or_else(reason)?;
            if !self.is_ours(&location) {
                return Ok(location);
            }
            request.url = location;
        }
        Err(too_many_redirects())
    }

    /// Sends JSON.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: Url,
        body: Value,
        stop: &Stop,
    ) -> Result<T, Failure> {
        let request = Request::with_body(Method::POST, url, body);
        self.send(&request, stop).await?.json()
    }

    /// Changes something; the answer says nothing new.
    pub(super) async fn patch(&self, url: Url, body: Value, stop: &Stop) -> Result<(), Failure> {
        let request = Request::with_body(Method::PATCH, url, body);
        self.send(&request, stop).await.map(|_| ())
    }

    /// Asks a question in GraphQL, which changes nothing.
    pub(super) async fn question(&self, query: &str, stop: &Stop) -> Result<Value, Failure> {
        let body = serde_json::json!({ "query": query });
        let request = Request::with_body(Method::POST, self.graphql.clone(), body);
        self.send(&request, stop).await?.json()
    }

    /// Sends a request and follows redirects on the API's own host.
    pub(super) async fn send(&self, request: &Request, stop: &Stop) -> Result<Answer, Failure> {
        let mut request = request.clone();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.with_patience(&request, stop).await?;
            match answer.location().filter(|url| self.is_ours(url)) {
                Some(url) => request.url = url,
                None => return Ok(answer),
            }
        }
        Err(too_many_redirects())
    }

    /// Sends a request, again when that is safe and the limits allow it.
    async fn with_patience(&self, request: &Request, stop: &Stop) -> Result<Answer, Failure> {
        let mut patience = Patience::default();
        loop {
            // octocrab's futures are large.
            let attempt = Box::pin(self.once(request));
            let failure = match stop.race(attempt).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match patience.after(&failure, request.may_repeat()) {
                Some(wait) => stop.sleep(wait).await?,
                None => return Err(failure),
            }
        }
    }

    async fn once(&self, request: &Request) -> Result<Answer, Failure> {
        let url = request.url.as_str();
        let sent = match request.method {
            Method::POST => self.octocrab._post(url, request.body.as_ref()).await,
            Method::PATCH => self.octocrab._patch(url, request.body.as_ref()).await,
            _ => {
                let accept = (ACCEPT, HeaderValue::from_static(request.accept));
                let headers = Some([accept].into_iter().collect());
                self.octocrab._get_with_headers(url, headers).await
            }
        };
        let mut response = sent.map_err(failure)?;
        let status = response.status();
        // octocrab takes a redirect for an error.
        if !status.is_redirection() {
            response = map_github_error(response).await.map_err(failure)?;
        }
        let headers = response.headers().clone();
        let body = self.octocrab.body_to_string(response).await;
        Ok(Answer {
            status: status.as_u16(),
            headers,
            body: body.map_err(failure)?,
        })
    }

    /// Whether it is a route of the API. An Enterprise Server has other things
    /// on the same host.
    fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() && url.path().starts_with(self.base.path())
    }
}

impl Request {
    pub(super) fn get(url: Url, accept: &'static str) -> Self {
        Self {
            method: Method::GET,
            url,
            accept,
            body: None,
        }
    }

    fn with_body(method: Method, url: Url, body: Value) -> Self {
        Self {
            method,
            url,
            accept: JSON,
            body: Some(body),
        }
    }

    /// A second comment would be one too many; a second change is the same.
    fn may_repeat(&self) -> bool {
        self.method != Method::POST
    }
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.body).map_err(|error| Failure::Damaged(error.to_string()))
    }

    /// Where a redirect leads.
    pub(super) fn location(&self) -> Option<Url> {
        let is_redirect = matches!(self.status, 301 | 302 | 307 | 308);
        let location = self.headers.get(LOCATION).filter(|_| is_redirect)?;
        location.to_str().ok()?.parse().ok()
    }

    /// The next page of a list (RFC 8288).
    fn next(&self) -> Option<Url> {
        let links = self.headers.get(LINK)?.to_str().ok()?;
        let mut links = links.split(',').filter_map(|link| link.split_once(';'));
        let (target, _) = links.find(|(_, parameters)| parameters.contains("rel=\"next\""))?;
        let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
        target.parse().ok()
    }
}

fn authorization(access: &Access) -> Result<Option<HeaderValue>> {
    let Some(token) = &access.token else {
        return Ok(None);
    };
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| {
        // The reason would say where in the token the odd character is.
        let message = format!("The token for GitHub cannot be sent in `{AUTHORIZATION}`");
        Error::new(Kind::Usage, message).with_hint("It holds a line end or another odd character")
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn too_many_redirects() -> Failure {
    Failure::Damaged("too many redirects".to_owned())
}

fn failure(error: octocrab::Error) -> Failure {
    if let octocrab::Error::GitHub { source, .. } = error {
        return Failure::Refused(refusal(&source));
    }
    let mut link: Option<&dyn StdError> = Some(&error);
    while let Some(this) = link {
        if let Some(error) = this.downcast_ref::<reqwest::Error>() {
            let words = http::innermost_words(error);
            return match error.is_connect() || error.is_builder() {
                true => Failure::Unsent(words),
                false => Failure::Lost(words),
            };
        }
        link = this.source();
    }
    Failure::Lost(crate::error::one_line(&error))
}

fn refusal(error: &GitHubError) -> Refusal {
    let status = error.status_code.as_u16();
    let none = HeaderMap::new();
    let headers = error.headers.as_ref().unwrap_or(&none);
    let now = jiff::Timestamp::now().as_second();
    let now = u64::try_from(now).unwrap_or_default();
    let details = error.errors.iter().flatten();
    let details: Vec<_> = details.filter_map(|one| one["message"].as_str()).collect();
    // A gateway's page instead of the API's words may be long.
    let words = error.message.lines().next().unwrap_or_default();
    let mut message: String = words.chars().take(200).collect();
    if !details.is_empty() {
        message.push_str(&format!(" ({})", details.join("; ")));
    }
    Refusal {
        status,
        wait: limit::wait(status, headers, &message, now),
        message,
    }
}
