//! RAM policies: what `policy` prints is enough for the build and holds
//! nothing a build never does.

use std::collections::BTreeSet;

use alicloud_image_sandbox::SeedBucket;
use insta::assert_snapshot;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};

use crate::harness::{Lab, documented_policy, limited_to, quick_options};
use crate::template;

/// A lab whose caller may do what a policy allows, and nothing else.
async fn limited(policy: Value) -> Lab {
    Lab::with(limited_to(policy, quick_options())).await
}

/// One build, which may wait long for a machine: an hour here is seconds.
fn web(options: Value) -> Value {
    let mut template = template::web(options);
    template["builders"][0]["ssh_timeout"] = json!("1h");
    template
}

/// What `policy` prints for `template.json`.
async fn policy_of(template: &Value) -> Value {
    let lab = Lab::quick().await;
    lab.write_template(template);
    let outcome = lab.run(&["policy", "template.json"]).await.success();
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let actions = policy["Statement"][0]["Action"].as_array().unwrap();
    let text = |action: &Value| action.as_str().unwrap().to_owned();
    actions.iter().map(text).collect()
}

/// Nothing was refused for want of a permission.
#[track_caller]
fn assert_enough(lab: &Lab) {
    let calls = lab.sandbox.calls().into_iter();
    let refused: Vec<_> = calls
        .filter(|call| ["Forbidden.RAM", "AccessDenied"].contains(&call.code.as_str()))
        .map(|call| call.action)
        .collect();
    assert_eq!(refused, [""; 0]);
}

/// Builds `web` with these options and the policy that is printed for them.
async fn build_with_printed_policy(options: Value) {
    let template = web(options.clone());
    let lab = limited(policy_of(&template).await).await;
    lab.sandbox
        .seed()
        .vpc("cn-beijing", "vpc-1", "172.16.0.0/12")
        .vswitch("vpc-1", "vsw-1", "cn-beijing-h", "172.16.0.0/24")
        .security_group("vpc-1", "sg-1")
        .deployment_set("cn-beijing", "ds-1")
        .eip("cn-beijing", "eip-1");
    lab.write_template(&template);
    let outcome = lab.run(&["build", "template.json"]).await;
    assert_eq!(outcome.code, 0, "{options}: {}", outcome.text());
    assert_enough(&lab);
}

#[tokio::test]
async fn the_printed_policy_is_enough_for_a_build() {
    let builds = [
        json!({}),
        json!({"source_image": null, "image_family": "acs:ubuntu_24_04_x64", "vpc_id": "vpc-1"}),
        json!({
            "source_image": null,
            "source_image_filter": {"name": "ubuntu_24*", "owners": ["system"]},
            "instance_types": ["ecs.g6.large", "ecs.c6.large"],
            "instance_type": null,
            "spot_strategy": "SpotAsPriceGo",
            "deployment_set_id": "ds-1",
        }),
        json!({
            "image_encrypted": true,
            "image_copy_regions": ["cn-hangzhou"],
            "target_image_family": "web-family",
            "boot_mode": "UEFI",
            "image_imds_support": "v2",
            "image_delete_ssh_private_key": true,
        }),
        json!({"image_encrypted": true, "image_force_delete": true}),
        json!({"eip_id": "eip-1", "zone_id": "cn-beijing-h", "image_detection_strategy": "Standard"}),
        json!({"associate_public_ip_address": false, "security_group_id": "sg-1"}),
        json!({"internet_max_bandwidth_out": 5, "image_unshare_account": ["1234567890123456"]}),
        json!({
            "image_disk_mappings": [{"disk_size": 20}], "run_tags": {"team": "web"},
            "target_image_family": "web-family", "skip_image_validation": true,
        }),
        json!({"skip_create_image": true}),
        json!({
            "image_force_delete": true,
            "image_force_delete_snapshots": true,
            "image_ignore_data_disks": true,
            "image_copy_regions": ["cn-hangzhou"],
            "image_share_account": ["1234567890123456"],
            "ecs_ram_role_name": "web",
            "tags": {"app": "web"},
        }),
        json!({"vswitch_id": "vsw-1", "security_group_id": "sg-1", "ssh_private_ip": true}),
    ];
    futures_util::future::join_all(builds.map(build_with_printed_policy)).await;
}

