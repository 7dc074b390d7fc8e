//! One live connection, and the channels on it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, ChannelOpenHandle, Handle, Msg};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{
    Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::forward;
use super::host_key::HostKey;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::Tunnel;

/// What the other end may ask of us.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    /// Ports that listen over there for services over here.
    pub(super) remote_tunnels: Vec<Tunnel>,
    /// The agent that is lent to the other end.
    pub(super) agent_socket: Option<PathBuf>,
}

/// Answers what the server starts. Lives as long as the connection.
pub(super) struct Client {
    host_key: Arc<HostKey>,
    seen: Arc<Mutex<Option<PublicKey>>>,
    services: Services,
    lost: CancellationToken,
    _lost_on_drop: DropGuard,
}

/// Why the handshake failed: the protocol, or the host's key.
#[derive(Debug)]
pub(super) enum Fault {
    Protocol(russh::Error),
    HostKey(Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Client {
    /// A client with the two things that outlive it: the key it saw, and the
    /// token that is cancelled when the connection is gone.
    pub(super) fn new(
        host_key: Arc<HostKey>,
        services: Services,
    ) -> (Self, Arc<Mutex<Option<PublicKey>>>, CancellationToken) {
        let seen = Arc::default();
        let lost = CancellationToken::new();
        let client = Self {
            host_key,
            seen: Arc::clone(&seen),
            services,
            lost: lost.clone(),
            _lost_on_drop: lost.clone().drop_guard(),
        };
        (client, seen, lost)
    }
}

impl client::Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let key = key.public_key();
        self.host_key.check(&key).map_err(Fault::HostKey)?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _address: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        let mut tunnels = self.services.remote_tunnels.iter();
        let Some(tunnel) = tunnels.find(|tunnel| u32::from(tunnel.listen_port) == port) else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Ok(());
        };
        reply.accept().await;
        forward::serve_remote(tunnel.clone(), channel, self.lost.clone());
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        let Some(socket) = self.services.agent_socket.clone() else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Ok(());
        };
        reply.accept().await;
        forward::serve_agent(socket, channel, self.lost.clone());
        Ok(())
    }

    // The library accepts these by default; a machine has no business opening
    // them. Dropping `reply` refuses.

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

/// A connection on which somebody is logged in. Dropping it ends it.
pub(super) struct Connection {
    handle: Handle<Client>,
    lost: CancellationToken,
    /// Cuts the transport, so that a hanging peer cannot keep it.
    _cut: DropGuard,
    /// The connection this one runs through.
    _bastion: Option<Arc<Connection>>,
}

impl Connection {
    pub(super) fn new(
        handle: Handle<Client>,
        lost: CancellationToken,
        cut: DropGuard,
        bastion: Option<Arc<Self>>,
    ) -> Self {
        Self {
            handle,
            lost,
            _cut: cut,
            _bastion: bastion,
        }
    }

    pub(super) fn handle(&self) -> &Handle<Client> {
        &self.handle
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled() || self.handle.is_closed()
    }

    /// The future's output, or an error once the connection is gone: some
    /// waits inside the library do not notice.
    pub(super) async fn unless_lost<T>(
        &self,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            output = future => output,
            () = self.lost.cancelled() => Err(lost()),
        }
    }

    /// Opens a session channel.
    pub(super) async fn open(&self) -> Result<Channel<Msg>, russh::Error> {
        tokio::select! {
            biased;
            channel = self.handle.channel_open_session() => channel,
            () = self.lost.cancelled() => Err(russh::Error::Disconnect),
        }
    }

    /// Says good-bye and waits until the connection is gone.
    pub(super) async fn disconnect(&self) {
        let reason = Disconnect::ByApplication;
        if self.handle.disconnect(reason, "", "en").await.is_ok() {
            self.lost.cancelled().await;
        }
    }
}

/// The error of a connection that went away.
pub(super) fn lost() -> Error {
    Error::new(Kind::Connect, "The SSH connection was lost")
}

/// A session channel. Dropping it before its end closes it over there.
pub(super) struct Session {
    read: ChannelReadHalf,
    write: Arc<ChannelWriteHalf<Msg>>,
    ended: bool,
    connection: Arc<Connection>,
}

impl Session {
    pub(super) fn new(connection: Arc<Connection>, channel: Channel<Msg>) -> Self {
        let (read, write) = channel.split();
        Self {
            read,
            write: Arc::new(write),
            ended: false,
            connection,
        }
    }

    /// The sending half.
    pub(super) fn write(&self) -> &ChannelWriteHalf<Msg> {
        &self.write
    }

    /// The sending half, to be used while messages are awaited.
    pub(super) fn shared_write(&self) -> Arc<ChannelWriteHalf<Msg>> {
        Arc::clone(&self.write)
    }

    /// The connection it is on.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The next message; none after the end.
    pub(super) async fn next(&mut self) -> Option<ChannelMsg> {
        next(&mut self.read, &mut self.ended).await
    }

    /// Sends bytes. What arrives meanwhile goes to `arrived`: a channel that
    /// nobody reads blocks the whole connection.
    pub(super) async fn send(
        &mut self,
        data: bytes::Bytes,
        mut arrived: impl FnMut(ChannelMsg),
    ) -> Result<()> {
        let sending = self.write.data_bytes(data);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    return sent.map_err(|error| lost().with_source(error));
                }
                message = next(&mut self.read, &mut self.ended) => match message {
                    Some(message) => arrived(message),
                    None => return Err(lost()),
                },
            }
        }
    }

    /// Waits for the answer to a request: accepted, refused, or gone.
    pub(super) async fn reply(&mut self) -> Reply {
        loop {
            match self.next().await {
                Some(ChannelMsg::Success) => return Reply::Accepted,
                Some(ChannelMsg::Failure) => return Reply::Refused,
                Some(_) => {}
                None => return Reply::Gone,
            }
        }
    }
}

async fn next(read: &mut ChannelReadHalf, ended: &mut bool) -> Option<ChannelMsg> {
    match read.wait().await {
        None | Some(ChannelMsg::Close) => {
            *ended = true;
            None
        }
        message => message,
    }
}

/// The answer to a channel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Accepted,
    Refused,
    Gone,
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.ended || self.connection.is_lost() {
            return;
        }
        let write = Arc::clone(&self.write);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Closing alone ends only commands that write. OpenSSH passes the
            // signal on for every user but root.
            runtime.spawn(async move {
                let _ = write.signal(Sig::TERM).await;
                let _ = write.close().await;
            });
        }
    }
}
