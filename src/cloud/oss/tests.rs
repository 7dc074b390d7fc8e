//! OSS against a bucket in memory that can be told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::multipart::Upload;
use super::object::ObjectOptions;
use super::upload::{Part, PartQueue, PartSource, Progress, SMALLEST_PART, part_size, whole};
use super::{Crc64, Oss};
use crate::clock::Clock;
use crate::cloud::credential::Static;
use crate::cloud::endpoint::Endpoints;
use crate::cloud::transport::{HttpResponse, Method, SendFailure, Signed, Transport};
use crate::cloud::{Cloud, CloudConfig, SignatureAlgorithm, code_of};
use crate::engine::event::{Event, Events, Reporter};
use crate::engine::stop::Stop;
use crate::error::{Kind, Result, one_line};
use crate::journal::resource::Kind as Resource;
use crate::journal::{Intent, Journal, Slot};
use crate::secret::Secret;

/// What goes wrong with one request.
enum Fault {
    /// The answer gets lost after the work was done.
    Lost,
    /// The request gets lost.
    Dropped,
    /// OSS refuses.
    Refused(u16, &'static str),
    /// OSS stores other bytes.
    Flipped,
}

/// A bucket in memory.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Bytes>,
    parts: BTreeMap<u32, Bytes>,
    has_upload: bool,
    /// Faults of the next requests of these kinds.
    faults: Vec<(&'static str, VecDeque<Fault>)>,
    /// What was asked: `PUT /b/k?partNumber=1`.
    asked: Vec<String>,
}

fn respond(status: u16, headers: &[(&str, String)], body: impl Into<Bytes>) -> HttpResponse {
    let own = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    HttpResponse {
        status,
        headers: headers.iter().map(own).collect(),
        body: body.into(),
        ..HttpResponse::default()
    }
}

fn refuse(status: u16, code: &str) -> HttpResponse {
    let body =
        format!("<Error><Code>{code}</Code><Message>No</Message><RequestId>R</RequestId></Error>");
    respond(status, &[], body)
}

fn crc_header(bytes: &[u8]) -> (&'static str, String) {
    ("x-oss-hash-crc64ecma", Crc64::of(bytes).value.to_string())
}

fn etag(bytes: &[u8]) -> (&'static str, String) {
    let digest: String = Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    ("etag", format!("\"{digest}\""))
}

impl Bucket {
    fn answer(&mut self, request: &Signed) -> Option<HttpResponse> {
        let target = format!(
            "{} {}?{}",
            request.method.name(),
            request.url.path(),
            request.url.query().unwrap_or_default()
        );
        self.asked.push(target.clone());
        let matching = self
            .faults
            .iter_mut()
            .find(|(word, faults)| target.contains(word) && !faults.is_empty());
        let fault = matching.and_then(|(_, faults)| faults.pop_front());
        match fault {
            Some(Fault::Dropped) => None,
            Some(Fault::Lost) => {
                self.work(request, &target, &request.body.clone());
                None
            }
            Some(Fault::Refused(status, code)) => Some(refuse(status, code)),
            Some(Fault::Flipped) => Some(self.work(request, &target, b"other bytes")),
            None => Some(self.work(request, &target, &request.body.clone())),
        }
    }

    fn work(&mut self, request: &Signed, target: &str, body: &[u8]) -> HttpResponse {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let key = request.url.path().to_owned();
        let body = Bytes::copy_from_slice(body);
        match request.method {
            _ if query.contains_key("uploadId") && !self.has_upload => refuse(404, "NoSuchUpload"),
            Method::Post if query.contains_key("uploads") => {
                self.has_upload = true;
                respond(
                    200,
                    &[],
                    "<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>",
                )
            }
            Method::Put if query.contains_key("partNumber") => {
                let headers = [etag(&body), crc_header(&body)];
                self.parts
                    .insert(query["partNumber"].parse().unwrap(), body);
                respond(200, &headers, "")
            }
            Method::Get if query.contains_key("uploads") => self.list_uploads(),
            Method::Get if query.contains_key("uploadId") => self.list_parts(),
            Method::Post => self.complete(key),
            Method::Delete if query.contains_key("uploadId") => {
                self.has_upload = false;
                self.parts.clear();
                respond(204, &[], "")
            }
            Method::Delete => {
                self.objects.remove(&key);
                respond(204, &[], "")
            }
            Method::Put => {
                let headers = [etag(&body), crc_header(&body)];
                self.objects.insert(key, body);
                respond(200, &headers, "")
            }
            Method::Head => match self.objects.get(&key) {
                Some(object) => respond(
                    200,
                    &[
                        ("content-length", object.len().to_string()),
                        crc_header(object),
                    ],
                    "",
                ),
                None => respond(404, &[], ""),
            },
            Method::Get => panic!("{target}"),
        }
    }

    fn complete(&mut self, key: String) -> HttpResponse {
        let object = self
            .parts
            .values()
            .flat_map(|part| part.iter().copied())
            .collect::<Vec<_>>();
        self.has_upload = false;
        self.parts.clear();
        let header = crc_header(&object);
        self.objects.insert(key, object.into());
        respond(200, &[header], "<CompleteMultipartUploadResult/>")
    }

