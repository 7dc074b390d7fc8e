//! Profiles that log in: Cloud SSO and OAuth.

use super::*;

fn sso(expires: i64, cached: i64) -> Value {
    json!([{
        "name": "current", "mode": "CloudSSO", "cloud_sso_account_id": "1",
        "cloud_sso_sign_in_url": "https://signin.example/start", "access_token": "login",
        "cloud_sso_access_config": "ac-1", "cloud_sso_access_token_expire": expires,
        "access_key_id": "STS.cached", "access_key_secret": "s", "sts_token": "t",
        "sts_expiration": cached,
    }])
}

#[tokio::test]
async fn a_cloud_sso_login_serves_while_it_lasts() {
    let now = Timestamp::now().as_second();
    let answer = format!(r#"{{"CloudCredential":{KEYS}}}"#);
    let script = Script::new([(200, &answer)]);
    let home = Home::new(&sso(now + 60, now - 60));
    let keys = current(&script, home.profiles()).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.a");
    assert_eq!(
        script.sent()[0],
        "POST https://signin.example/cloud-credentials | accept: application/json \
         | content-type: application/json | authorization: Bearer login"
    );
    assert_eq!(
        script.body(0),
        r#"{"AccountId":"1","AccessConfigurationId":"ac-1"}"#
    );
    // Keys of the login that are still good need no service.
    let home = Home::new(&sso(now - 60, now + 60));
    let keys = current(&Script::new([]), home.profiles()).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.cached");
}

#[tokio::test]
async fn an_ended_login_says_how_to_log_in_again() {
    let home = Home::new(&sso(1, 1));
    let source = home.profiles().current().unwrap().source;
    let error = fetch(&Script::new([]), &source).await.unwrap_err();
    assert_eq!(
        error.message(),
        "The CloudSSO login of profile `current` has ended"
    );
    assert!(error.hints()[0].contains("aliyun configure --profile current"));
}

#[tokio::test]
async fn an_oauth_login_is_renewed_and_written_back() {
    let renewed = r#"{"access_token":"new","refresh_token":"newer","expires_in":3600}"#;
    let keys = r#"{"accessKeyId":"STS.o","accessKeySecret":"s","securityToken":"t",
        "expiration":"2999-01-02T03:04:05Z"}"#;
    let script = Script::new([(200, renewed), (200, keys)]);
    let home = Home::new(&json!([
        {"name": "other", "mode": "AK"},
        {"name": "current", "mode": "OAuth", "oauth_site_type": "intl", "language": "en",
         "oauth_access_token": "old", "oauth_refresh_token": "older",
         "oauth_access_token_expire": 1},
    ]));
    let fetched = current(&script, home.profiles()).await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.o");
    let sent = script.sent();
    assert!(
        sent[0].starts_with("POST https://oauth.alibabacloud.com/v1/token "),
        "{sent:?}"
    );
    assert!(
        script
            .body(0)
            .contains("grant_type=refresh_token&refresh_token=older&client_id=41")
    );
    assert!(sent[1].ends_with("authorization: Bearer new"), "{sent:?}");
    let written = std::fs::read_to_string(home.file()).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    let profile = &written["profiles"][1];
    assert_eq!(profile["oauth_refresh_token"], "newer");
    assert_eq!(profile["language"], "en");
    assert_eq!(written["profiles"][0]["name"], "other");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
