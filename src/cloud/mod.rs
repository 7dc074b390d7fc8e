//! Alibaba Cloud's API: signing, sending, retrying, waiting. It knows no
//! template option.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The products whose API is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    /// Elastic Compute Service, version 2014-05-26.
    Ecs,
    /// Virtual Private Cloud and EIP, version 2016-04-28.
    Vpc,
    /// Security Token Service, version 2015-04-01.
    Sts,
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

/// When a request whose fate is unknown may be sent again. Requests that were
/// refused with a transient code may always be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reading, or setting a state: always.
    Always,
    /// With the same ClientToken, which the transport adds from the permit.
    WithClientToken,
    /// Only after looking; the caller does that.
    Never,
}
