//! Signature verification against published and SDK-made examples, and the
//! errors of wrong ones.

use std::collections::BTreeMap;

use crate::client::{Client, ECS, STS, fast_sandbox, stamp};
use alicloud_image_sandbox::signature::{
    Acs3Request, acs3_canonical_request, acs3_signature, acs3_string_to_sign, rpc_signature,
    rpc_string_to_sign,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) fn vectors(group: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/signature-vectors.json")).unwrap();
    all[group].as_array().unwrap().clone()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    members
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[test]
fn rpc_examples_are_reproduced() {
    let vectors = vectors("rpc_v1");
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let params = strings(&vector["params"]);
        let string = rpc_string_to_sign(vector["method"].as_str().unwrap(), &params);
        assert_eq!(string, vector["string_to_sign"].as_str().unwrap(), "{name}");
        let secret = vector["access_key_secret"].as_str().unwrap();
        assert_eq!(
            rpc_signature(secret, &string),
            vector["signature"].as_str().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn acs3_examples_are_reproduced() {
    let vectors = vectors("acs3");
    assert_eq!(vectors.len(), 7);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let authorization = text("authorization");
        let signed = authorization.split("SignedHeaders=").nth(1).unwrap();
        let canonical = acs3_canonical_request(&Acs3Request {
            method: text("method"),
            path: text("canonical_uri"),
            query: &strings(&vector["query"]),
            headers: &strings(&vector["headers"]),
            signed_headers: signed.split(',').next().unwrap(),
            body: text("body").as_bytes(),
        });
        assert_eq!(canonical, text("canonical_request"), "{}", text("name"));
        let string = acs3_string_to_sign(&canonical);
        assert_eq!(string, text("string_to_sign"), "{}", text("name"));
        let signature = acs3_signature(text("access_key_secret"), &string);
        assert_eq!(signature, text("signature"), "{}", text("name"));
    }
}

#[tokio::test]
async fn both_styles_and_the_proxy_form_are_accepted() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    assert_eq!(client.call(ECS, "DescribeRegions", &[]).await.http, 200);
    assert_eq!(
        client.call_acs3(ECS, "DescribeRegions", &[]).await.http,
        200
    );
    let old = client
        .call_through_proxy("DescribeZones", &[("RegionId", "cn-beijing")])
        .await;
    assert_eq!(old.json()["Zones"]["Zone"][0]["ZoneId"], "cn-beijing-h");
}

#[tokio::test]
async fn wrong_signatures_have_their_codes() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let wrong = Client {
        secret: "other".into(),
        ..client.clone()
    };
    let reply = wrong.call(ECS, "DescribeRegions", &[]).await;
    assert_eq!(reply.code(), "SignatureDoesNotMatch");
    let message = reply.json()["Message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("server string to sign is:POST&%2F&"),
        "{message}"
    );
    let reply = wrong.call_acs3(ECS, "DescribeRegions", &[]).await;
    assert_eq!(reply.code(), "SignatureDoesNotMatch");

    let unknown = Client {
        id: "LTAI5tUnknown".into(),
        ..client.clone()
    };
    let reply = unknown.call(ECS, "DescribeRegions", &[]).await;
    assert_eq!(
        (reply.http, reply.code().as_str()),
        (404, "InvalidAccessKeyId.NotFound")
    );

    let params = client.signed("POST", client.unsigned(ECS, "DescribeRegions", &[]));
    assert_eq!(client.post(&params).await.code(), "OK");
    assert_eq!(client.post(&params).await.code(), "SignatureNonceUsed");

    let mut late = client.unsigned(ECS, "DescribeRegions", &[]);
    let past = Timestamp::now() - SignedDuration::from_mins(16);
    late.insert("Timestamp".into(), stamp(past));
    let reply = client.post(&client.signed("POST", late)).await;
    assert_eq!(reply.code(), "InvalidTimeStamp.Expired");
}

#[tokio::test]
async fn temporary_credentials_need_their_token_and_expire() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let role = [
        ("RoleArn", "acs:ram::1234567890123456:role/builder"),
        ("RoleSessionName", "test"),
        ("DurationSeconds", "900"),
    ];
    let answer = client.ok(STS, "AssumeRole", &role).await;
    let field = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
    let temporary = Client {
        id: field("AccessKeyId"),
        secret: field("AccessKeySecret"),
        token: Some(field("SecurityToken")),
        ..client.clone()
    };
    let identity = temporary.ok(STS, "GetCallerIdentity", &[]).await;
    assert_eq!(
        identity["Arn"],
        "acs:ram::1234567890123456:assumed-role/builder/test"
    );
    assert_eq!(
        temporary.call_acs3(ECS, "DescribeRegions", &[]).await.http,
        200
    );
    for (token, code) in [
        (None, "MissingSecurityToken"),
        (
            Some("x".to_owned()),
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
    ] {
        let wrong = Client {
            token,
            ..temporary.clone()
        };
        assert_eq!(wrong.code(ECS, "DescribeRegions", &[]).await, code);
    }
    sandbox.advance(std::time::Duration::from_secs(901));
    let code = temporary.code(ECS, "DescribeRegions", &[]).await;
    assert_eq!(code, "InvalidSecurityToken.Expired");
}

#[tokio::test]
async fn answers_are_xml_unless_asked_otherwise() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let mut params = client.unsigned(ECS, "DescribeRegions", &[]);
    params.remove("Format");
    let reply = client.post(&client.signed("POST", params)).await;
    assert!(
        reply.text.contains("<RegionId>cn-hangzhou</RegionId>"),
        "{}",
        reply.text
    );
    let reply = client
        .send(
            "GET /?Action=DescribeRegions&Version=2014-05-26 HTTP/1.1",
            "",
            "",
        )
        .await;
    let text = reply.unwrap().text;
    assert!(text.contains("<Code>MissingParameter</Code>"), "{text}");
}

#[tokio::test]
async fn tunnels_are_refused() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let line = "CONNECT location-readonly.aliyuncs.com:443 HTTP/1.1";
    let reply = client.send(line, "", "").await.unwrap();
    assert_eq!(reply.http, 405);
}
