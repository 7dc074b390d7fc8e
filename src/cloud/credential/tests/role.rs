//! Roles that are assumed: with keys, with the token of an identity provider,
//! with an RSA key pair.

use super::*;

#[tokio::test]
async fn a_role_is_assumed_with_any_keys_even_those_of_a_role() {
    let script = Script::new([(200, SESSION), (200, SESSION)]);
    let source = assumed(assumed(Source::Keys(keys("base"))));
    let fetched = fetch(&script, &source).await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.r");
    let sent = script.sent();
    assert!(
        sent[0].starts_with("POST https://sts.cn-beijing.aliyuncs.com/ "),
        "{sent:?}"
    );
    assert!(sent[0].contains("Credential=base,") && sent[1].contains("Credential=STS.r,"));
    assert_eq!(
        script.body(0),
        "RoleArn=acs%3Aram%3A%3A1%3Arole%2Fweb&RoleSessionName=alicloud-image\
         &DurationSeconds=900&ExternalId=x"
    );
}

#[tokio::test]
async fn a_token_of_github_is_minted_for_the_audience_and_not_signed() {
    let script = Script::new([(200, r#"{"value":"jwt"}"#), (200, SESSION)]);
    let token = IdToken::Github {
        url: "https://ci.example/token?api-version=2".into(),
        token: Secret::new("right"),
        audience: "sts.aliyuncs.com".into(),
    };
    fetch(&script, &oidc(token)).await.unwrap();
    let sent = script.sent();
    assert_eq!(
        sent[0],
        "GET https://ci.example/token?api-version=2&audience=sts.aliyuncs.com \
         | authorization: bearer right | accept: application/json"
    );
    assert!(!sent[1].contains("authorization"), "{sent:?}");
    let form = script.body(1);
    for part in [
        "Action=AssumeRoleWithOIDC",
        "OIDCToken=jwt",
        "OIDCProviderArn=acs",
    ] {
        assert!(form.contains(part), "{form}");
    }
    assert!(!form.contains("Signature="), "{form}");
}

#[tokio::test]
async fn the_owner_of_an_rsa_key_pair_gets_keys_without_token() {
    let answer = r#"{"SessionAccessKey":{"SessionAccessKeyId":"TMPSK.a",
        "SessionAccessKeySecret":"s","Expiration":"2999-01-02T03:04:05Z"}}"#;
    let script = Script::new([(200, answer)]);
    let profile = json!({"mode": "RsaKeyPair", "key_pair_name": "pair-1",
        "private_key": RSA_KEY, "expired_seconds": 900, "sts_region": "ap-northeast-1"});
    let source = one(profile).unwrap().source;
    let keys = fetch(&script, &source).await.unwrap();
    assert_eq!(keys.access_key_id, "TMPSK.a");
    assert_eq!(keys.security_token, None);
    assert!(keys.expiration.is_some());
    assert!(script.sent()[0].starts_with("POST https://sts.ap-northeast-1.aliyuncs.com/ "));
    let form = script.body(0);
    for part in [
        "AccessKeyId=pair-1&",
        "Action=GenerateSessionAccessKey&",
        "DurationSeconds=900&",
        "SignatureMethod=SHA256withRSA&",
        "SignatureType=PRIVATEKEY&",
        "SignatureVersion=1.0&",
    ] {
        assert!(form.contains(part), "{form}");
    }
}

#[tokio::test]
async fn a_refused_token_is_explained() {
    let body =
        r#"{"Code":"AuthenticationFail.OIDCToken.Expired","Message":"Expired","RequestId":"r"}"#;
    let script = Script::new([(400, body)]);
    let token = IdToken::Value(Secret::new("jwt-secret"));
    let error = fetch(&script, &oidc(token)).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Credentials);
    assert!(error.hints()[0].contains("longer life"), "{error:?}");
    assert!(!format!("{error:?}").contains("jwt-secret"));
}

#[tokio::test]
async fn a_token_file_is_read_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let script = Script::new([(200, SESSION), (200, SESSION)]);
    let credentials = credentials(&script, Ambient::default());
    let provider = credentials.of(&oidc(IdToken::File(file.clone())));
    let error = provider.get().await.unwrap_err();
    assert!(error.message().contains("has no OIDC token"), "{error:?}");
    std::fs::write(&file, "first\n").unwrap();
    let keys = provider.get().await.unwrap();
    std::fs::write(&file, "second").unwrap();
    provider.refresh(&keys).await.unwrap();
    assert!(script.body(0).contains("OIDCToken=first&"));
    assert!(script.body(1).contains("OIDCToken=second&"));
}
