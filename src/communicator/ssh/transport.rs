//! The byte stream below SSH: direct, through a proxy, or through a bastion.
//!
//! It knows when the other end first spoke, and it can be cut: a half-done
//! handshake otherwise keeps its socket until the server gives up.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::socks5::{self, User};
use crate::plan::communicator::Proxy;
use crate::secret::Secret;

/// Any two-way stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects directly.
pub(super) async fn direct(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects through a SOCKS5 proxy.
pub(super) async fn through_proxy(proxy: &Proxy, host: &str, port: u16) -> io::Result<TcpStream> {
    let at_proxy = |error: io::Error| {
        let place = format!("proxy {}:{}", proxy.host, proxy.port);
        io::Error::new(error.kind(), format!("{place}: {error}"))
    };
    let mut stream = direct(&proxy.host.value, proxy.port)
        .await
        .map_err(at_proxy)?;
    let none = Secret::new("");
    let user = proxy.username.as_deref().map(|name| User {
        name,
        password: proxy.password.as_ref().unwrap_or(&none),
    });
    socks5::connect(&mut stream, user, host, port)
        .await
        .map_err(at_proxy)?;
    Ok(stream)
}

/// A stream that reports its first byte and ends when it is cut.
pub(super) struct Transport {
    inner: Box<dyn Stream>,
    first_byte: Option<oneshot::Sender<()>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Transport {
    /// Wraps a stream. The receiver learns of the first byte; the stream fails
    /// once `cut` is cancelled.
    pub(super) fn new(
        inner: Box<dyn Stream>,
        cut: CancellationToken,
    ) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let transport = Self {
            inner,
            first_byte: Some(sender),
            cut: Box::pin(cut.cancelled_owned()),
        };
        (transport, receiver)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before
            && let Some(sender) = self.first_byte.take()
        {
            // Nobody listens any more once the handshake is over.
            let _ = sender.send(());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_first_byte_is_reported_and_a_cut_ends_reading() {
        let cut = CancellationToken::new();
        let (near, mut far) = tokio::io::duplex(8);
        let (mut transport, mut first) = Transport::new(Box::new(near), cut.clone());
        assert!(first.try_recv().is_err());
        far.write_all(b"S").await.unwrap();
        assert_eq!(transport.read_u8().await.unwrap(), b'S');
        first.await.unwrap();
        cut.cancel();
        let error = transport.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
