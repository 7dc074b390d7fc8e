//! Profiles of the Alibaba Cloud CLI: `~/.aliyun/config.json`.
//!
//! Every mode is read that has keys in the end and needs no browser. Unknown
//! members are tolerated, as newer versions of the CLI add some.
//!
//! Facts: the Alibaba Cloud CLI's documentation and source.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::ambient::OidcRole;
use super::{
    AssumedRole, CloudSso, Credential, IdToken, Keys, OAuth, OAuthSite, RoleSession, RsaKeyPair,
    Source,
};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Where profiles are, and which one is meant.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    /// The file; none without a home directory.
    pub file: Option<PathBuf>,
    /// The profile somebody chose for this program: nothing else will do.
    pub chosen: Option<String>,
    /// The profile somebody chose for the SDKs; else the file says which one
    /// is current.
    pub name: Option<String>,
    /// The URI for profiles that have none of their own.
    pub uri: Option<Secret>,
    /// Whether profiles may not run programs or ask URIs.
    pub external_disabled: bool,
}

impl Profiles {
    /// The profile of this name.
    ///
    /// # Errors
    /// `Kind::Credentials` when there is none or it is of no use.
    pub fn named(&self, name: &str) -> Result<Profile> {
        self.read()?.profile(name, self)
    }

    /// The profile that is meant when nobody names one.
    ///
    /// # Errors
    /// As [`Profiles::named`].
    pub fn current(&self) -> Result<Profile> {
        let file = self.read()?;
        let name = match self.chosen.as_ref().or(self.name.as_ref()) {
            Some(name) => name.clone(),
            None => text(&file.content, "current").unwrap_or_else(|| "default".to_owned()),
        };
        file.profile(&name, self)
    }

    /// Whether there is a file.
    pub fn exists(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.exists())
    }

    fn read(&self) -> Result<ProfileFile> {
        match &self.file {
            Some(file) => ProfileFile::read(file),
            None => Err(Error::new(
                Kind::Credentials,
                "HOME is not set, so there is no ~/.aliyun/config.json",
            )),
        }
    }
}

/// A file of profiles.
#[derive(Debug)]
pub struct ProfileFile {
    path: PathBuf,
    content: Value,
}

