//! Planned faults, repeats with the same token, policies, observation.

use std::time::Duration;

use crate::client::{Client, ECS, VPC, fast_sandbox, start};
use alicloud_image_sandbox::{
    AccessKey, Effect, Fault, SandboxOptions, SeedImage, StateFault, When,
};
use serde_json::json;

const REGION: (&str, &str) = ("RegionId", "cn-hangzhou");

fn fault(action: &str, when: When, effect: Effect) -> Fault {
    Fault {
        action: action.into(),
        when,
        effect,
    }
}

#[tokio::test]
async fn errors_and_throttling_hit_the_planned_calls() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    sandbox.inject(fault(
        "Ecs.DescribeZones",
        When::Nth(2),
        Effect::Error {
            http: 503,
            code: "ServiceUnavailable".into(),
            message: "busy".into(),
        },
    ));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(client.code(ECS, "DescribeZones", &[REGION]).await);
    }
    assert_eq!(codes, ["OK", "ServiceUnavailable", "OK"]);
    let wait = Duration::from_millis(250);
    sandbox.inject(fault("*", When::Once, Effect::ThrottleWithRetryAfter(wait)));
    let reply = client.call(ECS, "DescribeRegions", &[]).await;
    assert_eq!(reply.code(), "Throttling.User");
    assert!(
        reply.headers.contains("x-acs-retry-after: 250"),
        "{}",
        reply.headers
    );
}

#[tokio::test]
async fn a_lost_answer_is_found_again_with_the_token() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let create = [
        REGION,
        ("ClientToken", "token-1"),
        ("CidrBlock", "10.0.0.0/8"),
    ];
    for (effect, made) in [(Effect::DropBefore, 0), (Effect::DropAfter, 1)] {
        sandbox.inject(fault("CreateVpc", When::Once, effect));
        let params = client.signed("POST", client.unsigned(VPC, "CreateVpc", &create));
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let query: Vec<String> = params
            .iter()
            .map(|(n, v)| {
                let encode = alicloud_image_sandbox::signature::encode;
                format!("{}={}", encode(n), encode(v))
            })
            .collect();
        let lost = client
            .send("POST / HTTP/1.1", headers, &query.join("&"))
            .await;
        assert!(lost.is_err(), "{lost:?}");
        assert_eq!(sandbox.alive().len(), made);
        sandbox.clear_faults();
    }
    let found = client.ok(VPC, "CreateVpc", &create).await;
    assert_eq!(sandbox.alive().len(), 1);
    assert_eq!(found["VpcId"], sandbox.alive()[0].id.as_str());
    let other = [
        REGION,
        ("ClientToken", "token-1"),
        ("CidrBlock", "172.16.0.0/12"),
    ];
    let code = client.code(VPC, "CreateVpc", &other).await;
    assert_eq!(code, "IdempotentParameterMismatch");
    let calls = sandbox.calls();
    assert_eq!((calls[0].code.as_str(), calls[0].http), ("Dropped", 0));
}

#[tokio::test]
async fn an_image_can_fail() {
    let sandbox = fast_sandbox().await;
    sandbox.seed().image(&SeedImage {
        region: "cn-hangzhou".into(),
        id: "m-base".into(),
        name: "base".into(),
        snapshot: "s-base".into(),
        ..SeedImage::default()
    });
    sandbox.inject_state(StateFault::ImageCreateFailed);
    let client = Client::of(&sandbox);
    let create = [REGION, ("SnapshotId", "s-base"), ("ImageName", "broken")];
    client.ok(ECS, "CreateImage", &create).await;
    let describe = [REGION, ("ImageName", "broken"), ("Status", "ALL")];
    let at = ("/Images/Image/0/Status", "CreateFailed");
    client.until((ECS, "DescribeImages"), &describe, at).await;
    let shown = client.ok(ECS, "DescribeImages", &describe[..2]).await;
    assert_eq!(shown["TotalCount"], 0, "only Available images by default");
}

#[tokio::test]
async fn a_policy_limits_its_key() {
    let options = SandboxOptions::default();
    let mut access_keys = options.access_keys.clone();
    access_keys.push(AccessKey {
        user: Some("ci".into()),
        policy: Some(json!({"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": ["ecs:Describe*"], "Resource": "*"},
        ]})),
        ..AccessKey::new("LTAI5tLimited", "limited")
    });
    let sandbox = start(SandboxOptions {
        access_keys,
        ..options
    })
    .await;
    let limited = Client {
        id: "LTAI5tLimited".into(),
        secret: "limited".into(),
        ..Client::of(&sandbox)
    };
    assert_eq!(limited.code(ECS, "DescribeZones", &[REGION]).await, "OK");
    let reply = limited.call(ECS, "CreateVpc", &[REGION]).await;
    assert_eq!((reply.http, reply.code().as_str()), (403, "Forbidden.RAM"));
    let detail = &reply.json()["AccessDeniedDetail"];
    assert_eq!(detail["AuthAction"], "vpc:CreateVpc");
    assert_eq!(detail["NoPermissionType"], "ImplicitDeny");
}

#[tokio::test]
async fn other_processes_observe_over_http() {
    let sandbox = fast_sandbox().await;
    let client = Client::of(&sandbox);
    let plan = r#"{"action": "CreateVpc", "when": "every",
        "effect": {"error": {"http": 500, "code": "InternalError", "message": "m"}}}"#;
    let planned = client
        .send("POST /_sandbox/faults HTTP/1.1", "", plan)
        .await
        .unwrap();
    assert_eq!(planned.http, 200, "{}", planned.text);
    assert_eq!(
        client.code(VPC, "CreateVpc", &[REGION]).await,
        "InternalError"
    );
    sandbox.clear_faults();
    client
        .ok(VPC, "CreateVpc", &[REGION, ("VpcName", "mine")])
        .await;
    let get = async |path: &str| {
        let line = format!("GET /_sandbox/{path} HTTP/1.1");
        client.send(&line, "", "").await.unwrap().json()
    };
    let alive = get("alive").await;
    assert_eq!(
        (&alive[0]["kind"], &alive[0]["name"]),
        (&json!("vpc"), &json!("mine"))
    );
    assert_eq!(get("calls").await[0]["code"], "InternalError");
    assert_eq!(get("report").await["calls_by_action"]["CreateVpc"], 2);
    assert_eq!(get("images").await, json!([]));
    let line = "POST /_sandbox/seed HTTP/1.1";
    let seed = r#"[{"kind": "vpc", "region": "cn-hangzhou", "id": "vpc-mine", "cidr": "10.0.0.0/8"},
        {"kind": "vswitch", "vpc": "vpc-mine", "id": "vsw-mine", "zone": "cn-hangzhou-b",
         "cidr": "10.0.0.0/24"}]"#;
    assert_eq!(client.send(line, "", seed).await.unwrap().http, 200);
    let shown = [REGION, ("VSwitchId", "vsw-mine")];
    let shown = client.ok(VPC, "DescribeVSwitches", &shown).await;
    assert_eq!(shown["VSwitches"]["VSwitch"][0]["VpcId"], "vpc-mine");
    assert_eq!(client.send(line, "", "{}").await.unwrap().http, 400);

    let line = "POST /_sandbox/reset-report HTTP/1.1";
    assert_eq!(client.send(line, "", "").await.unwrap().http, 200);
    assert_eq!(get("report").await["total_calls"], 0);
}
