//! The SSH communicator.
//!
//! ```text
//! connect ── transport (direct, proxy, bastion) ── host_key ── authenticate
//!    └─ session ─┬─ exec
//!                ├─ relay ◄── adapter ◄── SSH clients of this machine
//!                ├─ sftp, or scp when there is none
//!                └─ forward (tunnels, agent)
//! ```
//!
//! It knows the protocol and Packer's `ssh_*` options; it knows nothing of
//! clouds and reads no environment. Source of facts: RFC 4251 to 4254,
//! OpenSSH, and Packer's documentation of the communicator.

pub mod adapter;
pub mod algorithm;
mod authenticate;
mod connect;
mod exec;
mod failure;
mod forward;
mod host_key;
pub mod key;
mod known_hosts;
mod path;
mod relay;
mod scp;
mod session;
mod sftp;
mod socks5;
mod transfer;
mod transport;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use russh::Channel;
use russh::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::connect::Connector;
use self::exec::Setting;
use self::forward::Current;
use self::key::KeyPair;
use self::scp::Scp;
use self::session::{Connection, Session, lost};
use self::sftp::Sftp;
use self::transfer::Transfer;
use super::{Communicator, ExitStatus, Output, Pipes, Program};
use crate::engine::event::Events;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::{FileTransfer, Ssh as Options};

/// A server that does not open a channel in this time is taken for dead. Not
/// scaled: it is the network's and the machine's own time.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// How long a good-bye may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Where the machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Target {
    /// The address the builder found, unless `ssh_host` replaces it, with the
    /// port of the options.
    pub fn new(options: &Options, found: impl Into<String>) -> Self {
        Self {
            host: options.host.clone().unwrap_or_else(|| found.into()),
            port: options.port,
        }
    }
}

/// A machine reached by SSH.
pub struct Ssh {
    connector: Connector,
    setting: Setting,
    file_transfer: FileTransfer,
    no_sftp: AtomicBool,
    state: Mutex<State>,
    current: Current,
    events: Events,
    stop: Stop,
    tunnels_end: DropGuard,
}

enum State {
    Open(Arc<Connection>),
    Lost,
    Closed,
}

impl Ssh {
    /// Waits until the machine lets us in.
    ///
    /// `generated_key` is the key made for this build, when there is one.
    /// `agent_socket` is the value of `SSH_AUTH_SOCK`; it is used to log in
    /// with `ssh_agent_auth` and lent to the machine unless that is disabled.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `ssh_timeout`, [`Kind::Connect`] after
    /// `ssh_handshake_attempts` refused logins or when no attempt can succeed,
    /// [`Kind::Cancelled`] when the build is stopped.
    pub async fn connect(
        options: &Options,
        target: Target,
        generated_key: Option<&KeyPair>,
        agent_socket: Option<PathBuf>,
        events: &Events,
        stop: &Stop,
    ) -> Result<Self> {
        let connector = Connector::new(options, target, generated_key, agent_socket, stop.clock())?;
        let host = &connector.target().host;
        events.say(format!("Using SSH communicator to connect: {host}"));
        events.say("Waiting for SSH to become available...");
        let connection = first_connection(&connector, options, events, stop).await?;
        events.say("Connected to SSH!");
        let ssh = Self::new(connector, connection, options, events, stop);
        ssh.listen(options).await?;
        Ok(ssh)
    }

    fn new(
        connector: Connector,
        connection: Connection,
        options: &Options,
        events: &Events,
        stop: &Stop,
    ) -> Self {
        let connection = Arc::new(connection);
        Self {
            setting: Setting {
                pty: options.pty,
                lend_agent: connector.lends_agent(),
            },
            connector,
            file_transfer: options.file_transfer_method,
            no_sftp: AtomicBool::new(false),
            current: Arc::new(std::sync::Mutex::new(Some(Arc::clone(&connection)))),
            state: Mutex::new(State::Open(connection)),
            events: events.clone(),
            stop: stop.clone(),
            tunnels_end: CancellationToken::new().drop_guard(),
        }
    }

    async fn listen(&self, options: &Options) -> Result<()> {
        for tunnel in &options.local_tunnels {
            let (tunnel, current) = (tunnel.clone(), Arc::clone(&self.current));
            forward::listen_local(tunnel, current, self.tunnels_end.token().clone()).await?;
        }
        Ok(())
    }