impl ProfileFile {
    /// Reads a file.
    ///
    /// # Errors
    /// `Kind::Credentials` when it is not there or not JSON.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(Kind::Credentials, format!("Cannot read `{shown}`"))
                .with_source(error)
                .with_hint("`aliyun configure --profile NAME` of the Alibaba Cloud CLI makes it")
        })?;
        let content: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
                Error::new(Kind::Credentials, format!("`{shown}` is not JSON")).with_source(error)
            })?;
        if content["profiles"].is_array() {
            return Ok(Self {
                path: path.to_owned(),
                content,
            });
        }
        let message = format!("`{shown}` has no list `profiles`");
        Err(Error::new(Kind::Credentials, message))
    }

    fn profile(&self, name: &str, around: &Profiles) -> Result<Profile> {
        self.resolve(name, around, &mut Vec::new())
    }

    fn find(&self, name: &str) -> Result<&Value> {
        let all = self.content["profiles"].as_array().into_iter().flatten();
        let found = all.clone().find(|profile| profile["name"] == name);
        found.ok_or_else(|| {
            let message = format!("There is no profile `{name}` in `{}`", self.path.display());
            let names: Vec<_> = all.filter_map(|profile| text(profile, "name")).collect();
            Error::new(Kind::Credentials, message).with_hint(match names.is_empty() {
                true => "The file has no profile".to_owned(),
                false => format!("It has `{}`", names.join("`, `")),
            })
        })
    }

    /// `above` are the profiles whose source this one is.
    fn resolve(&self, name: &str, around: &Profiles, above: &mut Vec<String>) -> Result<Profile> {
        if above.iter().any(|seen| seen == name) {
            let message = format!(
                "Profile `{name}` in `{}` is its own `source_profile`",
                self.path.display()
            );
            return Err(Error::new(Kind::Credentials, message));
        }
        above.push(name.to_owned());
        let content = self.find(name)?;
        let entry = Entry {
            file: self,
            name,
            mode: self.mode(name, content)?,
            content,
        };
        Ok(Profile {
            name: name.to_owned(),
            file: self.path.clone(),
            mode: entry.mode,
            region: text(content, "region_id"),
            endpoint: text(content, "endpoint"),
            source: entry.source(around, above)?,
        })
    }

    fn mode(&self, name: &str, content: &Value) -> Result<Mode> {
        let Some(written) = text(content, "mode") else {
            return Ok(inferred(content));
        };
        let known = MODES
            .iter()
            .find(|(_, word)| word.eq_ignore_ascii_case(&written));
        known.map(|(mode, _)| *mode).ok_or_else(|| {
            let words: Vec<_> = MODES.iter().map(|(_, word)| *word).collect();
            let message = format!(
                "Profile `{name}` in `{}` has the unknown mode `{written}`",
                self.path.display()
            );
            Error::new(Kind::Credentials, message)
                .with_hint(format!("Known are `{}`", words.join("`, `")))
        })
    }

    /// Changes members of a profile in the file; what else is in it stays.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn update(path: &Path, name: &str, values: &[(&str, Value)]) -> Result<()> {
        let failed = |error: std::io::Error| {
            let message = format!("Cannot update `{}`", path.display());
            Error::new(Kind::Io, message).with_source(error)
        };
        // The CLI takes the same lock.
        let lock = File::open(path).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let mut file = Self::read(path)?;
        let profiles = file.content["profiles"].as_array_mut();
        let mut profiles = profiles.into_iter().flatten();
        if let Some(profile) = profiles.find(|profile| profile["name"] == name) {
            for (member, value) in values {
                profile[*member] = value.clone();
            }
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut fresh = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        let text = format!("{:#}\n", file.content);
        fresh.write_all(text.as_bytes()).map_err(failed)?;
        fresh.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// A profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The file it is in.
    pub file: PathBuf,
    /// How it gets keys.
    pub mode: Mode,
    /// `region_id`.
    pub region: Option<String>,
    /// `endpoint`.
    pub endpoint: Option<String>,
    /// Where its keys come from.
    pub source: Source,
}

impl Profile {
    /// How it is called where people read it.
    pub fn describe(&self) -> String {
        let Self {
            name, mode, file, ..
        } = self;
        format!("`{name}` (mode {mode}) of {}", file.display())
    }
}

/// How a profile gets keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Permanent keys.
    Ak,
    /// Temporary keys.
    StsToken,
    /// A role, assumed with keys.
    RamRoleArn,
    /// The role of the instance.
    EcsRamRole,
    /// An RSA key pair, deprecated by Alibaba Cloud.
    RsaKeyPair,
    /// A role, assumed with the role of the instance.
    RamRoleArnWithRoleName,
    /// A role, assumed with another profile's keys.
    ChainableRamRoleArn,
    /// A program prints keys.
    External,
    /// A service hands out keys.
    CredentialsUri,
    /// A role, assumed with a token.
    Oidc,
    /// A CloudSSO login.
    CloudSso,
    /// An OAuth login.
    OAuth,
    /// A token instead of keys.
    BearerToken,
    /// No keys.
    Anonymous,
}