#[tokio::test]
async fn the_printed_policy_holds_little_that_a_good_build_leaves_undone() {
    let template = web(json!({}));
    let policy = policy_of(&template).await;
    let lab = limited(policy.clone()).await;
    lab.write_template(&template);
    lab.run(&["build", "template.json"]).await.success();
    let called: BTreeSet<_> = lab
        .sandbox
        .calls()
        .into_iter()
        .map(|call| format!("{}:{}", call.product.to_lowercase(), call.action))
        .collect();
    let unused: Vec<_> = actions(&policy).difference(&called).cloned().collect();
    // What is looked for and deleted when a build fails.
    assert_snapshot!(unused.join("\n"), @"
    ecs:DeleteImage
    ecs:DeleteSnapshot
    ecs:DescribeKeyPairs
    ecs:DescribeSecurityGroups
    ");
}

#[tokio::test]
async fn the_printed_policy_is_enough_for_an_import() {
    let template = json!({
        "builders": [{
            "type": "qemu", "name": "disk", "communicator": "none", "disk_image": true,
            "iso_url": "http://127.0.0.1:9/disk.img", "iso_checksum": "none"
        }],
        "post-processors": [{
            "type": "alicloud-import", "region": "cn-beijing", "image_name": "imported",
            "oss_bucket_name": "images", "tags": {"app": "web"}
        }],
    });
    let import = [
        "import",
        "disk.raw",
        "--region=cn-beijing",
        "--image-name=imported",
        "--oss-bucket-name=images",
        "--tag=app=web",
    ];
    let policy = policy_of(&template).await;
    for has_bucket in [false, true] {
        let mut lab = limited(policy.clone()).await;
        if has_bucket {
            lab.sandbox.seed().bucket(&SeedBucket {
                region: "cn-beijing".to_owned(),
                name: "images".to_owned(),
                ..SeedBucket::default()
            });
        }
        write_disk(&lab);
        lab.run(&import).await.success();
        assert_enough(&lab);
        // A bucket that had to be made stays for the next import.
        lab.may_leave_resources();
    }
}

/// A disk that could boot, as far as anyone looks.
fn write_disk(lab: &Lab) {
    let mut disk = vec![7; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
}

#[tokio::test]
async fn the_printed_policy_is_enough_for_all_that_becomes_of_an_import() {
    let mut template = web(json!({"image_name": "built"}));
    template["post-processors"] = json!([[
        {"type": "artifice", "files": ["disk.raw"]},
        {
            "type": "alicloud-import", "region": "cn-beijing", "image_name": "imported",
            "oss_bucket_name": "images", "target_image_family": "web-family",
            "image_share_account": ["1234567890123456"], "image_detection_strategy": "Standard"
        }
    ]]);
    let lab = limited(policy_of(&template).await).await;
    lab.sandbox.seed().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    });
    write_disk(&lab);
    lab.write_template(&template);
    lab.run(&["build", "template.json"]).await.success();
    assert_enough(&lab);
}

#[tokio::test]
async fn findings_do_not_mix_with_the_policy() {
    let lab = Lab::quick().await;
    lab.write_template(&web(json!({"ram_session_name": "ci"})));
    let outcome = lab.run(&["policy", "template.json"]).await.success();
    assert!(
        outcome
            .stderr
            .contains("warning: Option `ram_session_name`")
    );
    let policy: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(policy["Version"], "1");
    lab.write_template(&web(json!({"region": "nowhere at all"})));
    lab.run(&["policy", "template.json"]).await.failure(2);
}

