//! Every rule of the block: the text that breaks it, and what is said.

use super::*;

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