const MODES: &[(Mode, &str)] = &[
    (Mode::Ak, "AK"),
    (Mode::StsToken, "StsToken"),
    (Mode::RamRoleArn, "RamRoleArn"),
    (Mode::EcsRamRole, "EcsRamRole"),
    (Mode::RsaKeyPair, "RsaKeyPair"),
    (Mode::RamRoleArnWithRoleName, "RamRoleArnWithRoleName"),
    (Mode::ChainableRamRoleArn, "ChainableRamRoleArn"),
    (Mode::External, "External"),
    (Mode::CredentialsUri, "CredentialsURI"),
    (Mode::Oidc, "OIDC"),
    (Mode::CloudSso, "CloudSSO"),
    (Mode::OAuth, "OAuth"),
    (Mode::BearerToken, "BearerToken"),
    (Mode::Anonymous, "Anonymous"),
];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = MODES.iter().find(|(mode, _)| mode == self);
        f.write_str(word.map_or("", |(_, word)| word))
    }
}

/// The mode of a profile that names none, as the CLI guesses it.
fn inferred(content: &Value) -> Mode {
    let has = |member| text(content, member).is_some();
    let has_keys = has("access_key_id") && has("access_key_secret");
    let guesses = [
        (has_keys && has("sts_token"), Mode::StsToken),
        (has_keys && has("ram_role_arn"), Mode::RamRoleArn),
        (has_keys, Mode::Ak),
        (has("private_key") && has("key_pair_name"), Mode::RsaKeyPair),
        (has("ram_role_name"), Mode::EcsRamRole),
        (has("process_command"), Mode::External),
        (has("oidc_provider_arn"), Mode::Oidc),
        (has("cloud_sso_sign_in_url"), Mode::CloudSso),
        (has("bearer_token"), Mode::BearerToken),
    ];
    let guess = guesses.into_iter().find(|(fits, _)| *fits);
    guess.map_or(Mode::Ak, |(_, mode)| mode)
}

/// A member that says something.
fn text(content: &Value, member: &str) -> Option<String> {
    let text = content[member].as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A profile while it is read.
struct Entry<'a> {
    file: &'a ProfileFile,
    name: &'a str,
    mode: Mode,
    content: &'a Value,
}

