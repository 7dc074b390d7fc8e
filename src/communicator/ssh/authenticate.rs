//! Logging in: the ways the template gives, in Packer's order.
//!
//! Agent, private key file, key made for the build, password,
//! keyboard-interactive. RSA signs with SHA-2 only; SHA-1 is never used.
//! Source of facts: RFC 4252, RFC 4256, RFC 8332.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{AgentAuthError, MethodKind, MethodSet, SendError, Signer};

use super::failure::{Failure, Seen};
use super::key::{KeyPair, load_certificate, load_private_key};
use super::session::Client;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::{Bastion, Ssh};
use crate::secret::Secret;
use crate::template::source::Spanned;

/// More questions than this are no login dialogue.
const MAX_ROUNDS: usize = 10;

/// Who logs in, and how.
#[derive(Debug)]
pub(super) struct Login {
    username: String,
    ways: Vec<Way>,
}

/// One way to log in.
#[derive(Debug, Clone)]
enum Way {
    Agent(PathBuf),
    Key(&'static str, Arc<PrivateKey>),
    Certificate(Arc<PrivateKey>, Box<Certificate>),
    Password(Secret),
    KeyboardInteractive(Secret),
}

impl Login {
    /// The ways into the machine itself.
    pub(super) fn new(
        options: &Ssh,
        generated_key: Option<&KeyPair>,
        agent_socket: Option<&Path>,
    ) -> Result<Self> {
        let mut ways = Vec::new();
        if options.agent_auth {
            ways.push(agent(agent_socket, "ssh_agent_auth")?);
        }
        ways.extend(key_file(
            options.private_key_file.as_ref(),
            options.certificate_file.as_ref(),
        )?);
        ways.extend(generated_key.map(|pair| Way::Key("temporary key", pair.key())));
        ways.extend(passwords(options.password.as_ref()));
        Ok(Self {
            username: options.username.value.clone(),
            ways,
        })
    }

    /// The ways into the bastion.
    pub(super) fn bastion(bastion: &Bastion, agent_socket: Option<&Path>) -> Result<Self> {
        let mut ways = Vec::new();
        if bastion.agent_auth {
            ways.push(agent(agent_socket, "ssh_bastion_agent_auth")?);
        }
        ways.extend(key_file(
            bastion.private_key_file.as_ref(),
            bastion.certificate_file.as_ref(),
        )?);
        ways.extend(passwords(bastion.password.as_ref()));
        Ok(Self {
            username: bastion.username.clone(),
            ways,
        })
    }
}

fn agent(socket: Option<&Path>, option: &str) -> Result<Way> {
    match socket {
        Some(path) => Ok(Way::Agent(path.to_owned())),
        None => Err(Error::new(
            Kind::Usage,
            format!("{option} is set, but there is no SSH agent"),
        )
        .with_hint("Start ssh-agent and export SSH_AUTH_SOCK")),
    }
}

fn key_file(
    key: Option<&Spanned<PathBuf>>,
    certificate: Option<&Spanned<PathBuf>>,
) -> Result<Option<Way>> {
    let Some(file) = key else { return Ok(None) };
    let key = load_private_key(&file.value).map_err(|error| error.at(file.span))?;
    let key = Arc::new(key);
    let Some(file) = certificate else {
        return Ok(Some(Way::Key("private key file", key)));
    };
    let certificate = load_certificate(&file.value).map_err(|error| error.at(file.span))?;
    Ok(Some(Way::Certificate(key, Box::new(certificate))))
}

fn passwords(password: Option<&Secret>) -> Vec<Way> {
    let password = password.filter(|password| !password.is_empty());
    password
        .into_iter()
        .flat_map(|it| {
            [
                Way::Password(it.clone()),
                Way::KeyboardInteractive(it.clone()),
            ]
        })
        .collect()
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Key(name, _) => name,
            Self::Certificate(..) => "certificate",
            Self::Password(_) => "password",
            Self::KeyboardInteractive(_) => "keyboard-interactive",
        }
    }

    fn kind(&self) -> MethodKind {
        match self {
            Self::Agent(_) | Self::Key(..) | Self::Certificate(..) => MethodKind::PublicKey,
            Self::Password(_) => MethodKind::Password,
            Self::KeyboardInteractive(_) => MethodKind::KeyboardInteractive,
        }
    }
}

