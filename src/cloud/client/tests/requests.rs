//! What is sent, and what becomes of the answer.

use super::*;
use crate::cloud::sts;

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
