//! Lends a connection to the SSH clients of programs on this machine: a server
//! on 127.0.0.1 whose commands run on the build's machine.
//!
//! So Ansible needs neither the way to the machine (bastions, proxies) nor its
//! key, and works wherever the communicator does. The server takes one key,
//! made for it unless the user names one, and serves commands and SFTP; it has
//! no shells and no tunnels. Not here: what is run (`provisioner::ansible`).
//! Source of facts: RFC 4254, section 6; Packer's `adapter`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelWriteHalf, MethodKind, MethodSet, Pty};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::exec::STDERR;
use super::key::{self, KeyPair};
use super::transport::Transport;
use crate::communicator::{Communicator, ExitStatus, Pipes, Program};
use crate::error::{Error, Kind, Result, one_line};
use crate::plan::communicator::KeyType;
use crate::plan::provisioner::Adapter as Options;

/// How many ports are tried from the wanted one on, as Packer does.
const PORTS: u16 = 10;

/// What the exit code of a command is that could not be run, as with `ssh`.
const NOT_RUN: u32 = 255;

/// How many requests may wait until one is looked at.
const WAITING: usize = 16;

/// A server that listens, and serves while [`Adapter::serve`] is awaited.
pub struct Adapter {
    listener: TcpListener,
    port: u16,
    config: Arc<Config>,
    host_key: PublicKey,
    authorized: Arc<PublicKey>,
    client: Option<KeyPair>,
    sftp_command: Option<String>,
}

impl Adapter {
    /// Makes the keys and listens.
    ///
    /// # Errors
    /// [`Kind::Template`] when a key file cannot be used, [`Kind::Io`] when no
    /// port can be had.
    pub async fn listen(options: &Options) -> Result<Self> {
        let (host, client) = generate(options.key_type).await?;
        let (authorized, client) = match &options.authorized_key_file {
            Some(path) => (load_public_key(path)?, None),
            None => (client.key().public_key().clone(), Some(client)),
        };
        let host = match &options.host_key_file {
            Some(path) => key::load_private_key(path)?,
            None => (*host.key()).clone(),
        };
        let listener = bind(options.port).await?;
        let address = listener.local_addr();
        let port = address
            .map_err(|error| no_port().with_source(error))?
            .port();
        Ok(Self {
            listener,
            port,
            host_key: host.public_key().clone(),
            config: Arc::new(config(host)),
            authorized: Arc::new(authorized),
            client,
            sftp_command: options.sftp_command.clone(),
        })
    }

    /// The port of 127.0.0.1 it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key to log in with, unless the user has it.
    pub fn client_key(&self) -> Option<&KeyPair> {
        self.client.as_ref()
    }

    /// The line of a `known_hosts` file that makes clients trust it.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the key cannot be written.
    pub fn known_host(&self) -> Result<String> {
        let key = self.host_key.to_openssh().map_err(|error| {
            Error::new(Kind::Internal, "Could not encode an SSH key").with_source(error)
        })?;
        Ok(format!("[127.0.0.1]:{} {key}\n", self.port))
    }

    /// Serves through a communicator until it is dropped; all connections end
    /// with it. Gives the error that made it impossible to go on.
    pub async fn serve(&self, communicator: &dyn Communicator) -> Error {
        let cut = CancellationToken::new();
        let _cut_in_the_end = cut.clone().drop_guard();
        let (sender, mut jobs) = mpsc::channel(WAITING);
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.welcome(stream, sender.clone(), cut.clone()),
                    Err(error) => return stopped().with_source(error),
                },
                Some(job) = jobs.recv() => {
                    running.push(Job::run(job, communicator, self.sftp_command.as_deref()));
                }
                Some(()) = running.next() => {}
            }
        }
    }

    fn welcome(&self, stream: TcpStream, jobs: mpsc::Sender<Job>, cut: CancellationToken) {
        let client = Client {
            authorized: Arc::clone(&self.authorized),
            jobs,
            open: HashMap::new(),
        };
        let config = Arc::clone(&self.config);
        let (stream, _) = Transport::new(Box::new(stream), cut);
        tokio::spawn(async move {
            let session = russh::server::run_stream(config, stream, client).await;
            let ended = match session {
                Ok(session) => session.await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::debug!("a client of the SSH adapter: {error}");
            }
        });
    }
}

/// A host key and a client's key. RSA takes its time, so not on this thread.
async fn generate(key_type: KeyType) -> Result<(KeyPair, KeyPair)> {
    let work = move || Ok((KeyPair::generate(key_type)?, KeyPair::generate(key_type)?));
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(Kind::Internal, "Generating SSH keys panicked").with_source(error)
    })?
}

