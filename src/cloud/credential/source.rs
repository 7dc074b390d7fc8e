//! From a description of where keys come from to a provider of them.

use std::sync::Arc;

use crate::clock::Clock;
use crate::cloud::CloudConfig;
use crate::cloud::endpoint::Endpoints;
use crate::cloud::sign::SignatureAlgorithm;
use crate::cloud::transport::Transport;
use crate::engine::stop::Stop;
use crate::error::Result;
use crate::secret::Secret;

use super::ambient::{Ambient, OidcRole};
use super::chain::{Chain, Found, Nothing};
use super::hiding::Hiding;
use super::instance::InstanceRole;
use super::login::{CloudSso, CloudSsoProvider, OAuth, OAuthProvider};
use super::oidc::OidcProvider;
use super::process::ExternalProcess;
use super::refreshing::Refreshing;
use super::role::{AssumedRole, RoleProvider, RoleSession};
use super::rsa_key_pair::{RsaKeyPair, RsaKeyPairProvider};
use super::uri::CredentialsUri;
use super::{CredentialProvider, Keys, Provider, Static};

/// Where keys come from.
#[derive(Debug, Clone, Default)]
pub enum Source {
    /// Whatever the environment has: the default chain.
    #[default]
    Ambient,
    /// They are known.
    Keys(Keys),
    /// The RAM role of the ECS instance this program runs on, by name when
    /// one is expected.
    InstanceRole(Option<String>),
    /// A RAM role, assumed with other keys.
    AssumedRole(Box<AssumedRole>),
    /// A RAM role, assumed with a token of an OpenID Connect provider.
    Oidc(Box<OidcRole>),
    /// A service that hands them out. The URI may hold a token.
    Uri(Secret),
    /// A command line whose process prints them.
    Process(String),
    /// An RSA key pair.
    RsaKeyPair(Box<RsaKeyPair>),
    /// A CloudSSO login.
    CloudSso(Box<CloudSso>),
    /// An OAuth login.
    OAuth(Box<OAuth>),
}

impl Source {
    /// How it is called where people read it; never a secret.
    pub fn describe(&self) -> String {
        match self {
            Self::Ambient => "the environment".to_owned(),
            Self::Keys(keys) if keys.security_token.is_some() => "temporary keys".to_owned(),
            Self::Keys(_) => "keys".to_owned(),
            Self::InstanceRole(Some(role)) => format!("RAM role `{role}` of this instance"),
            Self::InstanceRole(None) => "RAM role of this instance".to_owned(),
            Self::AssumedRole(role) => {
                format!("role `{}`, assumed with {}", role.arn, role.base.describe())
            }
            Self::Oidc(role) => {
                let token = role.token.describe();
                format!("role `{}`, assumed with {token}", role.role_arn)
            }
            Self::Uri(_) => "credentials URI".to_owned(),
            Self::Process(_) => "external process".to_owned(),
            Self::RsaKeyPair(pair) => format!("RSA key pair `{}`", pair.public_key_id),
            Self::CloudSso(_) => "CloudSSO login".to_owned(),
            Self::OAuth(_) => "OAuth login".to_owned(),
        }
    }
}

impl Source {
    /// What it holds that must not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Keys(keys) => {
                let token = keys.security_token.iter();
                token.chain([&keys.secret_key]).cloned().collect()
            }
            Self::AssumedRole(role) => role.base.secrets(),
            Self::Uri(uri) => vec![uri.clone()],
            Self::RsaKeyPair(pair) => vec![pair.secret().clone()],
            Self::CloudSso(login) => vec![login.access_token.clone()],
            Self::OAuth(login) => vec![login.access_token.clone(), login.refresh_token.clone()],
            Self::Ambient | Self::InstanceRole(_) | Self::Oidc(_) | Self::Process(_) => Vec::new(),
        }
    }
}

/// What providers need to ask others.
#[derive(Clone)]
pub struct Network {
    /// What carries requests.
    pub transport: Arc<dyn Transport>,
    /// Where STS answers.
    pub endpoints: Endpoints,
    /// How requests to STS are signed.
    pub signature: SignatureAlgorithm,
    /// What waits go by.
    pub clock: Clock,
    /// Whose STS is asked, unless a role says otherwise.
    pub sts_region: Option<String>,
    /// Who learns of secrets before they are used.
    pub hiding: Hiding,
}

