//! Errors as the gateway and the services answer them: HTTP status, code and
//! message. Codes and messages come from the official metadata
//! (`data/actions.json`); the gateway-wide ones, which no action documents,
//! are listed here.

use std::fmt;

use serde_json::{Map, Value, json};

/// An error answer of the simulated cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// HTTP status of the answer.
    pub http: u16,
    /// Error code, for example `InvalidImageId.NotFound`.
    pub code: String,
    /// Human readable message.
    pub message: String,
    /// Detail of a `Forbidden.RAM` answer.
    pub access_denied: Option<Box<Value>>,
    /// Value of the `x-acs-retry-after` header, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    /// An error with the given status, code and message.
    pub fn new(http: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            http,
            code: code.into(),
            message: message.into(),
            access_denied: None,
            retry_after_ms: None,
        }
    }

    /// An error every action may answer, with its usual status and message.
    pub(crate) fn gateway(code: &str) -> Self {
        let found = GATEWAY.iter().find(|entry| entry.1 == code);
        let (http, message) = found.map_or((400, "The request is not valid."), |e| (e.0, e.2));
        Self::new(http, code, message)
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        let message = format!(
            "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
        );
        Self::new(400, "MissingParameter", message)
    }

    pub(crate) fn invalid_parameter(name: &str, why: &str) -> Self {
        let leaf = name.rsplit('.').find(|part| part.parse::<u32>().is_err());
        let code = format!("InvalidParameter.{}", leaf.unwrap_or(name));
        let message = format!("The specified parameter \"{name}\" is not valid: {why}.");
        Self::new(400, code, message)
    }

    /// The answer as the JSON object of the wire.
    pub(crate) fn body(&self, request_id: &str, host: &str) -> Value {
        let mut body = Map::new();
        body.insert("RequestId".into(), json!(request_id));
        body.insert("HostId".into(), json!(host));
        body.insert("Code".into(), json!(self.code));
        body.insert("Message".into(), json!(self.message));
        let recommend = format!(
            "https://api.aliyun.com/troubleshoot?q={}&requestId={request_id}",
            self.code
        );
        body.insert("Recommend".into(), json!(recommend));
        if let Some(detail) = &self.access_denied {
            body.insert("AccessDeniedDetail".into(), detail.as_ref().clone());
        }
        Value::Object(body)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.http, self.code, self.message)
    }
}

impl std::error::Error for ApiError {}

/// Codes that the documentation of single actions leaves out, with status and
/// message.
const GATEWAY: &[(u16, &str, &str)] = &[
    (
        400,
        "IncompleteSignature",
        "The request signature does not conform to Aliyun standards.",
    ),
    (
        404,
        "InvalidAccessKeyId.NotFound",
        "Specified access key is not found.",
    ),
    (
        400,
        "SignatureNonceUsed",
        "Specified signature nonce was used already.",
    ),
    (
        400,
        "InvalidTimeStamp.Expired",
        "Specified time stamp or date value is expired.",
    ),
    (
        400,
        "InvalidTimeStamp.Format",
        "Specified time stamp or date value is not well formatted.",
    ),
    (
        400,
        "MissingSecurityToken",
        "SecurityToken is mandatory for this action.",
    ),
    (
        400,
        "InvalidSecurityToken.Expired",
        "Specified SecurityToken is expired.",
    ),
    (
        400,
        "InvalidSecurityToken.Malformed",
        "Specified SecurityToken is malformed.",
    ),
    (
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    (
        404,
        "InvalidAction.NotFound",
        "Specified api is not found, please check your url and method.",
    ),
    (
        400,
        "InvalidVersion",
        "Specified parameter Version is not valid.",
    ),
    (
        400,
        "IdempotentParameterMismatch",
        "Request uses a client token in a previous request but is not identical to that request.",
    ),
    (
        400,
        "IncorrectVSwitchStatus",
        "The current status of the VSwitch does not support this operation.",
    ),
    (
        404,
        "InvalidSecurityGroupId.NotFound",
        "The specified SecurityGroupId does not exist.",
    ),
    (
        404,
        "InvalidVpcID.NotFound",
        "The specified VpcId does not exist in our records.",
    ),
    (
        404,
        "InvalidVswitchID.NotFound",
        "The specified VSwitchId does not exist in our records.",
    ),
    (
        404,
        "InvalidKeyPair.NotFound",
        "The specified KeyPairName does not exist.",
    ),
    (
        404,
        "InvalidKeyPairName.NotFound",
        "The specified KeyPairName does not exist.",
    ),
    (
        404,
        "InvalidInstanceId.NotFound",
        "The specified InstanceId does not exist.",
    ),
    (
        404,
        "InvalidImageId.NotFound",
        "The specified ImageId does not exist.",
    ),
    (
        404,
        "InvalidSnapshotId.NotFound",
        "The specified SnapshotId does not exist.",
    ),
    (
        404,
        "InvalidDiskId.NotFound",
        "The specified disk does not exist.",
    ),
    (
        404,
        "InvalidAllocationId.NotFound",
        "The specified allocation ID is not found.",
    ),
    (
        404,
        "InvalidRegionId.NotFound",
        "The specified RegionId does not exist.",
    ),
    (
        404,
        "InvalidTaskId.NotFound",
        "The specified TaskId does not exist.",
    ),
    (
        400,
        "InvalidImageName.Duplicated",
        "The specified Image name has already bean used.",
    ),
    (
        403,
        "IncorrectInstanceStatus",
        "The current status of the resource does not support this operation.",
    ),
    (
        400,
        "QuotaExceeded.Eip",
        "Elastic IP address quota exceeded.",
    ),
    (
        400,
        "InvalidRegionId.Malformed",
        "The specified RegionId is not valid.",
    ),
    (
        400,
        "Throttling.User",
        "Request was denied due to user flow control.",
    ),
    (
        400,
        "InvalidKeyPairName.Malformed",
        "The specified KeyPairName is wrongly formed.",
    ),
    (
        403,
        "QuotaExceed.KeyPair",
        "The number of key pairs exceeds the limit.",
    ),
    (
        404,
        "InvalidInstanceType.NotFound",
        "The specified InstanceType does not exist.",
    ),
];
