//! Options of `alicloud-ecs` that say what the temporary instance will be.

use super::{K, OptionSpec, defaulted, ignored, option, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "source_image",
        K::String,
        "Id of the image to begin with; either this or `image_family`.",
    ),
    option(
        "image_family",
        K::String,
        "Image family whose newest image to begin with; either this or `source_image`.",
    ),
    required(
        "instance_type",
        K::String,
        "Type of the temporary instance, for example `ecs.g6.large`.",
    ),
    option(
        "instance_name",
        K::String,
        "Name of the temporary instance, 2 to 128 characters.",
    ),
    ignored("description", K::String, "it never had an effect"),
    option(
        "zone_id",
        K::String,
        "Zone of the temporary instance; by default one that offers the type.",
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
