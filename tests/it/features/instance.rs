//! The temporary instance: its disks, its key, its tags, what it is told.

use std::collections::BTreeSet;

use alicloud_image_sandbox::Call;
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::Lab;
use crate::record::{assert_absent, assert_never_called, assert_order, assert_params};
use crate::template::{provisioned, silent, web};

fn all_tags(call: &Call) -> Vec<(&str, &str)> {
    let numbered = (1..=20).map_while(|number| {
        let part = |part| call.params.get(&format!("Tag.{number}.{part}"));
        Some((part("Key")?.as_str(), part("Value")?.as_str()))
    });
    numbered.collect()
}

fn tag<'a>(call: &'a Call, key: &str) -> &'a str {
    let tags = all_tags(call);
    let found = tags.iter().find(|(other, _)| *other == key);
    found.unwrap_or_else(|| panic!("no {key} on {call:#?}")).1
}

/// The calls that make something temporary, with the parameter of its name.
const CREATING: &[(&str, &str)] = &[
    ("ImportKeyPair", "KeyPairName"),
    ("AllocateEipAddress", "Name"),
    ("CreateVpc", "VpcName"),
    ("CreateVSwitch", "VSwitchName"),
    ("CreateSecurityGroup", "SecurityGroupName"),
    ("RunInstances", "InstanceName"),
];

