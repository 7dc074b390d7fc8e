//! Every environment variable the program reads, in one table, and the rules
//! for reading them: an empty variable counts as not set, and keys are taken
//! from one family of names as a whole.
//!
//! Facts: Packer's configuration page; the credentials chain of Alibaba
//! Cloud's SDKs; the variables that Alibaba Cloud's GitHub action exports.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::cloud::credential::Keys;
use crate::process;
use crate::secret::Secret;

/// A variable and what it does, for the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name; a family ends with `*`.
    pub name: &'static str,
    /// What it does, without final dot.
    pub purpose: &'static str,
}

const fn variable(name: &'static str, purpose: &'static str) -> Variable {
    Variable { name, purpose }
}

/// All variables, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
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

/// Secrets that are not keys of a family.
const OTHER_SECRETS: &[&str] = &[
    "INPUT_ACCESS-KEY-SECRET",
    "INPUT_SECURITY-TOKEN",
    "INPUT_GITHUB-TOKEN",
    "ALICLOUD_IMAGE_GITHUB_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "ALIBABA_CLOUD_OIDC_TOKEN",
    "ALICLOUD_CREDENTIALS_URI",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

struct Family {
    id: &'static str,
    secret: &'static str,
    tokens: &'static [&'static str],
}

const FAMILIES: &[Family] = &[
    Family {
        id: "ALICLOUD_ACCESS_KEY",
        secret: "ALICLOUD_SECRET_KEY",
        tokens: &["ALICLOUD_SECURITY_TOKEN", "SECURITY_TOKEN"],
    },
    Family {
        id: "ALIBABA_CLOUD_ACCESS_KEY_ID",
        secret: "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        tokens: &["ALIBABA_CLOUD_SECURITY_TOKEN"],
    },
    Family {
        id: "ALIBABACLOUD_ACCESS_KEY_ID",
        secret: "ALIBABACLOUD_ACCESS_KEY_SECRET",
        tokens: &["ALIBABACLOUD_SECURITY_TOKEN"],
    },
];

/// Every variable that holds a part of a key.
pub(super) fn key_variables() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| {
        let tokens = family.tokens.iter().copied();
        tokens.chain([family.id, family.secret])
    })
}

const REGIONS: &[&str] = &[
    "ALICLOUD_REGION",
    "ALIBABA_CLOUD_REGION",
    "ALIBABA_CLOUD_REGION_ID",
    "ALIBABACLOUD_REGION_ID",
];

/// What surrounds the program, as data.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The current directory, when it is known.
    pub directory: Option<PathBuf>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// An environment without a terminal, for tests and for `docs`.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            ..Self::default()
        }
    }

    /// A variable's value; none when it is empty or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether a variable is there without a value.
    pub fn is_empty(&self, name: &str) -> bool {
        self.variables
            .get(OsStr::new(name))
            .is_some_and(|value| value.is_empty())
    }

    /// As [`Self::get`], owned.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A variable that holds a path; none when it is empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// The path as seen from everywhere, where the current directory is known.
    pub(super) fn absolute(&self, path: PathBuf) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path,
        }
    }

    /// Whether a switch such as `NO_COLOR` is on.
    pub fn is_set(&self, name: &str) -> bool {
        self.variables
            .get(OsStr::new(name))
            .is_some_and(|value| !value.is_empty())
    }

    /// Every variable that is text, for `{{env}}`.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.variables
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?.into(), value.to_str()?.into())))
            .collect()
    }

    /// The same for a stranger's template: without keys.
    pub fn texts_without_keys(&self) -> BTreeMap<String, String> {
        let kept = self.for_children();
        let mut texts = self.texts();
        texts.retain(|name, _| kept.get(name).is_some());
        texts
    }

    /// The keys of the first family that is complete.
    pub fn keys(&self) -> Option<Keys> {
        FAMILIES.iter().find_map(|family| {
            Some(Keys {
                access_key: self.get(family.id)?.to_owned(),
                secret_key: Secret::new(self.get(family.secret)?),
                security_token: self.first(family.tokens).map(Secret::new),
            })
        })
    }

    /// Says which half of a family is missing, when no family is complete.
    pub fn incomplete_keys(&self) -> Option<String> {
        if self.keys().is_some() {
            return None;
        }
        FAMILIES.iter().find_map(|family| {
            let (there, missing) = match (self.get(family.id), self.get(family.secret)) {
                (Some(_), None) => (family.id, family.secret),
                (None, Some(_)) => (family.secret, family.id),
                _ => return None,
            };
            Some(format!(
                "`{there}` is set but `{missing}` is not: both are ignored"
            ))
        })
    }

    /// Secret values in the environment, whether they are used or not.
    pub fn secrets(&self) -> Vec<Secret> {
        let names = FAMILIES
            .iter()
            .flat_map(|family| family.tokens.iter().copied().chain([family.secret]));
        names
            .chain(OTHER_SECRETS.iter().copied())
            .filter_map(|name| self.get(name))
            .map(Secret::new)
            .collect()
    }

    /// The region to use when the template names none.
    pub fn region(&self) -> Option<&str> {
        self.first(REGIONS)
    }

    /// The endpoint of a product: `ECS`, `VPC`, `STS`, `RAM` or `OSS`.
    pub fn endpoint(&self, product: &str) -> Option<&str> {
        self.get(&format!("ALIBABA_CLOUD_ENDPOINT_{product}"))
            .or_else(|| self.get(&format!("{product}_ENDPOINT")))
    }

    /// What programs started by a template may see.
    pub fn for_children(&self) -> process::Environment {
        process::Environment::for_children(self.variables.clone())
    }

    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(variables: &[(&str, &str)]) -> Option<(String, String, Option<String>)> {
        let keys = Environment::of(variables.iter().copied()).keys()?;
        Some((
            keys.access_key,
            keys.secret_key.expose().to_owned(),
            keys.security_token.map(|token| token.expose().to_owned()),
        ))
    }

    #[test]
    fn each_family_is_read() {
        for family in FAMILIES {
            for token in family.tokens {
                assert_eq!(
                    keys(&[(family.id, "i"), (family.secret, "s"), (token, "t")]),
                    Some(("i".into(), "s".into(), Some("t".into())))
                );
            }
        }
    }

    #[test]
    fn families_are_never_mixed() {
        let mixed = [
            ("ALICLOUD_ACCESS_KEY", "a"),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "b"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "bs"),
            ("SECURITY_TOKEN", "t"),
        ];
        assert_eq!(keys(&mixed), Some(("b".into(), "bs".into(), None)));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let blank = [
            ("ALICLOUD_ACCESS_KEY", ""),
            ("ALICLOUD_SECRET_KEY", ""),
            ("ALIBABACLOUD_ACCESS_KEY_ID", "c"),
            ("ALIBABACLOUD_ACCESS_KEY_SECRET", "cs"),
        ];
        assert_eq!(keys(&blank), Some(("c".into(), "cs".into(), None)));
    }

    #[test]
    fn half_a_family_is_said() {
        let environment = Environment::of([("ALICLOUD_SECRET_KEY", "s")]);
        assert_eq!(
            environment.incomplete_keys().unwrap(),
            "`ALICLOUD_SECRET_KEY` is set but `ALICLOUD_ACCESS_KEY` is not: both are ignored"
        );
        assert_eq!(Environment::default().incomplete_keys(), None);
    }

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
