//! Options of `alicloud-ecs` that say who calls, and where.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "access_key",
        K::String,
        "AccessKey id of the caller; when absent, the environment variable `ALICLOUD_ACCESS_KEY` serves.",
    ),
    option(
        "secret_key",
        K::Secret,
        "AccessKey secret that belongs to `access_key`; when absent, the environment variable `ALICLOUD_SECRET_KEY` serves.",
    ),
    option(
        "security_token",
        K::Secret,
        "STS token that belongs to the keys; when absent, the environment variable `SECURITY_TOKEN` serves.",
    ),
    option(
        "region",
        K::String,
        "Id of the region the image is built in, for example `cn-hangzhou`; when absent, the environment variable `ALICLOUD_REGION` serves.",
    ),
    option(
        "custom_endpoint_ecs",
        K::String,
        "Endpoint of ECS in the main region: a host with optional scheme and port.",
    ),
    option(
        "protocol",
        K::String,
        "`https`, which is used in any case, or `http`, which a `custom_endpoint_ecs` without scheme follows.",
    ),
    defaulted(
        "skip_region_validation",
        K::Bool,
        "false",
        "Do not ask Alibaba Cloud whether the regions exist.",
    ),
    option(
        "profile",
        K::String,
        "Name of a profile of the Alibaba Cloud CLI; what it says wins over the template. When absent, the environment variable `ALICLOUD_PROFILE` serves.",
    ),
    option(
        "shared_credentials_file",
        K::Path,
        "The file with the profile; `~/.aliyun/config.json` when absent, unless the environment variable `ALICLOUD_SHARED_CREDENTIALS_FILE` names another one.",
    ),
    option(
        "ram_role_name",
        K::String,
        "RAM role of the ECS instance this program runs on, as the source of keys. The temporary instance's role is `ecs_ram_role_name`.",
    ),
    option(
        "ram_role_arn",
        K::String,
        "RAM role to assume, `acs:ram::ACCOUNT:role/NAME`, with the keys of the other options or of the environment.",
    ),
    defaulted(
        "ram_session_name",
        K::String,
        "alicloud-image",
        "Name of the assumed role's session, 2 to 64 letters, digits and `.@_-`.",
    ),
    defaulted(
        "ram_session_expiration",
        K::Int,
        "3600",
        "Life of the assumed role's session in seconds, 900 to 43200; it is renewed in time, so it need not be as long as the build.",
    ),
    option(
        "ram_session_policy",
        K::String,
        "RAM policy (JSON) that narrows what the assumed role allows.",
    ),
    option(
        "ram_external_id",
        K::String,
        "External id that the role's trust policy demands from other accounts.",
    ),
];
