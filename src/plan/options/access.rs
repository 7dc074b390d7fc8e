//! Options of `alicloud-ecs` that say who calls, and where.

use super::{K, OptionSpec, defaulted, option, unsupported};

const KEYS_INSTEAD: &str = "Give keys by the environment variables ALICLOUD_ACCESS_KEY, \
    ALICLOUD_SECRET_KEY and, for temporary keys, SECURITY_TOKEN";

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
    defaulted(
        "skip_region_validation",
        K::Bool,
        "false",
        "Do not ask Alibaba Cloud whether the regions exist.",
    ),
    unsupported(
        "profile",
        K::String,
        KEYS_INSTEAD,
        "Name of a profile in the Alibaba Cloud CLI's credentials file.",
    ),
    unsupported(
        "shared_credentials_file",
        K::Path,
        KEYS_INSTEAD,
        "Path of the Alibaba Cloud CLI's credentials file.",
    ),
    unsupported(
        "ram_role_name",
        K::String,
        KEYS_INSTEAD,
        "RAM role of the ECS instance this program runs on, as the source of credentials.",
    ),
    unsupported(
        "ram_role_arn",
        K::String,
        KEYS_INSTEAD,
        "RAM role to assume with the keys.",
    ),
    unsupported(
        "ram_session_name",
        K::String,
        KEYS_INSTEAD,
        "Session name for the assumed role.",
    ),
];
