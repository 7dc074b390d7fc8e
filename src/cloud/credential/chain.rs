//! The default chain: where keys are looked for when nobody says where, in
//! the order of the official SDKs. Who has served once serves from then on.
//!
//! Facts: "Default credential chain" of the official credentials libraries.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::ambient::{Ambient, OidcSetting};
use super::source::{Network, Source, provider};
use super::{Credential, CredentialProvider, ini};
use crate::error::{Error, Kind, Result, one_line};

/// The default chain.
pub(super) struct Chain {
    ambient: Arc<Ambient>,
    network: Network,
    found: OnceCell<Inner>,
}

struct Inner {
    found: Found,
    provider: Arc<dyn CredentialProvider>,
}

/// What the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What serves.
    pub provider: String,
    /// What was passed over before, and why.
    pub passed_over: Vec<PassedOver>,
}

/// No place has keys.
#[derive(Debug)]
pub struct Nothing {
    /// What to tell.
    pub error: Error,
    /// Where they were looked for.
    pub passed_over: Vec<PassedOver>,
}

/// A place without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The place.
    pub provider: String,
    /// Why it has none.
    pub reason: String,
    /// What may help.
    pub hints: Vec<String>,
    /// Whether somebody meant it to have some.
    pub is_failure: bool,
}

/// Why a place has no keys, and what may help.
struct Reason {
    text: String,
    hints: Vec<String>,
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self {
            text: one_line(&error),
            hints: error.hints().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A place to look at.
struct Candidate {
    name: &'static str,
    source: Look,
    /// Whether somebody means it to serve.
    is_meant: bool,
}

enum Look {
    /// Here they may be; with what to add to the name.
    At(Source, String),
    /// There is nothing, for this reason.
    Nothing(String),
}

/// How to give keys on the command line.
const USUAL_ADVICE: &str = "Set `ALICLOUD_ACCESS_KEY` and `ALICLOUD_SECRET_KEY`, or `access_key` and \
     `secret_key` in the template; to try a template without an account use `build --sandbox`";

/// The places, in the order of the official SDKs.
const PLACES: [fn(&Ambient) -> Candidate; 6] =
    [environment, oidc, cli_profile, ini_profile, instance, uri];

impl Candidate {
    fn pass_over(&self, reason: Reason) -> PassedOver {
        if self.is_meant {
            tracing::warn!(
                place = self.name,
                reason = reason.text,
                "no keys where some were expected"
            );
        }
        PassedOver {
            provider: self.name.to_owned(),
            reason: reason.text,
            hints: reason.hints,
            is_failure: self.is_meant,
        }
    }
}

impl Chain {
    pub(super) fn new(ambient: Arc<Ambient>, network: Network) -> Self {
        Self {
            ambient,
            network,
            found: OnceCell::new(),
        }
    }

    pub(super) async fn found(&self) -> Result<Found, Nothing> {
        Ok(self.inner().await?.found.clone())
    }

    async fn inner(&self) -> Result<&Inner, Nothing> {
        self.found.get_or_try_init(|| self.search()).await
    }

    async fn search(&self) -> Result<Inner, Nothing> {
        let ambient = &self.ambient;
        if let Some(name) = &ambient.profiles.chosen {
            let chosen = self.chosen(name).await;
            return chosen.map_err(|error| Nothing {
                error,
                passed_over: Vec::new(),
            });
        }
        let mut passed_over = Vec::new();
        for look in PLACES {
            let candidate = look(ambient);
            match self.try_out(&candidate).await {
                Ok((provider, more)) => {
                    let found = Found {
                        provider: format!("{}: {more}", candidate.name),
                        passed_over,
                    };
                    return Ok(Inner { found, provider });
                }
                Err(reason) => passed_over.push(candidate.pass_over(reason)),
            }
        }
        Err(Nothing {
            error: nothing(&passed_over, ambient.advice.unwrap_or(USUAL_ADVICE)),
            passed_over,
        })
    }

    /// What provides keys at a place, and what to add to its name; or why it
    /// has none.
    async fn try_out<'a>(
        &self,
        candidate: &'a Candidate,
    ) -> Result<(Arc<dyn CredentialProvider>, &'a str), Reason> {
        let (source, more) = match &candidate.source {
            Look::At(source, more) => (source, more),
            Look::Nothing(reason) => {
                return Err(Reason {
                    text: reason.clone(),
                    hints: Vec::new(),
                });
            }
        };
        let provider = provider(source, &self.ambient, &self.network);
        match provider.get().await {
            Ok(_) => Ok((provider, more.as_str())),
            Err(error) => Err(error.into()),
        }
    }

    /// The profile somebody chose: then nothing else will do.
    async fn chosen(&self, name: &str) -> Result<Inner> {
        let profile = self.ambient.profiles.named(name)?;
        let provider = provider(&profile.source, &self.ambient, &self.network);
        provider.get().await?;
        let found = Found {
            provider: format!("profile: {}", profile.describe()),
            passed_over: Vec::new(),
        };
        Ok(Inner { found, provider })
    }

    fn told(&self, nothing: Nothing) -> Error {
        match self.ambient.advice {
            // There is no command line to type this into.
            Some(_) => nothing.error,
            None => nothing
                .error
                .with_hint("`alicloud-image whoami` shows where they were looked for"),
        }
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    async fn get(&self) -> Result<Arc<Credential>> {
        let inner = self.inner().await.map_err(|nothing| self.told(nothing))?;
        inner.provider.get().await
    }

    async fn refresh(&self, refused: &Credential) -> Result<Arc<Credential>> {
        let inner = self.inner().await.map_err(|nothing| self.told(nothing))?;
        inner.provider.refresh(refused).await
    }
}

fn environment(ambient: &Ambient) -> Candidate {
    let source = match &ambient.keys {
        Some(keys) => {
            let source = Source::Keys(keys.clone());
            let more = source.describe();
            Look::At(source, more)
        }
        None => Look::Nothing("ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY are not set".to_owned()),
    };
    Candidate {
        name: "environment",
        source,
        is_meant: false,
    }
}

fn oidc(ambient: &Ambient) -> Candidate {
    let (source, is_meant) = match &ambient.oidc {
        OidcSetting::Role(role) => {
            let source = Source::Oidc(role.clone());
            let more = source.describe();
            (Look::At(source, more), true)
        }
        OidcSetting::Lacks { what, is_meant } => (Look::Nothing(what.clone()), *is_meant),
    };
    Candidate {
        name: "OIDC",
        source,
        is_meant,
    }
}

fn cli_profile(ambient: &Ambient) -> Candidate {
    let (source, is_meant) = if ambient.profiles_disabled {
        let why = "ALIBABA_CLOUD_CLI_PROFILE_DISABLED is set";
        (Look::Nothing(why.to_owned()), false)
    } else {
        match (ambient.profiles.current(), ambient.profiles.exists()) {
            (Ok(profile), _) => {
                let more = profile.describe();
                (Look::At(profile.source, more), true)
            }
            (Err(error), exists) => (Look::Nothing(one_line(&error)), exists),
        }
    };
    Candidate {
        name: "profile",
        source,
        is_meant,
    }
}

fn ini_profile(ambient: &Ambient) -> Candidate {
    let section = ambient.ini_section.as_deref().unwrap_or("default");
    let there = ambient.ini_files.iter().find(|file| file.exists());
    let source = match there {
        None => Look::Nothing(match ambient.ini_files.first() {
            Some(file) => format!("{} does not exist", file.display()),
            None => "HOME is not set".to_owned(),
        }),
        Some(file) => match ini::read(file, section) {
            Ok(source) => {
                let more = format!("section `{section}` of {}", file.display());
                Look::At(source, more)
            }
            Err(error) => Look::Nothing(one_line(&error)),
        },
    };
    Candidate {
        name: "credentials file",
        source,
        is_meant: there.is_some(),
    }
}

fn instance(ambient: &Ambient) -> Candidate {
    let instance = &ambient.instance;
    let source = if instance.disabled {
        Look::Nothing("ALIBABA_CLOUD_ECS_METADATA_DISABLED is set".to_owned())
    } else {
        let source = Source::InstanceRole(instance.role.clone());
        let more = source.describe();
        Look::At(source, more)
    };
    Candidate {
        name: "instance metadata",
        source,
        is_meant: !instance.disabled && instance.role.is_some(),
    }
}

fn uri(ambient: &Ambient) -> Candidate {
    let source = match &ambient.uri {
        Some(uri) => Look::At(
            Source::Uri(uri.clone()),
            "ALIBABA_CLOUD_CREDENTIALS_URI".to_owned(),
        ),
        None => Look::Nothing("ALIBABA_CLOUD_CREDENTIALS_URI is not set".to_owned()),
    };
    Candidate {
        name: "credentials URI",
        source,
        is_meant: ambient.uri.is_some(),
    }
}

/// What was meant to have keys is the cause; the rest is not worth a word.
fn nothing(passed_over: &[PassedOver], advice: &str) -> Error {
    let failures = passed_over.iter().filter(|passed| passed.is_failure);
    let hints = failures.clone().flat_map(|failed| failed.hints.clone());
    let failures: Vec<_> = failures
        .map(|failed| format!("{}: {}", failed.provider, failed.reason))
        .collect();
    let error = Error::new(
        Kind::Credentials,
        "No credentials for Alibaba Cloud were found",
    );
    match failures.is_empty() {
        true => error.with_hint(advice),
        false => hints.fold(error.with_source(failures.join("; ")), Error::with_hint),
    }
}