    fn list_uploads(&self) -> HttpResponse {
        let upload = "<Upload><Key>d/k</Key><UploadId>U1</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>";
        let uploads = if self.has_upload { upload } else { "" };
        respond(
            200,
            &[],
            format!(
                "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
            ),
        )
    }

    fn list_parts(&self) -> HttpResponse {
        let parts: String = self.parts.iter().map(|(number, bytes)| {
            let (crc, etag) = (Crc64::of(bytes).value, etag(bytes).1);
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><HashCrc64ecma>{crc}</HashCrc64ecma><Size>{}</Size></Part>", bytes.len())
        }).collect();
        respond(
            200,
            &[],
            format!("<ListPartsResult><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>"),
        )
    }
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Bucket>>);

#[async_trait]
impl Transport for Server {
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure> {
        let answer = self.0.lock().unwrap().answer(&request);
        answer.ok_or_else(|| SendFailure {
            unsent: false,
            host: "h".into(),
            source: "connection reset".into(),
        })
    }
}

impl Server {
    fn failing(word: &'static str, faults: impl IntoIterator<Item = Fault>) -> Self {
        let server = Self::default();
        server
            .0
            .lock()
            .unwrap()
            .faults
            .push((word, faults.into_iter().collect()));
        server
    }

    fn oss(&self) -> Oss {
        let cloud = Cloud::new(CloudConfig {
            credentials: Arc::new(Static::new(
                "id",
                Secret::new("s"),
                Some(Secret::new("token")),
            )),
            endpoints: Endpoints::everything_to("http://127.0.0.1:1").unwrap(),
            signature: SignatureAlgorithm::default(),
            transport: Arc::new(self.clone()),
        });
        cloud.oss("cn-beijing").unwrap()
    }

    fn count(&self, word: &str) -> usize {
        let bucket = self.0.lock().unwrap();
        bucket
            .asked
            .iter()
            .filter(|asked| asked.contains(word))
            .count()
    }

    fn object(&self) -> Option<Bytes> {
        self.0.lock().unwrap().objects.get("/b/d/k").cloned()
    }
}

/// Parts in a given order.
struct InOrder(VecDeque<Part>);

impl PartSource for InOrder {
    fn part_size(&self) -> u64 {
        SMALLEST_PART
    }

