//! Where the machine is and how it is reached: the user's parts are used as
//! they are, the missing ones are made.

use serde_json::json;

use crate::harness::Lab;
use crate::record::{assert_absent, assert_never_called, assert_params};
use crate::template::{provisioned, silent, web};

/// A VPC whose first range is taken by a vSwitch, and a security group.
async fn lab_with_network() -> Lab {
    let lab = Lab::without_machines().await;
    seed_network(&lab);
    lab
}

fn seed_network(lab: &Lab) {
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-team", "172.16.0.0/12")
        .vswitch("vpc-team", "vsw-team", "cn-beijing-i", "172.16.0.0/24")
        .security_group("vpc-team", "sg-team");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vpc_without_vswitch_gets_one_in_a_free_range() {
    let lab = lab_with_network().await;
    lab.build(&silent(json!({"vpc_id": "vpc-team"})))
        .await
        .success();
    assert_params(
        &lab.call("CreateVSwitch"),
        &[("VpcId", "vpc-team"), ("CidrBlock", "172.16.1.0/24")],
    );
    assert_params(&lab.call("CreateSecurityGroup"), &[("VpcId", "vpc-team")]);
    assert_never_called(&lab, &["CreateVpc", "DeleteVpc"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vswitch_tells_its_vpc_and_zone() {
    let lab = lab_with_network().await;
    lab.build(&silent(json!({"vswitch_id": "vsw-team"})))
        .await
        .success();
    assert_params(&lab.call("CreateSecurityGroup"), &[("VpcId", "vpc-team")]);
    assert_params(
        &lab.call("RunInstances"),
        &[("VSwitchId", "vsw-team"), ("ZoneId", "cn-beijing-i")],
    );
    assert_never_called(
        &lab,
        &["CreateVpc", "CreateVSwitch", "DeleteVpc", "DeleteVSwitch"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_group_tells_its_vpc() {
    let lab = lab_with_network().await;
    lab.build(&silent(json!({"security_group_id": "sg-team"})))
        .await
        .success();
    assert_params(
        &lab.call("CreateVSwitch"),
        &[("VpcId", "vpc-team"), ("CidrBlock", "172.16.1.0/24")],
    );
    assert_params(&lab.call("RunInstances"), &[("SecurityGroupId", "sg-team")]);
    assert_never_called(
        &lab,
        &["CreateVpc", "CreateSecurityGroup", "AuthorizeSecurityGroup"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_network_is_named_as_asked_and_opens_one_port() {
    let lab = Lab::new().await;
    let options = json!({
        "vpc_name": "build-net",
        "vpc_cidr_block": "10.7.0.0/16",
        "vswitch_name": "build-switch",
        "security_group_name": "build-group",
        "security_group_source_cidrs": ["198.51.100.0/24", "203.0.113.7/32"],
        "zone_id": "cn-beijing-j",
    });
    lab.build(&web(options)).await.success();
    assert_params(
        &lab.call("CreateVpc"),
        &[("VpcName", "build-net"), ("CidrBlock", "10.7.0.0/16")],
    );
    assert_params(
        &lab.call("CreateVSwitch"),
        &[
            ("VSwitchName", "build-switch"),
            ("CidrBlock", "10.7.0.0/24"),
            ("ZoneId", "cn-beijing-j"),
        ],
    );
    assert_params(
        &lab.call("CreateSecurityGroup"),
        &[("SecurityGroupName", "build-group")],
    );
    let rules = lab.call("AuthorizeSecurityGroup");
    assert_params(
        &rules,
        &[
            ("Permissions.1.PortRange", "22/22"),
            ("Permissions.1.IpProtocol", "TCP"),
            ("Permissions.1.SourceCidrIp", "198.51.100.0/24"),
            ("Permissions.2.SourceCidrIp", "203.0.113.7/32"),
        ],
    );
    assert_absent(&rules, &["Permissions.3.PortRange"]);
    assert_never_called(&lab, &["AuthorizeSecurityGroupEgress"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eip_of_the_user_is_used_and_kept() {
    let lab = Lab::new().await;
    let address = lab.sandbox.seed().eip("cn-beijing", "eip-team");
    let outcome = lab
        .build(&web(json!({"eip_id": "eip-team"})))
        .await
        .success();
    let connected = format!("SSH communicator to connect: {address}\n");
    assert!(outcome.stdout.contains(&connected), "{}", outcome.stdout);
    for action in ["AssociateEipAddress", "UnassociateEipAddress"] {
        assert_params(&lab.call(action), &[("AllocationId", "eip-team")]);
    }
    assert_never_called(&lab, &["AllocateEipAddress", "ReleaseEipAddress"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bandwidth_gives_the_instance_its_own_address() {
    let lab = Lab::new().await;
    let options = json!({"internet_max_bandwidth_out": 10, "internet_charge_type": "PayByTraffic"});
    let outcome = lab.build(&web(options)).await.success();
    assert_params(
        &lab.call("RunInstances"),
        &[
            ("InternetMaxBandwidthOut", "10"),
            ("InternetChargeType", "PayByTraffic"),
        ],
    );
    assert_never_called(&lab, &["AllocateEipAddress", "AssociateEipAddress"]);
    // Public addresses of the sandbox.
    assert!(
        outcome.stdout.contains("to connect: 127.1."),
        "{}",
        outcome.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bandwidth_with_an_eip_is_the_eips() {
    let lab = Lab::without_machines().await;
    let options = json!({"internet_max_bandwidth_out": 10, "associate_public_ip_address": true});
    lab.build(&silent(options)).await.success();
    assert_params(&lab.call("AllocateEipAddress"), &[("Bandwidth", "10")]);
    assert_absent(&lab.call("RunInstances"), &["InternetMaxBandwidthOut"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_address_the_private_one_is_used() {
    let lab = Lab::new().await;
    seed_network(&lab);
    let options = json!({"associate_public_ip_address": false, "vswitch_id": "vsw-team"});
    let outcome = lab.build(&web(options)).await.success();
    assert!(
        outcome.stdout.contains("to connect: 127.2."),
        "{}",
        outcome.stdout
    );
    assert_never_called(&lab, &["AllocateEipAddress", "AssociateEipAddress"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_connection_may_have_an_eip_for_the_way_out() {
    let lab = Lab::new().await;
    seed_network(&lab);
    let options = json!({
        "ssh_private_ip": true,
        "associate_public_ip_address": true,
        "vswitch_id": "vsw-team",
    });
    let template = provisioned(
        web(options),
        json!([{"type": "shell", "inline": ["echo reached"]}]),
    );
    let outcome = lab.build(&template).await.success();
    assert!(
        outcome.stdout.contains("to connect: 127.2."),
        "{}",
        outcome.stdout
    );
    lab.call("AssociateEipAddress");
    assert!(!lab.calls("ReleaseEipAddress").is_empty());
}
