//! The client against a scripted transport, in paused time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::*;
use crate::clock::Clock;
use crate::cloud::credential::Static;
use crate::cloud::transport::{SendFailure, Signed};
use crate::cloud::{Cloud, code_of, ecs, is_fate_unknown, is_gone, sts, vpc};
use crate::error::one_line;
use crate::secret::Secret;

const REGION: &str = "cn-hangzhou";

/// What the transport does with one request.
enum Reply {
    Answer(HttpResponse),
    Lost,
    Unsent,
    /// Answers after this time.
    Late(Duration, HttpResponse),
    Never,
}

fn ok(body: &str) -> Reply {
    Reply::Answer(response(200, body))
}

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        body: body.to_owned().into(),
        ..HttpResponse::default()
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"Code":"{code}","Message":"No","RequestId":"r1"}}"#);
    response(status, &body)
}

fn refused(status: u16, code: &str) -> Reply {
    Reply::Answer(refusal(status, code))
}

/// A transport that plays a script and keeps what it was sent.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<Signed>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            replies: Mutex::new(replies.into_iter().collect()),
            sent: Mutex::default(),
        })
    }

    fn sent(&self) -> Vec<Signed> {
        self.sent.lock().unwrap().clone()
    }

    /// The form of each request.
    fn forms(&self) -> Vec<HashMap<String, String>> {
        self.sent()
            .iter()
            .map(|signed| {
                url::form_urlencoded::parse(&signed.body)
                    .into_owned()
                    .collect()
            })
            .collect()
    }

    fn headers(&self, name: &str) -> Vec<String> {
        let of = |signed: &Signed| {
            let header = signed.headers.iter().find(|(known, _)| *known == name);
            header.unwrap().1.clone()
        };
        self.sent().iter().map(of).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure> {
        let failure = |unsent| SendFailure {
            unsent,
            host: request.url.host_str().unwrap().to_owned(),
            source: "connection reset".into(),
        };
        let reply = self.replies.lock().unwrap().pop_front();
        self.sent.lock().unwrap().push(request.clone());
        match reply.expect("the script has no more replies") {
            Reply::Answer(response) => Ok(response),
            Reply::Lost => Err(failure(false)),
            Reply::Unsent => Err(failure(true)),
            Reply::Late(wait, response) => {
                tokio::time::sleep(wait).await;
                Ok(response)
            }
            Reply::Never => std::future::pending().await,
        }
    }
}

fn config(script: &Arc<Script>) -> CloudConfig {
    let keys = Static::new(
        "id",
        Secret::new("keysecret"),
        Some(Secret::new("sts-token")),
    );
    CloudConfig {
        credentials: Arc::new(keys),
        endpoints: Endpoints::default(),
        signature: SignatureAlgorithm::default(),
        transport: Arc::clone(script) as Arc<dyn Transport>,
    }
}

fn cloud(script: &Arc<Script>) -> Cloud {
    Cloud::new(config(script))
}

fn stop() -> Stop {
    Stop::new(Clock::default())
}

async fn describe(script: &Arc<Script>) -> Result<ecs::DescribeRegionsResponse> {
    let request = ecs::DescribeRegions::default();
    cloud(script).call(REGION, &request, &stop()).await
}

/// As `Cloud::create` does it.
async fn create<R: Action>(script: &Arc<Script>, request: &R, stop: &Stop) -> Result<R::Response> {
    let token = (R::REPEAT == Repeat::WithClientToken).then_some("token-1");
    Client::new(config(script))
        .send(REGION, request, token, true, stop)
        .await
}

