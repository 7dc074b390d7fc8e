//! Object Storage Service: the way of a request from its headers to its answer.
//!
//! ```text
//! target ── faults ── gate (signature, policy, bucket) ── body ── operation ── reply
//! ```
//!
//! The REST half of the server: nothing of the RPC gateway applies here but
//! the faults, the record of calls, the keys and the state.

mod bucket;
pub(crate) mod content;
mod error;
mod gate;
mod listing;
mod multipart;
mod object;
mod reply;
pub mod signature;
pub(crate) mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;

use crate::calls::Call;
use crate::clock::Moment;
use crate::faults::Effect;
use crate::options::OssOptions;
use crate::request::headers_of;
use crate::state::Cloud;
use crate::world::Shared;
use content::Received;
use error::OssError;
use reply::Reply;
use target::{Operation, Query, Target, decode_query};

/// Bodies that are no contents: lists of up to 10,000 parts fit.
const BODY_LIMIT: usize = 8 << 20;

/// How much of a refused body is still read, so that a client that only listens
/// after sending gets its answer.
const DRAIN_LIMIT: usize = 64 << 20;

/// A request, taken apart but not yet believed.
pub(crate) struct OssCall {
    method: String,
    host: String,
    target: Target,
    operation: Operation,
    query: Query,
    headers: BTreeMap<String, String>,
}

/// An operation being executed.
struct Context<'a> {
    cloud: &'a mut Cloud,
    call: &'a OssCall,
    /// Region of the bucket, or the one the request was sent to.
    region: String,
    body: Bytes,
    stored: Option<Received>,
    wall: Timestamp,
}

type Answer = Result<Reply, OssError>;

impl OssCall {
    fn new(parts: &Parts, options: &OssOptions) -> Self {
        let headers = headers_of(parts);
        let host = parts.uri.authority().map(ToString::to_string);
        let host = host.or_else(|| headers.get("host").cloned());
        let host = host.unwrap_or_default();
        let target = Target::of(&host, parts.uri.path(), &options.domains);
        let query = decode_query(parts.uri.query().unwrap_or_default());
        let method = parts.method.as_str().to_owned();
        Self {
            operation: Operation::of(&method, &target, &query),
            method,
            host,
            target,
            query,
            headers,
        }
    }