fn load_public_key(path: &Path) -> Result<PublicKey> {
    let message = || format!("Could not read the public key {}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Kind::Template, message()).with_source(error))?;
    PublicKey::from_openssh(text.trim()).map_err(|error| {
        Error::new(Kind::Template, message())
            .with_source(error)
            .with_hint("Give a `.pub` file, as `ssh-keygen` writes it")
    })
}

async fn bind(wanted: Option<u16>) -> Result<TcpListener> {
    let first = wanted.unwrap_or(0);
    let tries = if wanted.is_some() { PORTS } else { 1 };
    let mut failed = no_port();
    for port in (first..=u16::MAX).take(tries.into()) {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = no_port().with_source(error),
        }
    }
    Err(failed)
}

fn no_port() -> Error {
    Error::new(
        Kind::Io,
        "The SSH adapter found no port of 127.0.0.1 to listen on",
    )
}

fn stopped() -> Error {
    Error::new(Kind::Io, "The SSH adapter cannot take connections any more")
}

fn config(host_key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        keys: vec![host_key],
        // It is reached from this machine only, and takes nothing but a key.
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    }
}

/// One connection of an SSH client. When it is dropped, all its jobs end.
struct Client {
    authorized: Arc<PublicKey>,
    jobs: mpsc::Sender<Job>,
    open: HashMap<ChannelId, Open>,
}

/// A session, before and while it runs something.
struct Open {
    channel: Option<Channel<Msg>>,
    terminal: bool,
    gone: CancellationToken,
    _gone_on_drop: DropGuard,
}

impl Open {
    fn new(channel: Channel<Msg>) -> Self {
        let gone = CancellationToken::new();
        Self {
            channel: Some(channel),
            terminal: false,
            _gone_on_drop: gone.clone().drop_guard(),
            gone,
        }
    }
}

impl Client {
    fn judge(&self, key: &PublicKey) -> Auth {
        match key.key_data() == self.authorized.key_data() {
            true => Auth::Accept,
            false => Auth::reject(),
        }
    }

    async fn start(
        &mut self,
        id: ChannelId,
        wanted: Wanted,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let open = self.open.get_mut(&id);
        let Some((open, channel)) = open.and_then(|open| {
            let channel = open.channel.take()?;
            Some((open, channel))
        }) else {
            return session.channel_failure(id);
        };
        let job = Job {
            channel,
            wanted,
            terminal: open.terminal,
            gone: open.gone.clone(),
        };
        match self.jobs.send(job).await {
            Ok(()) => session.channel_success(id),
            Err(_) => session.channel_failure(id),
        }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.open.insert(channel.id(), Open::new(channel));
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.open.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(open) = self.open.get_mut(&channel) else {
            return session.channel_failure(channel);
        };
        open.terminal = true;
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let wanted = Wanted::Command(data.to_vec());
        self.start(channel, wanted, session).await
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match name {
            "sftp" => self.start(channel, Wanted::Sftp, session).await,
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }
}

/// What a client wants to run.
enum Wanted {
    Command(Vec<u8>),
    Sftp,
}

/// A session that runs something.
struct Job {
    channel: Channel<Msg>,
    wanted: Wanted,
    terminal: bool,
    gone: CancellationToken,
}

impl Job {
    async fn run(self, communicator: &dyn Communicator, sftp_command: Option<&str>) {
        let program = match (&self.wanted, sftp_command) {
            (Wanted::Command(line), _) => Program::Command {
                line,
                terminal: self.terminal,
            },
            (Wanted::Sftp, None) => Program::Sftp,
            (Wanted::Sftp, Some(line)) => Program::Command {
                line: line.as_bytes(),
                terminal: false,
            },
        };
        let (mut read, write) = self.channel.split();
        let pipes = Pipes {
            stdin: &mut read.make_reader(),
            stdout: &mut write.make_writer(),
            stderr: &mut write.make_writer_ext(Some(STDERR)),
        };
        let relayed = communicator.relay(program, pipes);
        // A client that went away needs no report.
        if let Some(outcome) = self.gone.run_until_cancelled(relayed).await {
            report(&write, outcome).await;
        }
    }
}

/// Tells the client how the command ended. A lost connection has no exit
/// status; then `ssh` says so itself.
async fn report(write: &ChannelWriteHalf<Msg>, outcome: Result<ExitStatus>) {
    // Whoever went away meanwhile needs no report.
    let code = match outcome {
        Ok(ExitStatus::Code(code)) => Some(code),
        Ok(ExitStatus::Disconnected) => None,
        Err(error) => {
            let text = format!("{}\r\n", one_line(&error));
            let mut stderr = write.make_writer_ext(Some(STDERR));
            let _ = stderr.write_all(text.as_bytes()).await;
            Some(NOT_RUN)
        }
    };
    let _ = write.eof().await;
    if let Some(code) = code {
        let _ = write.exit_status(code).await;
    }
    let _ = write.close().await;
}
