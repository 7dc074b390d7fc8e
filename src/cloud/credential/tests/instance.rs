//! The keys that the metadata server of an instance hands out.

use super::*;

#[tokio::test]
async fn the_instance_is_asked_with_a_token() {
    let script = Script::new([(200, "secret-token"), (200, "web\n"), (200, KEYS)]);
    let keys = fetch(&script, &Source::InstanceRole(None)).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.a");
    assert!(keys.expiration.is_some());
    let base = "http://100.100.100.200/latest";
    let roles = format!("{base}/meta-data/ram/security-credentials/");
    assert_eq!(
        script.sent(),
        [
            format!("PUT {base}/api/token | x-aliyun-ecs-metadata-token-ttl-seconds: 60"),
            format!("GET {roles} | x-aliyun-ecs-metadata-token: secret-token"),
            format!("GET {roles}web | x-aliyun-ecs-metadata-token: secret-token"),
        ]
    );
}

#[tokio::test]
async fn an_old_metadata_server_is_asked_without_token_unless_forbidden() {
    let role = Source::InstanceRole(Some("web".into()));
    let script = Script::new([(404, ""), (200, KEYS)]);
    fetch(&script, &role).await.unwrap();
    assert!(!script.sent()[1].contains('|'));

    let script = Script::new([(404, "")]);
    let mut ambient = Ambient::default();
    ambient.instance.only_with_token = true;
    let error = credentials(&script, ambient)
        .of(&role)
        .get()
        .await
        .unwrap_err();
    assert!(error.hints()[0].contains("IMDSV1"), "{error:?}");
}

/// Answers, who asks, and what is said in the end.
type Case<'a> = (&'a [(u16, &'a str)], &'a Source, &'a str);

#[tokio::test]
async fn what_is_wrong_with_the_instance_is_said() {
    let role = Source::InstanceRole(Some("web".into()));
    let none = Source::InstanceRole(None);
    let table: [Case<'_>; 5] = [
        (
            &[(0, "")],
            &role,
            "Nobody answers for the instance metadata at 100.100.100.200: \
             Cannot connect to 100.100.100.200: timed out",
        ),
        (
            &[(200, "t"), (404, "")],
            &role,
            "The RAM role `web` is not attached to this instance",
        ),
        (
            &[(200, "t"), (404, "")],
            &none,
            "No RAM role is attached to this instance",
        ),
        (
            &[(200, "t"), (403, "")],
            &role,
            "The instance metadata refused with HTTP 403",
        ),
        (
            &[(200, "t"), (200, "<html>")],
            &role,
            "The instance metadata is no JSON with keys (line 1, column 1)",
        ),
    ];
    for (answers, source, expected) in table {
        let script = Script::default();
        let owned = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()));
        script.answers.lock().unwrap().extend(owned);
        let error = fetch(&Arc::new(script), source).await.unwrap_err();
        assert_eq!(one_line(&error), expected);
    }
}
