//! OSS over HTTP.

use std::collections::BTreeMap;

use alicloud_image_sandbox::oss::signature::{
    OssRequest, V4Scope, v1_signature, v1_string_to_sign, v4_canonical_request, v4_signature,
    v4_string_to_sign,
};
use alicloud_image_sandbox::signature::encode;
use alicloud_image_sandbox::{
    AccessKey, Effect, Fault, OssOptions, Sandbox, SandboxOptions, SeedBucket, When,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::client::{Client, Reply, STS, fast_sandbox, start};

const REGION: &str = "cn-beijing";

/// Smallest part that may be in the middle.
const PART: usize = 100 << 10;

/// Signs and sends requests to OSS.
pub(crate) struct Oss {
    pub(crate) client: Client,
    pub(crate) region: String,
    v1: bool,
    at: Timestamp,
}

/// A request to be signed: `bucket/key`, query, headers and body.
#[derive(Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
    /// Host of the virtual-hosted style; path style without.
    pub(crate) host: Option<&'a str>,
}

impl Oss {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        Self {
            client: Client::of(sandbox),
            region: REGION.to_owned(),
            v1: false,
            at: Timestamp::now(),
        }
    }

    pub(crate) async fn call(&self, method: &str, target: &str, call: Call<'_>) -> Reply {
        self.send(method, target, call).await.unwrap()
    }

    async fn send(&self, method: &str, target: &str, call: Call<'_>) -> std::io::Result<Reply> {
        let (bucket, key) = target.split_once('/').unwrap_or((target, ""));
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query: Vec<(String, String)> = call.query.iter().map(owned).collect();
        let mut headers: BTreeMap<String, String> = call.headers.iter().map(owned).collect();
        let token = self.client.token.clone();
        headers.extend(token.map(|token| ("x-oss-security-token".to_owned(), token)));
        if self.v1 {
            let date = self.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            headers.insert("date".to_owned(), date);
        } else {
            let time = self.at.strftime("%Y%m%dT%H%M%SZ").to_string();
            headers.insert("x-oss-date".to_owned(), time);
            let unsigned = "UNSIGNED-PAYLOAD".to_owned();
            headers.insert("x-oss-content-sha256".to_owned(), unsigned);
        }
        let authorization = self.authorization(&OssRequest {
            method,
            bucket: Some(bucket).filter(|b| !b.is_empty()),
            key: Some(key).filter(|k| !k.is_empty()),
            query: &query,
            headers: &headers,
        });
        headers.insert("authorization".to_owned(), authorization);
        if let Some(host) = call.host {
            headers.insert("host".to_owned(), host.to_owned());
        }
        let path = match call.host {
            Some(_) => key.to_owned(),
            None => target.to_owned(),
        };
        let pairs = query
            .iter()
            .map(|(n, v)| format!("{}={}", encode(n), encode(v)));
        let line = format!(
            "{method} /{}?{} HTTP/1.1",
            encode(&path).replace("%2F", "/"),
            pairs.collect::<Vec<_>>().join("&")
        );
        let lines = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n"));
        self.client
            .send(&line, &lines.collect::<String>(), call.body)
            .await
    }

    fn authorization(&self, request: &OssRequest<'_>) -> String {
        let (id, secret) = (&self.client.id, &self.client.secret);
        if self.v1 {
            let string = v1_string_to_sign(request, &request.headers["date"]);
            return format!("OSS {id}:{}", v1_signature(secret, &string));
        }
        let scope = V4Scope {
            date: self.at.strftime("%Y%m%d").to_string(),
            region: self.region.clone(),
            product: "oss".to_owned(),
        };
        let canonical = v4_canonical_request(request, &Default::default());
        let string = v4_string_to_sign(&request.headers["x-oss-date"], &scope, &canonical);
        format!(
            "OSS4-HMAC-SHA256 Credential={id}/{}/{}/oss/aliyun_v4_request,Signature={}",
            scope.date,
            scope.region,
            v4_signature(secret, &scope, &string)
        )
    }

    /// A call without body that must succeed.
    pub(crate) async fn ok(&self, method: &str, target: &str, query: &[(&str, &str)]) -> Reply {
        let call = Call {
            query,
            ..Call::default()
        };
        let reply = self.call(method, target, call).await;
        assert!(reply.http < 300, "{method} {target}: {}", reply.text);
        reply
    }

    pub(crate) async fn put(&self, target: &str, body: &str) -> Reply {
        let call = Call {
            body,
            ..Call::default()
        };
        self.call("PUT", target, call).await
    }

    async fn part(&self, target: &str, upload: &str, number: &str, body: &str) -> Reply {
        let query = [("partNumber", number), ("uploadId", upload)];
        let call = Call {
            query: &query,
            body,
            ..Call::default()
        };
        self.call("PUT", target, call).await
    }

    async fn complete(&self, target: &str, upload: &str, parts: &[(&str, &str)]) -> Reply {
        let part = |(number, etag): &(&str, &str)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        };
        let parts: String = parts.iter().map(part).collect();
        let call = Call {
            query: &[("uploadId", upload)],
            body: &format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"),
            ..Call::default()
        };
        self.call("POST", target, call).await
    }
}

