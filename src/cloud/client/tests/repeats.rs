//! What is sent again, how often, and until when.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::cloud::{code_of, is_fate_unknown, is_gone};

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