/// Logs in on a fresh connection.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    login: &Login,
) -> Result<(), Failure> {
    let mut attempt = Attempt {
        handle,
        user: &login.username,
        offered: None,
    };
    let mut tried = Vec::new();
    for way in &login.ways {
        if !attempt.is_offered(way.kind()) {
            continue;
        }
        tried.push(way.name());
        let result = attempt.go(way).await?;
        if attempt.accepted(result) {
            return Ok(());
        }
    }
    if login.ways.is_empty() {
        let result = attempt.handle.authenticate_none(attempt.user).await;
        if attempt.accepted(result.map_err(|error| broken(&error))?) {
            return Ok(());
        }
    }
    Err(attempt.refused(&tried))
}

/// A login under way.
struct Attempt<'a> {
    handle: &'a mut Handle<Client>,
    user: &'a str,
    /// What the server said it would still take.
    offered: Option<MethodSet>,
}

impl Attempt<'_> {
    fn is_offered(&self, kind: MethodKind) -> bool {
        self.offered
            .as_ref()
            .is_none_or(|offered| offered.contains(&kind))
    }

    fn accepted(&mut self, result: AuthResult) -> bool {
        match result {
            AuthResult::Success => true,
            // No methods: the server takes none any more, or it hung up in
            // answer to the login. Both are a refusal.
            AuthResult::Failure {
                remaining_methods, ..
            } => {
                self.offered = Some(remaining_methods);
                false
            }
        }
    }

    async fn go(&mut self, way: &Way) -> Result<AuthResult, Failure> {
        match way {
            Way::Agent(socket) => self.with_agent(socket).await,
            Way::Key(_, key) => self.with_key(key).await,
            Way::Certificate(key, certificate) => self.with_certificate(key, certificate).await,
            Way::Password(password) => self
                .handle
                .authenticate_password(self.user, password.expose())
                .await
                .map_err(|error| broken(&error)),
            Way::KeyboardInteractive(password) => self.with_questions(password).await,
        }
    }

    async fn with_key(&mut self, key: &Arc<PrivateKey>) -> Result<AuthResult, Failure> {
        let hash = self.hash(key.algorithm().is_rsa()).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
        self.handle
            .authenticate_publickey(self.user, key)
            .await
            .map_err(|error| broken(&error))
    }

    async fn with_certificate(
        &mut self,
        key: &Arc<PrivateKey>,
        certificate: &Certificate,
    ) -> Result<AuthResult, Failure> {
        let hash = self.hash(key.algorithm().is_rsa()).await?;
        let mut signer = KeySigner(Arc::clone(key));
        self.handle
            .authenticate_certificate_with(self.user, certificate.clone(), hash, &mut signer)
            .await
            .map_err(|error| Failure::Fatal(unusable_key(error)))
    }

    async fn with_agent(&mut self, socket: &Path) -> Result<AuthResult, Failure> {
        let no_agent = |error: russh::keys::Error| {
            let place = socket.display();
            let message = format!("Could not talk to the SSH agent at {place}");
            Failure::Fatal(Error::new(Kind::Connect, message).with_source(error))
        };
        let mut agent = AgentClient::connect_uds(socket).await.map_err(no_agent)?;
        let identities = agent.request_identities().await.map_err(no_agent)?;
        let mut result = self.undecided();
        for identity in identities {
            result = self.with_identity(identity, &mut agent).await?;
            if result.success() || self.handle.is_closed() {
                return Ok(result);
            }
        }
        Ok(result)
    }

    async fn with_identity<S: Signer<Error = AgentAuthError>>(
        &mut self,
        identity: AgentIdentity,
        agent: &mut S,
    ) -> Result<AuthResult, Failure> {
        let hash = self
            .hash(identity.public_key().algorithm().is_rsa())
            .await?;
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle
                    .authenticate_publickey_with(self.user, key, hash, agent)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle
                    .authenticate_certificate_with(self.user, certificate, hash, agent)
                    .await
            }
        };
        // An agent that declines to sign with one key may have a better one.
        Ok(result.unwrap_or_else(|_| self.undecided()))
    }

    /// The server was not asked; what it takes is what it took before.
    fn undecided(&self) -> AuthResult {
        let before = self.offered.clone();
        AuthResult::Failure {
            remaining_methods: before.unwrap_or_else(MethodSet::client_supported),
            partial_success: false,
        }
    }

    /// The hash RSA signs with. A server that does not say takes SHA-2 unless
    /// it is older than OpenSSH 7.2.
    async fn hash(&self, is_rsa: bool) -> Result<Option<HashAlg>, Failure> {
        if !is_rsa {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| broken(&error))?.flatten();
        Ok(Some(best.unwrap_or(HashAlg::Sha256)))
    }

    async fn with_questions(&mut self, password: &Secret) -> Result<AuthResult, Failure> {
        use KeyboardInteractiveAuthResponse as Response;
        let mut response = self
            .handle
            .authenticate_keyboard_interactive_start(self.user, None)
            .await
            .map_err(|error| broken(&error))?;
        for _ in 0..MAX_ROUNDS {
            let prompts = match response {
                Response::Success => return Ok(AuthResult::Success),
                Response::Failure {
                    remaining_methods,
                    partial_success,
                } => {
                    return Ok(AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    });
                }
                Response::InfoRequest { prompts, .. } => prompts,
            };
            let answers = prompts.iter().map(|_| password.expose().to_owned());
            response = self
                .handle
                .authenticate_keyboard_interactive_respond(answers.collect())
                .await
                .map_err(|error| broken(&error))?;
        }
        let message = "The server keeps asking questions at login";
        Err(Failure::Fatal(Error::new(Kind::Connect, message)))
    }

    fn refused(&self, tried: &[&str]) -> Failure {
        let Some(offered) = &self.offered else {
            return Failure::NotReady(Seen::new(
                "the server closed the connection during the login",
                "The machine may still be booting, or sshd limits connections (MaxStartups)",
            ));
        };
        let names: Vec<&str> = offered.iter().map(Into::into).collect();
        let offered = match names.as_slice() {
            [] => "nothing more".to_owned(),
            names => names.join(", "),
        };
        let user = self.user;
        let tried = match tried {
            [] => "nothing the server would take".to_owned(),
            tried => tried.join(", "),
        };
        Failure::Refused(Seen::new(
            format!(
                "the server refused to log in user {user} (tried: {tried}; the server takes: {offered})"
            ),
            "Check ssh_username, and that the image lets this user in with this key or password",
        ))
    }
}