/// Text of an element.
pub(crate) fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.split(&format!("<{name}>")).nth(1).unwrap_or_default();
    start.split("</").next().unwrap_or_default()
}

fn code(reply: &Reply) -> (u16, String) {
    (reply.http, element(&reply.text, "Code").to_owned())
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let mut lines = reply
        .headers
        .lines()
        .filter_map(|line| line.split_once(": "));
    lines
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map_or("", |(_, v)| v)
}

fn is(http: u16, code: &str) -> (u16, String) {
    (http, code.to_owned())
}

#[tokio::test]
async fn objects_come_back_as_they_were_stored() {
    let sandbox = fast_sandbox().await;
    let oss = Oss::of(&sandbox);
    oss.ok("PUT", "packer-b/", &[]).await;
    let info = oss.ok("GET", "packer-b/", &[("bucketInfo", "")]).await;
    assert_eq!(element(&info.text, "Location"), "oss-cn-beijing");
    assert_eq!(element(&info.text, "SSEAlgorithm"), "None");
    let stored = Call {
        headers: &[
            ("content-type", "text/plain"),
            ("content-md5", "eB5eJF1ptWaXm4bijSPyxw=="),
            ("x-oss-meta-run", "7"),
            ("x-oss-tagging", "a=b&c=d"),
        ],
        body: "0123456789",
        ..Call::default()
    };
    let reply = oss.call("PUT", "packer-b/dir/镜 a+b", stored).await;
    assert_eq!(reply.http, 200, "{}", reply.text);
    assert_eq!(
        header(&reply, "x-oss-hash-crc64ecma"),
        "2838902930144391966"
    );
    assert_eq!(
        header(&reply, "etag"),
        "\"781E5E245D69B566979B86E28D23F2C7\""
    );
    let reply = oss.ok("GET", "packer-b/dir/镜 a+b", &[]).await;
    assert_eq!(reply.text, "0123456789");
    assert_eq!(header(&reply, "x-oss-meta-run"), "7");
    let range = Call {
        headers: &[("range", "bytes=3-5")],
        ..Call::default()
    };
    let reply = oss.call("GET", "packer-b/dir/镜 a+b", range).await;
    assert_eq!((reply.http, reply.text.as_str()), (206, "345"));
    assert_eq!(header(&reply, "content-range"), "bytes 3-5/10");
    let reply = oss.ok("HEAD", "packer-b/dir/镜 a+b", &[]).await;
    assert_eq!(header(&reply, "content-length"), "10");
    assert_eq!(reply.text, "");
    let alive: Vec<&str> = sandbox.alive().iter().map(|one| one.kind).collect();
    assert_eq!(alive, ["bucket", "object"]);
    let reply = oss.call("DELETE", "packer-b/", Call::default()).await;
    assert_eq!(code(&reply), is(409, "BucketNotEmpty"));
    assert_eq!(oss.ok("DELETE", "packer-b/dir/镜 a+b", &[]).await.http, 204);
    assert_eq!(oss.ok("DELETE", "packer-b/dir/镜 a+b", &[]).await.http, 204);
    oss.ok("DELETE", "packer-b/", &[]).await;
    assert_eq!(sandbox.alive(), []);
}

