//! Streams that pass through: tunnels both ways and the lent agent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use russh::Channel;
use russh::client::Msg;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::session::Connection;
use super::transport::Stream;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::Tunnel;

/// The connection that tunnels use now. A tunnel listens on while the
/// connection is being made again.
pub(super) type Current = Arc<Mutex<Option<Arc<Connection>>>>;

/// Listens on this machine for a service that the instance can reach, until
/// `ended`.
pub(super) async fn listen_local(
    tunnel: Tunnel,
    current: Current,
    ended: CancellationToken,
) -> Result<()> {
    let port = tunnel.listen_port;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| {
            Error::new(
                Kind::Io,
                format!("Could not listen on 127.0.0.1:{port} for an SSH tunnel"),
            )
            .with_source(error)
            .with_hint("Choose another local port in ssh_local_tunnels")
        })?;
    tokio::spawn(async move {
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if let Some(connection) = connection {
                    tokio::spawn(serve_local(tunnel.clone(), connection, stream));
                }
            }
        };
        ended.run_until_cancelled(accept).await;
    });
    Ok(())
}

async fn serve_local(tunnel: Tunnel, connection: Arc<Connection>, stream: TcpStream) {
    let Tunnel { host, port, .. } = tunnel;
    let opened = connection.handle().channel_open_direct_tcpip(
        host.as_str(),
        u32::from(port),
        "127.0.0.1",
        0,
    );
    match opened.await {
        Ok(channel) => copy(channel, Box::new(stream)).await,
        Err(error) => debug!("tunnel to {host}:{port}: {error}"),
    }
}

/// Connects a stream that came from the instance to a service over here.
pub(super) fn serve_remote(tunnel: Tunnel, channel: Channel<Msg>, lost: CancellationToken) {
    let serve = async move {
        let Tunnel { host, port, .. } = tunnel;
        match TcpStream::connect((host.as_str(), port)).await {
            Ok(stream) => copy(channel, Box::new(stream)).await,
            Err(error) => {
                debug!("tunnel to {host}:{port}: {error}");
                close(&channel).await;
            }
        }
    };
    tokio::spawn(async move { lost.run_until_cancelled(serve).await });
}

/// Connects a stream that came from the instance to the agent over here.
pub(super) fn serve_agent(socket: PathBuf, channel: Channel<Msg>, lost: CancellationToken) {
    let serve = async move {
        match UnixStream::connect(&socket).await {
            Ok(stream) => copy(channel, Box::new(stream)).await,
            Err(error) => {
                debug!("agent at {}: {error}", socket.display());
                close(&channel).await;
            }
        }
    };
    tokio::spawn(async move { lost.run_until_cancelled(serve).await });
}

async fn copy(channel: Channel<Msg>, mut stream: Box<dyn Stream>) {
    let mut channel = channel.into_stream();
    // Either end may go away at any time; that is no failure of the build.
    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
}

async fn close(channel: &Channel<Msg>) {
    let _ = channel.close().await;
}
