//! What is said of a refusal, and what never is.

use std::io;

use super::*;

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