#[tokio::test]
async fn parts_become_one_object_with_a_combined_sum() {
    let sandbox = fast_sandbox().await;
    let oss = Oss::of(&sandbox);
    oss.ok("PUT", "packer-b/", &[]).await;
    let whole = "ab".repeat(PART) + "end";
    let single = oss.put("packer-b/single", &whole).await;
    let begun = oss.ok("POST", "packer-b/k", &[("uploads", "")]).await;
    let upload = element(&begun.text, "UploadId");
    let (first, last) = whole.split_at(PART);
    let mut etags = Vec::new();
    for (number, body) in [("2", first), ("10", last)] {
        oss.part("packer-b/k", upload, number, "overwritten").await;
        let reply = oss.part("packer-b/k", upload, number, body).await;
        assert_eq!(reply.http, 200, "{}", reply.text);
        etags.push(header(&reply, "etag").to_owned());
    }
    let list = [("uploadId", upload), ("max-parts", "1")];
    let page = oss.ok("GET", "packer-b/k", &list).await.text;
    assert!(page.contains("<ListPartsResult>"), "{page}");
    assert_eq!(element(&page, "IsTruncated"), "true");
    assert_eq!(element(&page, "NextPartNumberMarker"), "2");
    assert_eq!(element(&page, "Size"), PART.to_string());
    let list = [("uploadId", upload), ("part-number-marker", "2")];
    let page = oss.ok("GET", "packer-b/k", &list).await.text;
    assert_eq!(element(&page, "PartNumber"), "10");
    assert_eq!(element(&page, "IsTruncated"), "false");
    let parts = [("2", etags[0].as_str()), ("10", etags[1].as_str())];
    let reply = oss.complete("packer-b/k", upload, &parts).await;
    assert_eq!(reply.http, 200, "{}", reply.text);
    let sum = "x-oss-hash-crc64ecma";
    assert_eq!(header(&reply, sum), header(&single, sum));
    assert!(header(&reply, "etag").ends_with("-2\""));
    assert_eq!(sandbox.object("packer-b", "k").unwrap(), whole.as_bytes());
    let again = oss.complete("packer-b/k", upload, &parts).await;
    assert_eq!(code(&again), is(404, "NoSuchUpload"));
}

#[tokio::test]
async fn uploads_fail_where_the_service_reports_it() {
    let sandbox = fast_sandbox().await;
    let oss = Oss::of(&sandbox);
    oss.ok("PUT", "packer-b/", &[]).await;
    let begun = oss.ok("POST", "packer-b/k", &[("uploads", "")]).await;
    let upload = element(&begun.text, "UploadId");
    let one = oss.part("packer-b/k", upload, "1", "small").await;
    let two = oss.part("packer-b/k", upload, "2", "last").await;
    let (one, two) = (header(&one, "etag"), header(&two, "etag"));
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str);
    let table: [Case<'_>; 5] = [
        (&[("1", one), ("2", two)], "EntityTooSmall"),
        (&[("2", two), ("1", one)], "InvalidPartOrder"),
        (&[("1", two)], "InvalidPart"),
        (&[("3", one)], "InvalidPart"),
        (&[], "MalformedXML"),
    ];
    for (parts, expected) in table {
        let reply = oss.complete("packer-b/k", upload, parts).await;
        assert_eq!(code(&reply), is(400, expected), "{parts:?}");
    }
    for number in ["0", "10001", "x"] {
        let reply = oss.part("packer-b/k", upload, number, "").await;
        assert_eq!(code(&reply), is(400, "InvalidArgument"), "{number}");
    }
    let listed = oss.ok("GET", "packer-b/", &[("uploads", "")]).await;
    assert_eq!(element(&listed.text, "UploadId"), upload);
    assert_eq!(sandbox.alive().last().unwrap().kind, "upload");
    assert_eq!(
        oss.ok("DELETE", "packer-b/k", &[("uploadId", upload)])
            .await
            .http,
        204
    );
    let reply = oss.part("packer-b/k", upload, "1", "late").await;
    assert_eq!(code(&reply), is(404, "NoSuchUpload"));
    oss.ok("DELETE", "packer-b/", &[]).await;
}