impl Entry<'_> {
    fn source(&self, around: &Profiles, above: &mut Vec<String>) -> Result<Source> {
        Ok(match self.mode {
            Mode::Ak => Source::Keys(self.keys(None)?),
            Mode::StsToken => Source::Keys(self.keys(Some(self.required("sts_token")?))?),
            Mode::RamRoleArn => self.role(Source::Keys(self.keys(self.text("sts_token"))?))?,
            Mode::EcsRamRole => Source::InstanceRole(self.text("ram_role_name")),
            Mode::RamRoleArnWithRoleName => {
                self.role(Source::InstanceRole(self.text("ram_role_name")))?
            }
            Mode::ChainableRamRoleArn => {
                let source = self.required("source_profile")?;
                self.role(self.file.resolve(&source, around, above)?.source)?
            }
            Mode::External | Mode::CredentialsUri if around.external_disabled => {
                return Err(self
                    .error("may not be used")
                    .with_hint("ALIBABA_CLOUD_DISABLE_EXTERNAL_PROCESS forbids it"));
            }
            Mode::External => Source::Process(self.required("process_command")?),
            Mode::CredentialsUri => {
                let own = self.text("credentials_uri").map(Secret::new);
                match own.or_else(|| around.uri.clone()) {
                    Some(uri) => Source::Uri(uri),
                    None => Source::Uri(Secret::new(self.required("credentials_uri")?)),
                }
            }
            Mode::Oidc => Source::Oidc(Box::new(OidcRole {
                role_arn: self.required("ram_role_arn")?,
                provider_arn: self.required("oidc_provider_arn")?,
                token: IdToken::File(PathBuf::from(self.required("oidc_token_file")?)),
                session: self.session(),
            })),
            Mode::CloudSso => self.cloud_sso()?,
            Mode::OAuth => self.oauth()?,
            Mode::RsaKeyPair => self.rsa_key_pair()?,
            Mode::BearerToken | Mode::Anonymous => {
                return Err(self.error("has no keys, and ECS takes nothing else").with_hint(
                    "Use a profile of mode `AK`, `StsToken`, `RamRoleArn`, `EcsRamRole` or `OIDC`",
                ));
            }
        })
    }

    fn keys(&self, token: Option<String>) -> Result<Keys> {
        Ok(Keys {
            access_key: self.required("access_key_id")?,
            secret_key: Secret::new(self.required("access_key_secret")?),
            security_token: token.map(Secret::new),
        })
    }

    fn role(&self, base: Source) -> Result<Source> {
        Ok(Source::AssumedRole(Box::new(AssumedRole {
            base,
            arn: self.required("ram_role_arn")?,
            session: self.session(),
        })))
    }

    fn session(&self) -> RoleSession {
        let duration = u32::try_from(self.number("expired_seconds")).ok();
        RoleSession {
            name: self.text("ram_session_name"),
            // The CLI writes 0 when nothing was said.
            duration: duration.filter(|seconds| *seconds > 0),
            policy: self.text("policy"),
            external_id: self.text("external_id"),
            sts_region: self.text("sts_region"),
            sts_endpoint: self.text("sts_endpoint"),
        }
    }

    fn rsa_key_pair(&self) -> Result<Source> {
        let id = self.required("key_pair_name")?;
        let pair = RsaKeyPair::read(id, &self.required("private_key")?, self.session());
        pair.map(|pair| Source::RsaKeyPair(Box::new(pair)))
            .map_err(|error| self.error("has no usable `private_key`").with_source(error))
    }

    fn cloud_sso(&self) -> Result<Source> {
        Ok(Source::CloudSso(Box::new(CloudSso {
            sign_in_url: self.required("cloud_sso_sign_in_url")?,
            account_id: self.required("cloud_sso_account_id")?,
            access_config: self.required("cloud_sso_access_config")?,
            access_token: self.secret("access_token"),
            access_token_expire: self.number("cloud_sso_access_token_expire"),
            cached: self.cached(),
            profile: self.name.to_owned(),
        })))
    }

    fn oauth(&self) -> Result<Source> {
        let site = match self
            .required("oauth_site_type")?
            .to_ascii_uppercase()
            .as_str()
        {
            "CN" => OAuthSite::Cn,
            "INTL" => OAuthSite::Intl,
            other => {
                let what = format!("has the unknown `oauth_site_type` `{other}`");
                return Err(self.error(&what).with_hint("It is `CN` or `INTL`"));
            }
        };
        Ok(Source::OAuth(Box::new(OAuth {
            site,
            access_token: self.secret("oauth_access_token"),
            access_token_expire: self.number("oauth_access_token_expire"),
            refresh_token: self.secret("oauth_refresh_token"),
            cached: self.cached(),
            file: self.file.path.clone(),
            profile: self.name.to_owned(),
        })))
    }

    /// Keys that a login of the CLI has left.
    fn cached(&self) -> Option<Credential> {
        Some(Credential {
            access_key_id: self.text("access_key_id")?,
            secret: Secret::new(self.text("access_key_secret")?),
            security_token: Some(Secret::new(self.text("sts_token")?)),
            expiration: Some(Timestamp::from_second(self.number("sts_expiration")).ok()?),
        })
    }

    fn text(&self, member: &str) -> Option<String> {
        text(self.content, member)
    }

    fn secret(&self, member: &str) -> Secret {
        Secret::new(self.text(member).unwrap_or_default())
    }

    fn number(&self, member: &str) -> i64 {
        self.content[member].as_i64().unwrap_or_default()
    }

    fn required(&self, member: &str) -> Result<String> {
        self.text(member)
            .ok_or_else(|| self.error(&format!("has no `{member}`")))
    }

    fn error(&self, what: &str) -> Error {
        let (name, mode) = (self.name, self.mode);
        let file = self.file.path.display();
        let message = format!("Profile `{name}` (mode {mode}) in `{file}` {what}");
        Error::new(Kind::Credentials, message)
    }
}
