use std::fs;

use super::*;
use crate::cloud::credential::Profiles;
use crate::plan::testing::{Outcome, read_in};

const BASE: &str = r#""region":"cn-beijing","image_name":"web","source_image":"m-1",
    "instance_type":"ecs.g6.large","ssh_username":"root""#;

fn read_text(text: &str) -> Outcome<AlicloudEcs> {
    read_in(".", text, OPTIONS, |reader| {
        read(reader, Defaults::default())
    })
}

/// The base block with more options.
fn with(more: &str) -> Outcome<AlicloudEcs> {
    read_text(&format!("{{{BASE},{more}}}"))
}

/// What is found about the base block with more options, without the block's
/// name.
fn findings(more: &str) -> Vec<String> {
    let findings = with(more).findings.into_iter();
    findings
        .map(|line| line.replace(" of `it`", "").replace(" in `it`", ""))
        .collect()
}

#[test]
fn a_minimal_block_has_upstreams_defaults() {
    let outcome = with(r#""_":null"#);
    assert_eq!(outcome.findings, ["error: Unknown option `_` in `it`"]);
    let outcome = read_text(&format!("{{{BASE}}}"));
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let ecs = outcome.read;
    assert_eq!(ecs.access.region.value, "cn-beijing");
    assert!(matches!(ecs.access.credentials, Credentials::Ambient));
    assert_eq!(ecs.image.name.value, "web");
    assert_eq!(ecs.image.ready_timeout, Duration::from_secs(3600));
    assert_eq!(ecs.image.copy_timeout, Duration::from_secs(3600));
    assert!(matches!(ecs.run.source, Source::Image(image) if image.value == "m-1"));
    assert!(matches!(ecs.run.address, Address::TemporaryEip));
    assert_eq!(ecs.run.security_group_source_cidrs, ["0.0.0.0/0"]);
}

#[test]
fn an_empty_block_lacks_everything_at_once() {
    let outcome = read_text("{}");
    assert_eq!(
        outcome.findings,
        [
            "error: Option `region` of `it` is missing",
            "error: Option `image_name` of `it` is missing",
            "error: Option `source_image` of `it` is missing",
            "error: Option `instance_type` of `it` is missing",
        ]
    );
}

#[test]
fn every_rule_has_its_words() {
    let table: &[(&str, &[&str])] = &[
        // Access.
        (
            r#""access_key":"a""#,
            &["error: Option `access_key` is set without `secret_key`"],
        ),
        (
            r#""secret_key":"s""#,
            &["error: Option `secret_key` is set without `access_key`"],
        ),
        (r#""access_key":"","secret_key":"""#, &[]),
        (
            r#""access_key":"a","secret_key":"s","security_token":"t""#,
            &[],
        ),
        (
            r#""security_token":"t""#,
            &["error: Option `security_token` is set without the keys it belongs to"],
        ),
        (r#""custom_endpoint_ecs":"127.0.0.1:8080""#, &[]),
        (r#""custom_endpoint_ecs":"http://127.0.0.1:8080""#, &[]),
        (
            r#""custom_endpoint_ecs":"http://ecs.example.com""#,
            &["warning: Option `custom_endpoint_ecs` is not encrypted"],
        ),
        (
            r#""custom_endpoint_ecs":"https://host/path""#,
            &["error: Option `custom_endpoint_ecs` is not an endpoint: `https://host/path`"],
        ),
        (r#""protocol":"HTTPS""#, &[]),
        (
            r#""protocol":"http""#,
            &["warning: Option `protocol` is `http`, and HTTPS is used all the same"],
        ),
        (
            r#""protocol":"http","custom_endpoint_ecs":"https://ecs.example.com""#,
            &["warning: Option `protocol` is `http`, and HTTPS is used all the same"],
        ),
        (
            r#""protocol":"http","custom_endpoint_ecs":"127.0.0.1:8080""#,
            &[],
        ),
        (
            r#""protocol":"http","custom_endpoint_ecs":"ecs.example.com""#,
            &["warning: Option `custom_endpoint_ecs` is not encrypted"],
        ),
        (
            r#""protocol":"ftp""#,
            &["error: Option `protocol` is `ftp`, which is not one of its values"],
        ),
        // Without a file of profiles, as in the embedded sandbox.
        (r#""profile":"p""#, &[]),
        (r#""profile":"""#, &[]),
        (r#""ram_role_name":"r""#, &[]),
        (
            r#""ram_role_name":"r","access_key":"a","secret_key":"s""#,
            &[
                "warning: Option `ram_role_name` is where keys come from, so `access_key` is not used",
            ],
        ),
        (
            r#""ram_role_arn":"acs:ram::186xxxxxxxxxx07:role/packer-test","ram_session_name":"ci""#,
            &[],
        ),
        (
            r#""ram_role_arn":"packer-test""#,
            &["error: Option `ram_role_arn` is `packer-test`, which is not the ARN of a role"],
        ),
        (
            r#""ram_session_name":"ci""#,
            &["warning: Option `ram_session_name` has no effect without `ram_role_arn`"],
        ),
        (
            r#""ram_role_arn":"acs:ram::1:role/r","ram_session_name":"a b""#,
            &["error: Option `ram_session_name` is `a b`, which STS does not take"],
        ),
        (
            r#""ram_role_arn":"acs:ram::1:role/r","ram_session_expiration":60"#,
            &["error: Option `ram_session_expiration` is 60"],
        ),
        (
            r#""ram_role_arn":"acs:ram::1:role/r","ram_session_policy":"{""#,
            &[
                "error: Option `ram_session_policy` is not JSON: EOF while parsing an object at line 1 column 1",
            ],
        ),
        // Image.
        (
            r#""image_version":"12345678901234567890123456789012345678901""#,
            &["error: Option `image_version` has 41 characters"],
        ),
        (
            r#""image_description":"x""#,
            &["error: Option `image_description` has 1 character"],
        ),
        (
            r#""target_image_family":"acs:x""#,
            &["error: Option `target_image_family` begins with `acs:`: `acs:x`"],
        ),
        (
            r#""boot_mode":"uefi""#,
            &["error: Option `boot_mode` is `uefi`, which is not one of its values"],
        ),
        (r#""boot_mode":"UEFI-Preferred""#, &[]),
        (
            r#""tags":{"acs:x":"y"}"#,
            &["error: Option `tags` has a key that is not allowed: `acs:x`"],
        ),
        (
            r#""tag":[{"value":"y"}]"#,
            &["error: Option `key` of `tag` is missing"],
        ),
        (
            r#""tag":{"key":"a","value":"b","x":"y"}"#,
            &["error: Unknown option `x` in `tag`"],
        ),
        (
            r#""image_share_account":["1234567890123456","me"]"#,
            &["error: Option `image_share_account` contains `me`, which is not an account id"],
        ),
        (
            r#""image_share_account":"1234567890123456, 1234567890123457""#,
            &[],
        ),
        (
            r#""image_copy_regions":["cn-hangzhou","cn-shanghai"],"image_copy_names":["a1"]"#,
            &[
                "error: Option `image_copy_names` has 1 element but `image_copy_regions` has 2 elements",
            ],
        ),
        (
            r#""image_copy_regions":["cn-beijing","cn-hangzhou","cn-hangzhou"]"#,
            &[
                "warning: Option `image_copy_regions` names `cn-beijing`, the region the image is made in",
                "warning: Option `image_copy_regions` names `cn-hangzhou` twice",
            ],
        ),
        (
            r#""image_copy_regions":["China"]"#,
            &["error: Option `image_copy_regions` is not the id of a region: `China`"],
        ),
        (
            r#""kms_key_id":"k""#,
            &["error: Option `kms_key_id` has no effect without encryption"],
        ),
        (r#""kms_key_id":"k","image_encrypted":true"#, &[]),
        (
            r#""image_copy_regions":["cn-hangzhou"],"image_copy_kms_ids":["k"]"#,
            &["error: Option `image_copy_kms_ids` has no effect without encryption"],
        ),
        (
            r#""image_copy_regions":["cn-hangzhou"],"kms_key_copy_ids":["k"],"image_encrypted":"true""#,
            &["warning: Option `kms_key_copy_ids` is deprecated"],
        ),
        (
            r#""wait_snapshot_ready_timeout":-1"#,
            &["error: Option `wait_snapshot_ready_timeout` is -1"],
        ),
        (r#""wait_snapshot_ready_timeout":"7200""#, &[]),
        (
            r#""image_force_delete_instances":true"#,
            &["warning: Option `image_force_delete_instances` has no effect"],
        ),
        (
            r#""image_force_delete":"yes""#,
            &["error: Option `image_force_delete` must be a bool, but it is the string `\"yes\"`"],
        ),
        // Run.
        (
            r#""image_family":"f""#,
            &["error: Option `source_image` cannot be used with `image_family`"],
        ),
        (
            r#""description":"d""#,
            &["warning: Option `description` has 1 character"],
        ),
        (r#""description":"Builds the web image""#, &[]),
        (
            r#""instance_types":["ecs.g7.large"]"#,
            &["error: Option `instance_type` cannot be used with `instance_types`"],
        ),
        (
            r#""source_image_filter":{"name":"web-*"}"#,
            &["error: Option `source_image_filter` cannot be used with `source_image`"],
        ),
        (
            r#""spot_price_limit":"0.1""#,
            &["error: Option `spot_price_limit` has no effect without a limit"],
        ),
        (
            r#""spot_strategy":"SpotWithPriceLimit""#,
            &["error: Option `spot_price_limit` is missing"],
        ),
        (
            r#""spot_strategy":"SpotWithPriceLimit","spot_price_limit":"1,5""#,
            &["error: Option `spot_price_limit` is `1,5`, which is no price"],
        ),
        (
            r#""spot_strategy":"SpotWithPriceLimit","spot_price_limit":0.125"#,
            &[],
        ),
        (
            r#""spot_strategy":"SpotAsPriceGo","spot_duration":6"#,
            &["error: Option `spot_duration` is 6"],
        ),
        (
            r#""spot_duration":0"#,
            &["error: Option `spot_duration` has no effect without a spot instance"],
        ),
        (
            r#""spot_strategy":"SpotAsPriceGo","dedicated_host_id":"dh-1""#,
            &["error: Option `spot_strategy` cannot be used with `dedicated_host_id`"],
        ),
        (
            r#""http_endpoint":"disabled","http_tokens":"required""#,
            &["error: Option `http_tokens` has no effect without metadata service"],
        ),
        (
            r#""login_as_non_root":true"#,
            &["error: Option `login_as_non_root` leaves no login for `root`"],
        ),
        (
            r#""ipv6_address_count":1"#,
            &["error: Option `ipv6_address_count` needs `vswitch_id`"],
        ),
        (r#""ipv6_address_count":"2","vswitch_id":"vsw-1""#, &[]),
        (
            r#""credit_specification":"unlimited""#,
            &[
                "error: Option `credit_specification` is `unlimited`, which is not one of its values",
            ],
        ),
        (
            r#""image_architecture":"arm64","boot_mode":"BIOS""#,
            &["error: Option `boot_mode` is `BIOS`, which no arm64 instance has"],
        ),
        (
            r#""image_encrypted":true,"image_share_account":["1234567890123456"]"#,
            &[
                "warning: Option `image_share_account` shares images that are encrypted with ECS's own key, which it refuses",
            ],
        ),
        (
            r#""system_disk_mapping":{"disk_performance_level":"PL1"}"#,
            &[
                "error: Option `disk_performance_level` of `system_disk_mapping` is only for disks of the category `cloud_essd`",
            ],
        ),
        (
            r#""image_disk_mappings":[{"disk_category":"cloud_essd","disk_provisioned_iops":100}]"#,
            &[
                "error: Option `disk_provisioned_iops` of `image_disk_mappings[0]` is only for disks of the category `cloud_auto`",
            ],
        ),
        (
            r#""instance_name":"a b""#,
            &["error: Option `instance_name` contains ` `, which is not allowed: `a b`"],
        ),
        (
            r#""zone_id":"cn-hangzhou-b""#,
            &["warning: Option `zone_id` is `cn-hangzhou-b`, which is not in region `cn-beijing`"],
        ),
        (r#""io_optimized":"""#, &[]),
        (
            r#""internet_charge_type":"PayByBytes""#,
            &[
                "error: Option `internet_charge_type` is `PayByBytes`, which is not one of its values",
            ],
        ),
        (
            r#""internet_max_bandwidth_out":200"#,
            &["error: Option `internet_max_bandwidth_out` is 200"],
        ),
        (
            r#""internet_max_bandwidth_out":200,"associate_public_ip_address":true"#,
            &[],
        ),
        (
            r#""internet_max_bandwidth_out":-5"#,
            &["error: Option `internet_max_bandwidth_out` is -5"],
        ),
        (
            r#""vpc_id":"vsw-1""#,
            &["warning: Option `vpc_id` is `vsw-1`, which does not look right"],
        ),
        (
            r#""vpc_cidr_block":"10.0.0.0""#,
            &["error: Option `vpc_cidr_block` is not an IPv4 address range: `10.0.0.0`"],
        ),
        (
            r#""security_group_source_cidrs":["10.0.0.1/40"]"#,
            &[
                "error: Option `security_group_source_cidrs` is not an IPv4 address range: `10.0.0.1/40`",
            ],
        ),
        (
            r#""security_group_source_cidrs":["10.0.0.0/8"],"security_group_id":"sg-1""#,
            &[
                "warning: Option `security_group_source_cidrs` has no effect with `security_group_id`",
            ],
        ),
        (
            r#""security_enhancement_strategy":"active""#,
            &[
                "error: Option `security_enhancement_strategy` is `active`, which is not one of its values",
            ],
        ),
        (
            r#""eip_id":"eip-1","ssh_private_ip":true"#,
            &["error: Option `eip_id` cannot be used with `ssh_private_ip`"],
        ),
        (
            r#""eip_id":"eip-1","associate_public_ip_address":false"#,
            &["error: Option `eip_id` cannot be used with `associate_public_ip_address`"],
        ),
        (
            r#""ssh_password":"short""#,
            &["error: Option `ssh_password` would be refused by ECS"],
        ),
        (
            r#""user_data":"a","user_data_file":"Cargo.toml""#,
            &["error: Option `user_data` cannot be used with `user_data_file`"],
        ),
        (
            r#""user_data_file":"absent.sh""#,
            &["error: Option `user_data_file` names `absent.sh`, which does not exist"],
        ),
        (
            r#""ssh_private_ip":true"#,
            &[
                "warning: Option `ssh_private_ip` leaves only a private address in a temporary VPC, which this machine cannot reach",
            ],
        ),
        (
            r#""associate_public_ip_address":false"#,
            &[
                "warning: Option `associate_public_ip_address` leaves only a private address in a temporary VPC, which this machine cannot reach",
            ],
        ),
        (r#""ssh_private_ip":true,"ssh_bastion_host":"b""#, &[]),
        // Disks.
        (
            r#""system_disk_mapping":{"disk_size":5000}"#,
            &["error: Option `disk_size` of `system_disk_mapping` is 5000"],
        ),
        (
            r#""system_disk_mapping":{"disk_device":"/dev/xvda"}"#,
            &[
                "warning: Option `system_disk_mapping` has `disk_device`, which has no effect on the system disk",
            ],
        ),
        (
            r#""system_disk_mapping":[]"#,
            &["error: Option `system_disk_mapping` must be an object, but it is a list"],
        ),
        (
            r#""image_disk_mappings":{"disk_device":"dev/xvdb"}"#,
            &[
                "warning: Option `disk_device` of `image_disk_mappings[0]` is `dev/xvdb`, without the first slash",
            ],
        ),
        (
            r#""image_disk_mappings":[{"disk_category":"cloud_esd"}]"#,
            &[
                "warning: Option `disk_category` of `image_disk_mappings[0]` is `cloud_esd`, which is not known",
            ],
        ),
        (
            r#""image_disk_mappings":[{"disk_kms_key_id":"k"}]"#,
            &[
                "error: Option `disk_kms_key_id` of `image_disk_mappings[0]` has no effect without encryption",
            ],
        ),
        (
            r#""image_disk_mappings":[{"disk_foo":1}]"#,
            &["error: Unknown option `disk_foo` in `image_disk_mappings[0]`"],
        ),
        (
            r#""image_disk_mappings":[{"disk_device":"/dev/xvdb"},{"disk_device":"/dev/xvdb"}]"#,
            &["error: Option `image_disk_mappings` uses the device `/dev/xvdb` twice"],
        ),
        // Unknown.
        (
            r#""image_nmae":"x""#,
            &["error: Unknown option `image_nmae`"],
        ),
    ];
    for (more, expected) in table {
        let found = findings(more);
        assert_eq!(found, *expected, "{more}");
    }
}

#[test]
fn the_address_follows_from_five_options() {
    let table = [
        ("", "TemporaryEip"),
        (r#","associate_public_ip_address":true"#, "TemporaryEip"),
        (
            r#","associate_public_ip_address":true,"internet_max_bandwidth_out":5"#,
            "TemporaryEip",
        ),
        (
            r#","associate_public_ip_address":false"#,
            "Private { also_eip: false }",
        ),
        (r#","associate_public_ip_address":"""#, "TemporaryEip"),
        (r#","ssh_private_ip":true"#, "Private { also_eip: false }"),
        (
            r#","ssh_private_ip":"true","associate_public_ip_address":true"#,
            "Private { also_eip: true }",
        ),
        (r#","ssh_private_ip":false"#, "TemporaryEip"),
        (r#","internet_max_bandwidth_out":5"#, "InstancePublicIp"),
        (r#","internet_max_bandwidth_out":0"#, "TemporaryEip"),
        (
            r#","ssh_private_ip":true,"internet_max_bandwidth_out":5"#,
            "Private { also_eip: false }",
        ),
    ];
    for (more, expected) in table {
        let outcome = read_text(&format!(r#"{{{BASE},"vswitch_id":"vsw-1"{more}}}"#));
        assert!(
            outcome.findings.is_empty(),
            "{more}: {:?}",
            outcome.findings
        );
        assert_eq!(
            format!("{:?}", outcome.read.run.address),
            expected,
            "{more}"
        );
    }
    let own = with(r#""eip_id":"eip-1","associate_public_ip_address":true"#).read;
    assert!(matches!(own.run.address, Address::Eip(id) if id.value == "eip-1"));
}

#[test]
fn a_filter_says_something_and_knows_its_owners() {
    let read = |filter: &str| {
        let text = format!(
            r#"{{"region":"cn-beijing","image_name":"web","instance_types":["ecs.g7.large","ecs.g6.large"],
               "source_image_filter":{filter}}}"#
        );
        read_text(&text)
    };
    let outcome =
        read(r#"{"name":"web-*","owners":["self","1234567890123456"],"most_recent":true}"#);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let types = outcome.read.run.instance_types.iter();
    let types: Vec<_> = types.map(|kind| kind.value.as_str()).collect();
    assert_eq!(types, ["ecs.g7.large", "ecs.g6.large"]);
    let Source::Filter(filter) = outcome.read.run.source else {
        panic!("a filter was written");
    };
    let account = Owner::Account("1234567890123456".to_owned());
    assert_eq!(filter.owners, [Owner::Own, account]);
    assert!(filter.most_recent);
    assert_eq!(
        read(r#"{"most_recent":true}"#).findings,
        ["error: Option `source_image_filter` of `it` would fit nearly every image"]
    );
    assert_eq!(
        read(r#"{"name":"web","owners":["amazon"]}"#).findings,
        [
            "error: Option `owners` of `source_image_filter` of `it` contains `amazon`, which is no owner"
        ]
    );
}

#[test]
fn copies_are_joined_by_position_without_the_main_region() {
    let ecs = with(
        r#""image_copy_regions":["cn-hangzhou","cn-beijing","cn-shanghai"],
           "image_copy_names":["one","two",""],
           "image_copy_kms_ids":["k1","k2","k3"],"image_encrypted":true"#,
    )
    .read;
    let copies: Vec<_> = ecs.image.copies.iter().collect();
    let seen: Vec<_> = copies
        .iter()
        .map(|copy| {
            (
                copy.region.value.as_str(),
                copy.name.as_deref(),
                copy.kms_key_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("cn-hangzhou", Some("one"), Some("k1")),
            ("cn-shanghai", None, Some("k3"))
        ]
    );
}

#[test]
fn tag_blocks_win_over_the_map() {
    let ecs = with(r#""tags":{"a":"1","b":2},"tag":[{"key":"a","value":"block"}]"#).read;
    let tags: Vec<_> = ecs.image.tags.into_iter().collect();
    assert_eq!(
        tags,
        [("a".into(), "block".into()), ("b".into(), "2".into())]
    );
    let many: Vec<_> = (0..21).map(|n| format!(r#""k{n}":"v""#)).collect();
    let many = many.join(",");
    assert_eq!(
        findings(&format!(r#""tags":{{{many}}}"#)),
        ["error: Option `tags` has 21 tags"]
    );
    assert_eq!(
        findings(&format!(r#""run_tags":{{{many}}}"#)),
        ["error: Option `run_tags` has 21 tags"]
    );
}

#[test]
fn disks_keep_what_is_written() {
    let ecs = with(
        r#""system_disk_mapping":{"disk_category":"cloud_essd","disk_size":"20",
             "disk_delete_with_instance":true},
           "image_disk_mappings":[{"disk_snapshot_id":"s-1","disk_device":"dev/xvdb",
             "disk_size":0}]"#,
    )
    .read;
    assert_eq!(ecs.run.system_disk.size_gib, Some(20));
    assert_eq!(ecs.run.system_disk.category.as_deref(), Some("cloud_essd"));
    let data = &ecs.run.data_disks[0];
    assert_eq!(data.device.as_deref(), Some("/dev/xvdb"));
    assert_eq!(data.size_gib, None);
    assert_eq!(data.delete_with_instance, None);
}

#[test]
fn the_environment_gives_the_region_and_force_sets_both_flags() {
    let text = r#"{"image_name":"web","image_family":"f","instance_type":"ecs.c6"}"#;
    let defaults = Defaults {
        region: Some("eu-central-1"),
        force: true,
        profiles: None,
    };
    let outcome = read_in(".", text, OPTIONS, |reader| read(reader, defaults));
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    assert_eq!(outcome.read.access.region.value, "eu-central-1");
    assert!(outcome.read.image.force_delete && outcome.read.image.force_delete_snapshots);
}

#[test]
fn secrets_are_collected_and_user_data_is_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("init.sh"), "#!/bin/sh\n").unwrap();
    fs::write(directory.path().join("big"), "x".repeat(32 * 1024 + 1)).unwrap();
    fs::write(directory.path().join("binary"), [0x1f, 0x8b, 0xff]).unwrap();
    let read_file = |name: &str| {
        let text = format!(
            r#"{{{BASE},"access_key":"id","secret_key":"key","security_token":"token",
               "ssh_password":"Test1234","user_data_file":"{name}"}}"#
        );
        read_in(directory.path(), &text, OPTIONS, |r| {
            read(r, Defaults::default())
        })
    };
    let outcome = read_file("init.sh");
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let secrets: Vec<_> = outcome.secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, ["key", "token", "#!/bin/sh\n", "Test1234"]);
    assert_eq!(outcome.read.run.user_data.unwrap().expose(), "#!/bin/sh\n");
    for (name, message) in [
        (
            "big",
            "error: Option `user_data_file` of `it` has 32769 bytes of user data",
        ),
        (
            "binary",
            "error: Option `user_data_file` of `it` names `binary`, which is not UTF-8 text",
        ),
    ] {
        let found = read_file(name).findings;
        assert_eq!(
            found,
            [message.replace("names `binary`", &format!("names `{name}`"))]
        );
    }
}

/// Findings and access of a block next to a file with one profile.
fn with_profile(profile: &str, more: &str, is_needed: bool) -> (Vec<String>, Access) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    fs::write(&file, format!(r#"{{"profiles":[{profile}]}}"#)).unwrap();
    let profiles = Profiles {
        file: Some(file),
        ..Profiles::default()
    };
    let defaults = Defaults {
        profiles: Some(ProfileReading {
            profiles: &profiles,
            is_needed,
        }),
        ..Defaults::default()
    };
    let text = format!("{{{BASE},{more}}}");
    let outcome = read_in(".", &text, OPTIONS, |reader| read(reader, defaults));
    let scrub = |line: String| line.replace(&directory.path().display().to_string(), "DIR");
    let findings = outcome.findings.into_iter().map(scrub).collect();
    (findings, outcome.read.access)
}

#[test]
fn what_a_profile_says_wins_over_the_template() {
    let profile = r#"{"name":"p","mode":"AK","access_key_id":"of-profile",
        "access_key_secret":"s","region_id":"eu-central-1","endpoint":"ecs.example.com"}"#;
    let more = r#""profile":"p","access_key":"of-template","secret_key":"s""#;
    let (findings, access) = with_profile(profile, more, true);
    assert_eq!(
        findings,
        [
            "warning: Option `region` of `it` is not used: the profile says `eu-central-1`",
            "warning: Option `access_key` of `it` is not used: the profile says something else",
        ]
    );
    assert_eq!(access.region.value, "eu-central-1");
    assert_eq!(access.custom_endpoint_ecs.unwrap().value, "ecs.example.com");
    let credentials = access.credentials;
    assert!(matches!(credentials, Credentials::Keys(keys) if keys.access_key == "of-profile"));
}

#[test]
fn a_role_is_assumed_with_a_profiles_keys_unless_it_has_a_role() {
    let arn = r#""profile":"p","ram_role_arn":"acs:ram::1:role/r""#;
    let keys = r#"{"name":"p","mode":"AK","access_key_id":"i","access_key_secret":"s"}"#;
    let (findings, access) = with_profile(keys, arn, true);
    assert_eq!(findings, [""; 0]);
    assert_eq!(
        access.credentials.describe(),
        "role `acs:ram::1:role/r`, assumed with keys"
    );
    let role = r#"{"name":"p","mode":"RamRoleArn","access_key_id":"i","access_key_secret":"s",
        "ram_role_arn":"acs:ram::1:role/own"}"#;
    let (findings, access) = with_profile(role, arn, true);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(access.credentials.describe().contains("role/own"));
}

#[test]
fn a_profile_that_is_not_there_is_an_error_where_it_is_needed() {
    let more = r#""profile":"q""#;
    let what =
        "Option `profile` of `it` cannot be used: There is no profile `q` in `DIR/config.json`";
    let (findings, _) = with_profile("", more, true);
    assert_eq!(findings, [format!("error: {what}")]);
    let (findings, _) = with_profile("", more, false);
    assert_eq!(findings, [format!("warning: {what}")]);
}
