//! The addresses a guest answers at, and the connections made to them.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{machine::Machine, server::Connection};

#[derive(Debug)]
struct Listener {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The listeners of a machine by the address they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<SocketAddr, Listener>>);

impl Listeners {
    /// Closes listeners and the connections through them; returns when the
    /// addresses are free.
    pub(crate) async fn close(&self, matches: impl Fn(&SocketAddr) -> bool) {
        let closed: Vec<_> = self.lock().extract_if(|addr, _| matches(addr)).collect();
        for (_, listener) in closed {
            listener.stop.cancel();
            // A task that panicked has closed its sockets too.
            let _ = listener.task.await;
        }
    }

    /// Closes all without waiting.
    pub(crate) fn cancel(&self) {
        self.lock()
            .values()
            .for_each(|listener| listener.stop.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts to accept connections at an address.
pub(crate) async fn listen(machine: &Arc<Machine>, addr: SocketAddr) -> io::Result<()> {
    let is_open = |listener: &Listener| !listener.stop.is_cancelled();
    if machine.listeners().lock().get(&addr).is_some_and(is_open) {
        return Ok(());
    }
    if machine.inside().is_none() {
        return Err(io::Error::other("the machine is off"));
    }
    let socket = TcpListener::bind(addr).await?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept(Arc::downgrade(machine), socket, stop.clone()));
    machine
        .listeners()
        .lock()
        .insert(addr, Listener { stop, task });
    Ok(())
}

async fn accept(machine: Weak<Machine>, socket: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Some(machine) = machine.upgrade() else {
            return;
        };
        match accepted {
            Ok((stream, peer)) => serve(&machine, stream, peer, &stop),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection");
                // Out of descriptors, most likely: do not spin.
                tokio::task::yield_now().await;
            }
        }
    }
}

fn serve(machine: &Arc<Machine>, stream: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
    // While the machine restarts the connection is closed at once.
    let Some((_, run)) = machine.inside() else {
        return;
    };
    machine.note_connection();
    let stop = stop.child_token();
    let connection = Connection::new(machine, peer, stream.local_addr().ok(), stop.clone());
    let ssh = machine.ssh();
    tokio::spawn(async move {
        // Whatever ends the connection also ends what it started.
        let _guard = stop.clone().drop_guard();
        let Ok((stream, closer)) = closable(stream) else {
            return;
        };
        let session = async {
            match russh::server::run_stream(ssh, stream, connection).await {
                Ok(session) => session.await,
                Err(error) => Err(error),
            }
        };
        tokio::select! {
            ended = session => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            }
            () = stop.cancelled() => {}
            () = run.cancelled() => {}
        }
        // The session runs in a task of its own, which ends with its socket.
        let _ = closer.shutdown(Shutdown::Both);
    });
}

/// A second handle to the socket, to close it under the session.
fn closable(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let closer = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, closer))
}
