//! The block `alicloud-ecs`, from text to what is built.

mod rules;

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