    /// The connection: the one there is, or a new one when that was lost.
    async fn connection(&self) -> Result<Arc<Connection>> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(connection) if !connection.is_lost() => return Ok(Arc::clone(connection)),
            State::Closed => return Err(Error::new(Kind::Connect, "The SSH connection is closed")),
            State::Open(_) | State::Lost => {}
        }
        *state = State::Lost;
        self.set_current(None);
        self.events
            .message("The SSH connection was lost; connecting again...");
        let connection = Arc::new(self.connector.wait(&self.stop).await?);
        *state = State::Open(Arc::clone(&connection));
        self.set_current(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    /// Gives a connection up that does not answer, unless somebody already
    /// replaced it.
    async fn give_up(&self, dead: &Arc<Connection>) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Open(connection) if Arc::ptr_eq(connection, dead)) {
            *state = State::Lost;
            self.set_current(None);
        }
    }

    fn set_current(&self, connection: Option<Arc<Connection>>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// Opens a channel; when the connection turns out dead, on a new one.
    async fn channel(&self) -> Result<(Arc<Connection>, Channel<Msg>)> {
        let connection = self.connection().await?;
        match open(&connection).await {
            Ok(channel) => return Ok((connection, channel)),
            Err(Dead::Refused(error)) => return Err(error),
            Err(Dead::Lost(_)) => self.give_up(&connection).await,
        }
        let connection = self.connection().await?;
        match open(&connection).await {
            Ok(channel) => Ok((connection, channel)),
            Err(Dead::Refused(error) | Dead::Lost(error)) => Err(error),
        }
    }

    async fn session(&self) -> Result<Session> {
        let (connection, channel) = self.channel().await?;
        Ok(Session::new(connection, channel))
    }

    /// The way files travel.
    async fn transfer(&self) -> Result<Box<dyn Transfer>> {
        let scp = self.file_transfer == FileTransfer::Scp || self.no_sftp.load(Ordering::Relaxed);
        if !scp {
            let (connection, channel) = self.channel().await?;
            if let Some(sftp) = Sftp::open(&connection, channel).await? {
                return Ok(Box::new(sftp));
            }
            tracing::debug!("the machine has no sftp subsystem; scp is used");
            self.no_sftp.store(true, Ordering::Relaxed);
        }
        Ok(Box::new(Scp::new(self.session().await?)))
    }
}

async fn first_connection(
    connector: &Connector,
    options: &Options,
    events: &Events,
    stop: &Stop,
) -> Result<Connection> {
    let connection = connector.wait(stop).await?;
    let pause = options.pause_before_connecting;
    if pause.is_zero() {
        return Ok(connection);
    }
    events.say(format!("Pausing {pause:?} before connecting..."));
    good_bye(&connection).await;
    drop(connection);
    stop.sleep(pause).await?;
    connector.wait(stop).await
}

async fn good_bye(connection: &Connection) {
    // A peer that does not answer is cut off when the connection is dropped.
    let _ = tokio::time::timeout(CLOSE_LIMIT, connection.disconnect()).await;
}

/// Why a channel could not be opened.
enum Dead {
    /// The server lives, but does not want to.
    Refused(Error),
    /// There is no server at the other end any more.
    Lost(Error),
}

async fn open(connection: &Connection) -> Result<Channel<Msg>, Dead> {
    match tokio::time::timeout(OPEN_LIMIT, connection.open()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error @ russh::Error::ChannelOpenFailure(_))) => {
            let message = "The SSH server refused to open a session";
            Err(Dead::Refused(
                Error::new(Kind::Connect, message)
                    .with_source(error)
                    .with_hint("The server may limit sessions (MaxSessions of sshd)"),
            ))
        }
        Ok(Err(error)) => Err(Dead::Lost(lost().with_source(error))),
        Err(_) => Err(Dead::Lost(lost())),
    }
}

#[async_trait]
impl Communicator for Ssh {
    async fn exec(&self, command: &str, output: &mut dyn Output) -> Result<ExitStatus> {
        let run = async {
            let mut session = self.session().await?;
            exec::run(&mut session, command, self.setting, output).await
        };
        self.stop.race(run).await?
    }

    async fn upload(
        &self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        destination: &str,
        mode: Option<u32>,
    ) -> Result<()> {
        let run = async {
            let transfer = self.transfer().await?;
            transfer.upload(source, size, destination, mode).await
        };
        let result = self.stop.race(run).await?;
        result.map_err(|error| error.context(format!("Could not upload to {destination}")))
    }

    async fn upload_dir(&self, source: &Path, destination: &str) -> Result<()> {
        let local = source.to_owned();
        let run = async {
            let listing = tokio::task::spawn_blocking(move || tree::list(&local)).await;
            let entries = listing.map_err(|error| {
                Error::new(Kind::Internal, "Listing a directory panicked").with_source(error)
            })??;
            let transfer = self.transfer().await?;
            transfer.upload_dir(&entries, destination).await
        };
        let result = self.stop.race(run).await?;
        result.map_err(|error| {
            let source = source.display();
            error.context(format!("Could not upload {source} to {destination}"))
        })
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let run = async {
            let transfer = self.transfer().await?;
            transfer.download(source, destination).await
        };
        let result = self.stop.race(run).await?;
        result.map_err(|error| error.context(format!("Could not download {source}")))
    }

    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()> {
        let run = async {
            let transfer = self.transfer().await?;
            transfer.download_dir(source, destination).await
        };
        let result = self.stop.race(run).await?;
        result.map_err(|error| error.context(format!("Could not download {source}")))
    }

    async fn relay(&self, program: Program<'_>, pipes: Pipes<'_>) -> Result<ExitStatus> {
        let run = async {
            let mut session = self.session().await?;
            relay::run(&mut session, program, self.setting, pipes).await
        };
        self.stop.race(run).await?
    }

    async fn close(&self) {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Closed);
        self.set_current(None);
        if let State::Open(connection) = state {
            good_bye(&connection).await;
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_support;
