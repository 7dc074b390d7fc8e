//! Alibaba Cloud's API: signing, sending, retrying, waiting. It knows no
//! template option.
//!
//! ```text
//! Cloud::call / create ── parameters ── sign ── transport ──► the API
//!        ▲                                          │
//!        └── answer ◄── hints ◄── retry ◄── refusal ┘
//! ```
//!
//! Not here: what to call when (`builder`), what to delete (`journal`), and
//! where settings come from (`inputs`).

/// Ties a request type to its action:
/// `action!(Product Request -> Response, Repeat, Role)`.
macro_rules! action {
    ($product:ident $request:ident -> $response:ty, $repeat:ident, $role:ident) => {
        impl $crate::cloud::Action for $request {
            type Response = $response;
            const PRODUCT: $crate::cloud::Product = $crate::cloud::Product::$product;
            const NAME: &'static str = stringify!($request);
            const REPEAT: $crate::cloud::Repeat = $crate::cloud::Repeat::$repeat;
        }
        impl $crate::cloud::$role for $request {}
    };
}

/// Makes a request a [`Listing`]: `pages!(Request.field: Item, largest)`.
macro_rules! pages {
    ($request:ident . $items:ident : $item:ty, $largest:literal) => {
        impl $crate::cloud::Listing for $request {
            type Item = $item;
            const LARGEST_PAGE: u32 = $largest;
            fn at(&self, page: u32) -> Self {
                Self {
                    page_number: Some(page),
                    page_size: Some(Self::LARGEST_PAGE),
                    ..self.clone()
                }
            }
            fn items(response: Self::Response) -> (Vec<$item>, u32) {
                (response.$items, response.total_count)
            }
        }
    };
}

mod answer;
mod client;
pub mod credential;
pub mod ecs;
pub mod endpoint;
mod failure;
mod hints;
pub mod http;
#[cfg(test)]
mod names;
pub mod oss;
mod parameters;
pub mod ram;
mod retry;
mod sign;
pub mod sts;
pub mod transport;
pub mod vpc;
pub mod wait;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::stop::Stop;
use crate::error::Result;
use crate::journal::permit::Permit;

pub use client::CloudConfig;
pub use failure::{code_of, is_code, is_fate_unknown, is_forbidden, is_gone};
pub use parameters::JsonList;
pub use sign::SignatureAlgorithm;

/// The products whose API is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Elastic Compute Service, version 2014-05-26.
    Ecs,
    /// Virtual Private Cloud and EIP, version 2016-04-28.
    Vpc,
    /// Security Token Service, version 2015-04-01.
    Sts,
    /// Resource Access Management, version 2015-05-01.
    Ram,
    /// Object Storage Service, whose API has a style of its own.
    Oss,
}

impl Product {
    /// The version of the API that is used.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Ecs => "2014-05-26",
            Self::Vpc => "2016-04-28",
            Self::Sts => "2015-04-01",
            Self::Ram => "2015-05-01",
            Self::Oss => "2019-05-17",
        }
    }
}

/// A typed request. Its fields serialize to the API's parameter names; nested
/// structures and lists are flattened (`SystemDisk.Size`, `Tag.1.Key`).
pub trait Action: Serialize + Send + Sync {
    /// The typed answer.
    type Response: DeserializeOwned + Send;
    /// Whose API it is.
    const PRODUCT: Product;
    /// The API's name for it.
    const NAME: &'static str;
    /// When a lost or failed request may be sent again.
    const REPEAT: Repeat;
}

/// An action that creates nothing; anyone may call it.
pub trait Call: Action {}

/// An action that creates a resource; it needs a `Permit` of the journal.
pub trait Create: Action {}

/// A call whose answer comes in pages.
pub trait Listing: Call {
    /// One of what it lists.
    type Item: Send;
    /// The largest page the API gives.
    const LARGEST_PAGE: u32;
    /// The same request for one page, counted from 1.
    #[must_use]
    fn at(&self, page: u32) -> Self;
    /// What is on a page, and how many there are on all of them.
    fn items(response: Self::Response) -> (Vec<Self::Item>, u32);
}

/// When a request whose fate is unknown may be sent again. Requests that were
/// refused with a transient code may always be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reading, or setting a state: always.
    Always,
    /// With the same ClientToken, which the client adds: the permit's, the
    /// caller's, or a random one.
    WithClientToken,
    /// Only after looking; the caller does that, see [`is_fate_unknown`].
    Never,
}

/// The answer of actions that have nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Done {}

/// A tag of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    /// Its key, up to 128 characters.
    #[serde(alias = "TagKey")]
    pub key: String,
    /// Its value, up to 128 characters, may be empty.
    #[serde(alias = "TagValue")]
    pub value: String,
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// The API of all products in all regions, as one account. Cheap to clone.
#[derive(Clone)]
pub struct Cloud(Arc<client::Client>);

impl Cloud {
    /// A client with these settings.
    pub fn new(config: CloudConfig) -> Self {
        Self(Arc::new(client::Client::new(config)))
    }

    /// Sends a request that creates nothing. Transient failures are retried.
    ///
    /// # Errors
    /// `Kind::Credentials` when keys or permissions do not suffice,
    /// `Kind::Cloud` when the API refuses or cannot be reached,
    /// `Kind::Cancelled` at once when `stop` is used.
    pub async fn call<R: Call>(
        &self,
        region: &str,
        request: &R,
        stop: &Stop,
    ) -> Result<R::Response> {
        let token = (R::REPEAT == Repeat::WithClientToken).then(random_token);
        self.0
            .send(region, request, token.as_deref(), false, stop)
            .await
    }

    /// The same with a ClientToken that the caller keeps, so that it can
    /// repeat the call even in another process.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    pub async fn call_with_token<R: Call>(
        &self,
        region: &str,
        request: &R,
        token: &str,
        stop: &Stop,
    ) -> Result<R::Response> {
        self.0.send(region, request, Some(token), false, stop).await
    }

    /// Everything a listing call finds, from all pages. A plain
    /// [`Cloud::call`] gets the first ten.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    pub async fn list<R: Listing>(
        &self,
        region: &str,
        request: &R,
        stop: &Stop,
    ) -> Result<Vec<R::Item>> {
        let mut all = Vec::new();
        for page in 1.. {
            let response = self.call(region, &request.at(page), stop).await?;
            let (items, total) = R::items(response);
            let is_last = items.is_empty();
            all.extend(items);
            if is_last || all.len() >= total as usize {
                break;
            }
        }
        Ok(all)
    }

    /// Sends a request that creates a resource whose intent is on disk.
    ///
    /// When `stop` is used while the request is under way, the answer is
    /// awaited for some seconds more: an id in hand is easier to delete than
    /// one that must be searched for.
    ///
    /// # Errors
    /// As [`Cloud::call`]; [`is_fate_unknown`] tells whether the resource may
    /// exist all the same.
    pub async fn create<R: Create>(
        &self,
        region: &str,
        request: &R,
        permit: &Permit,
        stop: &Stop,
    ) -> Result<R::Response> {
        let token = (R::REPEAT == Repeat::WithClientToken).then(|| permit.client_token());
        self.0.send(region, request, token, true, stop).await
    }
}

impl Cloud {
    /// The time by Alibaba Cloud's clock, as far as it is known: this
    /// machine's until a request was refused because that is wrong.
    pub fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
}

fn random_token() -> String {
    uuid::Uuid::new_v4().to_string()
}