/// Builds an example of that documentation with that policy, and tells which
/// calls were refused.
async fn refused_calls(name: &str, policy: Value) -> Vec<String> {
    let mut lab = limited(policy).await;
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    lab.write("key.pem", &key.to_openssh(LineEnding::LF).unwrap());
    let profile = json!({
        "name": "packer_sk", "mode": "AK", "access_key_id": lab.sandbox.access_key_id(),
        "access_key_secret": lab.sandbox.access_key_secret(),
    });
    lab.write("profiles.json", &json!({"profiles": [profile]}).to_string());
    let file = lab.path("profiles.json").display().to_string();
    lab.set("ALICLOUD_SHARED_CREDENTIALS_FILE", &file);
    lab.sandbox
        .seed()
        .snapshot("cn-hangzhou", "s-bp1xxxxxx", 40)
        .snapshot("cn-hangzhou", "s-xxxxxxxxxxxxxxx", 40)
        .key_pair(
            "cn-hangzhou",
            "team-key",
            &key.public_key().to_openssh().unwrap(),
        )
        .vpc("cn-hangzhou", "vpc-xxxx", "172.16.0.0/12")
        .vswitch("vpc-xxxx", "vsw-xxxx", "cn-hangzhou-i", "172.16.0.0/24")
        .security_group("vpc-xxxx", "sg-xxxx");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("examples/reference").join(name)).unwrap();
    let mut template: Value = serde_json::from_str(&text).unwrap();
    template["builders"][0]["ssh_timeout"] = json!("1h");
    lab.write_template(&template);
    let variables = [
        "-var=ssh_keypair_name=team-key",
        "-var=ssh_private_key_file=key.pem",
        "-var=vpc_id=vpc-xxxx",
        "-var=vswitch_id=vsw-xxxx",
        "-var=security_group_id=sg-xxxx",
    ];
    let mut arguments = vec!["build", "template.json"];
    if name == "ssh-keypair.json" {
        arguments.extend(variables);
    }
    lab.run(&arguments).await.success();
    let calls = lab.sandbox.calls().into_iter();
    let refused = calls.filter(|call| call.code == "Forbidden.RAM");
    refused.map(|call| call.action).collect()
}

#[tokio::test]
async fn the_documented_policy_is_enough_for_the_documented_examples() {
    let with_pass_role = {
        let mut policy = documented_policy();
        let actions = policy["Statement"][0]["Action"].as_array_mut().unwrap();
        actions.push(json!("ram:PassRole"));
        policy
    };
    let examples = [
        ("tags.json", documented_policy()),
        ("image-ignore-data-disks.json", documented_policy()),
        ("wait-snapshot-ready-timeout.json", documented_policy()),
        ("ssh-private-ip.json", documented_policy()),
        ("ssh-keypair.json", documented_policy()),
        ("disk-mappings.json", documented_policy()),
        ("image-family.json", documented_policy()),
        ("profile.json", documented_policy()),
        ("ecs-ram-role.json", with_pass_role),
    ];
    let builds = examples.map(|(name, policy)| refused_calls(name, policy));
    let refused = futures_util::future::join_all(builds).await;
    let refused: BTreeSet<_> = refused.into_iter().flatten().collect();
    // What would be good to know, and is done without.
    assert_snapshot!(refused.into_iter().collect::<Vec<_>>().join("\n"), @"
    DescribeAvailableResource
    DescribeZones
    ");
}

#[tokio::test]
async fn without_the_right_to_ask_for_zones_they_are_tried() {
    let lab = limited(documented_policy()).await;
    lab.write_template(&web(json!({})));
    let outcome = lab.run(&["build", "template.json"]).await.success();
    let notice = "These keys may not ask which zones sell ecs.g6.large";
    assert!(outcome.stdout.contains(notice), "{}", outcome.stdout);
    lab.sandbox
        .set_out_of_stock("cn-beijing-h", "ecs.g6.large", true);
    lab.write_template(&web(json!({"image_name": "second"})));
    lab.run(&["build", "template.json"]).await.success();
    assert!(lab.calls("CreateVSwitch").len() > 2);
}
