//! As what and where the instance is made: types in the order of the template,
//! zones by stock, spot instances that ECS takes back.

use alicloud_image_sandbox::{Effect, Fault, When};
use serde_json::{Value, json};

use crate::harness::Lab;
use crate::record::{assert_absent, assert_params};
use crate::template::{provisioned, silent};

/// A build whose instance may be of two types.
fn two_types(options: Value) -> Value {
    let mut template = silent(options);
    let builder = template["builders"][0].as_object_mut().unwrap();
    builder.remove("instance_type");
    builder.insert(
        "instance_types".to_owned(),
        json!(["ecs.g6.large", "ecs.g7.large"]),
    );
    template
}

fn refuse_starts(lab: &Lab, when: When, code: &str) {
    lab.sandbox.inject(Fault {
        action: "RunInstances".to_owned(),
        when,
        effect: Effect::Error {
            http: 403,
            code: code.to_owned(),
            message: "Refused by the test.".to_owned(),
        },
    });
}

/// Type and zone of every attempt to start an instance.
fn attempts(lab: &Lab) -> Vec<(String, String)> {
    let calls = lab.calls("RunInstances").into_iter();
    calls
        .map(|call| {
            let of = |name: &str| call.params[name].clone();
            (of("InstanceType"), of("ZoneId"))
        })
        .collect()
}

#[tokio::test]
async fn a_type_that_no_zone_has_is_passed_over_without_a_try() {
    let lab = Lab::quick().await;
    for zone in ["h", "i", "j"] {
        let zone = format!("cn-beijing-{zone}");
        lab.sandbox.set_out_of_stock(&zone, "ecs.g6.large", true);
    }
    lab.build(&two_types(json!({}))).await.success();
    assert_params(
        &lab.call("RunInstances"),
        &[("InstanceType", "ecs.g7.large")],
    );
    lab.call("CreateVSwitch");
}

#[tokio::test]
async fn all_zones_of_a_type_come_before_the_next_type() {
    let lab = Lab::quick().await;
    refuse_starts(&lab, When::First(3), "OperationDenied.NoStock");
    let outcome = lab.build(&two_types(json!({}))).await.success();
    let expected = [
        ("ecs.g6.large", "cn-beijing-h"),
        ("ecs.g6.large", "cn-beijing-i"),
        ("ecs.g6.large", "cn-beijing-j"),
        ("ecs.g7.large", "cn-beijing-h"),
    ];
    let expected = expected.map(|(kind, zone)| (kind.to_owned(), zone.to_owned()));
    assert_eq!(attempts(&lab), expected);
    // The first zone's vSwitch is used again.
    assert_eq!(lab.calls("CreateVSwitch").len(), 3);
    let runs = lab.calls("RunInstances");
    assert_eq!(runs[0].params["VSwitchId"], runs[3].params["VSwitchId"]);
    for told in [
        "Zone cn-beijing-h has no ecs.g6.large left",
        "Trying zone cn-beijing-i...",
        "Trying instance type ecs.g7.large...",
    ] {
        assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    }
}

#[tokio::test]
async fn in_a_vswitch_of_the_user_only_the_type_changes() {
    let lab = Lab::quick().await;
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-team", "172.16.0.0/12")
        .vswitch("vpc-team", "vsw-team", "cn-beijing-i", "172.16.0.0/24");
    refuse_starts(&lab, When::Once, "OperationDenied.NoStock");
    lab.build(&two_types(json!({"vswitch_id": "vsw-team"})))
        .await
        .success();
    let kinds: Vec<_> = attempts(&lab).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["ecs.g6.large", "ecs.g7.large"]);
    assert_eq!(lab.calls("CreateVSwitch").len(), 0);
}

#[tokio::test]
async fn the_next_zone_of_a_vpc_of_the_user_gets_a_range_of_its_own() {
    let lab = Lab::quick().await;
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-team", "172.16.0.0/12")
        .vswitch("vpc-team", "vsw-1", "cn-beijing-i", "172.16.0.0/24")
        .vswitch("vpc-team", "vsw-2", "cn-beijing-j", "172.16.2.0/24");
    refuse_starts(&lab, When::Once, "OperationDenied.NoStock");
    lab.build(&silent(json!({"vpc_id": "vpc-team"})))
        .await
        .success();
    let made = lab.calls("CreateVSwitch").into_iter();
    let ranges: Vec<_> = made.map(|call| call.params["CidrBlock"].clone()).collect();
    assert_eq!(ranges, ["172.16.1.0/24", "172.16.3.0/24"]);
}

#[tokio::test]
async fn a_spot_instance_is_asked_for_with_its_limit() {
    let lab = Lab::quick().await;
    refuse_starts(
        &lab,
        When::Once,
        "InvalidSpotPriceLimit.LowerThanPublicPrice",
    );
    let options = json!({
        "spot_strategy": "SpotWithPriceLimit", "spot_price_limit": 0.125, "spot_duration": 0,
    });
    let outcome = lab.build(&silent(options)).await.success();
    for call in lab.calls("RunInstances") {
        assert_params(
            &call,
            &[
                ("SpotStrategy", "SpotWithPriceLimit"),
                ("SpotPriceLimit", "0.125"),
                ("SpotDuration", "0"),
                ("InstanceChargeType", "PostPaid"),
            ],
        );
    }
    let stock = lab.call("DescribeAvailableResource");
    assert_params(&stock, &[("SpotStrategy", "SpotWithPriceLimit")]);
    let told = "Zone cn-beijing-h has ecs.g6.large only above `spot_price_limit`";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
}

#[tokio::test]
async fn a_regular_instance_says_nothing_of_spot() {
    let lab = Lab::quick().await;
    lab.build(&silent(json!({"spot_strategy": "NoSpot"})))
        .await
        .success();
    let absent = [
        "SpotStrategy",
        "SpotPriceLimit",
        "SpotDuration",
        "InstanceChargeType",
    ];
    assert_absent(&lab.call("RunInstances"), &absent);
}

/// Runs a build and takes spot instances back while it provisions.
async fn reclaimed_while_provisioning(options: Value) -> String {
    let lab = Lab::quick().await;
    let wait = "touch started; while ! test -e reclaimed; do sleep 0.02; done";
    let template = provisioned(
        silent(options),
        json!([{"type": "shell-local", "inline": [wait]}]),
    );
    let child = lab
        .write_template(&template)
        .start(&["build", "template.json"]);
    lab.wait_for_file("started").await;
    lab.sandbox.reclaim_spot_instances();
    lab.write("reclaimed", "");
    let outcome = lab.finish(child).await;
    if outcome.code == 0 {
        return String::new();
    }
    let outcome = outcome.failure(1);
    lab.assert_empty();
    outcome.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spot_instance_that_is_taken_back_is_told_as_such() {
    let text = reclaimed_while_provisioning(json!({"spot_strategy": "SpotAsPriceGo"})).await;
    assert!(text.contains("ECS took back spot instance i-"), "{text}");
    assert!(text.contains("hint: Run the build again; "), "{text}");
    // One that is no spot instance stays.
    assert_eq!(reclaimed_while_provisioning(json!({})).await, "");
}