    fn run(&mut self, queue: &PartQueue) -> Result<()> {
        self.0.drain(..).try_for_each(|part| queue.put(part))
    }
}

fn parts(numbers: &[u32]) -> Box<InOrder> {
    let part = |&number: &u32| Part {
        number,
        bytes: vec![number as u8; 1000 + number as usize].into(),
    };
    Box::new(InOrder(numbers.iter().map(part).collect()))
}

fn content(numbers: &[u32]) -> Bytes {
    let parts = parts(numbers).0.into_iter();
    parts.flat_map(|part| part.bytes.to_vec()).collect()
}

struct Silent;
impl Reporter for Silent {
    fn on(&mut self, _: &Event) {}
}

/// Works with a permit.
async fn permitted<T>(work: impl AsyncFnOnce(&Slot) -> Result<T>) -> Result<T> {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::start(directory.path(), "run").unwrap();
    let intent = Intent {
        build: "web".into(),
        kind: Resource::OssObject,
        region: "cn-beijing".into(),
        name: "b/d/k".into(),
    };
    journal
        .create(&Events::new(Silent), intent, async |slot| {
            Ok((String::new(), work(slot).await?))
        })
        .await
}

fn stop() -> Stop {
    Stop::new(Clock::scaled(0.001))
}

async fn upload(server: &Server, numbers: &[u32]) -> Result<Option<u64>> {
    let (oss, stop) = (server.oss(), stop());
    permitted(async |slot| {
        let options = ObjectOptions::default();
        let upload = oss
            .initiate_upload("b", "d/k", &options, &slot.permit, &stop)
            .await?;
        let present = oss.list_parts(&upload, &stop).await?.unwrap_or_default();
        let sent = oss
            .send_parts(&upload, &present, parts(numbers), |_| (), &stop)
            .await?;
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        assert_eq!(whole(&sent), Crc64::of(&content(&sorted)));
        oss.complete_upload(&upload, &sent, &options, &slot.permit, &stop)
            .await
    })
    .await
}

#[tokio::test]
async fn parts_of_any_order_become_the_object() {
    let server = Server::default();
    let crc = upload(&server, &[3, 2, 5, 4, 1]).await.unwrap();
    let expected = content(&[1, 2, 3, 4, 5]);
    assert_eq!(crc, Some(Crc64::of(&expected).value));
    assert_eq!(server.object(), Some(expected));
}

#[tokio::test]
async fn one_fault_of_each_request_costs_nothing_but_time() {
    let requests = ["uploads", "partNumber=2", "GET", "POST /b/d/k?uploadId"];
    for request in requests {
        for fault in [
            Fault::Lost,
            Fault::Dropped,
            Fault::Refused(503, "ServiceUnavailable"),
            Fault::Refused(503, "UploadTrafficRateLimitExceeded"),
        ] {
            let server = Server::failing(request, [fault]);
            let outcome = upload(&server, &[1, 2, 3]).await;
            assert!(
                outcome.is_ok(),
                "{request}: {}",
                one_line(&outcome.unwrap_err())
            );
            assert_eq!(server.object(), Some(content(&[1, 2, 3])), "{request}");
        }
    }
}

#[tokio::test]
async fn damaged_parts_are_sent_again_until_they_are_right() {
    let server = Server::failing("partNumber=2", [Fault::Flipped, Fault::Flipped]);
    upload(&server, &[1, 2]).await.unwrap();
    assert_eq!(server.count("partNumber=2"), 3);
    assert_eq!(server.object(), Some(content(&[1, 2])));
    let always: Vec<_> = (0..200).map(|_| Fault::Flipped).collect();
    let error = upload(&Server::failing("partNumber=2", always), &[1, 2])
        .await
        .unwrap_err();
    assert!(
        one_line(&error).contains("other bytes than were sent"),
        "{}",
        one_line(&error)
    );
}

#[tokio::test]
async fn a_refused_part_ends_the_upload() {
    let server = Server::failing("partNumber=2", [Fault::Refused(403, "AccessDenied")]);
    let error = upload(&server, &[1, 2, 3]).await.unwrap_err();
    assert_eq!(
        (error.kind(), code_of(&error)),
        (Kind::Credentials, Some("AccessDenied"))
    );
    assert_eq!(error.message(), "Cannot upload part 2 of b/d/k");
    assert!(
        error.hints()[0].contains("oss:PutObject"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn parts_that_are_there_are_not_sent_again() {
    let server = Server::default();
    let (oss, stop) = (server.oss(), stop());
    let upload = permitted(async |slot| {
        let options = ObjectOptions::default();
        oss.initiate_upload("b", "d/k", &options, &slot.permit, &stop)
            .await
    });
    let upload = upload.await.unwrap();
    oss.send_parts(&upload, &BTreeMap::new(), parts(&[1, 2]), |_| (), &stop)
        .await
        .unwrap();
    // One of them was cut off.
    server
        .0
        .lock()
        .unwrap()
        .parts
        .insert(2, Bytes::from_static(b"cut"));
    let present = oss.list_parts(&upload, &stop).await.unwrap().unwrap();
    let last = std::cell::Cell::new(Progress::default());
    let again = oss.send_parts(
        &upload,
        &present,
        parts(&[1, 2, 3]),
        |progress| last.set(progress),
        &stop,
    );
    assert_eq!(again.await.unwrap().len(), 3);
    assert_eq!(
        (
            server.count("partNumber=1"),
            server.count("partNumber=2"),
            server.count("partNumber=3")
        ),
        (1, 2, 1)
    );
    assert_eq!(
        last.get(),
        Progress {
            done: 3006,
            skipped: 1001
        }
    );
}

#[tokio::test]
async fn an_abort_ends_when_the_upload_is_gone() {
    let server = Server::default();
    let (oss, stop) = (server.oss(), stop());
    let unknown = Upload {
        bucket: "b".into(),
        key: "d/k".into(),
        id: "U0".into(),
    };
    oss.abort_upload(&unknown, &stop).await.unwrap();
    server.0.lock().unwrap().has_upload = true;
    oss.abort_upload(&unknown, &stop).await.unwrap();
    assert!(!server.0.lock().unwrap().has_upload);
}

#[tokio::test]
async fn small_objects_are_put_looked_at_and_deleted() {
    let server = Server::failing("PUT", [Fault::Flipped]);
    let (oss, stop) = (server.oss(), stop());
    permitted(async |slot| {
        let options = ObjectOptions::default();
        oss.put_object("b", "d/k", "hello".into(), &options, &slot.permit, &stop)
            .await
    })
    .await
    .unwrap();
    let info = oss.head_object("b", "d/k", &stop).await.unwrap().unwrap();
    assert_eq!(
        (info.size, info.crc64),
        (5, Some(11_177_612_005_948_864_433))
    );
    oss.delete_object("b", "d/k", &stop).await.unwrap();
    assert_eq!(oss.head_object("b", "d/k", &stop).await.unwrap(), None);
}

#[tokio::test]
async fn a_stop_ends_an_upload_at_once() {
    let server = Server::default();
    let (oss, stop) = (server.oss(), stop());
    let upload = Upload {
        bucket: "b".into(),
        key: "d/k".into(),
        id: "U1".into(),
    };
    stop.stop();
    let error = oss
        .send_parts(&upload, &BTreeMap::new(), parts(&[1]), |_| (), &stop)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), server.count("PUT")), (Kind::Cancelled, 0));
}

#[test]
fn parts_are_small_but_not_too_many() {
    const GIB: u64 = 1 << 30;
    assert_eq!(part_size(0), SMALLEST_PART);
    assert_eq!(part_size(39 * GIB), SMALLEST_PART);
    for gib in [40, 100, 500, 2048] {
        let size = part_size(gib * GIB);
        assert!((gib * GIB).div_ceil(size) <= 10_000, "{gib}");
        assert!(size <= 210 << 20, "{gib}");
    }
}
