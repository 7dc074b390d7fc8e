//! The record of calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// One call, as it arrived and as it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Arrival, since the sandbox started.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// `Ecs`, `Vpc`, `Sts`, `Ram` or `Oss`; empty when unknown.
    pub product: String,
    /// Action.
    pub action: String,
    /// Region of the call.
    pub region: String,
    /// Parameters of the action, unredacted. Of OSS: `bucket`, `key`, the query
    /// and the headers that matter.
    pub params: BTreeMap<String, String>,
    /// `OK`, the error code, or `Dropped` for a reset connection.
    pub code: String,
    /// HTTP status; 0 for a reset connection.
    pub http: u16,
    /// Who claimed to call.
    pub access_key_id: String,
    /// RequestId of the answer.
    pub request_id: String,
    /// `User-Agent` of the client.
    pub user_agent: String,
}

/// Parameters that are masked where calls leave the process.
const SECRET: &[&str] = &["OIDCToken", "Password", "UserData"];

impl Call {
    /// The call without passwords, tokens and user data.
    pub fn redacted(mut self) -> Self {
        for name in SECRET {
            if let Some(value) = self.params.get_mut(*name) {
                "***".clone_into(value);
            }
        }
        self
    }
}

/// Serializes a duration as seconds.
pub(crate) fn seconds<S: serde::Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.as_secs_f64())
}
