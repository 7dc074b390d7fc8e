//! Every environment variable the program reads, in one table, for the
//! documentation. How they are read is in `env` and the modules beside it.

/// A variable and what it does, for the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name; a family ends with `*`.
    pub(super) name: &'static str,
    /// What it does, without final dot.
    pub(super) purpose: &'static str,
}

const fn variable(name: &'static str, purpose: &'static str) -> Variable {
    Variable { name, purpose }
}

/// All variables, in the order of the documentation.
pub(super) const VARIABLES: &[Variable] = &[
    variable("ALICLOUD_ACCESS_KEY", "AccessKey id, first family"),
    variable("ALICLOUD_SECRET_KEY", "AccessKey secret, first family"),
    variable("ALICLOUD_SECURITY_TOKEN", "STS token, first family"),
    variable(
        "SECURITY_TOKEN",
        "STS token, first family, the name Packer's plugin reads",
    ),
    variable(
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "AccessKey id, second family (Alibaba Cloud SDKs)",
    ),
    variable(
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "AccessKey secret, second family",
    ),
    variable("ALIBABA_CLOUD_SECURITY_TOKEN", "STS token, second family"),
    variable("ALIBABACLOUD_ACCESS_KEY_ID", "AccessKey id, third family"),
    variable(
        "ALIBABACLOUD_ACCESS_KEY_SECRET",
        "AccessKey secret, third family",
    ),
    variable("ALIBABACLOUD_SECURITY_TOKEN", "STS token, third family"),
    variable(
        "ALICLOUD_PROFILE",
        "Profile of the Alibaba Cloud CLI; when it is set, no other keys of the environment are used",
    ),
    variable(
        "ALICLOUD_SHARED_CREDENTIALS_FILE",
        "The file with profiles instead of ~/.aliyun/config.json; also ALIBABA_CLOUD_CONFIG_FILE",
    ),
    variable(
        "ALIBABA_CLOUD_CONFIG_FILE",
        "As ALICLOUD_SHARED_CREDENTIALS_FILE",
    ),
    variable(
        "ALIBABA_CLOUD_PROFILE",
        "Profile, when the default chain comes to profiles; also ALIBABACLOUD_PROFILE",
    ),
    variable("ALIBABACLOUD_PROFILE", "As ALIBABA_CLOUD_PROFILE"),
    variable(
        "ALIBABA_CLOUD_CLI_PROFILE_DISABLED",
        "`true`: the default chain passes over ~/.aliyun/config.json; also ALIBABA_CLOUD_IGNORE_PROFILE",
    ),
    variable(
        "ALIBABA_CLOUD_IGNORE_PROFILE",
        "As ALIBABA_CLOUD_CLI_PROFILE_DISABLED",
    ),
    variable(
        "ALIBABA_CLOUD_CREDENTIALS_FILE",
        "The SDKs' file with profiles instead of ~/.alibabacloud/credentials",
    ),
    variable("ALIBABA_CLOUD_ROLE_ARN", "Role to assume with OIDC"),
    variable(
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "OIDC provider in RAM whose token is used",
    ),
    variable(
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        "File with the OIDC token, read anew for each session",
    ),
    variable(
        "ALIBABA_CLOUD_OIDC_TOKEN",
        "The OIDC token itself, as from GitLab's `id_tokens`",
    ),
    variable(
        "ALICLOUD_IMAGE_OIDC_AUDIENCE",
        "Whom GitHub's OIDC tokens are for; `sts.aliyuncs.com` when not set",
    ),
    variable(
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "Where GitHub mints OIDC tokens, with `permissions: id-token: write`",
    ),
    variable(
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "The right to have one minted",
    ),
    variable(
        "ALIBABA_CLOUD_ROLE_SESSION_NAME",
        "Name of the session of a role, `alicloud-image` when not set",
    ),
    variable(
        "ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION",
        "Life of the session of a role in seconds, 3600 when not set",
    ),
    variable(
        "ALICLOUD_IMAGE_ROLE_POLICY",
        "Policy (JSON) that narrows the session of a role",
    ),
    variable(
        "ALICLOUD_ASSUME_ROLE_ARN",
        "Role to assume with whatever keys the environment has; also ALIBABA_CLOUD_ASSUME_ROLE_ARN",
    ),
    variable(
        "ALIBABA_CLOUD_ASSUME_ROLE_ARN",
        "As ALICLOUD_ASSUME_ROLE_ARN",
    ),
    variable(
        "ALIBABA_CLOUD_ECS_METADATA",
        "Name of the RAM role that the instance this program runs on has",
    ),
    variable(
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED",
        "`true`: the default chain does not ask the instance metadata",
    ),
    variable(
        "ALIBABA_CLOUD_IMDSV1_DISABLED",
        "`true`: never ask the instance metadata without a token",
    ),
    variable(
        "ALICLOUD_IMAGE_METADATA_ENDPOINT",
        "Where the instance metadata is; for tests against a sandbox",
    ),
    variable(
        "ALIBABA_CLOUD_CREDENTIALS_URI",
        "Service that hands out keys; also ALICLOUD_CREDENTIALS_URI",
    ),
    variable(
        "ALICLOUD_CREDENTIALS_URI",
        "As ALIBABA_CLOUD_CREDENTIALS_URI",
    ),
    variable(
        "ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS",
        "`true`: profiles may not run programs or ask URIs",
    ),
    variable(
        "ALIBABA_CLOUD_STS_REGION",
        "Region whose STS opens sessions of roles, cn-hangzhou when not set",
    ),
    variable(
        "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED",
        "`true`: STS is asked inside the VPC of its region",
    ),
    variable(
        "ALICLOUD_REGION",
        "Region when the template names none; also ALIBABA_CLOUD_REGION, ALIBABA_CLOUD_REGION_ID and ALIBABACLOUD_REGION_ID",
    ),
    variable("ALIBABA_CLOUD_REGION", "As ALICLOUD_REGION"),
    variable("ALIBABA_CLOUD_REGION_ID", "As ALICLOUD_REGION"),
    variable("ALIBABACLOUD_REGION_ID", "As ALICLOUD_REGION"),
    variable(
        "ALIBABA_CLOUD_ENDPOINT_ECS",
        "ECS endpoint of every region; also ECS_ENDPOINT",
    ),
    variable(
        "ALIBABA_CLOUD_ENDPOINT_VPC",
        "VPC endpoint of every region; also VPC_ENDPOINT",
    ),
    variable(
        "ALIBABA_CLOUD_ENDPOINT_STS",
        "STS endpoint; also STS_ENDPOINT",
    ),
    variable(
        "ALIBABA_CLOUD_ENDPOINT_RAM",
        "RAM endpoint; also RAM_ENDPOINT",
    ),
    variable(
        "ALIBABA_CLOUD_ENDPOINT_OSS",
        "OSS endpoint of every region, which may be an address or a custom domain; also OSS_ENDPOINT",
    ),
    variable("RAM_ENDPOINT", "As ALIBABA_CLOUD_ENDPOINT_RAM"),
    variable("OSS_ENDPOINT", "As ALIBABA_CLOUD_ENDPOINT_OSS"),
    variable("ECS_ENDPOINT", "As ALIBABA_CLOUD_ENDPOINT_ECS"),
    variable("VPC_ENDPOINT", "As ALIBABA_CLOUD_ENDPOINT_VPC"),
    variable("STS_ENDPOINT", "As ALIBABA_CLOUD_ENDPOINT_STS"),
    variable(
        "PACKER_LOG",
        "Anything but `0`: API calls on standard error",
    ),
    variable("PACKER_NO_COLOR", "Any value: no colours"),
    variable(
        "PACKER_CACHE_DIR",
        "Where the `qemu` builder keeps what it downloads; by default `packer` in XDG_CACHE_HOME or in ~/.cache",
    ),
    variable("XDG_CACHE_HOME", "Where caches are"),
    variable(
        "PACKER_KEY_INTERVAL",
        "As the option `boot_key_interval` of the `qemu` builder, for templates without it",
    ),
    variable(
        "DISPLAY",
        "Set: `qemu` builds may open a window; also WAYLAND_DISPLAY",
    ),
    variable("WAYLAND_DISPLAY", "As DISPLAY"),
    variable("NO_COLOR", "Any value: no colours"),
    variable(
        "FORCE_COLOR",
        "Any value but `0`: colours without a terminal",
    ),
    variable("RUNNER_DEBUG", "`1`: as --verbose (GitHub sets it)"),
    variable(
        "RUNNER_TEMP",
        "Where the journals are in a job of GitHub Actions, in .alicloud-image",
    ),
    variable(
        "GITHUB_EVENT_NAME",
        "Whether the job is for a pull request, for the input `allow-local-exec`",
    ),
    variable("SSH_AUTH_SOCK", "Socket of the SSH agent"),
    variable("HOME", "Where the journals are, in .alicloud-image"),
    variable(
        "TMPDIR",
        "Where the journals are when HOME is not set, and sockets of `qemu` builds",
    ),
    variable("ALICLOUD_IMAGE_JOURNAL_DIR", "As --journal-dir"),
    variable(
        "ALICLOUD_IMAGE_TIME_SCALE",
        "Seconds a second of waiting takes; for tests against a sandbox",
    ),
    variable(
        "ALICLOUD_IMAGE_GUEST_PORT",
        "SSH port of a sandbox's instances when it is not 22",
    ),
    variable("ALICLOUD_IMAGE_SUMMARY", "`false`: no job summary"),
    variable("ALICLOUD_IMAGE_ANNOTATIONS", "`false`: no annotations"),
    variable("GITHUB_ACTIONS", "`true`: write for GitHub Actions"),
    variable("GITEA_ACTIONS", "As GITHUB_ACTIONS"),
    variable("FORGEJO_ACTIONS", "As GITHUB_ACTIONS"),
    variable("GITHUB_OUTPUT", "Where step outputs go"),
    variable("GITHUB_STATE", "Where facts for the post step go"),
    variable("GITHUB_STEP_SUMMARY", "Where the job summary goes"),
    variable(
        "GITHUB_WORKSPACE",
        "What annotations' paths are relative to",
    ),
    variable(
        "GITHUB_RUN_ID",
        "The link in the summary's footer, and a tag of what is created",
    ),
    variable(
        "GITHUB_RUN_ATTEMPT",
        "Part of the name of a role's session, in the action",
    ),
    variable(
        "GITHUB_REPOSITORY",
        "Tag of what is created, and where comment and check run go",
    ),
    variable("GITHUB_SHA", "The commit in the summary's footer"),
    variable(
        "ALICLOUD_IMAGE_PR_COMMENT",
        "`always` or `on-change`: keep a comment on the pull request up to date, on GitHub",
    ),
    variable(
        "ALICLOUD_IMAGE_CHECK_RUN",
        "`true`: show the run as a check run with annotations, on GitHub",
    ),
    variable(
        "ALICLOUD_IMAGE_GITHUB_TOKEN",
        "Token for both, and for templates of other repositories; also GITHUB_TOKEN and GH_TOKEN",
    ),
    variable("GITHUB_TOKEN", "As ALICLOUD_IMAGE_GITHUB_TOKEN"),
    variable("GH_TOKEN", "As ALICLOUD_IMAGE_GITHUB_TOKEN"),
    variable(
        "GITHUB_API_URL",
        "GitHub's REST API, `https://api.github.com` when not set",
    ),
    variable(
        "GITHUB_GRAPHQL_URL",
        "GitHub's GraphQL API, beside the REST API when not set",
    ),
    variable("GITHUB_SERVER_URL", "Links to the workflow run"),
    variable(
        "GITHUB_EVENT_PATH",
        "The event, which names pull request and commit, and whether they come from a fork",
    ),
    variable(
        "GITHUB_WORKFLOW",
        "Tells the comment from those of other workflows",
    ),
    variable("GITHUB_JOB", "Tells it from those of other jobs"),
    variable("GITLAB_CI", "`true`: write for GitLab CI"),
    variable(
        "ALICLOUD_IMAGE_CODE_QUALITY",
        "Where findings go as a code quality report, on GitLab",
    ),
    variable(
        "CI_PROJECT_DIR",
        "What the paths of that report are relative to",
    ),
    variable(
        "ALICLOUD_IMAGE_LINKS",
        "Where links to the images go as an annotations report, on GitLab",
    ),
    variable(
        "CI_JOB_IMAGE",
        "The image of the jobs that `matrix --format=gitlab` prints",
    ),
    variable("CI_PIPELINE_ID", "Tag of what is created, on GitLab"),
    variable("CI_PROJECT_PATH", "Tag of what is created, on GitLab"),
    variable("TF_BUILD", "`True`: write for Azure Pipelines"),
    variable(
        "AGENT_TEMPDIRECTORY",
        "Where the summary goes, on Azure Pipelines",
    ),
    variable(
        "BUILD_SOURCESDIRECTORY",
        "What issues' paths are relative to, on Azure Pipelines",
    ),
    variable(
        "BUILD_BUILDID",
        "Tag of what is created, on Azure Pipelines",
    ),
    variable(
        "BUILD_REPOSITORY_NAME",
        "Tag of what is created, on Azure Pipelines",
    ),
    variable(
        "BUILD_SOURCEVERSION",
        "The commit in the summary's footer, on Azure Pipelines",
    ),
    variable("JENKINS_URL", "Write for no CI system"),
    variable("INPUT_*", "Inputs of the GitHub action"),
    variable("STATE_*", "Facts from the main step, in the post step"),
];

#[cfg(test)]
mod tests {
    use super::super::env::{REGIONS, key_variables};
    use super::*;

    #[test]
    fn every_name_that_is_read_is_documented_once() {
        let documented: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        for name in key_variables().chain(REGIONS.iter().copied()) {
            assert!(documented.contains(&name), "{name}");
        }
        let mut unique = documented.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), documented.len());
    }
}