/// The connection broke during the login.
fn broken(error: &russh::Error) -> Failure {
    Failure::NotReady(Seen::new(
        format!("the connection broke during the login: {error}"),
        "The machine may still be booting, or sshd limits connections (MaxStartups)",
    ))
}

/// Signs with a key over here, as an agent would. The library's own way for
/// certificates signs RSA with SHA-1 names.
struct KeySigner(Arc<PrivateKey>);

impl Signer for KeySigner {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _identity: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature = match (self.0.key_data(), hash) {
            (KeypairData::Rsa(pair), hash) => (pair, hash).try_sign(&to_sign),
            _ => self.0.try_sign(&to_sign),
        };
        let encode = |to_sign: &mut Vec<u8>| -> Result<(), russh::keys::Error> {
            let signature = signature.map_err(russh::keys::ssh_key::Error::from)?;
            let mut blob = Vec::new();
            signature.encode(&mut blob)?;
            blob.encode(to_sign)?;
            Ok(())
        };
        encode(&mut to_sign)?;
        Ok(to_sign)
    }
}

fn unusable_key(error: AgentAuthError) -> Error {
    let message = "Could not sign with the key of the certificate";
    Error::new(Kind::Connect, message).with_source(error)
}

// The trait asks for it; `AgentAuthError` has it already.
const _: fn(SendError) -> AgentAuthError = AgentAuthError::from;
