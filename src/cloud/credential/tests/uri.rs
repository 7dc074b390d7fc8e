//! Keys from a URI.

use super::*;

#[tokio::test]
async fn a_uri_hands_out_keys() {
    let script = Script::new([(200, KEYS)]);
    let uri = Source::Uri(Secret::new("http://127.0.0.1:8/keys?token=hunter2"));
    assert_eq!(fetch(&script, &uri).await.unwrap().access_key_id, "STS.a");
    let table = [
        (404, "", "The credentials URI refused with HTTP 404"),
        (
            200,
            r#"{"Code":"Failed"}"#,
            "The credentials URI says `Failed`",
        ),
        (
            200,
            r#"{"AccessKeyId":"a"}"#,
            "The credentials URI has no AccessKeySecret",
        ),
    ];
    for (status, body, expected) in table {
        let error = fetch(&Script::new([(status, body)]), &uri)
            .await
            .unwrap_err();
        assert_eq!(one_line(&error), expected);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn who_hands_out_keys_is_asked_again_when_that_does_no_harm() {
    let uri = Source::Uri(Secret::new("http://127.0.0.1:8/keys"));
    let script = Script::new([(0, ""), (503, ""), (429, ""), (200, KEYS)]);
    assert_eq!(fetch(&script, &uri).await.unwrap().access_key_id, "STS.a");
    let script = Script::new([(500, ""); 5]);
    let error = fetch(&script, &uri).await.unwrap_err();
    assert_eq!(
        one_line(&error),
        "The credentials URI refused with HTTP 500"
    );
    assert_eq!(script.sent().len(), 5);
    // A token that renews a login works once.
    let home = Home::new(&json!([
        {"name": "current", "mode": "OAuth", "oauth_site_type": "CN",
         "oauth_access_token": "old", "oauth_refresh_token": "older"},
    ]));
    let login = home.profiles().current().unwrap().source;
    let script = Script::new([(0, ""), (502, "")]);
    let error = fetch(&script, &login).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("login of profile `current` has ended")
    );
    assert_eq!(script.sent().len(), 2);
}