#[tokio::test(start_paused = true)]
async fn a_request_is_signed_sent_and_its_answer_typed() {
    let script = Script::new([ok(
        r#"{"RequestId":"r","Regions":{"Region":[{"RegionId":"cn-hangzhou","LocalName":null}]}}"#,
    )]);
    let answer = describe(&script).await.unwrap();
    assert_eq!(answer.regions[0].region_id, "cn-hangzhou");
    let sent = &script.sent()[0];
    assert_eq!(sent.url.as_str(), "https://ecs.cn-hangzhou.aliyuncs.com/");
    assert_eq!(sent.body, "RegionId=cn-hangzhou");
    assert_eq!(script.headers("x-acs-action"), ["DescribeRegions"]);
    assert_eq!(script.headers("x-acs-version"), ["2014-05-26"]);
    assert_eq!(script.headers("x-acs-security-token"), ["sts-token"]);
    assert!(script.headers("authorization")[0].contains("Credential=id,"));
}

#[tokio::test(start_paused = true)]
async fn sts_gets_no_region_and_vpc_its_own_host() {
    let script = Script::new([ok(r#"{"AccountId":"1"}"#), ok(r#"{"VpcId":"vpc-1"}"#)]);
    let cloud = cloud(&script);
    let request = sts::GetCallerIdentity::default();
    let answer = cloud.call(REGION, &request, &stop()).await.unwrap();
    assert_eq!(answer.account_id, "1");
    create(&script, &vpc::CreateVpc::default(), &stop())
        .await
        .unwrap();
    let sent = script.sent();
    assert_eq!(sent[0].body, "");
    assert_eq!(
        sent[0].url.as_str(),
        "https://sts.cn-hangzhou.aliyuncs.com/"
    );
    assert_eq!(
        sent[1].url.as_str(),
        "https://vpc.cn-hangzhou.aliyuncs.com/"
    );
    assert_eq!(sent[1].body, "RegionId=cn-hangzhou&ClientToken=token-1");
}

#[tokio::test(start_paused = true)]
async fn the_old_signature_can_be_chosen() {
    let script = Script::new([ok("{}")]);
    let cloud = Cloud::new(CloudConfig {
        signature: SignatureAlgorithm::RpcHmacSha1,
        ..config(&script)
    });
    let request = ecs::DescribeRegions::default();
    cloud.call(REGION, &request, &stop()).await.unwrap();
    let form = &script.forms()[0];
    assert_eq!(form["Action"], "DescribeRegions");
    assert_eq!(form["SecurityToken"], "sts-token");
    assert!(form.contains_key("Signature"));
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_with_new_nonces() {
    let script = Script::new([
        refused(400, "Throttling.User"),
        Reply::Lost,
        Reply::Unsent,
        Reply::Answer(response(502, "<html>")),
        refused(503, "ServiceUnavailable"),
        refused(500, "InternalError"),
        ok("{}"),
    ]);
    describe(&script).await.unwrap();
    let mut nonces = script.headers("x-acs-signature-nonce");
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_lost_create_is_repeated_with_the_same_token() {
    let script = Script::new([
        Reply::Lost,
        refused(403, "IdempotentProcessing"),
        ok(r#"{"InstanceIdSets":{"InstanceIdSet":["i-1"]}}"#),
    ]);
    let request = ecs::RunInstances::default();
    let answer = create(&script, &request, &stop()).await.unwrap();
    assert_eq!(answer.instance_ids, ["i-1"]);
    let tokens: Vec<_> = script
        .forms()
        .iter()
        .map(|form| form["ClientToken"].clone())
        .collect();
    assert_eq!(tokens, ["token-1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_token_gets_a_random_one_that_stays() {
    let request = vpc::AssociateEipAddress::default();
    let script = Script::new([Reply::Lost, ok("{}"), ok("{}"), ok("{}")]);
    let cloud = cloud(&script);
    for _ in 0..2 {
        cloud.call(REGION, &request, &stop()).await.unwrap();
    }
    cloud
        .call_with_token(REGION, &request, "mine", &stop())
        .await
        .unwrap();
    let tokens: Vec<_> = script
        .forms()
        .iter()
        .map(|form| form["ClientToken"].clone())
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert_eq!(tokens[3], "mine");
}

#[tokio::test(start_paused = true)]
async fn an_unrepeatable_request_is_not_repeated_when_its_fate_is_unknown() {
    for reply in [Reply::Lost, Reply::Answer(response(502, ""))] {
        let script = Script::new([reply]);
        let request = ecs::ImportKeyPair::default();
        let error = create(&script, &request, &stop()).await.unwrap_err();
        assert_eq!(script.sent().len(), 1);
        assert!(is_fate_unknown(&error), "{error:?}");
        assert!(!script.forms()[0].contains_key("ClientToken"));
    }
    // Nothing was done: that may be repeated.
    let script = Script::new([Reply::Unsent, refused(400, "Throttling"), ok("{}")]);
    let request = ecs::ImportKeyPair::default();
    create(&script, &request, &stop()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_servers_wish_to_wait_is_granted() {
    let throttled = HttpResponse {
        retry_after_ms: Some(30_000),
        ..refusal(429, "Throttling.Api")
    };
    let script = Script::new([Reply::Answer(throttled), ok("{}")]);
    let started = Instant::now();
    describe(&script).await.unwrap();
    let waited = started.elapsed().as_secs();
    assert!((30..=33).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn waits_are_scaled() {
    let throttled = HttpResponse {
        retry_after_ms: Some(100_000),
        ..refusal(429, "Throttling.Api")
    };
    let script = Script::new([Reply::Answer(throttled), ok("{}")]);
    let started = Instant::now();
    let stop = Stop::new(Clock::scaled(0.001));
    let request = ecs::DescribeRegions::default();
    cloud(&script).call(REGION, &request, &stop).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(120));
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_the_servers_words() {
    let script = Script::new((0..200).map(|_| refused(403, "DependencyViolation")));
    let started = Instant::now();
    let request = ecs::DeleteSecurityGroup::default();
    let error = cloud(&script)
        .call(REGION, &request, &stop())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Cloud);
    let text = one_line(&error);
    assert!(
        text.starts_with("Alibaba Cloud refused the request after "),
        "{text}"
    );
    assert!(
        text.contains("DependencyViolation: No (DeleteSecurityGroup in cn-hangzhou"),
        "{text}"
    );
    let waited = started.elapsed().as_secs();
    assert!((170..=180).contains(&waited), "{waited}");
    assert!(script.sent().len() < 80, "{}", script.sent().len());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answered_is_given_up_soon() {
    let script = Script::new((0..100).map(|_| Reply::Unsent));
    let started = Instant::now();
    let error = describe(&script).await.unwrap_err();
    assert!(started.elapsed() <= Duration::from_secs(15));
    let text = one_line(&error);
    assert!(
        text.contains("Cannot connect to ecs.cn-hangzhou.aliyuncs.com: connection reset"),
        "{text}"
    );
    assert!(!is_fate_unknown(&error));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_backoff_and_reading_at_once() {
    for reply in [refused(400, "Throttling"), Reply::Never] {
        let script = Script::new([reply]);
        let (stop, started) = (stop(), Instant::now());
        let cloud = cloud(&script);
        let request = ecs::DescribeRegions::default();
        let (outcome, ()) = tokio::join!(cloud.call(REGION, &request, &stop), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            stop.stop();
        });
        assert_eq!(outcome.unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(started.elapsed(), Duration::from_millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_create_waits_a_moment_for_its_id() {
    let answer = response(200, r#"{"InstanceIdSets":{"InstanceIdSet":["i-1"]}}"#);
    let table = [
        (Reply::Late(Duration::from_secs(3), answer), Some("i-1"), 3),
        (Reply::Never, None, 6),
    ];
    for (reply, expected, seconds) in table {
        let script = Script::new([reply]);
        let (stop, started) = (stop(), Instant::now());
        let request = ecs::RunInstances::default();
        let (outcome, ()) = tokio::join!(create(&script, &request, &stop), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.stop();
        });
        assert_eq!(started.elapsed().as_secs(), seconds);
        match expected {
            Some(id) => assert_eq!(outcome.unwrap().instance_ids, [id]),
            None => assert!(is_fate_unknown(&outcome.unwrap_err())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_a_stop() {
    let (script, stop) = (Script::new([]), stop());
    stop.stop();
    let request = ecs::RunInstances::default();
    let error = create(&script, &request, &stop).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(script.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_once() {
    let expired = || {
        Reply::Answer(HttpResponse {
            date: Some("Tue, 01 Jan 2030 12:30:00 GMT".into()),
            ..refusal(400, "InvalidTimeStamp.Expired")
        })
    };
    let script = Script::new([expired(), ok("{}"), ok("{}")]);
    let cloud = cloud(&script);
    let request = ecs::DescribeRegions::default();
    for _ in 0..2 {
        cloud.call(REGION, &request, &stop()).await.unwrap();
    }
    let dates = script.headers("x-acs-date");
    assert!(!dates[0].starts_with("2030-01-01T12:"), "{dates:?}");
    assert!(
        dates[1..]
            .iter()
            .all(|date| date.starts_with("2030-01-01T12:")),
        "{dates:?}"
    );
    // A server that refuses its own time is not asked forever.
    let script = Script::new([expired(), expired()]);
    let error = describe(&script).await.unwrap_err();
    assert_eq!(code_of(&error), Some("InvalidTimeStamp.Expired"));
    assert!(error.hints()[0].contains("clock"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_delete_or_stop_is_settled_by_the_next_refusal() {
    let script = Script::new([Reply::Lost, refused(404, "InvalidInstanceId.NotFound")]);
    let delete = ecs::DeleteInstance::default();
    cloud(&script).call(REGION, &delete, &stop()).await.unwrap();
    let script = Script::new([Reply::Lost, refused(403, "IncorrectInstanceStatus")]);
    let power = ecs::StopInstance::default();
    cloud(&script).call(REGION, &power, &stop()).await.unwrap();
    // Without a lost answer it is the caller's business.
    let script = Script::new([refused(404, "InvalidInstanceId.NotFound")]);
    let error = cloud(&script)
        .call(REGION, &delete, &stop())
        .await
        .unwrap_err();
    assert!(is_gone(&error, "DeleteInstance"));
}

/// Keys that can be renewed once.
#[derive(Default)]
struct Renewable(AtomicBool);

#[async_trait]
impl CredentialProvider for Renewable {
    async fn get(&self) -> Result<Arc<Credential>> {
        let id = if self.0.load(Ordering::Relaxed) {
            "new"
        } else {
            "old"
        };
        Ok(Arc::new(Credential {
            access_key_id: id.into(),
            secret: Secret::new("s"),
            security_token: None,
            expiration: None,
        }))
    }

    async fn refresh(&self, _: &Credential) -> Result<Arc<Credential>> {
        self.0.store(true, Ordering::Relaxed);
        self.get().await
    }
}

#[tokio::test(start_paused = true)]
async fn expired_keys_are_renewed_if_they_can_be() {
    let expired = || refused(400, "InvalidSecurityToken.Expired");
    let script = Script::new([expired(), ok("{}")]);
    let cloud = Cloud::new(CloudConfig {
        credentials: Arc::new(Renewable::default()),
        ..config(&script)
    });
    let request = ecs::DescribeRegions::default();
    cloud.call(REGION, &request, &stop()).await.unwrap();
    assert!(script.headers("authorization")[1].contains("Credential=new,"));

    let script = Script::new([expired()]);
    let error = describe(&script).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Credentials);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_kind_hints_and_the_full_answer() {
    let body = r#"{"Code":"Forbidden.RAM","Message":"Not authorized","RequestId":"r9",
        "AccessDeniedDetail":{"AuthAction":"ecs:DescribeRegions"}}"#;
    let script = Script::new([Reply::Answer(response(403, body))]);
    let error = describe(&script).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Credentials);
    assert!(error.hints()[0].contains("ecs:DescribeRegions"));
    assert_eq!(
        one_line(&error),
        "Alibaba Cloud refused the request: Forbidden.RAM: Not authorized \
         (DescribeRegions in cn-hangzhou, HTTP 403, RequestId r9)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_echoed_signature_tells_whose_fault_it_is_and_is_not_shown() {
    // The server's own string to sign, which quotes the token.
    let theirs = "x-acs-security-token:sts-token";
    let body = format!(
        r#"{{"Code":"SignatureDoesNotMatch","Message":"Specified signature does not match our calculation. server StringToSign is [{theirs}]"}}"#
    );
    let script = Script::new([Reply::Answer(response(400, &body))]);
    let error = describe(&script).await.unwrap_err();
    assert!(error.hints()[0].contains("proxy"), "{:?}", error.hints());
    let text = one_line(&error);
    assert!(!text.contains("sts-token"), "{text}");
    assert!(text.contains("does not match our calculation. ("), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_reads_all_pages() {
    let page = |ids: &[&str]| {
        let instances: Vec<_> = ids
            .iter()
            .map(|id| serde_json::json!({"InstanceId": id}))
            .collect();
        let body = serde_json::json!({"TotalCount": 3, "Instances": {"Instance": instances}});
        ok(&body.to_string())
    };
    let script = Script::new([page(&["i-1", "i-2"]), page(&["i-3"])]);
    let request = ecs::DescribeInstances {
        vpc_id: Some("vpc-1".into()),
        ..Default::default()
    };
    let all = cloud(&script)
        .list(REGION, &request, &stop())
        .await
        .unwrap();
    let ids: Vec<_> = all
        .iter()
        .map(|instance| instance.instance_id.as_str())
        .collect();
    assert_eq!(ids, ["i-1", "i-2", "i-3"]);
    let form = &script.forms()[1];
    assert_eq!((&*form["PageNumber"], &*form["PageSize"]), ("2", "100"));
    assert_eq!(form["VpcId"], "vpc-1");
    // Some went while the pages were read.
    let script = Script::new([page(&["i-1"]), page(&[])]);
    let all = cloud(&script)
        .list(REGION, &request, &stop())
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn logs_have_no_secrets_at_any_level() {
    let captured = Captured::default();
    let writer = captured.clone();
    // With a single dispatcher alive, tracing lets threads of other tests,
    // which have none, decide that nobody listens.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let body = r#"{"RequestId":"r1","Credentials":{"SecurityToken":"fresh-token"}}"#;
    let echo = r#"{"Code":"InvalidPassword","Message":"Bad password hunter2!","RequestId":"r2"}"#;
    let script = Script::new([ok(body), Reply::Answer(response(400, echo))]);
    let request = ecs::RunInstances {
        instance_type: "ecs.g7.large".into(),
        password: Some(Secret::new("hunter2!")),
        user_data: Some(Secret::new("#!/bin/sh")),
        ..Default::default()
    };
    create(&script, &request, &stop()).await.unwrap();
    let error = create(&script, &request, &stop()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2!"));

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for secret in [
        "hunter2!",
        "IyEvYmluL3No",
        "keysecret",
        "sts-token",
        "fresh-token",
        "Signature=",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(log.contains("InstanceType=ecs.g7.large"), "{log}");
    assert!(log.contains("r1") && log.contains("r2"), "{log}");
}

#[test]
fn the_futures_can_run_on_any_thread() {
    fn movable<T: Send>(_: T) {}
    let (script, stop) = (Script::new([]), stop());
    let cloud = cloud(&script);
    let request = ecs::DescribeRegions::default();
    movable(cloud.call(REGION, &request, &stop));
    let probe = async || {
        cloud.call(REGION, &request, &stop).await?;
        Ok(crate::cloud::wait::Poll::Ready(()))
    };
    let pace = crate::cloud::wait::Pace::VPC;
    movable(crate::cloud::wait::until(
        &stop,
        Duration::MAX,
        pace,
        "",
        probe,
    ));
}