#[tokio::test]
async fn wrong_claims_have_their_codes() {
    let sandbox = fast_sandbox().await;
    let right = || Oss::of(&sandbox);
    right().ok("PUT", "packer-b/", &[]).await;
    let mut wrong = right();
    wrong.client.secret = "other".to_owned();
    let mut unknown = right();
    unknown.client.id = "LTAI5tUnknown".to_owned();
    let mut elsewhere = right();
    elsewhere.region = "cn-hangzhou".to_owned();
    let mut late = right();
    late.at -= SignedDuration::from_mins(16);
    let mut with_token = right();
    with_token.client.token = Some("x".to_owned());
    let mut old = right();
    old.v1 = true;
    let mut old_wrong = right();
    old_wrong.v1 = true;
    old_wrong.client.secret = "other".to_owned();
    let table = [
        (right(), 404, "NoSuchKey"),
        (old, 404, "NoSuchKey"),
        (wrong, 403, "SignatureDoesNotMatch"),
        (old_wrong, 403, "SignatureDoesNotMatch"),
        (unknown, 403, "InvalidAccessKeyId"),
        (elsewhere, 400, "InvalidArgument"),
        (late, 403, "RequestTimeTooSkewed"),
        (with_token, 403, "AccessKeyIdAndSecurityTokenNotMatch"),
    ];
    for (oss, http, expected) in table {
        let reply = oss.call("GET", "packer-b/k", Call::default()).await;
        assert_eq!(code(&reply), is(http, expected), "{}", reply.text);
        assert!(!header(&reply, "x-oss-request-id").is_empty());
        assert_eq!(
            header(&reply, "x-oss-request-id"),
            element(&reply.text, "RequestId")
        );
    }
    let anonymous = right()
        .client
        .send("GET /packer-b/k HTTP/1.1", "", "")
        .await
        .unwrap();
    assert_eq!(code(&anonymous), is(403, "AccessDenied"));
    let head = right().call("HEAD", "packer-b/k", Call::default()).await;
    assert_eq!((head.http, head.text.as_str()), (404, ""));
    assert!(!header(&head, "x-oss-err").is_empty());
}

#[tokio::test]
async fn temporary_credentials_work_with_their_token() {
    let sandbox = fast_sandbox().await;
    let mut oss = Oss::of(&sandbox);
    let role = [
        ("RoleArn", "acs:ram::1234567890123456:role/builder"),
        ("RoleSessionName", "test"),
    ];
    let answer = oss.client.ok(STS, "AssumeRole", &role).await;
    let field = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
    oss.client.id = field("AccessKeyId");
    oss.client.secret = field("AccessKeySecret");
    oss.client.token = Some(field("SecurityToken"));
    oss.ok("PUT", "packer-b/", &[]).await;
    sandbox.advance(std::time::Duration::from_secs(3601));
    let reply = oss.put("packer-b/k", "").await;
    assert_eq!(code(&reply), is(403, "SecurityTokenExpired"));
}

