//! Errors as OSS answers them: XML with `Code`, `Message`, `RequestId`,
//! `HostId` and the detailed code `EC`; for HEAD in the header `x-oss-err`.

use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// An error answer of OSS.
#[derive(Clone, Debug)]
pub(crate) struct OssError {
    pub(crate) http: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Further elements, `EC` and `Endpoint` among them.
    pub(crate) details: Vec<(&'static str, String)>,
}

impl OssError {
    pub(crate) fn new(http: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            http,
            code: code.to_owned(),
            message: message.into(),
            details: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(crate) fn invalid_argument(name: &str, value: &str, message: &str) -> Self {
        Self::new(400, "InvalidArgument", message)
            .with("ArgumentName", name)
            .with("ArgumentValue", value)
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
            .with("Key", key)
            .with("EC", "0026-00000001")
    }

    pub(crate) fn no_such_bucket(bucket: &str) -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist.")
            .with("BucketName", bucket)
            .with("EC", "0015-00000101")
    }

    pub(crate) fn no_such_upload(id: &str) -> Self {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
        Self::new(404, "NoSuchUpload", message)
            .with("UploadId", id)
            .with("EC", "0042-00000002")
    }

    pub(crate) fn access_denied(message: &str) -> Self {
        Self::new(403, "AccessDenied", message).with("EC", "0003-00000001")
    }

    pub(crate) fn malformed_xml() -> Self {
        let message = "The XML you provided was not well-formed or did not validate against our published schema.";
        Self::new(400, "MalformedXML", message)
    }

    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::new(500, "InternalError", error.to_string())
    }

    /// The elements of the answer.
    pub(crate) fn body(&self, request_id: &str, host: &str) -> Value {
        let mut body = Map::new();
        body.insert("Code".into(), json!(self.code));
        body.insert("Message".into(), json!(self.message));
        body.insert("RequestId".into(), json!(request_id));
        body.insert("HostId".into(), json!(host));
        for (name, value) in &self.details {
            body.insert((*name).into(), json!(value));
        }
        Value::Object(body)
    }

    pub(crate) fn detail(&self, name: &str) -> Option<&str> {
        let found = self.details.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl From<ApiError> for OssError {
    fn from(error: ApiError) -> Self {
        Self::new(error.http, &error.code, error.message)
    }
}