#[tokio::test(flavor = "multi_thread")]
async fn everything_temporary_says_whose_it_is_and_when_it_expires() {
    let mut lab = Lab::new().await;
    lab.set("GITHUB_REPOSITORY", "team/images")
        .set("GITHUB_RUN_ID", "4711");
    let options = json!({"run_tags": {"team": "web"}, "resource_group_id": "rg-team"});
    let outcome = lab.build(&web(options)).await.success();
    let run = &outcome.outputs["build-run-id"];
    let mut intents = BTreeSet::new();
    for (action, name) in CREATING {
        let call = lab.call(action);
        assert_eq!(tag(&call, "alicloud-image:run-id"), run);
        assert_eq!(tag(&call, "alicloud-image:temporary"), "true");
        assert_eq!(tag(&call, "alicloud-image:repo"), "team/images");
        assert_eq!(tag(&call, "alicloud-image:workflow-run"), "4711");
        assert_eq!(tag(&call, "team"), "web");
        intents.insert(tag(&call, "alicloud-image:intent").to_owned());
        let named = format!("alicloud-image-{}-web-", &run[..8]);
        assert!(call.params[*name].starts_with(&named), "{call:#?}");
        // A vSwitch has no resource group of its own.
        if *action != "CreateVSwitch" {
            assert_params(&call, &[("ResourceGroupId", "rg-team")]);
        }
    }
    assert_eq!(intents.len(), CREATING.len(), "{intents:?}");
    let instance = lab.call("RunInstances");
    let expires = tag(&instance, "alicloud-image:expires-at");
    assert_params(&instance, &[("AutoReleaseTime", expires)]);
    let image = lab.call("CreateImage");
    assert_params(&image, &[("ResourceGroupId", "rg-team")]);
    let keys: Vec<_> = all_tags(&image).into_iter().map(|(key, _)| key).collect();
    assert!(!keys.contains(&"team"), "run_tags are not the image's");
    assert_eq!(tag(&image, "alicloud-image:temporary"), "true");
    assert_eq!(tag(&image, "alicloud-image:expires-at"), expires);
    let finished = lab.sandbox.images()[0]["Tags"].to_string();
    assert!(finished.contains("alicloud-image:run-id"), "{finished}");
    for unfinished in ["alicloud-image:temporary", "alicloud-image:expires-at"] {
        assert!(!finished.contains(unfinished), "{finished}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_data_runs_on_the_machine() {
    let lab = Lab::new().await;
    let options = json!({"user_data": "#!/bin/sh\necho from user data > /etc/note\n"});
    let template = provisioned(
        web(options),
        json!([{"type": "shell", "inline": ["cloud-init status --wait", "cat /etc/note"]}]),
    );
    let outcome = lab.build(&template).await.success();
    assert!(
        outcome.stdout.contains("    web: from user data\n"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn user_data_comes_from_a_file_too() {
    let lab = Lab::without_machines().await;
    lab.write("init.sh", "#!/bin/sh\ntrue\n")
        .build(&silent(json!({"user_data_file": "init.sh"})))
        .await
        .success();
    // The base64 of that file.
    assert_params(
        &lab.call("RunInstances"),
        &[("UserData", "IyEvYmluL3NoCnRydWUK")],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_are_as_described() {
    let lab = Lab::without_machines().await;
    let options = json!({
        "io_optimized": false,
        "instance_name": "builder-1",
        "security_enhancement_strategy": "Active",
        "system_disk_mapping": {
            "disk_category": "cloud_auto",
            "disk_size": "60",
            "disk_name": "root",
            "disk_description": "Root disk",
            "disk_encrypted": true,
            "disk_kms_key_id": "key-1"
        },
        "image_disk_mappings": [
            {"disk_size": 30, "disk_category": "cloud_essd", "disk_name": "data",
             "disk_device": "/dev/xvdb"},
            {"disk_size": 40, "disk_device": "/dev/xvdc"}
        ],
    });
    lab.build(&silent(options)).await.success();
    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[
            ("IoOptimized", "none"),
            ("InstanceName", "builder-1"),
            ("SecurityEnhancementStrategy", "Active"),
            ("SystemDisk.Category", "cloud_auto"),
            ("SystemDisk.Size", "60"),
            ("SystemDisk.DiskName", "root"),
            ("SystemDisk.Description", "Root disk"),
            ("SystemDisk.Encrypted", "true"),
            ("SystemDisk.KMSKeyId", "key-1"),
            ("DataDisk.1.Size", "30"),
            ("DataDisk.1.DiskName", "data"),
            ("DataDisk.1.Category", "cloud_essd"),
            ("DataDisk.2.Size", "40"),
            ("DataDisk.2.Device", "/dev/xvdc"),
            ("DataDisk.2.DeleteWithInstance", "true"),
        ],
    );
    assert_absent(&run, &["DataDisk.1.Encrypted", "DataDisk.3.Size"]);
    let images = lab.sandbox.images();
    let mappings = &images[0]["DiskDeviceMappings"]["DiskDeviceMapping"];
    assert_eq!(mappings.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn disks_are_as_fast_and_as_secret_as_described() {
    let lab = Lab::quick().await;
    let options = json!({
        "system_disk_mapping": {"disk_category": "cloud_essd", "disk_performance_level": "PL0"},
        "image_disk_mappings": [
            {"disk_category": "cloud_auto", "disk_size": 40, "disk_provisioned_iops": 5000,
             "disk_bursting_enabled": true, "disk_encrypted": true, "disk_kms_key_id": "key-2"},
            {"disk_category": "cloud_essd_entry", "disk_size": 40, "disk_encrypted": "true"}
        ],
    });
    lab.build(&silent(options)).await.success();
    let run = lab.call("RunInstances");
    assert_params(
        &run,
        &[
            ("SystemDisk.PerformanceLevel", "PL0"),
            ("DataDisk.1.Category", "cloud_auto"),
            ("DataDisk.1.ProvisionedIops", "5000"),
            ("DataDisk.1.BurstingEnabled", "true"),
            ("DataDisk.1.Encrypted", "true"),
            ("DataDisk.1.KMSKeyId", "key-2"),
            ("DataDisk.2.Encrypted", "true"),
        ],
    );
    assert_absent(&run, &["DataDisk.2.KMSKeyId", "SystemDisk.Encrypted"]);
}

#[tokio::test]
async fn the_instance_is_placed_and_hardened_as_described() {
    let lab = Lab::quick().await;
    lab.sandbox
        .seed()
        .deployment_set("cn-beijing", "ds-1")
        .dedicated_host("cn-beijing", "dh-1", "cn-beijing-i");
    let options = json!({
        "source_image": "ubuntu_24_04_x64_20G_alibase_20251013.vhd",
        "description": "Builds the web image",
        "deployment_set_id": "ds-1",
        "dedicated_host_id": "dh-1",
        "credit_specification": "Standard",
        "http_endpoint": "enabled",
        "http_tokens": "required",
        "login_as_non_root": true,
        "ssh_username": "ecs-user",
    });
    lab.build(&silent(options)).await.success();
    assert_params(
        &lab.call("RunInstances"),
        &[
            ("Description", "Builds the web image"),
            ("DeploymentSetId", "ds-1"),
            ("DedicatedHostId", "dh-1"),
            ("CreditSpecification", "Standard"),
            ("HttpEndpoint", "enabled"),
            ("HttpTokens", "required"),
            ("ImageOptions.LoginAsNonRoot", "true"),
        ],
    );
    let stock = lab.call("DescribeAvailableResource");
    assert_params(&stock, &[("DedicatedHostId", "dh-1")]);
    // The zone is the host's.
    let vswitch = lab.call("CreateVSwitch");
    assert_params(&vswitch, &[("ZoneId", "cn-beijing-i")]);
}

#[tokio::test]
async fn a_dedicated_host_is_found_by_who_may_not_ask_for_zones() {
    let lab = Lab::quick().await;
    lab.refuse("DescribeAvailableResource", "Forbidden.RAM");
    lab.refuse("DescribeZones", "Forbidden.RAM");
    lab.sandbox
        .seed()
        .dedicated_host("cn-beijing", "dh-1", "cn-beijing-i");
    let outcome = lab
        .build(&silent(json!({"dedicated_host_id": "dh-1"})))
        .await
        .success();
    let told = "is not the one of the dedicated host";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
}

#[tokio::test]
async fn ipv6_addresses_come_from_a_vswitch_that_has_some() {
    let lab = Lab::quick().await;
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-1", "172.16.0.0/12")
        .vswitch("vpc-1", "vsw-1", "cn-beijing-h", "172.16.0.0/24");
    lab.write_template(&silent(
        json!({"vswitch_id": "vsw-1", "ipv6_address_count": 2}),
    ));
    let outcome = lab.run(&["build", "template.json"]).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("InvalidVSwitch.Ipv6NotTurnOn"), "{text}");
    assert!(text.contains(r#""ipv6_address_count": 2"#), "{text}");
    lab.assert_empty();
    lab.sandbox.seed().ipv6("vsw-1");
    lab.run(&["build", "template.json"]).await.success();
    let runs = lab.calls("RunInstances");
    assert_params(runs.last().unwrap(), &[("Ipv6AddressCount", "2")]);
}

#[tokio::test]
async fn a_set_or_host_that_is_not_there_is_pointed_at() {
    let mut said = String::new();
    for options in [
        json!({"deployment_set_id": "ds-gone"}),
        json!({"dedicated_host_id": "dh-gone", "zone_id": "cn-beijing-h"}),
        json!({"dedicated_host_id": "dh-gone"}),
    ] {
        let lab = Lab::quick().await;
        let outcome = lab.build(&silent(options)).await.failure(1);
        said.extend(outcome.end().lines().take(6).flat_map(|line| [line, "\n"]));
        lab.assert_empty();
    }
    assert_snapshot!(said, @r#"
    Build 'web' errored after DURATION: Cannot start an instance of type ecs.g6.large in cn-beijing-h: Alibaba Cloud refused the request: InvalidDeploymentSetId.NotFound: The parameter DeploymentSetId is invalid. (RunInstances in cn-beijing, HTTP 400, RequestId UUID)
      --> template.json:11:28
       |
    11 |       "deployment_set_id": "ds-gone",
       |                            ^^^^^^^^^

    Build 'web' errored after DURATION: Cannot start an instance of type ecs.g6.large in cn-beijing-h: Alibaba Cloud refused the request: InvalidDedicatedHostId.NotFound: The specified DedicatedHostId does not exist. (RunInstances in cn-beijing, HTTP 400, RequestId UUID)
      --> template.json:11:28
       |
    11 |       "dedicated_host_id": "dh-gone",
       |                            ^^^^^^^^^

    Build 'web' errored after DURATION: Alibaba Cloud refused the request: InvalidDedicatedHostId.NotFound: The specified DedicatedHostId does not exist. (DescribeAvailableResource in cn-beijing, HTTP 403, RequestId UUID)
      --> template.json:11:28
       |
    11 |       "dedicated_host_id": "dh-gone",
       |                            ^^^^^^^^^
    "#);
}

#[tokio::test]
async fn an_image_without_that_user_is_told_before_anything_is_made() {
    let lab = Lab::quick().await;
    let options = json!({
        "source_image": "centos_7_03_64_20G_alibase_20170818.vhd",
        "login_as_non_root": true, "ssh_username": "ecs-user",
    });
    let outcome = lab.build(&silent(options)).await.failure(1);
    let told = "Source image `centos_7_03_64_20G_alibase_20170818.vhd` has no user `ecs-user`";
    assert!(outcome.text().contains(told), "{}", outcome.text());
    assert_never_called(&lab, &["CreateVpc", "RunInstances"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_disk_options_nothing_is_said_of_disks() {
    let lab = Lab::without_machines().await;
    lab.build(&silent(json!({}))).await.success();
    let run = lab.call("RunInstances");
    let mut disks = run.params.keys().filter(|name| name.contains("Disk"));
    assert_eq!(disks.next(), None, "{run:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_key_can_be_asked_for() {
    let lab = Lab::new().await;
    let options = json!({"temporary_key_pair_type": "rsa", "temporary_key_pair_bits": 2048});
    lab.build(&web(options)).await.success();
    let key = &lab.call("ImportKeyPair").params["PublicKeyBody"];
    assert!(key.starts_with("ssh-rsa "), "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_needs_no_key_pair() {
    let lab = Lab::new().await;
    let template = provisioned(
        web(json!({"ssh_password": "Correct-Horse-9"})),
        json!([{"type": "shell", "inline": ["echo $((6 * 7))"]}]),
    );
    let outcome = lab.build(&template).await.success();
    assert!(
        outcome.stdout.contains("    web: 42\n"),
        "{}",
        outcome.stdout
    );
    let run = lab.call("RunInstances");
    assert_params(&run, &[("Password", "Correct-Horse-9")]);
    assert_absent(&run, &["KeyPairName"]);
    assert_never_called(&lab, &["ImportKeyPair", "CreateKeyPair", "DeleteKeyPairs"]);
    let without_mask = outcome.text().replace("::add-mask::Correct-Horse-9", "");
    assert!(!without_mask.contains("Correct-Horse-9"), "{without_mask}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_pair_can_be_detached_before_the_image_is_made() {
    let lab = Lab::new().await;
    lab.build(&web(json!({"image_delete_ssh_private_key": true})))
        .await
        .success();
    assert_order(
        &lab,
        &[
            "RunInstances",
            "DetachKeyPair",
            "RebootInstance",
            "StopInstance",
            "CreateImage",
        ],
    );
    let name = &lab.call("ImportKeyPair").params["KeyPairName"];
    assert_params(&lab.call("DetachKeyPair"), &[("KeyPairName", name)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_holds_what_was_provisioned_but_not_the_builds_key() {
    let lab = Lab::new().await;
    let first = provisioned(
        web(json!({})),
        json!([{"type": "shell", "inline": ["echo first > /etc/built"]}]),
    );
    let outcome = lab.build(&first).await.success();
    let image = outcome.outputs["image-id"].clone();
    let key = lab.call("ImportKeyPair").params["PublicKeyBody"].clone();

    let second = provisioned(
        web(json!({"source_image": image, "image_name": "next"})),
        json!([{
            "type": "shell",
            "inline": ["cat /etc/built", "cat /root/.ssh/authorized_keys", "ls -A /tmp"]
        }]),
    );
    let outcome = lab.build(&second).await.success();
    let text = &outcome.stdout;
    assert!(text.contains("    web: first\n"), "{text}");
    let blob = key.split(' ').nth(1).unwrap();
    assert!(!text.contains(blob), "{text}");
    // The second build's own key is there, so the file was looked at.
    assert_eq!(text.matches("    web: ssh-ed25519 ").count(), 1, "{text}");
}