impl Network {
    pub(super) fn config(&self, credentials: Arc<dyn CredentialProvider>) -> CloudConfig {
        CloudConfig {
            credentials,
            endpoints: self.endpoints.clone(),
            signature: self.signature,
            transport: Arc::clone(&self.transport),
        }
    }

    /// For calls that carry a proof of their own.
    pub(super) fn anonymous(self) -> Self {
        Self {
            signature: SignatureAlgorithm::Anonymous,
            ..self
        }
    }

    /// A stop nobody uses: the request that wants the keys has one, and drops
    /// what it waits for.
    pub(super) fn stop(&self) -> Stop {
        Stop::new(self.clock)
    }
}

/// All keys a run can have. Cheap to clone; clones share what they fetched.
#[derive(Clone)]
pub struct Credentials {
    ambient: Arc<Ambient>,
    network: Network,
    chain: Arc<Chain>,
    /// The chain, or the role that the environment wants assumed with it.
    default: Arc<dyn CredentialProvider>,
}

impl Credentials {
    /// Nothing is fetched before it is needed.
    pub fn new(ambient: Ambient, network: Network) -> Self {
        let network = Network {
            sts_region: ambient.sts_region.clone(),
            ..network
        };
        let ambient = Arc::new(ambient);
        let chain = Arc::new(Chain::new(Arc::clone(&ambient), network.clone()));
        let base: Arc<dyn CredentialProvider> = Arc::clone(&chain) as _;
        let default = match &ambient.assumed_role {
            Some((arn, session)) => assume(&network, base, arn, session),
            None => base,
        };
        Self {
            ambient,
            network,
            chain,
            default,
        }
    }

    /// What provides the keys of a source.
    pub fn of(&self, source: &Source) -> Arc<dyn CredentialProvider> {
        match source {
            Source::Ambient => Arc::clone(&self.default),
            Source::AssumedRole(role) => {
                let base = self.of(&role.base);
                assume(&self.network, base, &role.arn, &role.session)
            }
            other => provider(other, &self.ambient, &self.network),
        }
    }

    /// What the default chain has found, and why not earlier.
    ///
    /// # Errors
    /// When it found nothing.
    pub async fn found(&self) -> Result<Found, Nothing> {
        let mut found = self.chain.found().await?;
        if let Some((arn, _)) = &self.ambient.assumed_role {
            found.provider = format!("role `{arn}`, assumed with {}", found.provider);
        }
        Ok(found)
    }
}

/// What provides the keys of a source that is not the environment.
pub(super) fn provider(
    source: &Source,
    ambient: &Ambient,
    around: &Network,
) -> Arc<dyn CredentialProvider> {
    around.hiding.source(source);
    let network = around.clone();
    let fetcher: Box<dyn Provider> = match source {
        // No source within another is the environment, but a template's.
        Source::Ambient => return Arc::new(Static::none()),
        Source::Keys(keys) => return Arc::new(Static::from(keys)),
        Source::AssumedRole(role) => {
            let base = provider(&role.base, ambient, around);
            return assume(around, base, &role.arn, &role.session);
        }
        Source::InstanceRole(role) => Box::new(InstanceRole {
            network,
            metadata: ambient.instance.clone(),
            role: role.clone(),
        }),
        Source::Oidc(role) => Box::new(OidcProvider {
            network,
            role: role.as_ref().clone(),
        }),
        Source::Uri(uri) => Box::new(CredentialsUri {
            network,
            uri: uri.clone(),
        }),
        Source::Process(command) => Box::new(ExternalProcess {
            command: command.clone(),
            environment: ambient.environment.clone(),
        }),
        Source::RsaKeyPair(pair) => Box::new(RsaKeyPairProvider {
            network,
            pair: pair.as_ref().clone(),
        }),
        Source::CloudSso(login) => Box::new(CloudSsoProvider {
            network,
            login: login.as_ref().clone(),
        }),
        Source::OAuth(login) => Box::new(OAuthProvider::new(network, login.as_ref().clone())),
    };
    Arc::new(Refreshing::new(fetcher, around))
}

/// What provides the keys of a role.
fn assume(
    network: &Network,
    base: Arc<dyn CredentialProvider>,
    arn: &str,
    session: &RoleSession,
) -> Arc<dyn CredentialProvider> {
    let fetcher = Box::new(RoleProvider {
        network: network.clone(),
        base,
        arn: arn.to_owned(),
        session: session.clone(),
    });
    Arc::new(Refreshing::new(fetcher, network))
}