    fn action(&self) -> String {
        format!("{:?}", self.operation)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn bucket(&self) -> &str {
        self.target.bucket.as_deref().unwrap_or_default()
    }

    fn key(&self) -> &str {
        self.target.key.as_deref().unwrap_or_default()
    }

    fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}

/// Answers a request; `None` resets the connection.
pub(crate) async fn answer(shared: &Arc<Shared>, parts: &Parts, body: Body) -> Option<Response> {
    let call = OssCall::new(parts, &shared.oss);
    let at = shared.clock.now();
    tokio::time::sleep(shared.latency).await;
    let (fault, request_id) = {
        let (mut world, _) = shared.world();
        let request_id = world.cloud.new_object_request_id();
        (world.faults.hit("Oss", &call.action()), request_id)
    };
    let mut body = body;
    let answer = match &fault {
        Some(Effect::DropBefore) => {
            record(shared, &call, at, &request_id, "Dropped", 0);
            return None;
        }
        Some(Effect::CutBody(bytes)) => {
            drain(body, *bytes).await;
            record(shared, &call, at, &request_id, "Dropped", 0);
            return None;
        }
        Some(Effect::Error {
            http,
            code,
            message,
        }) => Err(OssError::new(*http, code, message.clone())),
        Some(Effect::ThrottleWithRetryAfter(after)) => {
            let delay = after.as_millis().to_string();
            let message = "Upload traffic rate limit exceeded.";
            let error = OssError::new(503, "UploadTrafficRateLimitExceeded", message);
            Err(error.with("QosDelayTime", delay))
        }
        Some(Effect::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            execute(shared, &call, &mut body, false).await
        }
        Some(Effect::CorruptBody) => execute(shared, &call, &mut body, true).await,
        Some(Effect::HoldBefore) => {
            shared.hold().await;
            execute(shared, &call, &mut body, false).await
        }
        Some(Effect::HoldAfter | Effect::DropAfter) | None => {
            execute(shared, &call, &mut body, false).await
        }
    };
    if answer.is_err() {
        drain(body, DRAIN_LIMIT).await;
    }
    let (code, http) = match &answer {
        Ok(reply) => ("OK", reply.status),
        Err(error) => (error.code.as_str(), error.http),
    };
    record(shared, &call, at, &request_id, code, http);
    shared.notify();
    match fault {
        Some(Effect::DropAfter) => return None,
        Some(Effect::HoldAfter) => shared.hold().await,
        _ => {}
    }
    Some(reply::render(&call, answer, &request_id))
}

/// Reads on until the end or the limit.
async fn drain(body: Body, limit: usize) {
    let mut left = limit;
    let mut frames = body.into_data_stream();
    while let Some(Ok(frame)) = frames.next().await {
        if frame.len() >= left {
            return;
        }
        left -= frame.len();
    }
}

async fn execute(shared: &Shared, call: &OssCall, body: &mut Body, corrupt: bool) -> Answer {
    let region = {
        let (mut world, now) = shared.world();
        gate::admit(&mut world, &shared.oss, call, now)?
    };
    let body = std::mem::take(body);
    let (bytes, stored) = if call.operation.stores_body() {
        let received = shared.store.receive(body, corrupt).await;
        let received = received.map_err(|error| incomplete(&error))?;
        gate::check_digest(call, &received.md5)?;
        (Bytes::new(), Some(received))
    } else {
        let bytes = axum::body::to_bytes(body, BODY_LIMIT).await;
        let bytes = bytes.map_err(|_| OssError::malformed_xml())?;
        (bytes, None)
    };
    let (mut world, now) = shared.world();
    let mut context = Context {
        cloud: &mut world.cloud,
        call,
        region,
        body: bytes,
        stored,
        wall: shared.clock.wall(now),
    };
    context.run()
}

fn incomplete(error: &std::io::Error) -> OssError {
    let message = "The request body terminated before the specified number of bytes were received.";
    tracing::debug!(%error, "body ended early");
    OssError::new(400, "IncompleteBody", message)
}

impl Context<'_> {
    fn run(&mut self) -> Answer {
        match self.call.operation {
            Operation::ListBuckets => self.list_buckets(),
            Operation::PutBucket => self.put_bucket(),
            Operation::DeleteBucket => self.delete_bucket(),
            Operation::GetBucketInfo => self.bucket_info(),
            Operation::GetBucketLocation => self.bucket_location(),
            Operation::GetBucketAcl => self.bucket_acl(),
            Operation::GetBucketStat => self.bucket_stat(),
            Operation::GetBucketEncryption => self.bucket_encryption(),
            Operation::GetBucketLifecycle => self.bucket_lifecycle(),
            Operation::PutBucketLifecycle => self.put_lifecycle(),
            Operation::DeleteBucketLifecycle => self.delete_lifecycle(),
            Operation::HeadBucket => self.head_bucket(),
            Operation::ListObjects => self.list_objects(),
            Operation::ListObjectsV2 => self.list_objects_v2(),
            Operation::ListMultipartUploads => self.list_uploads(),
            Operation::PutObject => self.put_object(),
            Operation::GetObject => self.get_object(),
            Operation::HeadObject => self.head_object(),
            Operation::GetObjectMeta => self.object_meta(),
            Operation::DeleteObject => self.delete_object(),
            Operation::GetObjectAcl => self.object_acl(),
            Operation::PutObjectAcl => self.put_object_acl(),
            Operation::GetObjectTagging => self.object_tagging(),
            Operation::PutObjectTagging => self.put_object_tagging(),
            Operation::DeleteObjectTagging => self.delete_object_tagging(),
            Operation::InitiateMultipartUpload => self.initiate_upload(),
            Operation::UploadPart => self.upload_part(),
            Operation::ListParts => self.list_parts(),
            Operation::CompleteMultipartUpload => self.complete_upload(),
            Operation::AbortMultipartUpload => self.abort_upload(),
            Operation::NotImplemented => {
                let message =
                    "A header or query you provided requested a function that is not implemented.";
                Err(OssError::new(400, "NotImplemented", message))
            }
        }
    }
}

/// Query parameters that are no business of whoever reads the record.
const SIGNING: &[&str] = &[
    "Signature",
    "OSSAccessKeyId",
    "Expires",
    "security-token",
    "x-oss-signature",
    "x-oss-security-token",
    "x-oss-credential",
];

fn record(shared: &Shared, call: &OssCall, at: Moment, request_id: &str, code: &str, http: u16) {
    let mut params: BTreeMap<String, String> = call
        .query
        .iter()
        .filter(|(name, _)| !SIGNING.contains(&name.as_str()))
        .cloned()
        .collect();
    let named = [("bucket", &call.target.bucket), ("key", &call.target.key)];
    for (name, value) in named {
        params.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    let headers = call.headers.iter();
    let kept = |name: &str| {
        name == "content-length"
            || name.starts_with("x-oss-") && !["x-oss-security-token", "x-oss-date"].contains(&name)
    };
    params.extend(
        headers
            .filter(|(name, _)| kept(name))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let (mut world, _) = shared.world();
    let bucket = world.cloud.buckets.get(call.bucket());
    let region = bucket.map(|bucket| bucket.common.region.clone());
    world.calls.push(Call {
        at,
        product: "Oss".to_owned(),
        action: call.action(),
        region: region.unwrap_or_default(),
        params,
        code: code.to_owned(),
        http,
        access_key_id: gate::claimed_key(call).unwrap_or_default(),
        request_id: request_id.to_owned(),
        user_agent: call.header("user-agent").unwrap_or_default().to_owned(),
    });
}
