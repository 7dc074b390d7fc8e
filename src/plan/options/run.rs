//! Options of `alicloud-ecs` that say what the temporary instance will be.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "source_image",
        K::String,
        "Id of the image to begin with; this, `image_family` or `source_image_filter`.",
    ),
    option(
        "image_family",
        K::String,
        "Image family whose newest image to begin with.",
    ),
    option(
        "source_image_filter",
        K::Object,
        "What the image to begin with is like; see the options of `source_image_filter`. Not an option of Packer.",
    ),
    option(
        "instance_type",
        K::String,
        "Type of the temporary instance, for example `ecs.g6.large`; either this or `instance_types` is required.",
    ),
    option(
        "instance_types",
        K::StringList,
        "Types of the temporary instance, the best first; the next one is used where one is sold out or does not fit the image. Not an option of Packer.",
    ),
    option(
        "instance_name",
        K::String,
        "Name of the temporary instance, 2 to 128 characters.",
    ),
    option(
        "description",
        K::String,
        "Description of the temporary instance, 2 to 256 characters.",
    ),
    option(
        "zone_id",
        K::String,
        "Zone of the temporary instance; by default one that has the type in stock, or else the next one.",
    ),
    option(
        "spot_strategy",
        K::String,
        "`SpotAsPriceGo` for a spot instance at the market's price, `SpotWithPriceLimit` for one with a limit, or `NoSpot`. Not an option of Packer.",
    ),
    option(
        "spot_price_limit",
        K::String,
        "The most to pay for the spot instance per hour, in the account's currency, with up to three decimals; with `SpotWithPriceLimit`. Not an option of Packer.",
    ),
    option(
        "spot_duration",
        K::Int,
        "Hours in which the spot instance is not reclaimed: 0 or 1, which is ECS's default. Not an option of Packer.",
    ),
    option(
        "deployment_set_id",
        K::String,
        "Deployment set of the temporary instance. Not an option of Packer.",
    ),
    option(
        "dedicated_host_id",
        K::String,
        "Dedicated host the temporary instance runs on. Not an option of Packer.",
    ),
    option(
        "ipv6_address_count",
        K::Int,
        "IPv6 addresses the temporary instance gets, 1 to 10, so that provisioners reach what has no IPv4; needs a `vswitch_id` with IPv6. Not an option of Packer.",
    ),
    option(
        "credit_specification",
        K::String,
        "Mode of a burstable instance: `Standard` or `Unlimited`. Not an option of Packer.",
    ),
    option(
        "http_endpoint",
        K::String,
        "Metadata service of the temporary instance: `enabled` or `disabled`. Not an option of Packer.",
    ),
    option(
        "http_tokens",
        K::String,
        "Whether that service demands tokens (IMDSv2): `optional` or `required`. Not an option of Packer.",
    ),
    option(
        "login_as_non_root",
        K::Tri,
        "Have key and password given to `ecs-user` instead of `root`; write `ecs-user` as `ssh_username` too. Not an option of Packer.",
    ),
    option(
        "io_optimized",
        K::Tri,
        "Whether the instance is I/O optimized; by default ECS decides.",
    ),
    option(
        "internet_charge_type",
        K::String,
        "How public traffic is charged: `PayByTraffic` or `PayByBandwidth`.",
    ),
    option(
        "internet_max_bandwidth_out",
        K::Int,
        "Outgoing public bandwidth in Mbit/s, 0 to 100 for an instance's own address and up to 500 for an EIP.",
    ),
    option(
        "associate_public_ip_address",
        K::Tri,
        "`true`: connect by a temporary EIP; `false`: by the private address. By default a temporary EIP is used unless another option decides the address.",
    ),
    option(
        "eip_id",
        K::String,
        "Your own EIP to associate for the time of the build.",
    ),
    defaulted(
        "ssh_private_ip",
        K::Bool,
        "false",
        "Connect to the private address and make no public one.",
    ),
    option(
        "vpc_id",
        K::String,
        "VPC to build in; by default a temporary one, or that of `vswitch_id`.",
    ),
    option("vpc_name", K::String, "Name of the temporary VPC."),
    option(
        "vpc_cidr_block",
        K::String,
        "Address range of the temporary VPC, for example `172.16.0.0/16`.",
    ),
    option(
        "vswitch_id",
        K::String,
        "vSwitch to build in; by default a temporary one.",
    ),
    option("vswitch_name", K::String, "Name of the temporary vSwitch."),
    option(
        "security_group_id",
        K::String,
        "Security group of the instance; by default a temporary one.",
    ),
    option(
        "security_group_name",
        K::String,
        "Name of the temporary security group.",
    ),
    defaulted(
        "security_group_source_cidrs",
        K::StringList,
        "[\"0.0.0.0/0\"]",
        "IPv4 address ranges the temporary security group lets in. Not an option of Packer.",
    ),
    option(
        "security_enhancement_strategy",
        K::String,
        "Security hardening of public images: `Active` or `Deactive`.",
    ),
    option(
        "ecs_ram_role_name",
        K::String,
        "RAM role attached to the temporary instance; the caller needs `ram:PassRole`.",
    ),
    option(
        "run_tags",
        K::StringMap,
        "Tags of every temporary resource, at most 16.",
    ),
    option(
        "resource_group_id",
        K::String,
        "Resource group of the image and of every temporary resource.",
    ),
    option(
        "user_data",
        K::Secret,
        "User data of the instance, at most 32 KiB, not base64.",
    ),
    option(
        "user_data_file",
        K::Path,
        "File with the user data, relative to the working directory.",
    ),
    defaulted(
        "force_stop_instance",
        K::Bool,
        "false",
        "Switch the instance off instead of shutting it down.",
    ),
    defaulted(
        "disable_stop_instance",
        K::Bool,
        "false",
        "Do not stop the instance; the last provisioner does it.",
    ),
];

/// The options of `source_image_filter`.
pub const SOURCE_FILTER: &[OptionSpec] = &[
    option(
        "name",
        K::String,
        "Name of the image; `*` stands for any characters and `?` for one.",
    ),
    option(
        "owners",
        K::StringList,
        "Whose the image is: `self`, `system` (Alibaba Cloud), `others` (shared with you), `community`, `marketplace`, or the id of an account that shares it; by default the first three.",
    ),
    option("tags", K::StringMap, "Tags the image has."),
    option("family", K::String, "Image family the image is in."),
    option(
        "architecture",
        K::String,
        "Architecture of the image: `x86_64`, `arm64` or `i386`.",
    ),
    defaulted(
        "most_recent",
        K::Bool,
        "false",
        "Take the newest image when there are several; otherwise that is an error.",
    ),
];