#[tokio::test]
async fn endpoints_reach_only_their_region() {
    let domains = BTreeMap::from([("images.example.com".to_owned(), "packer-b".to_owned())]);
    let sandbox = start(SandboxOptions {
        oss: OssOptions {
            public_endpoint_forbidden: true,
            v1_refused: true,
            max_put_size: 5,
            domains,
        },
        ..SandboxOptions::default()
    })
    .await;
    let place = |name: &str, foreign| SeedBucket {
        region: REGION.to_owned(),
        name: name.to_owned(),
        foreign,
        ..SeedBucket::default()
    };
    sandbox
        .seed()
        .bucket(&place("packer-b", false))
        .bucket(&place("theirs", true));
    let mut oss = Oss::of(&sandbox);
    let at = |host| Call {
        host: Some(host),
        body: "12345",
        ..Call::default()
    };
    let table = [
        ("packer-b.oss-cn-beijing-internal.aliyuncs.com", 200, ""),
        ("images.example.com", 200, ""),
        ("packer-b.oss-accelerate.aliyuncs.com", 200, ""),
        (
            "packer-b.oss-cn-beijing.aliyuncs.com",
            400,
            "PublicEndpointForbidden",
        ),
        ("packer-b.oss-cn-hangzhou.aliyuncs.com", 403, "AccessDenied"),
    ];
    for (host, http, expected) in table {
        let reply = oss.call("PUT", "packer-b/k", at(host)).await;
        assert_eq!(code(&reply), is(http, expected), "{host}: {}", reply.text);
    }
    let reply = oss
        .call(
            "PUT",
            "packer-b/k",
            at("packer-b.oss-cn-hangzhou.aliyuncs.com"),
        )
        .await;
    assert_eq!(
        element(&reply.text, "Endpoint"),
        "oss-cn-beijing.aliyuncs.com"
    );
    oss.ok("GET", "packer-b/", &[("bucketInfo", "")]).await;
    let large = Call {
        body: "123456",
        ..at("packer-b.oss-cn-beijing-internal.aliyuncs.com")
    };
    let reply = oss.call("PUT", "packer-b/k", large).await;
    assert_eq!(code(&reply), is(400, "EntityTooLarge"));
    for (method, http, expected) in [
        ("GET", 403, "AccessDenied"),
        ("PUT", 409, "BucketAlreadyExists"),
    ] {
        let reply = oss.call(method, "theirs/", Call::default()).await;
        assert_eq!(code(&reply), is(http, expected));
    }
    oss.v1 = true;
    let reply = oss.call("GET", "packer-b/", Call::default()).await;
    assert_eq!(element(&reply.text, "EC"), "0002-00000080");
}

#[tokio::test]
async fn faults_hit_uploads() {
    let sandbox = fast_sandbox().await;
    let oss = Oss::of(&sandbox);
    oss.ok("PUT", "packer-b/", &[]).await;
    let plan = |effect| {
        sandbox.inject(Fault {
            action: "Oss.PutObject".to_owned(),
            when: When::Once,
            effect,
        });
    };
    let call = Call {
        body: "0123456789",
        ..Call::default()
    };
    plan(Effect::Error {
        http: 503,
        code: "ServiceUnavailable".to_owned(),
        message: "later".to_owned(),
    });
    assert_eq!(
        code(&oss.call("PUT", "packer-b/k", call).await),
        is(503, "ServiceUnavailable")
    );
    for effect in [Effect::DropBefore, Effect::CutBody(4)] {
        sandbox.clear_faults();
        plan(effect);
        assert!(oss.send("PUT", "packer-b/k", call).await.is_err());
        assert_eq!(sandbox.object("packer-b", "k"), None);
    }
    sandbox.clear_faults();
    plan(Effect::CorruptBody);
    let reply = oss.call("PUT", "packer-b/k", call).await;
    assert_eq!(reply.http, 200);
    assert_ne!(
        header(&reply, "x-oss-hash-crc64ecma"),
        "2838902930144391966"
    );
    sandbox.clear_faults();
    plan(Effect::DropAfter);
    assert!(oss.send("PUT", "packer-b/k", call).await.is_err());
    assert_eq!(sandbox.object("packer-b", "k").unwrap(), b"0123456789");
    let codes: Vec<String> = sandbox.calls().into_iter().map(|call| call.code).collect();
    assert_eq!(
        codes,
        ["OK", "ServiceUnavailable", "Dropped", "Dropped", "OK", "OK"]
    );
}

#[tokio::test]
async fn policies_are_enforced() {
    let mut key = AccessKey::new("LTAI5tLimited", "secret");
    key.user = Some("ci".to_owned());
    key.policy = Some(json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["oss:PutBucket", "oss:PutObject"], "Resource": "*"},
    ]}));
    let sandbox = start(SandboxOptions {
        access_keys: vec![key],
        ..SandboxOptions::default()
    })
    .await;
    let oss = Oss::of(&sandbox);
    oss.ok("PUT", "packer-b/", &[]).await;
    oss.ok("POST", "packer-b/k", &[("uploads", "")]).await;
    let reply = oss.call("DELETE", "packer-b/k", Call::default()).await;
    assert_eq!(code(&reply), is(403, "AccessDenied"));
}
